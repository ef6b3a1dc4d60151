//! The project's own protocols as cases: ft/1 and the two labs, over the engine, with the promises that each must keep.
//!
//! The engine names no protocol; here is where the two meet. A [`Case`] has a name, so that a replay line can find it
//! again, and states the invariants of every transfer: INTACT, HONEST, ORDER, SPLIT, LIVE, INSIDE. `ft.rs` plays ft/1,
//! `lab.rs` the labs, `stranger.rs` and `lab_stranger.rs` peers that are not ours, `guess.rs` who it is that comes,
//! `segments.rs` what somebody else spreads over two connections, `table.rs` lists the cases; [`crate::scenario`] is a case
//! with other inputs, one schedule, and what is expected of it.

mod deadline;
mod ft;
mod guess;
mod inputs;
mod lab;
mod lab_stranger;
mod landing;
pub mod pitfalls;
mod queue;
mod segments;
mod shared_files;
mod slow;
mod stranger;
mod table;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::cutmap::{self, CutMap, TooLarge};
use crate::exec::panic_message;
use crate::explore::{Explorer, explore};
use crate::faults::Faults;
use crate::ground::{Ground, WorldKind};
use crate::invariant::{Kind, Violation};
use crate::report::{Report, Run};
use crate::room::{Away, Network};
use crate::schedule::{Fault, Schedule, ScheduleError};
use crate::unmet::Unmet;
use crate::world::{Decide, World};

use ft::FtSetup;
pub(crate) use inputs::Inputs;
use lab::LabSetup;

/// One question about one pair of parties, answerable by any schedule.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name in lists, replay lines and scenarios.
    pub name: &'static str,
    /// What a search over it answers.
    pub question: &'static str,
    /// Who plays the client and who the server.
    pub parties: [&'static str; 2],
    /// The worlds that can hold it, fastest first.
    pub worlds: &'static [WorldKind],
    /// False if a search is meant to find its faults: the naive programs of the labs, and hasty servers of ft/1.
    pub stands: bool,
    setup: fn() -> Setup,
    faults: fn() -> Faults,
}

/// Every case, in the order of listing.
#[must_use]
pub fn all() -> &'static [Case] {
    table::CASES
}

/// The case of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Case> {
    all().iter().find(|case| case.name == name)
}

/// Runs a replay line, `CASE: SCHEDULE`, once more and keeps its events.
///
/// # Errors
///
/// The line cannot be read, or there is no such case.
pub fn replay(line: &str) -> Result<(&'static Case, Run), ReplayError> {
    let (name, schedule) = crate::replay::parse(line).map_err(ReplayError::Line)?;
    let case = find(name).ok_or_else(|| ReplayError::NoSuchCase(name.to_owned()))?;
    Ok((case, case.run(&schedule)))
}

/// Why a line cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// It is not `CASE: SCHEDULE`.
    Line(ScheduleError),
    /// No case has that name.
    NoSuchCase(String),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => write!(f, "not a replay line: {error}"),
            Self::NoSuchCase(name) => write!(f, "no case is named {:?}", name),
        }
    }
}

impl std::error::Error for ReplayError {}

/// What a search over a case does; the parts run in the order of the fields.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every placing of at most so many faults; see [`Explorer::exhaustive`].
    pub deviations: u32,
    /// Each of these at every byte of both directions of the benign run.
    pub cuts: Vec<Fault>,
    /// So many random schedules.
    pub runs: u64,
    /// The first seed of those.
    pub seed: u64,
    /// Part and parts, counted from 1: disjoint and together complete.
    pub partition: (u32, u32),
    /// Other faults than the case's own.
    pub faults: Option<Faults>,
}

impl Default for Plan {
    /// Every single deviation, then 1,000 random schedules.
    fn default() -> Self {
        Self { deviations: 1, cuts: Vec::new(), runs: 1_000, seed: 1, partition: (1, 1), faults: None }
    }
}

impl Case {
    /// Runs it once and keeps the events.
    #[must_use]
    pub fn run(&self, schedule: &Schedule) -> Run {
        self.play(schedule).0
    }

    /// Runs it once, keeps the events, and says what each party reported.
    #[must_use]
    pub fn play(&self, schedule: &Schedule) -> (Run, Outcome) {
        (self.setup)().play(schedule)
    }

