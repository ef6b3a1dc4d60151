//! Partials: what a killed or cancelled transfer leaves, and what the next try makes of it.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use ft_cli::disk::Root;
use ft_core::error::{Code, Retry};
use ft_core::frame::{Compare, Offer};
use ft_core::hash::{Root as Hash, Subtree, TreeHasher};
use ft_core::storage::{Keep, Prepared};

use crate::harness::{Land, MIB, THEN, content, mtime_of, offer, tree};
#[cfg(target_os = "linux")]
use crate::owner::as_mere_owner;

fn prefix(bytes: &[u8]) -> (u64, Vec<Subtree>) {
    let mut hasher = TreeHasher::new();
    hasher.update(bytes);
    hasher.prefix()
}

fn partial_in(dir: &Path) -> PathBuf {
    let partials: Vec<_> = tree(dir).into_iter().filter(|name| name.starts_with(".ft-staging/p-")).collect();
    assert_eq!(partials.len(), 1, "{partials:?}");
    dir.join(&partials[0])
}

/// Leaves the beginning of a file: where, which, all of it, so much.
type Leaves = fn(&Path, &str, &[u8], usize);

/// As [`cut`], in a program that is killed: what it leaves has the time of its last write.
fn killed(dir: &Path, name: &str, whole: &[u8], kept: usize) {
    cut(dir, name, whole, kept);
    for name in tree(dir).into_iter().filter(|name| name.starts_with(".ft-staging/p-")) {
        fs::File::open(dir.join(name)).unwrap().set_modified(SystemTime::now()).unwrap();
    }
}

/// Writes the first `kept` bytes of a transfer of `whole`, and drops the session.
fn cut(dir: &Path, name: &str, whole: &[u8], kept: usize) {
    let root = Root::open(dir).unwrap();
    let mut land = Land::new(&root);
    let stream = land.fresh(offer(name, whole.len()));
    land.write_from(stream, 0, &whole[..kept]);
    drop(land);
    assert!(root.settle(Duration::from_secs(10)));
}

#[test]
fn dropped_transfer_is_resumed_at_every_boundary_of_what_was_stated() {
    let whole = content(8 * MIB + 5, 1);
    let (len, stated) = prefix(&whole[..7 * MIB]);
    let boundaries = [0, 4 * MIB, 6 * MIB, 7 * MIB];
    for (boundary, dead) in boundaries.into_iter().flat_map(|at| [(at, false), (at, true)]) {
        let dir = tempfile::tempdir().unwrap();
        let (leave, subtrees) = if dead { (killed as Leaves, stated.clone()) } else { (cut as Leaves, vec![]) };
        leave(dir.path(), "a/f", &whole, 7 * MIB + 300_000);
        assert!(!dir.path().join("a").exists(), "no folders before the commit");
        let root = Root::open(dir.path()).unwrap();
        let mut land = Land::new(&root);
        let (stream, prepared) = land.prepare(offer("a/f", whole.len()));
        assert_eq!(prepared, Prepared::Partial { len, subtrees });
        land.write_from(stream, boundary, &whole);
        assert_eq!(land.finish(stream, whole.len()), Hash::of(&whole), "from {boundary}");
        land.commit(stream).unwrap();
        assert!(fs::read(dir.path().join("a/f")).unwrap() == whole);
    }
}

#[test]
fn torn_or_zero_filled_tail_costs_bytes_and_never_correctness() {
    let dir = tempfile::tempdir().unwrap();
    let whole = content(5 * MIB, 2);
    cut(dir.path(), "f", &whole, 4 * MIB);
    // As after a power cut: the length is there, the content is not.
    let partial = partial_in(dir.path());
    let mut torn = whole[..3 * MIB + 100].to_vec();
    torn.resize(4 * MIB + 17, 0);
    fs::write(&partial, &torn).unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let (stream, prepared) = land.prepare(offer("f", whole.len()));
    let (len, subtrees) = prefix(&torn[..4 * MIB]);
    assert_eq!(prepared, Prepared::Partial { len, subtrees }, "it states what it has, not what it hoped for");
    land.write_from(stream, 0, &whole);
    assert_eq!(land.finish(stream, whole.len()), Hash::of(&whole));
    land.commit(stream).unwrap();
    assert!(fs::read(dir.path().join("f")).unwrap() == whole);
}

