//! Which key may do what.

use std::fs;

use crate::harness::{Sandbox, Server, noise};
use crate::keys::key;

/// A server with these lines about the keys of `config` and `other`, which stand for `MINE` and `OTHER`.
fn server(sandbox: &Sandbox, lines: &str) -> Server {
    write(sandbox, lines);
    sandbox.serve_at("theirs", "inbox --tls --authorized friends")
}

fn write(sandbox: &Sandbox, lines: &str) {
    let lines = lines.replace("MINE", &key(sandbox, "config")).replace("OTHER", &key(sandbox, "other"));
    fs::write(sandbox.path("friends"), lines).unwrap();
}

fn prepared() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("inbox/there", "there");
    sandbox.file("a", noise(300_000));
    sandbox.file("small", "small");
    sandbox
}

/// Runs a line against a server, with its key pinned.
fn run(sandbox: &Sandbox, server: &Server, home: &str, line: &str) -> crate::harness::Ran {
    let theirs = key(sandbox, "theirs");
    sandbox.run_at(home, &format!("{} --peer {theirs}", line.replace("HOST", &server.address())))
}

#[test]
fn unknown_key_is_refused_with_a_typed_error_that_names_it() {
    let sandbox = prepared();
    let server = server(&sandbox, "OTHER read write\n");
    for line in ["put a HOST", "get HOST/there got/", "ls HOST"] {
        let refused = run(&sandbox, &server, "config", line).expect(1);
        let mine = key(&sandbox, "config");
        assert!(refused.stderr.contains(&format!("forbidden: the key {mine} may not come in")), "{}", refused.stderr);
    }
    assert!(!sandbox.path("inbox/a").exists() && !sandbox.path("got/there").exists());
    run(&sandbox, &server, "other", "put a HOST").expect(0);
}

#[test]
fn server_without_a_list_lets_nobody_in_and_says_where_the_list_belongs() {
    let sandbox = prepared();
    let mut server = sandbox.serve_at("theirs", "inbox --tls");
    assert!(server.await_line("nobody is authorised yet").contains("theirs/ft-cli/authorized_peers"));
    run(&sandbox, &server, "config", "ls HOST").expect(1);
}

#[test]
fn each_right_allows_what_it_names_and_nothing_else() {
    for (rights, may_put, may_get) in
        [("read", false, true), ("write", true, false), ("read,write", true, true), ("drop-only", true, false)]
    {
        let sandbox = prepared();
        let server = server(&sandbox, &format!("MINE {rights}\n"));
        let code = |may: bool| if may { 0 } else { 1 };
        let put = run(&sandbox, &server, "config", "put a HOST").expect(code(may_put));
        assert_eq!(sandbox.path("inbox/a").exists(), may_put, "{rights}");
        assert!(may_put || put.stderr.contains("forbidden: this key may not put"), "{}", put.stderr);
        run(&sandbox, &server, "config", "get HOST/there got/").expect(code(may_get));
        assert_eq!(sandbox.path("got/there").exists(), may_get, "{rights}");
        run(&sandbox, &server, "config", "ls HOST").expect(code(may_get));
    }
}

#[test]
fn key_for_dropping_replaces_nothing_even_if_it_asks_to() {
    let sandbox = prepared();
    let server = server(&sandbox, "MINE drop-only\n");
    sandbox.file("there", "mine now");
    run(&sandbox, &server, "config", "put there HOST --overwrite replace --checksum").expect(0);
    assert_eq!(fs::read(sandbox.path("inbox/there")).unwrap(), b"there");
    assert_eq!(fs::read(sandbox.path("inbox/there (1)")).unwrap(), b"mine now");
}

#[test]
fn key_with_a_folder_lives_in_it_and_cannot_leave_it() {
    let sandbox = prepared();
    let server = server(&sandbox, "MINE read write folder=of/mine\nOTHER read\n");
    run(&sandbox, &server, "config", "put small HOST/deep").expect(0);
    assert_eq!(fs::read(sandbox.path("inbox/of/mine/deep/small")).unwrap(), b"small");
    let listed = run(&sandbox, &server, "config", "ls HOST -r").expect(0).text();
    assert!(listed.contains("deep/small") && !listed.contains("there"), "{listed}");
    run(&sandbox, &server, "config", "get HOST/there got/").expect(4);
    // Seen from above, it is a folder like any other.
    run(&sandbox, &server, "other", "get HOST/of/mine/deep/small got/").expect(0);
}

#[cfg(unix)]
#[test]
fn folder_that_is_a_link_leads_nowhere() {
    let sandbox = prepared();
    sandbox.folder("outside");
    std::os::unix::fs::symlink(sandbox.path("outside"), sandbox.path("inbox/mine")).unwrap();
    let server = server(&sandbox, "MINE read write folder=mine\n");
    run(&sandbox, &server, "config", "put small HOST").expect(1);
    assert_eq!(fs::read_dir(sandbox.path("outside")).unwrap().count(), 0);
}

