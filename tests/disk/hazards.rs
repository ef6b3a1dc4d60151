//! Bad targets, bad timing, full disks: what each gets, and that nothing outside the root or under an old name changes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ft_cli::disk::{Policy, Root, Unpaid};
use ft_core::error::{Code, FileError, Retry};
use ft_core::frame::{Compare, Kind, Offer, Overwrite};
use ft_core::path::RelPath;
use ft_core::storage::{Keep, LandDone, LandOp, Prepared};

use crate::harness::{Land, MIB, code, content, offer, offer_at, path, tree};

fn pipe_at(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn parent_that_is_a_symbolic_link_is_refused_even_if_it_leads_inside() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("real/deep")).unwrap();
    symlink(outside.path(), dir.path().join("out")).unwrap();
    symlink("real", dir.path().join("in")).unwrap();
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    for name in ["out/f", "out/new/f", "in/f", "in/deep/f", "dangling/f", "dangling/a/b"] {
        assert_eq!(land.refused(offer(name, 1)).code, Code::UnsafePath, "{name}");
        let folder = offer_at(path(name), Kind::Folder, Some(0));
        assert_eq!(land.refused(folder).code, Code::UnsafePath, "folder {name}");
    }
    assert!(tree(outside.path()).is_empty());
}

#[test]
fn something_of_another_kind_in_the_way_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    pipe_at(&dir.path().join("pipe"));
    fs::create_dir(dir.path().join("folder")).unwrap();
    fs::write(dir.path().join("file"), "old").unwrap();
    symlink("file", dir.path().join("link")).unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    for (name, what) in [
        ("pipe", "a named pipe"),
        ("folder", "a folder"),
        ("link", "a symbolic link"),
        ("file/below", "a regular file"),
        ("pipe/below/deeper", "a named pipe"),
    ] {
        for overwrite in [Overwrite::Replace, Overwrite::KeepBoth, Overwrite::Never] {
            let error = land.refused(Offer { overwrite, ..offer(name, 3) });
            assert_eq!(error.code, Code::WrongKind, "{name}");
            assert!(error.text.contains(what), "{error}");
        }
    }
    assert_eq!(land.refused(offer_at(path("file"), Kind::Folder, Some(0))).code, Code::WrongKind);
    assert_eq!(land.refused(offer_at(path("file"), Kind::Link, Some(0))).code, Code::WrongKind);
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"old");
}

#[test]
fn device_at_the_target_is_refused() {
    let root = Root::open(Path::new("/dev")).unwrap();
    assert_eq!(Land::new(&root).refused(offer("null", 1)).code, Code::WrongKind);
}

#[test]
fn folder_replaced_by_a_link_during_the_transfer_stops_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let mut streams = Vec::new();
    for name in ["sub/f", "sub/new/f"] {
        let stream = land.fresh(offer(name, 3));
        land.write(stream, 0, b"abc").unwrap();
        land.finish(stream, 3);
        streams.push(stream);
    }
    fs::rename(dir.path().join("sub"), outside.path().join("moved")).unwrap();
    symlink(outside.path().join("moved"), dir.path().join("sub")).unwrap();
    for stream in streams {
        assert_eq!(code(land.commit(stream)), Code::UnsafePath);
        land.discard(stream, Keep::Partial);
    }
    assert_eq!(tree(outside.path()), ["moved/"]);
}

#[test]
fn pipe_or_folder_that_takes_the_name_during_the_transfer_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("old"), "old").unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    for name in ["new", "old"] {
        let stream = land.fresh(offer(name, 5));
        land.write(stream, 0, b"abcde").unwrap();
        land.finish(stream, 5);
        drop(fs::remove_file(dir.path().join(name)));
        pipe_at(&dir.path().join(name));
        assert_eq!(code(land.commit(stream)), Code::WrongKind, "{name}");
    }
    let stream = land.fresh(offer("third/f", 5));
    land.write(stream, 0, b"abcde").unwrap();
    land.finish(stream, 5);
    fs::write(dir.path().join("third"), "a file now").unwrap();
    assert_eq!(code(land.commit(stream)), Code::WrongKind);
    assert_eq!(fs::read(dir.path().join("third")).unwrap(), b"a file now");
}