#[test]
fn content_that_went_on_from_a_wrong_prefix_is_found_by_the_root() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (content(3 * MIB, 1), content(3 * MIB, 2));
    cut(dir.path(), "f", &old, 2 * MIB);
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let (stream, _) = land.prepare(offer("f", new.len()));
    land.write_from(stream, 2 * MIB, &new);
    assert_ne!(land.finish(stream, new.len()), Hash::of(&new));
    land.discard(stream, Keep::Nothing);
    assert_eq!(land.prepare(offer("f", new.len())).1, Prepared::Fresh, "what was wrong is not kept");
}

/// Where content goes on.
fn stands(prepared: &Prepared) -> usize {
    match prepared {
        Prepared::Partial { len, .. } => usize::try_from(*len).unwrap(),
        _ => 0,
    }
}

/// What a receiver does with an offer of `whole`, and what it lands, from where it stands on.
fn go_on(land: &mut Land, offer: Offer, whole: &[u8]) -> (Prepared, Hash, u32) {
    let (stream, prepared) = land.prepare(offer);
    land.write_from(stream, stands(&prepared), whole);
    (prepared, land.finish(stream, whole.len()), stream)
}

#[test]
fn beginning_of_another_file_of_the_same_time_is_found_by_the_root_and_hashed_the_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (content(4 * MIB, 1), content(4 * MIB, 2));
    let torn = [&new[..MIB], &old[MIB..]].concat();
    cut(dir.path(), "f", &torn, 3 * MIB);
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let (prepared, found, stream) = go_on(&mut land, offer("f", new.len()), &new);
    assert_eq!(prepared, Prepared::Partial { len: 3 * MIB as u64, subtrees: vec![] });
    assert_ne!(found, Hash::of(&new));
    land.discard(stream, Keep::Doubted);
    let (stream, prepared) = land.prepare(offer("f", new.len()));
    let (len, subtrees) = prefix(&torn[..3 * MIB]);
    assert_eq!(prepared, Prepared::Partial { len, subtrees }, "all that is there, as it is");
    land.write_from(stream, 0, &new);
    assert_eq!(land.finish(stream, new.len()), Hash::of(&new));
    land.commit(stream).unwrap();
    assert!(fs::read(dir.path().join("f")).unwrap() == new);
}

#[test]
fn partial_is_believed_only_by_the_time_of_the_file_that_it_was_left_by() {
    let whole = content(4 * MIB, 1);
    let (len, subtrees) = prefix(&whole[..3 * MIB]);
    let now = Some(mtime_of(Path::new("/")));
    for (offered, believed) in [(Some(THEN), true), (now, false), (None, false)] {
        let dir = tempfile::tempdir().unwrap();
        cut(dir.path(), "f", &whole, 3 * MIB);
        let root = Root::open(dir.path()).unwrap();
        let mut offer = offer("f", whole.len());
        offer.meta.mtime = offered;
        // A session that gets no content changes nothing about it.
        let mut land = Land::new(&root);
        land.prepare(offer.clone());
        drop(land);
        assert!(root.settle(Duration::from_secs(10)));
        let mut land = Land::new(&root);
        let (prepared, found, stream) = go_on(&mut land, offer, &whole);
        let subtrees = if believed { vec![] } else { subtrees.clone() };
        assert_eq!(prepared, Prepared::Partial { len, subtrees }, "{offered:?}");
        assert_eq!(found, Hash::of(&whole));
        land.commit(stream).unwrap();
    }
}

#[test]
fn believed_partial_that_is_cut_again_is_believed_again() {
    let dir = tempfile::tempdir().unwrap();
    let whole = content(6 * MIB, 1);
    let root = Root::open(dir.path()).unwrap();
    for kept in [2, 3, 5] {
        let mut land = Land::new(&root);
        let (stream, prepared) = land.prepare(offer("f", whole.len()));
        assert!(!matches!(&prepared, Prepared::Partial { subtrees, .. } if !subtrees.is_empty()), "{prepared:?}");
        land.write_from(stream, stands(&prepared), &whole[..kept * MIB]);
        // While what was there before is still being hashed, perhaps.
        drop(land);
        assert!(root.settle(Duration::from_secs(10)));
    }
    let mut land = Land::new(&root);
    let (_, found, stream) = go_on(&mut land, offer("f", whole.len()), &whole);
    land.commit(stream).unwrap();
    assert_eq!((found, stream), (Hash::of(&whole), 1));
    assert!(fs::read(dir.path().join("f")).unwrap() == whole);
}

