//! The two labs' programs, as a student writes them (`tests/labs`, Python), and ft-cli move files to each other over real
//! loopback, in both roles and both readings of `send_text`. Each row of docs/LABS.md has a test that is named for it.
//!
//! Where a row is about single bytes or about who waits for whom, the other side is a bare socket that plays the
//! listing's part. Without `python3` these tests fail: an untested promise is not a kept one.

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

#[track_caller]
fn assert_all_sizes(folder: &Path, prefix: &str) {
    for size in SIZES {
        let path = folder.join(format!("{prefix}f{size}"));
        let stored = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(stored == content(size, size as u64 + 1), "{} differs: {} bytes", path.display(), stored.len());
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
fn a1_one_to_one_transfer_client_sends_server_receives() {
    for (theirs, ours) in READINGS {
        let s = sides();
        let path = file(&s.here, "data.bin", &content(10_000, 1));
        let server = Server::start(&s.there, ["--dialect", "pipe"]);
        python_client("lab_a_client.py", &server.address, &["--text", theirs, &path]);
        assert!(std::fs::read(s.there.join("data.bin")).expect("stored") == content(10_000, 1));
        server.stop().expect(COMPLETED);

        let path = file(&s.here, "back.bin", &content(10_000, 2));
        let server = LabServer::start("lab_a_server.py", &s.there, 1, &[]);
        // Lab A has no word for "it arrived", so neither has the exit code.
        run(&mut put("pipe", &["--text", ours], &[&path], &server.address())).expect(UNKNOWN);
        let log = server.finish();
        assert!(log.contains(&"[SAVED] back.bin: 10000 of 10000 bytes".to_owned()), "{log:?}");
        assert!(std::fs::read(s.there.join("back.bin")).expect("stored") == content(10_000, 2));
    }
}

/// Whether the kernel keeps a connection of this local port in TIME_WAIT (state 6).
fn lingers(port: &str) -> bool {
    let port = format!("0100007F:{:04X}", port.parse::<u16>().expect("a port"));
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux's table of connections");
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some(port.as_str()) && fields.nth(1) == Some("06")
    })
}

#[test]
fn a2_server_takes_one_client_after_another_and_starts_again_at_once_on_the_same_port() {
    let s = sides();
    let path = file(&s.here, "data.txt", b"first");
    let mut server = Server::start(&s.there, ["--dialect", "pipe"]);
    server.running.line(|line| line == "[LISTENING] Waiting for connection...");
    for text in ["first", "second"] {
        file(&s.here, "data.txt", text.as_bytes());
        python_client("lab_a_client.py", &server.address, &[&path]);
        assert_eq!(std::fs::read_to_string(s.there.join("data.txt")).expect("stored"), text);
    }
    // The side that closes first keeps the connection for a minute: killed in the middle of one, that is the server.
    let mut client = connect(&server.address);
    send(&mut client, b"data.txt|1024");
    assert_eq!(take(&mut client, 3), b"ACK");
    let (port, address) = (server.port().to_owned(), server.address.clone());
    server.running.kill();
    server.running.finish();
    assert_eq!(take_all(&mut client), b"");
    drop(client);
    let until = Instant::now() + support::PATIENCE;
    while !lingers(&port) {
        assert!(Instant::now() < until, "no connection lingers, so this would prove nothing");
        std::thread::sleep(Duration::from_millis(5));
    }

    let server = Server::at(&address, &s.there, ["--dialect", "pipe"]);
    assert_eq!(server.port(), port);
    assert_eq!(std::fs::read_to_string(s.there.join("data.txt")).expect("the old file"), "second");
    file(&s.here, "data.txt", b"third");
    python_client("lab_a_client.py", &server.address, &[&path]);
    assert_eq!(std::fs::read_to_string(s.there.join("data.txt")).expect("stored"), "third");
}

