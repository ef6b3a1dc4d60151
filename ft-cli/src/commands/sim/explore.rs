//! `sim explore`: a search over one case after the other, with a line of progress on a terminal, and lines of it in a log.

use std::cell::Cell;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use ft_sim::cases::{self, Case, Plan};
use ft_sim::trace::lanes;
use ft_sim::{Failure, Report, Schedule};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::count;
use super::quiet::quietly;
use super::verdict::Verdict;
use crate::args::ExploreArgs;
use crate::exit::{Exit, Stop};
use crate::limits::{SIM_EXHAUSTIVE_BYTES, SIM_LOG_EVERY};
use crate::render::{Mode, Screen};

/// `explore`
pub(super) fn run(args: &ExploreArgs, screen: &Screen) -> Result<Exit, Stop> {
    let asked =
        |case: &&Case| if args.case.is_empty() { case.stands } else { args.case.iter().any(|n| n == case.name) };
    let mut verdict = Verdict::new(args.partition);
    for case in cases::all().iter().filter(asked) {
        let progress = Progress::new(case.name, screen);
        let searched = quietly(|| {
            let plan = plan(args, case);
            let report = case.explore(&plan, |runs| progress.show(runs));
            (plan, report)
        });
        progress.end();
        match searched {
            Ok((plan, report)) => {
                let exit = verdict.add(describe(&plan), &report);
                if screen.mode() != Mode::Json {
                    show(screen, &plan, &report, exit);
                }
            }
            Err(text) => {
                verdict.broke(case.name, &text);
                screen.stop(&Stop { exit: Exit::Unsound, text: format!("{}: {text}", case.name), hint: None });
            }
        }
    }
    let exit = verdict.end();
    match screen.mode() {
        Mode::Json => super::print_json(screen, &verdict),
        // Quiet says nothing of success.
        Mode::Quiet if exit == Exit::Completed => {}
        Mode::Quiet | Mode::Plain | Mode::Bars => screen.print(&verdict.sentence()),
    }
    Ok(exit)
}

fn plan(args: &ExploreArgs, case: &Case) -> Plan {
    let deviations = args.deviations.unwrap_or_else(|| {
        let moved: u64 = case.run(&Schedule::benign()).written.iter().flatten().sum();
        u32::from(moved <= SIM_EXHAUSTIVE_BYTES)
    });
    let ExploreArgs { cut, runs, seed, partition, .. } = args;
    Plan { deviations, cuts: cut.clone(), runs: *runs, seed: *seed, partition: *partition, faults: None }
}

/// The search in words: equal words, equal search. The part is left out.
fn describe(plan: &Plan) -> String {
    let mut text = format!("deviations {}", plan.deviations);
    for fault in &plan.cuts {
        text += &format!(", cut {fault}");
    }
    text + &format!(", runs {}, seed {}, version {}", plan.runs, plan.seed, env!("CARGO_PKG_VERSION"))
}

fn show(screen: &Screen, plan: &Plan, report: &Report, exit: Exit) {
    let kinds: Vec<String> = report.runs.iter().map(|(kind, runs)| format!("{kind} {runs}")).collect();
    let mut text = format!("{}: {}", report.case, count(report.total_runs(), "run"));
    if !kinds.is_empty() {
        text += &format!(" ({})", kinds.join(", "));
    }
    text += &format!(", up to {}, digest {:016x}", count(plan.deviations, "deviation"), report.digest);
    for (name, runs) in &report.sometimes {
        let runs = if *runs == 0 { "never".to_owned() } else { format!("in {}", count(*runs, "run")) };
        text += &format!("\n  sometimes {name}: {runs}");
    }
    if report.divergence.is_some() {
        // The report has the words for it.
        text = format!("{report}\n");
    } else if let Some(failure) = &report.failure {
        text += "\n\n";
        text += &tell(failure);
    }
    if exit == Exit::Completed { screen.line(&text) } else { screen.print(&text) }
}

/// A failure, and how to see it again.
fn tell(failure: &Failure) -> String {
    let Failure { violation, found, after_runs, minimal, shrink_runs, .. } = failure;
    let (found, shrunk) = (found.deviations() as u64, minimal.schedule.deviations() as u64);
    let found = format!("found in run {after_runs} with {}", count(found, "deviation"));
    let shrunk = format!("shrunk to {} by {}", count(shrunk, "deviation"), count(*shrink_runs, "run"));
    let story = lanes(&minimal.events);
    // Single quotes: a schedule has blanks, semicolons and number signs, and no quotes.
    let again = format!("see it again: ft-cli sim replay '{}'", failure.replay_line());
    format!("{violation}\n{found}, {shrunk}:\n\n  {}\n\n{}\n\n{again}", minimal.schedule, story.trim_end())
}

/// A line on standard error: one that changes, if that is a terminal, and a new one now and then for a log.
struct Progress {
    bar: ProgressBar,
    case: &'static str,
    /// When the log had its last line; `None` for a terminal, and for somebody who asked for quiet.
    logged: Option<Cell<Instant>>,
}

impl Progress {
    fn new(case: &'static str, screen: &Screen) -> Self {
        let target = match screen.mode() {
            Mode::Quiet => ProgressDrawTarget::hidden(),
            Mode::Plain | Mode::Bars | Mode::Json => ProgressDrawTarget::stderr(),
        };
        let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}");
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        // Short searches come and go without a flicker: the first tick is late.
        bar.enable_steady_tick(Duration::from_millis(250));
        bar.set_message(case);
        let logged = (screen.mode() != Mode::Quiet && !io::stderr().is_terminal()).then(|| Cell::new(Instant::now()));
        Self { bar, case, logged }
    }

    fn show(&self, runs: u64) {
        if let Some(logged) = self.logged.as_ref().filter(|logged| logged.get().elapsed() >= SIM_LOG_EVERY) {
            logged.set(Instant::now());
            // A log that takes no more is no reason to stop searching.
            let _ = writeln!(io::stderr(), "{}: {} so far", self.case, count(runs, "run"));
        }
        self.bar.set_position(runs);
        self.bar.set_message(format!("{}: {}", self.case, count(runs, "run")));
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