#[test]
fn beginning_that_was_to_be_known_is_not_believed_again() {
    let dir = tempfile::tempdir().unwrap();
    let whole = content(4 * MIB, 1);
    cut(dir.path(), "f", &whole, 3 * MIB);
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let (stream, _) = land.prepare(offer("f", whole.len()));
    land.write_from(stream, 3 * MIB, &whole);
    // All has come, and the session goes before anybody hears what its root is.
    land.finish(stream, whole.len());
    drop(land);
    assert!(root.settle(Duration::from_secs(10)));
    let (len, subtrees) = prefix(&whole[..3 * MIB]);
    assert_eq!(Land::new(&root).prepare(offer("f", whole.len())).1, Prepared::Partial { len, subtrees });
}

#[test]
fn only_so_many_beginnings_are_believed_at_a_time_as_may_be_open() {
    let dir = tempfile::tempdir().unwrap();
    let whole = content(3 * MIB, 1);
    let names: Vec<String> = (0..20).map(|n| format!("f{n}")).collect();
    names.iter().for_each(|name| cut(dir.path(), name, &whole, 2 * MIB));
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let mut stated = Vec::new();
    let mut streams = Vec::new();
    for name in &names {
        let (stream, prepared) = land.prepare(offer(name, whole.len()));
        let Prepared::Partial { subtrees, .. } = prepared else { panic!("{prepared:?}") };
        stated.push(subtrees.len());
        streams.push(stream);
    }
    assert_eq!(stated, [[0; 8].as_slice(), [1; 12].as_slice()].concat());
    // One that goes, before its content or behind it, makes room for another.
    land.discard(streams[0], Keep::Partial);
    let (again, prepared) = land.prepare(offer(&names[0], whole.len()));
    assert_eq!(prepared, Prepared::Partial { len: 2 * MIB as u64, subtrees: vec![] });
    streams[0] = again;
    for stream in streams {
        land.write_from(stream, 2 * MIB, &whole);
        assert_eq!(land.finish(stream, whole.len()), Hash::of(&whole));
        land.commit(stream).unwrap();
    }
    for name in names {
        assert!(fs::read(dir.path().join(name)).unwrap() == whole);
    }
}

#[test]
fn stream_that_ends_while_its_beginning_is_hashed_can_be_offered_again_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let whole = content(6 * MIB, 1);
    cut(dir.path(), "f", &whole, 3 * MIB);
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    for kept in [4, 5] {
        let (stream, prepared) = land.prepare(offer("f", whole.len()));
        let Prepared::Partial { len, .. } = prepared else { panic!("{prepared:?}") };
        land.write_from(stream, usize::try_from(len).unwrap(), &whole[..kept * MIB]);
        land.discard(stream, Keep::Partial);
    }
    let (prepared, found, _) = go_on(&mut land, offer("f", whole.len()), &whole);
    assert_eq!(prepared, Prepared::Partial { len: 5 * MIB as u64, subtrees: vec![] });
    assert_eq!(found, Hash::of(&whole));
}

#[test]
fn partial_that_was_written_to_while_it_was_open_and_locked_is_offered_again() {
    let dir = tempfile::tempdir().unwrap();
    let whole = content(4 * MIB, 1);
    for leave in [cut as Leaves, killed as Leaves] {
        leave(dir.path(), "f", &whole, 3 * MIB);
        let partial = partial_in(dir.path());
        let root = Root::open(dir.path()).unwrap();
        let mut land = Land::new(&root);
        let changes: [&dyn Fn(&fs::File); 2] =
            [&|file| file.write_all_at(b"x", 7).unwrap(), &|file| file.set_len(2 * MIB as u64).unwrap()];
        for change in changes {
            let (stream, prepared) = land.prepare(offer("f", whole.len()));
            let Prepared::Partial { len, .. } = prepared else { panic!("{prepared:?}") };
            // Hashed by now, so that only a look at the file can tell.
            std::thread::sleep(Duration::from_millis(50));
            change(&fs::OpenOptions::new().write(true).open(&partial).unwrap());
            let from = usize::try_from(len).unwrap();
            let error = land.write(stream, len, &whole[from..]).unwrap_err();
            assert_eq!((error.code, error.retry), (Code::Changed, Retry::Now), "{error}");
            land.discard(stream, Keep::Partial);
        }
        let (prepared, _, stream) = go_on(&mut land, offer("f", whole.len()), &whole);
        assert!(matches!(prepared, Prepared::Partial { subtrees, .. } if !subtrees.is_empty()), "not believed");
        land.discard(stream, Keep::Nothing);
    }
}

