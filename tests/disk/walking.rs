//! What is offered, under which names, in which order, and what is left out with a word.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ft_cli::disk::{DiskSource, Filter, Note, Root, WalkOptions};
use ft_core::error::Code;
use ft_core::frame::{Kind, Links};
use ft_core::path::RelPath;
use ft_core::storage::SourceOp;

use crate::harness::{Read, code, mtime_of, path};

type Told = Arc<Mutex<Vec<String>>>;

fn options(links: Links) -> (WalkOptions, Told) {
    let told: Told = Arc::default();
    let tell = Arc::clone(&told);
    let notes = Arc::new(move |note: Note| tell.lock().unwrap().push(note.to_string()));
    (WalkOptions { links, notes: Some(notes), ..WalkOptions::default() }, told)
}

fn push(paths: &[PathBuf], links: Links) -> (Read, Told) {
    let (options, told) = options(links);
    (Read(DiskSource::push(paths.to_vec(), RelPath::root(), options, |_| false)), told)
}

/// Files, folders, links inside, outside, to nowhere and in a circle, a pipe, a staging folder, a name of odd bytes.
fn sample() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("top/b/empty")).unwrap();
    fs::create_dir_all(at("top/.ft-staging")).unwrap();
    fs::write(at("top/.ft-staging/p-1"), "x").unwrap();
    fs::write(at("top/b/2"), "two").unwrap();
    fs::write(at("top/b/10"), "ten").unwrap();
    fs::write(at("top/a"), "a").unwrap();
    fs::write(at("top/b.txt"), "b").unwrap();
    fs::write(dir.path().join("top").join(std::ffi::OsStr::from_bytes(b"\xff")), "odd").unwrap();
    fs::write(at("outside"), "secret").unwrap();
    symlink("b/2", at("top/link-in")).unwrap();
    symlink("../outside", at("top/link-out")).unwrap();
    symlink("nowhere", at("top/link-none")).unwrap();
    symlink("..", at("top/b/up")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("top/pipe")).status().unwrap().success());
    dir
}

#[test]
fn tree_is_offered_depth_first_in_byte_order_with_folders_last_and_a_word_about_the_rest() {
    let dir = sample();
    let (mut read, told) = push(&[dir.path().join("top")], Links::Skip);
    let (items, end) = read.entries(0);
    end.unwrap();
    let names: Vec<_> = items.iter().map(|item| item.meta.path.to_string()).collect();
    assert_eq!(names, ["top/a", "top/b/10", "top/b/2", "top/b/empty", "top/b", "top/b.txt", "top/\\xff", "top"]);
    let a = &items[0].meta;
    let real = fs::metadata(dir.path().join("top/a")).unwrap();
    assert_eq!((a.kind, a.size, a.mode.map(u32::from)), (Kind::File, Some(1), Some(real.mode() & 0o777)));
    assert_eq!(a.mtime, Some(mtime_of(&dir.path().join("top/a"))));
    let top = &items[7].meta;
    assert_eq!((top.kind, top.size, top.mtime), (Kind::Folder, Some(0), Some(mtime_of(&dir.path().join("top")))));
    assert_eq!(
        *told.lock().unwrap(),
        [
            "top/b/up: symbolic link skipped: links are sent only if asked for",
            "top/link-in: symbolic link skipped: links are sent only if asked for",
            "top/link-none: symbolic link skipped: links are sent only if asked for",
            "top/link-out: symbolic link skipped: links are sent only if asked for",
            "top/pipe: skipped: a named pipe",
        ]
    );
}

#[test]
fn links_are_kept_with_their_raw_targets_or_followed_once() {
    let dir = sample();
    let (mut read, _) = push(&[dir.path().join("top")], Links::Keep);
    let links: Vec<_> = read.entries(0).0.into_iter().filter(|item| item.meta.kind == Kind::Link).collect();
    let shown: Vec<_> =
        links.iter().map(|l| format!("{} -> {}", l.meta.path, String::from_utf8_lossy(&l.meta.target))).collect();
    assert_eq!(
        shown,
        ["top/b/up -> ..", "top/link-in -> b/2", "top/link-none -> nowhere", "top/link-out -> ../outside"]
    );
    assert!(links.iter().all(|l| l.meta.size == Some(0)));

    let (mut read, told) = push(&[dir.path().join("top")], Links::Follow);
    let (items, end) = read.entries(0);
    end.unwrap();
    let found = |name: &str| items.iter().find(|item| item.meta.path == path(name)).unwrap();
    for (name, bytes) in [("top/link-in", &b"two"[..]), ("top/link-out", b"secret")] {
        assert_eq!(read.read(found(name).id, 0).unwrap().0, bytes, "the user of this computer may follow anywhere");
    }
    let told = told.lock().unwrap().join("\n");
    assert!(told.contains("top/b/up: symbolic link skipped: it leads back to a folder that it is in"), "{told}");
    assert!(told.contains("top/link-none: symbolic link skipped: nothing is where it leads"), "{told}");
}