    /// As [`Case::play`], in a tokio runtime with a paused clock.
    #[cfg(feature = "tokio-world")]
    #[must_use]
    pub fn play_on_tokio(&self, schedule: &Schedule) -> (Run, Outcome) {
        self.setup().play_in(World::on_tokio(), schedule)
    }

    /// Runs it once on another world's network.
    ///
    /// # Errors
    ///
    /// Why that world cannot hold it.
    pub fn play_on<N: Network>(&self, away: &mut Away<N>, schedule: &Schedule) -> Result<(Run, Outcome), String> {
        self.holds(N::KIND, schedule)?;
        Ok(self.setup().play_on(away, schedule))
    }

    /// Whether a world can hold this case under this schedule.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn holds(&self, world: WorldKind, schedule: &Schedule) -> Result<(), String> {
        if !self.worlds.contains(&world) {
            return Err(format!("the case {} is not for world {world}", self.name));
        }
        world.cannot_hold(schedule).map_or(Ok(()), Err)
    }

    /// Searches as planned; `progress` hears the number of runs now and then. The first failure is shrunk and ends it.
    ///
    /// # Panics
    ///
    /// If the plan's partition is not one.
    pub fn explore(&self, plan: &Plan, progress: impl FnMut(u64)) -> Report {
        search(explore(self.name, self.closure()), self, plan, progress)
    }

    /// As [`Case::explore`], in a tokio runtime with a paused clock.
    ///
    /// # Panics
    ///
    /// As [`Case::explore`].
    #[cfg(feature = "tokio-world")]
    pub fn explore_on_tokio(&self, plan: &Plan, progress: impl FnMut(u64)) -> Report {
        search(crate::explore::explore_on_tokio(self.name, self.closure()), self, plan, progress)
    }

    /// The case as a function, for searches that a [`Plan`] does not describe.
    pub fn closure(&self) -> impl Fn(&mut World) + use<> {
        let game = (self.setup)().into_game();
        move |world| game.run(world)
    }

    /// What each cut at each byte does to it, on top of `base`.
    ///
    /// # Errors
    ///
    /// See [`cutmap::draw`].
    pub fn cut_map(&self, base: &Schedule, faults: &[Fault]) -> Result<CutMap, TooLarge> {
        (self.setup)().cut_map(self, base, faults)
    }

    /// How many strangers the case has, who come one a run: `stranger#0=N` for the N-th, from 0. None in other cases.
    #[must_use]
    pub fn strangers(&self) -> u32 {
        match (self.setup)().into_game() {
            Game::Stranger(game) => game.strangers(),
            Game::LabStranger(game) => game.strangers(),
            Game::Ft(_) | Game::Lab(_) | Game::Guess(_) | Game::Segments(_) => 0,
        }
    }

    /// The faults that it is searched with unless a plan says otherwise.
    #[must_use]
    pub fn faults(&self) -> Faults {
        (self.faults)()
    }

    pub(crate) fn setup(&self) -> Setup {
        (self.setup)()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

fn search<F: Fn(&mut World)>(
    explorer: Explorer<'static, F>,
    case: &Case,
    plan: &Plan,
    progress: impl FnMut(u64),
) -> Report {
    let faults = plan.faults.clone().unwrap_or_else(|| case.faults());
    explorer
        .faults(&faults)
        .partition(plan.partition.0, plan.partition.1)
        .progress(progress)
        .exhaustive(plan.deviations)
        .every_cut(&plan.cuts)
        .swarm(plan.seed, plan.runs)
        .report()
}

/// What the parties of one run reported, and what lay on the receiver's disk in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The client's own words for what became of the transfer.
    pub client: String,
    /// The server's.
    pub server: String,
    /// Under the receiver's final names, before any retry: `f: new`, `f: old`.
    pub files: String,
    /// The client's words after a clean retry, where the case makes one.
    pub retry: Option<String>,
}

/// A case's inputs.
#[derive(Clone, Debug)]
pub(crate) enum Setup {
    Ft(FtSetup),
    Lab(LabSetup),
    Stranger(stranger::Ours),
    LabStranger(lab_stranger::Ours),
    Guess,
    Segments,
}