#[test]
fn partial_longer_than_the_offered_file_is_cut_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let old = content(6 * MIB, 1);
    killed(dir.path(), "f", &old, 5 * MIB);
    let new = &old[..3 * MIB];
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let (stream, prepared) = land.prepare(offer("f", new.len()));
    let (len, subtrees) = prefix(&old[..2 * MIB]);
    assert_eq!(prepared, Prepared::Partial { len, subtrees });
    land.write_from(stream, 2 * MIB, new);
    assert_eq!(land.finish(stream, new.len()), Hash::of(new));
    land.commit(stream).unwrap();
    assert_eq!(fs::metadata(dir.path().join("f")).unwrap().len(), new.len() as u64);
}

#[test]
fn discard_keeps_a_useful_partial_if_asked_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let whole = content(3 * MIB, 1);
    for (kept, keep, useful) in
        [(2 * MIB, Keep::Partial, true), (2 * MIB, Keep::Nothing, false), (MIB / 2, Keep::Partial, false)]
    {
        let stream = land.fresh(offer("f", whole.len()));
        land.write_from(stream, 0, &whole[..kept]);
        land.discard(stream, keep);
        let (stream, prepared) = land.prepare(offer("f", whole.len()));
        assert_eq!(matches!(prepared, Prepared::Partial { .. }), useful, "{kept} {keep:?}");
        land.discard(stream, Keep::Nothing);
    }
    let stream = land.fresh(offer("small", 100));
    land.write(stream, 0, b"abc").unwrap();
    land.discard(stream, Keep::Partial);
    drop(land);
    assert!(root.settle(Duration::from_secs(10)));
    drop(root);
    assert_eq!(tree(dir.path()), [""; 0], "an empty staging folder goes with the last user");
}

#[test]
#[cfg_attr(feature = "portable-disk", ignore = "std cannot reserve")]
fn reservation_is_given_back_when_a_transfer_is_dropped_or_its_process_killed() {
    let dir = tempfile::tempdir().unwrap();
    let stored = || fs::metadata(partial_in(dir.path())).unwrap().blocks() * 512;
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let stream = land.fresh(offer("f", 64 * MIB));
    land.write_from(stream, 0, &content(2 * MIB, 1));
    assert!(stored() >= 64 * MIB as u64, "all of it is reserved while it is written");
    // As one that waits, with its file closed.
    let waiting: Vec<_> = (0..20).map(|n| land.fresh(offer(&format!("w{n}"), 3 * MIB))).collect();
    drop(land);
    assert!(root.settle(Duration::from_secs(10)));
    assert!(stored() <= 3 * MIB as u64, "of {} waiting and one begun, only what was written stays", waiting.len());

    let partial = fs::OpenOptions::new().write(true).open(partial_in(dir.path())).unwrap();
    let grown = Command::new("fallocate").args(["-n", "-l", "67108864"]).arg(partial_in(dir.path())).status().unwrap();
    assert!(grown.success() && partial.metadata().unwrap().len() == 2 * MIB as u64);
    drop((partial, root));
    let root = Root::open(dir.path()).unwrap();
    Land::new(&root).fresh(offer("other", 1));
    assert!(stored() <= 3 * MIB as u64, "the sweep of the next process gives back what a dead one had reserved");
}

