//! `results.json` as a Gradescope autograder leaves it in `/autograder/results`.
//!
//! Every case has its own score, so that there is no total that could say something else. What the protocol alone is to
//! blame for has its full score; what is not applicable is left out. Standard output stays hidden: what a teacher's script
//! prints is not for everybody. A grade that students may see is made for students, with hints.

use serde::Serialize;

use super::super::verdict::{Control, Grade};
use super::terminal;
use super::told::{self, Mark, Told};

/// The document.
#[derive(Serialize)]
struct Results {
    /// Seconds.
    execution_time: f64,
    output: String,
    output_format: &'static str,
    test_output_format: &'static str,
    test_name_format: &'static str,
    visibility: &'static str,
    stdout_visibility: &'static str,
    tests: Vec<Test>,
}

/// A case.
#[derive(Serialize)]
struct Test {
    name: String,
    score: f64,
    max_score: f64,
    status: &'static str,
    output: String,
    tags: Vec<&'static str>,
    visibility: &'static str,
}

/// The document of a grade, with a line feed behind it.
///
/// # Panics
///
/// Never: all keys are strings.
pub(super) fn results(grade: &Grade) -> String {
    let mut tests = Vec::new();
    for (_, control, findings) in told::programs(grade) {
        tests.extend(control.map(self::control));
        tests.extend(findings.iter().filter(|finding| finding.mark != Mark::NotApplicable).map(test));
    }
    let results = Results {
        execution_time: told::rounded(grade.took.as_secs_f64()),
        output: terminal::closing(grade),
        output_format: "text",
        test_output_format: "text",
        test_name_format: "text",
        visibility: "visible",
        stdout_visibility: "hidden",
        tests,
    };
    serde_json::to_string_pretty(&results).expect("all keys are strings") + "\n"
}

/// Whether it works at all: worth nothing, and without it nothing else is worth anything.
fn control(control: &Control) -> Test {
    let works = control.broken.is_none();
    Test {
        name: format!("{}: plain transfer", control.role.as_str()),
        score: 0.0,
        max_score: 0.0,
        status: if works { "passed" } else { "failed" },
        output: terminal::plain_control(control),
        tags: vec![control.role.as_str()],
        visibility: "visible",
    }
}

fn test(finding: &Told<'_>) -> Test {
    let (score, max_score) = finding.points();
    let passed = matches!(finding.mark, Mark::Passed | Mark::Protocol);
    let note = match finding.mark {
        Mark::Protocol => " (fell; costs nothing)",
        Mark::Inconclusive => " (unclear)",
        Mark::Passed | Mark::Failed | Mark::NotApplicable => "",
    };
    Test {
        name: format!("{}: {}{note}", finding.finding.role.as_str(), finding.finding.pitfall),
        score: told::rounded(score),
        max_score: told::rounded(max_score),
        status: if passed { "passed" } else { "failed" },
        output: if finding.mark.is_told() { terminal::plain(finding) } else { finding.short() },
        tags: vec![finding.finding.role.as_str(), finding.mark.id()],
        visibility: "visible",
    }
}
