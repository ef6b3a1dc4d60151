//! Measures what a program uses, all its processes together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::super::Breach;
use super::super::processes::{descendants, proportional};
use super::super::talk::Bounds;
use crate::limits::{JAIL_LOOK, JAIL_LOOK_CLOSE};

/// Looks until the program uses too much, keeping the most that was seen in `peak`. Never returns otherwise.
pub(super) fn watch(guard: i32, bounds: Bounds, peak: &AtomicU64) -> Breach {
    let mut doubtful = false;
    loop {
        let begun = Instant::now();
        let all = descendants(guard);
        let used: u64 = all.iter().map(|one| one.resident).sum();
        peak.fetch_max(used, Ordering::Relaxed);
        if all.len() > usize::try_from(bounds.processes).unwrap_or(usize::MAX) {
            return Breach::Processes;
        }
        // What forked processes share counts for each of them; only when that would be too much it is worth the time to
        // count right.
        if used > bounds.memory {
            let right: u64 = all.iter().map(|one| proportional(one.pid).unwrap_or(one.resident)).sum();
            // A little too much must be seen twice: while a process ends, what it shared is counted in part for it and in
            // full for the others.
            if right > bounds.memory / 4 * 5 || (doubtful && right > bounds.memory) {
                return Breach::Memory;
            }
            doubtful = right > bounds.memory;
            if doubtful {
                continue;
            }
        } else {
            doubtful = false;
        }
        let pause = if used > bounds.memory / 2 { JAIL_LOOK_CLOSE } else { JAIL_LOOK };
        // On a machine with thousands of processes a look takes long: it must not take a processor for itself.
        std::thread::sleep(pause.max(begun.elapsed().saturating_mul(4)).min(Duration::from_secs(1)));
    }
}
