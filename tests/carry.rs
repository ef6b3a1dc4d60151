//! Content that the kernel moves is the same transfer as content that is copied through memory: the same bytes on the
//! wire, the same events, the same files; and what goes wrong with a file on its way costs that file alone.
#![cfg(target_os = "linux")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};

use support::{Ended, Server, connect, content, deadlines, event, folder, ft_cli, run};

const MIB: usize = 1 << 20;

/// Around what is carried (512 KiB), a resume unit and a DATA frame (1 MiB).
const SIZES: [usize; 8] = [MIB / 2 - 1, MIB / 2, MIB / 2 + 1, MIB, MIB + 1, 3 * MIB + 7, 9 * MIB + MIB / 2, 5 * MIB];

/// Passes one connection on and remembers both directions.
struct Tap {
    address: String,
    recorded: JoinHandle<(Vec<u8>, Vec<u8>)>,
}

impl Tap {
    /// Before `server`; after `pause_at` bytes from the client, it waits until it is told to go on.
    fn before(server: &str, pause_at: usize, go_on: Option<(std::sync::mpsc::Sender<()>, Receiver<()>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let server = server.to_owned();
        let recorded = thread::spawn(move || {
            let client = deadlines(listener.accept().expect("a client").0);
            let server = connect(&server);
            let back = {
                let (from, to) = (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
                thread::spawn(move || pass(from, to, usize::MAX, None))
            };
            let there = pass(client, server, pause_at, go_on);
            (there, back.join().expect("the other direction"))
        });
        Self { address, recorded }
    }
}

fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    pause_at: usize,
    mut go_on: Option<(std::sync::mpsc::Sender<()>, Receiver<()>)>,
) -> Vec<u8> {
    let mut all = Vec::new();
    let mut some = vec![0; 70_000];
    loop {
        let n = from.read(&mut some).expect("bytes or an end in order");
        if n == 0 {
            to.shutdown(Shutdown::Write).expect("a half-close");
            return all;
        }
        all.extend_from_slice(&some[..n]);
        if all.len() >= pause_at
            && let Some((paused, go)) = go_on.take()
        {
            paused.send(()).expect("the test listens");
            go.recv().expect("the test says so");
        }
        to.write_all(&some[..n]).expect("sent");
    }
}

/// A transfer without what differs from run to run: ports, times, temporary folders.
fn story(ended: &Ended) -> Vec<serde_json::Value> {
    let mut events: Vec<_> = ended.out.iter().map(|line| event(line)).collect();
    for event in &mut events {
        let event = event.as_object_mut().expect("an object");
        event
            .retain(|key, _| !["ms", "seconds", "rate", "address", "peer", "bytes_per_second"].contains(&key.as_str()));
    }
    // How often progress is told depends on the clock.
    events.retain(|event| event["event"] != "progress");
    events
}

/// Puts `file` and tells what went over the wire, what was said, and checks what landed.
fn put(file: &Path, copy: [bool; 2]) -> ((Vec<u8>, Vec<u8>), Vec<serde_json::Value>) {
    let flag = |on| if on { vec!["--copy"] } else { vec![] };
    let landing = folder();
    let server = Server::start(landing.path(), flag(copy[1]));
    let tap = Tap::before(&server.address, usize::MAX, None);
    // Tokens would differ from run to run.
    let ended =
        run(ft_cli(["put", "--json", "--streams", "1"]).args(flag(copy[0])).arg(file).arg(&tap.address)).expect(0);
    let landed = fs::read(landing.path().join(file.file_name().expect("a name"))).expect("it landed");
    assert!(landed == fs::read(file).expect("the source"), "{} bytes landed as {}", file.display(), landed.len());
    server.stop().expect(0);
    (tap.recorded.join().expect("a recording"), story(&ended))
}

#[test]
fn carried_and_copied_content_are_the_same_bytes_events_and_files() {
    let sources = folder();
    for (seed, size) in (1..).zip(SIZES) {
        let file = sources.path().join(format!("f{size}"));
        fs::write(&file, content(size, seed)).expect("a source");
        let (wire, events) = put(&file, [true, true]);
        for copy in [[false, true], [true, false], [false, false]] {
            let (other_wire, other_events) = put(&file, copy);
            assert!(other_wire.0 == wire.0, "{size} bytes, copy {copy:?}: what the sender sent");
            assert!(other_wire.1 == wire.1, "{size} bytes, copy {copy:?}: what the receiver sent");
            assert_eq!(other_events, events, "{size} bytes, copy {copy:?}");
        }
    }
}

#[test]
fn sparse_file_is_carried_with_its_holes() {
    let sources = folder();
    let file = sources.path().join("sparse");
    let sparse = fs::File::create(&file).expect("a source");
    sparse.write_all_at(&content(2 * MIB, 1), 0).expect("written");
    sparse.write_all_at(&content(3 * MIB + 5, 2), 20 * MIB as u64).expect("written");
    sparse.set_len(40 * MIB as u64).expect("a length");
    let (wire, events) = put(&file, [true, true]);
    assert!(wire.0.len() < 6 * MIB, "holes are not sent: {}", wire.0.len());
    assert_eq!((wire, events), put(&file, [false, false]));
}

#[test]
fn carried_get_is_the_copied_one() {
    let served = folder();
    for (seed, size) in (1..).zip(SIZES) {
        fs::write(served.path().join(format!("f{size}")), content(size, seed)).expect("a source");
    }
    for copy in [[true, false], [false, true], [false, false]] {
        let flag = |on| if on { vec!["--copy"] } else { vec![] };
        let server = Server::start(served.path(), flag(copy[1]));
        let landing = folder();
        let names = SIZES.map(|size| format!("{}/f{size}", server.address));
        run(ft_cli(["get", "--quiet"]).args(flag(copy[0])).args(names).arg(landing.path())).expect(0);
        for size in SIZES {
            let name = format!("f{size}");
            let same = fs::read(landing.path().join(&name)).ok() == fs::read(served.path().join(&name)).ok();
            assert!(same, "{name}, copy {copy:?}");
        }
    }
}

#[test]
fn file_cut_short_while_it_is_carried_fails_alone_and_nothing_of_it_gets_its_name() {
    let sources = folder();
    let (long, other) = (sources.path().join("long"), sources.path().join("other"));
    fs::write(&long, content(96 * MIB, 1)).expect("a source");
    fs::write(&other, content(2 * MIB, 2)).expect("a source");
    let landing = folder();
    let server = Server::start(landing.path(), ["--quiet"; 0]);
    let ((paused, is_paused), (go, may_go)) = (channel(), channel());
    let tap = Tap::before(&server.address, 4 * MIB, Some((paused, may_go)));
    let shortened = long.clone();
    let cutter = thread::spawn(move || {
        is_paused.recv().expect("content comes");
        let file = fs::File::options().write(true).open(shortened).expect("the source");
        file.set_len(5 * MIB as u64).expect("cut");
        go.send(()).expect("the tap waits");
    });
    let ended = run(ft_cli(["put", "--retries", "0"]).args([&long, &other]).arg(&tap.address));
    cutter.join().expect("the source was cut");
    let ended = ended.expect(4);
    assert!(ended.text().contains("changed") || ended.text().contains("BLAKE3"), "{}", ended.text());
    assert!(!landing.path().join("long").exists(), "{}", ended.text());
    assert!(fs::read(landing.path().join("other")).ok() == fs::read(&other).ok(), "{}", ended.text());
}
