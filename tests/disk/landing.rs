//! What lands, under which name, with which metadata, in which order.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use ft_cli::disk::{Filter, Note, Policy, RenameRule, Root, WouldLand};
use ft_core::error::Code;
use ft_core::frame::{Compare, Kind, Level, Offer, Overwrite};
use ft_core::hash::Root as Hash;
use ft_core::path::RelPath;
use ft_core::storage::{LandDone, LandOp, Prepared, Step};

use crate::harness::{Land, MIB, THEN, code, content, mtime_as_time, mtime_of, offer, offer_at, path, tree};

#[test]
fn file_of_every_size_lands_whole_with_mode_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    for size in [0, 1, 4096, 65_537, MIB, MIB + 1, 5 * MIB + 7] {
        let bytes = content(size, 1);
        let name = format!("deep/er/{size}");
        let ack = land.land(offer(&name, size), &bytes).unwrap();
        assert_eq!((ack.size, ack.level, ack.root), (size as u64, Level::Durable, Hash::of(&bytes)));
        assert_eq!(ack.path, path(&name));
        let file = dir.path().join(&name);
        assert!(fs::read(&file).unwrap() == bytes, "{size}");
        assert_eq!(mtime_of(&file), THEN);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    }
}

#[test]
fn mode_beyond_permission_bits_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let mut offer = offer("setuid", 1);
    offer.meta.mode = Some(0o6755);
    land.land(offer, b"x").unwrap();
    assert_eq!(fs::metadata(dir.path().join("setuid")).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn steps_of_each_durable_stream_are_synced_renamed_folder_synced_and_a_cached_one_is_only_renamed() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::with(&root, Policy { least: Level::Cached, ..Policy::default() });
    land.land(offer("a/durable", 3), b"abc").unwrap();
    assert_eq!(land.steps, [(1, Step::Synced), (1, Step::Renamed), (1, Step::DirSynced)]);
    land.steps.clear();
    let ack = land.land(Offer { level: Level::Cached, ..offer("cached", 3) }, b"abc").unwrap();
    assert_eq!(ack.level, Level::Cached);
    assert_eq!(land.steps, [(2, Step::Renamed)]);
}

#[test]
fn receiver_that_insists_on_durable_gives_it_to_a_sender_that_asked_for_less() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let ack = land.land(Offer { level: Level::Cached, ..offer("f", 3) }, b"abc").unwrap();
    assert_eq!(ack.level, Level::Durable);
    assert_eq!(land.steps.len(), 3);
}

#[test]
fn five_thousand_files_land_in_one_commit_in_order() {
    const FILES: u32 = 5000;
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let name = |n: u32| format!("d{}/f{n}", n % 10);
    for n in 1..=FILES {
        land.submit(LandOp::Prepare(n, offer(&name(n), 100)), None);
        land.submit(LandOp::Write { stream: n, offset: 0, len: 100 }, Some(&content(100, n.to_le_bytes()[0])));
        land.submit(LandOp::Finish(n, 100), None);
    }
    for n in 1..=FILES {
        assert_eq!(land.done(), LandDone::Prepared(n, Prepared::Fresh));
        assert_eq!(land.done(), LandDone::Wrote(n, 100));
        assert_eq!(land.done(), LandDone::Finished(n, Hash::of(&content(100, n.to_le_bytes()[0]))));
    }
    assert!(!tree(dir.path()).contains(&"d1/f1".to_owned()), "nothing has a final name before its commit");
    land.submit(LandOp::Commit((1..=FILES).collect()), None);
    for n in 1..=FILES {
        match land.done() {
            LandDone::Landed(stream, ack) => assert_eq!((stream, ack.path), (n, path(&name(n)))),
            other => panic!("{other:?}"),
        }
    }
    let rank = |step: Step| land.steps.iter().filter(|(_, s)| *s == step).map(|(n, _)| *n).collect::<Vec<_>>();
    let all: Vec<u32> = (1..=FILES).collect();
    assert_eq!((rank(Step::Synced), rank(Step::Renamed), rank(Step::DirSynced)), (all.clone(), all.clone(), all));
    assert!(land.steps.is_sorted_by_key(|(_, step)| *step), "all are synced before the first is renamed");
    for n in 1..=FILES {
        assert!(fs::read(dir.path().join(name(n))).unwrap() == content(100, n.to_le_bytes()[0]));
    }
}

