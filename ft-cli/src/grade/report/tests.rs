//! Every report says what there is to say, is well-formed whatever a program printed, and gives nothing away to students.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::fixture::{NASTY, both, broken, for_students, small, split_header};
use super::*;

fn text(grade: &Grade, format: Format) -> String {
    String::from_utf8(render(grade, format)).expect("reports are UTF-8")
}

fn value(grade: &Grade, format: Format) -> Value {
    serde_json::from_slice(&render(grade, format)).expect("JSON")
}

fn all() -> Vec<Grade> {
    [both, small, broken].into_iter().flat_map(|make| [make(), for_students(make())]).collect()
}

/// Compares with `snapshots/grade/<name>.snap`.
fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../snapshots/grade"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn teacher_reads_table_fault_lanes_and_what_to_do() {
    snapshot("terminal-teacher", &text(&small(), Format::Text));
}

#[test]
fn student_reads_a_question_and_no_answer() {
    snapshot("terminal-student", &text(&for_students(small()), Format::Text));
}

#[test]
fn program_that_does_not_work_is_told_with_what_it_printed() {
    snapshot("terminal-broken", &text(&broken(), Format::Text));
}

#[test]
fn every_kind_of_verdict_has_its_row_and_its_place_in_the_closing_line() {
    let report = text(&both(), Format::Text);
    let table: Vec<&str> = report.lines().take_while(|line| !line.starts_with("FAILED")).collect();
    let (_, closing) = report.split_once("isolation").expect("the end");
    snapshot("terminal-table", &format!("{}\n\nisolation{closing}", table.join("\n").trim_end()));
}

#[test]
fn programs_read_json() {
    let mut grade = value(&small(), Format::Json);
    for (key, time) in [("/seconds", "TIME"), ("/findings/0/seconds", "TIME")] {
        *grade.pointer_mut(key).expect("a time") = time.into();
    }
    // One finding and two events fit a screen; the others are alike.
    grade["findings"].as_array_mut().expect("findings").truncate(1);
    grade["controls"][0]["events"].as_array_mut().expect("events").truncate(1);
    grade["findings"][0]["events"].as_array_mut().expect("events").truncate(2);
    snapshot("json", &serde_json::to_string_pretty(&grade).expect("JSON"));
}

#[test]
fn build_servers_read_junit() {
    let report = text(&for_students(small()), Format::Junit);
    snapshot("junit", &report);
}

#[test]
fn gradescope_reads_its_results() {
    snapshot("gradescope", &text(&for_students(small()), Format::Gradescope));
}

#[test]
fn report_for_a_terminal_holds_nothing_that_moves_a_cursor_and_fits() {
    for grade in all() {
        let plain = text(&grade, Format::Text);
        for line in plain.lines() {
            assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
            assert!(line.chars().count() <= terminal::WIDTH, "{} columns: {line}", line.chars().count());
        }
        let painted = text(&grade, Format::Painted);
        assert!(painted.contains("\u{1b}["), "colours");
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), plain);
    }
}

#[test]
fn what_was_printed_is_there_to_the_byte_escaped_and_no_longer_than_a_few_lines() {
    let (lines, more) = shown::printed(NASTY);
    assert!(!more);
    assert_eq!(
        lines,
        [
            "\\u{1b}[2J\\u{1b}]0;owned\\u{7}Traceback (most recent call last):",
            "    File \"server.py\", line 9",
            "</script><img src=x onerror=alert(1)>",
            "<!-- ]]> & \\xff\\xfe\\0 Größe \\u{202e} {{data}}",
            "ValueError: not enough values to unpack (expected 2, got 1)",
        ]
    );
    let (lines, more) = shown::printed("a\n".repeat(1_000).as_bytes());
    assert_eq!((lines.len(), more), (crate::limits::REPORT_PRINTED, true));
    let (lines, more) = shown::printed(&vec![b'x'; 1 << 20]);
    assert_eq!((lines[0].len(), more), (crate::limits::REPORT_PRINTED_BYTES, true));
}

