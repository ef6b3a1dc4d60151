//! Hashing the beginnings of files beside everything else, in a thread of their own.
//!
//! - A *guess*: while the receiver decides about a large file, it most probably hashes what it has of it, and will want the
//!   same of us as soon as it has said so. Both do it at the same time then, instead of one after the other. Only until
//!   the first content is wanted: from then on the cores have better things to do. What is known by then is not hashed
//!   again when the content is sent.
//! - A *need*: a prefix that was kept and not stated by hashes (PROTOCOL §6.3). Both sides hash it while what follows is on
//!   its way, and whoever hashes that waits for it in the end.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::SystemTime;

use ft_core::hash::{Subtree, TreeHasher};
use ft_core::limits::RESUME_UNIT;

use super::limits::{AHEAD_BYTES, AHEAD_FILES, AHEAD_TOGETHER, HASH_TOGETHER};
use super::root::{Root, lock};
use super::sum;
use super::sys::{Stat, stat_file};

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
    /// Ends all that `which` says: at once what waits, soon what is being hashed.
    fn end(&mut self, which: impl Fn(&Arc<Units>) -> bool) {
        self.current.iter().filter(|units| which(units)).for_each(|units| units.stop());
        type Files = VecDeque<(Arc<File>, Arc<Units>)>;
        let (ended, left): (Files, Files) =
            std::mem::take(&mut self.files).into_iter().partition(|(_, units)| which(units));
        self.files = left;
        for (file, units) in ended {
            drop(file);
            units.end();
        }
    }
}

/// What is known of the beginning of one file.
pub(super) struct Units {
    /// When the file was opened: nothing of it was read before.
    pub(super) begun: SystemTime,
    known: Mutex<Known>,
    grown: Condvar,
    stopped: AtomicBool,
}

struct Known {
    /// Where it will end, in whole units.
    until: u64,
    what: What,
    /// No more will be known.
    ended: bool,
}

enum What {
    /// The chaining value of each unit, from the first on: nobody knows yet which of them will be asked for.
    Guess(Vec<Subtree>),
    /// All of them together, in the few values that state them, however many they are.
    Need(Box<TreeHasher>),
}