#[test]
fn a3_metadata_ack_and_data_are_the_listings_bytes_in_both_roles() {
    let s = sides();
    let bytes = content(1024, 3);
    for (metadata, name) in [("data.txt|1024", "data.txt"), ("line.txt|1024\n", "line.txt")] {
        let server = Server::start(&s.there, ["--dialect", "pipe"]);
        let mut client = connect(&server.address);
        send(&mut client, metadata.as_bytes());
        assert_eq!(take(&mut client, 3), b"ACK");
        assert!(!s.there.join(name).exists(), "nothing has come yet");
        expect_silence(&mut client, HOLD);
        send(&mut client, &bytes);
        client.shutdown(std::net::Shutdown::Write).expect("a half-close");
        assert_eq!(take_all(&mut client), b"", "the listing's server says nothing but ACK");
        server.stop().expect(COMPLETED);
        assert!(std::fs::read(s.there.join(name)).expect("stored") == bytes);
    }

    let path = file(&s.here, "data.txt", &bytes);
    for (reading, metadata) in [("bare", "data.txt|1024"), ("newline", "data.txt|1024\n")] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = listener.local_addr().expect("an address").to_string();
        let client = Running::start(&mut put("pipe", &["--text", reading], &[&path], &to));
        let mut server = deadlines(listener.accept().expect("a client").0);
        assert_eq!(take(&mut server, metadata.len()), metadata.as_bytes());
        // No terminator and no data: it waits for the ACK.
        expect_silence(&mut server, HOLD);
        send(&mut server, b"ACK");
        assert!(take_all(&mut server) == bytes);
        drop(server);
        client.finish().expect(UNKNOWN);
    }
}

#[test]
fn a3_anything_but_ack_stops_the_sender() {
    let s = sides();
    let path = file(&s.here, "data.txt", b"0123456789");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = listener.local_addr().expect("an address").to_string();
    let client = Running::start(&mut put("pipe", &[], &[&path], &to));
    let mut server = deadlines(listener.accept().expect("a client").0);
    take(&mut server, "data.txt|10".len());
    send(&mut server, b"NAK");
    assert_eq!(take_all(&mut server), b"", "no data without ACK");
    drop(server);
    let ended = client.finish().expect(FAILED);
    assert!(ended.err.contains("NAK"), "{}", ended.text());
}

/// The command with names of our own for the loopback addresses, whatever this machine calls them: in a mount namespace
/// in which another file is bound over /etc/hosts.
fn with_hosts(s: &Sides, command: &Command) -> Command {
    let hosts = file(&s.here, "hosts", b"127.0.0.1 localhost four-only either\n::1 six-only either\n");
    let bind = r#"mount --bind "$1" /etc/hosts && shift && exec "$@""#;
    let mut inside = Command::new("unshare");
    inside.args(["--map-root-user", "--mount", "sh", "-c", bind, "sh", &hosts]);
    inside.arg(command.get_program()).args(command.get_args());
    inside
}

#[test]
fn a4_host_names_lead_to_ipv4_and_ipv6() {
    let s = sides();
    let path = file(&s.here, "data.txt", b"by name");
    let arrived = |name: &str| {
        assert_eq!(std::fs::read_to_string(s.there.join(name)).expect("stored"), "by name");
        std::fs::remove_file(s.there.join(name)).expect("removed");
    };
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("this test needs ::1, the loopback address of IPv6");

    // Our client: a name that has both addresses leads to whichever listens.
    let names =
        ["four-only 127.0.0.1", "six-only ::1", "either 127.0.0.1", "either ::1"].map(|pair| pair.split_once(' '));
    let addresses = [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("localhost", "127.0.0.1")].map(Some);
    for (host, listen) in names.into_iter().chain(addresses).flatten() {
        let server = LabServer::start("lab_a_server.py", &s.there, 1, &["--host", listen]);
        let to = format!("{host}:{}", server.port);
        run(&mut with_hosts(&s, &put("pipe", &[], &[&path], &to))).expect(UNKNOWN);
        server.finish();
        arrived("data.txt");
    }
    // Our server: at a name, and at either kind of address.
    for listen in ["four-only:0", "six-only:0", "127.0.0.1:0", "[::1]:0"] {
        let serve = ft_cli(["serve", "--dialect", "pipe", "--listen", listen, utf8(&s.there)]);
        let server = Server::run(&mut with_hosts(&s, &serve));
        python_client("lab_a_client.py", &server.address, &[&path]);
        arrived("data.txt");
    }
    // The lab's client resolves the name itself.
    let server = Server::start(&s.there, ["--dialect", "pipe"]);
    run(python("lab_a_client.py").args(["--host", "localhost", "--port", server.port(), &path])).expect(0);
    arrived("data.txt");
    let ended = run(&mut put("pipe", &[], &[&path], "no-such-host.invalid")).expect(FAILED);
    assert!(ended.err.contains("no-such-host.invalid"), "{}", ended.text());
}

