//! Hashing ahead of being asked: while the receiver decides about a large file, it most probably hashes what it has of it,
//! and will want the same of us as soon as it has said so. Both do it at the same time then, instead of one after the
//! other.
//!
//! Only until the first content is wanted: from then on the cores have better things to do. What is known by then is not
//! hashed again when the content is sent.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::SystemTime;

use ft_core::hash::{Subtree, TreeHasher};
use ft_core::limits::RESUME_UNIT;

use super::super::limits::{AHEAD_BYTES, AHEAD_FILES, AHEAD_TOGETHER};
use super::super::root::lock;
use super::super::sum;

/// The thread's entrance. Dropping it ends the thread.
pub(super) struct Ahead {
    queue: Arc<Queue>,
    running: bool,
    /// Content was wanted.
    over: bool,
}

struct Queue {
    state: Mutex<Waiting>,
    more: Condvar,
    /// The session has gone.
    abandoned: Arc<AtomicBool>,
}

#[derive(Default)]
struct Waiting {
    files: VecDeque<(File, Arc<Units>)>,
    current: Option<Arc<Units>>,
    closed: bool,
}

impl Waiting {
    fn end_all(&mut self) {
        self.current.iter().for_each(|units| units.stop());
        self.files.drain(..).for_each(|(_, units)| units.end());
    }
}

/// What is known of one file: the chaining values of its units, from the first on.
pub(super) struct Units {
    size: u64,
    /// When the file was opened: nothing of it was read before.
    pub(super) begun: SystemTime,
    known: Mutex<Known>,
    grown: Condvar,
    stopped: AtomicBool,
}

#[derive(Default)]
struct Known {
    units: Vec<Subtree>,
    /// No more will be known.
    ended: bool,
}

impl Ahead {
    pub(super) fn new(abandoned: Arc<AtomicBool>) -> Self {
        let queue = Queue { state: Mutex::default(), more: Condvar::new(), abandoned };
        Self { queue: Arc::new(queue), running: false, over: false }
    }

    /// Whether it is worth opening a file of this size for it.
    pub(super) fn wants(&self, size: u64) -> bool {
        !self.over && size > RESUME_UNIT && lock(&self.queue.state).files.len() < AHEAD_FILES
    }

    /// Starts to hash an open file, after those that were given before.
    pub(super) fn start(&mut self, file: File, size: u64) -> Option<Arc<Units>> {
        if !self.running {
            let queue = Arc::clone(&self.queue);
            std::thread::Builder::new().name("ft-ahead".to_owned()).spawn(move || queue.run()).ok()?;
            self.running = true;
        }
        let known = Mutex::new(Known::default());
        let (begun, grown, stopped) = (SystemTime::now(), Condvar::new(), AtomicBool::new(false));
        let units = Arc::new(Units { size, begun, known, grown, stopped });
        lock(&self.queue.state).files.push_back((file, Arc::clone(&units)));
        self.queue.more.notify_one();
        Some(units)
    }

    /// Content is wanted now: nothing more is hashed before somebody asks.
    pub(super) fn over(&mut self) {
        if !self.over {
            self.over = true;
            lock(&self.queue.state).end_all();
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let mut waiting = lock(&self.queue.state);
        waiting.closed = true;
        waiting.end_all();
        self.queue.more.notify_one();
    }
}

impl Queue {
    fn run(&self) {
        while let Some((file, units)) = self.next() {
            units.hash(&file, &self.abandoned);
            units.end();
        }
    }

    fn next(&self) -> Option<(File, Arc<Units>)> {
        let mut waiting = lock(&self.state);
        loop {
            waiting.current = None;
            if let Some((file, units)) = waiting.files.pop_front() {
                waiting.current = Some(Arc::clone(&units));
                return Some((file, units));
            }
            if waiting.closed {
                return None;
            }
            waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Units {
    fn hash(&self, file: &File, abandoned: &AtomicBool) {
        let go_on = || !self.stopped.load(Ordering::Relaxed) && !abandoned.load(Ordering::Relaxed);
        let end = self.size.saturating_sub(1).min(AHEAD_BYTES) / RESUME_UNIT * RESUME_UNIT;
        let mut at = 0;
        while at < end && go_on() {
            let until = end.min(at + AHEAD_TOGETHER);
            let Ok(found) = sum::units(file, at, until, &go_on) else { return };
            let mut known = lock(&self.known);
            known.units.extend(found.into_iter().map_while(|unit| unit));
            self.grown.notify_all();
            at = until;
            if known.units.len() as u64 * RESUME_UNIT != at {
                return;
            }
        }
    }

    fn end(&self) {
        lock(&self.known).ended = true;
        self.grown.notify_all();
    }

    /// Nobody needs more of it.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Adds to `hasher`, which stands at the beginning of a unit, what is known, and ends the rest.
    pub(super) fn settle(&self, hasher: &mut TreeHasher) {
        self.stop();
        let known = lock(&self.known);
        let from = usize::try_from(hasher.len() / RESUME_UNIT).unwrap_or(usize::MAX);
        known.units.get(from..).into_iter().flatten().for_each(|&unit| hasher.push_unit(unit));
    }

    /// Adds to `hasher`, which stands at the beginning of a unit, what is or becomes known, up to `end`.
    pub(super) fn add_to(&self, hasher: &mut TreeHasher, end: u64) {
        let mut known = lock(&self.known);
        loop {
            let wanted = |units: &[Subtree]| {
                let (from, to) = (hasher.len() / RESUME_UNIT, end / RESUME_UNIT);
                let range = usize::try_from(from).ok()?..usize::try_from(to).ok()?.min(units.len());
                units.get(range).map(<[Subtree]>::to_vec)
            };
            wanted(&known.units).into_iter().flatten().for_each(|unit| hasher.push_unit(unit));
            if known.ended || hasher.len() + RESUME_UNIT > end {
                return;
            }
            known = self.grown.wait(known).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
