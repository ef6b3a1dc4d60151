//! Two things that would have one name at the other side: none of them is lost without a word.

use std::fs;

use crate::harness::{Sandbox, tree};

#[test]
fn arguments_of_one_final_name_are_refused_before_anything_is_sent() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    sandbox.file("a/report.pdf", "first");
    sandbox.file("b/report.pdf", "second");
    let server = sandbox.serve("pub");
    let host = server.address();
    let ran = sandbox.run(&format!("put a/report.pdf b/report.pdf {host}")).expect(2);
    let both = "a/report.pdf and b/report.pdf would both be report.pdf at the other side";
    assert!(ran.stderr.contains(both) && ran.stderr.contains("HOST/FOLDER"), "{}", ran.all());
    assert!(sandbox.run(&format!("put a b/../a/ {host}")).expect(2).stderr.contains("would both be a"));
    let ran = sandbox.run(&format!("send a/report.pdf b/report.pdf 7-crossover-clockwork@{host}")).expect(2);
    assert!(ran.stderr.contains(both), "the code is not used up: {}", ran.all());
    let ran = sandbox.run(&format!("send a/report.pdf missing.pdf 7-crossover-clockwork@{host}")).expect(1);
    let unread = "cannot read missing.pdf: No such file or directory (os error 2); nothing was sent";
    assert!(ran.stderr.contains(unread), "the code is not used up: {}", ran.all());
    let ran = sandbox.run(&format!("send - 7-crossover-clockwork@{host}")).expect(2);
    assert!(ran.stderr.contains("not standard input"), "{}", ran.all());
    assert_eq!(tree(&sandbox.path("pub")), []);
    sandbox.run(&format!("put a/report.pdf a/report.pdf {host}")).expect(0);
    sandbox.file("pub/other/report.pdf", "other");
    let ran = sandbox.run(&format!("get {host}/report.pdf {host}/other/report.pdf got/")).expect(2);
    assert!(ran.stderr.contains("/report.pdf and /other/report.pdf would both be report.pdf here"), "{}", ran.all());
    assert!(!sandbox.path("got").exists());
}

#[test]
fn contents_of_two_folders_are_merged_and_what_has_no_name_left_is_told() {
    for (jobs, again) in [("", ""), ("-j 2", ""), ("", "--compare none --overwrite replace")] {
        let sandbox = Sandbox::new();
        sandbox.folder("pub");
        sandbox.file("d1/x", "first");
        sandbox.file("d1/sub/one", "1");
        sandbox.file("d1/file", "a file");
        sandbox.file("d2/x", "second");
        sandbox.file("d2/sub/two", "2");
        sandbox.file("d2/file/in", "a folder");
        sandbox.file("d2/plain", "of d2");
        sandbox.file("plain", "named");
        let server = sandbox.serve("pub");
        let host = server.address();
        let ran = sandbox.run(&format!("put d1/. d2/. plain {host} {jobs} {again}")).expect(4);
        for words in [
            "d2/x is not sent: d1/x has the same name at the other side",
            "d2/file is not sent: d1/file has the same name",
            "plain is not sent: d2/plain has the same name",
        ] {
            assert!(ran.stderr.contains(words), "{}", ran.all());
        }
        assert!(ran.text().contains("3 refused or failed"), "{}", ran.all());
        let landed = |name: &str| fs::read(sandbox.path("pub").join(name)).expect("it landed");
        assert_eq!([landed("x"), landed("file"), landed("plain")], [&b"first"[..], b"a file", b"of d2"]);
        assert_eq!([landed("sub/one"), landed("sub/two")], [b"1", b"2"]);
        let ran = sandbox.run(&format!("put -n d1/. d2/. {host}")).expect(4);
        assert!(ran.stderr.contains("d2/x is not sent"), "{}", ran.all());
        assert!(sandbox.run(&format!("put d1/. d1/. {host} --exclude x")).expect(0).stderr.is_empty());
    }
}

#[test]
fn what_is_not_sent_takes_no_name() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    sandbox.file("d1/x", "first");
    sandbox.file("d2/x/y", "second");
    sandbox.file("d2/l", "third");
    #[cfg(unix)]
    std::os::unix::fs::symlink("x", sandbox.path("d1/l")).expect("a link");
    let server = sandbox.serve("pub");
    let host = server.address();
    sandbox.run(&format!("put d1/. d2/. {host} --include x/* --include l")).expect(0);
    assert_eq!(fs::read(sandbox.path("pub/x/y")).expect("it landed"), b"second");
    assert_eq!(fs::read(sandbox.path("pub/l")).expect("it landed"), b"third");
    let ran = sandbox.run(&format!("put d1/. d2/. {host}/kept --links keep")).expect(4);
    assert!(ran.stderr.contains("d2/l is not sent: d1/l has"), "{}", ran.all());
}
