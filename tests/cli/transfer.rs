//! Moving files: what is said, what is stored, and how it ends.

use std::fs;
use std::process::Stdio;

use crate::harness::{Sandbox, finish, noise, snapshot, tree};

#[test]
fn try_sends_a_file_through_tcp_and_shows_the_steps_in_their_order() {
    let sandbox = Sandbox::new();
    sandbox.file("README.md", "# hello\n");
    let ran = sandbox.run("try").expect(0);
    let text = ran.text();
    // Arrival times of the two sides interleave freely; these steps cannot.
    let mut from = 0;
    for step in [
        "OFFER README.md, 8 bytes",
        "ACK1: name, policy, space are fine",
        "DATA x 1, 8 bytes",
        "END: 8 bytes, BLAKE3",
        "verified",
        "synced: the content",
        "renamed",
        "folder synced",
        "ACK2: README.md is stored, durable",
    ] {
        let at = text[from..].find(step).unwrap_or_else(|| panic!("{step} after what came before, in\n{text}"));
        from += at;
    }
    let (steps, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.contains(" ms "));
    assert!(steps.len() >= 12, "{text}");
    snapshot(&sandbox, "try", &rest.join("\n"));
    let landed: Vec<_> =
        fs::read_dir(sandbox.path("tmp")).unwrap().map(|e| e.unwrap().path().join("README.md")).collect();
    assert_eq!(landed.len(), 1);
    assert_eq!(fs::read(&landed[0]).unwrap(), b"# hello\n");
}

#[test]
fn try_says_what_is_wrong_with_a_file_that_it_cannot_send() {
    let sandbox = Sandbox::new();
    sandbox.folder("folder");
    let text = ["try", "try folder"].map(|line| sandbox.run(line).expect(1).all()).join("\n");
    snapshot(&sandbox, "try-nothing", &text);
}

#[test]
fn try_lands_where_it_is_told_and_an_empty_file_too() {
    let sandbox = Sandbox::new();
    sandbox.file("empty", "");
    sandbox.run("try empty --into here/there").expect(0);
    assert_eq!(fs::read(sandbox.path("here/there/empty")).unwrap(), b"");
}

#[test]
fn tree_put_listed_and_got_back_is_the_same() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    sandbox.file("tree/a.txt", "hello\n");
    sandbox.file("tree/sub/deep/b", noise(70_000));
    sandbox.file("tree/empty", "");
    sandbox.folder("tree/nothing");
    sandbox.file("caf\u{e9} \u{6587}.txt", "text");
    let server = sandbox.serve("pub");
    let host = server.address();
    let mut text = String::new();
    for line in [
        format!("put tree {host}"),
        format!("put tree {host}"),
        format!("ls {host}/tree"),
        format!("get {host}/tree/a.txt {host}/tree/sub got/"),
        format!("get {host}/tree copy"),
        format!("get {host}/tree/a.txt -"),
        format!("put tree/a.txt {host}/new/folders --quiet"),
    ] {
        text += &sandbox.run(&line).expect(0).all();
        text.push('\n');
    }
    snapshot(&sandbox, "round-trip", &text);
    assert_eq!(tree(&sandbox.path("pub/tree")), tree(&sandbox.path("tree")));
    assert_eq!(tree(&sandbox.path("copy")), tree(&sandbox.path("tree")));
    assert_eq!(tree(&sandbox.path("got/sub")), tree(&sandbox.path("tree/sub")));
    let got: Vec<_> = fs::read_dir(sandbox.path("got")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(got.len(), 2, "nothing is left beside what was asked for: {got:?}");
    assert!(sandbox.path("pub/new/folders/a.txt").is_file());
}

#[test]
fn folder_with_a_dot_behind_it_means_what_is_in_it() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    sandbox.file("t/a", "a");
    sandbox.file("t/b/c", "c");
    let server = sandbox.serve("pub");
    sandbox.run(&format!("put t/. {}", server.address())).expect(0);
    assert_eq!(tree(&sandbox.path("pub")), tree(&sandbox.path("t")));
}

