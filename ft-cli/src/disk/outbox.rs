//! Completions on their way to a session, several at a time: a wake-up costs as much as writing a small file.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvError, TryRecvError};
use std::task::{Context, Poll};

use ft_core::carry::Bulk;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Completions sent at once at most, and bytes beside them, while there is more to do.
const MOST: usize = 64;
const MOST_BYTES: u64 = 256 * 1024;

type Completion<D> = (D, Option<Bulk>);

/// One thread's end: nothing waits here while the thread does.
#[derive(Debug)]
pub(super) struct Outbox<D> {
    session: UnboundedSender<Vec<Completion<D>>>,
    waiting: RefCell<Vec<Completion<D>>>,
    bytes: Cell<u64>,
}

impl<D> Clone for Outbox<D> {
    /// For another thread.
    fn clone(&self) -> Self {
        Self { session: self.session.clone(), waiting: RefCell::default(), bytes: Cell::new(0) }
    }
}

impl<D> Outbox<D> {
    pub(super) fn push(&self, completion: D, content: Option<Bulk>) {
        let bytes = self.bytes.get() + content.as_ref().map_or(0, Bulk::len);
        self.bytes.set(bytes);
        let count = {
            let mut waiting = self.waiting.borrow_mut();
            waiting.push((completion, content));
            waiting.len()
        };
        if count >= MOST || bytes >= MOST_BYTES {
            self.flush();
        }
    }

    /// To be called before anything that takes long, and before another thread may complete something later than this.
    pub(super) fn flush(&self) {
        self.bytes.set(0);
        let waiting = self.waiting.take();
        if !waiting.is_empty() {
            // Nobody listens any more only when the session has gone.
            drop(self.session.send(waiting));
        }
    }

    /// The next of a queue; what waits is sent before this thread waits.
    pub(super) fn next<T>(&self, queue: &Receiver<T>) -> Result<T, RecvError> {
        match queue.try_recv() {
            Ok(next) => Ok(next),
            Err(TryRecvError::Disconnected) => Err(RecvError),
            Err(TryRecvError::Empty) => {
                self.flush();
                queue.recv()
            }
        }
    }
}

impl<D> Drop for Outbox<D> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The session's end.
pub(super) struct Inbox<D> {
    threads: UnboundedReceiver<Vec<Completion<D>>>,
    ready: VecDeque<Completion<D>>,
}

impl<D> Inbox<D> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Completion<D>> {
        if self.ready.is_empty()
            && let Poll::Ready(Some(all)) = self.threads.poll_recv(cx)
        {
            self.ready.extend(all);
        }
        self.ready.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    /// A completion that no thread can give.
    pub(super) fn push(&mut self, completion: D, content: Option<Bulk>) {
        self.ready.push_back((completion, content));
    }
}

pub(super) fn pair<D>() -> (Outbox<D>, Inbox<D>) {
    let (session, threads) = unbounded_channel();
    let outbox = Outbox { session, waiting: RefCell::default(), bytes: Cell::new(0) };
    (outbox, Inbox { threads, ready: VecDeque::new() })
}