#[test]
fn a4_default_endpoint_is_port_65432_of_this_machine() {
    let s = sides();
    let path = file(&s.here, "data.txt", b"by default");
    // A loopback address that nobody else uses, so that the fixed port is free there.
    let process = std::process::id();
    let own = format!("127.{}.{}.{}", 1 + process % 250, 1 + (process >> 8) % 250, 1 + (process >> 16) % 250);
    let server = Server::at(&own, &s.there, ["--dialect", "pipe"]);
    assert_eq!(server.address, format!("{own}:65432"));
    run(python("lab_a_client.py").args(["--host", &own, &path])).expect(0);
    assert_eq!(std::fs::read_to_string(s.there.join("data.txt")).expect("stored"), "by default");
    let path = file(&s.here, "ours.txt", b"by default");
    run(&mut put("pipe", &[], &[&path], &own)).expect(UNKNOWN);
    assert_eq!(std::fs::read_to_string(s.there.join("ours.txt")).expect("stored"), "by default");

    // Without an address: it listens there, or says that somebody else does.
    let mut command = ft_cli(["serve", "--dialect", "pipe", utf8(&s.there)]);
    let mut plain = Running::start(&mut command);
    std::thread::sleep(HOLD);
    if plain.runs() {
        let line = plain.line(|line| line.starts_with("listening on "));
        assert!(line.starts_with("listening on 127.0.0.1:65432 "), "{line}");
    } else {
        let ended = plain.finish();
        assert!(ended.err.contains("127.0.0.1:65432: "), "{}", ended.text());
    }
}

#[test]
fn a5_file_of_every_size_is_rebuilt_exactly_in_both_roles_and_readings() {
    for (theirs, ours) in READINGS {
        let s = sides();
        let paths = files_of_all_sizes(&s.here);
        let server = Server::start(&s.there, ["--dialect", "pipe"]);
        for path in &paths {
            python_client("lab_a_client.py", &server.address, &["--text", theirs, path]);
        }
        server.stop().expect(COMPLETED);
        assert_all_sizes(&s.there, "");

        let s = sides();
        let paths = files_of_all_sizes(&s.here);
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let server = LabServer::start("lab_a_server.py", &s.there, SIZES.len(), &[]);
        run(&mut put("pipe", &["--text", ours], &paths, &server.address())).expect(UNKNOWN);
        server.finish();
        assert_all_sizes(&s.there, "");
    }
}

#[test]
fn b1_upload_and_download_carry_every_size_with_status_ok_in_both_roles_and_readings() {
    for (theirs, ours) in READINGS {
        let s = sides();
        let paths = files_of_all_sizes(&s.here);
        let copies = s.here.join("copies");
        std::fs::create_dir(&copies).expect("made");
        let server = Server::start(&s.there, ["--dialect", "addfile"]);
        for (path, size) in paths.iter().zip(SIZES) {
            let name = format!("f{size}");
            python_client("lab_b_client.py", &server.address, &["--text", theirs, "UPLOAD", path]);
            let copy = copies.join(&name);
            python_client("lab_b_client.py", &server.address, &["--text", theirs, "DOWNLOAD", &name, utf8(&copy)]);
        }
        server.stop().expect(COMPLETED);
        assert_all_sizes(&s.there, "");
        assert_all_sizes(&copies, "");

        let s = sides();
        let paths = files_of_all_sizes(&s.here);
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let copies = s.here.join("copies");
        std::fs::create_dir(&copies).expect("made");
        let server = LabServer::start("lab_b_server.py", &s.there, 2 * SIZES.len(), &["--text", theirs]);
        run(&mut put("addfile", &["--request", "upload", "--text", ours], &paths, &server.address())).expect(UNKNOWN);
        let mut get = ft_cli(["get", "--dialect", "addfile", "--text", ours]);
        get.args(SIZES.map(|size| format!("{}/f{size}", server.address()))).arg(&copies);
        run(&mut get).expect(UNKNOWN);
        server.finish();
        assert_all_sizes(&s.there, "");
        assert_all_sizes(&copies, "");
    }
}

