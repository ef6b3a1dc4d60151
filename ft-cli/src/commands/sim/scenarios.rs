//! `sim run` and `sim trace`: scenarios, built in or from a file.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;

use ft_sim::WorldKind;
use ft_sim::cases;
use ft_sim::scenario::{self, Scenario, Verdict};
use ft_sim::trace::{json_lines, lanes, pcapng};
use serde::Serialize;

use super::quiet::quietly;
use super::{count, print_json, word, worlds};
use crate::args::{SimRunArgs, TraceArgs, TraceFormat};
use crate::exit::{Exit, Stop};
use crate::limits::SCENARIO_FILE;
use crate::pages::trace_page;
use crate::render::{Mode, Screen};
use crate::scenarios::BUILT_IN;

/// What is built in.
///
/// # Panics
///
/// If a scenario of the source tree cannot be read: a test reads them all.
pub(super) fn all() -> Vec<(&'static str, Scenario)> {
    BUILT_IN
        .iter()
        .map(|&(name, text)| match scenario::load(text) {
            Ok(scenario) => (name, scenario.named(name)),
            Err(error) => unreachable!("scenario {name}: {error}"),
        })
        .collect()
}

/// A name of a built-in scenario, or else a file.
pub(in crate::commands) fn find(asked: &Path) -> Result<(String, Scenario), Stop> {
    let shown = asked.display().to_string();
    let built_in = BUILT_IN.iter().find(|(name, _)| asked == Path::new(name));
    let text = match built_in {
        Some((_, text)) => (*text).to_owned(),
        None => read(asked)?,
    };
    match scenario::load(&text) {
        Ok(scenario) => {
            let scenario = scenario.named(&shown);
            Ok((shown, scenario))
        }
        Err(error) => Err(Stop::usage(format_args!("{shown}: {}", error.to_string().trim_end()))),
    }
}

fn read(path: &Path) -> Result<String, Stop> {
    let mut text = String::new();
    let result = File::open(path).and_then(|file| file.take(SCENARIO_FILE).read_to_string(&mut text));
    match result {
        Ok(_) => Ok(text),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if let Some(name) = path.to_str().filter(|name| cases::find(name).is_some()) {
                return Err(Stop::usage(format_args!("{name} is a case, not a scenario")).hint(format!(
                    "`ft-cli sim explore --case {name}` searches it, `ft-cli sim replay '{name}: SCHEDULE'` plays it once"
                )));
            }
            Err(Stop::usage(format_args!("no case or scenario is named {:?}, and no file", path.display()))
                .hint("`ft-cli sim list` lists those that are built in"))
        }
        Err(e) => Err(Stop::usage(format_args!("cannot read {}: {e}", path.display()))),
    }
}

/// What `--json` says about a scenario.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    name: &'a str,
    world: &'static str,
    outcome: &'static str,
    question: &'a str,
    shows: &'a [String],
    plays: Vec<PlayLine<'a>>,
}

#[derive(Serialize)]
struct PlayLine<'a> {
    replay: &'a str,
    client: &'a str,
    server: &'a str,
    files: &'a str,
    breaks: Option<String>,
    surprises: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// `run`
pub(super) fn run(args: &SimRunArgs, screen: &Screen) -> Result<Exit, Stop> {
    let everything = args.scenarios.is_empty();
    let scenarios = if everything {
        all().into_iter().map(|(name, scenario)| (name.to_owned(), scenario)).collect()
    } else {
        // All are read before the first is played: a typing error at the end must not cost a long run.
        args.scenarios.iter().map(|path| find(path)).collect::<Result<Vec<_>, _>>()?
    };
    let world = args.world.into();
    let scenarios = held(screen, scenarios, world, everything)?;
    let (mut exit, mut plays, mut fell) = (Exit::Completed, 0, 0);
    worlds::play(&scenarios, world, |(name, scenario), verdict| {
        let verdict =
            verdict.map_err(|text| Stop { exit: Exit::Unsound, text: format!("{name}: {text}"), hint: None })?;
        let outcome = if verdict.passed { Exit::Completed } else { Exit::Failed };
        exit = exit.and(outcome);
        plays += verdict.plays.len() as u64;
        fell += u64::from(!verdict.passed);
        show(screen, (name, scenario, world), &verdict, everything && verdict.passed);
        Ok(())
    })?;
    let end = if fell == 0 { String::new() } else { format!("; {fell} came to something else than expected") };
    let (scenarios, plays) = (count(scenarios.len() as u64, "scenario"), count(plays, "play"));
    let place = if world == WorldKind::Own { String::new() } else { format!(" in world {world}") };
    screen.line(&format!("{}: {scenarios}, {plays}{place}{end}", word(exit)));
    Ok(exit)
}