impl Setup {
    pub(crate) fn into_game(self) -> Game {
        match self {
            Self::Ft(setup) => Game::Ft(ft::Game::new(setup)),
            Self::Lab(setup) => Game::Lab(lab::Game::new(setup)),
            Self::Stranger(ours) => Game::Stranger(stranger::Game::new(ours)),
            Self::LabStranger(ours) => Game::LabStranger(lab_stranger::Game::new(ours)),
            Self::Guess => Game::Guess(guess::Game::new()),
            Self::Segments => Game::Segments(segments::Game::new()),
        }
    }

    pub(crate) fn play(self, schedule: &Schedule) -> (Run, Outcome) {
        self.into_game().once(World::new(), schedule)
    }

    pub(crate) fn cut_map(self, case: &Case, base: &Schedule, faults: &[Fault]) -> Result<CutMap, TooLarge> {
        let game = self.into_game();
        cutmap::draw(case.name, case.parties, base, faults, |schedule| game.once(World::new(), schedule))
    }

    #[cfg(feature = "tokio-world")]
    pub(crate) fn play_in(self, world: World, schedule: &Schedule) -> (Run, Outcome) {
        self.into_game().once(world, schedule)
    }

    pub(crate) fn play_on<N: Network>(self, away: &mut Away<N>, schedule: &Schedule) -> (Run, Outcome) {
        away.renew();
        let (violation, outcome) = self.into_game().once_on(away, schedule);
        let written = away.written();
        // The relay plays the steps; what it met is not known here.
        (recorded(away.world(), violation, written, Vec::new()), outcome)
    }
}

fn recorded(world: &mut World, violation: Option<Violation>, written: Vec<[u64; 2]>, unmet: Vec<Unmet>) -> Run {
    Run { violation, schedule: world.schedule(), hash: world.hash(), events: world.take_events(), written, unmet }
}

/// A setup, and what is remembered between its runs: how the benign one went.
pub(crate) enum Game {
    Ft(ft::Game),
    Lab(lab::Game),
    Stranger(stranger::Game),
    LabStranger(lab_stranger::Game),
    Guess(guess::Game),
    Segments(segments::Game),
}

/// Whether anybody will read an outcome. A search reads none, and putting them into words would be much of its cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tell {
    Words,
    Nothing,
}

impl Game {
    /// Plays it once under a schedule, keeping the events.
    fn once(&self, mut world: World, schedule: &Schedule) -> (Run, Outcome) {
        let (violation, outcome) = self.once_on(&mut world, schedule);
        let (written, unmet) = (world.written(), world.unmet());
        (recorded(&mut world, violation, written, unmet), outcome)
    }

    fn once_on<G: Ground>(&self, ground: &mut G, schedule: &Schedule) -> (Option<Violation>, Outcome) {
        ground.world().reset(Decide::Schedule(schedule.clone()), true);
        let outcome = match catch_unwind(AssertUnwindSafe(|| self.play(ground))) {
            Ok(outcome) => outcome,
            Err(payload) => {
                ground.world().panicked(panic_message(payload.as_ref()));
                Outcome::default()
            }
        };
        (ground.world().violation(), outcome)
    }

    /// Plays it once, and says how it went.
    pub(crate) fn play<G: Ground>(&self, ground: &mut G) -> Outcome {
        self.go(ground, Tell::Words)
    }

    /// Plays it once for its promises alone.
    pub(crate) fn run<G: Ground>(&self, ground: &mut G) {
        self.go(ground, Tell::Nothing);
    }

    fn go<G: Ground>(&self, ground: &mut G, tell: Tell) -> Outcome {
        match self {
            Self::Ft(game) => game.play(ground, tell),
            Self::Lab(game) => game.play(ground, tell),
            Self::Stranger(game) => game.play(ground, tell),
            Self::LabStranger(game) => game.play(ground, tell),
            Self::Guess(game) => game.play(ground, tell),
            Self::Segments(game) => game.play(ground, tell),
        }
    }
}

/// Reports a broken promise, if there is something to say about it.
fn broken(world: &mut World, promise: &str, detail: Option<String>) {
    if let Some(detail) = detail {
        world.violate(Kind::Always, promise, || detail);
    }
}
