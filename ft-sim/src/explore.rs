//! Searches: a case, run under many schedules, until a promise breaks.
//!
//! - [`Explorer::exhaustive`]: every placing of at most k of the faults that the search has;
//! - [`Explorer::every_cut`]: each given fault at every byte offset of both directions of the benign run;
//! - [`Explorer::swarm`]: random schedules, each from its own random half of the faults, sizes biased to the telling ones;
//! - [`Explorer::schedules`]: exactly these.
//!
//! [`Explorer::partition`] gives a machine its share of each, with no coordination. The first failure is shrunk and
//! ends the search. The proof that a decoder does not depend on segmentation is another matter: [`crate::prove`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::choices::Enumeration;
use crate::exec::panic_message;
use crate::faults::Faults;
use crate::invariant::{Kind, Violation};
use crate::report::{Failure, Report, Run};
use crate::schedule::{Direction, Fault, Schedule, Step};
use crate::shrink::shrink;
use crate::world::{Decide, World};

/// Begins a search over a case; `name` appears in reports and replay lines.
///
/// # Panics
///
/// If the name is empty or has `": "` in it, which ends a name in a replay line.
pub fn explore<F: Fn(&mut World)>(name: &str, case: F) -> Explorer<'static, F> {
    Explorer::new(name, case, World::new())
}

/// As [`explore`], in a tokio runtime with a paused clock. Tasks that a party has spawned live as long as the run: a kill or a
/// crash of their host ends the futures that were given to the world, and not them. An hour of virtual time in which nothing
/// happens but `tokio::time` is a deadlock.
///
/// # Panics
///
/// As [`explore`]; and if the operating system refuses the runtime.
#[cfg(feature = "tokio-world")]
pub fn explore_on_tokio<F: Fn(&mut World)>(name: &str, case: F) -> Explorer<'static, F> {
    Explorer::new(name, case, World::on_tokio())
}

/// Runs a case once under a schedule and keeps its events.
pub fn run<F: Fn(&mut World)>(case: F, schedule: &Schedule) -> Run {
    let mut world = World::new();
    run_once(&mut world, &case, Decide::Schedule(schedule.clone()), true)
}

/// As [`run`], in a tokio runtime with a paused clock: what [`explore_on_tokio`] has found.
///
/// # Panics
///
/// If the operating system refuses the runtime.
#[cfg(feature = "tokio-world")]
pub fn run_on_tokio<F: Fn(&mut World)>(case: F, schedule: &Schedule) -> Run {
    run_once(&mut World::on_tokio(), &case, Decide::Schedule(schedule.clone()), true)
}

/// A search under way. Each verb runs at once and adds to the report, unless a failure has ended the search.
pub struct Explorer<'p, F> {
    case: F,
    world: World,
    report: Report,
    part: (u32, u32),
    progress: Option<Progress<'p>>,
}

/// Called now and then with the number of runs made so far.
type Progress<'p> = Box<dyn FnMut(u64) + 'p>;

/// Runs between two calls of a progress callback.
const PROGRESS_EVERY: u64 = 4096;

impl<'p, F: Fn(&mut World)> Explorer<'p, F> {
    fn new(name: &str, case: F, world: World) -> Self {
        assert!(!name.is_empty() && !name.contains(": "), "a name stands before \": \" in a replay line: {name:?}");
        let report = Report { case: name.to_owned(), ..Report::default() };
        let mut explorer = Self { case, world, report, part: (1, 1), progress: None };
        explorer.world.set_faults(&Faults::segmentation());
        explorer
    }

    /// Which faults the searches that follow may use; [`Faults::segmentation`] unless said.
    #[must_use]
    pub fn faults(mut self, faults: &Faults) -> Self {
        self.world.set_faults(faults);
        self
    }

    /// Only part `part` of `parts`, counted from 1: the parts are disjoint and together complete.
    ///
    /// # Panics
    ///
    /// If `part` is not between 1 and `parts`.
    #[must_use]
    pub fn partition(mut self, part: u32, parts: u32) -> Self {
        assert!((1..=parts).contains(&part), "partition {part}/{parts}: the part must lie between 1 and {parts}");
        self.part = (part, parts);
        self.report.is_part = parts > 1;
        self
    }

