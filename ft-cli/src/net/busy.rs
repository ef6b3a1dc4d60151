//! Whether programs wait for a core: what is slow then is the machine, not the path, and what costs time on a core
//! (compression) would make it slower.

use std::fs;
use std::time::Instant;

use crate::limits::BUSY_SHARE;

/// The kernel's count of the time for which somebody waited for a core (pressure stall information), looked at now and
/// then. Where the system has none, it is never busy.
#[derive(Debug)]
pub(super) struct Busy {
    last: Option<(Instant, u64)>,
}

impl Busy {
    /// From now on.
    pub(super) fn new() -> Self {
        Self { last: ask() }
    }

    /// Whether it was, since it was asked last.
    pub(super) fn look(&mut self) -> bool {
        let (Some(last), Some(now)) = (self.last, ask()) else { return false };
        self.last = Some(now);
        let passed = u64::try_from(now.0.duration_since(last.0).as_micros()).unwrap_or(u64::MAX);
        is_busy(now.1.saturating_sub(last.1), passed)
    }
}

fn ask() -> Option<(Instant, u64)> {
    let waited = fs::read_to_string("/proc/pressure/cpu").ok().as_deref().and_then(waited)?;
    Some((Instant::now(), waited))
}

/// Microseconds for which somebody waited since the system has started.
fn waited(text: &str) -> Option<u64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

fn is_busy(waited: u64, passed: u64) -> bool {
    waited.saturating_mul(100) >= passed.saturating_mul(BUSY_SHARE) && passed > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_somebody_waited_is_read_from_what_the_kernel_says() {
        let text = "some avg10=80.05 avg60=66.14 avg300=33.35 total=8016430330\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(waited(text), Some(8_016_430_330));
        assert_eq!(waited("full avg10=0.00 total=7\n"), None);
        assert_eq!(waited("some total=x\n"), None);
    }

    #[test]
    fn machine_is_busy_when_somebody_waits_most_of_the_time() {
        assert!(is_busy(90_000, 100_000));
        assert!(!is_busy(10_000, 100_000));
        assert!(!is_busy(0, 0), "no time has passed");
    }
}
