//! Rows of the tables of bad input, and what is there before and after each.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::harness::Sandbox;

/// Rows of one group; each becomes a test of its name.
macro_rules! rows {
    ($table:ident, $run:path, $group:literal; $($name:ident: $what:literal => $outcome:expr, $play:expr;)*) => {
        pub(crate) const $table: &[Row] = &[
            $(Row { group: $group, name: stringify!($name), what: $what, outcome: $outcome, play: $play }),*
        ];
        $(
            #[test]
            fn $name() {
                let name = stringify!($name);
                $run($table.iter().find(|row| row.name == name).expect("the row of this name"));
            }
        )*
    };
}
pub(crate) use rows;

/// What is in a folder: kind and content, links not followed. Partials may stay; they have no final names.
pub(crate) fn survey(root: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder can be read") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("beneath the root").as_os_str().as_encoded_bytes();
            let name = ft_core::path::escape(name);
            if name.contains(".ft-staging") {
                continue;
            }
            let meta = fs::symlink_metadata(&path).expect("it is there");
            let what = if meta.is_dir() {
                open.push(path);
                "a folder".into()
            } else if meta.is_symlink() {
                format!("a link to {}", fs::read_link(&path).expect("a link").display())
            } else if meta.is_file() {
                format!("{:?}", String::from_utf8_lossy(&fs::read(&path).expect("a file")))
            } else {
                "something else".into()
            };
            all.insert(name, what);
        }
    }
    all
}

/// A sandbox with a folder `place` that has everything in it that could be in the way, and a folder beside it that is
/// nobody's business.
pub(crate) fn prepared(place: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file(&format!("{place}/old"), "the old content");
    sandbox.file(&format!("{place}/folder/inner"), "inner");
    sandbox.file("outside/secret", "a secret");
    sandbox.file("good", "good");
    for (name, target) in [("out", "../outside"), ("in", "folder"), ("to-old", "old")] {
        symlink(target, sandbox.path(&format!("{place}/{name}"))).expect("a link");
    }
    rustix::fs::mknodat(
        rustix::fs::CWD,
        sandbox.path(&format!("{place}/pipe")),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a pipe");
    sandbox
}

/// Fails unless exactly these came, each with `hello` in it where it is a file.
#[track_caller]
pub(crate) fn only(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>, lands: &[&str]) {
    let mut expected = before.clone();
    for name in lands {
        let what = match name.split_once(" -> ") {
            Some((name, target)) => (name, format!("a link to {target}")),
            None => (*name, "\"hello\"".into()),
        };
        expected.insert(what.0.into(), what.1);
    }
    assert_eq!(*after, expected, "what is on the disk, inside and outside");
}

/// Nothing that a peer sent reaches a terminal as more than letters.
#[track_caller]
pub(crate) fn is_plain<'a>(lines: impl IntoIterator<Item = &'a String>) {
    for line in lines {
        let bad = |c: char| (c.is_control() && c != '\n' && c != '\t') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!line.contains(bad), "unescaped: {line:?}");
    }
}
