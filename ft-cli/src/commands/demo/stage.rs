//! What a lesson came to: every run is made here, when it is asked for, and nothing that is shown about an outcome comes
//! from anywhere else.

use ft_sim::scenario::{Played, Scenario};
use ft_sim::{Faults, Schedule, explore};

use super::lesson::{Claim, Lesson, Play, Run, Search};
use super::live::{self, Timed};
use super::survey::{self, Row};
use crate::limits::{DEMO_SEARCH_RUNS, DEMO_SEED};

/// Where scenarios are found by name.
pub(crate) type Library<'a> = &'a dyn Fn(&str) -> Option<Scenario>;

/// What came of a lesson.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// For each choice, whether its claim holds.
    pub(crate) right: Vec<bool>,
    /// One for each of the lesson's runs.
    pub(crate) pairs: Vec<Pair>,
    /// The search for the smallest counterexample, if the lesson makes one.
    pub(crate) search: Option<Searched>,
    /// Real loopback against random schedules.
    pub(crate) localhost: Option<Survivors>,
    /// Write, write, read over real TCP.
    pub(crate) timed: Option<Timed>,
    /// Counted cuts.
    pub(crate) survey: Vec<Row>,
}

/// Two programs under one schedule.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// The program as it is, under the scenario's schedule.
    pub(crate) broken: Played,
    /// The better one, under the same.
    pub(crate) fixed: Played,
}

/// What a random search did.
#[derive(Clone, Debug)]
pub(crate) struct Searched {
    /// Random schedules that were tried.
    pub(crate) runs: u64,
    /// Of those, how many broke some other promise.
    pub(crate) others: u64,
    /// The first that broke the promise asked for.
    pub(crate) found: Option<Found>,
}

/// A counterexample, made small.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Steps of the schedule as it was met.
    pub(crate) deviations: usize,
    /// Runs that shrinking took.
    pub(crate) shrink_runs: u64,
    /// Both programs under the smallest schedule.
    pub(crate) pair: Pair,
}

/// So many transfers over real loopback TCP, and so many under random schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Survivors {
    /// Transfers of each.
    pub(crate) times: u64,
    /// Files that arrived whole over loopback.
    pub(crate) loopback: u64,
    /// Files that arrived whole under random schedules.
    pub(crate) random: u64,
}

/// Plays a lesson.
///
/// # Errors
///
/// A scenario, play or case is not there, or real TCP could not be used at all.
pub(crate) fn play(lesson: &Lesson, library: Library<'_>) -> Result<Shown, String> {
    let text = &lesson.text;
    let pairs = text.runs.iter().map(|run| pair(run, library)).collect::<Result<Vec<_>, _>>()?;
    let first = text.runs.first();
    let search = match &text.search {
        Some(search) => {
            let run = search.run.checked_sub(1).and_then(|index| text.runs.get(index));
            Some(searched(search, run.ok_or("a search needs a run")?, library)?)
        }
        None => None,
    };
    let localhost = match (text.localhost, first) {
        (Some(localhost), Some(run)) => Some(survivors(localhost.times, &run.broken, library)?),
        (Some(_), None) => return Err("a comparison with localhost needs a run".to_owned()),
        (None, _) => None,
    };
    let timed = text.timing.map(|timing| live::write_write_read(timing.rounds)).transpose()?;
    let survey = text.survey.as_ref().map(survey::count).transpose()?.unwrap_or_default();
    let mut shown = Shown { right: Vec::new(), pairs, search, localhost, timed, survey };
    shown.right = text.question.choices.iter().map(|choice| shown.bears_out(&choice.claims)).collect();
    Ok(shown)
}

