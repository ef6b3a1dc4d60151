//! What a grade says, as values: every report is made from these, and none works anything out by itself.

use std::time::Duration;

use ft_core::dialect::{Pitfall, Whose};
use ft_sim::Schedule;
use ft_sim::trace::Event;
use serde::Serialize;

use crate::proxy::Certainty;

/// Whose program is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The one that listens.
    Server,
    /// The one that connects.
    Client,
    /// Both together; which of them is at fault is not known.
    Pair,
}

impl Role {
    /// The word for reports and ids.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Pair => "pair",
        }
    }
}

/// What one check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It stood.
    Passed,
    /// It fell, three times out of three, while the plain transfer works.
    Failed,
    /// It fell sometimes, or the schedule could not be kept exactly.
    Inconclusive,
    /// There is nothing to check here; the reason is said.
    NotApplicable,
}

impl Verdict {
    /// The words for reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Inconclusive => "inconclusive",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// One pitfall, in one program.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The pitfall.
    pub pitfall: Pitfall,
    /// In whose program.
    pub role: Role,
    /// What it came to.
    pub verdict: Verdict,
    /// Who could repair it; nobody but the protocol's author if it is the protocol's.
    pub whose: Option<Whose>,
    /// The smallest schedule that shows it, or the last one that was stood.
    pub schedule: Schedule,
    /// Name and size of the file, and anything unusual about the other side.
    pub input: String,
    /// What a careful program does.
    pub expected: String,
    /// What this one did, or why there is nothing to check.
    pub observed: String,
    /// Runs, and how many of them fell.
    pub runs: u32,
    /// Of these, how many fell.
    pub failures: u32,
    /// How surely the schedule was kept.
    pub certainty: Certainty,
    /// The run that fell, or the last one.
    pub events: Vec<Event>,
    /// The last lines that the program printed in that run, as they came.
    pub said: Vec<u8>,
    /// Time that all runs of it took.
    pub took: Duration,
    /// Points that it is worth.
    pub points: f64,
}

impl Finding {
    /// What `--replay` takes: `server/split-header`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.role.as_str(), self.pitfall)
    }

    /// A fault that somebody can repair without changing the protocol.
    #[must_use]
    pub fn is_repairable(&self) -> bool {
        self.verdict == Verdict::Failed && self.whose != Some(Whose::Protocol)
    }
}

/// Whether a program can do its work at all.
#[derive(Clone, Debug)]
pub struct Control {
    /// Whose.
    pub role: Role,
    /// The command, as it was given.
    pub command: String,
    /// Nothing, or why there is nothing to grade.
    pub broken: Option<String>,
    /// The lines that it printed.
    pub said: Vec<u8>,
    /// The run.
    pub events: Vec<Event>,
    /// How its texts end, in words, where the dialect leaves it open.
    pub text: Option<&'static str>,
    /// What it did that is no pitfall and that somebody should know: it printed without end, it left processes behind.
    pub notes: Vec<String>,
}

/// The whole.
#[derive(Clone, Debug)]
pub struct Grade {
    /// Dialect, or "opaque".
    pub dialect: &'static str,
    /// One for each program.
    pub controls: Vec<Control>,
    /// In the order of the catalogue, servers first.
    pub findings: Vec<Finding>,
    /// How the programs were kept apart from the machine.
    pub isolation: String,
    /// Wall-clock time.
    pub took: Duration,
    /// Hints instead of explanations.
    pub for_students: bool,
}

impl Grade {
    /// Findings of one verdict.
    pub fn of(&self, verdict: Verdict) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.verdict == verdict)
    }

    /// Points reached, and points that could be. What is not applicable counts in neither, and what only the protocol's
    /// author could repair costs nothing.
    #[must_use]
    pub fn points(&self) -> (f64, f64) {
        let counted = self.findings.iter().filter(|finding| finding.verdict != Verdict::NotApplicable);
        counted.fold((0.0, 0.0), |(reached, all), finding| {
            let lost = finding.is_repairable() || finding.verdict == Verdict::Inconclusive;
            (reached + if lost { 0.0 } else { finding.points }, all + finding.points)
        })
    }

    /// Every program can do its work.
    #[must_use]
    pub fn is_graded(&self) -> bool {
        self.controls.iter().all(|control| control.broken.is_none())
    }
}
