//! Landlock around a server: what it does when a path that it opens leads outside, by the two ways in which one can while
//! it runs. Both are opened by its own code, on threads that were started after the fence was closed.

use std::fs;

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
fn folder_that_was_moved_out_while_it_was_open_is_neither_written_to_nor_read() {
    let (sandbox, theirs) = sandbox("read write folder=mine");
    let mut server = sandbox.serve_at("theirs", "inbox --tls --authorized lists/friends -v");
    let fenced = is_fenced(&mut server);
    let host = server.address();
    sandbox.run(&format!("put a {host} --peer {theirs} --retries 0")).expect(0);
    assert!(sandbox.path("inbox/mine/a").exists());

    // The server holds it open, and would go on using it wherever it is.
    sandbox.folder("outside");
    fs::rename(sandbox.path("inbox/mine"), sandbox.path("outside/mine")).unwrap();
    sandbox.file("b", "b");
    let put = sandbox.run(&format!("put b {host} --peer {theirs} --retries 0"));
    let get = sandbox.run(&format!("get {host}/a got/ --peer {theirs} --retries 0"));
    if fenced {
        assert!(put.code != Some(0) && get.code != Some(0), "{}{}", put.all(), get.all());
        assert!(!sandbox.path("outside/mine/b").exists() && !sandbox.path("got/a").exists());
        assert!(put.stderr.contains("ermission") || put.stderr.contains("unsafe"), "{}", put.stderr);
    } else {
        assert_eq!((put.code, get.code), (Some(0), Some(0)), "what the fence is for");
    }
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
