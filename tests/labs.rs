//! The two labs' programs, as a student writes them (`tests/labs`, Python), and ft-cli move files to each other over real
//! loopback, in both roles and both readings of `send_text`. Each row of docs/LABS.md has a test that is named for it.
//!
//! Where a row is about single bytes or about who waits for whom, the other side is a bare socket that plays the
//! listing's part. Without `python3` these tests fail: an untested promise is not a kept one.

#[path = "labs/ending.rs"]
mod ending;
#[path = "labs/lab_a.rs"]
mod lab_a;
#[path = "labs/lab_b.rs"]
mod lab_b;
mod support;

use std::net::{Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use support::{
    Ended, Running, Server, connect, content, deadlines, expect_silence, folder, ft_cli, in_repository, run, send,
    take, take_all,
};

/// The chunk of lab A, the `recv` of lab B, one byte to either side of both, nothing, and many chunks.
const SIZES: [usize; 8] = [0, 1, 1023, 1024, 1025, 4096, 4097, 1 << 20];

/// Longer than any pause that a careful program makes by itself before it goes on, shorter than its patience.
const HOLD: Duration = Duration::from_millis(700);

/// The two readings of `send_text`, as the lab programs and ft-cli call them.
const READINGS: [(&str, &str); 2] = [("bare", "bare"), ("line", "newline")];

const COMPLETED: i32 = 0;
const FAILED: i32 = 1;
const UNKNOWN: i32 = 3;
const REFUSED: i32 = 4;

fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.args(["-B", "-u"]).arg(in_repository("tests/labs").join(script));
    command
}

/// A lab program's client against a server of ours; nothing may go wrong, not even at the end.
#[track_caller]
fn python_client(script: &str, address: &str, args: &[&str]) -> Ended {
    let (host, port) = address.rsplit_once(':').expect("an address");
    let ended = run(python(script).args(["--host", host.trim_matches(['[', ']']), "--port", port]).args(args));
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{}", ended.text());
    ended
}

/// A lab program's server for so many connections.
struct LabServer {
    running: Running,
    port: String,
}

impl LabServer {
    #[track_caller]
    fn start(script: &str, folder: &Path, connections: usize, args: &[&str]) -> Self {
        let mut command = python(script);
        command.args(["--port", "0", "--count", &connections.to_string(), "--dir", utf8(folder)]).args(args);
        let mut running = Running::start(&mut command);
        let bound = running.line(|line| line.starts_with("[BOUND] "));
        let port = bound.rsplit(' ').next().expect("a port").to_owned();
        Self { running, port }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its log after all connections. A traceback, such as for an RST, fails the test.
    #[track_caller]
    fn finish(self) -> Vec<String> {
        let ended = self.running.finish();
        assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{}", ended.text());
        ended.out
    }
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("a path of UTF-8")
}

/// Two empty folders.
struct Sides {
    _all: tempfile::TempDir,
    here: PathBuf,
    there: PathBuf,
}

fn sides() -> Sides {
    let all = folder();
    let (here, there) = (all.path().join("here"), all.path().join("there"));
    std::fs::create_dir(&here).expect("made");
    std::fs::create_dir(&there).expect("made");
    Sides { _all: all, here, there }
}

/// One file for each size, `f0`, `f1`, …
fn files_of_all_sizes(folder: &Path) -> Vec<String> {
    let make = |size: usize| {
        let path = folder.join(format!("f{size}"));
        std::fs::write(&path, content(size, size as u64 + 1)).expect("written");
        utf8(&path).to_owned()
    };
    SIZES.into_iter().map(make).collect()
}

/// A lab's client is done when all is sent, since no lab says "stored": the file is there soon, not at once
/// (`no-final-ack`).
#[track_caller]
fn assert_arrives(path: &Path, bytes: &[u8]) {
    let until = Instant::now() + support::PATIENCE;
    loop {
        let stored = std::fs::read(path);
        if stored.as_ref().is_ok_and(|stored| stored == bytes) {
            return;
        }
        let found = stored.map_or_else(|e| e.to_string(), |stored| format!("{} other bytes", stored.len()));
        assert!(Instant::now() < until, "{}: expected {} bytes, found {found}", path.display(), bytes.len());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
fn assert_all_sizes(folder: &Path, prefix: &str) {
    for size in SIZES {
        let path = folder.join(format!("{prefix}f{size}"));
        assert_arrives(&path, &content(size, size as u64 + 1));
    }
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("written");
    utf8(&path).to_owned()
}

fn put(dialect: &str, options: &[&str], paths: &[&str], to: &str) -> Command {
    let mut command = ft_cli(["put", "--dialect", dialect]);
    command.args(options).args(paths).arg(to);
    command
}

#[test]
fn lab_programs_move_files_among_themselves() {
    run(Command::new("python3").arg("-B").arg(in_repository("tests/labs/check.py"))).expect(0);
}

#[test]
fn auto_tells_both_labs_in_both_readings_and_ft1_apart_on_one_port_at_the_same_time() {
    let s = sides();
    file(&s.there, "stored", b"to be fetched");
    let server = Server::start(&s.there, ["--dialect", "auto"]);
    let copy = |name: &str| utf8(&s.here.join(name)).to_owned();
    std::thread::scope(|scope| {
        for (theirs, ours) in READINGS {
            let (s, address) = (&s, &server.address);
            scope.spawn(move || {
                let path = file(&s.here, &format!("a_{theirs}"), &content(5000, 11));
                python_client("lab_a_client.py", address, &["--text", theirs, &path]);
                let path = file(&s.here, &format!("ours_{theirs}"), &content(5000, 11));
                run(&mut put("pipe", &["--text", ours], &[&path], address)).expect(UNKNOWN);
                let path = file(&s.here, &format!("oursb_{theirs}"), &content(5000, 11));
                run(&mut put("addfile", &["--text", ours], &[&path], address)).expect(COMPLETED);
            });
            scope.spawn(move || {
                let path = file(&s.here, &format!("b_{theirs}"), &content(5000, 11));
                python_client("lab_b_client.py", address, &["--text", theirs, "addfile", &path]);
                python_client("lab_b_client.py", address, &["--text", theirs, "UPLOAD", &path]);
                let copy = copy(&format!("copy_{theirs}"));
                python_client("lab_b_client.py", address, &["--text", theirs, "DOWNLOAD", "stored", &copy]);
            });
        }
        let path = file(&s.here, "ft1", &content(5000, 11));
        run(&mut put("ft1", &[], &[&path], &server.address)).expect(COMPLETED);
    });
    server.stop().expect(COMPLETED);
    let mut stored = vec!["ft1".to_owned()];
    for (theirs, _) in READINGS {
        let names = ["a_", "ours_", "server_oursb_", "server_b_", "b_"];
        stored.extend(names.map(|name| format!("{name}{theirs}")));
        assert_eq!(std::fs::read_to_string(copy(&format!("copy_{theirs}"))).expect("fetched"), "to be fetched");
    }
    for name in stored {
        assert!(std::fs::read(s.there.join(&name)).expect("stored") == content(5000, 11), "{name}");
    }
}
