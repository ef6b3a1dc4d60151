//! How long to wait before trying again: growing, bounded, the same every time.

use std::time::Duration;

use crate::limits::{BACKOFF_FIRST, BACKOFF_MAX};

/// Waits of a series of retries. Deterministic: one person's client retrying needs no jitter, and a test can state it.
#[derive(Clone, Debug)]
pub struct Backoff {
    left: u32,
    next: Duration,
}

impl Backoff {
    /// A series of at most `retries` waits.
    pub fn new(retries: u32) -> Self {
        Self { left: retries, next: BACKOFF_FIRST }
    }

    /// The next wait; `None` when it is time to give up.
    pub fn wait(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let wait = self.next;
        self.next = (wait * 2).min(BACKOFF_MAX);
        Some(wait)
    }

    /// Begins again with the shortest wait and a full count of `retries`: something was achieved in between.
    pub fn progress(&mut self, retries: u32) {
        *self = Self::new(retries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_end_after_the_count() {
        let mut backoff = Backoff::new(9);
        let waits: Vec<u128> = std::iter::from_fn(|| backoff.wait()).map(|w| w.as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
        assert_eq!(Backoff::new(0).wait(), None);
    }

    #[test]
    fn progress_starts_the_series_over() {
        let mut backoff = Backoff::new(2);
        backoff.wait();
        backoff.wait();
        backoff.progress(2);
        assert_eq!(backoff.wait(), Some(BACKOFF_FIRST));
    }
}