#[test]
fn folder_keeps_mode_and_time_although_files_landed_in_it_in_the_same_commit() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let file = land.fresh(offer("a/b/file", 1));
    land.write(file, 0, b"x").unwrap();
    land.finish(file, 1);
    let mut folders = Vec::new();
    for name in ["a/b", "a"] {
        let mut folder = offer_at(path(name), Kind::Folder, Some(0));
        folder.meta.mode = Some(0o555);
        let stream = land.fresh(folder);
        assert_eq!(land.finish(stream, 0), Hash::of(b""));
        folders.push(stream);
    }
    land.submit(LandOp::Commit(vec![file, folders[0], folders[1]]), None);
    for stream in [file, folders[0], folders[1]] {
        assert!(matches!(land.done(), LandDone::Landed(s, _) if s == stream));
    }
    for name in ["a/b", "a"] {
        let folder = dir.path().join(name);
        assert_eq!(mtime_of(&folder), THEN, "{name}");
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o555);
    }
    assert_eq!(mtime_of(&dir.path().join("a/b/file")), THEN);
    fs::set_permissions(dir.path().join("a"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(dir.path().join("a/b"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
#[cfg_attr(feature = "portable-disk", ignore = "std cannot set the time of a link")]
fn symbolic_link_lands_as_a_link_and_again_without_harm() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let mut link = offer_at(path("x/link"), Kind::Link, Some(0));
    link.meta.target = b"../../some\xffwhere".to_vec();
    for overwrite in [Overwrite::Never, Overwrite::Never, Overwrite::KeepBoth, Overwrite::Replace] {
        let stream = land.fresh(Offer { overwrite, ..link.clone() });
        land.finish(stream, 0);
        land.commit(stream).unwrap();
        assert_eq!(tree(&dir.path().join("x")), ["link"]);
        assert_eq!(mtime_of(&dir.path().join("x/link")), THEN);
    }
    link.meta.target = b"elsewhere".to_vec();
    assert_eq!(land.refused(Offer { overwrite: Overwrite::Never, ..link }).code, Code::Exists);
}

#[test]
fn existing_file_is_replaced_kept_or_kept_beside_as_policy_says() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f.txt"), "old").unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let with = |overwrite, size| Offer { overwrite, ..offer("f.txt", size) };
    assert_eq!(land.refused(with(Overwrite::Never, 5)).code, Code::Exists);
    let ack = land.land(with(Overwrite::KeepBoth, 5), b"newer").unwrap();
    assert_eq!(ack.path, path("f (1).txt"));
    let ack = land.land(with(Overwrite::KeepBoth, 6), b"newest").unwrap();
    assert_eq!(ack.path, path("f (2).txt"));
    assert_eq!(fs::read(dir.path().join("f.txt")).unwrap(), b"old");
    land.land(with(Overwrite::Default, 7), b"the end").unwrap();
    assert_eq!(fs::read(dir.path().join("f.txt")).unwrap(), b"the end");
    let mut strict = Land::with(&root, Policy { overwrite: Overwrite::Never, ..Policy::default() });
    assert_eq!(strict.refused(with(Overwrite::Replace, 5)).code, Code::Exists, "the receiver's policy wins");
}

#[test]
fn file_that_appears_during_the_transfer_is_respected_at_the_rename() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    for (name, overwrite) in [("a", Overwrite::Never), ("b", Overwrite::KeepBoth), ("c", Overwrite::Replace)] {
        let stream = land.fresh(Offer { overwrite, ..offer(name, 3) });
        land.write(stream, 0, b"new").unwrap();
        land.finish(stream, 3);
        fs::write(dir.path().join(name), "other").unwrap();
        let result = land.commit(stream);
        let there = fs::read(dir.path().join(name)).unwrap();
        match overwrite {
            Overwrite::KeepBoth => {
                assert_eq!(result.unwrap().path, path("b (1)"));
                assert_eq!(there, b"other");
                assert_eq!(fs::read(dir.path().join("b (1)")).unwrap(), b"new");
            }
            Overwrite::Replace => {
                result.unwrap();
                assert_eq!(there, b"new");
            }
            Overwrite::Never | Overwrite::Default => {
                assert_eq!(code(result), Code::Exists);
                assert_eq!(there, b"other");
            }
        }
    }
}

#[test]
fn same_size_and_time_is_taken_as_the_same_even_where_existing_files_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    land.land(offer("f", 3), b"abc").unwrap();
    land.steps.clear();
    for overwrite in [Overwrite::Never, Overwrite::Replace, Overwrite::KeepBoth] {
        let mut again = Offer { overwrite, ..offer("f", 3) };
        again.meta.mode = Some(0o600);
        let (stream, prepared) = land.prepare(again);
        assert_eq!(prepared, Prepared::SameMeta);
        let ack = land.commit(stream).unwrap();
        assert_eq!((ack.size, ack.root, ack.path), (3, Hash::default(), path("f")));
        // Where nothing may be replaced, a mode is not either.
        let mode = if overwrite == Overwrite::Replace { 0o600 } else { 0o640 };
        assert_eq!(fs::metadata(dir.path().join("f")).unwrap().mode() & 0o777, mode, "{overwrite:?}");
        fs::set_permissions(dir.path().join("f"), fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(land.steps, [(stream, Step::Synced), (stream, Step::Renamed), (stream, Step::DirSynced)]);
        land.steps.clear();
    }
    let (_, prepared) = land.prepare(Offer { compare: Compare::None, ..offer("f", 3) });
    assert_eq!(prepared, Prepared::Fresh, "who does not want to compare sends");
    let mut later = offer("f", 3);
    later.meta.mtime = Some(ft_core::frame::Mtime { nanos: THEN.nanos + 1, ..THEN });
    assert_eq!(Land::new(&root).refused(later.clone()).code, Code::NameBusy);
    drop(land);
    assert!(root.settle(Duration::from_secs(10)));
    assert_eq!(Land::new(&root).prepare(later).1, Prepared::Fresh, "one nanosecond is a difference");
}

#[test]
fn kept_beside_file_is_found_again_by_a_retry() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "old").unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let keep = Offer { overwrite: Overwrite::KeepBoth, ..offer("f", 3) };
    land.land(keep.clone(), b"new").unwrap();
    let (stream, prepared) = land.prepare(keep.clone());
    assert_eq!(prepared, Prepared::SameMeta);
    assert_eq!(land.commit(stream).unwrap().path, path("f (1)"));
    let (stream, prepared) = land.prepare(Offer { compare: Compare::Content, ..keep });
    // Both have three bytes; only the root tells, and the sender decides.
    assert_eq!(prepared, Prepared::SameContent(Hash::of(b"old")));
    land.discard(stream, ft_core::storage::Keep::Nothing);
}

