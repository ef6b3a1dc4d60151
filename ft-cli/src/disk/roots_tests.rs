//! What the cache of roots finds, and above all what it must not find.

use super::super::sys::What;
use super::*;
use ft_core::frame::Mtime;

fn stat(inode: u64) -> Stat {
    Stat {
        what: What::File,
        size: 1 << 20,
        mtime: Mtime { secs: 1_000_000, nanos: 5 },
        mode: 0o644,
        stored: 1 << 20,
        device: 3,
        inode,
        linked: false,
        changed: (2_000_000, 7),
    }
}

fn root(n: u8) -> Root {
    Root([n; 32])
}

fn late() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(2_000_100)
}

#[test]
fn root_is_found_again_by_another_process_and_not_for_any_other_state_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/roots");
    let first = Roots::at(Some(path.clone()));
    assert_eq!(first.find(&stat(1)), None);
    first.remember(&stat(1), root(1), late());
    first.save();

    let second = Roots::at(Some(path));
    assert_eq!(second.find(&stat(1)), Some(root(1)));
    for other in [
        stat(2),
        Stat { device: 4, ..stat(1) },
        Stat { size: (1 << 20) + 1, ..stat(1) },
        Stat { mtime: Mtime { secs: 1_000_000, nanos: 6 }, ..stat(1) },
        Stat { changed: (2_000_000, 8), ..stat(1) },
        Stat { changed: (2_000_001, 7), ..stat(1) },
    ] {
        assert_eq!(second.find(&other), None, "{other:?}");
    }
}

#[test]
fn two_processes_that_end_one_after_the_other_both_leave_what_they_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("roots");
    let (one, two) = (Roots::at(Some(path.clone())), Roots::at(Some(path.clone())));
    one.remember(&stat(1), root(1), late());
    two.remember(&stat(2), root(2), late());
    one.save();
    two.save();
    let third = Roots::at(Some(path));
    assert_eq!((third.find(&stat(1)), third.find(&stat(2))), (Some(root(1)), Some(root(2))));
}

#[test]
fn file_that_changed_a_moment_before_it_was_read_is_not_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots::at(Some(dir.path().join("roots")));
    let changed = UNIX_EPOCH + Duration::new(2_000_000, 7);
    for begun in [UNIX_EPOCH, changed, changed + ROOTS_GRAIN - Duration::from_nanos(1)] {
        roots.remember(&stat(1), root(1), begun);
        assert_eq!(roots.find(&stat(1)), None, "{begun:?}");
    }
    roots.remember(&stat(1), root(1), changed + ROOTS_GRAIN);
    assert_eq!(roots.find(&stat(1)), Some(root(1)));
    // An old ctime does not help a file whose mtime lies in the future: it was set, and could be set again.
    let future = Stat { mtime: Mtime { secs: 9_000_000, nanos: 0 }, ..stat(2) };
    roots.remember(&future, root(2), late());
    assert_eq!(roots.find(&future), None);
}

#[test]
fn damaged_cut_or_foreign_file_is_no_cache_and_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("roots");
    let roots = Roots::at(Some(path.clone()));
    roots.remember(&stat(1), root(1), late());
    roots.save();
    let good = std::fs::read(&path).unwrap();
    assert_eq!(good.len(), MAGIC.len() + ENTRY + 32);
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut bad: Vec<Vec<u8>> = (0..good.len()).step_by(7).map(flipped).collect();
    bad.extend([0, 1, 40, good.len() - 1].map(|len| good[..len].to_vec()));
    bad.push(vec![0; MAGIC.len() + ROOTS_MOST * ENTRY + 33]);
    for bytes in bad {
        std::fs::write(&path, &bytes).unwrap();
        let damaged = Roots::at(Some(path.clone()));
        assert_eq!(damaged.find(&stat(1)), None);
        damaged.remember(&stat(2), root(2), late());
        damaged.save();
        assert_eq!(Roots::at(Some(path.clone())).find(&stat(2)), Some(root(2)));
    }
}

#[test]
fn cache_is_bounded_and_forgets_what_was_not_used_for_longest() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("roots");
    let roots = Roots::at(Some(path.clone()));
    for n in 1..=ROOTS_MOST as u64 + 10 {
        roots.remember(&stat(n), root(1), late());
    }
    assert!(roots.find(&stat(1)).is_some());
    roots.save();
    let again = Roots::at(Some(path));
    assert!(again.find(&stat(1)).is_some(), "it was used last");
    assert!((2..=11).all(|n| again.find(&stat(n)).is_none()));
    assert!(again.find(&stat(12)).is_some());
}

#[test]
fn small_files_and_files_without_a_number_are_not_kept_nor_is_anything_without_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots::at(Some(dir.path().join("roots")));
    for odd in [Stat { size: ROOTS_LEAST - 1, ..stat(1) }, stat(0), Stat { changed: (0, 0), ..stat(1) }] {
        roots.remember(&odd, root(1), late());
        assert_eq!(roots.find(&odd), None);
    }
    roots.save();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing to write, nothing written");
    let off = Roots::at(None);
    off.remember(&stat(1), root(1), late());
    off.save();
    assert_eq!(off.find(&stat(1)), None);
}
