//! The lessons as a person meets them: every word of every page as a snapshot, and a terminal session played by a pipe.

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod harness;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::Sandbox;

/// Compares with `snapshots/lessons/<name>.snap`.
fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../snapshots/lessons"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Number, name and pages of every lesson in the output of `demo --no-input`.
fn lessons(text: &str) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("── Lesson ") {
            let number = rest.split(',').next().and_then(|number| number.parse().ok()).expect("a number");
            if all.last().is_none_or(|(last, _)| *last != number) {
                all.push((number, String::new()));
            }
        }
        let (_, pages) = all.last_mut().expect("a lesson begins with its head");
        *pages += line;
        pages.push('\n');
    }
    all
}

#[test]
fn every_lesson_reads_as_its_snapshot_and_all_take_less_than_20_seconds() {
    let sandbox = Sandbox::new();
    let begun = Instant::now();
    let text = sandbox.run("demo --no-input").expect(0).text();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(!text.contains('\x1b'), "colour in a pipe");
    let names = sandbox.run("demo --list").expect(0).text();
    let names: Vec<&str> = names.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    let lessons = lessons(&text);
    assert_eq!(lessons.len(), 12);
    assert_eq!(names.len(), 12);
    for ((number, pages), name) in lessons.iter().zip(names) {
        // A kernel that acknowledges at once has no such delay to show. It must say so; then the table is another.
        if pages.contains("This system shows no delay") {
            assert_eq!(*number, 10, "{pages}");
            assert!(pages.contains("✓ 1. ") || pages.contains("✓ 2. "), "{pages}");
            continue;
        }
        snapshot(&format!("{number:02}-{name}"), pages);
    }
}

#[test]
fn lessons_say_the_same_every_time() {
    let sandbox = Sandbox::new();
    let one = sandbox.run("demo --no-input").expect(0).text();
    assert_eq!(one, sandbox.run("demo --no-input").expect(0).text());
}

#[test]
fn plain_lesson_reads_as_its_snapshot() {
    let sandbox = Sandbox::new();
    snapshot("plain", &sandbox.run("demo split-digit --no-input --plain").expect(0).text());
}

#[test]
fn person_who_answers_goes_back_and_leaves_reads_as_the_snapshot() {
    let sandbox = Sandbox::new();
    // Lesson 2; nonsense; the wrong answer; next; back twice; the right answer; to the end of the lesson; out.
    let input = b"2\nwhat?\n1\n\nb\nb\n2\n\n\n\n\n\nq\n";
    let ran = sandbox.run_with_input("demo", input).expect(0);
    snapshot("session", &ran.text());
}

#[test]
fn single_lesson_ends_with_itself_and_so_does_input() {
    let sandbox = Sandbox::new();
    let all = sandbox.run_with_input("demo 3", b"2\n\n\n\n\n\n\n\n\n").expect(0).text();
    assert!(all.contains("Lesson 3") && all.contains("to take home") && !all.contains("Lesson 4"), "{all}");
    // Nobody is there at all.
    let nobody = sandbox.run_with_input("demo", b"").expect(0).text();
    assert!(nobody.contains("Twelve lessons") && !nobody.contains("Lesson 1,"), "{nobody}");
}

#[test]
fn lesson_that_is_not_there_is_a_usage_error() {
    let sandbox = Sandbox::new();
    for asked in ["13", "0", "nagle"] {
        let ran = sandbox.run(&format!("demo {asked} --no-input")).expect(2);
        assert!(ran.stderr.contains("no lesson is numbered or named"), "{}", ran.stderr);
        assert!(ran.stderr.contains("demo --list"), "{}", ran.stderr);
    }
}

#[test]
fn programs_get_one_object_for_each_lesson() {
    let sandbox = Sandbox::new();
    let text = sandbox.run("demo 3 --json").expect(0).text();
    let line: serde_json::Value = serde_json::from_str(&text).expect("an object");
    assert_eq!(line["event"], "lesson");
    assert_eq!(line["name"], "split-digit");
    assert_eq!(line["right"], serde_json::json!([2]));
    assert_eq!(line["runs"][0]["case"], "lab-a-naive");
    assert!(line["runs"][0]["breaks"].as_str().expect("a promise").starts_with("INTACT"));
    assert!(line["runs"][1]["breaks"].is_null());
    assert_eq!(sandbox.run("demo --list --json").expect(0).text().lines().count(), 12);
    assert_eq!(sandbox.run("demo 3 --quiet").expect(0).text(), "");
}

/// Blocks of a document: what stands behind the fence, and the lines.
fn blocks(document: &str) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    let mut open: Option<(String, Vec<String>)> = None;
    for line in document.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => all.extend(open.take()),
            (Some(kind), None) => open = Some((kind.to_owned(), Vec::new())),
            (None, Some((_, lines))) => lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    all
}

/// Commands are run by `sh`; a text below them is what they say, in this order.
#[test]
fn commands_of_the_course_work_and_say_what_stands_below_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/LESSONS.md");
    let document = std::fs::read_to_string(path).expect("the course");
    let sandbox = Sandbox::new();
    let (mut commands, mut answers, mut said) = (0, 0, String::new());
    for (kind, lines) in blocks(&document) {
        if kind == "text" {
            let mut rest = said.as_str();
            for line in &lines {
                let found = rest.find(line.as_str());
                rest =
                    &rest[found.unwrap_or_else(|| panic!("{line:?} is not said, or not in this order, in\n{said}"))..];
                answers += 1;
            }
            continue;
        }
        assert_eq!(kind, "sh");
        said.clear();
        for line in lines {
            let (line, code) = match line.split_once(" # exit ") {
                Some((line, code)) => (line, code.parse().expect("a number")),
                None => (line.as_str(), 0),
            };
            let ran = shell(&sandbox, line);
            let out = String::from_utf8_lossy(&ran.stdout);
            assert_eq!(ran.status.code(), Some(code), "{line}\n{out}{}", String::from_utf8_lossy(&ran.stderr));
            said += &out;
            commands += 1;
        }
    }
    assert!(commands >= 20 && answers >= 15, "{commands} commands, {answers} answers");
}

fn shell(sandbox: &Sandbox, line: &str) -> std::process::Output {
    let program = Path::new(env!("CARGO_BIN_EXE_ft-cli"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = program.parent().map(Path::to_path_buf).into_iter().chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders).expect("a path");
    let mut command = Command::new("sh");
    command.arg("-euc").arg(line).current_dir(sandbox.path("")).env("PATH", path).env_remove("FT_LOG");
    command.stdin(Stdio::null()).output().expect("sh runs")
}

/// The course and the programme are one list.
#[test]
fn course_lists_the_lessons_as_the_program_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/LESSONS.md");
    let document = std::fs::read_to_string(path).expect("the course");
    let listed = Sandbox::new().run("demo --list --json").expect(0).text();
    for line in listed.lines() {
        let lesson: serde_json::Value = serde_json::from_str(line).expect("an object");
        let (number, title) = (&lesson["number"], lesson["title"].as_str().expect("a title"));
        let pitfalls = lesson["pitfalls"].as_array().expect("a list").iter().filter_map(|id| id.as_str());
        let pitfalls = pitfalls.collect::<Vec<_>>().join(", ");
        let row = document.lines().find(|row| row.starts_with(&format!("| {number} | {title} |")));
        let row = row.unwrap_or_else(|| panic!("no row for {number}, {title}"));
        assert!(row.ends_with(&format!("| {pitfalls} |")), "{row}: {pitfalls}");
    }
}
