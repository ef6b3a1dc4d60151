//! `grade`: reads what is asked for, has it graded, and hands out the reports.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anstream::{AutoStream, ColorChoice};
use ft_core::dialect::{Pitfall, TextEnd};
use serde::Deserialize;

use super::sim;
use crate::args::{GradeArgs, GradeDialect, GradeFormat, Profile, TextStyle};
use crate::exit::{Exit, Stop};
use crate::grade::report::{Format, render};
use crate::grade::{Command, Dialect, Finding, Grade, Order, Verb, Verdict, grade};
use crate::limits::GRADE_CONFIG;
use crate::render::{Mode, Screen};

/// `lab.toml`: everything that the command line may say, and points.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Config {
    dialect: Option<GradeDialect>,
    verb: Option<Verb>,
    text: Option<Text>,
    server: Option<String>,
    client: Option<String>,
    port: Option<u16>,
    profile: Option<Profile>,
    student: bool,
    memory: Option<u64>,
    /// By pitfall; those that are not named have one point each.
    points: BTreeMap<String, f64>,
    /// Checks that this lab does not ask for.
    skip: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Text {
    Bare,
    Newline,
}

/// Grades, prints, and says how it ended.
pub(super) fn run(args: &GradeArgs, screen: &Screen) -> Result<Exit, Stop> {
    let order = order(args)?;
    let is_watched = args.format == GradeFormat::Text && screen.mode() == Mode::Plain;
    let done = |finding: &Finding| {
        if is_watched && finding.verdict != Verdict::NotApplicable {
            progress(&format!("{}: {}", finding.id(), finding.verdict.as_str()));
        }
    };
    let grade = grade(&order, &done).map_err(|text| Stop { exit: Exit::Unsound, text, hint: None })?;
    if is_watched {
        progress("");
    }
    if let Some(folder) = &args.out {
        write_all(&grade, folder, screen)?;
    }
    let paints = AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
    let format = match args.format {
        GradeFormat::Text if screen.mode() == Mode::Json => Format::Json,
        GradeFormat::Text if paints => Format::Painted,
        GradeFormat::Text => Format::Text,
        GradeFormat::Json => Format::Json,
        GradeFormat::Junit => Format::Junit,
        GradeFormat::Gradescope => Format::Gradescope,
        GradeFormat::Html => Format::Html,
    };
    let report = render(&grade, format);
    if matches!(format, Format::Text | Format::Painted) {
        screen.print(String::from_utf8_lossy(&report).trim_end());
    } else {
        sim::put(&report, None)?;
    }
    Ok(exit(&grade))
}

/// One line on a terminal that is written again and again, so that somebody who waits sees that something happens.
fn progress(text: &str) {
    use std::io::{IsTerminal as _, Write as _};
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        // Nobody to tell is no error.
        let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
    }
}

fn exit(grade: &Grade) -> Exit {
    match () {
        () if !grade.is_graded() => Exit::Refused,
        () if grade.findings.iter().any(Finding::is_repairable) => Exit::Failed,
        () if grade.of(Verdict::Inconclusive).next().is_some() => Exit::Unseen,
        () => Exit::Completed,
    }
}

fn write_all(grade: &Grade, folder: &Path, screen: &Screen) -> Result<(), Stop> {
    let cannot = |path: &Path, e: std::io::Error| Stop::failed(format_args!("cannot write to {}: {e}", path.display()));
    fs::create_dir_all(folder).map_err(|e| cannot(folder, e))?;
    let files = [
        ("report.txt", Format::Text),
        ("report.json", Format::Json),
        ("junit.xml", Format::Junit),
        ("results.json", Format::Gradescope),
        ("report.html", Format::Html),
    ];
    for (name, format) in files {
        let path = folder.join(name);
        fs::write(&path, render(grade, format)).map_err(|e| cannot(&path, e))?;
    }
    screen.line(&format!("reports written to {}", folder.display()));
    Ok(())
}

