//! Landlock around a server: what it does when a path that it opens leads outside, by the two ways in which one can while
//! it runs. Both are opened by its own code, on threads that were started after the fence was closed.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Sandbox, Server};

/// Whether the kernel has it; the server says so either way.
fn is_fenced(server: &mut Server) -> bool {
    let line = server.await_line("fenced");
    if line.contains("not fenced") {
        eprintln!("this kernel has no Landlock, so there is nothing to hold: {line}");
    }
    !line.contains("not fenced")
}

fn key(sandbox: &Sandbox, home: &str) -> String {
    sandbox.run_at(home, "key").expect(0).text().trim().to_owned()
}

fn sandbox(rights: &str) -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    sandbox.file("inbox/there", "there");
    sandbox.file("a", "a");
    let list = format!("{} {rights}\n", key(&sandbox, "config"));
    sandbox.file("lists/friends", list);
    let theirs = key(&sandbox, "theirs");
    (sandbox, theirs)
}

/// A thread reads it that was there before the fence, so that no session can open what lies beside the list.
#[test]
fn list_of_keys_is_read_again_though_it_lies_outside_the_fence() {
    let (sandbox, theirs) = sandbox("read");
    let mut server = sandbox.serve_at("theirs", "inbox --tls --authorized lists/friends -v");
    is_fenced(&mut server);
    let put = format!("put a {} --peer {theirs} --retries 0", server.address());
    sandbox.run(&put).expect(1);
    let more = fs::read_to_string(sandbox.path("lists/friends")).unwrap().replace("read", "read write");

    // As editors replace a file.
    sandbox.file("lists/new", &more);
    fs::rename(sandbox.path("lists/new"), sandbox.path("lists/friends")).unwrap();
    server.hang_up();
    server.await_line("the list of keys was read again; it has 1");
    sandbox.run(&put).expect(0);
}

#[test]
fn folder_that_was_moved_out_while_a_session_had_it_is_not_written_to_and_later_ones_get_what_has_its_name() {
    let (sandbox, theirs) = sandbox("read write folder=mine");
    let mut server = sandbox.serve_at("theirs", "inbox --tls --authorized lists/friends -v");
    let fenced = is_fenced(&mut server);
    let host = server.address();
    sandbox.run(&format!("put a {host} --peer {theirs} --retries 0")).expect(0);
    let staging = sandbox.path("inbox/mine/.ft-staging");
    let staged = || crate::harness::tree(&staging).len();
    let before = staged();
    let mut slow = sandbox.command(&format!("put - {host} --name c --peer {theirs} --retries 0"));
    let mut slow = slow.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    slow.stdin.as_mut().unwrap().write_all(&[7; 1 << 20]).unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while staged() == before {
        assert!(Instant::now() < end, "what comes is staged");
        thread::sleep(Duration::from_millis(10));
    }

    // The session holds it open, and would go on using it wherever it is.
    sandbox.folder("outside");
    fs::rename(sandbox.path("inbox/mine"), sandbox.path("outside/mine")).unwrap();
    drop(slow.stdin.take());
    let slow = slow.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&slow.stderr);
    if fenced {
        assert!(!slow.status.success() && !sandbox.path("outside/mine/c").exists(), "{said}");
        assert!(said.contains("ermission") || said.contains("unsafe"), "{said}");
    } else {
        assert!(slow.status.success(), "what the fence is for: {said}");
    }

    sandbox.file("b", "b");
    sandbox.run(&format!("put b {host} --peer {theirs} --retries 0")).expect(0);
    assert!(sandbox.path("inbox/mine/b").exists() && !sandbox.path("outside/mine/b").exists());
    sandbox.run(&format!("get {host}/a got/ --peer {theirs} --retries 0")).expect(4);
    assert!(!sandbox.path("got/a").exists());
}

#[test]
fn fenced_server_lands_moves_and_serves_as_ever() {
    let sandbox = Sandbox::new();
    sandbox.folder("inbox");
    for n in 0..70 {
        sandbox.file(&format!("tree/{}/{n}", n % 3), format!("{n}"));
    }
    sandbox.file("tree/large", vec![7; 3 << 20]);
    let mut server = sandbox.serve("inbox -v");
    is_fenced(&mut server);
    let host = server.address();
    sandbox.run(&format!("put tree {host}")).expect(0);
    sandbox.run(&format!("put tree {host} --checksum")).expect(0);
    sandbox.run(&format!("get {host}/tree back/")).expect(0);
    assert_eq!(crate::harness::tree(&sandbox.path("tree")), crate::harness::tree(&sandbox.path("back/tree")));
}

#[test]
fn receiver_of_a_code_is_fenced_too_and_receives() {
    let sandbox = Sandbox::new();
    sandbox.file("a", "a");
    let (mut receiver, code) = sandbox.recv_at("theirs", "inbox -v");
    is_fenced(&mut receiver);
    let line = format!("send a {}@{}", code, receiver.address());
    sandbox.run(&line).expect(0);
    assert_eq!(receiver.end(), Some(0));
    assert_eq!(fs::read(sandbox.path("inbox/a")).unwrap(), b"a");
}