/// The scenarios that the world can hold. One that was asked for by name and cannot be held is an error.
fn held(
    screen: &Screen,
    scenarios: Vec<(String, Scenario)>,
    world: WorldKind,
    everything: bool,
) -> Result<Vec<(String, Scenario)>, Stop> {
    let mut held = Vec::new();
    for (name, scenario) in scenarios {
        match scenario.holds(world) {
            Ok(()) => held.push((name, scenario)),
            Err(why) if everything => screen.line(&format!("{name} is not played in world {world}: {why}")),
            Err(why) => {
                return Err(Stop::usage(format_args!("world {world} cannot hold {name}: {why}"))
                    .hint("docs/SCHEDULE.md says which world can hold what"));
            }
        }
    }
    Ok(held)
}

fn show(screen: &Screen, (name, scenario, world): (&str, &Scenario, WorldKind), verdict: &Verdict, brief: bool) {
    let outcome = if verdict.passed { "held" } else { "failed" };
    if screen.mode() != Mode::Json {
        let mut text =
            if brief { format!("{name}: {}", scenario.question) } else { format!("{name}\n\n{}", verdict.text) };
        for played in verdict.plays.iter().filter(|played| !played.surprises.is_empty()) {
            text += &format!("\nsee it again: ft-cli sim replay '{}'", played.replay);
        }
        return if verdict.passed { screen.line(&text) } else { screen.print(&text) };
    }
    let plays = verdict.plays.iter().map(|played| PlayLine {
        replay: &played.replay,
        client: &played.outcome.client,
        server: &played.outcome.server,
        files: &played.outcome.files,
        breaks: played.run.violation.as_ref().map(ToString::to_string),
        surprises: &played.surprises,
        // Real time repeats nothing.
        digest: (world != WorldKind::Tcp).then(|| format!("{:016x}", played.run.hash.0)),
    });
    let (question, shows) = (&scenario.question, &scenario.shows);
    let world = world.as_str();
    print_json(screen, &Line { event: "scenario", name, world, outcome, question, shows, plays: plays.collect() });
}

/// `trace`
pub(super) fn trace(args: &TraceArgs, screen: &Screen) -> Result<Exit, Stop> {
    let (name, scenario) = find(&args.scenario)?;
    let verdict = quietly(|| scenario.run()).map_err(|text| Stop {
        exit: Exit::Unsound,
        text: format!("{name}: {text}"),
        hint: None,
    })?;
    let plays = verdict.plays.len();
    let Some(played) = verdict.plays.get(args.play - 1) else {
        return Err(Stop::usage(format_args!("{name} has {}, no play {}", count(plays as u64, "play"), args.play)));
    };
    let events = &played.run.events;
    let format = match args.format {
        TraceFormat::Text if screen.mode() == Mode::Json => TraceFormat::Json,
        asked @ (TraceFormat::Text | TraceFormat::Json | TraceFormat::Pcapng | TraceFormat::Html) => asked,
    };
    let bytes = match format {
        TraceFormat::Text => lanes(events).into_bytes(),
        TraceFormat::Json => json_lines(events).into_bytes(),
        TraceFormat::Pcapng => pcapng(events),
        TraceFormat::Html => trace_page(&name, &scenario, played).into_bytes(),
    };
    if args.out.is_none() && format == TraceFormat::Pcapng && io::stdout().is_terminal() {
        return Err(Stop::usage("a pcapng file is no text for a terminal").hint("give --out FILE"));
    }
    super::put(&bytes, args.out.as_deref())?;
    if let Some(path) = &args.out {
        screen.line(&format!("{} written to {}", count(events.len() as u64, "event"), path.display()));
    }
    Ok(Exit::Completed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_that_are_built_in_are_those_of_the_source_tree() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let files = std::fs::read_dir(folder).expect("the scenarios' folder");
        let files = files.filter(|entry| {
            let name = entry.as_ref().expect("an entry").file_name();
            Path::new(&name).extension().is_some_and(|ext| ext == "toml")
        });
        assert_eq!(all().len(), files.count());
    }
}