#[test]
fn link_that_cannot_be_followed_is_a_failure_and_one_that_leads_nowhere_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("top")).unwrap();
    symlink("two", at("top/one")).unwrap();
    symlink("one", at("top/two")).unwrap();
    symlink("none", at("top/three")).unwrap();
    let (mut read, told) = push(&[at("top")], Links::Follow);
    read.entries(0).1.unwrap();
    let words = told.lock().unwrap().join("\n");
    assert_eq!(words.matches("nothing is where it leads").count(), 3, "{words}");
    // Something is there, or may be: no name is so long, but the system says so for another reason than that it is not there.
    symlink("x".repeat(300), at("top/long")).unwrap();
    let (mut read, told) = push(&[at("top")], Links::Follow);
    drop(read.entries(0));
    let words = told.lock().unwrap().join("\n");
    assert!(words.contains("follow top/long: File name too long"), "{words}");
}

#[test]
fn folder_is_offered_again_when_it_is_done_and_its_files_are_not() {
    let dir = sample();
    let (options, _) = options(Links::Skip);
    let mut read = Read(DiskSource::push(vec![dir.path().join("top")], RelPath::root(), options, |_| true));
    let (items, end) = read.entries(0);
    end.unwrap();
    let names: Vec<_> = items.iter().map(|item| item.meta.path.to_string()).collect();
    assert_eq!(names, ["top/b/empty", "top/b", "top"], "what came into them since has changed their times");
}

#[test]
fn served_links_are_followed_only_inside_the_root() {
    let dir = sample();
    let root = Root::open(&dir.path().join("top")).unwrap();
    let (options, told) = options(Links::Skip);
    let mut read = Read(root.source(options));
    read.open(SourceOp::Open { want: 1, path: RelPath::root(), depth: 1, links: Links::Follow });
    let names = read.names(1);
    assert_eq!(names, ["a", "b", "b.txt", "link-in", "\\xff"]);
    let told = told.lock().unwrap().join("\n");
    assert!(told.contains("link-out: symbolic link skipped: it leads out of the folder"), "{told}");
    read.open(SourceOp::Open { want: 2, path: path("link-out"), depth: 0, links: Links::Follow });
    assert!(read.names(2).is_empty());
    read.open(SourceOp::Open { want: 3, path: path("link-out"), depth: 0, links: Links::Skip });
    assert_eq!(code(read.entries(3).1), Code::UnsafePath);
    read.open(SourceOp::Open { want: 4, path: path("b/up/a"), depth: 0, links: Links::Keep });
    assert_eq!(code(read.entries(4).1), Code::UnsafePath);
}

#[test]
fn wants_are_answered_relative_to_the_folder_that_holds_them_as_deep_as_asked() {
    let dir = sample();
    let root = Root::open(&dir.path().join("top")).unwrap();
    let mut read = Read(root.source(WalkOptions::default()));
    for (n, (want, depth, expected)) in (1..).zip([
        ("", 0, &[][..]),
        ("", 1, &["a", "b", "b.txt", "\\xff"]),
        ("b", 0, &["b"]),
        ("b", 1, &["b/10", "b/2", "b/empty", "b"]),
        ("b/2", u16::MAX, &["2"]),
        ("b/empty", u16::MAX, &["empty"]),
        ("", u16::MAX, &["a", "b/10", "b/2", "b/empty", "b", "b.txt", "\\xff"]),
    ]) {
        read.open(SourceOp::Open { want: n, path: path(want), depth, links: Links::Skip });
        assert_eq!(read.names(n), expected, "{want:?} to depth {depth}");
    }
    for (n, (want, expected)) in (100..).zip([
        ("none", Code::NotFound),
        ("none/deeper", Code::NotFound),
        ("a/below-a-file", Code::NotFound),
        (".ft-staging", Code::NotFound),
        (".ft-staging/p-1", Code::NotFound),
        (".FT-STAGING/p-1", Code::NotFound),
        ("pipe", Code::UnsupportedKind),
    ]) {
        read.open(SourceOp::Open { want: n, path: path(want), depth: u16::MAX, links: Links::Skip });
        assert_eq!(code(read.entries(n).1), expected, "{want}");
    }
    assert_eq!(code(read.entries(999).1), Code::Internal, "a want that was never opened");
}

