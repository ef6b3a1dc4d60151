//! Texts that people write: schedules and scenarios. What is read is printed, and reads back the same.

use std::time::Duration;

use ft_sim::cases;
use ft_sim::scenario as scenarios;
use ft_sim::schedule::{Fault, Schedule};

/// A byte that may choose a case, then a schedule. What can be read and is short is also played.
pub fn schedule(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(schedule) = text.parse::<Schedule>() else { return };
    let printed = schedule.to_string();
    assert_eq!(printed.parse().as_ref(), Ok(&schedule), "{printed:?} reads back");
    let again = Schedule::new(schedule.steps().to_vec(), schedule.picks().to_vec());
    assert_eq!(again.as_ref(), Ok(&schedule), "its parts make it again");
    if let Some(name) = PLAYED.get(usize::from(*choice)).filter(|name| is_short(name, &schedule)) {
        let run = cases::find(name).expect("a case").run(&schedule);
        assert!(run.violation.is_none(), "{name}: {}: {:?}", run.schedule, run.violation);
    }
}

/// Pairs of our own programs that are done soon. Lab B is not among them: its wire lets no cut be told from an end.
const PLAYED: [&str; 8] = [
    "ft-push-once",
    "ft-pull",
    "ft-push-three",
    "ft-push-compressed",
    "ft-push-disk",
    "ft-pull-disk",
    "lab-a-careful",
    "lab-a-careful-lf",
];

/// A few steps on the connections that a case has: long ones say no more. What is held back for longer than a peer is
/// patient is no delay but a silence, after which a session may end in its own words; and a lab's text without a
/// terminator ends where it is quiet for a moment.
fn is_short(name: &str, schedule: &Schedule) -> bool {
    let patience = if name.starts_with("lab-") { Duration::from_millis(50) } else { Duration::from_secs(5) };
    let calm = |fault: &Fault| !matches!(fault, Fault::Delay(span) if *span > patience);
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
