//! Runs a program's checks side by side, each worker with a jail of its own.
//!
//! A run mostly waits: for a program to start, to answer, or to show that it never will. What falls is run twice more,
//! by whoever is free; what falls three times is a failure, what falls less often is inconclusive.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ft_core::dialect::Whose;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::facts::Facts;
use super::plan::{Check, Plan, Special, Wants};
use super::stage::NoStage;
use super::trial::Cast;
use super::verdict::{Finding, Verdict};
use crate::limits::{GRADE_CHANCES, GRADE_REPEATS};
use crate::proxy::Certainty;

/// What a worker does next: a check's plans one after the other, or one that fell once more.
#[derive(Clone, Copy, Debug)]
enum Job {
    Try(usize),
    Again(usize, usize),
}

/// What is known of a check so far.
#[derive(Clone, Debug, Default)]
struct Tally {
    runs: u32,
    failures: u32,
    /// Which plan fell first, what it looked like, and why.
    fell: Option<(usize, String)>,
    /// The run that is shown.
    shown: Option<(usize, Facts)>,
    certainty: Certainty,
    not_applicable: Option<String>,
    /// It stood when it was run again.
    stood: bool,
    /// The program was ended for something that the check is not about.
    beside: Option<String>,
    /// Repetitions that are still to come, and those that were.
    left: u32,
    again: u32,
    took: Duration,
}

struct State {
    queue: VecDeque<Job>,
    at_work: usize,
    tallies: Vec<Tally>,
    notes: BTreeSet<String>,
    broken: Option<NoStage>,
}

/// Everything that the workers share.
struct Crew<'a> {
    checks: &'a [Check],
    control: &'a Plan,
    state: Mutex<State>,
    changed: Condvar,
    done: &'a (dyn Fn(&Finding) + Sync),
    points: &'a (dyn Fn(&Check) -> f64 + Sync),
}

/// Runs all checks of one program; they come back in the order in which they were given, with what else was noticed.
///
/// # Errors
///
/// The program can no longer be run at all.
pub(super) fn run(
    checks: &[Check],
    control: &Plan,
    workers: usize,
    cast: &(dyn Fn() -> Result<Cast, NoStage> + Sync),
    points: &(dyn Fn(&Check) -> f64 + Sync),
    done: &(dyn Fn(&Finding) + Sync),
) -> Result<(Vec<Finding>, BTreeSet<String>), NoStage> {
    let mut order: Vec<usize> = (0..checks.len()).collect();
    // Those that wait for a program's patience first: the others fill the time.
    order.sort_by_key(|index| !checks[*index].plans.iter().any(is_long));
    let state = State {
        queue: order.into_iter().map(Job::Try).collect(),
        at_work: 0,
        tallies: vec![Tally::default(); checks.len()],
        notes: BTreeSet::new(),
        broken: None,
    };
    let crew = Crew { checks, control, state: Mutex::new(state), changed: Condvar::new(), done, points };
    thread::scope(|scope| {
        for _ in 0..workers.min(checks.len()) {
            scope.spawn(|| crew.work(cast));
        }
    });
    let state = crew.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(broken) = state.broken {
        return Err(broken);
    }
    let findings = checks.iter().zip(&state.tallies).map(|(check, tally)| finding(check, tally, points(check)));
    Ok((findings.collect(), state.notes))
}

fn is_long(plan: &Plan) -> bool {
    plan.special == Special::Meanwhile || plan.special == Special::Interrupted || plan.wants == Wants::Admitted
}