#[test]
fn quota_stops_a_file_that_states_its_size_and_one_that_does_not() {
    let sandbox = prepared();
    let server = server(&sandbox, "MINE write folder=mine quota=400K\n");
    run(&sandbox, &server, "config", "put a HOST").expect(0);
    sandbox.file("b", noise(200_000));
    let refused = run(&sandbox, &server, "config", "put b HOST --retries 0").expect(4);
    assert!(
        refused.stderr.contains("no-space: this key may store 409600 bytes, and 300000 are taken"),
        "{}",
        refused.stderr
    );
    // From a pipe, which knows no size before it ends.
    let line = format!("put - --name c {} --peer {} --retries 0", server.address(), key(&sandbox, "theirs"));
    let refused = sandbox.run_with_input(&line, &noise(200_000)).expect(4);
    assert!(refused.stderr.contains("no-space: this key may store"), "{}", refused.stderr);
    let stored: Vec<_> = fs::read_dir(sandbox.path("inbox/mine")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!stored.iter().any(|name| name == "b" || name == "c"), "{stored:?}");
    run(&sandbox, &server, "config", "put small HOST").expect(0);
}

#[test]
fn number_of_files_stops_the_one_too_many_and_nothing_that_is_there() {
    let sandbox = prepared();
    // The folder `deep`, and two files.
    let server = server(&sandbox, "MINE write folder=mine files=3\n");
    run(&sandbox, &server, "config", "put a small HOST/deep").expect(0);
    let refused = run(&sandbox, &server, "config", "put small HOST --retries 0").expect(4);
    assert!(
        refused.stderr.contains("no-space: this key may store 3 files and folders, and 3 are taken; this needs 1 more"),
        "{}",
        refused.stderr
    );
    sandbox.folder("more/and/more");
    let refused = run(&sandbox, &server, "config", "put more HOST --retries 0").expect(4);
    assert!(refused.stderr.contains("files and folders, and 3 are taken"), "{}", refused.stderr);
    assert!(!sandbox.path("inbox/mine/more").exists());
    run(&sandbox, &server, "config", "put a small HOST/deep").expect(0);
    run(&sandbox, &server, "config", "put a small HOST/deep --checksum").expect(0);
}

#[test]
fn list_that_is_not_understood_keeps_the_server_from_starting() {
    let sandbox = prepared();
    write(&sandbox, "MINE read\nMINE wirte\n");
    let ran = sandbox.run_at("theirs", "serve inbox --tls --authorized friends --listen 127.0.0.1:0").expect(1);
    assert!(ran.stderr.contains("friends: line 2: wirte: expected read"), "{}", ran.stderr);
}

/// Somebody who knows no more than a name, a size and a time.
#[cfg(unix)]
#[test]
fn drop_only_key_changes_no_mode_and_no_time_of_what_is_there() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let sandbox = prepared();
    let set = |path: &str, mode: u32| {
        let at = sandbox.path(path);
        fs::set_permissions(&at, fs::Permissions::from_mode(mode)).unwrap();
        fs::File::open(&at).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    };
    let seen = |path: &str| {
        let meta = fs::metadata(sandbox.path(path)).unwrap();
        (meta.mode() & 0o7777, meta.mtime())
    };
    sandbox.file("inbox/f", "ours!");
    sandbox.file("inbox/d/x", "x");
    sandbox.file("f", "other");
    sandbox.file("d/y", "y");
    for (path, mode) in [("inbox/f", 0o600), ("inbox/d", 0o700), ("f", 0o666), ("d", 0o777)] {
        set(path, mode);
    }
    let server = server(&sandbox, "MINE drop-only\n");
    run(&sandbox, &server, "config", "put f d HOST").expect(0);
    assert_eq!(fs::read(sandbox.path("inbox/f")).unwrap(), b"ours!");
    assert_eq!(seen("inbox/f"), (0o600, 0));
    assert_eq!((seen("inbox/d").0, sandbox.path("inbox/d/y").exists()), (0o700, true));
    // What it made itself is as it was offered.
    fs::create_dir(sandbox.path("new")).unwrap();
    sandbox.file("new/z", "z");
    set("new", 0o750);
    run(&sandbox, &server, "config", "put new HOST").expect(0);
    assert_eq!(seen("inbox/new"), (0o750, 0));
}

#[cfg(unix)]
#[test]
fn folder_that_was_offered_without_rights_stays_usable_for_the_server() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = prepared();
    sandbox.file("box/a", "a");
    let server = server(&sandbox, "MINE read write\n");
    // As somebody who owns nothing: only root could read it here.
    fs::set_permissions(sandbox.path("box"), fs::Permissions::from_mode(0o111)).unwrap();
    run(&sandbox, &server, "config", "put box HOST").expect(if is_root() { 0 } else { 4 });
    if is_root() {
        let mode = fs::metadata(sandbox.path("inbox/box")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o511);
    }
    fs::set_permissions(sandbox.path("box"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
