//! Texts that people write: schedules and scenarios. What is read is printed, and reads back the same.

use std::time::Duration;

use ft_sim::cases;
use ft_sim::scenario as scenarios;
use ft_sim::schedule::{Fault, Schedule};

/// A byte that chooses a case, then a schedule. What can be read is also played: no pair of our programs
/// breaks a promise. (Strangers come over a connection that nothing happens to.)
pub fn schedule(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(schedule) = text.parse::<Schedule>() else { return };
    let printed = schedule.to_string();
    assert_eq!(printed.parse().as_ref(), Ok(&schedule), "{printed:?} reads back");
    let again = Schedule::new(schedule.steps().to_vec(), schedule.picks().to_vec());
    assert_eq!(again.as_ref(), Ok(&schedule), "its parts make it again");
    if choice & 1 == 0 && is_short(&schedule) {
        let ours: Vec<_> = cases::all().iter().filter(|case| case.stands && case.strangers() == 0).collect();
        let case = ours[usize::from(choice >> 1) % ours.len()];
        let run = case.run(&schedule);
        assert!(run.violation.is_none(), "{}: {}: {:?}", case.name, run.schedule, run.violation);
    }
}

/// A few steps on the connections that a case has: long ones say no more.
fn is_short(schedule: &Schedule) -> bool {
    let calm = |fault: &Fault| !matches!(fault, Fault::Delay(span) if *span > Duration::from_secs(3600));
    schedule.deviations() <= 6 && schedule.steps().iter().all(|step| step.conn <= 2 && calm(&step.fault))
}

/// A scenario file: refused in words, or read.
pub fn scenario(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match scenarios::load(text) {
        Ok(read) => assert!(read.question.ends_with('?') && !read.shows.is_empty()),
        Err(error) => assert!(!error.to_string().is_empty(), "a refusal has words"),
    }
}