#[test]
fn hundreds_of_large_files_may_wait_without_as_many_open_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let whole = content(MIB + 1, 1);
    let before = fs::read_dir("/proc/self/fd").unwrap().count();
    let streams: Vec<_> = (0..100).map(|n| land.fresh(offer(&format!("f{n}"), whole.len()))).collect();
    for stream in &streams {
        land.write_from(*stream, 0, &whole);
        land.finish(*stream, whole.len());
    }
    let after = fs::read_dir("/proc/self/fd").unwrap().count();
    // Other tests of this process open files too; one descriptor for each file would be 100.
    assert!(after < before + 80, "{before} descriptors before, {after} after");
    for stream in &streams[..10] {
        land.commit(*stream).unwrap();
    }
    land.submit(ft_core::storage::LandOp::Commit(streams[10..].to_vec()), None);
    for _ in &streams[10..] {
        assert!(matches!(land.done(), ft_core::storage::LandDone::Landed(..)));
    }
    for n in 0..100 {
        assert!(fs::read(dir.path().join(format!("f{n}"))).unwrap() == whole);
    }
}

/// A process that begins: it sweeps.
fn sweep(dir: &Path) {
    let root = Root::open(dir).unwrap();
    let mut land = Land::new(&root);
    land.fresh(offer("of another process", 1));
    drop(land);
    assert!(root.settle(Duration::from_secs(10)));
}

#[test]
fn large_files_that_wait_outlive_the_sweep_of_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let whole = content(4 * MIB + 5, 1);
    // One is hashed before its offer is answered, the other beside.
    killed(dir.path(), "f10", &whole, 2 * MIB + 77);
    cut(dir.path(), "f11", &whole, 2 * MIB + 77);
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let offered: Vec<_> = (0..12).map(|n| land.prepare(offer(&format!("f{n}"), whole.len()))).collect();
    sweep(dir.path());
    for (n, (stream, prepared)) in offered.iter().enumerate() {
        let (len, stated) = prefix(&whole[..2 * MIB]);
        let (expected, from) = match n {
            10 => (Prepared::Partial { len, subtrees: stated }, 2 * MIB),
            11 => (Prepared::Partial { len, subtrees: vec![] }, 2 * MIB),
            _ => (Prepared::Fresh, 0),
        };
        assert_eq!(prepared, &expected, "f{n}");
        land.write(*stream, from as u64, &whole[from..3 * MIB]).unwrap();
        if cfg!(not(feature = "portable-disk")) {
            let reserved = |name: &String| fs::metadata(dir.path().join(name)).unwrap().blocks() * 512;
            let partials = tree(dir.path()).into_iter().filter(|name| name.starts_with(".ft-staging/p-"));
            let full = partials.filter(|name| reserved(name) >= whole.len() as u64).count();
            assert!(full > n, "room is reserved again for f{n} before its content comes: {full}");
        }
        land.write(*stream, 3 * MIB as u64, &whole[3 * MIB..]).unwrap();
        assert_eq!(land.finish(*stream, whole.len()), Hash::of(&whole));
    }
    sweep(dir.path());
    for (n, (stream, _)) in offered.iter().enumerate() {
        land.commit(*stream).unwrap();
        assert!(fs::read(dir.path().join(format!("f{n}"))).unwrap() == whole, "f{n}");
    }
}

#[test]
fn partial_that_another_process_changed_while_it_waited_is_offered_again() {
    let dir = tempfile::tempdir().unwrap();
    let whole = content(4 * MIB, 1);
    killed(dir.path(), "f", &whole, 2 * MIB);
    let partial = partial_in(dir.path());
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    for n in 0..8 {
        land.fresh(offer(&format!("w{n}"), 2 * MIB));
    }
    let change = |bytes: &[u8]| fs::write(&partial, bytes).unwrap();
    let changes: [&dyn Fn(); 3] =
        [&|| change(&content(2 * MIB, 2)), &|| change(&whole[..3 * MIB]), &|| fs::remove_file(&partial).unwrap()];
    for other in changes {
        let (stream, prepared) = land.prepare(offer("f", whole.len()));
        let Prepared::Partial { len, .. } = prepared else { panic!("{prepared:?}") };
        other();
        let from = usize::try_from(len).unwrap();
        let error = land.write(stream, len, &whole[from..]).unwrap_err();
        assert_eq!((error.code, error.retry), (Code::Changed, Retry::Now), "{error}");
        land.discard(stream, Keep::Nothing);
    }
    assert_eq!(land.prepare(offer("f", whole.len())).1, Prepared::Fresh);
}

