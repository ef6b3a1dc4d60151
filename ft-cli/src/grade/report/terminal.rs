//! What a teacher or a student reads: every program with its table, then whatever fell, told in full, then one line.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::super::verdict::{Control, Grade, Role};
use super::shown;
use super::told::{self, Mark, Told};
use crate::commands::demo::draw::wrap;
use crate::render::seconds;

/// Columns of the report.
pub(super) const WIDTH: usize = 98;

/// Columns of the names in front of facts.
const NAMES: usize = 14;

/// Columns of the marks in a table, and of the pitfalls behind them.
const MARKS: usize = 10;
const PITFALLS: usize = 21;

const STRONG: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

fn style(mark: Mark) -> Style {
    match mark {
        Mark::Passed => AnsiColor::Green.on_default(),
        Mark::Failed => AnsiColor::Red.on_default().bold(),
        Mark::Protocol => AnsiColor::Magenta.on_default(),
        Mark::Inconclusive => AnsiColor::Yellow.on_default(),
        Mark::NotApplicable => DIM,
    }
}

/// Whether there are colours.
#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn on(self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// The whole report.
pub(super) fn report(grade: &Grade, colour: bool) -> String {
    let paint = Paint { colour };
    let programs = told::programs(grade);
    let mut text = String::new();
    for (role, control, findings) in &programs {
        program(&mut text, paint, *role, *control);
        if !findings.is_empty() {
            text.push('\n');
            findings.iter().for_each(|finding| row(&mut text, paint, finding));
        }
        text.push('\n');
    }
    let told = programs.iter().flat_map(|(.., findings)| findings).filter(|finding| finding.mark.is_told());
    for finding in told {
        block(&mut text, paint, finding);
        text.push('\n');
    }
    if !grade.isolation.is_empty() {
        fact(&mut text, paint, "isolation", &shown::visible(&grade.isolation), 0);
    }
    for line in wrap(&closing(grade), WIDTH) {
        let _ = writeln!(text, "{}", paint.on(STRONG, &line));
    }
    text
}

/// What is said of one finding at length, for reports that have no form of their own for it.
pub(super) fn plain(finding: &Told<'_>) -> String {
    let mut text = String::new();
    block(&mut text, Paint { colour: false }, finding);
    text
}

/// Why a program does not work, with the lanes of its run.
pub(super) fn plain_control(control: &Control) -> String {
    let mut text = String::new();
    program(&mut text, Paint { colour: false }, control.role, Some(control));
    text
}

/// Counts, points and time.
pub(super) fn closing(grade: &Grade) -> String {
    let (reached, all) = grade.points();
    let (reached, all) = (told::points(reached), told::points(all));
    format!("{}; {reached} of {all} points; {}", told::counts_words(grade), seconds(grade.took))
}

fn program(out: &mut String, paint: Paint, role: Role, control: Option<&Control>) {
    let Some(control) = control else {
        let _ = writeln!(out, "{}", paint.on(STRONG, told::heading(role)));
        return;
    };
    let command = format!("{}: {}", told::heading(role), shown::visible(&control.command));
    for line in wrap(&command, WIDTH) {
        let _ = writeln!(out, "{}", paint.on(STRONG, &line));
    }
    fact(out, paint, "plain transfer", &told::control(control), 2);
    if !control.notes.is_empty() {
        fact(out, paint, "also", &shown::visible(&control.notes.join("; ")), 2);
    }
    if control.broken.is_some() {
        printed(out, paint, &control.said);
        lanes(out, &shown::lanes(&control.events));
    }
}

fn row(out: &mut String, paint: Paint, finding: &Told<'_>) {
    let room = WIDTH - 2 - MARKS - PITFALLS;
    for (i, line) in wrap(&finding.short(), room).iter().enumerate() {
        let (mark, pitfall) = if i == 0 { (finding.mark.word(), finding.finding.pitfall.id()) } else { ("", "") };
        let mark = paint.on(style(finding.mark), &format!("{mark:<MARKS$}"));
        let line = if finding.mark == Mark::NotApplicable { paint.on(DIM, line) } else { line.clone() };
        let _ = writeln!(out, "  {mark}{pitfall:<PITFALLS$}{line}");
    }
}

fn block(out: &mut String, paint: Paint, finding: &Told<'_>) {
    let mark = paint.on(style(finding.mark), finding.mark.word());
    let _ = writeln!(out, "{mark} {}", paint.on(STRONG, &finding.finding.id()));
    for (name, text) in finding.facts() {
        fact(out, paint, name, &text, 2);
    }
    printed(out, paint, &finding.finding.said);
    lanes(out, &shown::lanes(&finding.finding.events));
    for (name, text) in finding.next() {
        fact(out, paint, name, &text, 2);
    }
}

fn fact(out: &mut String, paint: Paint, name: &str, text: &str, indent: usize) {
    for (i, line) in wrap(text, WIDTH - NAMES - 2 - indent).iter().enumerate() {
        let name = paint.on(DIM, &format!("{:<NAMES$}", if i == 0 { name } else { "" }));
        let _ = writeln!(out, "{:indent$}{name}  {line}", "");
    }
}

/// Each line as it was printed, cut where the report ends.
fn printed(out: &mut String, paint: Paint, said: &[u8]) {
    let (lines, more) = shown::printed(said);
    let room = WIDTH - NAMES - 6;
    for (i, line) in lines.iter().enumerate() {
        let name = match i {
            0 if more => "printed last",
            0 => "printed",
            _ => "",
        };
        let long = line.chars().count() > room;
        let line: String = line.chars().take(if long { room - 1 } else { room }).chain(long.then_some('…')).collect();
        let _ = writeln!(out, "  {}  | {line}", paint.on(DIM, &format!("{name:<NAMES$}")));
    }
}

fn lanes(out: &mut String, lines: &[String]) {
    for line in lines {
        let _ = writeln!(out, "    {line}");
    }
}
