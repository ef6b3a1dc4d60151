//! One line that shows a run again: the case's name and its schedule.
//!
//! It stores what was decided, not a seed, and each decision by where it took effect (direction and byte offset), not
//! by when it was asked for. So it survives changes of the code under test, of the search and of the generator, as
//! long as the bytes before the offset still mean the same.

use crate::schedule::{Schedule, ScheduleError};

/// Prints a replay line: `NAME: SCHEDULE`.
#[must_use]
pub fn line(case: &str, schedule: &Schedule) -> String {
    format!("{case}: {schedule}")
}

/// Reads a replay line into the case's name and the schedule. A line of a report may begin with `replay: `.
///
/// # Errors
///
/// If there is no name, or the rest is no schedule.
pub fn parse(line: &str) -> Result<(&str, Schedule), ScheduleError> {
    let text = line.trim();
    let text = text.strip_prefix("replay: ").unwrap_or(text);
    let Some((case, schedule)) = text.split_once(": ") else {
        return Err(ScheduleError::invalid(0, "expected NAME: SCHEDULE"));
    };
    Ok((case, schedule.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replay_line_read_back_gives_the_same_case_and_schedule() {
        let schedule: Schedule = "2:s2c@3 rst; c2s@4 split; order#7=1".parse().unwrap();
        let text = line("line-echo", &schedule);
        assert_eq!(text, "line-echo: c2s@4 split; 2:s2c@3 rst; order#7=1");
        assert_eq!(parse(&text).unwrap(), ("line-echo", schedule.clone()));
        assert_eq!(parse(&format!("replay: {text}\n")).unwrap(), ("line-echo", schedule));
    }

    #[test]
    fn replay_line_without_a_case_is_refused() {
        assert!(parse("c2s@4 split").is_err());
    }
}
