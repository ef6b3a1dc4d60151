//! What a search does with a world: makes it new, lets it decide, runs its tasks, asks what happened.

use std::collections::BTreeMap;

use super::World;
use crate::choices::{Choices, Enumeration, Seeded};
use crate::exec::{RunEnd, Task};
use crate::faults::Faults;
use crate::invariant::{Kind, Violation};
use crate::limits;
use crate::schedule::Schedule;
use crate::trace::{Event, TraceHash};
use crate::unmet::Unmet;

/// What decides in a run.
#[derive(Debug)]
pub(crate) enum Decide {
    /// What a schedule says, else nothing.
    Schedule(Schedule),
    /// A seed, with every allowed fault in play at this rate.
    Seed(u64),
    /// The next path of an exhaustive search.
    Path(Enumeration),
}

impl World {
    pub(super) fn drive(&mut self, tasks: &mut [&mut dyn Task]) {
        let end = self.execute(tasks);
        let panic = tasks.iter().find_map(|task| task.panic()).map(str::to_owned);
        self.ended(end, panic);
    }

    /// Books how a run ended, and what the first party that panicked said.
    pub(crate) fn ended(&mut self, end: RunEnd, panic: Option<String>) {
        if let Some(name) = self.hooks.broken {
            self.violate(Kind::Always, name, String::new);
        }
        // Before what may be its consequence.
        if let Some(text) = panic.filter(|_| !self.tolerate_panic) {
            self.violate(Kind::Panic, "no panic", || text);
        }
        match end {
            RunEnd::Complete => {}
            RunEnd::Deadlock(_) if self.tolerate_deadlock => {}
            RunEnd::Deadlock(who) => self.violate(Kind::Live, "no deadlock", || who),
            RunEnd::Endless(bound) => {
                self.violate(Kind::Live, "ends", || format!("the run reached its bound on {bound}"));
            }
        }
        self.shared.lock().host = None;
    }

    #[cfg(feature = "tokio-world")]
    fn execute(&mut self, tasks: &mut [&mut dyn Task]) -> RunEnd {
        match &self.runtime {
            None => self.exec.run(&self.shared, tasks, &mut self.hooks),
            Some(runtime) => {
                runtime.block_on(crate::exec::run_hosted(&mut self.exec, &self.shared, tasks, &mut self.hooks))
            }
        }
    }

    #[cfg(not(feature = "tokio-world"))]
    fn execute(&mut self, tasks: &mut [&mut dyn Task]) -> RunEnd {
        self.exec.run(&self.shared, tasks, &mut self.hooks)
    }

    pub(crate) fn violate(&mut self, kind: Kind, name: &str, detail: impl FnOnce() -> String) {
        self.shared.lock().properties.violate(kind, name, detail);
    }

    pub(crate) fn set_faults(&mut self, faults: &Faults) {
        self.faults = faults.clone();
        self.shared.lock().planner.configure(faults);
    }

    /// Makes the world new.
    pub(crate) fn reset(&mut self, decide: Decide, keep_events: bool) {
        self.hooks.watches.clear();
        self.hooks.deaths.clear();
        self.hooks.crashed = 0;
        self.hooks.broken = None;
        self.windows = [limits::DEFAULT_WINDOW; 2];
        self.tolerate_deadlock = false;
        self.tolerate_panic = false;
        #[cfg(feature = "tokio-world")]
        if self.runtime.as_ref().is_some_and(|runtime| runtime.metrics().num_alive_tasks() > 0) {
            // What a party has spawned and nobody ended must not run on into the next run.
            self.runtime = Some(super::paused_runtime());
        }
        let mut core = self.shared.lock();
        core.reset(keep_events);
        core.planner.serve_all();
        match decide {
            Decide::Schedule(schedule) => {
                core.choices = Choices::Benign;
                core.script = Some(schedule);
            }
            Decide::Seed(seed) => {
                // Swarm: each run allows its own half of the faults, at its own rate.
                let mut seeded = Seeded::new(seed, 1);
                core.planner.serve_some(seeded.bits());
                let one_in = 2 << seeded.below(4);
                seeded.set_one_in(one_in);
                core.choices = Choices::Seeded(seeded);
            }
            Decide::Path(path) => core.choices = Choices::Enumerated(path),
        }
    }

    /// How many deviations the run was told to make, or decided on.
    pub(crate) fn deviations(&self) -> u64 {
        let core = self.shared.lock();
        let decided = core.steps.len() + core.picks.len();
        core.script.as_ref().map_or(decided, Schedule::deviations) as u64
    }

    /// The same, if all of them are what TCP may do at any time; nothing if the run was disturbed in other ways.
    pub(crate) fn deviations_that_only_cut(&self) -> Option<u64> {
        let core = self.shared.lock();
        let (steps, picks) = match &core.script {
            Some(script) => (script.steps(), script.picks()),
            None => (&core.steps[..], &core.picks[..]),
        };
        let only_cut = steps.iter().all(|step| step.fault.is_segmentation())
            && picks.iter().all(|pick| pick.name == crate::core::ORDER);
        only_cut.then_some((steps.len() + picks.len()) as u64)
    }

    /// What the run was told to do and did not.
    pub(crate) fn unmet(&self) -> Vec<Unmet> {
        self.shared.lock().unmet()
    }

    pub(crate) fn take_path(&mut self) -> Option<Enumeration> {
        match std::mem::replace(&mut self.shared.lock().choices, Choices::Benign) {
            Choices::Enumerated(path) => Some(path),
            Choices::Benign | Choices::Seeded(_) => None,
        }
    }

    pub(crate) fn hash(&self) -> TraceHash {
        self.shared.lock().trace.hash()
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        self.shared.lock().trace.take()
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        self.shared.lock().properties.violation.clone()
    }

    pub(crate) fn panicked(&mut self, message: String) {
        self.violate(Kind::Panic, "the case", || message);
    }

    /// Books every *sometimes* that held in this run.
    pub(crate) fn book_sometimes(&mut self) {
        for seen in &mut self.shared.lock().properties.sometimes {
            seen.runs += u64::from(seen.held);
        }
    }

    /// In how many booked runs each *sometimes* held.
    pub(crate) fn sometimes_seen(&self) -> BTreeMap<&'static str, u64> {
        self.shared.lock().properties.sometimes.iter().map(|seen| (seen.name, seen.runs)).collect()
    }

    /// How many bytes were written in each direction of each connection of the run.
    pub(crate) fn written(&self) -> Vec<[u64; 2]> {
        let core = self.shared.lock();
        core.conns[..core.open]
            .iter()
            .map(|conn| crate::schedule::Direction::BOTH.map(|dir| conn.pipe(dir).written_offset()))
            .collect()
    }
}
