//! One bit of a session flipped on its way, each bit in a session of its own: no wrong file is ever accepted, and what is
//! called stored is there. `FT_FLIPS=all` flips every bit (under TLS, one of every byte); otherwise it is every second byte of
//! a plain session, one bit each, and a sample under TLS.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ft_cli::disk::{Policy, Root};
use ft_core::event::Report;
use ft_core::frame::{Compare, Level, Links, Overwrite, Want};
use ft_core::memory::{Entry, Memory};
use ft_core::path::RelPath;
use ft_core::session::{self, NoPulse, Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Sandbox, Server};

const FLIPS: &str = "FT_FLIPS";

fn all() -> bool {
    std::env::var(FLIPS).is_ok_and(|text| text == "all")
}

/// Which bit of which direction; to the server is 0.
#[derive(Clone, Copy, Debug)]
struct Flip {
    way: usize,
    bit: usize,
}

/// Passes a connection on, with one bit flipped; how many bytes went each way.
async fn relay(client: TcpStream, server: &str, flip: Option<Flip>) -> [usize; 2] {
    let server = TcpStream::connect(server).await.expect("the server");
    let (mut c_in, mut c_out) = client.into_split();
    let (mut s_in, mut s_out) = server.into_split();
    let pass = async |from: &mut tokio::net::tcp::OwnedReadHalf, to: &mut tokio::net::tcp::OwnedWriteHalf, way| {
        let mut passed = 0;
        let mut chunk = [0; 16_384];
        while let Ok(n @ 1..) = from.read(&mut chunk).await {
            if let Some(flip) = flip.filter(|f| f.way == way && (passed..passed + n).contains(&(f.bit / 8))) {
                chunk[flip.bit / 8 - passed] ^= 1 << (flip.bit % 8);
            }
            passed += n;
            if to.write_all(&chunk[..n]).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
        passed
    };
    let both = async { tokio::join!(pass(&mut c_in, &mut s_out, 0), pass(&mut s_in, &mut c_out, 1)) };
    let (up, down) = both.await;
    [up, down]
}

const NAME: &str = "file";
const CONTENT: &[u8] = b"content that must arrive as it is or not at all";

/// One push or pull through the relay, from memory to the server's disk or from there to a disk of ours.
async fn transfer(server: &str, pull: Option<&Arc<Root>>, flip: Option<Flip>) -> (Option<Report>, [usize; 2]) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let options =
        Options { compare: Compare::None, level: Level::Cached, overwrite: Overwrite::Replace, ..Options::default() };
    let client = async {
        let stream = TcpStream::connect(address).await.expect("the relay");
        let session = async {
            match pull {
                None => {
                    let ours = Memory::new();
                    ours.put(Entry::file(NAME, CONTENT));
                    session::push(stream, ours.source(), &options, NoPulse, |_| {}).await
                }
                Some(root) => {
                    let path = RelPath::parse(NAME.as_bytes()).expect("a path");
                    let want = Want { path, depth: 0, links: Links::Skip, last: true };
                    let policy = Policy { least: Level::Cached, ..Policy::default() };
                    session::pull(stream, vec![want], root.storage(policy), &options, NoPulse, |_| {}).await
                }
            }
        };
        // A preamble that is none may leave both waiting for the rest of it: then patience ends it, as it would for anybody.
        tokio::time::timeout(Duration::from_secs(4), session).await.ok()
    };
    let between = async { relay(listener.accept().await.expect("the client").0, server, flip).await };
    tokio::join!(client, between)
}

/// What is under final names.
fn landed(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let visible = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with(".ft-staging"));
    visible.map(|e| (e.file_name().to_string_lossy().into_owned(), fs::read(e.path()).unwrap_or_default())).collect()
}