#[test]
fn recursive_listing_shows_everything_beneath() {
    let sandbox = Sandbox::new();
    sandbox.file("pub/a/b/c.txt", "c");
    let server = sandbox.serve("pub");
    let listed = sandbox.run(&format!("ls -r {}", server.address())).expect(0).text();
    assert!(listed.lines().any(|line| line.ends_with(" 1 2023-11-14 22:13:20 a/b/c.txt")), "{listed}");
    assert!(listed.lines().any(|line| line.starts_with('d') && line.ends_with(" a/b/")), "{listed}");
}

#[test]
fn refused_and_missing_files_exit_4_and_the_others_arrive() {
    let sandbox = Sandbox::new();
    sandbox.file("pub/there", "old");
    sandbox.file("there", "new!");
    sandbox.file("fresh", "fresh");
    sandbox.file("got/there", "mine");
    let server = sandbox.serve("pub --overwrite never");
    let host = server.address();
    let mut text = String::new();
    for line in [
        format!("put there fresh {host}"),
        format!("get {host}/nothing {host}/fresh got/"),
        format!("get {host}/there got/"),
        format!("ls {host}/nothing"),
    ] {
        text += &sandbox.run(&line).expect(4).all();
        text.push('\n');
    }
    snapshot(&sandbox, "refused", &text);
    assert_eq!(fs::read(sandbox.path("pub/there")).unwrap(), b"old");
    assert_eq!(fs::read(sandbox.path("pub/fresh")).unwrap(), b"fresh");
    assert_eq!(fs::read(sandbox.path("got/fresh")).unwrap(), b"fresh");
    assert_eq!(fs::read(sandbox.path("got/there")).unwrap(), b"mine");
}

#[test]
fn overwriting_does_as_it_is_told() {
    let sandbox = Sandbox::new();
    sandbox.file("pub/f", "old");
    sandbox.file("f", "newer");
    let server = sandbox.serve("pub");
    let host = server.address();
    sandbox.run(&format!("put f {host} --overwrite never")).expect(4);
    assert_eq!(fs::read(sandbox.path("pub/f")).unwrap(), b"old");
    sandbox.run(&format!("put f {host} --overwrite keep-both")).expect(0);
    assert_eq!(tree(&sandbox.path("pub")).len(), 2);
    assert_eq!(fs::read(sandbox.path("pub/f")).unwrap(), b"old");
    sandbox.run(&format!("put f {host} --overwrite replace")).expect(0);
    assert_eq!(fs::read(sandbox.path("pub/f")).unwrap(), b"newer");
}

#[test]
fn comparing_by_content_finds_what_size_and_time_hide() {
    let sandbox = Sandbox::new();
    sandbox.file("pub/f", "AAAA");
    sandbox.file("f", "BBBB");
    let server = sandbox.serve("pub");
    let host = server.address();
    let quick = sandbox.run(&format!("put f {host}")).expect(0).text();
    assert!(quick.contains("1 was there already"), "{quick}");
    sandbox.run(&format!("put f {host} --checksum")).expect(0);
    assert_eq!(fs::read(sandbox.path("pub/f")).unwrap(), b"BBBB");
    let same = sandbox.run(&format!("put f {host} --compare content")).expect(0).text();
    assert!(same.contains("1 was there already"), "{same}");
    let again = sandbox.run(&format!("put f {host} --compare none")).expect(0).text();
    assert!(!again.contains("already"), "{again}");
    sandbox.file("f", "CCCC");
    sandbox.run(&format!("get {host}/f . --overwrite replace --compare content")).expect(0);
    assert_eq!(fs::read(sandbox.path("f")).unwrap(), b"BBBB");
}

#[test]
fn filters_leave_out_what_they_name_on_either_side() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    for name in ["t/a.rs", "t/b.log", "t/target/c.rs"] {
        sandbox.file(name, name);
    }
    let server = sandbox.serve("pub");
    let host = server.address();
    sandbox.run(&format!("put t {host} --include *.rs --exclude target")).expect(0);
    assert_eq!(tree(&sandbox.path("pub")).iter().filter(|(_, content)| content.is_some()).count(), 1);
    sandbox.run(&format!("put t {host}/all")).expect(0);
    sandbox.run(&format!("get {host}/all/t out --exclude *.log --exclude target")).expect(0);
    let got: Vec<_> = tree(&sandbox.path("out")).into_iter().filter(|(_, content)| content.is_some()).collect();
    assert_eq!(got, [("a.rs".to_owned(), Some(b"t/a.rs".to_vec()))]);
}

