//! Exit codes: the three outcomes of a transfer, two ways not to have one, and two more for searches.

use std::fmt;
use std::process::ExitCode;

/// What the program ends with. Documented in docs/CLI.md and in `--help`; stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// 0: everything asked for is done, verified and stored as promised.
    Completed,
    /// 1: the session failed; nothing is half-done under a final name.
    Failed,
    /// 2: the command line does not make sense; nothing was tried.
    Usage,
    /// 3: everything was sent, but the answer never came: stored or not, the same command again will tell.
    Unknown,
    /// 4: the session was in order, but some files (or all) were refused, missing or could not be read.
    Refused,
    /// 5: `sim`: nothing broke, but something that must happen sometimes never did, so that little was shown.
    Unseen,
    /// 6: `sim`: the search cannot be believed: a case was not deterministic, or the simulator broke.
    Unsound,
    /// 130: somebody pressed Ctrl-C; what has arrived is kept for the next try. The number that shells give it.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
            Self::Refused => 4,
            Self::Unseen => 5,
            Self::Unsound => 6,
            Self::Interrupted => 130,
        }
    }

    /// The name used in `--json` summaries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Unseen => "unseen",
            Self::Unsound => "unsound",
            Self::Interrupted => "interrupted",
        }
    }

    /// The graver of two: unknown before failed before refused, because that is the order in which someone must look.
    /// Of searches, unsound before failed before unseen, for the same reason.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let rank = |exit| match exit {
            Self::Completed => 0,
            Self::Unseen => 1,
            Self::Refused => 2,
            Self::Failed => 3,
            Self::Unsound => 4,
            Self::Interrupted => 5,
            Self::Unknown => 6,
            Self::Usage => 7,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command stopped before it had a result: said once, by `main`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// How the program ends.
    pub exit: Exit,
    /// What happened; lower case, no full stop.
    pub text: String,
    /// What to do about it, if that is known.
    pub hint: Option<String>,
}

impl Stop {
    /// The session, or something before it, failed.
    pub fn failed(text: impl fmt::Display) -> Self {
        Self { exit: Exit::Failed, text: text.to_string(), hint: None }
    }

    /// The command line does not make sense.
    pub fn usage(text: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, text: text.to_string(), hint: None }
    }

    /// The same, with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Stop {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_numbers() {
        let transfers = [Exit::Completed, Exit::Failed, Exit::Usage, Exit::Unknown, Exit::Refused];
        assert_eq!(transfers.map(Exit::code), [0, 1, 2, 3, 4]);
        assert_eq!([Exit::Unseen, Exit::Unsound].map(Exit::code), [5, 6]);
    }

    #[test]
    fn graver_outcome_wins_whatever_the_order() {
        let by_gravity =
            [Exit::Completed, Exit::Unseen, Exit::Refused, Exit::Failed, Exit::Unsound, Exit::Unknown, Exit::Usage];
        for (i, a) in by_gravity.into_iter().enumerate() {
            for (j, b) in by_gravity.into_iter().enumerate() {
                assert_eq!(a.and(b), by_gravity[i.max(j)]);
            }
        }
    }
}
