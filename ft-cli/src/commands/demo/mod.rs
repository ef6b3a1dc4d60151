//! `demo`: twelve lessons about byte streams. Each asks first, then runs, then explains.
//!
//! Reading order: [`lesson`] (the words, from `lessons/*.toml`), [`stage`] (every run that a lesson needs, with [`live`] for
//! what only a kernel shows and [`survey`] for counts), [`tell`] (both as [`page`]s), [`draw`] and [`plain`] (pages as text),
//! [`session`] (a person at a terminal).

pub(crate) mod draw;
pub(crate) mod lesson;
pub(crate) mod live;
mod page;
mod plain;
pub(crate) mod real;
mod session;
pub(crate) mod stage;
pub(crate) mod streams;
pub(crate) mod survey;
mod tell;
pub(crate) mod words;

#[cfg(test)]
mod tests;

use std::path::Path;

use ft_sim::scenario::{self, Scenario};
use serde::Serialize;

use super::sim;
use crate::args::DemoArgs;
use crate::exit::{Exit, Stop};
use crate::pages::course_page;
use crate::render::{Mode, Screen};
use crate::scenarios::built_in;
use draw::Paint;
use lesson::Lesson;
use page::Page;
use stage::Shown;

/// Runs the lessons asked for.
pub(super) fn run(args: &DemoArgs, screen: &Screen) -> Result<Exit, Stop> {
    let lessons = lesson::all();
    if args.list {
        list(&lessons, screen);
        return Ok(Exit::Completed);
    }
    let look = if args.plain { Look::Plain } else { Look::Drawn(Paint { colour: colour() }) };
    let chosen = args.lesson.as_deref().map(|asked| find(&lessons, asked)).transpose()?;
    let show = match chosen {
        Some(lesson) => std::slice::from_ref(lesson),
        None => &lessons[..],
    };
    if let Some(path) = &args.html {
        return html(path, show, screen);
    }
    match screen.mode() {
        Mode::Json => show.iter().try_for_each(|lesson| json(lesson, args.real, screen))?,
        Mode::Quiet => show.iter().try_for_each(|lesson| play(lesson, args.real).map(drop))?,
        Mode::Plain | Mode::Bars if args.no_input => {
            for lesson in show {
                let shown = play(lesson, args.real)?;
                look.lesson(lesson, &shown).iter().for_each(|page| screen.line(page));
            }
        }
        Mode::Plain | Mode::Bars => session::run(show, chosen.is_some(), args.real, look, screen)?,
    }
    Ok(Exit::Completed)
}

/// Writes the lessons as one page for a browser.
fn html(path: &Path, lessons: &[Lesson], screen: &Screen) -> Result<Exit, Stop> {
    let shown = lessons.iter().map(|lesson| play(lesson, false).map(|shown| (lesson.clone(), shown)));
    let shown = shown.collect::<Result<Vec<_>, _>>()?;
    let unsound = |text: String| Stop { exit: Exit::Unsound, text, hint: None };
    let page = sim::quietly(|| course_page(&shown, &library)).and_then(|page| page).map_err(unsound)?;
    let file = Some(path).filter(|path| *path != Path::new("-"));
    sim::put(page.as_bytes(), file)?;
    if let Some(file) = file {
        screen.line(&format!("{} written to {}", sim::count(shown.len() as u64, "lesson"), file.display()));
    }
    Ok(Exit::Completed)
}

/// How pages become text.
#[derive(Clone, Copy, Debug)]
enum Look {
    Drawn(Paint),
    Plain,
}

impl Look {
    /// Page `number`, from 1, of so many.
    fn page(self, lesson: &Lesson, page: &Page, number: usize, of: usize) -> String {
        let title = format!("Lesson {}, {}", lesson.number, lesson.text.title);
        let place = format!("{number}/{of}");
        match self {
            Self::Drawn(paint) => paint.page(&title, &place, page),
            Self::Plain => plain::page(&title, &place, page),
        }
    }

    /// All pages, for nobody in particular.
    fn lesson(self, lesson: &Lesson, shown: &Shown) -> Vec<String> {
        let mut pages = vec![tell::ask(lesson)];
        pages.extend(tell::pages(lesson, shown, None, false));
        (1..).zip(&pages).map(|(number, page)| self.page(lesson, page, number, pages.len())).collect()
    }
}

