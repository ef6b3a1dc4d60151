//! The sweep at moments that no schedule brings about on its own.

use std::fs;

#[cfg(target_os = "linux")]
use super::super::owner::as_mere_owner;
use super::super::root::Root;
use super::*;

/// A staging folder's partials, and where they are.
fn partials() -> (tempfile::TempDir, Dir) {
    let dir = tempfile::tempdir().unwrap();
    let partials = Dir::open_ambient(dir.path()).unwrap();
    (dir, partials)
}

#[test]
fn sweep_touches_nothing_of_a_partial_that_landed_before_it_had_the_lock() {
    let (dir, partials) = partials();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("p-1"), "short").unwrap();
    let (opened, writable) = open_there(&partials, b"p-1").unwrap();
    // Its owner is quicker, and the next session begins another.
    fs::rename(at("p-1"), at("landed")).unwrap();
    fs::write(at("p-1"), "new").unwrap();
    sweep_opened(&partials, b"p-1", &opened, writable).unwrap();
    assert_eq!((fs::read(at("landed")).unwrap(), fs::read(at("p-1")).unwrap()), (b"short".to_vec(), b"new".to_vec()));
    fs::remove_file(at("p-1")).unwrap();
    sweep_partial(&partials, b"p-1").unwrap_err();
    assert!(!at("p-1").exists(), "what is gone is not made again");
}

#[test]
fn sweep_takes_the_name_from_what_has_landed_by_a_second_one() {
    let (dir, partials) = partials();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("p-1"), vec![7; 2 << 20]).unwrap();
    fs::hard_link(at("p-1"), at("landed")).unwrap();
    sweep_partial(&partials, b"p-1").unwrap();
    assert!(!at("p-1").exists() && fs::read(at("landed")).unwrap() == vec![7; 2 << 20]);
}

#[test]
fn sweep_of_the_same_process_leaves_what_waits_with_its_file_closed() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let staging = root.staging().unwrap();
    let paths = [&b"waits"[..], b"nobody's"].map(|path| RelPath::parse(path).unwrap());
    let busy = root.take_name(&paths[0]).unwrap();
    let is_there = || paths.each_ref().map(|path| staging.partials.stat(&partial_name(path)).unwrap().is_some());
    paths.iter().for_each(|path| drop(staging.partials.create(&partial_name(path), 0o600).unwrap()));
    let long_ago = Instant::now().checked_sub(2 * SWEEP_EVERY).expect("a machine that has been up for hours");
    let sweep = || {
        *staging.swept.lock().unwrap() = long_ago;
        drop(root.staging().unwrap());
    };
    sweep();
    assert_eq!(is_there(), [true, false]);
    drop(busy);
    sweep();
    assert_eq!(is_there(), [false, false]);
}

#[cfg(target_os = "linux")]
#[test]
fn partials_that_may_not_be_written_are_swept_like_others() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, partials) = partials();
    let at = |name: &str| dir.path().join(name);
    for (name, len, mode) in [("p-1", 5, 0o444), ("p-2", 2 << 20, 0o444), ("p-3", 5, 0)] {
        fs::write(at(name), vec![7; len]).unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    as_mere_owner(|| {
        sweep_partial(&partials, b"p-1").unwrap();
        sweep_partial(&partials, b"p-2").unwrap();
        sweep_partial(&partials, b"p-3").unwrap();
    });
    let left = ["p-1", "p-2", "p-3"].map(|name| at(name).exists());
    assert_eq!(left, [false, true, true], "of what is not even readable, only time tells that it was left");
}
