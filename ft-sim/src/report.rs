//! What a search found, and how a failure is told: promise, schedule, what happened, and the line that shows it again.

use std::collections::BTreeMap;
use std::fmt;

use crate::choices::Divergence;
use crate::invariant::Violation;
use crate::schedule::Schedule;
use crate::trace::{Event, TraceHash, lanes};
use crate::unmet::Unmet;

/// The outcome of one run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The promise it broke, if it did.
    pub violation: Option<Violation>,
    /// Everything in which it differed from the benign run.
    pub schedule: Schedule,
    /// Its identity.
    pub hash: TraceHash,
    /// What happened, if events were kept.
    pub events: Vec<Event>,
    /// Bytes written in each direction (c2s, s2c) of each connection, if events were kept.
    pub written: Vec<[u64; 2]>,
    /// What of a prescribed schedule never happened, if events were kept and the network was the simulator's own.
    pub unmet: Vec<Unmet>,
}

/// A broken promise, and the smallest schedule found that still breaks it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The case's name.
    pub case: String,
    /// The promise, as the minimal run breaks it.
    pub violation: Violation,
    /// The schedule under which the search met it.
    pub found: Schedule,
    /// Runs made before it was met.
    pub after_runs: u64,
    /// The minimal run, with its events.
    pub minimal: Run,
    /// Runs that shrinking took.
    pub shrink_runs: u64,
}

impl Failure {
    /// The line that shows the minimal run again; see [`crate::replay`].
    #[must_use]
    pub fn replay_line(&self) -> String {
        crate::replay::line(&self.case, &self.minimal.schedule)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.violation)?;
        writeln!(
            f,
            "deviations: {} when found in run {}, {} after {} runs of shrinking",
            self.found.deviations(),
            self.after_runs,
            self.minimal.schedule.deviations(),
            self.shrink_runs
        )?;
        writeln!(f, "\n{}", lanes(&self.minimal.events))?;
        write!(f, "replay: {}", self.replay_line())
    }
}

/// What a search did and found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The case's name.
    pub case: String,
    /// Runs made, by kind of search.
    pub runs: BTreeMap<&'static str, u64>,
    /// Runs that differed from the benign one.
    pub deviating_runs: u64,
    /// Deviations in all runs together.
    pub deviations: u64,
    /// The failure that ended the search, if any.
    pub failure: Option<Failure>,
    /// How many runs each *sometimes* held in.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// This is one part of several: what has to be seen sometimes may have been seen in another.
    pub is_part: bool,
    /// Set if the case turned out not to be deterministic.
    pub divergence: Option<Divergence>,
    /// Folds the identities of all runs, in order: equal searches have equal digests.
    pub digest: u64,
}

impl Report {
    /// All runs made.
    #[must_use]
    pub fn total_runs(&self) -> u64 {
        self.runs.values().sum()
    }

    /// The *sometimes* that never held: what the search did not show.
    #[must_use]
    pub fn vacuous(&self) -> Vec<&'static str> {
        self.sometimes.iter().filter(|(_, runs)| **runs == 0).map(|(name, _)| *name).collect()
    }

    /// True if nothing broke and something was shown: there were runs, and no *sometimes* was vacuous. Of one part of several
    /// only the first is asked.
    #[must_use]
    pub fn passed(&self) -> bool {
        let has_shown = self.is_part || self.total_runs() > 0 && self.vacuous().is_empty();
        self.failure.is_none() && self.divergence.is_none() && has_shown
    }

    /// Ends a test with the report, if it is not a pass.
    ///
    /// # Panics
    ///
    /// If [`Report::passed`] is false; the message is the report.
    #[track_caller]
    pub fn assert_passed(&self) {
        assert!(self.passed(), "{self}");
    }

    /// The failure, for tests that expect one.
    ///
    /// # Panics
    ///
    /// If nothing failed; the message is the report.
    #[must_use]
    #[track_caller]
    pub fn expect_failure(&self) -> &Failure {
        self.failure.as_ref().unwrap_or_else(|| panic!("expected a failure: {self}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} runs", self.case, self.total_runs())?;
        let mut separator = " (";
        for (kind, runs) in &self.runs {
            write!(f, "{separator}{kind} {runs}")?;
            separator = ", ";
        }
        if !self.runs.is_empty() {
            f.write_str(")")?;
        }
        for (name, runs) in &self.sometimes {
            write!(
                f,
                "\nsometimes {name:?}: in {runs} runs{}",
                if *runs == 0 { ", so nothing was shown" } else { "" }
            )?;
        }
        if let Some(Divergence { decision, expected, got }) = self.divergence {
            write!(
                f,
                "\nthe case is not deterministic: decision {decision} had {expected} alternatives, then {got}; look for \
                 clocks, random numbers, hash map order or state that outlives a run"
            )?;
        }
        match &self.failure {
            Some(failure) => write!(f, "\n{failure}"),
            None => Ok(()),
        }
    }
}
