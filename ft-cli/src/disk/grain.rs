//! How much of a time a file system keeps, asked of it: FAT counts in 2 s, exFAT in 10 ms, others in what their entries hold.

use std::io;
use std::sync::{Arc, Mutex};

use ft_core::frame::Mtime;

use super::root::lock;
use super::staging::Staging;
use super::sys;

/// Nanoseconds that file systems count times in, from the finest.
const GRAINS: [i128; 7] = [1, 100, 1_000, 1_000_000, 10_000_000, 1_000_000_000, 2_000_000_000];

/// A time that shows each of them: it is a multiple of none but the first, and odd.
const ASKED: Mtime = Mtime { secs: 1_000_000_001, nanos: 123_456_789 };

/// What the file system of one root counts in; asked when it first matters.
#[derive(Debug, Default)]
pub(super) struct Grain(Mutex<Option<i128>>);

impl Grain {
    /// Whether a file that was given the time `wanted` may show `kept`. Without `staging` to ask in, and with nothing known
    /// yet, only if they are equal.
    pub(super) fn same(
        &self,
        wanted: Mtime,
        kept: Mtime,
        staging: Option<impl FnOnce() -> io::Result<Arc<Staging>>>,
    ) -> bool {
        if wanted == kept || !GRAINS.iter().any(|&grain| becomes(wanted, kept, grain)) {
            return wanted == kept;
        }
        let mut known = lock(&self.0);
        if let (None, Some(staging)) = (*known, staging) {
            // Where nothing can be made, nothing can be replaced either: it stays unknown.
            *known = staging().and_then(|staging| ask(&staging)).ok();
        }
        known.is_some_and(|grain| becomes(wanted, kept, grain))
    }
}

/// Whether the one, rounded down or up, is the other.
fn becomes(wanted: Mtime, kept: Mtime, grain: i128) -> bool {
    let nanos = |time: Mtime| i128::from(time.secs) * 1_000_000_000 + i128::from(time.nanos);
    nanos(kept) % grain == 0 && (nanos(wanted) - nanos(kept)).abs() < grain
}

/// Gives a file a time and looks what is left of it.
fn ask(staging: &Staging) -> io::Result<i128> {
    let name = staging.fresh_name()?;
    let file = staging.own.create(&name, sys::PRIVATE)?;
    let kept = sys::set_file_meta(&file, None, Some(ASKED)).and_then(|()| sys::stat_file(&file));
    drop(file);
    staging.own.remove_file(&name)?;
    let kept = kept?.mtime;
    // One that keeps something else altogether is not understood: equal times only.
    Ok(GRAINS.into_iter().find(|&grain| becomes(ASKED, kept, grain)).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::super::Root;
    use super::*;

    fn at(secs: i64, nanos: u32) -> Mtime {
        Mtime { secs, nanos }
    }

    #[test]
    fn each_grain_is_known_by_what_it_leaves_of_a_time() {
        let cases = [
            (1, at(1_000_000_001, 123_456_789)),
            (100, at(1_000_000_001, 123_456_700)),
            (100, at(1_000_000_001, 123_456_800)),
            (1_000, at(1_000_000_001, 123_456_000)),
            (1_000_000, at(1_000_000_001, 123_000_000)),
            (10_000_000, at(1_000_000_001, 120_000_000)),
            (1_000_000_000, at(1_000_000_001, 0)),
            (2_000_000_000, at(1_000_000_000, 0)),
        ];
        for (grain, kept) in cases {
            assert_eq!(GRAINS.into_iter().find(|&grain| becomes(ASKED, kept, grain)), Some(grain), "{kept:?}");
        }
        assert!(!GRAINS.iter().any(|&grain| becomes(ASKED, at(1_700_000_000, 5), grain)), "its own idea of a time");
    }

    #[test]
    fn time_is_the_same_only_as_far_as_the_file_system_counts() {
        let none = || -> Option<fn() -> io::Result<Arc<Staging>>> { None };
        let counts_in = |grain| Grain(Mutex::new(Some(grain)));
        // Offered, shown, and the finest grain that explains it.
        let cases = [
            (at(7, 999_999_999), at(7, 999_999_900), 100),
            (at(7, 5), at(7, 0), 100),
            (at(7, 123_456_789), at(7, 120_000_000), 10_000_000),
            (at(7, 995_000_000), at(8, 0), 10_000_000),
            (at(7, 123_456_789), at(7, 0), 1_000_000_000),
            (at(7, 123_456_789), at(6, 0), 2_000_000_000),
            (at(-1, 500_000_000), at(-2, 0), 2_000_000_000),
        ];
        for (wanted, kept, finest) in cases {
            for grain in GRAINS {
                let explains = grain >= finest && becomes(wanted, kept, grain);
                assert_eq!(counts_in(grain).same(wanted, kept, none()), explains, "{wanted:?} {kept:?} {grain}");
            }
            assert!(counts_in(finest).same(wanted, kept, none()), "{wanted:?} {kept:?}");
            assert!(!Grain::default().same(wanted, kept, none()), "who may not ask does not guess");
        }
        // A file that was shown between two grains was not stored by this file system from that offer.
        assert!(!counts_in(2_000_000_000).same(at(7, 1), at(7, 0), none()));
        assert!(!counts_in(1_000_000_000).same(at(7, 0), at(8, 0), none()));
    }

    #[test]
    fn file_system_is_asked_once_and_only_where_it_matters() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let grain = Grain::default();
        assert!(grain.same(at(7, 1), at(7, 1), Some(|| panic!("equal"))));
        assert!(!grain.same(at(7, 1), at(9, 1), Some(|| panic!("too far apart"))));
        grain.same(at(7, 1), at(7, 0), Some(|| root.staging()));
        assert!(lock(&grain.0).is_some());
        grain.same(at(7, 1), at(7, 0), Some(|| panic!("known")));
        drop(root);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left of the question");
    }
}
