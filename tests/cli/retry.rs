//! Connections that break, answers that are lost, and what a retry makes of them.

use std::fs;

use serde_json::Value;

use crate::harness::{Ran, Sandbox, noise, snapshot};
use crate::proxy::{self, Fate};

const MIB: u64 = 1 << 20;

fn events(ran: &Ran, name: &str) -> Vec<Value> {
    let all = ran.text();
    let all = all.lines().map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
    all.filter(|event| event["event"] == name).collect()
}

#[test]
fn put_whose_connection_breaks_continues_where_it_was() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    let content = noise(12 << 20);
    sandbox.file("big", &content);
    sandbox.file("small", "small");
    let server = sandbox.serve("pub");
    let port = proxy::start(server.port, vec![Fate::CutAfter(7 * MIB), Fate::CutAfter(100)]);
    let ran = sandbox.run(&format!("put big small 127.0.0.1:{port} --json")).expect(0);
    assert_eq!(events(&ran, "retry").len(), 2, "{}", ran.text());
    let last = events(&ran, "started").into_iter().rfind(|e| e["path"] == "big").expect("big was started");
    let offset = last["offset"].as_u64().expect("a number");
    assert!(offset >= MIB && offset % MIB == 0, "continued at {offset}");
    let summary = &events(&ran, "summary")[0];
    assert_eq!((&summary["completed"], &summary["failed"]), (&2.into(), &0.into()), "{summary}");
    assert_eq!(fs::read(sandbox.path("pub/big")).unwrap(), content);
}

#[test]
fn put_without_resume_sends_everything_again() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    let content = noise(6 << 20);
    sandbox.file("big", &content);
    let server = sandbox.serve("pub");
    let port = proxy::start(server.port, vec![Fate::CutAfter(4 * MIB)]);
    let ran = sandbox.run(&format!("put big 127.0.0.1:{port} --json --no-resume")).expect(0);
    let last = events(&ran, "stored");
    assert_eq!(last.len(), 1);
    assert_eq!(events(&ran, "summary")[0]["kept"], 0);
    assert_eq!(fs::read(sandbox.path("pub/big")).unwrap(), content);
}

#[test]
fn get_whose_connection_breaks_continues_and_counts_no_file_twice() {
    let sandbox = Sandbox::new();
    let content = noise(9 << 20);
    sandbox.file("pub/t/big", &content);
    sandbox.file("pub/t/a", "a");
    let server = sandbox.serve("pub");
    // What the client sends is little: the cut comes with its answers to the offers.
    let port = proxy::start(server.port, vec![Fate::CutAfter(150)]);
    let ran = sandbox.run(&format!("get 127.0.0.1:{port}/t out --json")).expect(0);
    assert!(!events(&ran, "retry").is_empty(), "{}", ran.text());
    assert_eq!(events(&ran, "summary")[0]["completed"], 3, "two files and their folder: {}", ran.text());
    assert_eq!(fs::read(sandbox.path("out/big")).unwrap(), content);
}

#[test]
fn lost_answer_exits_3_and_the_same_command_again_finds_the_file() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    let content = noise(2 << 20);
    sandbox.file("f", &content);
    let server = sandbox.serve("pub");
    let port = proxy::start(server.port, vec![Fate::SilenceAfter(2 * MIB)]);
    let lost = sandbox.run(&format!("put f 127.0.0.1:{port} --retries 0")).expect(3).all();
    let again = sandbox.run(&format!("put f 127.0.0.1:{port} --retries 0")).expect(0).all();
    snapshot(&sandbox, "unknown", &format!("{lost}\n{again}"));
    assert_eq!(fs::read(sandbox.path("pub/f")).unwrap(), content);
}

#[test]
fn lost_answer_with_retries_ends_as_completed() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    sandbox.file("f", noise(2 << 20));
    let server = sandbox.serve("pub");
    let port = proxy::start(server.port, vec![Fate::SilenceAfter(2 * MIB)]);
    let ran = sandbox.run(&format!("put f 127.0.0.1:{port} --json")).expect(0);
    let summary = &events(&ran, "summary")[0];
    assert_eq!((&summary["completed"], &summary["same"], &summary["unknown"]), (&1.into(), &1.into(), &0.into()));
}

#[test]
fn connection_that_always_breaks_is_given_up_with_exit_1() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    // More than socket buffers hold: the end is never sent.
    sandbox.file("f", noise(24 << 20));
    let server = sandbox.serve("pub");
    let port = proxy::start(server.port, vec![Fate::CutAfter(1000); 3]);
    let ran = sandbox.run(&format!("put f 127.0.0.1:{port} --retries 2")).expect(1);
    assert_eq!(ran.stderr.matches("; retry ").count(), 2, "{}", ran.stderr);
    assert!(!sandbox.path("pub/f").exists());
}

/// A folder with a large file, and behind it one that lies deeper than names may go.
fn partly_readable(sandbox: &Sandbox, content: &[u8]) {
    sandbox.file("pub/t/big", content);
    sandbox.folder(&format!("pub/t/deep{}", "/d".repeat(130)));
}

#[test]
fn get_of_what_is_partly_unreadable_continues_after_a_cut() {
    let sandbox = Sandbox::new();
    let content = noise(12 << 20);
    partly_readable(&sandbox, &content);
    let server = sandbox.serve("pub");
    let port = proxy::start(server.port, vec![Fate::CutAnswersAfter(6 << 20)]);
    let ran = sandbox.run(&format!("get 127.0.0.1:{port}/t got/ --json")).expect(4);
    assert_eq!(events(&ran, "retry").len(), 1, "{}", ran.text());
    assert_eq!(fs::read(sandbox.path("got/t/big")).expect("it landed"), content);
    let missed: Vec<_> = events(&ran, "failed").into_iter().filter(|e| e["path"] == "/t").collect();
    assert_eq!(missed.len(), 1, "told once: {}", ran.text());
    assert_eq!(events(&ran, "summary")[0]["failed"], 1, "{}", ran.text());
}

#[test]
fn get_of_what_is_partly_unreadable_that_always_breaks_exits_1_and_says_both() {
    let sandbox = Sandbox::new();
    partly_readable(&sandbox, &noise(12 << 20));
    let server = sandbox.serve("pub");
    let port = proxy::start(server.port, vec![Fate::CutAnswersAfter(3 << 20); 3]);
    let ran = sandbox.run(&format!("get 127.0.0.1:{port}/t got/ --retries 0")).expect(1);
    assert!(ran.stderr.contains("error: ") && ran.stderr.contains("/t: bad-name"), "{}", ran.all());
}