#[test]
fn failed_commit_leaves_no_folders_behind() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    // 255 bytes fit, and so does the folder; the second file finds a folder where it belongs.
    let file = land.fresh(offer("a/b/c", 1));
    land.write(file, 0, b"x").unwrap();
    land.finish(file, 1);
    land.discard(file, Keep::Partial);
    let file = land.fresh(offer("d/e", 1));
    land.write(file, 0, b"x").unwrap();
    land.finish(file, 1);
    fs::create_dir_all(dir.path().join("d/e/f")).unwrap();
    assert_eq!(code(land.commit(file)), Code::WrongKind);
    drop(land);
    assert!(root.settle(Duration::from_secs(10)));
    drop(root);
    assert_eq!(tree(dir.path()), ["d/", "d/e/", "d/e/f/"], "no staging, no parents of what did not land");
}

#[test]
fn file_that_cannot_land_in_new_folders_fails_alone_of_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let files = [("first", b"1"), ("new/newer/second", b"2"), ("third", b"3")];
    let streams = files.map(|(name, bytes)| {
        let stream = land.fresh(offer(name, 1));
        land.write(stream, 0, bytes).unwrap();
        land.finish(stream, 1);
        stream
    });
    // What was staged for it goes, so that it cannot be renamed.
    let staging = dir.path().join(".ft-staging");
    let staged = tree(&staging).into_iter().map(|name| staging.join(name));
    let staged: Vec<_> = staged.filter(|file| fs::read(file).is_ok_and(|bytes| bytes == b"2")).collect();
    assert_eq!(staged.len(), 1);
    fs::remove_file(&staged[0]).unwrap();
    land.submit(LandOp::Commit(streams.to_vec()), None);
    let ends: Vec<_> = streams.iter().map(|_| land.done()).collect();
    assert!(matches!(&ends[0], LandDone::Landed(id, _) if *id == streams[0]), "{ends:?}");
    assert!(matches!(&ends[1], LandDone::Failed(id, ..) if *id == streams[1]), "{ends:?}");
    assert!(matches!(&ends[2], LandDone::Landed(id, _) if *id == streams[2]), "{ends:?}");
    drop(land);
    assert!(root.settle(Duration::from_secs(10)));
    drop(root);
    assert_eq!(tree(dir.path()), ["first", "third"]);
}

#[test]
fn staging_folder_is_no_legal_name_at_any_depth_or_case() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    for name in [".ft-staging", ".ft-staging/x", ".FT-Staging/x", "a/.ft-staging/x"] {
        assert_eq!(land.refused(offer(name, 1)).code, Code::BadName, "{name}");
    }
    assert_eq!(land.refused(offer_at(RelPath::root(), Kind::Folder, Some(0))).code, Code::BadName);
}

#[test]
fn staging_folder_that_is_a_link_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), dir.path().join(".ft-staging")).unwrap();
    let root = Root::open(dir.path()).unwrap();
    assert_eq!(Land::new(&root).refused(offer("f", 1)).code, Code::UnsafePath);
    assert!(tree(outside.path()).is_empty());
}

#[test]
fn name_too_long_for_the_file_system_is_a_bad_name() {
    // A path that the protocol allows and the system does not exist for one path; components are at their limit.
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let long = "x".repeat(255);
    assert_eq!(land.land(offer(&long, 1), b"x").unwrap().path, path(&long));
    let deep = vec![vec![b'y'; 250]; 16];
    assert!(deep.len() * 251 < ft_core::limits::MAX_PATH);
    let deep = RelPath::new(deep).unwrap();
    land.land(offer_at(deep.clone(), Kind::File, Some(1)), b"x").unwrap();
    assert_eq!(land.prepare(offer_at(deep, Kind::File, Some(1))).1, Prepared::SameMeta);
}