fn order(args: &GradeArgs) -> Result<Order, Stop> {
    let (config, beside) = match &args.config {
        Some(path) => (read(path)?, path.parent().map(Path::to_path_buf)),
        None => (Config::default(), None),
    };
    let dialect = match args.dialect.or(config.dialect) {
        Some(GradeDialect::Pipe) => Dialect::Pipe,
        Some(GradeDialect::Addfile) => Dialect::Addfile(args.verb.or(config.verb).unwrap_or_default()),
        Some(GradeDialect::Ft1) => Dialect::Ft1,
        Some(GradeDialect::Opaque) | None => Dialect::Opaque,
    };
    let mut order = Order::new(dialect);
    order.server = command(args.server.as_ref(), config.server.as_ref(), beside.as_ref())?;
    order.client = command(args.client.as_ref(), config.client.as_ref(), beside.as_ref())?;
    match (dialect, &order.server, &order.client) {
        (_, None, None) => {
            return Err(Stop::usage("nothing to grade").hint("give --server CMD, --client CMD, or both"));
        }
        (Dialect::Opaque, Some(_), None) | (Dialect::Opaque, None, Some(_)) => {
            return Err(Stop::usage("one program alone can be graded only in a dialect that the grader speaks itself")
                .hint("give --dialect pipe or --dialect addfile, or both --server and --client"));
        }
        _ => {}
    }
    order.text = match (args.text, config.text) {
        (Some(TextStyle::Bare), _) | (None, Some(Text::Bare)) => Some(TextEnd::Bare),
        (Some(TextStyle::Newline), _) | (None, Some(Text::Newline)) => Some(TextEnd::Newline),
        (None, None) => None,
    };
    order.port = args.port.or(config.port);
    order.only.clone_from(&args.replay);
    order.skip = config.skip;
    order.points = config.points;
    order.basic = args.profile.or(config.profile).unwrap_or_default() == Profile::Basic;
    order.clamp = args.clamp;
    order.plain = args.plain;
    order.for_students = args.student || config.student;
    if let Some(workers) = args.workers {
        order.workers = workers.into();
    }
    if let Some(mib) = args.memory.or(config.memory) {
        order.limits.memory = mib * 1024 * 1024;
    }
    let is_pitfall = |id: &str| Pitfall::ALL.iter().any(|pitfall| pitfall.id() == id);
    for id in &order.only {
        let (role, pitfall) = id.split_once('/').unwrap_or(("pair", id));
        let is_role = ["server", "client", "pair"].contains(&role);
        if !is_role || !is_pitfall(pitfall) {
            return Err(Stop::usage(format_args!("--replay {id:?} is no finding's id"))
                .hint("an id is a pitfall, or a program and a pitfall: server/split-header"));
        }
    }
    for id in order.points.keys().chain(&order.skip) {
        if !is_pitfall(id) {
            return Err(Stop::usage(format_args!("the config names {id:?}, which is no pitfall")));
        }
    }
    Ok(order)
}

/// The command line's word, or else the config's, whose files lie beside the config.
fn command(said: Option<&String>, written: Option<&String>, beside: Option<&PathBuf>) -> Result<Option<Command>, Stop> {
    let here = PathBuf::from(".");
    let (text, from) = match (said, written) {
        (Some(text), _) => (text, &here),
        (None, Some(text)) => (text, beside.unwrap_or(&here)),
        (None, None) => return Ok(None),
    };
    Command::parse(text, from).map(Some).map_err(Stop::usage)
}

fn read(path: &Path) -> Result<Config, Stop> {
    let cannot = |e: std::io::Error| Stop::usage(format_args!("cannot read {}: {e}", path.display()));
    let size = fs::metadata(path).map_err(cannot)?.len();
    if size > GRADE_CONFIG {
        return Err(Stop::usage(format_args!("{} has {size} bytes, a config at most {GRADE_CONFIG}", path.display())));
    }
    let text = fs::read_to_string(path).map_err(cannot)?;
    toml::from_str(&text).map_err(|e| Stop::usage(format_args!("{}: {}", path.display(), e.to_string().trim_end())))
}