/// Whether standard output wants colour: a terminal, and neither NO_COLOR nor its relatives say otherwise.
fn colour() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// Scenarios that are built in.
fn library(name: &str) -> Option<Scenario> {
    built_in(name).and_then(|text| scenario::load(text).ok()).map(|scenario| scenario.named(name))
}

fn play(lesson: &Lesson, real: bool) -> Result<Shown, Stop> {
    let unsound =
        |text: String| Stop { exit: Exit::Unsound, text: format!("lesson {}: {text}", lesson.number), hint: None };
    let work = || {
        let mut shown = stage::play(lesson, &library)?;
        if real {
            stage::play_real(lesson, &mut shown, &library)?;
        }
        Ok(shown)
    };
    sim::quietly(work).and_then(|shown| shown).map_err(unsound)
}

/// A lesson by its number or its name.
fn find<'a>(lessons: &'a [Lesson], asked: &str) -> Result<&'a Lesson, Stop> {
    let found = lessons.iter().find(|lesson| lesson.number.to_string() == asked || lesson.name == asked);
    found.ok_or_else(|| {
        Stop::usage(format_args!("no lesson is numbered or named {asked:?}"))
            .hint("`ft-cli demo --list` lists the lessons")
    })
}

/// What `--json` says about a lesson.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    /// A line of `--list`, and what came of it if it was played.
    Lesson {
        number: usize,
        name: &'a str,
        title: &'a str,
        aim: &'a str,
        pitfalls: &'a [String],
        #[serde(skip_serializing_if = "Vec::is_empty")]
        right: Vec<usize>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        runs: Vec<RunLine<'a>>,
    },
}

#[derive(Serialize)]
struct RunLine<'a> {
    case: &'a str,
    schedule: String,
    client: &'a str,
    server: &'a str,
    files: &'a str,
    breaks: Option<&'a str>,
    /// Over real TCP, if it was asked for: `same`, or what differs, or why it cannot be.
    #[serde(skip_serializing_if = "Option::is_none")]
    real: Option<String>,
}

fn line<'a>(lesson: &'a Lesson, shown: Option<&'a Shown>) -> Line<'a> {
    let pairs = shown.map(|shown| &shown.pairs[..]).unwrap_or_default();
    let mut twins = shown.map(|shown| &shown.real[..]).unwrap_or_default().iter().flatten();
    let plays = pairs.iter().flat_map(|pair| [&pair.broken, &pair.fixed]);
    Line::Lesson {
        number: lesson.number,
        name: &lesson.name,
        title: &lesson.text.title,
        aim: &lesson.text.aim,
        pitfalls: &lesson.text.pitfalls,
        right: shown
            .map(|shown| (1..).zip(&shown.right).filter(|(_, right)| **right).map(|(n, _)| n).collect())
            .unwrap_or_default(),
        runs: plays
            .map(|played| RunLine {
                case: played.case,
                schedule: played.run.schedule.to_string(),
                client: &played.outcome.client,
                server: &played.outcome.server,
                files: &played.outcome.files,
                breaks: played.run.violation.as_ref().map(|violation| violation.name.as_str()),
                real: twins.next().map(|twin| match &twin.real {
                    Err(why) => why.clone(),
                    Ok(_) => twin.difference().unwrap_or_else(|| "same".to_owned()),
                }),
            })
            .collect(),
    }
}

fn json(lesson: &Lesson, real: bool, screen: &Screen) -> Result<(), Stop> {
    let shown = play(lesson, real)?;
    sim::print_json(screen, &line(lesson, Some(&shown)));
    Ok(())
}

fn list(lessons: &[Lesson], screen: &Screen) {
    let width = lessons.iter().map(|lesson| lesson.name.len()).max().unwrap_or_default();
    for lesson in lessons {
        if screen.mode() == Mode::Json {
            sim::print_json(screen, &line(lesson, None));
        } else {
            screen.print(&format!("{:>2}  {:width$}  {}", lesson.number, lesson.name, lesson.text.title));
        }
    }
}
