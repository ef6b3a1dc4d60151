//! Hashing beside reading or writing: a second thread that the content of large files passes through on its way.
//!
//! Everything that must keep its order behind such content goes the same way, so one queue gives both the overlap and the
//! order that the contract of `Storage` and `Source` asks for. The queue needs no bound of its own: the session bounds the
//! content in flight.
//!
//! Content that is carried (see `carry`) does not come along: the thread reads it from its file, where it is in the page
//! cache still or will be needed next.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use ft_core::carry::{Bulk, Parcel};
use ft_core::hash::{Root, TreeHasher};
use ft_core::storage::Buf;

use super::ahead::Prefix;
use super::limits::HASH_STEP;
use super::outbox::Outbox;
use super::sys;

/// Makes the completion, given the root if it was asked for, or why the content could not be read.
pub(super) type Complete<D> = Box<dyn FnOnce(io::Result<Option<Root>>) -> D + Send>;

/// What to do, for the stream or item `key`, in order.
pub(super) enum Job<D> {
    /// Its hash stands here, and content comes from that offset on. What is hashed already is not hashed again. If it stands
    /// behind a prefix, that is needed in the end.
    Begin { key: u64, hasher: Box<TreeHasher>, offset: u64, prefix: Option<Prefix> },
    /// Hash, and complete.
    Bytes { key: u64, bytes: Buf, last: bool, complete: Complete<D> },
    /// Hash what is in the file from where the hash stands, and complete.
    Stored { key: u64, file: Arc<File>, parcel: Parcel, len: u64, last: bool, complete: Complete<D> },
    /// Hash that many zeros, and complete.
    Zeros { key: u64, len: u64, last: bool, complete: Complete<D> },
    /// Complete and pass the root on to whoever will need it, in this order.
    Finish { key: u64, complete: Complete<D>, tell: Sender<Root> },
    /// A completion that has to stay behind what came before.
    Pass(D, Option<Bulk>),
    /// No more of it.
    Forget(u64),
}

/// The thread's entrance. The thread ends when this is dropped and the queue is done.
pub(super) struct Hashing<D>(Sender<Job<D>>);

impl<D: Send + 'static> Hashing<D> {
    /// Starts the thread. `guard` is dropped when it ends.
    pub(super) fn start(done: Outbox<D>, guard: impl Send + 'static) -> io::Result<Self> {
        let (jobs, queue) = channel();
        std::thread::Builder::new().name("ft-hash".to_owned()).spawn(move || {
            let thread = Thread { done, hashers: BTreeMap::new(), window: None };
            thread.run(&queue);
            drop(guard);
        })?;
        Ok(Self(jobs))
    }

    pub(super) fn submit(&self, job: Job<D>) {
        // It only fails when the thread has panicked; then the session hears nothing and its own deadline ends it.
        drop(self.0.send(job));
    }
}

struct Thread<D> {
    done: Outbox<D>,
    /// What could not be read stays broken: its kind and text.
    hashers: BTreeMap<u64, Result<Standing, (io::ErrorKind, String)>>,
    /// What stored content is read through, small enough to stay in a core's own cache.
    window: Option<Buf>,
}

/// One hash, and up to where content has come.
#[derive(Default)]
struct Standing {
    hasher: Box<TreeHasher>,
    offset: u64,
    /// What is missing before it.
    prefix: Option<Prefix>,
}

impl Standing {
    /// Content of `len` bytes has come: so many of its first ones were hashed before it came.
    fn comes(&mut self, len: u64) -> u64 {
        let ahead = self.hasher.len().saturating_sub(self.offset).min(len);
        self.offset += len;
        ahead
    }

    /// The root of all of it.
    fn root(&mut self) -> io::Result<Root> {
        if let Some(prefix) = self.prefix.take() {
            self.hasher.join(&prefix.hash()?);
        }
        Ok(self.hasher.root())
    }
}

impl<D> Thread<D> {
    fn run(mut self, queue: &Receiver<Job<D>>) {
        while let Ok(job) = self.done.next(queue) {
            let (completion, content) = match job {
                Job::Begin { key, hasher, offset, prefix } => {
                    self.hashers.insert(key, Ok(Standing { hasher, offset, prefix }));
                    continue;
                }
                Job::Forget(key) => {
                    // A prefix takes a moment to end.
                    self.done.flush();
                    self.hashers.remove(&key);
                    continue;
                }
                Job::Bytes { key, bytes, last, complete } => {
                    let hashed = self.hash(key, last, |standing, _| {
                        let ahead = standing.comes(bytes.bytes().len() as u64);
                        let rest = usize::try_from(ahead).ok().and_then(|ahead| bytes.bytes().get(ahead..));
                        standing.hasher.update(rest.unwrap_or_default());
                        Ok(())
                    });
                    (complete(hashed), Some(Bulk::Bytes(bytes)))
                }
                Job::Stored { key, file, parcel, len, last, complete } => {
                    let hashed = self.hash(key, last, |standing, window| {
                        let ahead = standing.comes(len);
                        stored(&mut standing.hasher, window, &file, len - ahead)
                    });
                    (complete(hashed), Some(Bulk::Parcel(parcel)))
                }
                Job::Zeros { key, len, last, complete } => {
                    let hashed = self.hash(key, last, |standing, _| {
                        let ahead = standing.comes(len);
                        standing.hasher.update_zeros(len - ahead);
                        Ok(())
                    });
                    (complete(hashed), None)
                }
                Job::Finish { key, complete, tell } => {
                    let root = self.hash(key, true, |_, _| Ok(()));
                    self.hashers.remove(&key);
                    let known = root.as_ref().ok().copied().flatten();
                    self.done.push(complete(root), None);
                    self.done.flush();
                    if let Some(root) = known {
                        tell.send(root).ok();
                    }
                    continue;
                }
                Job::Pass(completion, content) => (completion, content),
            };
            self.done.push(completion, content);
        }
    }