#[test]
fn served_file_is_read_through_its_want() {
    let dir = sample();
    let root = Root::open(&dir.path().join("top")).unwrap();
    let mut read = Read(root.source(WalkOptions::default()));
    read.open(SourceOp::Open { want: 1, path: path("b"), depth: 1, links: Links::Skip });
    let (items, _) = read.entries(1);
    assert_eq!(read.read(items[0].id, 0).unwrap().0, b"ten");
    // Its folder is replaced by a link: nothing outside is read.
    fs::rename(dir.path().join("top/b"), dir.path().join("moved")).unwrap();
    symlink("../moved", dir.path().join("top/b")).unwrap();
    assert_eq!(code(read.read(items[1].id, 0)), Code::UnsafePath);
}

#[test]
fn push_puts_everything_into_a_folder_leaves_out_what_is_done_and_what_is_filtered() {
    let dir = sample();
    let filter = Some(Filter::new(&[], &["b/1*".to_owned(), "top/b/1*".to_owned(), "empty".to_owned()]).unwrap());
    let options = WalkOptions { filter, ..WalkOptions::default() };
    let skip = |done: &RelPath| *done == path("to/here/top/a");
    let mut read = Read(DiskSource::push(vec![dir.path().join("top")], path("to/here"), options, skip));
    assert_eq!(
        read.names(0),
        ["to/here/top/b/2", "to/here/top/b", "to/here/top/b.txt", "to/here/top/\\xff", "to/here/top"]
    );
}

#[test]
fn folder_named_with_a_dot_stands_for_what_is_in_it() {
    let dir = sample();
    let (mut read, _) = push(&[dir.path().join("top/b/..")], Links::Skip);
    assert_eq!(read.names(0), ["a", "b/10", "b/2", "b/empty", "b", "b.txt", "\\xff"]);
    let (mut read, _) = push(&[dir.path().join("top/b/")], Links::Skip);
    assert_eq!(read.names(0), ["b/10", "b/2", "b/empty", "b"], "a slash at the end does not matter");
}

#[test]
fn path_that_is_missing_is_told_and_the_others_are_still_offered() {
    let dir = sample();
    let paths = ["top/none", "top/a", "none/none"].map(|name| dir.path().join(name));
    let (mut read, told) = push(&paths, Links::Skip);
    let (items, end) = read.entries(0);
    assert_eq!(items.len(), 1);
    let error = end.unwrap_err();
    assert_eq!(error.code, Code::NotFound);
    assert!(error.text.contains("top/none"), "{error}");
    assert_eq!(told.lock().unwrap().len(), 2);
}

#[test]
fn folder_that_cannot_be_read_is_told_and_the_want_is_not_answered_in_full() {
    // No folder is closed to a superuser; for that one it is too deep instead, and cannot be offered.
    let dir = sample();
    let root = Root::open(&dir.path().join("top")).unwrap();
    let closed = dir.path().join("top/b");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let readable = fs::read_dir(&closed).is_ok();
    let (options, told) = options(Links::Skip);
    let mut read = Read(root.source(options));
    read.open(SourceOp::Open { want: 1, path: RelPath::root(), depth: u16::MAX, links: Links::Skip });
    if readable {
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
        make_deep(&closed, 130);
    }
    let (items, end) = read.entries(1);
    let expected = if readable { Code::BadName } else { Code::Permission };
    assert_eq!(code(end), expected);
    assert!(items.iter().any(|item| item.meta.path == path("b.txt")), "the rest is offered");
    let told = told.lock().unwrap();
    assert_eq!(
        told.iter().filter(|note| note.contains(&format!("skipped: {}", expected.name()))).count(),
        1,
        "{told:?}"
    );
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
}

fn make_deep(at: &Path, levels: usize) {
    let mut path = at.to_owned();
    for _ in 0..levels {
        path.push("d");
    }
    fs::create_dir_all(path).unwrap();
}