#[test]
fn long_lanes_keep_their_beginning_and_their_end() {
    let grade = both();
    let long = grade.findings.iter().find(|one| one.events.len() > 1_000).expect("a long run");
    let lines = shown::lanes(&long.events);
    assert_eq!(lines.len(), crate::limits::REPORT_LANES + 1);
    assert!(lines[0].contains("client") && lines[2].contains("write 0..16"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.ends_with("lines left out")));
    assert!(lines.last().expect("a line").contains("FIN"));
}

/// What only a teacher is told of every finding that fell.
#[test]
fn students_are_not_told_the_answer_in_any_format() {
    for format in [Format::Text, Format::Json, Format::Junit, Format::Gradescope, Format::Html] {
        // Line breaks of a report are not the words'; inside JSON they are two letters.
        let flat =
            |grade: &Grade| text(grade, format).replace("\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
        let (teacher, student) = (flat(&both()), flat(&for_students(both())));
        for finding in both().findings.iter().filter(|one| told::Mark::of(one).is_told()) {
            let story = stories::of(finding.pitfall);
            for answer in [&finding.expected, &story.story, &story.fix] {
                // Quotes are escaped differently; up to there the words are the same.
                let answer = answer.split(['"', '\'']).next().expect("a beginning");
                assert!(teacher.contains(answer), "{format:?}: {answer}");
                assert!(!student.contains(answer), "{format:?}: {answer}");
            }
            let hint = story.hint.split(['"', '\'']).next().expect("a beginning");
            assert!(student.contains(hint), "{format:?}: {hint}");
        }
        assert!(!student.contains("a careful one stands"), "{format:?}: whose fault it is");
        assert!(student.contains("c2s@4 split"), "{format:?}: the schedule stays");
    }
}

#[test]
fn how_to_run_it_again_is_said_in_every_format_for_people() {
    for format in [Format::Text, Format::Junit, Format::Gradescope, Format::Html] {
        assert!(text(&both(), format).contains("--replay server/split-header"), "{format:?}");
    }
    assert_eq!(value(&both(), Format::Json)["findings"][0]["id"], "server/split-header");
}

#[test]
fn points_are_the_same_in_json_gradescope_and_the_closing_line() {
    let grade = both();
    let (reached, all) = grade.points();
    assert_eq!((reached, all), (6.0, 10.5), "a protocol's fault costs nothing");
    let json = value(&grade, Format::Json);
    assert_eq!((json["points"]["reached"].as_f64(), json["points"]["possible"].as_f64()), (Some(reached), Some(all)));
    let results = value(&grade, Format::Gradescope);
    let tests = results["tests"].as_array().expect("tests");
    let sum = |key: &str| -> f64 { tests.iter().map(|test| test[key].as_f64().expect("a number")).sum() };
    assert_eq!((sum("score"), sum("max_score")), (reached, all));
    assert!(terminal::closing(&grade).ends_with("; 6 of 10.5 points; 41.2 s"));
    assert!(!tests.iter().any(|test| test["name"].as_str().is_some_and(|name| name.contains("header-body-merge"))));
}

/// Names of all fields, those of events left out: they are the trace's.
fn keys(value: &Value, out: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                out.insert(key.clone());
                if key != "events" {
                    keys(value, out);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn document_names_every_field_of_json_and_every_verdict() {
    let document = include_str!("../../../../docs/GRADE-REPORTS.md");
    let mut names = std::collections::BTreeSet::new();
    keys(&value(&both(), Format::Json), &mut names);
    names.extend(told::Mark::ALL.map(|mark| mark.id().to_owned()));
    for name in names {
        assert!(document.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn json_of_a_long_run_is_bounded_and_says_what_is_left_out() {
    let grade = both();
    let bytes = render(&grade, Format::Json);
    assert!(bytes.len() < 2_000_000, "{} bytes", bytes.len());
    let json = value(&grade, Format::Json);
    let long = json["findings"].as_array().expect("findings").iter().find(|one| one["events_left_out"] != 0);
    let long = long.expect("a run with more events than are kept");
    let events = long["events"].as_array().expect("events");
    assert_eq!(events.len(), crate::limits::REPORT_EVENTS);
    let large = events.iter().find(|event| event["len"] == 4096).expect("a large write");
    assert_eq!(large.get("data"), None, "its bytes are left out");
    assert_eq!(events[1]["data"], "data.txt|2097152");
}

/// Reads XML from standard input with a parser that is not ours, and counts elements.
const PARSE: &str = "
import collections, sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
suites = root.findall('testsuite')
assert root.tag == 'testsuites'
cases = root.findall('testsuite/testcase')
count = collections.Counter(child.tag for case in cases for child in case)
for names, of in (('tests', len(cases)), ('failures', count['failure']), ('errors', count['error']), ('skipped', count['skipped'])):
    assert int(root.get(names)) == of, names
    assert sum(int(suite.get(names)) for suite in suites) == of, names
print([int(root.get(name)) for name in ('tests', 'failures', 'errors', 'skipped')])
print(''.join(case.findtext('system-out') or '' for case in cases))
";

fn parsed(xml: &[u8]) -> String {
    let mut child = Command::new("python3")
        .args(["-c", PARSE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .env("PYTHONIOENCODING", "utf-8")
        .spawn()
        .expect("python3");
    child.stdin.take().expect("piped").write_all(xml).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(xml));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn junit_is_well_formed_and_its_counts_are_those_of_its_cases() {
    for grade in all() {
        parsed(&render(&grade, Format::Junit));
    }
    let read = parsed(&render(&both(), Format::Junit));
    assert!(read.starts_with("[12, 2, 0, 3]"), "12 cases, 2 failures, 3 skipped: {read}");
    assert!(read.contains("<!-- ]]> & \\xff\\xfe\\0 Größe \\u{202e}"), "what was printed comes through: {read}");
    assert!(parsed(&render(&broken(), Format::Junit)).starts_with("[3, 0, 1, 0]"));
}

/// Every byte, and every character that a standard has a rule for, as a program's words and as the name of a file.
#[test]
fn junit_is_well_formed_whatever_bytes_a_program_prints() {
    let mut grade = small();
    let every: Vec<u8> = (0..=255).collect();
    let odd = "\u{0}\u{b}\u{85}\u{2028}\u{fdd0}\u{fffe}\u{ffff}\u{10ffff}\u{feff}\u{e000}";
    grade.findings[0].said = [&every, odd.as_bytes()].concat();
    grade.findings[0].observed = format!("it wrote {odd}");
    grade.controls[0].command = format!("./a {odd}\n\t\"'<&>");
    parsed(&render(&grade, Format::Junit));
    for format in [Format::Text, Format::Gradescope, Format::Json, Format::Html] {
        let text = text(&grade, format);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n' || odd[1..].contains(c)), "{format:?}");
    }
}

#[test]
fn page_holds_no_markup_of_a_program_and_asks_nobody() {
    for grade in all() {
        let page = text(&grade, Format::Html);
        assert!(!page.contains("<img") && !page.contains("\u{1b}"));
        assert_eq!(page.matches("</script>").count(), 2, "the data's and the script's own");
        assert!(page.contains("default-src 'none'"));
        assert!(page.len() < 400_000, "{} bytes", page.len());
    }
    assert!(text(&both(), Format::Html).contains("{{data}}"), "a place in what is put in is not a place");
}

#[test]
fn report_of_a_run_without_events_or_words_has_no_empty_parts() {
    let mut grade = small();
    grade.findings = vec![super::super::verdict::Finding { events: vec![], said: vec![], ..split_header() }];
    let report = text(&grade, Format::Text);
    assert!(!report.contains("printed") && !report.contains("time client"), "{report}");
    grade.findings.clear();
    assert!(text(&grade, Format::Text).ends_with("0 checks; 0 of 0 points; 41.2 s\n"));
}

/// Not a test: `tests/browser` needs pages of programs that fall in every way, and no program does so on purpose.
#[test]
#[ignore = "writes pages for tests/browser into the folder FT_GRADE_PAGES"]
fn pages_for_a_browser() {
    let folder = PathBuf::from(std::env::var_os("FT_GRADE_PAGES").expect("FT_GRADE_PAGES names a folder"));
    for (name, grade) in [("both", both()), ("student", for_students(both())), ("broken", broken())] {
        std::fs::write(folder.join(format!("{name}.html")), render(&grade, Format::Html)).expect("written");
    }
}