#[cfg(unix)]
#[test]
fn links_are_skipped_with_a_word_kept_or_followed_as_asked() {
    let sandbox = Sandbox::new();
    sandbox.file("t/real", "real");
    std::os::unix::fs::symlink("real", sandbox.path("t/link")).unwrap();
    for (links, kind) in [("skip", None), ("keep", Some(true)), ("follow", Some(false))] {
        sandbox.folder(links);
        let server = sandbox.serve(links);
        let ran = sandbox.run(&format!("put t {} --links {links}", server.address())).expect(0);
        let landed = fs::symlink_metadata(sandbox.path(links).join("t/link")).ok();
        assert_eq!(landed.map(|meta| meta.is_symlink()), kind, "--links {links}");
        assert_eq!(ran.stderr.contains("t/link: symbolic link skipped"), links == "skip", "{}", ran.stderr);
    }
}

#[test]
fn dry_runs_tell_what_would_be_done_and_do_nothing() {
    let sandbox = Sandbox::new();
    sandbox.file("t/a", "a");
    sandbox.file("pub/t/b", "b");
    sandbox.file("here/b", "other");
    let server = sandbox.serve("pub");
    let host = server.address();
    let before = tree(&sandbox.path("pub"));
    let put = sandbox.run("put -n t/a unreachable.invalid/x").expect(0).all();
    let get = sandbox.run(&format!("get -n {host}/t/b here/ --overwrite replace")).expect(0).all();
    snapshot(&sandbox, "dry-run", &format!("{put}\n{get}"));
    assert_eq!(tree(&sandbox.path("pub")), before);
    assert_eq!(fs::read(sandbox.path("here/b")).unwrap(), b"other");
}

#[test]
fn standard_input_and_output_carry_one_file_each() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    let server = sandbox.serve("pub");
    let host = server.address();
    let content = noise(1_500_000);
    sandbox.run_with_input(&format!("put - --name dir/piped {host}"), &content).expect(0);
    assert_eq!(fs::read(sandbox.path("pub/dir/piped")).unwrap(), content);
    let ran = sandbox.run(&format!("get {host}/dir/piped -")).expect(0);
    assert_eq!(ran.stdout, content);
    for missing in ["dir", "nothing"] {
        let ran = sandbox.run(&format!("get {host}/{missing} -"));
        assert_ne!(ran.code, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.is_empty(), "only content goes to standard output");
    }
    let left: Vec<_> = fs::read_dir(sandbox.path("tmp")).unwrap().collect();
    assert!(left.is_empty(), "the spool is gone: {left:?}");
}

#[test]
fn jobs_share_the_work_and_leave_nothing_out() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    let names: Vec<String> = (0..9).map(|i| format!("f{i}")).collect();
    for name in &names {
        sandbox.file(name, noise(10_000 + name.len()));
    }
    let server = sandbox.serve("pub");
    let host = server.address();
    let put = sandbox.run(&format!("put {} {host} -j 3", names.join(" "))).expect(0).text();
    assert!(put.starts_with("stored 9 files,"), "{put}");
    let wants: Vec<String> = names.iter().map(|name| format!("{host}/{name}")).collect();
    let got = sandbox.run(&format!("get {} back/ --jobs 4", wants.join(" "))).expect(0).text();
    assert!(got.starts_with("received 9 files,"), "{got}");
    assert_eq!(tree(&sandbox.path("pub")), tree(&sandbox.path("back")));
}