#[test]
fn second_session_on_a_name_is_told_that_it_is_busy_until_the_first_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    // As another process would see it: nothing shared but the disk.
    let other_process = Root::open(dir.path()).unwrap();
    let (mut first, mut second, mut third) = (Land::new(&root), Land::new(&root), Land::new(&other_process));
    for size in [1, 3 * MIB] {
        let name = format!("f{size}");
        let stream = first.fresh(offer(&name, size));
        let error = second.refused(offer(&name, size));
        assert_eq!((error.code, error.retry), (Code::NameBusy, Retry::Later));
        if size > MIB {
            assert_eq!(third.refused(offer(&name, size)).code, Code::NameBusy);
        }
        let bytes = content(size, 1);
        first.write_from(stream, 0, &bytes);
        first.finish(stream, size);
        assert_eq!(second.refused(offer(&name, size)).code, Code::NameBusy);
        first.commit(stream).unwrap();
        for land in [&mut second, &mut third] {
            let (stream, prepared) = land.prepare(offer(&name, size));
            assert_eq!(prepared, Prepared::SameMeta);
            land.discard(stream, Keep::Nothing);
        }
    }
}

#[test]
#[cfg_attr(feature = "portable-disk", ignore = "std cannot ask for free space")]
fn offer_larger_than_the_free_space_is_refused_before_any_content() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let huge = |name: &str, size: u64| offer_at(path(name), Kind::File, Some(size));
    let error = land.refused(huge("a", 1 << 60));
    assert_eq!((error.code, error.retry), (Code::NoSpace, Retry::Later), "{error}");
    assert!(land.refused(huge("b", u64::MAX)).code == Code::TooLarge);
    land.land(offer("c", 3), b"abc").unwrap();
}

#[test]
fn offer_that_may_have_no_room_is_good_only_if_it_needs_none() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    land.land(offer("there", 3), b"abc").unwrap();
    let same = Offer { compare: Compare::Content, ..offer("there", 3) };
    let unpaid = Unpaid::default();
    let mut land = Land::with(&root, Policy { unpaid: unpaid.clone(), ..Policy::default() });
    let why = FileError::new(Code::NoSpace, Retry::Later, "nothing is left for this key");
    (1..=2).for_each(|stream| unpaid.tell(stream, why.clone()));
    assert!(matches!(land.prepare(same).1, Prepared::SameContent(_)));
    assert_eq!(land.refused(offer("new", 5 << 20)), why);
    let staged = fs::read_dir(dir.path().join(".ft-staging")).unwrap().flatten();
    assert_eq!(staged.filter(|entry| entry.file_type().unwrap().is_file()).count(), 0, "no room was taken");
    // Of the next one nothing was said.
    land.fresh(offer("new", 5 << 20));
}

/// A file system of 4 MiB, where this user may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m,mode=700", "none"]).arg(dir.path());
        mount.output().is_ok_and(|out| out.status.success()).then(|| Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg("-l").arg(self.0.path()).status().unwrap().success());
    }
}

#[test]
#[cfg_attr(feature = "portable-disk", ignore = "std cannot ask for free space")]
fn disk_that_fills_up_during_a_transfer_fails_the_file_and_keeps_the_old_one() {
    // Without the right to mount, a limit on file sizes plays the full disk, in a process of its own: a write fails
    // in the same place, with another code.
    let Some(disk) = SmallDisk::mount() else {
        return limited_process();
    };
    fs::write(disk.0.path().join("f"), "old").unwrap();
    let root = Root::open(disk.0.path()).unwrap();
    let mut land = Land::new(&root);
    assert_eq!(land.refused(offer("g", 5 * MIB)).code, Code::NoSpace);
    // No size, so nothing could be promised.
    let stream = land.fresh(offer_at(path("f"), Kind::File, None));
    fill(&mut land, stream, Code::NoSpace);
    assert_eq!(fs::read(disk.0.path().join("f")).unwrap(), b"old");
    land.land(offer("g", 2 * MIB), &content(2 * MIB, 1)).unwrap();

    // Many small files together must not be promised more than there is.
    let mut promised = 0;
    let refused = (0..64).map(|n| land.prepare(offer(&format!("s{n}"), 100_000)).1).find(|prepared| {
        promised += 100_000;
        matches!(prepared, Prepared::Refused(e) if e.code == Code::NoSpace)
    });
    assert!(refused.is_some() && promised <= 2_200_000, "{promised} bytes were promised on a disk with 2 MiB free");
    drop(land);
    assert!(root.settle(Duration::from_secs(10)));
}