    /// Calls back every few thousand runs with the number made so far.
    #[must_use]
    pub fn progress<'q>(self, callback: impl FnMut(u64) + 'q) -> Explorer<'q, F> {
        let Self { case, world, report, part, progress: _ } = self;
        Explorer { case, world, report, part, progress: Some(Box::new(callback)) }
    }

    /// Every placing of at most `deviations` faults; the benign run is the first. Those of [`Faults`], so that neither a
    /// window nor a hold up to an offset is tried, no delay but the given ones, and one fault at an offset.
    #[must_use]
    pub fn exhaustive(mut self, deviations: u32) -> Self {
        if self.ended() {
            return self;
        }
        let mut path = Enumeration::new(deviations).partition(self.part.0, self.part.1);
        loop {
            let counts = path.counts();
            let run = run_once(&mut self.world, &self.case, Decide::Path(path), false);
            path = match self.world.take_path() {
                Some(path) => path,
                None => unreachable!("a run leaves its path in place"),
            };
            if counts && self.settle("exhaustive", &run) {
                return self;
            }
            if let Some(divergence) = path.diverged() {
                self.report.divergence = Some(divergence);
                return self;
            }
            if !path.advance() {
                self.report.divergence = path.diverged();
                return self;
            }
        }
    }

    /// Each of `faults` at every byte offset of every direction of the benign run, one per run.
    #[must_use]
    pub fn every_cut(mut self, faults: &[Fault]) -> Self {
        if self.ended() {
            return self;
        }
        let benign = run_once(&mut self.world, &self.case, Decide::Schedule(Schedule::benign()), false);
        if self.settle("benign", &benign) {
            return self;
        }
        let mut number = 0;
        let written = self.world.written();
        for (conn, written) in (1_u16..).zip(&written) {
            for (dir, &bytes) in Direction::BOTH.iter().zip(written) {
                for at in 0..=bytes {
                    for &fault in faults {
                        number += 1;
                        let Ok(schedule) = Schedule::new(vec![Step { conn, dir: *dir, at, fault }], Vec::new()) else {
                            continue;
                        };
                        if !self.owns(number) {
                            continue;
                        }
                        let run = run_once(&mut self.world, &self.case, Decide::Schedule(schedule), false);
                        if self.settle("cut", &run) {
                            return self;
                        }
                    }
                }
            }
        }
        self
    }

    /// `runs` random schedules from `seed` on. Run `i` depends on `seed + i` alone.
    #[must_use]
    pub fn swarm(mut self, seed: u64, runs: u64) -> Self {
        for i in 0..runs {
            if self.ended() {
                return self;
            }
            if !self.owns(i + 1) {
                continue;
            }
            let run = run_once(&mut self.world, &self.case, Decide::Seed(seed.wrapping_add(i)), false);
            self.settle("swarm", &run);
        }
        self
    }

    /// Exactly these schedules.
    #[must_use]
    pub fn schedules<'s>(mut self, schedules: impl IntoIterator<Item = &'s Schedule>) -> Self {
        for (number, schedule) in (1..).zip(schedules) {
            if self.ended() {
                return self;
            }
            if self.owns(number) {
                let run = run_once(&mut self.world, &self.case, Decide::Schedule(schedule.clone()), false);
                self.settle("schedule", &run);
            }
        }
        self
    }

    /// What was done and found.
    #[must_use]
    pub fn report(mut self) -> Report {
        self.report.sometimes = self.world.sometimes_seen();
        self.report
    }

    /// Ends a test with the report, if it is not a pass: a broken promise, a vacuous search, a case that is not
    /// deterministic.
    ///
    /// # Panics
    ///
    /// See [`Report::assert_passed`].
    #[track_caller]
    pub fn assert_passed(self) {
        self.report().assert_passed();
    }

    fn ended(&self) -> bool {
        self.report.failure.is_some() || self.report.divergence.is_some()
    }

    /// Work item `number`, counted from 1, belongs to this part.
    fn owns(&self, number: u64) -> bool {
        let (part, parts) = (u64::from(self.part.0), u64::from(self.part.1));
        (number - 1) % parts == part - 1
    }

    /// Books a run; true if it ends the search.
    fn settle(&mut self, search: &'static str, run: &Run) -> bool {
        *self.report.runs.entry(search).or_default() += 1;
        self.report.digest = (self.report.digest.rotate_left(5) ^ run.hash.0).wrapping_mul(0x9fb2_1c65_1e98_df25);
        let report = &mut self.report;
        self.world.book_sometimes();
        let deviations = self.world.deviations();
        report.deviations += deviations;
        report.deviating_runs += u64::from(deviations > 0);
        let runs = report.total_runs();
        if let Some(progress) = &mut self.progress
            && runs.is_multiple_of(PROGRESS_EVERY)
        {
            progress(runs);
        }
        let Some(violation) = &run.violation else {
            return false;
        };
        self.report.failure = Some(self.fail(violation.clone(), &run.schedule, runs));
        true
    }

    /// Shrinks a failing run and runs the minimal one once more for its events.
    fn fail(&mut self, violation: Violation, found: &Schedule, after_runs: u64) -> Failure {
        let (world, case) = (&mut self.world, &self.case);
        let (minimal, shrink_runs) = shrink(found, |candidate| {
            let run = run_once(world, case, Decide::Schedule(candidate.clone()), false);
            run.violation.is_some_and(|other| other.same_promise(&violation))
        });
        let minimal = run_once(world, case, Decide::Schedule(minimal), true);
        // A run that fails once and passes under its own recorded schedule depends on something that is not recorded.
        let violation = match &minimal.violation {
            Some(violation) => violation.clone(),
            None => Violation {
                kind: Kind::Determinism,
                name: "a failing run fails again".to_owned(),
                detail: format!("under the same schedule it passed; it was: {violation}"),
            },
        };
        Failure { case: self.report.case.clone(), violation, found: found.clone(), after_runs, minimal, shrink_runs }
    }
}

impl<F> std::fmt::Debug for Explorer<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Explorer").field("report", &self.report).finish_non_exhaustive()
    }
}

/// One run of a case.
fn run_once(world: &mut World, case: &impl Fn(&mut World), decide: Decide, keep_events: bool) -> Run {
    world.reset(decide, keep_events);
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| case(world))) {
        world.panicked(panic_message(payload.as_ref()));
    }
    let violation = world.violation();
    // The schedule of a passing run is of no interest to a search, and copying it would be half its cost.
    let shown = violation.is_some() || keep_events;
    let schedule = if shown { world.schedule() } else { Schedule::benign() };
    let written = if keep_events { world.written() } else { Vec::new() };
    let unmet = if keep_events { world.unmet() } else { Vec::new() };
    Run { violation, schedule, hash: world.hash(), events: world.take_events(), written, unmet }
}