#[cfg(unix)]
#[test]
fn name_that_is_not_utf8_or_moves_a_cursor_is_kept_and_shown_escaped() {
    use std::os::unix::ffi::OsStrExt as _;
    let sandbox = Sandbox::new();
    sandbox.folder("t");
    sandbox.folder("pub");
    let name = std::ffi::OsStr::from_bytes(b"a\xff\x1b[31m");
    fs::write(sandbox.path("t").join(name), "x").unwrap();
    let server = sandbox.serve("pub");
    let host = server.address();
    let said = sandbox.run(&format!("put t {host} --json")).expect(0).text();
    assert!(said.contains(r#""path":"t/a\\xff\\u{1b}[31m""#), "{said}");
    assert_eq!(fs::read(sandbox.path("pub/t").join(name)).unwrap(), b"x");
    let listed = sandbox.run(&format!("ls {host}/t")).expect(0).text();
    assert!(listed.trim_end().ends_with(r"a\xff\u{1b}[31m"), "{listed}");
}

#[test]
fn json_lines_tell_a_put_a_listing_and_an_error() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    sandbox.file("a.txt", "hello\n");
    let server = sandbox.serve("pub");
    let host = server.address();
    let mut text = String::new();
    for line in [
        format!("put a.txt {host} --json"),
        format!("put a.txt {host} --json"),
        format!("ls {host} --json"),
        "put a.txt 127.0.0.1:1 --json".to_owned(),
    ] {
        let ran = sandbox.run(&line);
        for line in ran.text().lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
        text += &ran.all();
        text.push('\n');
    }
    snapshot(&sandbox, "json", &text);
}

#[test]
fn server_that_is_not_there_exits_1_at_once() {
    let sandbox = Sandbox::new();
    sandbox.file("a", "a");
    let text =
        ["put a 127.0.0.1:1", "get 127.0.0.1:1/a", "ls 127.0.0.1:1"].map(|line| sandbox.run(line).expect(1).all());
    snapshot(&sandbox, "unreachable", &text.join("\n"));
}

#[test]
fn listing_into_a_closed_pipe_is_success() {
    let sandbox = Sandbox::new();
    for i in 0..2000 {
        sandbox.file(&format!("pub/{i:0100}"), "");
    }
    let server = sandbox.serve("pub");
    let line = format!("ls {}", server.address());
    let mut child = sandbox.command(&line).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ran = finish(child, &line).expect(0);
    assert_eq!(ran.stderr, "");
}

#[test]
fn sparse_file_larger_than_any_buffer_goes_both_ways_and_stays_sparse() {
    use std::os::unix::fs::{FileExt, MetadataExt};
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    let sparse = fs::File::create(sandbox.path("sparse")).unwrap();
    sparse.set_len(100 << 20).unwrap();
    sparse.write_all_at(b"in the middle", 60_000_001).unwrap();
    let server = sandbox.serve("pub");
    sandbox.run(&format!("put sparse {}", server.address())).expect(0);
    sandbox.run(&format!("get {}/sparse back", server.address())).expect(0);
    let whole = fs::read(sandbox.path("sparse")).unwrap();
    for copy in ["pub/sparse", "back"] {
        assert!(fs::read(sandbox.path(copy)).unwrap() == whole, "{copy} differs");
        assert!(fs::metadata(sandbox.path(copy)).unwrap().blocks() * 512 < 1 << 20, "{copy} is not sparse");
    }
}

#[test]
fn get_of_more_than_one_session_can_ask_for_takes_several() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    sandbox.folder("out");
    let names: Vec<String> = (0..4100).map(|n| format!("n{n}")).collect();
    names.iter().for_each(|name| drop(sandbox.file(&format!("pub/{name}"), name)));
    let server = sandbox.serve("pub");
    let wanted: Vec<String> = names.iter().map(|name| format!("{}/{name}", server.address())).collect();
    sandbox.run(&format!("get {} out/", wanted.join(" "))).expect(0);
    assert_eq!(tree(&sandbox.path("out")).len(), names.len());
}

#[cfg(unix)]
#[test]
fn link_that_a_server_names_is_not_followed_to_standard_output() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    let mine = sandbox.file("mine", "my secret");
    std::os::unix::fs::symlink(&mine, sandbox.path("pub/link")).expect("a link");
    let server = sandbox.serve("pub");
    let ran = sandbox.run(&format!("get --links keep {}/link -", server.address())).expect(1);
    assert!(ran.stdout.is_empty(), "{}", ran.all());
    assert!(ran.stderr.contains("what was asked for is no file: it is a symbolic link"), "{}", ran.all());
    assert_eq!(tree(&sandbox.path("tmp")), []);
}
