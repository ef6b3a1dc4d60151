//! One line that shows a run again: what was played, and its schedule.
//!
//! What was played is a case by its name, one play of a scenario (`pitfall-short-send/2`, with that play's inputs), or a
//! hunt for a pitfall (`lab A, split-header`). [`line()`] and [`parse`] know nothing of names; who runs a line looks them up.
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

/// Reads a replay line into a name and the schedule. A line of a report may begin with `replay: `; the blank behind the
/// colon may be missing.
///
/// # Errors
///
/// If there is no name, or the rest is no schedule.
pub fn parse(line: &str) -> Result<(&str, Schedule), ScheduleError> {
    let text = line.trim();
    let text = text.strip_prefix("replay: ").unwrap_or(text);
    // Names have neither of these, and what stands behind a colon of a schedule or its comments has.
    let spaced = text.split_once(": ").filter(|(name, _)| !name.contains(['@', '#']));
    let Some((case, schedule)) = spaced.or_else(|| text.split_once(':')) else {
        return Err(ScheduleError::invalid(0, "expected NAME: SCHEDULE"));
    };
    if case.is_empty() {
        return Err(ScheduleError::invalid(0, "expected NAME: SCHEDULE, and the name is empty"));
    }
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
    fn replay_line_whose_blank_is_missing_is_read() {
        let schedule: Schedule = "2:s2c@3 rst; c2s@4 split".parse().unwrap();
        for text in [
            "case:2:s2c@3 rst; c2s@4 split",
            "case:c2s@4 split; 2:s2c@3 rst # a note: none",
            "case: c2s@4 split; 2:s2c@3 rst",
        ] {
            assert_eq!(parse(text).unwrap(), ("case", schedule.clone()), "{text}");
        }
        assert_eq!(parse("case:benign").unwrap(), ("case", Schedule::benign()));
    }

    #[test]
    fn replay_line_without_a_case_is_refused() {
        assert!(parse("c2s@4 split").is_err());
        assert!(parse(": benign").is_err());
    }
}
