//! Content: whole, from a checked prefix, sparse, changing, from a pipe.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use ft_cli::disk::{DiskSource, WalkOptions};
use ft_core::error::Code;
use ft_core::hash::{Root as Hash, Subtree, TreeHasher};
use ft_core::path::RelPath;
use ft_core::storage::{ItemId, SourceDone, SourceOp};

use crate::harness::{MIB, Read, code, content, path};

fn open(file: &Path) -> (Read, ItemId) {
    let source = DiskSource::push(vec![file.to_owned()], RelPath::root(), WalkOptions::default(), |_| false);
    let mut read = Read(source);
    let (items, end) = read.entries(0);
    end.unwrap();
    assert_eq!(items.len(), 1);
    (read, items[0].id)
}

fn prefix(bytes: &[u8]) -> (u64, Vec<Subtree>) {
    let mut hasher = TreeHasher::new();
    hasher.update(bytes);
    hasher.prefix()
}

#[test]
fn file_of_every_size_is_read_whole_and_its_last_piece_has_the_root() {
    let dir = tempfile::tempdir().unwrap();
    for size in [0, 1, 4096, 256 * 1024, 256 * 1024 + 1, 512 * 1024 + 1, 3 * MIB, 3 * MIB + 1] {
        let bytes = content(size, 1);
        let file = dir.path().join("f");
        fs::write(&file, &bytes).unwrap();
        let (mut read, item) = open(&file);
        let (got, holes, root) = read.read(item, 0).unwrap();
        assert!(got == bytes && holes.is_empty(), "{size}");
        assert_eq!(root, Hash::of(&bytes));
        assert_eq!(read.one_answer(SourceOp::Hash(item)), SourceDone::Hashed(item, root));
    }
}

#[test]
fn check_finds_the_first_difference_and_reading_goes_on_there_with_the_right_root() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    let bytes = content(8 * MIB + 3, 1);
    fs::write(&file, &bytes).unwrap();
    // 7 MiB are stated as 4, 2 and 1; a byte is wrong in none of them, or in one.
    for (wrong, equal) in [(None, 7), (Some(7 * MIB - 1), 6), (Some(4 * MIB), 4), (Some(0), 0)] {
        let mut theirs = bytes[..7 * MIB].to_vec();
        if let Some(at) = wrong {
            theirs[at] ^= 1;
        }
        let (len, subtrees) = prefix(&theirs);
        let (mut read, item) = open(&file);
        let equal = equal * MIB;
        let checked = read.one_answer(SourceOp::Check { item, len, subtrees });
        assert_eq!(checked, SourceDone::Checked(item, equal as u64));
        let (rest, _, root) = read.read(item, equal as u64).unwrap();
        assert!(rest == bytes[equal..]);
        assert_eq!(root, Hash::of(&bytes), "{wrong:?}");
    }
}

#[test]
fn prefix_without_hashes_is_believed_and_the_root_is_that_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    let bytes = content(8 * MIB + 3, 1);
    fs::write(&file, &bytes).unwrap();
    for kept in [MIB, 5 * MIB, 8 * MIB] {
        let (mut read, item) = open(&file);
        let len = kept as u64;
        let checked = read.one_answer(SourceOp::Check { item, len, subtrees: vec![] });
        assert_eq!(checked, SourceDone::Checked(item, len));
        let (rest, _, root) = read.read(item, len).unwrap();
        assert!(rest == bytes[kept..]);
        assert_eq!(root, Hash::of(&bytes), "{kept}");
    }
}

#[test]
fn prefix_as_long_as_the_file_or_stated_wrongly_is_worth_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    let bytes = content(2 * MIB, 1);
    fs::write(&file, &bytes).unwrap();
    let (mut read, item) = open(&file);
    let (len, subtrees) = prefix(&bytes);
    let short = vec![subtrees[0]; 2];
    for (len, subtrees) in [(len, subtrees.clone()), (MIB as u64, short), (3 * MIB as u64, subtrees), (len, vec![])] {
        let checked = read.one_answer(SourceOp::Check { item, len, subtrees });
        assert_eq!(checked, SourceDone::Checked(item, 0));
    }
    assert_eq!(read.read(item, 0).unwrap().2, Hash::of(&bytes));
}