#[test]
fn same_content_is_stated_by_its_root_and_gets_the_offered_time() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = content(2 * MIB, 3);
    fs::write(dir.path().join("f"), &bytes).unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let compare = Offer { compare: Compare::Content, ..offer("f", bytes.len()) };
    let (stream, prepared) = land.prepare(compare.clone());
    assert_eq!(prepared, Prepared::SameContent(Hash::of(&bytes)));
    let ack = land.commit(stream).unwrap();
    assert_eq!((ack.root, ack.size), (Hash::of(&bytes), bytes.len() as u64));
    assert_eq!(mtime_of(&dir.path().join("f")), THEN);

    // The sender's is another: its content comes after all.
    let (stream, _) = land.prepare(compare.clone());
    let other = content(2 * MIB, 4);
    land.write_from(stream, 0, &other);
    assert_eq!(land.finish(stream, other.len()), Hash::of(&other));
    land.commit(stream).unwrap();
    assert!(fs::read(dir.path().join("f")).unwrap() == other);

    // It changed between the answer and the commit: no promise may be made about it.
    let (stream, _) = land.prepare(compare);
    fs::write(dir.path().join("f"), "x").unwrap();
    assert_eq!(code(land.commit(stream)), Code::Changed);
}

#[test]
fn sparse_file_stays_sparse_whether_or_not_it_was_reserved() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    for size in [Some(20 * MIB as u64), None] {
        let mut bytes = vec![0; 20 * MIB];
        bytes[4 * MIB..5 * MIB].copy_from_slice(&content(MIB, 7));
        let stream = land.fresh(Offer { compare: Compare::None, ..offer_at(path("sparse"), Kind::File, size) });
        land.hole(stream, 0, 4 * MIB as u64).unwrap();
        land.write(stream, 4 * MIB as u64, &bytes[4 * MIB..5 * MIB]).unwrap();
        land.hole(stream, 5 * MIB as u64, 15 * MIB as u64).unwrap();
        assert_eq!(land.finish(stream, bytes.len()), Hash::of(&bytes));
        land.commit(stream).unwrap();
        let file = dir.path().join("sparse");
        assert!(fs::read(&file).unwrap() == bytes);
        let stored = fs::metadata(&file).unwrap().blocks() * 512;
        assert!(stored <= 2 * MIB as u64, "{stored} bytes are stored for 1 MiB of data");
    }
}

