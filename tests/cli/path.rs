//! What depends on the path: how fast bytes may go, and whether they go compressed.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::{Sandbox, noise};

/// Frames of content that a command logged, plain and compressed.
fn content_frames(log: &str) -> (usize, usize) {
    (log.matches("Data {").count(), log.matches("Zdata {").count())
}

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

#[test]
fn content_goes_compressed_when_both_sides_say_so_and_lands_as_it_was() {
    let sandbox = Sandbox::new();
    let text = "the same words again and again\n".repeat(100_000);
    sandbox.file("tree/text", &text);
    sandbox.file("tree/noise", noise(300_000));
    for (serve, client, is_compressed) in
        [("auto", "on", true), ("on", "off", false), ("off", "on", false), ("auto", "auto", false)]
    {
        sandbox.folder("pub");
        let server = sandbox.serve(&format!("pub --compress {serve}"));
        let host = server.address();
        let ran = sandbox.run(&format!("put tree {host} --compress {client} -vvv")).expect(0);
        let (plain, compressed) = content_frames(&ran.stderr);
        assert_eq!(compressed > 0, is_compressed, "{serve} {client}: {plain} plain, {compressed} compressed");
        assert!(plain > 0, "noise does not shrink");
        assert_eq!(fs::read(sandbox.path("pub/tree/text")).unwrap(), text.as_bytes());
        assert_eq!(fs::read(sandbox.path("pub/tree/noise")).unwrap(), noise(300_000));
        fs::remove_dir_all(sandbox.path("pub")).unwrap();
    }
}

#[test]
fn slow_path_is_found_out_and_content_goes_compressed_unasked() {
    let sandbox = Sandbox::new();
    let text = "the same words again and again\n".repeat(30_000);
    sandbox.file("pub/text", &text);
    let server = sandbox.serve("pub --rate 500k");
    let ran = sandbox.run(&format!("get {}/text . -vvv", server.address())).expect(0);
    assert!(content_frames(&ran.stderr).1 > 0, "{}", ran.stderr);
    assert_eq!(fs::read(sandbox.path("text")).unwrap(), text.as_bytes());
}
