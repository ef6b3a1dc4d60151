//! What a search came to, as one JSON object that merges: numbers add up, lists join, objects merge key by key, texts stay.
//!
//! So whatever must not be added is a key (the part, the search), and parts of one search merge in any order, by any
//! program that follows the rule. docs/SIMULATOR.md has it as a line of jq.

use std::collections::BTreeMap;

use ft_sim::{Failure, Report};
use serde::Serialize;

use crate::exit::Exit;

/// The verdict of `sim explore`.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    event: &'static str,
    /// How often each part was searched.
    parts: BTreeMap<String, u64>,
    /// How many parts came to each outcome.
    outcomes: BTreeMap<&'static str, u64>,
    runs: u64,
    deviating_runs: u64,
    deviations: u64,
    cases: BTreeMap<String, CaseVerdict>,
    failures: Vec<FailureLine>,
    /// Searches that cannot be believed, and why.
    unsound: Vec<String>,
    #[serde(skip)]
    whole: bool,
    #[serde(skip)]
    exit: Exit,
}

#[derive(Debug, Default, Serialize)]
struct CaseVerdict {
    /// How many parts made this very search.
    searches: BTreeMap<String, u64>,
    runs: BTreeMap<&'static str, u64>,
    deviating_runs: u64,
    deviations: u64,
    sometimes: BTreeMap<&'static str, u64>,
    /// By part.
    digests: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct FailureLine {
    case: String,
    kind: &'static str,
    promise: String,
    detail: String,
    replay: String,
    deviations: usize,
    found_after_runs: u64,
    shrink_runs: u64,
}

impl Verdict {
    /// Of a part, before anything was searched.
    pub(super) fn new(partition: (u32, u32)) -> Self {
        let (part, parts) = partition;
        Self {
            event: "verdict",
            parts: [(format!("{part}/{parts}"), 1)].into(),
            outcomes: BTreeMap::new(),
            runs: 0,
            deviating_runs: 0,
            deviations: 0,
            cases: BTreeMap::new(),
            failures: Vec::new(),
            unsound: Vec::new(),
            whole: parts == 1,
            exit: Exit::Completed,
        }
    }

    /// Adds the report of one case, searched as `search` says; returns how that case did.
    pub(super) fn add(&mut self, search: String, report: &Report) -> Exit {
        let part = self.parts.keys().next().cloned().unwrap_or_default();
        self.runs += report.total_runs();
        self.deviating_runs += report.deviating_runs;
        self.deviations += report.deviations;
        let case = CaseVerdict {
            searches: [(search, 1)].into(),
            runs: report.runs.clone(),
            deviating_runs: report.deviating_runs,
            deviations: report.deviations,
            sometimes: report.sometimes.clone(),
            digests: [(part, format!("{:016x}", report.digest))].into(),
        };
        self.cases.insert(report.case.clone(), case);
        let exit = outcome(report, self.whole);
        if exit == Exit::Unsound {
            self.unsound.push(match &report.failure {
                Some(failure) => format!("{}: {}", report.case, failure.violation),
                None => format!("{}: the case is not deterministic: {:?}", report.case, report.divergence),
            });
        } else if let Some(failure) = &report.failure {
            self.failures.push(FailureLine::new(failure));
        }
        self.exit = self.exit.and(exit);
        exit
    }

    /// The simulator itself broke.
    pub(super) fn broke(&mut self, case: &str, text: &str) {
        self.unsound.push(format!("{case}: {text}"));
        self.exit = self.exit.and(Exit::Unsound);
    }

    /// How the search ends; nothing is added after.
    pub(super) fn end(&mut self) -> Exit {
        self.outcomes = [(super::word(self.exit), 1)].into();
        self.exit
    }

    /// The last line.
    pub(super) fn sentence(&self) -> String {
        let sometimes: Vec<u64> = self.cases.values().flat_map(|case| case.sometimes.values().copied()).collect();
        let seen = sometimes.iter().filter(|&&runs| runs > 0).count();
        let digest = self.cases.values().flat_map(|case| case.digests.values()).fold(0_u64, |all, digest| {
            let digest = u64::from_str_radix(digest, 16).unwrap_or_default();
            (all.rotate_left(5) ^ digest).wrapping_mul(0x9fb2_1c65_1e98_df25)
        });
        let part = match self.parts.keys().next() {
            Some(part) if !self.whole => format!("part {part} of "),
            Some(_) | None => String::new(),
        };
        format!(
            "{}: {part}{}, {}, {}, {seen} of {} \"sometimes\" seen, digest {digest:016x}",
            super::word(self.exit),
            super::count(self.cases.len() as u64, "case"),
            super::count(self.runs, "run"),
            super::count(self.deviating_runs, "deviating schedule"),
            sometimes.len(),
        )
    }
}

impl FailureLine {
    fn new(failure: &Failure) -> Self {
        Self {
            case: failure.case.clone(),
            kind: failure.violation.kind.as_str(),
            promise: failure.violation.name.clone(),
            detail: failure.violation.detail.clone(),
            replay: failure.replay_line(),
            deviations: failure.minimal.schedule.deviations(),
            found_after_runs: failure.after_runs,
            shrink_runs: failure.shrink_runs,
        }
    }
}

/// How one case did. What a part has not seen another may have: only a whole search can miss it.
fn outcome(report: &Report, whole: bool) -> Exit {
    use ft_sim::invariant::Kind;
    match &report.failure {
        Some(failure) if failure.violation.kind == Kind::Determinism => Exit::Unsound,
        Some(_) => Exit::Failed,
        None if report.divergence.is_some() => Exit::Unsound,
        None if whole && !report.vacuous().is_empty() => Exit::Unseen,
        None => Exit::Completed,
    }
}

#[cfg(test)]
mod tests {
    use ft_sim::{World, explore};
    use std::cell::Cell;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn talk(world: &mut World) {
        world.pair(
            |mut s| async move { s.write_all(b"hello").await },
            |mut s| async move { s.read_to_end(&mut Vec::new()).await },
        );
    }

    #[test]
    fn search_that_never_saw_its_sometimes_is_unseen_but_a_part_of_it_is_not_blamed() {
        let case = |world: &mut World| {
            talk(world);
            world.sometimes("pigs fly", false);
        };
        for (partition, expected) in [((1, 1), Exit::Unseen), ((1, 2), Exit::Completed)] {
            let report = explore("pigs", case).partition(partition.0, partition.1).swarm(1, 10).report();
            assert_eq!(Verdict::new(partition).add("all".into(), &report), expected);
        }
    }

    #[test]
    fn case_that_depends_on_earlier_runs_is_unsound() {
        let runs = Cell::new(0);
        let report = explore("moody", |world: &mut World| {
            runs.set(runs.get() + 1);
            talk(world);
            world.always("the third time fails", runs.get() != 3);
        })
        .swarm(1, 10)
        .report();
        let mut verdict = Verdict::new((1, 1));
        assert_eq!(verdict.add("all".into(), &report), Exit::Unsound);
        assert_eq!(verdict.unsound.len(), 1, "{verdict:?}");
        assert_eq!(verdict.end(), Exit::Unsound);
    }

    #[test]
    fn gravest_case_decides_about_the_search() {
        let mut verdict = Verdict::new((1, 1));
        let broken = explore("broken", |world: &mut World| world.always("no", false)).swarm(1, 1).report();
        let fine = explore("fine", talk).swarm(1, 1).report();
        assert_eq!(verdict.add("all".into(), &broken), Exit::Failed);
        assert_eq!(verdict.add("all".into(), &fine), Exit::Completed);
        assert_eq!(verdict.end(), Exit::Failed);
    }
}