#[test]
fn leftovers_that_nobody_can_use_are_swept_and_partials_stay() {
    let dir = tempfile::tempdir().unwrap();
    let staging = dir.path().join(".ft-staging");
    fs::create_dir_all(staging.join("w-1-0/3")).unwrap();
    fs::write(staging.join("w-1-0/3/17"), "left by a dead process").unwrap();
    fs::write(staging.join("w-1-0/odd"), "left by whom?").unwrap();
    fs::write(staging.join("p-short"), "too short to state anything").unwrap();
    fs::write(staging.join("p-useful"), content(MIB, 1)).unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    land.land(offer("f", 1), b"x").unwrap();
    drop(land);
    assert!(root.settle(Duration::from_secs(10)));
    let root2 = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root2);
    land.fresh(offer("g", 1));
    let working = tree(dir.path()).into_iter().filter(|name| name.contains("/w-")).count();
    assert_eq!(working, 3, "the folder of a living one, its shelf and its file are not swept");
    drop(land);
    assert!(root.settle(Duration::from_secs(10)) && root2.settle(Duration::from_secs(10)));
    drop((root, root2));
    assert_eq!(tree(dir.path()), [".ft-staging/", ".ft-staging/p-useful", "f"]);
}

/// The landing renames by name, and what it has verified is what it holds open.
#[test]
fn what_another_process_put_in_the_place_of_a_verified_partial_does_not_land() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let whole = content(3 * MIB, 1);
    for old in [false, true] {
        if old {
            fs::write(dir.path().join("f"), "old").unwrap();
        }
        let stream = land.fresh(offer("f", whole.len()));
        land.write_from(stream, 0, &whole);
        assert_eq!(land.finish(stream, whole.len()), Hash::of(&whole));
        let partial = partial_in(dir.path());
        fs::write(dir.path().join("half"), "half").unwrap();
        fs::rename(dir.path().join("half"), &partial).unwrap();
        let error = land.commit(stream).unwrap_err();
        assert_eq!((error.code, error.retry), (Code::Changed, Retry::Now), "{error}");
        assert_eq!(fs::read(dir.path().join("f")).ok(), old.then(|| b"old".to_vec()));
        assert_eq!(fs::read(&partial).unwrap(), b"half", "it is not ours to remove either");
    }
}

/// A partial gets its mode before its final name, and not everybody may write a file of any mode.
#[cfg(target_os = "linux")]
#[test]
fn partial_that_may_not_be_written_is_taken_from_the_dead_and_not_from_the_living() {
    let dir = tempfile::tempdir().unwrap();
    let whole = content(3 * MIB, 1);
    let read_only = || {
        let partial = partial_in(dir.path());
        fs::set_permissions(&partial, std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
        fs::metadata(partial).unwrap().ino()
    };
    let root = Root::open(dir.path()).unwrap();
    let mut living = Land::new(&root);
    let stream = living.fresh(offer("f", whole.len()));
    living.write_from(stream, 0, &whole[..2 * MIB]);
    let inode = read_only();
    let other = Root::open(dir.path()).unwrap();
    let refused = as_mere_owner(|| Land::new(&other).refused(offer("f", whole.len())));
    assert_eq!((refused.code, refused.retry), (Code::NameBusy, Retry::Later), "{refused}");
    assert_eq!(fs::metadata(partial_in(dir.path())).unwrap().ino(), inode, "it is still the one that is being written");
    drop(living);
    assert!(root.settle(Duration::from_secs(10)) && other.settle(Duration::from_secs(10)));
    read_only();
    as_mere_owner(|| {
        let mut land = Land::new(&other);
        let (stream, prepared) = land.prepare(offer("f", whole.len()));
        let believed = Prepared::Partial { len: 2 * MIB as u64, subtrees: vec![] };
        assert_eq!(prepared, believed, "nobody holds it, and its content is good");
        land.write_from(stream, 2 * MIB, &whole);
        assert_eq!(land.finish(stream, whole.len()), Hash::of(&whole));
        land.commit(stream).unwrap();
    });
    assert!(fs::read(dir.path().join("f")).unwrap() == whole);
}

/// Where a file system knows no "rename unless it is there", a link and the removal of the first name stand for it.
#[test]
fn partial_that_has_landed_by_a_second_name_is_not_written_into() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (content(3 * MIB, 1), content(3 * MIB, 2));
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    // This one has swept before the other leaves it.
    land.fresh(offer("other", 1));
    cut(dir.path(), "f", &old, 3 * MIB - 1);
    // As if its process had been killed between the two.
    fs::hard_link(partial_in(dir.path()), dir.path().join("f")).unwrap();
    let stream = land.fresh(Offer { compare: Compare::None, ..offer("f", new.len()) });
    land.write_from(stream, 0, &new[..MIB]);
    assert!(fs::read(dir.path().join("f")).unwrap() == old[..3 * MIB - 1], "the old one is whole until the new one is");
    land.write(stream, MIB as u64, &new[MIB..]).unwrap();
    assert_eq!(land.finish(stream, new.len()), Hash::of(&new));
    land.commit(stream).unwrap();
    assert!(fs::read(dir.path().join("f")).unwrap() == new);
}

