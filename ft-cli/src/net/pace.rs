//! `--rate`: how many bytes may go now, and that they went.
//!
//! A [`Meter`] is the limit itself, shared by all connections that it is to bound together. A [`Pace`] is one connection's
//! place at it. Whoever moves bytes asks [`Pace::poll_allowed`] first and tells [`Pace::went`] afterwards; streams do so in
//! [`super::Deadline`], and so can anything that moves bytes past the stream.
//!
//! ```text
//!   time at the rate  ---[ a: slice ][ b: slice ][ a: slice ]--->     a slice is booked behind all others,
//!                                   ^ now                             and may be used from its beginning on
//! ```
//!
//! Slices are booked one behind the other, so connections take turns however many they are, and a timer that fires late
//! delays bytes but loses none of the rate.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::limits::{RATE_CREDIT, RATE_SLICE, RATE_SLICE_BYTES};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the peer.
    In,
    /// To the peer.
    Out,
}

/// A limit in bytes a second, for each way on its own.
#[derive(Clone, Debug)]
pub struct Meter {
    rate: u64,
    /// The end of the last booked slice, for each way.
    booked: Arc<Mutex<[Instant; 2]>>,
}

impl Meter {
    /// A limit of `rate` bytes a second, each way; 0 counts as 1.
    pub fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), booked: Arc::new(Mutex::new([Instant::now(); 2])) }
    }

    /// Bytes a second.
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// A connection's place.
    pub fn pace(&self) -> Pace {
        Pace { meter: self.clone(), turns: [Turn::new(), Turn::new()] }
    }

    /// Bytes that are booked at a time.
    fn slice(&self) -> u64 {
        let slice = u128::from(self.rate) * RATE_SLICE.as_micros() / 1_000_000;
        u64::try_from(slice).unwrap_or(u64::MAX).clamp(*RATE_SLICE_BYTES.start(), *RATE_SLICE_BYTES.end())
    }

    /// Books a slice of `bytes`; when it begins.
    fn book(&self, way: Way, bytes: u64) -> Instant {
        let mut booked = self.booked.lock().unwrap_or_else(PoisonError::into_inner);
        let end = &mut booked[way as usize];
        // What was not used is not saved up, but for a little: a stall must not be followed by a flood.
        let earliest = Instant::now().checked_sub(RATE_CREDIT).unwrap_or_else(Instant::now);
        let begin = (*end).max(earliest);
        *end = begin + Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / self.rate);
        begin
    }
}

/// One way of one connection.
#[derive(Debug)]
struct Turn {
    /// Bytes of the slice that are not used yet.
    left: u64,
    /// When they may be used; `None` when they may be.
    waits: Option<Pin<Box<Sleep>>>,
}

impl Turn {
    fn new() -> Self {
        Self { left: 0, waits: None }
    }
}

/// A connection's place at a [`Meter`].
#[derive(Debug)]
pub struct Pace {
    meter: Meter,
    turns: [Turn; 2],
}

impl Pace {
    /// Bytes a second of the whole meter.
    pub fn rate(&self) -> u64 {
        self.meter.rate
    }

    /// Bytes that may go now, at least 1; pending until some may, and then the task is woken.
    ///
    /// # Cancel safety
    /// What is booked stays so for the next question.
    pub fn poll_allowed(&mut self, way: Way, cx: &mut Context<'_>) -> Poll<usize> {
        let turn = &mut self.turns[way as usize];
        if turn.left == 0 {
            turn.left = self.meter.slice();
            let begin = self.meter.book(way, turn.left);
            turn.waits = (begin > Instant::now()).then(|| Box::pin(sleep_until(begin)));
        }
        if let Some(wait) = &mut turn.waits {
            std::task::ready!(wait.as_mut().poll(cx));
            turn.waits = None;
        }
        Poll::Ready(usize::try_from(turn.left).unwrap_or(usize::MAX))
    }

    /// `n` bytes went, no more than were allowed.
    pub fn went(&mut self, way: Way, n: usize) {
        let turn = &mut self.turns[way as usize];
        turn.left = turn.left.saturating_sub(n as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    /// Moves `bytes` as fast as it may.
    async fn moves(mut pace: Pace, way: Way, bytes: u64) -> Duration {
        let begin = Instant::now();
        let mut moved = 0;
        while moved < bytes {
            let allowed = poll_fn(|cx| pace.poll_allowed(way, cx)).await;
            // Streams take what they like, not what they are offered.
            let n = allowed.min(700);
            pace.went(way, n);
            moved += n as u64;
        }
        begin.elapsed()
    }

    fn is_about(took: Duration, seconds: f64) {
        let off = took.as_secs_f64() / seconds;
        assert!((0.98..1.02).contains(&off), "{took:?} for {seconds} s");
    }

    #[tokio::test(start_paused = true)]
    async fn rates_are_kept_from_slow_to_fast() {
        for rate in [1_000_u64, 50_000, 10_000_000] {
            is_about(moves(Meter::new(rate).pace(), Way::Out, 60 * rate).await, 60.0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_of_one_meter_share_the_rate_evenly() {
        let meter = Meter::new(1_000_000);
        let three = tokio::join!(
            moves(meter.pace(), Way::Out, 1_000_000),
            moves(meter.pace(), Way::Out, 1_000_000),
            moves(meter.pace(), Way::Out, 1_000_000)
        );
        for took in [three.0, three.1, three.2] {
            is_about(took, 3.0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_ways_do_not_share() {
        let meter = Meter::new(1_000_000);
        let both = tokio::join!(moves(meter.pace(), Way::Out, 2_000_000), moves(meter.pace(), Way::In, 2_000_000));
        is_about(both.0, 2.0);
        is_about(both.1, 2.0);
    }

    #[tokio::test(start_paused = true)]
    async fn stall_is_not_made_good_but_for_a_moment() {
        let meter = Meter::new(1_000_000);
        tokio::time::advance(Duration::from_secs(60)).await;
        is_about(moves(meter.pace(), Way::Out, 5_000_000).await, 4.96);
    }
}
