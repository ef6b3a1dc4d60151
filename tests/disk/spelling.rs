//! Names that some system takes for one, where they must be apart on every system, on a file system that keeps them apart;
//! `tests/faults/images.rs` has one that joins them.

use std::fs;

use ft_cli::disk::{Names, Policy, Root};
use ft_core::error::Code;
use ft_core::frame::{Kind, Offer, Overwrite};
use ft_core::storage::{Keep, Prepared};

use crate::harness::{Land, offer, offer_at, path, tree};

fn portable() -> Policy {
    Policy { names: Names::Portable, ..Policy::default() }
}

#[test]
fn name_that_is_there_in_another_spelling_is_refused_by_the_name_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("Docs")).unwrap();
    fs::write(dir.path().join("README"), "old").unwrap();
    fs::write(dir.path().join("caf\u{e9}"), "old").unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::with(&root, portable());
    for (name, other) in [
        ("readme", "README"),
        ("cafe\u{301}", "caf\u{e9}"),
        ("CAF\u{c9}", "caf\u{e9}"),
        ("docs/new", "Docs"),
        ("docs/deep/new", "Docs"),
        ("RE\u{200b}ADME/new", "README"),
    ] {
        for overwrite in [Overwrite::Replace, Overwrite::Never] {
            let error = land.refused(Offer { overwrite, ..offer(name, 3) });
            assert_eq!(error.code, Code::Exists, "{name}: {error}");
            let want = format!("{other} is there, and other systems take the two names for one");
            assert!(error.text.ends_with(&want), "{name}: {error}");
        }
    }
    assert_eq!(land.refused(offer_at(path("DOCS"), Kind::Folder, Some(0))).code, Code::Exists);
    for name in ["README", "caf\u{e9}", "Docs/new", "Docs/README"] {
        land.land(offer(name, 3), b"new").unwrap();
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"new");
    }
}

/// Neither is there when both are offered: what lands first wins.
#[test]
fn of_two_spellings_on_their_way_the_second_to_land_is_refused_whoever_sends_them_and_wherever_they_meet() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    let root = Root::open(dir.path()).unwrap();
    // The folder of a key lies within that of another.
    let inner = root.beneath(&path("in")).unwrap();
    let (mut one, mut two) = (Land::with(&root, portable()), Land::with(&inner, portable()));
    for (first, second, landed) in
        [("in/README", "readme", vec!["README"]), ("in/Docs/a", "docs/b", vec!["Docs/", "Docs/a", "README"])]
    {
        let streams = (one.fresh(offer(first, 3)), two.fresh(offer(second, 3)));
        one.write(streams.0, 0, b"one").unwrap();
        one.finish(streams.0, 3);
        two.write(streams.1, 0, b"two").unwrap();
        two.finish(streams.1, 3);
        one.commit(streams.0).unwrap();
        let Err(error) = two.commit(streams.1) else { panic!("{second} has landed beside {first}") };
        assert!(error.text.contains("is there, and other systems take"), "{error}");
        two.discard(streams.1, Keep::Nothing);
        let mut there = tree(&dir.path().join("in"));
        there.retain(|name| !name.starts_with(".ft-staging"));
        assert_eq!(there, landed);
    }
}

/// Each of two sessions lands its own spelling of each name as fast as it can.
#[test]
fn of_two_spellings_that_land_at_the_same_moment_exactly_one_is_there() {
    const NAMES: usize = 400;
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let start = std::sync::Barrier::new(2);
    let landed: usize = std::thread::scope(|scope| {
        let session = |spelled: fn(usize) -> String| {
            let (root, start) = (&root, &start);
            move || {
                let mut land = Land::with(root, portable());
                let mut landed = 0;
                for n in 0..NAMES {
                    let cached = Offer { level: ft_core::frame::Level::Cached, ..offer(&spelled(n), 1) };
                    let (stream, prepared) = land.prepare(cached);
                    start.wait();
                    if prepared != Prepared::Fresh {
                        continue;
                    }
                    land.write(stream, 0, b"x").unwrap();
                    land.finish(stream, 1);
                    match land.commit(stream) {
                        Ok(_) => landed += 1,
                        Err(_) => land.discard(stream, Keep::Nothing),
                    }
                }
                landed
            }
        };
        let small = scope.spawn(session(|n| format!("d{n}/name")));
        // In turn the folder and the file are spelled otherwise.
        let large = scope.spawn(session(|n| if n % 2 == 0 { format!("D{n}/name") } else { format!("d{n}/NAME") }));
        small.join().unwrap() + large.join().unwrap()
    });
    assert_eq!(landed, NAMES);
    for n in 0..NAMES {
        let names: Vec<_> = ["d", "D"].into_iter().filter(|d| dir.path().join(format!("{d}{n}")).exists()).collect();
        assert_eq!(names.len(), 1, "{n}");
        assert_eq!(fs::read_dir(dir.path().join(format!("{}{n}", names[0]))).unwrap().count(), 1, "{n}");
    }
}

#[test]
fn with_keep_both_another_spelling_gets_a_number_that_no_other_spelling_has() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["NOTES.txt", "Notes (1).TXT", "notes (3).txt"] {
        fs::write(dir.path().join(name), "old").unwrap();
    }
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::with(&root, portable());
    let both = Offer { overwrite: Overwrite::KeepBoth, ..offer("notes.txt", 3) };
    assert_eq!(land.land(both.clone(), b"new").unwrap().path, path("notes (2).txt"));
    assert_eq!(land.land(both, b"new").unwrap().path, path("notes (4).txt"));
}

#[test]
fn spelling_that_is_gone_is_free_for_another_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::with(&root, portable());
    let stream = land.fresh(offer("new/README", 3));
    land.discard(stream, Keep::Nothing);
    land.land(offer("New/readme", 3), b"new").unwrap();
    fs::remove_file(dir.path().join("New/readme")).unwrap();
    land.land(offer("New/Readme", 3), b"new").unwrap();
    assert_eq!(tree(&dir.path().join("New")), ["Readme"]);
}

#[test]
fn names_that_windows_cannot_store_are_refused_with_the_reason_and_only_where_that_matters() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::with(&root, portable());
    for (name, why) in
        [("con/new", "con is the name of a device"), ("a:b", "a:b has a character"), ("new.", "new. ends in a dot")]
    {
        let error = land.refused(offer(name, 3));
        assert_eq!(error.code, Code::BadName);
        assert!(error.text.contains(why), "{error}");
    }
    let mut here = Land::new(&root);
    for name in ["con/new", "a:b", "new.", "README", "readme"] {
        here.land(offer(name, 3), b"new").unwrap();
    }
    drop((land, here));
    assert!(root.settle(std::time::Duration::from_secs(60)));
    drop(root);
    assert_eq!(tree(dir.path()), ["README", "a:b", "con/", "con/new", "new.", "readme"]);
}

#[test]
fn thousands_of_names_land_in_one_folder_and_each_of_their_twins_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut land = Land::with(&root, portable());
    let cached = |name: &str| Offer { level: ft_core::frame::Level::Cached, ..offer(name, 1) };
    for n in 0..1_000 {
        land.land(cached(&format!("all/Name{n}")), b"x").unwrap();
    }
    for n in 0..1_000 {
        assert_eq!(land.refused(cached(&format!("all/name{n}"))).code, Code::Exists);
    }
}
