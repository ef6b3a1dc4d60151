//! Whether two worlds came to the same, and the little in which they may honestly differ.
//!
//! Under segmentation alone (splits, holds, delays, windows, short writes and reads) every word must be equal. Once a
//! connection breaks or a host dies, worlds differ in *when* a party hears of it, and with that in the words for it:
//!
//! - The simulator's link has no length: a RST arrives within the write that provoked it, or before the party's next
//!   call. Elsewhere it arrives a hop later, and another call is the first to report it: a read instead of a write, or
//!   the other way round, after which the stream has simply ended.
//! - Two parties with equal deadlines give up at the same moment in a link without length; elsewhere one of them had its
//!   last byte a hop earlier, gives up first, and its peer reads an end of stream instead of its own deadline, or what
//!   it was told in farewell.
//!
//! What became of the files, which promise was broken, how much of a session was completed, failed or unknown, and what
//! a retry came to must be equal all the same.

use crate::cases::Outcome;
use crate::report::Run;
use crate::schedule::Schedule;

/// Words of a party whose connection broke under it.
const BROKEN: &[&str] = &[
    "connection failed after ",
    "the stream ended after ",
    "the connection failed while ",
    "the peer ended the stream at byte ",
    "peer ended the session: timed-out: ",
];

/// In what two worlds disagree about one case under one schedule, if they do.
#[must_use]
pub fn disagreement(one: (&Run, &Outcome), other: (&Run, &Outcome)) -> Option<String> {
    let broken = |run: &Run| run.violation.as_ref().map(|violation| (violation.kind, violation.name.clone()));
    let (promise, other_promise) = (broken(one.0), broken(other.0));
    if promise != other_promise {
        let show = |run: &Run| run.violation.as_ref().map_or("nothing".to_owned(), ToString::to_string);
        return Some(format!("one breaks {}; the other {}", show(one.0), show(other.0)));
    }
    let schedule = &one.0.schedule;
    let retry = |outcome: &Outcome| outcome.retry.clone().unwrap_or_default();
    let pairs = [
        ("files", one.1.files.clone(), other.1.files.clone()),
        ("retry", retry(one.1), retry(other.1)),
        ("client", plain(&one.1.client, schedule), plain(&other.1.client, schedule)),
        ("server", plain(&one.1.server, schedule), plain(&other.1.server, schedule)),
    ];
    let (what, one, other) = pairs.into_iter().find(|(_, one, other)| one != other)?;
    Some(format!("{what}: {one:?} in one, {other:?} in the other"))
}

/// A party's words without what may honestly differ.
fn plain(words: &str, schedule: &Schedule) -> String {
    if schedule.steps().iter().all(|step| step.fault.is_segmentation()) {
        return words.to_owned();
    }
    // Two clients' words stand side by side.
    let one = |words: &str| match BROKEN.iter().filter_map(|broken| words.find(broken)).min() {
        Some(at) => format!("{}the connection broke", &words[..at]),
        None => words.to_owned(),
    };
    words.split(" / ").map(one).collect::<Vec<_>>().join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceHash;

    fn run(schedule: &str) -> Run {
        let schedule = schedule.parse().expect("a schedule");
        Run {
            violation: None,
            schedule,
            hash: TraceHash(0),
            events: Vec::new(),
            written: Vec::new(),
            unmet: Vec::new(),
        }
    }

    fn client(words: &str) -> Outcome {
        Outcome { client: words.to_owned(), ..Outcome::default() }
    }

    fn agree(schedule: &str, one: &str, other: &str) -> bool {
        let run = run(schedule);
        disagreement((&run, &client(one)), (&run, &client(other))).is_none()
    }

    #[test]
    fn reset_may_be_reported_by_another_call_and_nothing_else_may_change() {
        let (by_read, by_write) = (
            "1 unknown; connection failed after 104 bytes: connection reset",
            "1 unknown; the stream ended after 104 bytes without GOODBYE: truncated",
        );
        assert!(agree("c2s@300 rst", by_read, by_write));
        assert!(!agree("c2s@300 rst", by_read, &by_write.replace("unknown", "completed")));
        assert!(!agree("c2s@300 rst", by_read, "1 unknown"));
    }

    #[test]
    fn of_two_who_wait_for_each_other_either_may_give_up_first() {
        let own = "1 failed; connection failed after 0 bytes: no byte moved before the deadline";
        let told = "1 failed; peer ended the session: timed-out: connection failed after 0 bytes: no byte moved";
        assert!(agree("c2s@89 stall", own, told));
        assert!(!agree("c2s@89 stall", own, "1 failed; peer ended the session: violation: FT-12"));
        assert!(!agree("c2s@89 hold", own, told), "nobody stopped");
    }

    #[test]
    fn under_segmentation_alone_every_word_counts() {
        assert!(agree("c2s@4 split", "1 completed", "1 completed"));
        assert!(!agree("c2s@4 split", "failed: connection failed after 1", "failed: connection failed after 2"));
    }

    #[test]
    fn files_and_retries_must_be_equal_whatever_happened() {
        let run = run("c2s@1 stall");
        let outcome = |files: &str| Outcome { files: files.to_owned(), ..Outcome::default() };
        assert!(disagreement((&run, &outcome("f: old")), (&run, &outcome("f: new"))).is_some());
        let retried = Outcome { retry: Some("1 completed".to_owned()), ..Outcome::default() };
        assert!(disagreement((&run, &retried), (&run, &Outcome::default())).is_some());
    }
}
