//! What somebody on the path sees, and what he gets by changing it: a relay that flips one bit of one byte.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::Sandbox;
use crate::keys::{key, server, two};

/// Passes one connection on, and flips a bit of the byte at `flip` from the client (or none). Its port, and what passed.
fn relay(to: u16, flip: Option<usize>) -> (u16, Arc<Mutex<[Vec<u8>; 2]>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new([Vec::new(), Vec::new()]));
    let kept = Arc::clone(&seen);
    thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let far = TcpStream::connect(("127.0.0.1", to)).unwrap();
        let pump = |mut from: TcpStream, mut to: TcpStream, which: usize| {
            let kept = Arc::clone(&kept);
            thread::spawn(move || {
                let mut chunk = [0; 4096];
                while let Ok(n @ 1..) = from.read(&mut chunk) {
                    let mut kept = kept.lock().unwrap();
                    let begin = kept[which].len();
                    if let Some(at) = flip.filter(|at| which == 0 && (begin..begin + n).contains(at)) {
                        chunk[at - begin] ^= 1;
                    }
                    kept[which].extend_from_slice(&chunk[..n]);
                    drop(kept);
                    if to.write_all(&chunk[..n]).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(Shutdown::Write);
            })
        };
        let (a, b) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let both = [pump(near, far, 0), pump(b, a, 1)];
        both.into_iter().for_each(|one| one.join().unwrap());
    });
    (port, seen)
}

fn put(sandbox: &Sandbox, port: u16, theirs: &str) -> crate::harness::Ran {
    sandbox.run(&format!("put letter 127.0.0.1:{port} --peer {theirs} --retries 0 --timeout 5"))
}

#[test]
fn neither_content_nor_name_can_be_read_on_the_path() {
    let sandbox = two();
    sandbox.file("letter", "Meet me at the old bridge.".repeat(50));
    let (server, theirs) = (server(&sandbox), key(&sandbox, "theirs"));
    let (port, seen) = relay(server.port, None);
    put(&sandbox, port, &theirs).expect(0);
    let seen = seen.lock().unwrap();
    for word in [&b"letter"[..], b"old bridge", b"FT/\r\n", b"ft-cli"] {
        for way in seen.iter() {
            assert!(!way.windows(word.len()).any(|at| at == word), "{}", String::from_utf8_lossy(word));
        }
    }
    assert!(seen[0].len() > 1300 && seen[1].len() > 300, "it went this way");
}

#[test]
fn flipped_bit_anywhere_ends_the_session_and_stores_nothing() {
    let sandbox = two();
    sandbox.file("letter", "Meet me at the old bridge.".repeat(50));
    let (server, theirs) = (server(&sandbox), key(&sandbox, "theirs"));
    let (port, seen) = relay(server.port, None);
    put(&sandbox, port, &theirs).expect(0);
    let length = seen.lock().unwrap()[0].len();
    let stored = sandbox.path("inbox/letter");
    // Every part of the client's stream: records of the handshake, headers, content, the last bytes.
    for at in (0..length).step_by(length / 40).chain([length - 60]) {
        std::fs::remove_file(&stored).ok();
        let (port, _) = relay(server.port, Some(at));
        let ran = put(&sandbox, port, &theirs);
        let intact = stored.exists().then(|| std::fs::read(&stored).unwrap());
        assert!(intact.is_none_or(|text| text == "Meet me at the old bridge.".repeat(50).as_bytes()), "byte {at}");
        assert!(ran.code != Some(0) || at + 60 >= length, "byte {at} of {length}: {}", ran.all());
        if ran.code != Some(0) {
            assert!(ran.stderr.contains("error: "), "byte {at}: {}", ran.stderr);
        }
    }
}