const CHILD: &str = "FT_TEST_LANDS_IN";

/// In a process of its own: lands a small file and writes the first MiBs of a large one again and again, until killed.
#[test]
fn lands_until_killed() {
    let Some(dir) = std::env::var_os(CHILD) else {
        return;
    };
    let root = Root::open(Path::new(&dir)).unwrap();
    let whole = content(4 * MIB, 1);
    for round in 0u32.. {
        let mut land = Land::new(&root);
        let version = content(3000, round.to_le_bytes()[0]);
        land.land(Offer { compare: Compare::None, ..offer("small", 3000) }, &version).unwrap();
        let (stream, prepared) = land.prepare(Offer { compare: Compare::None, ..offer("large", whole.len()) });
        let from = match prepared {
            Prepared::Partial { .. } | Prepared::Fresh => 0,
            other => panic!("{other:?}"),
        };
        for (n, piece) in whole[from..].chunks(MIB / 4).enumerate() {
            land.write(stream, (from + n * MIB / 4) as u64, piece).unwrap();
            // As a network would: most moments are within the content, not within the commit.
            std::thread::sleep(Duration::from_millis(1));
        }
        land.finish(stream, whole.len());
        land.commit(stream).unwrap();
    }
}

#[test]
fn killed_process_leaves_old_or_new_files_and_a_partial_that_the_next_one_takes() {
    let dir = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let whole = content(4 * MIB, 1);
    let mut resumed = 0;
    for round in 0..10u64 {
        let mut child = Command::new(&this)
            .args(["--exact", "resuming::lands_until_killed"])
            .env(CHILD, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        let working = || fs::read_dir(dir.path().join(".ft-staging")).is_ok_and(|all| all.count() > 0);
        while !(dir.path().join("large").exists() && working()) {
            assert!(Instant::now() < until, "the child lands nothing");
            std::thread::sleep(Duration::from_millis(1));
        }
        // Moments that have nothing to do with what the child does.
        std::thread::sleep(Duration::from_millis(10 + round * 37 % 101));
        child.kill().unwrap();
        child.wait().unwrap();
        let small = fs::read(dir.path().join("small")).unwrap();
        assert!((0..=255).any(|version| content(3000, version) == small), "a version, whole");
        assert!(fs::read(dir.path().join("large")).unwrap() == whole);
        let root = Root::open(dir.path()).unwrap();
        let mut land = Land::new(&root);
        let (stream, prepared) = land.prepare(Offer { compare: Compare::None, ..offer("large", whole.len()) });
        if let Prepared::Partial { len, .. } = prepared {
            resumed += 1;
            land.write_from(stream, usize::try_from(len).unwrap(), &whole);
        } else {
            land.write_from(stream, 0, &whole);
        }
        assert_eq!(land.finish(stream, whole.len()), Hash::of(&whole));
        land.commit(stream).unwrap();
        drop(land);
        assert!(root.settle(Duration::from_secs(10)));
        drop(root);
        assert_eq!(tree(dir.path()), ["large", "small"], "nothing is left of the dead process");
    }
    assert!(resumed > 0, "not one of ten kills hit a transfer that could be resumed");
}
