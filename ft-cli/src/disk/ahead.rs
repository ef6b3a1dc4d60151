//! Hashing the beginnings of files beside everything else, in a thread of their own.
//!
//! - A *guess*: while the receiver decides about a large file, it most probably hashes what it has of it, and will want the
//!   same of us as soon as it has said so. Both do it at the same time then, instead of one after the other. Only until
//!   the first content is wanted: from then on the cores have better things to do. What is known by then is not hashed
//!   again when the content is sent.
//! - A *need*: a prefix that was kept and not stated by hashes (PROTOCOL §6.3). Both sides hash it while what follows is on
//!   its way, and whoever hashes that waits for it in the end.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::SystemTime;

use ft_core::hash::{Subtree, TreeHasher};
use ft_core::limits::RESUME_UNIT;

use super::limits::{AHEAD_BYTES, AHEAD_FILES, AHEAD_TOGETHER};
use super::root::{Root, lock};
use super::sum;

/// The thread's entrance. Dropping it ends the thread.
pub(super) struct Ahead {
    queue: Arc<Queue>,
    /// Where files land: it is in use as long as the thread runs.
    root: Option<Arc<Root>>,
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
    files: VecDeque<(Arc<File>, Arc<Units>)>,
    current: Option<Arc<Units>>,
    closed: bool,
}

impl Waiting {
    /// Ends all that `which` says.
    fn end(&mut self, which: impl Fn(&Units) -> bool) {
        self.current.iter().filter(|units| which(units)).for_each(|units| units.stop());
        self.files.retain(|(_, units)| {
            let ends = which(units);
            if ends {
                units.end();
            }
            !ends
        });
    }
}

/// What is known of one file: the chaining values of its units, from the first on.
pub(super) struct Units {
    /// Where the last of them ends.
    until: AtomicU64,
    /// They are hashed even when content is wanted.
    needed: AtomicBool,
    /// When the file was opened: nothing of it was read before.
    pub(super) begun: SystemTime,
    known: Mutex<Known>,
    grown: Condvar,
    stopped: AtomicBool,
}

/// A prefix that may still be being hashed. Dropping it ends that.
pub(super) struct Prefix {
    /// `None` where no thread could be started: it is hashed when it is asked for.
    units: Option<Arc<Units>>,
    file: Arc<File>,
    len: u64,
    abandoned: Arc<AtomicBool>,
}

#[derive(Default)]
struct Known {
    units: Vec<Subtree>,
    /// No more will be known.
    ended: bool,
}

impl Ahead {
    pub(super) fn new(root: Option<Arc<Root>>, abandoned: Arc<AtomicBool>) -> Self {
        let queue = Queue { state: Mutex::default(), more: Condvar::new(), abandoned };
        Self { queue: Arc::new(queue), root, running: false, over: false }
    }

    /// Whether it is worth opening a file of this size for it.
    pub(super) fn wants(&self, size: u64) -> bool {
        !self.over && size > RESUME_UNIT && lock(&self.queue.state).files.len() < AHEAD_FILES
    }

    /// Starts to hash an open file, after those that were given before.
    pub(super) fn guess(&mut self, file: File, size: u64) -> Option<Arc<Units>> {
        // The last unit of a file is hashed in another way, and none may be it.
        let until = size.saturating_sub(1).min(AHEAD_BYTES) / RESUME_UNIT * RESUME_UNIT;
        self.start(Arc::new(file), Units::new(until, false))
    }

    /// Goes on, or starts, to hash the first `len` bytes, whole units, of an open file.
    pub(super) fn need(&mut self, file: &Arc<File>, begun: Option<Arc<Units>>, len: u64) -> Prefix {
        let units = begun.filter(|units| units.need(len));
        let units = units.or_else(|| self.start(Arc::clone(file), Units::new(len, true)));
        Prefix { units, file: Arc::clone(file), len, abandoned: Arc::clone(&self.queue.abandoned) }
    }

    fn start(&mut self, file: Arc<File>, units: Units) -> Option<Arc<Units>> {
        if !self.running {
            let queue = Arc::clone(&self.queue);
            let working = self.root.as_ref().map(|root| root.work());
            let run = move || {
                queue.run();
                drop(working);
            };
            std::thread::Builder::new().name("ft-ahead".to_owned()).spawn(run).ok()?;
            self.running = true;
        }
        let units = Arc::new(units);
        lock(&self.queue.state).files.push_back((file, Arc::clone(&units)));
        self.queue.more.notify_one();
        Some(units)
    }

    /// Content is wanted now: nothing more is hashed that nobody asked for.
    pub(super) fn over(&mut self) {
        if !self.over {
            self.over = true;
            lock(&self.queue.state).end(|units| !units.needed.load(Ordering::Relaxed));
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let mut waiting = lock(&self.queue.state);
        waiting.closed = true;
        waiting.end(|_| true);
        self.queue.more.notify_one();
    }
}

impl Queue {
    fn run(&self) {
        while let Some((file, units)) = self.next() {
            units.hash(&file, &self.abandoned);
            // First the file, and its lock with it: who waits for the end may want to open it again.
            drop(file);
            units.end();
        }
    }

    fn next(&self) -> Option<(Arc<File>, Arc<Units>)> {
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
    fn new(until: u64, needed: bool) -> Self {
        Self {
            until: AtomicU64::new(until),
            needed: AtomicBool::new(needed),
            begun: SystemTime::now(),
            known: Mutex::default(),
            grown: Condvar::new(),
            stopped: AtomicBool::new(false),
        }
    }

    /// The first `len` bytes are needed now, and no more. False if they are not known and will not be.
    pub(super) fn need(&self, len: u64) -> bool {
        let known = lock(&self.known);
        self.until.store(len, Ordering::Relaxed);
        self.needed.store(true, Ordering::Relaxed);
        let going = !known.ended && !self.stopped.load(Ordering::Relaxed);
        going || known.units.len() as u64 * RESUME_UNIT >= len
    }

    fn hash(&self, file: &File, abandoned: &AtomicBool) {
        let go_on = || !self.stopped.load(Ordering::Relaxed) && !abandoned.load(Ordering::Relaxed);
        let mut at = 0;
        while at < self.until.load(Ordering::Relaxed) && go_on() {
            let until = self.until.load(Ordering::Relaxed).min(at + AHEAD_TOGETHER);
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

    /// Waits until nothing more is read of the file.
    fn wait(&self) {
        let known = lock(&self.known);
        drop(self.grown.wait_while(known, |known| !known.ended).unwrap_or_else(PoisonError::into_inner));
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

impl Prefix {
    /// Waits until all of it is hashed.
    ///
    /// # Errors
    /// The file cannot be read, is shorter, or the session has gone.
    pub(super) fn hash(&self) -> io::Result<TreeHasher> {
        let mut hasher = TreeHasher::new();
        if let Some(units) = &self.units {
            units.add_to(&mut hasher, self.len);
        }
        // More follows, so no unit of it is the file's last.
        sum::hash_on(&self.file, &mut hasher, self.len, self.len + 1, &|| !self.abandoned.load(Ordering::Relaxed))?;
        if hasher.len() == self.len { Ok(hasher) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        if let Some(units) = &self.units {
            units.stop();
            units.wait();
        }
    }
}
