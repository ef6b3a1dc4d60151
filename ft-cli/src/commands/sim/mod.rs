//! `sim`: the simulator's verbs. The work is `ft-sim`'s; here is what is asked of it, what is shown, and how it ends.

mod explore;
mod map;
mod quiet;
mod replay;
mod scenarios;
mod verdict;
mod worlds;

use std::io::{self, Write as _};
use std::path::Path;

use ft_sim::cases;
use serde::Serialize;

pub(super) use quiet::quietly;
pub(super) use scenarios::find;

use crate::args::SimVerb;
use crate::exit::{Exit, Stop};
use crate::render::{Mode, Screen};

/// Runs one of the verbs.
pub(super) fn run(verb: SimVerb, screen: &Screen) -> Result<Exit, Stop> {
    match verb {
        SimVerb::List => Ok(list(screen)),
        SimVerb::Run(args) => scenarios::run(&args, screen),
        SimVerb::Explore(args) => explore::run(&args, screen),
        SimVerb::Replay(args) => replay::run(&args, screen),
        SimVerb::Trace(args) => scenarios::trace(&args, screen),
        SimVerb::Map(args) => map::run(&args, screen),
    }
}

/// A line of `list`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Entry<'a> {
    /// A case, which `explore` takes.
    Case { name: &'a str, question: &'a str, stands: bool, worlds: Vec<&'static str> },
    /// A scenario, which `run` and `trace` take.
    Scenario { name: &'a str, question: &'a str, shows: &'a [String] },
}

fn list(screen: &Screen) -> Exit {
    let json = screen.mode() == Mode::Json;
    let scenarios = scenarios::all();
    let names = cases::all().iter().map(|case| case.name).chain(scenarios.iter().map(|(name, _)| *name));
    let width = names.map(str::len).max().unwrap_or_default();
    if !json {
        screen.line("Cases, for explore (* is known to fall):");
    }
    for case in cases::all() {
        let (name, question) = (case.name, case.question);
        if json {
            let worlds = case.worlds.iter().map(|world| world.as_str()).collect();
            print_json(screen, &Entry::Case { name, question, stands: case.stands, worlds });
        } else {
            screen.print(&format!("{} {name:width$}  {question}", if case.stands { ' ' } else { '*' }));
        }
    }
    if !json {
        screen.line("\nScenarios, for run and trace:");
    }
    for (name, scenario) in &scenarios {
        if json {
            print_json(screen, &Entry::Scenario { name, question: &scenario.question, shows: &scenario.shows });
        } else {
            screen.print(&format!("  {name:width$}  {}", scenario.question));
        }
    }
    Exit::Completed
}

/// One JSON object, on a line of standard output.
pub(super) fn print_json(screen: &Screen, value: &impl Serialize) {
    screen.print(&serde_json::to_string(value).expect("these have string keys and no floats"));
}

/// Writes a picture, a page or a trace to a file, or else to standard output, where a reader may have seen enough.
pub(super) fn put(bytes: &[u8], path: Option<&Path>) -> Result<(), Stop> {
    if let Some(path) = path {
        return std::fs::write(path, bytes)
            .map_err(|e| Stop::failed(format_args!("cannot write to {}: {e}", path.display())));
    }
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // The reader has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|e| Stop::failed(format_args!("cannot write to standard output: {e}"))),
    }
}

/// `1 run`, `2 runs`.
pub(super) fn count(number: impl Into<u64>, what: &str) -> String {
    let number = number.into();
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What became of a search or a scenario, in one word.
fn word(exit: Exit) -> &'static str {
    if exit == Exit::Completed { "held" } else { exit.name() }
}