impl Crew<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, cast: &dyn Fn() -> Result<Cast, NoStage>) {
        let result = (|| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let mut mine = None;
            while let Some(job) = self.next() {
                let cast = match &mut mine {
                    Some(cast) => cast,
                    none => none.insert(cast()?),
                };
                // Tasks that are left go with it: a run leaves nothing to the next.
                runtime.block_on(LocalSet::new().run_until(self.job(job, cast)))?;
            }
            Ok(())
        })();
        if let Err(broken) = result {
            let mut state = self.lock();
            state.broken.get_or_insert(broken);
            state.queue.clear();
            self.changed.notify_all();
        }
    }

    /// The next job; nothing when nobody can have any more.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.broken.is_some() {
                return None;
            }
            if let Some(job) = state.queue.pop_front() {
                state.at_work += 1;
                return Some(job);
            }
            if state.at_work == 0 {
                self.changed.notify_all();
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    async fn job(&self, job: Job, cast: &mut Cast) -> Result<(), NoStage> {
        let begun = Instant::now();
        let index = match job {
            Job::Try(index) | Job::Again(index, _) => index,
        };
        let check = &self.checks[index];
        let result = match job {
            Job::Try(_) => self.attempt(index, check, cast).await,
            Job::Again(_, plan) => {
                let facts = cast.run(check.role, &check.plans[plan], self.control).await;
                facts.map(|facts| self.again(index, plan, facts))
            }
        };
        let mut state = self.lock();
        state.at_work -= 1;
        state.tallies[index].took += begun.elapsed();
        self.changed.notify_all();
        let tally = &state.tallies[index];
        if result.is_ok() && tally.left == 0 {
            (self.done)(&finding(check, tally, (self.points)(check)));
        }
        result
    }

    /// Every plan, until one falls.
    async fn attempt(&self, index: usize, check: &Check, cast: &mut Cast) -> Result<(), NoStage> {
        for plan in &check.before {
            let facts = cast.run(check.role, plan, self.control).await?;
            if let Some(fault) = facts.fault(plan, check.role) {
                let mut state = self.lock();
                state.tallies[index].not_applicable =
                    Some(format!("{fault}, with nothing cut; {}", plan.input.shown()));
                state.tallies[index].shown = Some((0, facts));
                return Ok(());
            }
        }
        let plans = check.plans.iter().enumerate();
        for (number, plan) in plans.flat_map(|plan| (0..check.tries).map(move |_| plan)) {
            let facts = cast.run(check.role, plan, self.control).await?;
            let fault = facts.fault(plan, check.role);
            let mut state = self.lock();
            state.notes.extend(facts.notes.iter().cloned());
            let tally = &mut state.tallies[index];
            tally.runs += 1;
            if facts.is_beside_the_point(check.pitfall) {
                tally.beside = fault;
                tally.shown = Some((number, facts));
                return Ok(());
            }
            if let Some(fault) = fault {
                tally.failures = 1;
                // What was not exact before belongs to plans that stood.
                tally.certainty = facts.certainty;
                tally.fell = Some((number, fault));
                tally.shown = Some((number, facts));
                // The best guess has to be wrong more often before nobody is thought able to guess right.
                let is_guess = check.whose == Some(Whose::Protocol);
                let repeats = if is_guess { 2 * GRADE_REPEATS } else { GRADE_REPEATS };
                tally.left = repeats - 1;
                for _ in 1..repeats {
                    state.queue.push_front(Job::Again(index, number));
                }
                return Ok(());
            }
            tally.certainty = tally.certainty.max(facts.certainty);
            tally.shown = Some((number, facts));
        }
        Ok(())
    }

    fn again(&self, index: usize, plan: usize, facts: Facts) {
        let check = &self.checks[index];
        let is_beside = facts.is_beside_the_point(check.pitfall);
        let fault = facts.fault(&check.plans[plan], check.role).filter(|_| !is_beside);
        let mut state = self.lock();
        let tally = &mut state.tallies[index];
        tally.runs += 1;
        tally.left -= 1;
        tally.failures += u32::from(fault.is_some());
        tally.stood |= fault.is_none() && !is_beside;
        tally.certainty = tally.certainty.max(facts.certainty);
        tally.again += 1;
        // Whether a reset overtakes a program's last words is the kernel's to say: what fell once is given more chances.
        let is_luck = tally.stood && check.whose == Some(Whose::Protocol);
        if !is_luck && tally.failures + tally.left < GRADE_REPEATS && tally.again < GRADE_CHANCES {
            tally.left += 1;
            state.queue.push_front(Job::Again(index, plan));
            self.changed.notify_all();
        }
    }
}

fn finding(check: &Check, tally: &Tally, points: f64) -> Finding {
    let number = tally.shown.as_ref().map_or(0, |(number, _)| *number);
    let plan = check.plans.get(number).or(check.plans.first());
    // Where the protocol leaves only a guess, such as a quiet moment, a busy machine makes the best guess wrong at times.
    let is_luck = tally.stood && check.whose == Some(Whose::Protocol) && tally.beside.is_none();
    let verdict = match () {
        () if is_luck && tally.certainty == Certainty::Exact => Verdict::Passed,
        () if check.nothing.is_some() || tally.not_applicable.is_some() => Verdict::NotApplicable,
        () if tally.failures >= GRADE_REPEATS && tally.certainty != Certainty::Guessed => Verdict::Failed,
        () if tally.beside.is_some() || tally.failures > 0 || tally.certainty != Certainty::Exact => {
            Verdict::Inconclusive
        }
        () => Verdict::Passed,
    };
    let observed = match (&tally.fell, &tally.not_applicable, check.nothing) {
        (None, None, None) if tally.beside.is_some() => tally.beside.clone().unwrap_or_default(),
        (_, _, Some(why)) => why.to_owned(),
        (_, Some(why), _) => why.clone(),
        (Some((_, fault)), ..) if is_luck => {
            format!(
                "stood {} times of {}, as well as one can guess; else: {fault}",
                tally.runs - tally.failures,
                tally.runs
            )
        }
        (Some((_, fault)), ..) => fault.clone(),
        _ if tally.certainty == Certainty::Guessed => "the kernel could not be asked what the program has read".into(),
        _ if tally.certainty == Certainty::Missed => "the program did not read where it was cut".into(),
        _ => "stood".into(),
    };
    Finding {
        pitfall: check.pitfall,
        role: check.role,
        verdict,
        whose: check.whose,
        schedule: plan.map(|plan| plan.schedule.clone()).unwrap_or_default(),
        input: plan.map(|plan| plan.input.shown()).unwrap_or_default(),
        expected: check.expected.to_owned(),
        observed,
        runs: tally.runs,
        failures: tally.failures,
        certainty: tally.certainty,
        events: tally.shown.as_ref().map(|(_, facts)| facts.events.clone()).unwrap_or_default(),
        said: tally.shown.as_ref().map(|(_, facts)| facts.said.clone()).unwrap_or_default(),
        took: tally.took,
        points: if check.nothing.is_some() { 0.0 } else { points },
    }
}
