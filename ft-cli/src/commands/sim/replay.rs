//! `sim replay`: one line, once more. It names a case, a play of a scenario, or a hunt for a pitfall.

use std::path::Path;

use ft_sim::cases::{self, Case, Outcome, pitfalls};
use ft_sim::scenario::Scenario;
use ft_sim::trace::lanes;
use ft_sim::{Run, Schedule, Unmet, replay};
use serde::Serialize;

use super::quiet::quietly;
use super::{count, print_json, scenarios};
use crate::args::ReplayArgs;
use crate::exit::{Exit, Stop};
use crate::render::{Mode, Screen};
use crate::scenarios::built_in;

/// What `--json` says.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    replay: String,
    outcome: &'static str,
    client: &'a str,
    server: &'a str,
    files: &'a str,
    breaks: Option<String>,
    /// What of the schedule never happened, or not as it stands there.
    unmet: Vec<String>,
    digest: String,
}

/// What a line names.
enum Named {
    Case(&'static Case),
    Play(Scenario, usize),
    Hunt(&'static pitfalls::Hunt),
}

impl Named {
    fn find(name: &str) -> Result<Self, Stop> {
        if let Some(case) = cases::find(name) {
            return Ok(Self::Case(case));
        }
        if let Some(hunt) = pitfalls::find(name) {
            return Ok(Self::Hunt(hunt));
        }
        if let Some((scenario, Ok(play))) = name.rsplit_once('/').map(|(name, play)| (name, play.parse::<usize>())) {
            let (_, scenario) = scenarios::find(Path::new(scenario))?;
            return match play.checked_sub(1).filter(|index| *index < scenario.plays()) {
                Some(index) => Ok(Self::Play(scenario, index)),
                None => {
                    let plays = count(scenario.plays() as u64, "play");
                    Err(Stop::usage(format_args!("no play {play}: the scenario has {plays}")))
                }
            };
        }
        if built_in(name).is_some() {
            return Err(Stop::usage(format_args!("{name} is a scenario, not a case"))
                .hint(format!("`{name}/1: SCHEDULE` plays its first play, `ft-cli sim run {name}` all of them")));
        }
        Err(Stop::usage(format_args!("no case is named {name:?}")).hint("`ft-cli sim list` lists the cases"))
    }

    /// Plays it; a scenario's play with the scenario's inputs.
    fn play(&self, schedule: &Schedule) -> (Run, Outcome) {
        match self {
            Self::Case(case) => case.play(schedule),
            Self::Hunt(hunt) => hunt.play(schedule),
            Self::Play(scenario, index) => match scenario.play_under(*index, schedule) {
                Some(played) => (played.run, played.outcome),
                None => unreachable!("the play was looked up"),
            },
        }
    }
}

/// Plays the line twice: a run that differs from itself explains nothing.
pub(super) fn run(args: &ReplayArgs, screen: &Screen) -> Result<Exit, Stop> {
    let line = args.line.join(" ");
    let (name, schedule) = replay::parse(&line)
        .map_err(|e| Stop::usage(format_args!("not a replay line: {e}")).hint("docs/SCHEDULE.md is the grammar"))?;
    let named = Named::find(name)?;
    let unsound = |text: String| Stop { exit: Exit::Unsound, text: format!("{name}: {text}"), hint: None };
    let (run, outcome) = quietly(|| named.play(&schedule)).map_err(unsound)?;
    let (again, _) = quietly(|| named.play(&schedule)).map_err(unsound)?;
    if run.hash != again.hash {
        return Err(unsound(format!("the same schedule gave two runs, {:016x} and {:016x}", run.hash.0, again.hash.0)));
    }
    let exit = if run.violation.is_some() { Exit::Failed } else { Exit::Completed };
    if screen.mode() == Mode::Json {
        let line = Line {
            event: "replay",
            replay: replay::line(name, &schedule),
            outcome: super::word(exit),
            client: &outcome.client,
            server: &outcome.server,
            files: &outcome.files,
            breaks: run.violation.as_ref().map(ToString::to_string),
            unmet: run.unmet.iter().map(ToString::to_string).collect(),
            digest: format!("{:016x}", run.hash.0),
        };
        print_json(screen, &line);
        return Ok(exit);
    }
    screen.line(&format!("{}\n", lanes(&run.events).trim_end()));
    screen.line(&format!("client: {}\nserver: {}\nfiles:  {}", outcome.client, outcome.server, outcome.files));
    let digest = run.hash.0;
    match (&run.violation, unmet(&schedule, &run.unmet)) {
        (Some(violation), None) => screen.print(&format!("failed: {violation}; digest {digest:016x}")),
        (Some(violation), Some(but)) => screen.print(&format!("failed: {violation}; but {but}; digest {digest:016x}")),
        (None, None) => screen.line(&format!("held: every promise was kept; digest {digest:016x}")),
        // A line that has lost its place must not look like a mended fault, in no mode.
        (None, Some(but)) => screen.print(&format!("held, but {but}; digest {digest:016x}")),
    }
    Ok(exit)
}

/// What of a schedule did not happen, in words.
fn unmet(schedule: &Schedule, unmet: &[Unmet]) -> Option<String> {
    let list = |missing: bool| -> Vec<String> {
        unmet.iter().filter(|it| it.is_missing() == missing).map(ToString::to_string).collect()
    };
    let (missing, other) = (list(true), list(false));
    let never = match (missing.len(), schedule.deviations()) {
        (0, _) => None,
        (1, 1) => Some("the schedule's one step never happened".to_owned()),
        (few, all) => Some(format!("{few} of the schedule's {all} steps never happened")),
    };
    let never = never.map(|never| format!("{never}: {}", missing.join(", ")));
    let parts: Vec<String> = never.into_iter().chain(other).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
