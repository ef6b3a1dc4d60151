//! What is said of a finding, in whatever form.

use ft_core::dialect::Whose;
use ft_sim::Schedule;

use super::super::verdict::{Control, Finding, Grade, Role, Verdict};
use super::shown::visible;
use super::stories::{self, Story};
use crate::commands::demo::words;
use crate::proxy::Certainty;

/// A verdict as reports show it: a fall that only the protocol's author could prevent is told apart from other falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Passed,
    Failed,
    Protocol,
    Inconclusive,
    NotApplicable,
}

impl Mark {
    pub(super) const ALL: [Self; 5] =
        [Self::Passed, Self::Failed, Self::Protocol, Self::Inconclusive, Self::NotApplicable];

    pub(super) fn of(finding: &Finding) -> Self {
        match finding.verdict {
            Verdict::Passed => Self::Passed,
            Verdict::Failed if finding.is_repairable() => Self::Failed,
            Verdict::Failed => Self::Protocol,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::NotApplicable => Self::NotApplicable,
        }
    }

    /// At most nine letters; what fell stands out without colour.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Protocol => "protocol",
            Self::Inconclusive => "unclear",
            Self::NotApplicable => "-",
        }
    }

    /// The name that programs read.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Protocol => "protocol",
            Self::Inconclusive => "inconclusive",
            Self::NotApplicable => "not-applicable",
        }
    }

    /// One column.
    pub(super) fn sign(self) -> char {
        match self {
            Self::Passed => '✓',
            Self::Failed => '✗',
            Self::Protocol => '!',
            Self::Inconclusive => '?',
            Self::NotApplicable => '-',
        }
    }

    /// For a legend.
    pub(super) fn means(self) -> &'static str {
        match self {
            Self::Passed => "it stood",
            Self::Failed => "it fell each time, and could be repaired",
            Self::Protocol => "it fell, and nobody could stand on this wire: costs no points",
            Self::Inconclusive => "it fell sometimes, or was not cut as meant",
            Self::NotApplicable => "there is nothing to try",
        }
    }

    /// It is explained at length.
    pub(super) fn is_told(self) -> bool {
        matches!(self, Self::Failed | Self::Protocol | Self::Inconclusive)
    }
}

/// A finding with all that is said of it.
pub(super) struct Told<'a> {
    pub(super) finding: &'a Finding,
    pub(super) mark: Mark,
    pub(super) story: &'static Story,
    /// Hints instead of explanations.
    pub(super) for_students: bool,
}

impl<'a> Told<'a> {
    pub(super) fn new(grade: &Grade, finding: &'a Finding) -> Self {
        let story = stories::of(finding.pitfall);
        Self { finding, mark: Mark::of(finding), story, for_students: grade.for_students }
    }

    /// A line for a table.
    pub(super) fn short(&self) -> String {
        let observed = visible(&self.finding.observed);
        match self.mark {
            Mark::Inconclusive if self.finding.failures > 0 => format!("{}: {observed}", self.fell()),
            Mark::NotApplicable => format!("not applicable: {observed}"),
            Mark::Passed | Mark::Failed | Mark::Protocol | Mark::Inconclusive => observed,
        }
    }

    /// `3 of 5 runs fell`.
    pub(super) fn fell(&self) -> String {
        let Finding { runs, failures, .. } = self.finding;
        format!("{failures} of {runs} run{} fell", if *runs == 1 { "" } else { "s" })
    }

