//! Several connections for the content of one session: the same files land, whichever connection is slow or lost.
#![cfg(target_os = "linux")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;

use support::{Ended, PATIENCE, Server, connect, content, folder, ft_cli, run};

const MIB: usize = 1 << 20;

/// Slow enough that other connections have joined long before the end.
const RATE: &str = "60M";

/// A server's folder with nothing in it, and a file of some length that it does not have.
fn ground() -> (tempfile::TempDir, std::path::PathBuf) {
    let place = folder();
    fs::create_dir(place.path().join("box")).expect("a folder");
    let file = place.path().join("file");
    fs::write(&file, content(24 * MIB + 12_345, 9)).expect("a file");
    (place, file)
}

fn server(place: &Path) -> Server {
    Server::start(&place.join("box"), ["--rate", RATE])
}

/// With what it says of its connections.
fn talks(command: &mut Command) -> Ended {
    run(command.arg("--verbose"))
}

/// The connections that it says its content went over.
fn told(ended: &Ended) -> Vec<&str> {
    ended.err.lines().filter(|line| line.contains("several connections")).collect()
}

#[track_caller]
fn same(a: &Path, b: &Path) {
    assert!(fs::read(a).expect("a file") == fs::read(b).expect("a file"), "{} is {}", a.display(), b.display());
}

#[test]
fn file_put_over_four_connections_is_the_file() {
    let (place, file) = ground();
    let server = server(place.path());
    let put = talks(ft_cli(["put", "--streams", "4"]).arg(&file).arg(&server.address)).expect(0);
    let [told] = told(&put)[..] else { panic!("{}", put.text()) };
    assert!(told.contains("lanes=4"), "{told}");
    same(&file, &place.path().join("box/file"));
    server.stop().expect(0);
}

#[test]
fn file_got_over_four_connections_is_the_file() {
    let (place, file) = ground();
    let server = server(place.path());
    fs::rename(&file, place.path().join("box/file")).expect("moved");
    let back = place.path().join("back");
    let got = talks(ft_cli(["get", "--streams", "4"]).arg(format!("{}/file", server.address)).arg(&back)).expect(0);
    let [told] = told(&got)[..] else { panic!("{}", got.text()) };
    assert!(told.contains("lanes=4"), "{told}");
    same(&place.path().join("box/file"), &back);
    server.stop().expect(0);
}

#[test]
fn tree_and_standard_input_go_over_several_connections_too() {
    let (place, file) = ground();
    let tree = place.path().join("tree");
    fs::create_dir(&tree).expect("a folder");
    for i in 0..40 {
        fs::write(tree.join(i.to_string()), content(i * 30_000, i as u64)).expect("a file");
    }
    let server = server(place.path());
    let put = talks(ft_cli(["put", "--streams", "2"]).arg(&file).arg(&tree).arg(&server.address)).expect(0);
    assert_eq!(told(&put).len(), 1, "{}", put.text());
    for i in 0..40 {
        same(&tree.join(i.to_string()), &place.path().join(format!("box/tree/{i}")));
    }
    let mut pipe = ft_cli(["put", "--streams", "3", "-", "--name", "piped", &server.address]);
    let status = pipe.stdin(Stdio::from(fs::File::open(&file).expect("a file"))).status().expect("it runs");
    assert!(status.success());
    same(&file, &place.path().join("box/piped"));
    server.stop().expect(0);
}

#[test]
fn one_connection_stays_one_when_that_is_asked_for_and_on_a_path_that_needs_no_more() {
    let (place, file) = ground();
    let server = server(place.path());
    for streams in [&["--streams", "1"][..], &[]] {
        let put = talks(
            ft_cli(["put", "--overwrite", "replace", "--compare", "none"])
                .args(streams)
                .arg(&file)
                .arg(&server.address),
        );
        assert_eq!(told(&put.expect(0)), [""; 0]);
    }
    server.stop().expect(0);
}

#[test]
fn number_of_connections_has_bounds() {
    for bad in ["0", "9", "many", "-1"] {
        let refused = run(&mut ft_cli(["put", &format!("--streams={bad}"), "a", "host"])).expect(2);
        assert!(refused.err.contains("expected a number from 1 to 8, or auto"), "{}", refused.err);
    }
}

/// Passes connections on; the `cut`-th is cut after so many bytes of the client's.
fn relay(server: &str, cut: u32, after: u64) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (server, cuts) = (server.to_owned(), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&cuts);
    thread::spawn(move || {
        for (number, client) in listener.incoming().flatten().enumerate() {
            let (server, count) = (connect(&server), Arc::clone(&count));
            let is_cut = u32::try_from(number + 1) == Ok(cut);
            thread::spawn(move || {
                let (a, b) = (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
                let back = thread::spawn(move || pass(a, b, u64::MAX, &AtomicU64::new(0)));
                if pass(client, server, if is_cut { after } else { u64::MAX }, &AtomicU64::new(0)) {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                back.join().expect("the other direction");
            });
        }
    });
    (address, cuts)
}

/// True if it was cut.
fn pass(mut from: TcpStream, mut to: TcpStream, limit: u64, passed: &AtomicU64) -> bool {
    let mut some = vec![0; 64 * 1024];
    from.set_read_timeout(Some(PATIENCE)).expect("an option");
    while let Ok(n @ 1..) = from.read(&mut some) {
        if to.write_all(&some[..n]).is_err() {
            break;
        }
        if passed.fetch_add(n as u64, Ordering::Relaxed) + n as u64 >= limit {
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            return true;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    false
}

#[test]
fn any_of_the_connections_may_be_lost_and_the_transfer_goes_on_where_it_was() {
    for lost in 1..=3 {
        let (place, file) = ground();
        let server = server(place.path());
        let (through, cuts) = relay(&server.address, lost, 3 * MIB as u64);
        let put = talks(ft_cli(["put", "--streams", "3"]).arg(&file).arg(&through)).expect(0);
        assert_eq!(cuts.load(Ordering::SeqCst), 1, "connection {lost} was cut: {}", put.text());
        assert!(put.err.contains("retry 1"), "{}", put.text());
        same(&file, &place.path().join("box/file"));
        server.stop().expect(0);
        assert!(fs::read_dir(place.path().join("box")).expect("a folder").count() == 1, "nothing is left over");
    }
}