/// Flips in every byte of a session; how many sessions ended well all the same.
async fn every_flip(server: &str, folder: &Path, pull: Option<&Arc<Root>>) -> (usize, usize) {
    let clean = || {
        for (name, _) in landed(folder) {
            let _ = fs::remove_file(folder.join(name));
        }
    };
    clean();
    let (report, lengths) = transfer(server, pull, None).await;
    assert_eq!(report.map(|r| r.completed), Some(1), "without a flip it works");
    assert_eq!(landed(folder), [(NAME.to_owned(), CONTENT.to_vec())]);
    let (mut runs, mut well) = (0, 0);
    for way in [0, 1] {
        let sample = |bit: &usize| all() || (bit / 8 % 2 == way && bit % 8 == (bit / 16 * 5 + way) % 8);
        for bit in (0..lengths[way] * 8).filter(sample) {
            clean();
            let flip = Flip { way, bit };
            let (report, _) = transfer(server, pull, Some(flip)).await;
            runs += 1;
            let stored = report.is_some_and(|report| {
                well += usize::from(report.end.is_ok());
                report.completed > 0
            });
            // Whoever was cut off may still have its file: it came whole before.
            for (name, content) in landed(folder) {
                assert!(name == NAME && content == CONTENT, "{flip:?}: a wrong file: {name}: {content:?}");
            }
            assert!(!stored || landed(folder).len() == 1, "{flip:?}: it is called stored and is not there");
        }
    }
    (runs, well)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_flipped_bit_of_a_push_makes_a_wrong_file() {
    let sandbox = Sandbox::new();
    let folder = sandbox.folder("inbox");
    let server = sandbox.serve("inbox --durability cached --timeout 0.5");
    let (runs, well) = every_flip(&server.address(), &folder, None).await;
    assert!(runs > 200, "{runs}");
    eprintln!("{runs} flips, {well} sessions ended well all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_flipped_bit_of_a_pull_makes_a_wrong_file() {
    let sandbox = Sandbox::new();
    sandbox.file(&format!("pub/{NAME}"), CONTENT);
    let folder = sandbox.folder("dest");
    let root = Root::open(&folder).expect("a root");
    let server = sandbox.serve("pub --timeout 0.5");
    let (runs, well) = every_flip(&server.address(), &folder, Some(&root)).await;
    assert!(runs > 200, "{runs}");
    eprintln!("{runs} flips, {well} sessions ended well all the same");
}

/// A relay for whole programs: each connection has its own flip.
struct Relay {
    runtime: tokio::runtime::Runtime,
    server: String,
}

impl Relay {
    /// Runs `put` through it; what it came to, and how many bytes went.
    fn put(&self, sandbox: &Sandbox, key: &str, flip: Option<Flip>) -> (crate::harness::Ran, [usize; 2]) {
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = self.server.clone();
        let passing = self.runtime.spawn(async move {
            let client = listener.accept().await.expect("the client").0;
            relay(client, &server, flip).await
        });
        let ran = sandbox.run(&format!(
            "put {NAME} {address} --tls --peer {key} --retries 0 --timeout 3 --overwrite replace --compare none"
        ));
        let lengths = self.runtime.block_on(passing).expect("the relay ends");
        (ran, lengths)
    }
}

#[test]
fn every_flip_under_tls_ends_the_session_with_a_word_about_it() {
    let sandbox = Sandbox::new();
    let folder = sandbox.folder("inbox");
    sandbox.file(NAME, CONTENT);
    let [mine, theirs] =
        ["config", "theirs"].map(|home| sandbox.run_at(home, "key").expect(0).text().trim().to_owned());
    sandbox.file("friends", format!("{mine} read write\n"));
    let server: Server = sandbox.serve_at("theirs", "inbox --tls --authorized friends --durability cached --timeout 3");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let relay = Relay { runtime, server: server.address() };
    let (ran, lengths) = relay.put(&sandbox, &theirs, None);
    ran.expect(0);
    let (mut runs, mut unheard) = (0, Vec::new());
    for way in [0, 1] {
        let step = if all() { 1 } else { lengths[way].div_ceil(40) };
        for byte in (0..lengths[way]).step_by(step) {
            let _ = fs::remove_file(folder.join(NAME));
            let flip = Flip { way, bit: byte * 8 + byte % 8 };
            let (ran, _) = relay.put(&sandbox, &theirs, Some(flip));
            runs += 1;
            for (name, content) in landed(&folder) {
                assert!(name == NAME && content == CONTENT, "{flip:?}: a wrong file: {name}: {content:?}");
            }
            match ran.code {
                // Bytes that nobody relies on: a version number that TLS 1.3 says to ignore, and its goodbye behind ours.
                Some(0) => {
                    assert_eq!(landed(&folder).len(), 1, "{flip:?}: it is called stored and is not there");
                    unheard.push(flip);
                }
                Some(1 | 3) => {
                    let words = ["no encrypted connection", "connection failed", "truncated", "peer", "key"];
                    assert!(words.iter().any(|word| ran.stderr.contains(word)), "{flip:?}: {}", ran.all());
                }
                _ => panic!("{flip:?}: {}", ran.all()),
            }
        }
    }
    eprintln!("{runs} flips in {lengths:?} bytes; without effect: {unheard:?}");
    assert!(unheard.len() * 10 <= runs, "nearly every flip is noticed: {unheard:?}");
}