/// A prefix that may still be being hashed. Dropping it ends that.
pub(super) struct Prefix {
    /// `None` where no thread could be started: it is hashed when it is asked for.
    units: Option<Arc<Units>>,
    queue: Arc<Queue>,
    file: Arc<File>,
    len: u64,
    /// What the file must still be when all of it is hashed.
    unchanged: Option<Stat>,
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
        self.start(Arc::new(file), Units::new(until, What::Guess(Vec::new())))
    }

    /// Goes on, or starts, to hash the first `len` bytes, whole units, of an open file, which must be `unchanged` in the end.
    pub(super) fn need(
        &mut self,
        file: &Arc<File>,
        guess: Option<Arc<Units>>,
        len: u64,
        unchanged: Option<Stat>,
    ) -> Prefix {
        let units = match guess.map(|units| (units.need(len), units)) {
            Some((None, units)) => Some(units),
            // What was known when it was ended is not hashed again.
            Some((Some(known), _)) => self.start(Arc::clone(file), Units::new(len, What::Need(known))),
            None => self.start(Arc::clone(file), Units::new(len, What::Need(Box::default()))),
        };
        Prefix { units, queue: Arc::clone(&self.queue), file: Arc::clone(file), len, unchanged }
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
            lock(&self.queue.state).end(|units| units.is_guess());
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

/// Says that no more will be known, also where hashing panicked: somebody may be waiting.
struct Ends(Arc<Units>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Queue {
    fn run(&self) {
        while let Some((file, units)) = self.next() {
            let ends = Ends(Arc::clone(&units));
            units.hash(&file, &self.abandoned);
            // First the file, and its lock with it: who waits for the end may want to open it again.
            drop(file);
            drop(ends);
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

impl Known {
    /// Bytes of which something is known.
    fn len(&self) -> u64 {
        match &self.what {
            What::Guess(units) => units.len() as u64 * RESUME_UNIT,
            What::Need(hasher) => hasher.len(),
        }
    }

    fn push(&mut self, unit: Subtree) {
        let wanted = self.len() < self.until;
        match &mut self.what {
            What::Guess(units) => units.push(unit),
            // It may have become shorter meanwhile.
            What::Need(hasher) if wanted => hasher.push_unit(unit),
            What::Need(_) => {}
        }
    }
}

impl Units {
    fn new(until: u64, what: What) -> Self {
        Self {
            begun: SystemTime::now(),
            known: Mutex::new(Known { until, what, ended: false }),
            grown: Condvar::new(),
            stopped: AtomicBool::new(false),
        }
    }

    fn is_guess(&self) -> bool {
        matches!(lock(&self.known).what, What::Guess(_))
    }

    /// The first `len` bytes of a guess are needed now, and no more. If they are not known and will not be: what is.
    pub(super) fn need(&self, len: u64) -> Option<Box<TreeHasher>> {
        let mut known = lock(&self.known);
        known.until = len;
        if let What::Guess(units) = &mut known.what {
            let units = std::mem::take(units);
            known.what = What::Need(Box::default());
            units.into_iter().for_each(|unit| known.push(unit));
        }
        let going = !known.ended && !self.stopped.load(Ordering::Relaxed);
        match &known.what {
            What::Need(hasher) if hasher.len() <= len && (going || hasher.len() == len) => None,
            What::Need(hasher) if hasher.len() <= len => Some(hasher.clone()),
            // More was needed before than is now.
            What::Need(_) | What::Guess(_) => Some(Box::default()),
        }
    }

    fn hash(&self, file: &File, abandoned: &AtomicBool) {
        let go_on = || !self.stopped.load(Ordering::Relaxed) && !abandoned.load(Ordering::Relaxed);
        loop {
            let (at, until) = {
                let known = lock(&self.known);
                let step = if matches!(known.what, What::Need(_)) { HASH_TOGETHER } else { AHEAD_TOGETHER };
                (known.len(), known.until.min(known.len() + step))
            };
            if at >= until || !go_on() {
                return;
            }
            let Ok(found) = sum::units(file, at, until, &go_on) else { return };
            let mut known = lock(&self.known);
            let short = found.contains(&None);
            found.into_iter().map_while(|unit| unit).for_each(|unit| known.push(unit));
            self.grown.notify_all();
            if short {
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
        if let What::Guess(units) = &lock(&self.known).what {
            let from = usize::try_from(hasher.len() / RESUME_UNIT).unwrap_or(usize::MAX);
            units.get(from..).into_iter().flatten().for_each(|&unit| hasher.push_unit(unit));
        }
    }

    /// Adds to `hasher`, which stands at the beginning of a unit, what is or becomes known, up to `end`.
    pub(super) fn add_to(&self, hasher: &mut TreeHasher, end: u64) {
        let mut known = lock(&self.known);
        loop {
            let What::Guess(units) = &known.what else { return };
            let (from, to) = (hasher.len() / RESUME_UNIT, end / RESUME_UNIT);
            let to = usize::try_from(to).map_or(units.len(), |to| to.min(units.len()));
            let wanted = usize::try_from(from).ok().and_then(|from| units.get(from..to));
            wanted.into_iter().flatten().for_each(|&unit| hasher.push_unit(unit));
            if known.ended || hasher.len() + RESUME_UNIT > end {
                return;
            }
            known = self.grown.wait(known).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What is known of the first `len` bytes, which are needed, once that is all of them or no more comes.
    fn needed(&self, len: u64) -> TreeHasher {
        let known = lock(&self.known);
        let going = |known: &mut Known| !known.ended && known.len() < len;
        let known = self.grown.wait_while(known, going).unwrap_or_else(PoisonError::into_inner);
        match &known.what {
            What::Need(hasher) if hasher.len() <= len => TreeHasher::clone(hasher),
            What::Need(_) | What::Guess(_) => TreeHasher::new(),
        }
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({} bytes)", self.len)
    }
}

impl Prefix {
    /// How long it is, bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Waits until all of it is hashed.
    ///
    /// # Errors
    /// The file cannot be read, is shorter or another by now, or the session has gone.
    pub(super) fn hash(&self) -> io::Result<TreeHasher> {
        let mut hasher = self.units.as_ref().map_or_else(TreeHasher::new, |units| units.needed(self.len));
        let go_on = || !self.queue.abandoned.load(Ordering::Relaxed);
        // More follows, so no unit of it is the file's last.
        sum::hash_on(&self.file, &mut hasher, self.len, self.len + 1, &go_on)?;
        let changed = match &self.unchanged {
            Some(offered) => !offered.is_unchanged(&stat_file(&self.file)?),
            None => false,
        };
        if changed || hasher.len() != self.len { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(hasher) }
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        if let Some(units) = &self.units {
            lock(&self.queue.state).end(|other| Arc::ptr_eq(other, units));
            // The thread is at most a unit away from seeing it.
            if !std::thread::panicking() {
                units.wait();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn file_of(mibs: usize) -> (Arc<File>, Vec<u8>) {
        let bytes: Vec<u8> = (0..mibs * MIB).map(|i| (i / 1000).to_le_bytes()[0]).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (Arc::new(file), bytes)
    }

    fn stated(bytes: &[u8]) -> (u64, Vec<Subtree>) {
        let mut hasher = TreeHasher::new();
        hasher.update(bytes);
        hasher.prefix()
    }

    fn ahead() -> Ahead {
        Ahead::new(None, Arc::new(AtomicBool::new(false)))
    }

    #[test]
    fn guess_that_becomes_a_need_states_the_same_whenever_that_is() {
        let (file, bytes) = file_of(70);
        for (len, late) in [(1, false), (5, true), (64, false), (69, true)] {
            let mut ahead = ahead();
            let guess = ahead.guess(file.try_clone().unwrap(), 70 * MIB as u64).unwrap();
            if late {
                guess.wait();
            }
            let prefix = ahead.need(&file, Some(guess), (len * MIB) as u64, None);
            // A need goes on when content is wanted.
            ahead.over();
            assert_eq!(prefix.hash().unwrap().prefix(), stated(&bytes[..len * MIB]), "{len} MiB, late: {late}");
        }
    }

    #[test]
    fn what_a_guess_knew_when_it_was_ended_is_gone_on_with() {
        let (file, bytes) = file_of(8);
        let mut ahead = ahead();
        let guess = ahead.guess(file.try_clone().unwrap(), 5 * MIB as u64).unwrap();
        guess.wait();
        ahead.over();
        // The first 4 MiB are known, and may as well be something else by now.
        std::os::unix::fs::FileExt::write_all_at(&*file, &vec![0; 4 * MIB], 0).unwrap();
        let prefix = ahead.need(&file, Some(guess), 7 * MIB as u64, None);
        assert_eq!(prefix.hash().unwrap().prefix(), stated(&bytes[..7 * MIB]));
    }

    #[test]
    fn prefix_of_a_file_that_changed_or_became_shorter_is_none() {
        let (file, _) = file_of(8);
        let mut ahead = ahead();
        let offered = stat_file(&file).unwrap();
        let prefix = ahead.need(&file, None, 4 * MIB as u64, Some(offered));
        assert!(prefix.hash().is_ok());
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(prefix.hash().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        file.set_len(2 * MIB as u64).unwrap();
        let prefix = ahead.need(&file, None, 4 * MIB as u64, None);
        assert_eq!(prefix.hash().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn prefix_that_nobody_needs_any_more_waits_for_no_other() {
        let (file, bytes) = file_of(2);
        let long = tempfile::tempfile().unwrap();
        long.set_len(1 << 43).unwrap();
        let mut ahead = ahead();
        let first = ahead.need(&Arc::new(long), None, 1 << 43, None);
        let second = ahead.need(&file, None, MIB as u64, None);
        // It would take an hour.
        drop(second);
        drop(first);
        let third = ahead.need(&file, None, MIB as u64, None);
        assert_eq!(third.hash().unwrap().prefix(), stated(&bytes[..MIB]));
        drop(ahead);
        assert!(third.hash().is_ok(), "by itself, if need be");
    }
}
