//! Hashing beside reading or writing: a second thread that the content of large files passes through on its way.
//!
//! Everything that must keep its order behind such content goes the same way, so one queue gives both the overlap and the
//! order that the contract of `Storage` and `Source` asks for. The queue needs no bound of its own: the session bounds the
//! content in flight.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use ft_core::hash::{Root, TreeHasher};
use ft_core::storage::Buf;

use super::outbox::Outbox;

/// Makes the completion, given the root if it was asked for.
pub(super) type Complete<D> = Box<dyn FnOnce(Option<Root>) -> D + Send>;

/// What to do, for the stream or item `key`, in order.
pub(super) enum Job<D> {
    /// Its hash goes on from here.
    Begin(u64, Box<TreeHasher>),
    /// Hash, and complete.
    Bytes { key: u64, bytes: Buf, last: bool, complete: Complete<D> },
    /// Hash that many zeros, and complete.
    Zeros { key: u64, len: u64, last: bool, complete: Complete<D> },
    /// Complete and pass the root on to whoever will need it, in this order.
    Finish { key: u64, complete: Complete<D>, tell: Sender<Root> },
    /// A completion that has to stay behind what came before.
    Pass(D, Option<Buf>),
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
            run(&queue, &done);
            drop(guard);
        })?;
        Ok(Self(jobs))
    }

    pub(super) fn submit(&self, job: Job<D>) {
        // It only fails when the thread has panicked; then the session hears nothing and its own deadline ends it.
        drop(self.0.send(job));
    }
}

fn run<D>(queue: &Receiver<Job<D>>, done: &Outbox<D>) {
    let mut hashers: BTreeMap<u64, Box<TreeHasher>> = BTreeMap::new();
    while let Ok(job) = done.next(queue) {
        let (completion, buf) = match job {
            Job::Begin(key, hasher) => {
                hashers.insert(key, hasher);
                continue;
            }
            Job::Forget(key) => {
                hashers.remove(&key);
                continue;
            }
            Job::Bytes { key, bytes, last, complete } => {
                let hasher = hashers.entry(key).or_default();
                hasher.update(bytes.bytes());
                (complete(last.then(|| hasher.root())), Some(bytes))
            }
            Job::Zeros { key, len, last, complete } => {
                let hasher = hashers.entry(key).or_default();
                hasher.update_zeros(len);
                (complete(last.then(|| hasher.root())), None)
            }
            Job::Finish { key, complete, tell } => {
                let root = hashers.remove(&key).unwrap_or_default().root();
                done.push(complete(Some(root)), None);
                done.flush();
                tell.send(root).ok();
                continue;
            }
            Job::Pass(completion, buf) => (completion, buf),
        };
        done.push(completion, buf);
    }
}