    /// Whose fault it is, in words; nothing for students, for whom that is a part of the answer, and where nothing fell.
    pub(super) fn whose(&self) -> Option<&'static str> {
        let is_said = self.mark.is_told() && !self.for_students;
        if !is_said {
            return None;
        }
        Some(match (self.finding.whose, self.finding.role) {
            (Some(Whose::Protocol), _) => "the protocol's: no program can stand without changing the wire",
            (_, Role::Pair) => "one of the two programs', or both: grade each alone to see whose",
            (Some(Whose::Implementation), _) => "the program's: a careful one stands on the same wire",
            (Some(Whose::Both), _) => "the program's; where even a careful one has to guess, the protocol's",
            (None, _) => "not known",
        })
    }

    /// Points reached and points that could be, `1 of 1`.
    pub(super) fn points(&self) -> (f64, f64) {
        match self.mark {
            Mark::Passed | Mark::Protocol => (self.finding.points, self.finding.points),
            Mark::Failed | Mark::Inconclusive => (0.0, self.finding.points),
            Mark::NotApplicable => (0.0, 0.0),
        }
    }

    /// How surely it was cut as the schedule says.
    pub(super) fn certainty(&self) -> &'static str {
        match self.finding.certainty {
            Certainty::Exact => "cut exactly as the schedule says",
            Certainty::Missed => "the program did not read where it was cut",
            Certainty::Guessed => "cut by pauses: the kernel could not be asked, so that this shows nothing",
        }
    }

    /// Name and text of all that is said in words, in order. Lanes and printed lines are not among them.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let Finding { input, expected, observed, .. } = self.finding;
        let mut facts: Vec<(&'static str, String)> = Vec::new();
        if self.for_students {
            facts.push(("ask yourself", self.story.hint.clone()));
        } else {
            facts.push(("what it is", self.story.story.clone()));
            facts.extend(self.whose().map(|whose| ("whose fault", whose.to_owned())));
        }
        facts.push(("schedule", words::under(&self.finding.schedule)));
        facts.push(("", schedule_words(&self.finding.schedule)));
        facts.push(("file", visible(input)));
        if !self.for_students {
            facts.push(("expected", visible(expected)));
        }
        facts.push(("observed", visible(observed)));
        facts.push(("runs", format!("{}; {}", self.fell(), self.certainty())));
        facts.push(("points", self.points_words()));
        facts.retain(|(_, text)| !text.is_empty());
        facts
    }

    /// Name and text of what to do next.
    pub(super) fn next(&self) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        if !self.for_students {
            facts.push(("repair", self.story.fix.clone()));
        }
        facts.extend(
            self.story.read().into_iter().enumerate().map(|(i, item)| (if i == 0 { "read" } else { "" }, item)),
        );
        facts.push(("again", format!("the same command with {} at its end", self.again())));
        facts
    }

    pub(super) fn again(&self) -> String {
        format!("--replay {}", self.finding.id())
    }

    fn points_words(&self) -> String {
        let (reached, all) = self.points();
        let why = if self.mark == Mark::Protocol { "; nobody could do better" } else { "" };
        format!("{} of {}{why}", points(reached), points(all))
    }
}

fn schedule_words(schedule: &Schedule) -> String {
    if schedule.deviations() == 0 { String::new() } else { words::schedule(schedule) }
}

/// Whether the plain transfer works, in a sentence.
pub(super) fn control(control: &Control) -> String {
    match (&control.broken, control.text) {
        (Some(broken), _) => format!("does not work, so that nothing else was tried: {}", visible(broken)),
        (None, Some(text)) => format!("works; it speaks {text}"),
        (None, None) => "works".to_owned(),
    }
}

/// Whose program, at the beginning of a line.
pub(super) fn heading(role: Role) -> &'static str {
    match role {
        Role::Server => "Server",
        Role::Client => "Client",
        Role::Pair => "Client and server",
    }
}

/// Every program with its findings; one that was found in without a control run still comes, without a command.
pub(super) fn programs(grade: &Grade) -> Vec<(Role, Option<&Control>, Vec<Told<'_>>)> {
    let roles = [Role::Server, Role::Client, Role::Pair].into_iter();
    roles
        .map(|role| {
            let control = grade.controls.iter().find(|control| control.role == role);
            let findings = grade.findings.iter().filter(|finding| finding.role == role);
            (role, control, findings.map(|finding| Told::new(grade, finding)).collect::<Vec<_>>())
        })
        .filter(|(_, control, findings)| control.is_some() || !findings.is_empty())
        .collect()
}

/// How many there are of each mark, those of which there are none left out.
pub(super) fn counts(grade: &Grade) -> Vec<(Mark, usize)> {
    let count = |mark| (mark, grade.findings.iter().filter(|finding| Mark::of(finding) == mark).count());
    Mark::ALL.map(count).into_iter().filter(|(_, count)| *count > 0).collect()
}

/// The counts in words, for a closing line.
pub(super) fn counts_words(grade: &Grade) -> String {
    let broken = grade.controls.iter().filter(|control| control.broken.is_some()).count();
    let checks = grade.findings.len();
    let mut text = format!("{checks} check{}", if checks == 1 { "" } else { "s" });
    let counts = counts(grade).into_iter().map(|(mark, count)| {
        let word = match mark {
            Mark::Passed => "passed",
            Mark::Failed => "failed",
            Mark::Protocol => "the protocol's fault",
            Mark::Inconclusive => "unclear",
            Mark::NotApplicable => "not applicable",
        };
        format!("{count} {word}")
    });
    let counts: Vec<String> = counts.collect();
    if !counts.is_empty() {
        text = format!("{text}: {}", counts.join(", "));
    }
    match broken {
        0 => text,
        1 => format!("{text}; 1 program does not work and is not counted"),
        _ => format!("{text}; {broken} programs do not work and are not counted"),
    }
}

/// Points with as many digits as mean something.
pub(super) fn points(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Sums of points, without what binary fractions add to them.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
