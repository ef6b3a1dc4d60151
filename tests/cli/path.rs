//! What depends on the path: how fast bytes may go, and whether they go compressed.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::{Sandbox, noise, tree};
use crate::proxy::{self, Fate};

#[test]
fn rate_holds_a_transfer_back_both_ways_and_on_either_side() {
    let sandbox = Sandbox::new();
    sandbox.file("f", noise(150_000));
    for (serve, client) in [("", "--rate 100k"), ("--rate 100k", "")] {
        sandbox.folder("pub");
        let server = sandbox.serve(&format!("pub {serve} --timeout 2"));
        let host = server.address();
        for line in [format!("put f {host} {client}"), format!("get {host}/f got/ {client}")] {
            let begin = Instant::now();
            // Far below what a slow reader is silent for: a paced transfer is alive.
            sandbox.run(&format!("{line} --timeout 2")).expect(0);
            let took = begin.elapsed();
            assert!(took >= Duration::from_millis(1_300), "{line} ({serve}): {took:?}");
        }
        assert_eq!(fs::read(sandbox.path("got/f")).unwrap(), noise(150_000));
        fs::remove_dir_all(sandbox.path("got")).unwrap();
        fs::remove_dir_all(sandbox.path("pub")).unwrap();
    }
}

/// A tree with 3 MB of text and 300 KB that do not shrink, and a path that breaks after 1 MB: only compressed content gets
/// through.
#[test]
fn content_goes_compressed_when_both_sides_say_so_and_lands_as_it_was() {
    let sandbox = Sandbox::new();
    let text = "the same words again and again\n".repeat(100_000);
    sandbox.file("tree/text", &text);
    sandbox.file("tree/noise", noise(300_000));
    for (serve, client, passes) in
        [("auto", "on", true), ("on", "on", true), ("on", "off", false), ("off", "on", false), ("auto", "auto", false)]
    {
        sandbox.folder("pub");
        let server = sandbox.serve(&format!("pub --compress {serve}"));
        let port = proxy::start(server.port, vec![Fate::CutAfter(1_000_000)]);
        let ran = sandbox.run(&format!("put tree 127.0.0.1:{port} --compress {client} --retries 0"));
        assert_eq!(ran.code == Some(0), passes, "{serve} {client}: {}", ran.all());
        if passes {
            assert_eq!(tree(&sandbox.path("pub/tree")), tree(&sandbox.path("tree")));
        }
        drop(server);
        fs::remove_dir_all(sandbox.path("pub")).unwrap();
    }
}

#[test]
fn slow_path_is_compressed_for_unasked() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    let text = "the same words again and again\n".repeat(30_000);
    sandbox.file("text", &text);
    let server = sandbox.serve("pub");
    for (rate, passes) in [("--rate 500k", true), ("", false)] {
        let port = proxy::start(server.port, vec![Fate::CutAfter(300_000)]);
        let ran = sandbox.run(&format!("put text 127.0.0.1:{port}/{passes} --retries 0 {rate}"));
        assert_eq!(ran.code == Some(0), passes, "{rate}: {}", ran.all());
    }
    assert_eq!(fs::read(sandbox.path("pub/true/text")).unwrap(), text.as_bytes());
}
