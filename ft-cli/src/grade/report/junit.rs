//! JUnit's XML, as build servers read it: a suite for each program, a case for each check.
//!
//! What fails a build is what somebody can repair. A fall that only the protocol's author could prevent is skipped, with the
//! reason; so is what is unclear, since a build that fails at times is soon looked at by nobody.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::verdict::{Grade, Role};
use super::shown;
use super::terminal;
use super::told::{self, Mark, Told};

/// What cases came to, for the attributes of a suite.
#[derive(Clone, Copy, Default)]
struct Tally {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.errors += other.errors;
        self.skipped += other.skipped;
    }
}

impl Tally {
    fn attributes(self) -> String {
        let Self { tests, failures, errors, skipped } = self;
        format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
    }
}

/// The document of a grade.
pub(super) fn document(grade: &Grade) -> String {
    let mut all = Tally::default();
    let mut suites = String::new();
    for (role, control, findings) in &told::programs(grade) {
        let mut cases = String::new();
        let mut tally = Tally::default();
        if let Some(control) = control {
            let broken = control.broken.is_some();
            let inside = if broken {
                element("error", "plain-transfer", &told::control(control), &terminal::plain_control(control))
            } else {
                String::new()
            };
            case(&mut cases, *role, "plain-transfer", Duration::ZERO, &inside);
            tally += Tally { tests: 1, errors: usize::from(broken), ..Tally::default() };
        }
        for finding in findings {
            tally += self::tally(finding.mark);
            case(&mut cases, *role, finding.finding.pitfall.id(), finding.finding.took, &inside(finding));
        }
        let command = control.map(|control| format!(": {}", shown::visible(&control.command))).unwrap_or_default();
        let took = findings.iter().map(|finding| finding.finding.took).sum();
        let _ = writeln!(
            suites,
            "  <testsuite name=\"{}\" {} time=\"{}\">",
            attribute(&format!("{}{command}", role.as_str())),
            tally.attributes(),
            seconds(took)
        );
        let _ = writeln!(
            suites,
            "    <properties>\n      <property name=\"isolation\" value=\"{}\"/>\n    </properties>",
            attribute(&shown::visible(&grade.isolation))
        );
        suites.push_str(&cases);
        suites.push_str("  </testsuite>\n");
        all += tally;
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" {} time=\"{}\">\n{suites}</testsuites>\n",
        attribute(&format!("ft-cli grade {}", grade.dialect)),
        all.attributes(),
        seconds(grade.took)
    )
}

fn tally(mark: Mark) -> Tally {
    let one = Tally { tests: 1, ..Tally::default() };
    match mark {
        Mark::Passed => one,
        Mark::Failed => Tally { failures: 1, ..one },
        Mark::Protocol | Mark::Inconclusive | Mark::NotApplicable => Tally { skipped: 1, ..one },
    }
}

fn case(out: &mut String, role: Role, name: &str, took: Duration, inside: &str) {
    let begin = format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{}\"",
        attribute(role.as_str()),
        attribute(name),
        seconds(took)
    );
    let _ = match inside {
        "" => writeln!(out, "{begin}/>"),
        inside => writeln!(out, "{begin}>\n{inside}    </testcase>"),
    };
}

fn inside(finding: &Told<'_>) -> String {
    let message = finding.short();
    match finding.mark {
        Mark::Passed => String::new(),
        Mark::Failed => {
            element("failure", finding.finding.pitfall.id(), &message, &terminal::plain(finding)) + &output(finding)
        }
        Mark::Protocol => {
            let message = format!("the protocol's fault, which costs nothing: {message}");
            element("skipped", "protocol", &message, &terminal::plain(finding)) + &output(finding)
        }
        Mark::Inconclusive => {
            let message = format!("unclear: {message}");
            element("skipped", "inconclusive", &message, &terminal::plain(finding)) + &output(finding)
        }
        Mark::NotApplicable => element("skipped", "not-applicable", &message, ""),
    }
}

/// What the program printed, where readers look for it.
fn output(finding: &Told<'_>) -> String {
    let (lines, _) = shown::printed(&finding.finding.said);
    if lines.is_empty() {
        String::new()
    } else {
        format!("      <system-out>{}</system-out>\n", text(&lines.join("\n")))
    }
}

fn element(name: &str, kind: &str, message: &str, inside: &str) -> String {
    let begin = format!("      <{name} type=\"{}\" message=\"{}\"", attribute(kind), attribute(message));
    match inside {
        "" => format!("{begin}/>\n"),
        inside => format!("{begin}>{}</{name}>\n", text(inside)),
    }
}

/// Three digits, as everybody writes them.
fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// Text between tags. What XML 1.0 has no way to write is written as its number.
fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}' => out.push(c),
            c => out.extend(c.escape_unicode()),
        }
    }
    out
}

/// The same between quotes, where a reader would make spaces of line feeds.
fn attribute(raw: &str) -> String {
    text(raw).replace('"', "&quot;").replace('\n', "&#10;").replace('\t', "&#9;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_write_is_written_as_a_number() {
        assert_eq!(text("a\0b\u{1b}[31m\r\u{fffe}]]>"), "a\\u{0}b\\u{1b}[31m\\u{d}\\u{fffe}]]&gt;");
        assert_eq!(attribute("\"a\n<b>"), "&quot;a&#10;&lt;b&gt;");
    }
}
