//! `sim replay`: one line, once more.

use ft_sim::trace::lanes;
use ft_sim::{cases, replay};
use serde::Serialize;

use super::print_json;
use super::quiet::quietly;
use crate::args::ReplayArgs;
use crate::exit::{Exit, Stop};
use crate::render::{Mode, Screen};

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
    digest: String,
}

/// Plays the line twice: a run that differs from itself explains nothing.
pub(super) fn run(args: &ReplayArgs, screen: &Screen) -> Result<Exit, Stop> {
    let line = args.line.join(" ");
    let (name, schedule) = replay::parse(&line)
        .map_err(|e| Stop::usage(format_args!("not a replay line: {e}")).hint("docs/SCHEDULE.md is the grammar"))?;
    let case = cases::find(name).ok_or_else(|| {
        Stop::usage(format_args!("no case is named {name:?}")).hint("`ft-cli sim list` lists the cases")
    })?;
    let unsound = |text: String| Stop { exit: Exit::Unsound, text: format!("{name}: {text}"), hint: None };
    let (run, outcome) = quietly(|| case.play(&schedule)).map_err(unsound)?;
    let again = quietly(|| case.run(&schedule)).map_err(unsound)?;
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
            digest: format!("{:016x}", run.hash.0),
        };
        print_json(screen, &line);
        return Ok(exit);
    }
    screen.line(&format!("{}\n", lanes(&run.events).trim_end()));
    screen.line(&format!("client: {}\nserver: {}\nfiles:  {}", outcome.client, outcome.server, outcome.files));
    let digest = run.hash.0;
    match &run.violation {
        Some(violation) => screen.print(&format!("failed: {violation}; digest {digest:016x}")),
        None => screen.line(&format!("held: every promise was kept; digest {digest:016x}")),
    }
    Ok(exit)
}