impl Shown {
    /// Whether everything that a claim states is so.
    fn bears_out(&self, claim: &Claim) -> bool {
        let Claim { client, server, files, breaks, survive, millis, clean, falls } = claim;
        let outcome = self.pairs.first().map(|pair| &pair.broken.outcome);
        let says = |word: &Option<String>, said: Option<&String>| match word {
            Some(word) => said.is_some_and(|said| said.starts_with(word.as_str())),
            None => true,
        };
        let broken = self.pairs.first().map(|pair| promise(&pair.broken));
        let within = |range: &Option<[u64; 2]>, number: Option<u64>| match range {
            Some([from, to]) => number.is_some_and(|number| (*from..=*to).contains(&number)),
            None => true,
        };
        let counted = |case: &Option<String>, holds: fn(u64) -> bool| match case {
            Some(case) => self.survey.iter().any(|row| row.case == *case && holds(row.fallen())),
            None => true,
        };
        says(client, outcome.map(|o| &o.client))
            && says(server, outcome.map(|o| &o.server))
            && says(files, outcome.map(|o| &o.files))
            && says(breaks, broken.as_ref())
            && within(survive, self.localhost.map(|both| both.random))
            && within(millis, self.timed.as_ref().map(|timed| timed.plain.whole_millis()))
            && counted(clean, |fallen| fallen == 0)
            && counted(falls, |fallen| fallen > 0)
    }
}

/// The name of the promise that a run broke, or `nothing`.
pub(crate) fn promise(played: &Played) -> String {
    played.run.violation.as_ref().map_or("nothing".to_owned(), |violation| violation.name.clone())
}

fn scenario(play: &Play, library: Library<'_>) -> Result<(Scenario, usize), String> {
    let missing = || format!("no play {} of a scenario {:?}", play.play, play.scenario);
    let scenario = library(&play.scenario).ok_or_else(missing)?;
    match play.play.checked_sub(1) {
        Some(index) if index < scenario.plays() => Ok((scenario, index)),
        Some(_) | None => Err(missing()),
    }
}

fn pair(run: &Run, library: Library<'_>) -> Result<Pair, String> {
    let (scenario, index) = scenario(&run.broken, library)?;
    let schedule = scenario.schedule(index).cloned().unwrap_or_default();
    both(run, &schedule, library)
}

/// Both programs of a run under one schedule.
fn both(run: &Run, schedule: &Schedule, library: Library<'_>) -> Result<Pair, String> {
    let under = |play: &Play| {
        let (scenario, index) = scenario(play, library)?;
        scenario.play_under(index, schedule).ok_or_else(|| "a scenario lost a play".to_owned())
    };
    Ok(Pair { broken: under(&run.broken)?, fixed: under(&run.fixed)? })
}

/// Random schedules, one after the other, until one breaks the promise that is asked for. Schedule i depends on i alone.
fn searched(search: &Search, run: &Run, library: Library<'_>) -> Result<Searched, String> {
    let (scenario, index) = scenario(&run.broken, library)?;
    let case = scenario.closure(index).ok_or("a scenario lost a play")?;
    let families: Vec<_> = search.faults.iter().map(|kind| kind.family()).collect();
    let faults = Faults::only(&families).headers(HEADERS);
    let mut others = 0;
    for number in 0..DEMO_SEARCH_RUNS {
        let report = explore("lesson", &case).faults(&faults).swarm(DEMO_SEED + number, 1).report();
        let Some(failure) = report.failure else { continue };
        let minimal = &failure.minimal.schedule;
        let there = match (&search.direction, minimal.steps().last()) {
            (Some(direction), Some(step)) => step.dir.to_string() == *direction,
            (Some(_), None) => false,
            (None, _) => true,
        };
        if !there || !failure.violation.name.starts_with(&search.breaks) {
            others += 1;
            continue;
        }
        let pair = both(run, minimal, library)?;
        let found = Found { deviations: failure.found.deviations(), shrink_runs: failure.shrink_runs, pair };
        return Ok(Searched { runs: number + 1, others, found: Some(found) });
    }
    Ok(Searched { runs: DEMO_SEARCH_RUNS, others, found: None })
}

/// Sizes of the labs' first messages: a random search tries boundaries around them first.
const HEADERS: &[u32] = &[3, 7, 11];

fn survivors(times: u64, play: &Play, library: Library<'_>) -> Result<Survivors, String> {
    let (scenario, index) = scenario(play, library)?;
    let case = scenario.closure(index).ok_or("a scenario lost a play")?;
    let faults = Faults::segmentation().headers(HEADERS);
    let whole = |seed| {
        let report = explore("lesson", &case).faults(&faults).swarm(DEMO_SEED + seed, 1).report();
        report.sometimes.get("completed").copied().unwrap_or_default()
    };
    Ok(Survivors { times, loopback: live::naive_transfers(times)?, random: (0..times).map(whole).sum() })
}
