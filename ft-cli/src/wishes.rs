//! Options that neither the protocol nor the disk has: thin layers between a session and its storage or source.
//!
//! - `--no-resume`: what was kept is not stated, or not believed;
//! - `--compare` of a `get`: the wish travels in an OFFER, which the server makes, so it is put in where offers arrive;
//! - retries: what an earlier connection of a `get` dealt with is not taken again.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use ft_core::carry::Bulk;
use ft_core::error::{Code, FileError, Retry};
use ft_core::frame::{Compare, Kind};
use ft_core::storage::{Buf, LandDone, LandOp, Prepared, Source, SourceDone, SourceOp, Storage};

use crate::render::Tally;

/// Wishes of a client that receives.
#[derive(Clone)]
pub struct Wishes {
    /// Continue from what is there.
    pub resume: bool,
    /// How to tell that a file is there already.
    pub compare: Compare,
    /// What earlier connections achieved.
    pub tally: Tally,
}

/// A storage with wishes.
pub struct WishfulStorage<D> {
    inner: D,
    wishes: Wishes,
    ready: Ready<LandDone>,
}

/// A source with a wish.
pub struct WishfulSource<F> {
    inner: F,
    resume: bool,
    ready: Ready<SourceDone>,
}

/// Completions that need no inner work.
struct Ready<T> {
    queue: VecDeque<T>,
    waker: Option<Waker>,
}

impl<T> Ready<T> {
    fn new() -> Self {
        Self { queue: VecDeque::new(), waker: None }
    }

    /// The session may be asleep when it submits from outside its own poll: it is woken.
    fn push(&mut self, done: T) {
        self.queue.push_back(done);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn pop(&mut self, cx: &Context<'_>) -> Option<T> {
        self.waker = Some(cx.waker().clone());
        self.queue.pop_front()
    }
}

impl<D> WishfulStorage<D> {
    /// Puts `wishes` before `inner`.
    pub fn new(inner: D, wishes: Wishes) -> Self {
        Self { inner, wishes, ready: Ready::new() }
    }
}

impl<D: Storage> Storage for WishfulStorage<D> {
    fn submit(&mut self, op: LandOp, content: Option<Bulk>) {
        let LandOp::Prepare(stream, mut offer) = op else { return self.inner.submit(op, content) };
        // Not so a folder: whatever came into it since has changed its time.
        if offer.meta.kind != Kind::Folder && self.wishes.tally.is_done(&offer.meta.path) {
            let text = "an earlier connection has dealt with it";
            let refusal = FileError::new(Code::NotWanted, Retry::Never, text);
            return self.ready.push(LandDone::Prepared(stream, Prepared::Refused(refusal)));
        }
        offer.compare = self.wishes.compare;
        self.inner.submit(LandOp::Prepare(stream, offer), content);
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(LandDone, Option<Bulk>)> {
        if let Some(done) = self.ready.pop(cx) {
            return Poll::Ready((done, None));
        }
        self.inner.poll_done(cx).map(|(mut done, buf)| {
            if let LandDone::Prepared(_, prepared @ Prepared::Partial { .. }) = &mut done
                && !self.wishes.resume
            {
                // A first write at 0 drops what lies behind it, so the partial can be left unstated.
                *prepared = Prepared::Fresh;
            }
            (done, buf)
        })
    }
}

impl<F> WishfulSource<F> {
    /// Puts a wish before `inner`: to continue from what the receiver has.
    pub fn new(inner: F, resume: bool) -> Self {
        Self { inner, resume, ready: Ready::new() }
    }
}

impl<F: Source> Source for WishfulSource<F> {
    fn submit(&mut self, op: SourceOp, spare: Option<Buf>) {
        if let SourceOp::Check { item, .. } = op
            && !self.resume
        {
            // Nothing of the receiver's prefix is believed: PROTOCOL lets a sender that cannot check begin at 0.
            return self.ready.push(SourceDone::Checked(item, 0));
        }
        self.inner.submit(op, spare);
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(SourceDone, Option<Bulk>)> {
        match self.ready.pop(cx) {
            Some(done) => Poll::Ready((done, None)),
            None => self.inner.poll_done(cx),
        }
    }
}
