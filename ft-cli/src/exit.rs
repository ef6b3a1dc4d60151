//! Exit codes: the three outcomes of a transfer, and two ways not to have one.

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
        }
    }

    /// The graver of two: unknown before failed before refused, because that is the order in which someone must look.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let rank = |exit| match exit {
            Self::Completed => 0,
            Self::Refused => 1,
            Self::Failed => 2,
            Self::Unknown => 3,
            Self::Usage => 4,
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
        let all = [Exit::Completed, Exit::Failed, Exit::Usage, Exit::Unknown, Exit::Refused];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn graver_outcome_wins_whatever_the_order() {
        let by_gravity = [Exit::Completed, Exit::Refused, Exit::Failed, Exit::Unknown, Exit::Usage];
        for (i, a) in by_gravity.into_iter().enumerate() {
            for (j, b) in by_gravity.into_iter().enumerate() {
                assert_eq!(a.and(b), by_gravity[i.max(j)]);
            }
        }
    }
}