#[test]
#[cfg_attr(feature = "portable-disk", ignore = "std cannot ask for holes")]
fn holes_of_a_sparse_file_are_read_as_holes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sparse");
    let file = File::create(&path).unwrap();
    file.set_len(50 * MIB as u64).unwrap();
    let data = content(MIB, 3);
    file.write_all_at(&data, 20 * MIB as u64).unwrap();
    file.write_all_at(&data[..1000], 30 * MIB as u64).unwrap();
    let (mut read, item) = open(&path);
    let (bytes, holes, root) = read.read(item, 0).unwrap();
    let whole = fs::read(&path).unwrap();
    assert!(bytes == whole);
    assert_eq!(root, Hash::of(&whole));
    let stored = fs::metadata(&path).unwrap().blocks() * 512;
    let in_holes: u64 = holes.iter().map(|(_, len)| len).sum();
    assert!(in_holes + stored >= whole.len() as u64, "{in_holes} bytes in holes, {stored} stored");
    assert_eq!(holes[0], (0, ft_core::limits::MAX_HOLE));
}

type Change = fn(&Path);

#[test]
fn file_that_changes_between_offer_and_read_or_while_it_is_read_fails_as_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let change: [(&str, Change); 6] = [
        ("removed", |p| fs::remove_file(p).unwrap()),
        ("longer", |p| fs::OpenOptions::new().append(true).open(p).unwrap().write_all(b"x").unwrap()),
        ("shorter", |p| File::options().write(true).open(p).unwrap().set_len(2 * MIB as u64).unwrap()),
        ("replaced by one of the same size", |p| {
            fs::remove_file(p).unwrap();
            fs::write(p, content(3 * MIB, 2)).unwrap();
        }),
        ("written to, and its time put back", |p| {
            let file = File::options().write(true).open(p).unwrap();
            let time = file.metadata().unwrap().modified().unwrap();
            file.write_all_at(b"new", 5).unwrap();
            file.set_modified(time).unwrap();
        }),
        ("replaced by a pipe", |p| {
            fs::remove_file(p).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(p).status().unwrap().success());
        }),
    ];
    for (what, change) in change {
        drop(fs::remove_file(&path));
        fs::write(&path, content(3 * MIB, 1)).unwrap();
        let (mut read, item) = open(&path);
        change(&path);
        assert_eq!(code(read.read(item, 0)), Code::Changed, "{what}, before");
        assert_eq!(code(read.read(item, 0)), Code::Changed, "{what}: a failed entry stays failed");
    }
    drop(fs::remove_file(&path));
    for (what, change) in &change[1..3] {
        fs::write(&path, content(3 * MIB, 1)).unwrap();
        let (mut read, item) = open(&path);
        read.one_answer(SourceOp::Read { item, offset: 0, max: MIB });
        change(&path);
        assert_eq!(code(read.read(item, MIB as u64)), Code::Changed, "{what}, meanwhile");
        assert_eq!(
            read.one_answer(SourceOp::Hash(item)),
            read.one_answer(SourceOp::Hash(item)),
            "and every later answer is the same"
        );
    }
}

#[test]
fn link_that_takes_the_place_of_an_offered_file_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "abc").unwrap();
    let (mut read, item) = open(&path);
    fs::rename(&path, dir.path().join("g")).unwrap();
    std::os::unix::fs::symlink("g", &path).unwrap();
    assert_eq!(code(read.read(item, 0)), Code::UnsafePath);
}

#[test]
fn standard_input_is_offered_without_size_and_read_to_its_end() {
    let bytes = content(3 * MIB + 5, 1);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let copy = bytes.clone();
    let writing = std::thread::spawn(move || writer.write_all(&copy).unwrap());
    let mut read = Read(DiskSource::stdin(reader, path("in/stream.bin")));
    let (items, end) = read.entries(0);
    end.unwrap();
    assert_eq!(items.len(), 1);
    let meta = &items[0].meta;
    assert_eq!((meta.path.clone(), meta.size, meta.mtime, meta.mode), (path("in/stream.bin"), None, None, None));
    let item = items[0].id;
    assert_eq!(read.one_answer(SourceOp::Check { item, len: 0, subtrees: vec![] }), SourceDone::Checked(item, 0));
    let (got, _, root) = read.read(item, 0).unwrap();
    assert!(got == bytes);
    assert_eq!(root, Hash::of(&bytes));
    writing.join().unwrap();
}