#[test]
fn names_that_are_not_utf8_or_have_control_characters_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let odd = RelPath::new(vec![b"\xff\xfe".to_vec(), b"a\nb\x1b\\".to_vec()]).unwrap();
    let ack = land.land(offer_at(odd.clone(), Kind::File, Some(1)), b"x").unwrap();
    assert_eq!(ack.path, odd);
    let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff\xfe/a\nb\x1b\\");
    assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"x");
}

#[test]
fn dry_run_tells_what_would_happen_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("there"), "abc").unwrap();
    fs::File::open(dir.path().join("there")).unwrap().set_modified(mtime_as_time(THEN)).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let notes = std::sync::Arc::new(move |note| tell.lock().unwrap().send(note).unwrap());
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::with(&root, Policy { dry_run: true, notes: Some(notes), ..Policy::default() });
    for offer in [offer("new/x", 9 * MIB), offer("there", 3), offer("there", 4)] {
        let error = land.refused(offer);
        assert_eq!(error.code, Code::NotWanted);
        assert!(error.text.starts_with("dry run"), "{error}");
    }
    let keep = Offer { overwrite: Overwrite::KeepBoth, ..offer("there", 4) };
    land.refused(keep);
    assert_eq!(land.refused(Offer { overwrite: Overwrite::Never, ..offer("there", 4) }).code, Code::Exists);
    let would = [WouldLand::Create, WouldLand::Same, WouldLand::Replace, WouldLand::KeepBoth];
    let told: Vec<Note> = told.try_iter().collect();
    let names = ["new/x", "there", "there", "there"];
    assert_eq!(told, names.into_iter().zip(would).map(|(n, w)| Note::WouldLand(path(n), w)).collect::<Vec<_>>());
    drop(land);
    assert!(root.settle(Duration::from_secs(10)));
    assert_eq!(tree(dir.path()), ["there"]);
}

#[test]
fn filter_refuses_and_rename_rule_replaces_the_first_component() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let filter = Some(Filter::new(&[], &["*.tmp".to_owned()]).unwrap());
    let rename = Some(RenameRule { to: b"mine".to_vec() });
    let mut land = Land::with(&root, Policy { filter, rename, ..Policy::default() });
    assert_eq!(land.refused(offer("a/b.tmp", 1)).code, Code::NotWanted);
    assert_eq!(land.land(offer("a/b", 1), b"x").unwrap().path, path("mine/b"));
    assert_eq!(land.refused(offer("a", 1)).code, Code::WrongKind);
}

#[test]
fn file_without_a_stated_mode_gets_what_any_program_here_would_give() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("plain"), "made here").unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::new(&root);
    let mut bare = offer("bare", 3);
    bare.meta.mode = None;
    land.land(bare, b"abc").unwrap();
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().mode() & 0o777;
    assert_eq!(mode("bare"), mode("plain"));
}

/// From the ninth on they are closed until their commit, which opens them again for a sync of their own.
#[cfg(target_os = "linux")]
#[test]
fn many_files_that_wait_and_may_not_be_written_land_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    crate::owner::as_mere_owner(|| {
        let mut land = Land::new(&root);
        let streams: Vec<_> = (0..12)
            .map(|n| {
                let mut offer = offer(&format!("f{n}"), 3);
                offer.meta.mode = Some(0o444);
                let stream = land.fresh(offer);
                land.write(stream, 0, b"abc").unwrap();
                assert_eq!(land.finish(stream, 3), Hash::of(b"abc"));
                stream
            })
            .collect();
        streams.into_iter().for_each(|stream| drop(land.commit(stream).unwrap()));
    });
    for n in 0..12 {
        let file = dir.path().join(format!("f{n}"));
        assert_eq!((fs::metadata(&file).unwrap().mode() & 0o777, fs::read(file).unwrap()), (0o444, b"abc".to_vec()));
    }
}