    /// Goes on with one hash, unless it is broken.
    fn hash(
        &mut self,
        key: u64,
        last: bool,
        go_on: impl FnOnce(&mut Standing, &mut Option<Buf>) -> io::Result<()>,
    ) -> io::Result<Option<Root>> {
        let state = self.hashers.entry(key).or_insert_with(|| Ok(Standing::default()));
        let result = match state {
            Ok(standing) => go_on(standing, &mut self.window).and_then(|()| {
                if last && standing.prefix.is_some() {
                    // It may take a while.
                    self.done.flush();
                }
                last.then(|| standing.root()).transpose()
            }),
            Err((kind, text)) => return Err(io::Error::new(*kind, text.clone())),
        };
        if let Err(e) = &result {
            *state = Err((e.kind(), e.to_string()));
        }
        result
    }
}

/// Hashes the next `len` bytes of a file.
pub(super) fn stored(hasher: &mut TreeHasher, window: &mut Option<Buf>, file: &File, len: u64) -> io::Result<()> {
    let window = window.get_or_insert_with(|| Buf::with_capacity(HASH_STEP));
    let end = hasher.len() + len;
    while hasher.len() < end {
        window.clear();
        let room = usize::try_from(end - hasher.len()).map_or(HASH_STEP, |left| left.min(HASH_STEP));
        match sys::read_at(file, &mut window.spare()[..room], hasher.len()) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => window.advance(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        }
        hasher.update(window.bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::outbox;
    use super::*;

    fn stored_job(key: u64, file: &Arc<File>, len: u64, last: bool) -> Job<io::Result<Option<Root>>> {
        let parcel = Parcel { len, what: Box::new(()) };
        Job::Stored { key, file: Arc::clone(file), parcel, len, last, complete: Box::new(|hashed| hashed) }
    }

    /// The next `count` completions.
    fn drain<D>(mut inbox: outbox::Inbox<D>, count: usize) -> Vec<D> {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let mut all = Vec::new();
        while all.len() < count {
            if let std::task::Poll::Ready((done, _)) = inbox.poll(&mut cx) {
                all.push(done);
            }
        }
        all
    }

    #[test]
    fn content_that_was_hashed_before_it_came_is_not_hashed_again() {
        const MIB: usize = 1024 * 1024;
        let content: Vec<u8> = (0..3 * MIB).map(|i| (i / 1000).to_le_bytes()[0]).collect();
        let (mut here, mut rest) = (TreeHasher::new(), content.clone());
        here.update(&content[..2 * MIB]);
        // What was hashed is not looked at any more, so it may as well be something else.
        rest[..2 * MIB].fill(0);
        let (done, inbox) = outbox::pair();
        let hashing = Hashing::start(done, ()).unwrap();
        hashing.submit(Job::Begin { key: 1, hasher: Box::new(here), offset: 0, prefix: None });
        hashing.submit(Job::Zeros { key: 1, len: MIB as u64, last: false, complete: Box::new(|hashed| hashed) });
        // The second of them is half of it ahead, half of it new.
        for (piece, last) in [(&rest[MIB..MIB + MIB / 2], false), (&rest[MIB + MIB / 2..], true)] {
            let mut bytes = Buf::with_capacity(piece.len());
            bytes.spare()[..piece.len()].copy_from_slice(piece);
            bytes.advance(piece.len());
            hashing.submit(Job::Bytes { key: 1, bytes, last, complete: Box::new(|hashed| hashed) });
        }
        drop(hashing);
        let root = drain(inbox, 3).pop().unwrap().unwrap();
        assert_eq!(root, Some(Root::of(&content)));
    }

    #[test]
    fn stored_content_that_is_missing_breaks_its_hash_for_good_and_no_other() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abcdef").unwrap();
        let file = Arc::new(file);
        let (done, inbox) = outbox::pair();
        let hashing = Hashing::start(done, ()).unwrap();
        for (key, len, last) in [(1, 3, false), (2, 6, true), (1, 4, false), (1, 0, true)] {
            hashing.submit(stored_job(key, &file, len, last));
        }
        drop(hashing);
        let results: Vec<_> = drain(inbox, 4).into_iter().map(|result| result.map_err(|e| e.kind())).collect();
        let short = Err(io::ErrorKind::UnexpectedEof);
        assert_eq!(results, [Ok(None), Ok(Some(Root::of(b"abcdef"))), short, short]);
    }
}
