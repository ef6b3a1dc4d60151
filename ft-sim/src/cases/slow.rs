//! Files that take their time, and the pulse that keeps a peer patient meanwhile (ALIVE, PROTOCOL §5.8).
//!
//! A map in memory answers at once, so that with it no wake-up can be lost, no session ends while an offer is being
//! decided, and nobody need say that work goes on. A disk is not so kind.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ft_core::carry::Bulk;
use ft_core::error::{Code, FileError, Retry};
use ft_core::session::{Pulse, Tick};
use ft_core::storage::{Buf, LandDone, LandOp, Source, SourceDone, SourceOp, Storage};

use crate::ground::Time;

/// Longer than the silence that a peer bears.
const LONG: Duration = Duration::from_secs(70);

/// An operation that keeps nobody waiting.
const SHORT: Duration = Duration::from_millis(10);

/// A read during which a peer has time to change its mind.
const READ: Duration = Duration::from_secs(1);

/// Which operations take their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// None: everything goes through at once.
    AtOnce,
    /// Reads alone.
    Reads,
    /// Reads alone, and the second one fails: a sector that cannot be read.
    Fails,
    /// None, and what is read is a hole, of which the end comes alone.
    Sparse,
    /// None, but the first stream cannot be landed, and the third cannot be written.
    BadDisk,
    /// Everything, and longer than the silence that a peer bears.
    Slow,
}

/// Between two pulses.
const BEAT: Duration = Duration::from_secs(10);

/// Operations that wait for their turn: one after the other, each with its time.
pub(super) struct Slow<S, Op, T: Time> {
    inner: S,
    clock: T,
    pace: Pace,
    /// Reads that came to their turn.
    reads: u32,
    waiting: VecDeque<(Op, Option<Bulk>)>,
    sleep: Option<T::Sleep>,
}

impl<S, Op, T: Time> Slow<S, Op, T> {
    pub(super) fn new(inner: S, clock: T, pace: Pace) -> Self {
        Self { inner, clock, pace, reads: 0, waiting: VecDeque::new(), sleep: None }
    }

    /// Counts a read, and says whether it is the one that fails.
    fn fails_now(&mut self) -> bool {
        self.reads += 1;
        self.pace == Pace::Fails && self.reads == 2
    }

    /// The operation whose time has come.
    fn poll_turn(&mut self, cx: &mut Context<'_>, time: fn(&Op, Pace) -> Duration) -> Poll<Option<(Op, Option<Bulk>)>> {
        let Some((op, _)) = self.waiting.front() else { return Poll::Ready(None) };
        let sleep = self.sleep.get_or_insert_with(|| self.clock.sleep(time(op, self.pace)));
        if Pin::new(sleep).poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.sleep = None;
        Poll::Ready(self.waiting.pop_front())
    }
}

fn landing_time(op: &LandOp, _: Pace) -> Duration {
    match op {
        LandOp::Prepare(..) | LandOp::Finish(..) | LandOp::Commit(_) => LONG,
        LandOp::Write { .. } | LandOp::Hole { .. } | LandOp::Discard(..) => SHORT,
    }
}

fn reading_time(op: &SourceOp, pace: Pace) -> Duration {
    if pace != Pace::Slow {
        return if matches!(op, SourceOp::Read { .. }) { READ } else { Duration::ZERO };
    }
    match op {
        SourceOp::Next { .. } | SourceOp::Check { .. } | SourceOp::Hash(_) | SourceOp::Read { .. } => LONG,
        SourceOp::Open { .. } | SourceOp::Close(_) => SHORT,
    }
}

/// What a disk makes of it that fails behind the rename of stream 1, and at every write of stream 3.
fn fail(done: LandDone) -> LandDone {
    let error = || FileError::new(Code::Io, Retry::Later, "input/output error");
    match done {
        LandDone::Landed(1, _) => LandDone::Failed(1, 0, error()),
        LandDone::Wrote(3, len) => LandDone::Failed(3, len, error()),
        LandDone::Prepared(..)
        | LandDone::Wrote(..)
        | LandDone::Finished(..)
        | LandDone::Step(..)
        | LandDone::Landed(..)
        | LandDone::Discarded(_)
        | LandDone::Failed(..) => done,
    }
}

/// The same content as a hole; its end is found by another read.
fn as_hole(done: SourceDone) -> SourceDone {
    match done {
        SourceDone::Content { item, offset, len, end } => {
            SourceDone::Hole { item, offset, len, end: end.filter(|_| len == 0) }
        }
        SourceDone::Entries { .. }
        | SourceDone::Checked(..)
        | SourceDone::Hashed(..)
        | SourceDone::Hole { .. }
        | SourceDone::Failed(..) => done,
    }
}

impl<S: Storage, T: Time> Storage for Slow<S, LandOp, T> {
    fn submit(&mut self, op: LandOp, content: Option<Bulk>) {
        match self.pace {
            Pace::AtOnce | Pace::Sparse | Pace::BadDisk => self.inner.submit(op, content),
            Pace::Reads | Pace::Fails | Pace::Slow => self.waiting.push_back((op, content)),
        }
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(LandDone, Option<Bulk>)> {
        loop {
            if let Poll::Ready((done, buf)) = self.inner.poll_done(cx) {
                let done = if self.pace == Pace::BadDisk { fail(done) } else { done };
                return Poll::Ready((done, buf));
            }
            match self.poll_turn(cx, landing_time) {
                Poll::Ready(Some((op, content))) => self.inner.submit(op, content),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S: Source, T: Time> Source for Slow<S, SourceOp, T> {
    fn submit(&mut self, op: SourceOp, spare: Option<Buf>) {
        match self.pace {
            Pace::AtOnce | Pace::Sparse | Pace::BadDisk => self.inner.submit(op, spare),
            Pace::Reads | Pace::Fails | Pace::Slow => self.waiting.push_back((op, spare.map(Bulk::Bytes))),
        }
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(SourceDone, Option<Bulk>)> {
        loop {
            if let Poll::Ready((done, buf)) = self.inner.poll_done(cx) {
                return Poll::Ready(if self.pace == Pace::Sparse { (as_hole(done), None) } else { (done, buf) });
            }
            match self.poll_turn(cx, reading_time) {
                Poll::Ready(Some((SourceOp::Read { item, .. }, spare))) if self.fails_now() => {
                    let error = FileError::new(Code::Io, Retry::Never, "a sector cannot be read");
                    return Poll::Ready((SourceDone::Failed(item, error), spare));
                }
                Poll::Ready(Some((op, spare))) => self.inner.submit(op, spare.and_then(Bulk::into_bytes)),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// A pulse every ten seconds, if there is one.
pub(super) struct Beat<T: Time> {
    clock: T,
    sleep: Option<T::Sleep>,
}

impl<T: Time> Beat<T> {
    pub(super) fn new(clock: T, beats: bool) -> Self {
        let sleep = beats.then(|| clock.sleep(BEAT));
        Self { clock, sleep }
    }
}

impl<T: Time> Pulse for Beat<T> {
    fn poll_pulse(&mut self, cx: &mut Context<'_>) -> Poll<Tick> {
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        if Pin::new(sleep).poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.sleep = Some(self.clock.sleep(BEAT));
        Poll::Ready(Tick::Alive)
    }
}
