//! One JSON document with everything, for programs. Names are stable: what is added later has a new name.

use serde::Serialize;

use ft_sim::trace::{Event, What, json_lines};
use serde_json::Value;

use super::super::verdict::{Control, Grade, Role};
use super::shown;
use super::told::{self, Told};
use crate::limits::{REPORT_EVENTS, REPORT_PAYLOAD};

/// The form of this document; another number is another form.
const FORM: &str = "ft-grade/1";

/// The document.
#[derive(Serialize)]
struct Document<'a> {
    form: &'static str,
    /// `pipe`, `addfile` or `opaque`.
    dialect: &'a str,
    /// How programs were kept apart from the machine.
    isolation: String,
    /// Hints stand in the place of explanations.
    for_students: bool,
    /// Wall-clock time.
    seconds: f64,
    points: Points,
    counts: Counts,
    /// One for each program: whether it works at all.
    controls: Vec<Program>,
    findings: Vec<One>,
}

/// Reached, and possible.
#[derive(Serialize)]
struct Points {
    reached: f64,
    possible: f64,
}

/// Findings by mark.
#[derive(Serialize)]
struct Counts {
    passed: usize,
    /// Falls that somebody could repair without changing the protocol.
    failed: usize,
    /// Falls that only the protocol's author could prevent.
    protocol: usize,
    inconclusive: usize,
    not_applicable: usize,
}

/// A program's plain transfer.
#[derive(Serialize)]
struct Program {
    role: Role,
    command: String,
    works: bool,
    /// Why it does not.
    broken: Option<String>,
    /// How its texts end, where the dialect leaves it open.
    texts: Option<&'static str>,
    notes: Vec<String>,
    #[serde(flatten)]
    run: Run,
}

/// What a run printed and did.
#[derive(Serialize)]
struct Run {
    /// The last lines that the program printed, escaped.
    printed: Vec<String>,
    /// As `sim trace --format json` has them. An event with a long payload says its `len` and has no `data`.
    events: Vec<Value>,
    /// Events behind these that are not here.
    events_left_out: usize,
}

/// A finding.
#[derive(Serialize)]
struct One {
    /// What `--replay` takes.
    id: String,
    role: Role,
    pitfall: &'static str,
    /// `passed`, `failed`, `protocol`, `inconclusive` or `not-applicable`.
    verdict: &'static str,
    /// `implementation`, `protocol` or `both`; nothing for students.
    whose: Option<&'static str>,
    /// A schedule's text, `benign` if the network did nothing.
    schedule: String,
    file: String,
    /// Nothing for students.
    expected: Option<String>,
    observed: String,
    runs: u32,
    failures: u32,
    /// `exact`, `missed` or `probabilistic`.
    certainty: &'static str,
    points: Points,
    seconds: f64,
    /// What goes wrong; nothing for students.
    story: Option<&'static str>,
    /// A question; for students only.
    hint: Option<&'static str>,
    /// What to do instead; nothing for students.
    fix: Option<&'static str>,
    /// Commands and documents.
    read: Vec<String>,
    #[serde(flatten)]
    run: Run,
}

/// The document of a grade, with a line feed behind it.
///
/// # Panics
///
/// Never: all keys are strings.
pub(super) fn document(grade: &Grade) -> String {
    let (reached, possible) = grade.points();
    let count = |mark| told::counts(grade).into_iter().find(|(one, _)| *one == mark).map_or(0, |(_, count)| count);
    let document = Document {
        form: FORM,
        dialect: grade.dialect,
        isolation: shown::visible(&grade.isolation),
        for_students: grade.for_students,
        seconds: grade.took.as_secs_f64(),
        points: points(reached, possible),
        counts: Counts {
            passed: count(told::Mark::Passed),
            failed: count(told::Mark::Failed),
            protocol: count(told::Mark::Protocol),
            inconclusive: count(told::Mark::Inconclusive),
            not_applicable: count(told::Mark::NotApplicable),
        },
        controls: grade.controls.iter().map(program).collect(),
        findings: grade.findings.iter().map(|finding| one(&Told::new(grade, finding))).collect(),
    };
    serde_json::to_string_pretty(&document).expect("all keys are strings") + "\n"
}

fn points(reached: f64, possible: f64) -> Points {
    Points { reached: told::rounded(reached), possible: told::rounded(possible) }
}

fn program(control: &Control) -> Program {
    Program {
        role: control.role,
        command: shown::visible(&control.command),
        works: control.broken.is_none(),
        broken: control.broken.as_deref().map(shown::visible),
        texts: control.text,
        notes: control.notes.iter().map(|note| shown::visible(note)).collect(),
        run: run(&control.said, &control.events),
    }
}

fn one(finding: &Told<'_>) -> One {
    let Told { finding: found, story, for_students, .. } = finding;
    let explained = |text: &'static str| (!for_students).then_some(text);
    let (reached, possible) = finding.points();
    One {
        id: found.id(),
        role: found.role,
        pitfall: found.pitfall.id(),
        verdict: finding.mark.id(),
        whose: found.whose.filter(|_| !for_students).map(whose),
        schedule: found.schedule.to_string(),
        file: shown::visible(&found.input),
        expected: (!for_students).then(|| shown::visible(&found.expected)),
        observed: shown::visible(&found.observed),
        runs: found.runs,
        failures: found.failures,
        certainty: found.certainty.as_str(),
        points: points(reached, possible),
        seconds: found.took.as_secs_f64(),
        story: explained(&story.story),
        hint: for_students.then_some(&story.hint),
        fix: explained(&story.fix),
        read: story.read(),
        run: run(&found.said, &found.events),
    }
}

fn whose(whose: ft_core::dialect::Whose) -> &'static str {
    use ft_core::dialect::Whose;
    match whose {
        Whose::Implementation => "implementation",
        Whose::Protocol => "protocol",
        Whose::Both => "both",
    }
}

fn run(said: &[u8], events: &[Event]) -> Run {
    let kept = &events[..events.len().min(REPORT_EVENTS)];
    Run {
        printed: shown::printed(said).0,
        events: kept.iter().map(event).collect(),
        events_left_out: events.len() - kept.len(),
    }
}

/// One line of the trace as a value.
fn event(event: &Event) -> Value {
    let read = |event: &Event| -> Value {
        let line = json_lines(std::slice::from_ref(event));
        serde_json::from_str(&line).expect("a line of a trace is JSON")
    };
    // Megabytes that nobody reads must not even be escaped.
    let mut bare = event.clone();
    let (What::Write { bytes, .. } | What::Deliver { bytes, .. }) = &mut bare.what else { return read(event) };
    if bytes.len() <= REPORT_PAYLOAD {
        return read(event);
    }
    let long = std::mem::take(bytes).len();
    let mut value = read(&bare);
    if let Value::Object(fields) = &mut value {
        fields.remove("data");
        fields.insert("len".to_owned(), long.into());
    }
    value
}
