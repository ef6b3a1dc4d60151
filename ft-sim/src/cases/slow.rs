//! Files that take their time, and the pulse that keeps a peer patient meanwhile (ALIVE, PROTOCOL §5.8).
//!
//! A map in memory answers at once, so that with it no wake-up can be lost, no session ends while an offer is being
//! decided, and nobody need say that work goes on. A disk is not so kind.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ft_core::session::{Pulse, Tick};
use ft_core::storage::{Buf, LandDone, LandOp, Source, SourceDone, SourceOp, Storage};

use crate::ground::Time;

/// Longer than the silence that a peer bears.
const LONG: Duration = Duration::from_secs(70);

/// An operation that keeps nobody waiting.
const SHORT: Duration = Duration::from_millis(10);

/// Between two pulses.
const BEAT: Duration = Duration::from_secs(10);

/// Operations that wait for their turn: one after the other, each with its time.
pub(super) struct Slow<S, Op, T: Time> {
    inner: S,
    clock: T,
    /// Otherwise everything goes through at once.
    is_slow: bool,
    waiting: VecDeque<(Op, Option<Buf>)>,
    sleep: Option<T::Sleep>,
}

impl<S, Op, T: Time> Slow<S, Op, T> {
    pub(super) fn new(inner: S, clock: T, is_slow: bool) -> Self {
        Self { inner, clock, is_slow, waiting: VecDeque::new(), sleep: None }
    }

    /// The operation whose time has come.
    fn poll_turn(&mut self, cx: &mut Context<'_>, time: fn(&Op) -> Duration) -> Poll<Option<(Op, Option<Buf>)>> {
        let Some((op, _)) = self.waiting.front() else { return Poll::Ready(None) };
        let sleep = self.sleep.get_or_insert_with(|| self.clock.sleep(time(op)));
        if Pin::new(sleep).poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.sleep = None;
        Poll::Ready(self.waiting.pop_front())
    }
}

fn landing_time(op: &LandOp) -> Duration {
    match op {
        LandOp::Prepare(..) | LandOp::Finish(..) | LandOp::Commit(_) => LONG,
        LandOp::Write { .. } | LandOp::Hole { .. } | LandOp::Discard(..) => SHORT,
    }
}

fn reading_time(op: &SourceOp) -> Duration {
    match op {
        SourceOp::Next { .. } | SourceOp::Check { .. } | SourceOp::Hash(_) | SourceOp::Read { .. } => LONG,
        SourceOp::Open { .. } | SourceOp::Close(_) => SHORT,
    }
}

impl<S: Storage, T: Time> Storage for Slow<S, LandOp, T> {
    fn submit(&mut self, op: LandOp, content: Option<Buf>) {
        if self.is_slow { self.waiting.push_back((op, content)) } else { self.inner.submit(op, content) }
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(LandDone, Option<Buf>)> {
        loop {
            if let Poll::Ready(done) = self.inner.poll_done(cx) {
                return Poll::Ready(done);
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
        if self.is_slow { self.waiting.push_back((op, spare)) } else { self.inner.submit(op, spare) }
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(SourceDone, Option<Buf>)> {
        loop {
            if let Poll::Ready(done) = self.inner.poll_done(cx) {
                return Poll::Ready(done);
            }
            match self.poll_turn(cx, reading_time) {
                Poll::Ready(Some((op, spare))) => self.inner.submit(op, spare),
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