/// Writes until it fails, with that code, and sees that the failure sticks.
fn fill(land: &mut Land, stream: u32, expected: Code) {
    let piece = content(MIB, 9);
    let failed = (0..8).find_map(|n| land.write(stream, n * MIB as u64, &piece).err());
    let failed = failed.expect("the disk is full");
    assert_eq!(failed.code, expected, "{failed}");
    assert!(failed.text.starts_with("write f: "), "{failed}");
    land.submit(LandOp::Finish(stream, 8), None);
    assert!(matches!(land.done(), LandDone::Failed(_, 0, e) if e.code == expected));
    assert_eq!(code(land.commit(stream)), expected);
    land.discard(stream, Keep::Partial);
}

const LIMITED: &str = "FT_TEST_LIMITED_DISK";

fn limited_process() {
    if std::env::var_os(LIMITED).is_some() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "old").unwrap();
        let root = Root::open(dir.path()).unwrap();
        let mut land = Land::new(&root);
        let stream = land.fresh(offer_at(path("f"), Kind::File, None));
        fill(&mut land, stream, Code::TooLarge);
        assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"old");
        return;
    }
    let this = std::env::current_exe().unwrap();
    let script = format!("trap '' XFSZ; ulimit -f 4096; {LIMITED}=1 exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(this);
    shell.args(["--exact", "hazards::file_size_limit_fails_the_file_and_keeps_the_old_one"]);
    let out = shell.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

#[test]
fn file_size_limit_fails_the_file_and_keeps_the_old_one() {
    limited_process();
}

#[test]
fn root_that_cannot_be_written_refuses_with_permission() {
    // Nobody can create anything there, not even root.
    let root = Root::open(Path::new("/sys/kernel")).unwrap();
    for size in [0, 3 * MIB] {
        assert_eq!(Land::new(&root).refused(offer("f", size)).code, Code::Permission);
    }
    assert_eq!(Land::new(&root).refused(offer_at(path("f"), Kind::Folder, Some(0))).code, Code::Permission);
}

#[test]
fn folder_on_another_file_system_is_refused_before_any_content() {
    let Some((root, inner)) = [("/", "proc"), ("/", "dev"), ("/sys", "fs/cgroup")].into_iter().find(|(root, inner)| {
        let device = |p: &Path| fs::metadata(p).map(|m| std::os::unix::fs::MetadataExt::dev(&m)).ok();
        let (outer, inner) = (device(Path::new(root)), device(&Path::new(root).join(inner)));
        outer.is_some() && inner.is_some() && outer != inner
    }) else {
        panic!("this system has neither /proc nor /dev");
    };
    let root = Root::open(Path::new(root)).unwrap();
    let error = Land::new(&root).refused(offer(&format!("{inner}/ft-test"), 1));
    assert_eq!(error.code, Code::Io, "nobody chose to leave it out");
    assert!(error.text.contains("another file system"), "{error}");
}

#[test]
fn content_out_of_order_or_beyond_the_size_breaks_the_stream_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let stream = land.fresh(offer("gap", 10));
    land.write(stream, 0, b"abc").unwrap();
    assert_eq!(code(land.write(stream, 4, b"x")), Code::Internal);
    assert_eq!(code(land.write(stream, 3, b"x")), Code::Internal, "what is broken stays broken");
    land.discard(stream, Keep::Nothing);
    let stream = land.fresh(offer("long", 2));
    assert_eq!(code(land.write(stream, 0, b"abc")), Code::Internal);
    let stream = land.fresh(offer("middle", 2 * MIB));
    assert_eq!(code(land.write(stream, MIB as u64, b"abc")), Code::Internal, "nothing was stated, so it starts at 0");
    land.land(offer("other", 1), b"x").unwrap();
}

#[test]
fn staged_content_is_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let mut secret = offer("secret", 3 * MIB);
    secret.meta.mode = Some(0o777);
    let stream = land.fresh(secret);
    land.write(stream, 0, b"abc").unwrap();
    let small = land.fresh(offer("small", 5));
    land.write(small, 0, b"abc").unwrap();
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
    let all = tree(dir.path());
    assert_eq!(all.len(), 5, "staging, partial, working folder, shelf, file: {all:?}");
    for name in all {
        assert_eq!(mode(&name), if name.ends_with('/') { 0o700 } else { 0o600 }, "{name}");
    }
}
