//! What must hold: always, eventually, sometimes.
//!
//! - *always*: safety. One counterexample is a violation.
//! - *eventually*: after the faults have lifted ([`crate::World::calm`]), it completes.
//! - *sometimes*: coverage. Over a whole search it must be true at least once, or the search has shown nothing: a
//!   server that refuses everything keeps every safety property.

use std::fmt;

use crate::limits;

/// Which kind of promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Something that must always hold did not.
    Always,
    /// Something that must happen once faults have lifted did not.
    Eventually,
    /// Nobody can run and no timer is pending, or the run would never end.
    Live,
    /// A party or the case panicked.
    Panic,
    /// The same decisions led to another run.
    Determinism,
}

impl Kind {
    /// The word printed in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Eventually => "eventually",
            Self::Live => "live",
            Self::Panic => "panic",
            Self::Determinism => "determinism",
        }
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its kind.
    pub kind: Kind,
    /// The name under which the case states it.
    pub name: String,
    /// What was seen, in words; empty if the name says it all.
    pub detail: String,
}

impl Violation {
    /// True if `other` breaks the same promise, whatever the details.
    #[must_use]
    pub fn same_promise(&self, other: &Self) -> bool {
        self.kind == other.kind && self.name == other.name
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} does not hold", self.kind.as_str(), self.name)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

/// Something that must be seen at least once in a search.
#[derive(Clone, Debug)]
pub(crate) struct Sometimes {
    pub(crate) name: &'static str,
    /// In this run.
    pub(crate) held: bool,
    /// Runs that were booked and in which it held.
    pub(crate) runs: u64,
}

/// What one run kept and broke.
#[derive(Clone, Debug, Default)]
pub(crate) struct Properties {
    /// The first violation; later ones are often its echo.
    pub(crate) violation: Option<Violation>,
    /// By name: whether it held in this run, and in how many runs it did before. A handful, found by looking.
    pub(crate) sometimes: Vec<Sometimes>,
}

impl Properties {
    pub(crate) fn clear(&mut self) {
        self.violation = None;
        // The names stay, so that a search allocates nothing for them.
        for seen in &mut self.sometimes {
            seen.held = false;
        }
    }

    pub(crate) fn violate(&mut self, kind: Kind, name: &str, detail: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { kind, name: name.to_owned(), detail: shorten(detail()) });
        }
    }

    pub(crate) fn sometimes(&mut self, name: &'static str, holds: bool) {
        match self.sometimes.iter_mut().find(|seen| seen.name == name) {
            Some(seen) => seen.held |= holds,
            None => self.sometimes.push(Sometimes { name, held: holds, runs: 0 }),
        }
    }
}

/// Cuts a detail that would push everything else off the screen.
fn shorten(mut detail: String) -> String {
    if let Some((end, _)) = detail.char_indices().nth(limits::MAX_DETAIL) {
        detail.truncate(end);
        detail.push('…');
    }
    detail
}
