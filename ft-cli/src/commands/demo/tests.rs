//! What holds of every lesson, and that its words come from runs: other programs are put in its place, and the text follows.

use std::path::Path;

use ft_sim::scenario::{self, Scenario};

use super::draw::{HEIGHT, Paint, WIDTH};
use super::lesson::{self, Lesson};
use super::real::Twin;
use super::{Look, library, page, plain, stage, tell};
use crate::scenarios::built_in;

const DRAWN: Look = Look::Drawn(Paint { colour: false });

fn lesson(number: usize) -> Lesson {
    lesson::all().remove(number - 1)
}

/// The whole lesson as text, with scenarios changed on their way.
fn text_with(lesson: &Lesson, change: impl Fn(&str) -> String) -> String {
    let library = |name: &str| -> Option<Scenario> {
        let text = change(built_in(name)?);
        Some(scenario::load(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}")).named(name))
    };
    let shown = stage::play(lesson, &library).expect("a lesson that can be played");
    DRAWN.lesson(lesson, &shown).join("\n")
}

fn text(lesson: &Lesson) -> String {
    text_with(lesson, str::to_owned)
}

/// Every pair of programs, the broken one replaced by the careful.
fn careful(text: &str) -> String {
    text.replace("\"lab-a-naive\"", "\"lab-a-careful\"")
}

#[test]
fn twelve_lessons_are_built_in_and_are_those_of_the_source_tree() {
    let lessons = lesson::all();
    assert_eq!(lessons.iter().map(|lesson| lesson.number).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands/demo/lessons");
    assert_eq!(std::fs::read_dir(folder).expect("the lessons' folder").count(), lessons.len());
}

#[test]
fn exactly_one_answer_of_every_lesson_is_what_happens() {
    for lesson in lesson::all() {
        let shown = stage::play(&lesson, &library).expect("a lesson that can be played");
        let right = shown.right.iter().filter(|right| **right).count();
        // Where the kernel shows no delay, lesson 10 says so, and an answer below it may be right.
        assert_eq!(right, 1, "lesson {}: {:?}", lesson.number, shown.right);
        let expected: Vec<bool> = lesson.text.question.choices.iter().map(|choice| choice.expected).collect();
        let delayed = shown.timed.as_ref().is_none_or(|timed| timed.plain.whole_millis() >= 30);
        assert!(shown.right == expected || !delayed, "lesson {}: {:?}", lesson.number, shown.right);
        let text = DRAWN.lesson(&lesson, &shown).join("\n");
        assert!(!text.contains("something else than the lesson"), "{text}");
    }
}

#[test]
fn run_of_every_lesson_breaks_a_promise_and_the_better_program_keeps_it() {
    for lesson in lesson::all().into_iter().filter(|lesson| lesson.number > 1) {
        let shown = stage::play(&lesson, &library).expect("a lesson that can be played");
        for pair in &shown.pairs {
            assert_ne!(stage::promise(&pair.broken), "nothing", "lesson {}", lesson.number);
            assert_eq!(stage::promise(&pair.fixed), "nothing", "lesson {}", lesson.number);
            assert_eq!(pair.broken.run.schedule, pair.fixed.run.schedule, "lesson {}", lesson.number);
        }
        if let Some(search) = shown.search {
            let found = search.found.unwrap_or_else(|| panic!("lesson {} finds nothing", lesson.number));
            assert_ne!(stage::promise(&found.pair.broken), "nothing", "lesson {}", lesson.number);
            assert_eq!(stage::promise(&found.pair.fixed), "nothing", "lesson {}", lesson.number);
        }
    }
}

#[test]
fn pages_fit_a_terminal_of_24_lines_and_80_columns_whatever_is_chosen() {
    for lesson in lesson::all() {
        let shown = stage::play(&lesson, &library).expect("a lesson that can be played");
        let mut pages = vec![tell::ask(&lesson)];
        let chosen: Vec<Option<usize>> = (0..shown.right.len()).map(Some).chain([None]).collect();
        pages.extend(chosen.iter().flat_map(|&chosen| tell::pages(&lesson, &shown, chosen, true)));
        assert_eq!(super::session::pages_after(&lesson, false), tell::pages(&lesson, &shown, None, false).len());
        for page in &pages {
            let text = DRAWN.page(&lesson, page, 1, 9);
            assert!(text.lines().count() <= HEIGHT, "{} lines:\n{text}", text.lines().count());
            let wide = text.lines().find(|line| line.chars().count() > WIDTH);
            // A link or a command is not broken.
            assert!(
                wide.is_none_or(|line| line.starts_with("  https://") || line.starts_with("  ft-cli ")),
                "{wide:?}\n{text}"
            );
        }
    }
}

#[test]
fn plain_text_has_no_picture_and_says_what_the_picture_shows() {
    for lesson in lesson::all() {
        let shown = stage::play(&lesson, &library).expect("a lesson that can be played");
        for page in tell::pages(&lesson, &shown, None, false) {
            let text = plain::page("Lesson", "1/2", &page);
            let odd = text.chars().find(|&c| !c.is_ascii());
            assert_eq!(odd, None, "{text}");
            assert!(!text.contains("   "), "columns in:\n{text}");
            if page.blocks.iter().any(|block| matches!(block, page::Block::Streams(..))) {
                assert!(text.contains("The client writes ") && text.contains("The server reads "), "{text}");
            }
        }
    }
}

/// The plant: the careful program where the lesson expects the naive one.
#[test]
fn careful_program_in_place_of_the_naive_one_changes_answer_outcome_and_search() {
    let lesson = lesson(2);
    let (before, after) = (text(&lesson), text_with(&lesson, careful));
    assert!(before.contains("✓ 2. The server dies"), "{before}");
    assert!(before.contains("BROKEN LIVE"), "{before}");
    assert!(after.contains("✓ 1. recv(1024) waits until"), "{after}");
    assert!(after.contains("✗ 2. The server dies"), "{after}");
    assert!(!after.contains("BROKEN") && !after.contains("dies: ValueError"), "{after}");
    assert!(after.contains("none broke this program"), "{after}");
    for canned in ["recv returned", "a server that acts"] {
        assert!(before.contains(canned) && !after.contains(canned), "{after}");
    }
    assert!(after.contains("read 4..11"), "the lanes are of the other program: {after}");
}

/// Another plant: another file. Nothing of the old one is left in what is told about the run.
#[test]
fn other_file_in_the_scenario_is_another_file_in_the_text() {
    let lesson = lesson(6);
    let other = |text: &str| text.replace("schedule = ", "with = { body = \"0123456789abcdef\" }\nschedule = ");
    let after = text_with(&lesson, other);
    assert!(after.contains("sent 9 of 16 bytes"), "{after}");
    assert!(after.contains("│012345678│"), "{after}");
    assert!(!after.contains("quick"), "{after}");
}

#[test]
fn schedule_of_the_scenario_is_the_schedule_of_the_text() {
    let lesson = lesson(3);
    let after = text_with(&lesson, |text| text.replace("c2s@10 split", "c2s@4 split"));
    assert!(after.contains("Behind byte 4 from client to server there"), "{after}");
    assert!(after.contains("✓ 1. It dies"), "{after}");
}

#[test]
fn lesson_that_makes_no_sense_is_refused() {
    let good = include_str!("lessons/02-one-recv.toml");
    assert!(lesson::load(2, "02-one-recv", good).is_ok());
    for (from, to) in [
        ("guilty = [1]", "guilty = [9]"),
        ("https://", "http://"),
        ("\"split-header\"", "\"split-brain\""),
        ("claims = { server = \"gone\" }", "claims = {}"),
        ("title = ", "titel = "),
        ("One recv is not one send\"", "A title that is far too long for the head of a page\""),
    ] {
        assert!(good.contains(from), "{from}");
        assert!(lesson::load(2, "02-one-recv", &good.replace(from, to)).is_err(), "{to}");
    }
    let mut lost = lesson(2);
    lost.text.runs[0].broken.scenario = "gone".into();
    assert_eq!(stage::play(&lost, &library).map(drop), Err("no play 1 of a scenario \"gone\"".to_owned()));
}

#[test]
fn runs_over_real_tcp_come_to_the_same_on_a_page_that_fits() {
    for number in [2, 8] {
        let lesson = lesson(number);
        let mut shown = stage::play(&lesson, &library).expect("a lesson that can be played");
        stage::play_real(&lesson, &mut shown, &library).expect("loopback");
        let pages = tell::pages(&lesson, &shown, None, false);
        assert_eq!(super::session::pages_after(&lesson, true), pages.len());
        let real: Vec<_> = pages.iter().filter(|page| page.heading == "over real TCP").collect();
        assert_eq!(real.len(), lesson.text.runs.len());
        for page in real {
            let text = DRAWN.page(&lesson, page, 1, 9);
            assert_eq!(text.matches("came to the same in both worlds").count(), 2, "{text}");
            assert!(text.lines().count() <= HEIGHT, "{text}");
        }
    }
}

/// The plant: another program in the other world.
#[test]
fn world_that_comes_to_something_else_is_told_of() {
    let lesson = lesson(3);
    let mut shown = stage::play(&lesson, &library).expect("a lesson that can be played");
    let pair = shown.pairs[0].clone();
    let liar = Twin { simulated: pair.broken, real: Ok(pair.fixed.clone()) };
    let absent = Twin { simulated: pair.fixed, real: Err("the world is closed".to_owned()) };
    shown.real = vec![[liar, absent]];
    let text = DRAWN.lesson(&lesson, &shown).join("\n");
    assert!(text.contains("lab-a-naive came to something else: one breaks always"), "{text}");
    assert!(text.contains("lab-a-careful is not played there: the world is closed."), "{text}");
}