#[test]
fn b1_what_cannot_be_served_is_not_found_in_both_roles_and_readings() {
    for (theirs, ours) in READINGS {
        let s = sides();
        let path = file(&s.here, "taken", b"x");
        std::fs::create_dir(s.there.join("taken")).expect("made");
        let copy = s.here.join("copy");
        let not_found = |ended: Ended| {
            assert_eq!((ended.code(), ended.err.as_str()), (Some(1), "[ERROR] status 'NOT FOUND'\n"));
        };
        let server = Server::start(&s.there, ["--dialect", "addfile"]);
        let client = |args: &[&str]| {
            let to = ["--host", "127.0.0.1", "--port", server.port(), "--text", theirs];
            run(python("lab_b_client.py").args(to).args(args))
        };
        not_found(client(&["DOWNLOAD", "none", utf8(&copy)]));
        not_found(client(&["DOWNLOAD", "taken", utf8(&copy)]));
        not_found(client(&["UPLOAD", &path]));

        let server = LabServer::start("lab_b_server.py", &s.there, 2, &["--text", theirs]);
        let mut get = ft_cli(["get", "--dialect", "addfile", "--text", ours]);
        get.arg(format!("{}/none", server.address())).arg(&copy);
        let ended = run(&mut get).expect(REFUSED);
        assert!(ended.err.contains(r#"the peer has no "none", or refuses it"#), "{}", ended.text());
        let options = ["--request", "upload", "--text", ours];
        let ended = run(&mut put("addfile", &options, &[&path], &server.address())).expect(FAILED);
        assert!(ended.err.contains(r#"the peer has no "taken", or refuses it"#), "{}", ended.text());
        server.finish();
        assert!(!copy.exists() && s.there.join("taken").is_dir());
    }
}

/// The log of one `addfile`, with the addresses that the lab's text has replaced by ours.
fn addfile_log(name: &str) -> [String; 5] {
    [
        "Client command: addfile".to_owned(),
        format!("Creating new file: {name}"),
        "Sent: file recv".to_owned(),
        format!("Receiving file data for: {name}"),
        "Sent: file data recv".to_owned(),
    ]
}

#[track_caller]
fn assert_connected(line: &str) {
    let port = line.strip_prefix("Client connected: ('127.0.0.1', ").and_then(|rest| rest.strip_suffix(')'));
    assert!(port.is_some_and(|port| port.parse::<u16>().is_ok()), "{line}");
}

#[test]
fn b2_addfile_confirms_twice_stores_under_the_servers_name_and_logs_the_listings_lines() {
    for (theirs, ours) in READINGS {
        let s = sides();
        let path = file(&s.here, "1412412", &content(4000, 4));
        let server = Server::start(&s.there, ["--dialect", "addfile"]);
        let port = server.port().to_owned();
        python_client("lab_b_client.py", &server.address, &["--text", theirs, "addfile", &path]);
        let log = server.stop().expect(COMPLETED).out;
        assert_eq!(log[0], format!("listening on 127.0.0.1:{port} (addfile)"));
        assert_eq!(log[1], format!("Server listening on 127.0.0.1 port {port}"));
        assert_connected(&log[2]);
        assert_eq!(log[3..], addfile_log("1412412"));
        assert!(std::fs::read(s.there.join("server_1412412")).expect("stored") == content(4000, 4));
        assert!(!s.there.join("1412412").exists());

        let s = sides();
        let path = file(&s.here, "1412412", &content(4000, 5));
        let server = LabServer::start("lab_b_server.py", &s.there, 1, &["--text", theirs]);
        run(&mut put("addfile", &["--text", ours], &[&path], &server.address())).expect(COMPLETED);
        let log = server.finish();
        assert_connected(&log[2]);
        assert_eq!(log[3..], addfile_log("1412412"));
        assert!(std::fs::read(s.there.join("server_1412412")).expect("stored") == content(4000, 5));
    }
}

#[test]
fn b2_addfile_carries_every_size_in_both_roles_and_readings() {
    for (theirs, ours) in READINGS {
        let s = sides();
        let paths = files_of_all_sizes(&s.here);
        let server = Server::start(&s.there, ["--dialect", "addfile"]);
        for path in &paths {
            python_client("lab_b_client.py", &server.address, &["--text", theirs, "addfile", path]);
        }
        server.stop().expect(COMPLETED);
        assert_all_sizes(&s.there, "server_");

        let s = sides();
        let paths = files_of_all_sizes(&s.here);
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let server = LabServer::start("lab_b_server.py", &s.there, SIZES.len(), &["--text", theirs]);
        run(&mut put("addfile", &["--text", ours], &paths, &server.address())).expect(COMPLETED);
        server.finish();
        assert_all_sizes(&s.there, "server_");
    }
}

#[test]
fn b2_listings_client_that_waits_without_a_half_close_gets_its_second_confirmation() {
    let s = sides();
    // An empty file is missing here: without a half-close it can never be told from a slow one (docs/LABS.md).
    for (theirs, size) in [("bare", 1), ("line", 1), ("bare", 70_000), ("line", 70_000)] {
        let path = file(&s.here, "data", &content(size, 6));
        let server = Server::start(&s.there, ["--dialect", "addfile"]);
        python_client("lab_b_client.py", &server.address, &["--text", theirs, "--end", "wait", "addfile", &path]);
        assert!(std::fs::read(s.there.join("server_data")).expect("stored") == content(size, 6), "{theirs} {size}");
    }
}

#[test]
fn b2_listings_client_that_reads_no_confirmation_loses_nothing_in_the_line_reading() {
    let s = sides();
    let path = file(&s.here, "data", &content(70_000, 7));
    let server = Server::start(&s.there, ["--dialect", "addfile"]);
    // Everything at once and a full close: data and name may arrive in one piece, and only a line feed parts them.
    let args = ["--text", "line", "--confirmations", "ignore", "addfile", &path];
    python_client("lab_b_client.py", &server.address, &args);
    let until = Instant::now() + support::PATIENCE;
    while !s.there.join("server_data").exists() {
        assert!(Instant::now() < until, "never stored");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(std::fs::read(s.there.join("server_data")).expect("stored") == content(70_000, 7));
}

#[test]
fn b3_client_waits_for_each_confirmation_before_the_next_stage() {
    let s = sides();
    let path = file(&s.here, "data", b"the data");
    for (reading, end) in [("bare", ""), ("newline", "\n")] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = listener.local_addr().expect("an address").to_string();
        let mut client = Running::start(&mut put("addfile", &["--text", reading], &[&path], &to));
        let mut server = deadlines(listener.accept().expect("a client").0);
        let request = format!("addfile{end}data{end}");
        assert_eq!(take(&mut server, request.len()), request.as_bytes());
        expect_silence(&mut server, HOLD);
        // In pieces, as TCP may deliver it.
        send(&mut server, b"file re");
        expect_silence(&mut server, HOLD);
        send(&mut server, b"cv\n");
        assert_eq!(take_all(&mut server), b"the data");
        std::thread::sleep(HOLD);
        assert!(client.runs(), "it waits for the second confirmation");
        send(&mut server, b"file data recv\n");
        drop(server);
        client.finish().expect(COMPLETED);
    }
}

#[test]
fn b3_client_without_its_second_confirmation_does_not_say_that_the_file_arrived() {
    let s = sides();
    let path = file(&s.here, "data", b"the data");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = listener.local_addr().expect("an address").to_string();
    let client = Running::start(&mut put("addfile", &[], &[&path], &to));
    let mut server = deadlines(listener.accept().expect("a client").0);
    take(&mut server, "addfiledata".len());
    send(&mut server, b"file recv\n");
    assert_eq!(take_all(&mut server), b"the data");
    drop(server);
    client.finish().expect(UNKNOWN);
}

#[test]
fn b3_server_touches_the_old_file_only_when_all_data_has_come_and_confirms_after_that() {
    let s = sides();
    file(&s.there, "server_data", b"the old file");
    let now = || std::fs::read_to_string(s.there.join("server_data")).expect("there, always");
    let server = Server::start(&s.there, ["--dialect", "addfile"]);
    let mut client = connect(&server.address);
    send(&mut client, b"addfile\ndata\n");
    assert_eq!(take(&mut client, 10), b"file recv\n");
    assert_eq!(now(), "the old file");
    send(&mut client, b"the new ");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(now(), "the old file");
    send(&mut client, b"file");
    client.shutdown(std::net::Shutdown::Write).expect("a half-close");
    assert_eq!(take(&mut client, 15), b"file data recv\n");
    assert_eq!(now(), "the new file");
    assert_eq!(take_all(&mut client), b"");
}

#[test]
fn b4_server_that_refuses_reads_to_the_end_so_that_its_answer_arrives() {
    let s = sides();
    std::fs::create_dir(s.there.join("taken")).expect("made");
    let server = Server::start(&s.there, ["--dialect", "auto"]);
    // A close with unread bytes sends an RST, which destroys the status on its way.
    for request in ["UPLOAD\ntaken\n", "UPLOAD\n../x\n"] {
        let mut client = connect(&server.address);
        send(&mut client, request.as_bytes());
        send(&mut client, &content(300_000, 8));
        client.shutdown(std::net::Shutdown::Write).expect("a half-close");
        assert_eq!(take_all(&mut client), b"NOT FOUND\n", "{request:?}");
    }
    // Lab A: a body that is longer than stated is refused, and the client still sees an end in order.
    let mut client = connect(&server.address);
    send(&mut client, b"long|10\n");
    assert_eq!(take(&mut client, 3), b"ACK");
    send(&mut client, &content(300_000, 9));
    client.shutdown(std::net::Shutdown::Write).expect("a half-close");
    assert_eq!(take_all(&mut client), b"");
    assert!(!s.there.join("long").exists());
}

#[test]
fn b4_slow_peers_lose_nothing_when_the_other_side_is_done() {
    let s = sides();
    let bytes = content(1 << 20, 10);
    let path = file(&s.here, "data", &bytes);
    // More than the close waits for, and more data than socket buffers of this size take.
    let slowness = Duration::from_secs(2);
    for (dialect, request, ack, done, code) in [
        ("pipe", &b"data|1048576"[..], &b"ACK"[..], &b""[..], UNKNOWN),
        ("addfile", b"addfiledata", b"file recv\n", b"file data recv\n", COMPLETED),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = listener.local_addr().expect("an address").to_string();
        let client = Running::start(&mut put(dialect, &[], &[&path], &to));
        let mut server = deadlines(listener.accept().expect("a client").0);
        assert_eq!(take(&mut server, request.len()), request);
        send(&mut server, ack);
        std::thread::sleep(slowness);
        assert!(take_all(&mut server) == bytes, "{dialect}");
        send(&mut server, done);
        drop(server);
        client.finish().expect(code);
    }

    let server = Server::start(&s.here, ["--dialect", "addfile"]);
    let mut client = connect(&server.address);
    send(&mut client, b"DOWNLOAD\ndata\n");
    assert_eq!(take(&mut client, 3), b"OK\n");
    std::thread::sleep(slowness);
    assert!(take_all(&mut client) == bytes);
}

#[test]
fn b4_client_that_vanishes_leaves_the_old_file_and_the_server_serving() {
    let s = sides();
    let server = Server::start(&s.there, ["--dialect", "auto"]);
    file(&s.there, "data", b"the old file");
    for first in [&b"data|1000"[..], b"UPLOAD\ndata\n"] {
        let mut client = connect(&server.address);
        send(&mut client, first);
        let mut answer = [0; 3];
        std::io::Read::read_exact(&mut client, &mut answer).expect("an answer");
        send(&mut client, b"some");
        // An RST, as of a killed program: nothing ended in order, so nothing is stored.
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("an option");
        drop(client);
    }
    let path = file(&s.here, "after", b"still here");
    python_client("lab_a_client.py", &server.address, &[&path]);
    server.stop().expect(COMPLETED);
    assert_eq!(std::fs::read_to_string(s.there.join("after")).expect("stored"), "still here");
    assert_eq!(std::fs::read_to_string(s.there.join("data")).expect("there"), "the old file");
    assert!(!s.there.join(".ft-staging").exists(), "nothing is left of what was cut");
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
