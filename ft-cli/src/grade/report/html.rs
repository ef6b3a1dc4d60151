//! A page for a browser: the table, where it was cut, and every run to be stepped through. One file, no requests.

use serde::Serialize;

use super::super::verdict::{Control, Grade, Role};
use super::cuts::{Cuts, cuts};
use super::shown;
use super::terminal;
use super::told::{self, Mark, Told};
use crate::limits::REPORT_MOMENTS;
use crate::pages::data::{Happening, Moment, Timeline};
use crate::pages::{Parts, SCRIPTS, STYLE, fill, json, run};
use ft_sim::trace::Event;

const GRADE_STYLE: &str = include_str!("grade.css");
const GRADE_SCRIPT: &str = include_str!("grade.js");

/// All that the script knows.
#[derive(Serialize)]
struct Page {
    over: String,
    title: String,
    closing: String,
    isolation: String,
    marks: Vec<MarkData>,
    programs: Vec<ProgramData>,
}

#[derive(Serialize)]
struct MarkData {
    id: &'static str,
    sign: char,
    word: &'static str,
    means: &'static str,
    count: usize,
}

#[derive(Serialize)]
struct ProgramData {
    heading: &'static str,
    role: &'static str,
    command: String,
    works: bool,
    control: String,
    /// What a program printed that does not work, and its run.
    printed: Vec<String>,
    run: Option<Timeline>,
    findings: Vec<FindingData>,
    cuts: Cuts,
}

#[derive(Serialize)]
struct FindingData {
    /// What `--replay` takes.
    id: String,
    pitfall: &'static str,
    mark: &'static str,
    short: String,
    points: String,
    told: bool,
    facts: Vec<(&'static str, String)>,
    printed: Vec<String>,
    more: bool,
    run: Option<Timeline>,
    next: Vec<(&'static str, String)>,
}

/// The page of a grade.
pub(super) fn page(grade: &Grade) -> String {
    let (reached, all) = grade.points();
    let counts = told::counts(grade);
    let mark = |mark: Mark| MarkData {
        id: mark.id(),
        sign: mark.sign(),
        word: mark.word(),
        means: mark.means(),
        count: counts.iter().find(|(one, _)| *one == mark).map_or(0, |(_, count)| *count),
    };
    let page = Page {
        over: format!("ft-cli grade, dialect {}", grade.dialect),
        title: if grade.is_graded() {
            format!("{} of {} points", told::points(reached), told::points(all))
        } else {
            // Whatever stands beside it, points would be the wrong thing to see first.
            "A program does not work".to_owned()
        },
        closing: terminal::closing(grade),
        isolation: shown::visible(&grade.isolation),
        marks: Mark::ALL.map(mark).into_iter().collect(),
        programs: told::programs(grade)
            .iter()
            .map(|(role, control, findings)| program(*role, *control, findings))
            .collect(),
    };
    let parts = Parts {
        title: &page.title,
        style: &[STYLE, GRADE_STYLE].concat(),
        script: &[SCRIPTS, GRADE_SCRIPT].concat(),
        data: &json(&page),
        // Who runs no scripts has the report that a terminal has.
        plain: &terminal::report(grade, false),
    };
    fill(include_str!("grade.html"), &parts)
}

fn program(role: Role, control: Option<&Control>, findings: &[Told<'_>]) -> ProgramData {
    let broken = control.filter(|control| control.broken.is_some());
    ProgramData {
        heading: told::heading(role),
        role: role.as_str(),
        command: control.map(|control| shown::visible(&control.command)).unwrap_or_default(),
        works: broken.is_none(),
        control: control.map(plain_transfer).unwrap_or_default(),
        printed: broken.map(|control| shown::printed(&control.said).0).unwrap_or_default(),
        run: broken.and_then(|control| timeline(&control.events, role, "benign")),
        findings: findings.iter().map(finding).collect(),
        cuts: cuts(control.map_or(&[][..], |control| &control.events), findings),
    }
}

/// How it went, and what the program did besides.
fn plain_transfer(control: &Control) -> String {
    let besides = control.notes.iter().map(|note| shown::visible(note)).collect::<Vec<_>>().join("; ");
    let words = told::control(control);
    if besides.is_empty() { words } else { format!("{words}. Also: {besides}") }
}

fn finding(told: &Told<'_>) -> FindingData {
    let found = told.finding;
    let (printed, more) = shown::printed(&found.said);
    let (reached, all) = told.points();
    let applies = told.mark != Mark::NotApplicable;
    FindingData {
        id: found.id(),
        pitfall: found.pitfall.id(),
        mark: told.mark.id(),
        short: told.short(),
        points: if applies { format!("{} of {}", told::points(reached), told::points(all)) } else { "-".to_owned() },
        told: told.mark.is_told(),
        facts: if applies { told.facts() } else { Vec::new() },
        printed,
        more,
        run: timeline(&found.events, found.role, &found.schedule.to_string()).filter(|_| applies),
        next: if applies { told.next() } else { Vec::new() },
    }
}

/// A run's moments; nothing if there are none.
fn timeline(events: &[Event], role: Role, schedule: &str) -> Option<Timeline> {
    let mut line = run(&shown::in_millis(events), usize::MAX);
    if line.moments.is_empty() {
        return None;
    }
    line.parties = match role {
        Role::Server => ["grader", "program"],
        Role::Client => ["program", "grader"],
        Role::Pair => ["program", "program"],
    }
    .map(str::to_owned);
    line.schedule = schedule.to_owned();
    line.replay = schedule.to_owned();
    // The beginning tells what was done, the end what came of it.
    let (head, tail) = (REPORT_MOMENTS * 2 / 3, line.moments.len().saturating_sub(REPORT_MOMENTS / 3));
    if line.moments.len() > REPORT_MOMENTS {
        let text = format!("{} moments are left out here", tail - head);
        let note = Moment { t: line.moments[tail].t, what: Happening::Note { side: None, kind: "note", text } };
        line.moments.splice(head..tail, [note]);
    }
    for stream in &mut line.streams {
        let end = stream.messages.last().map_or(0, |message| message.to);
        stream.messages.truncate(REPORT_MOMENTS);
        if let Some(last) = stream.messages.last_mut() {
            last.to = end;
        }
    }
    Some(line)
}
