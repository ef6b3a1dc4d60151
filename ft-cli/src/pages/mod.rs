//! Pages for a browser: one file each, which asks nobody for anything.
//!
//! Markup, styles and scripts are plain files beside this one. Here they are put together with the data of a run, as JSON
//! in an element that is no script. [`data`] is all that the scripts know.

mod course;
pub(crate) mod data;
mod texts;
mod timeline;

use ft_sim::cutmap::Mark;
use ft_sim::scenario::{Played, Scenario};
use serde::Serialize;

use crate::commands::demo::lesson::Lesson;
use crate::commands::demo::stage::{Library, Shown};
use crate::render::sign;

use timeline::timeline;
pub(crate) use timeline::{frames, run};

pub(crate) const STYLE: &str = concat!(include_str!("style.css"), include_str!("lanes.css"));
const COURSE_STYLE: &str = include_str!("course.css");
pub(crate) const SCRIPTS: &str = concat!(include_str!("dom.js"), include_str!("lanes.js"));
const TRACE_SCRIPTS: &str = concat!(include_str!("stage.js"), include_str!("timeline.js"));
const COURSE_SCRIPTS: &str = concat!(include_str!("cut.js"), include_str!("course.js"));

/// The page of one play of a scenario.
#[derive(Debug, Serialize)]
struct TracePage<'a> {
    name: &'a str,
    question: &'a str,
    expected: &'a str,
    timeline: data::Timeline,
}

/// `sim trace --format html`: one play of a scenario, to be stepped through.
pub(crate) fn trace_page(name: &str, scenario: &Scenario, played: &Played) -> String {
    let page =
        TracePage { name, question: &scenario.question, expected: &scenario.expected, timeline: timeline(played) };
    let lanes = ft_sim::trace::lanes(&played.run.events);
    let parts = Parts {
        title: &scenario.question,
        style: STYLE,
        script: &[SCRIPTS, TRACE_SCRIPTS].concat(),
        data: &json(&page),
        // Who runs no scripts has the lanes as text.
        plain: &lanes,
    };
    fill(include_str!("timeline.html"), &parts)
}

/// The page of lessons.
#[derive(Debug, Serialize)]
struct CoursePage {
    lessons: Vec<data::LessonData>,
    /// Maps that lessons name by number.
    maps: Vec<data::Cuts>,
    /// What endings of maps say, without its numbers.
    texts: Vec<String>,
    /// Word, sign and meaning of every mark.
    marks: Vec<(Mark, char, &'static str)>,
}

/// `demo --html`: lessons with what came of them.
///
/// # Errors
///
/// A lesson names what is not there.
pub(crate) fn course_page(lessons: &[(Lesson, Shown)], library: Library<'_>) -> Result<String, String> {
    let mut shared = course::Shared::default();
    let data = lessons.iter().map(|(lesson, shown)| {
        course::lesson(lesson, shown, library, &mut shared)
            .map_err(|error| format!("lesson {}: {error}", lesson.number))
    });
    let lessons = data.collect::<Result<_, _>>()?;
    let marks = Mark::ALL.map(|mark| (mark, sign(mark), mark.means()));
    let page = CoursePage { lessons, maps: shared.maps, texts: shared.texts.into_all(), marks: marks.to_vec() };
    let titles: String = page.lessons.iter().map(|one| format!("{:>2}  {}\n", one.number, one.title)).collect();
    let parts = Parts {
        title: "File transfer over TCP: twelve lessons",
        style: &[STYLE, COURSE_STYLE].concat(),
        script: &[SCRIPTS, COURSE_SCRIPTS].concat(),
        data: &json(&page),
        plain: &titles,
    };
    Ok(fill(include_str!("course.html"), &parts))
}

/// What a template asks for.
pub(crate) struct Parts<'a> {
    /// Text.
    pub(crate) title: &'a str,
    /// CSS of ours.
    pub(crate) style: &'a str,
    /// JavaScript of ours.
    pub(crate) script: &'a str,
    /// From [`json`].
    pub(crate) data: &'a str,
    /// Text for who runs no scripts.
    pub(crate) plain: &'a str,
}

/// Fills a template in one pass: what is put in is never looked at for further places.
///
/// # Panics
///
/// If the template asks for what there is not: a test fills every template.
pub(crate) fn fill(template: &str, parts: &Parts<'_>) -> String {
    let mut page = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("a place that begins ends");
        page.push_str(before);
        match name {
            "title" => page.push_str(&html(parts.title)),
            "plain" => page.push_str(&html(parts.plain)),
            "style" => page.push_str(parts.style),
            "script" => page.push_str(parts.script),
            "data" => page.push_str(parts.data),
            other => unreachable!("no part of a page is named {other:?}"),
        }
        rest = after;
    }
    page.push_str(rest);
    page
}

/// JSON that can stand inside an element: nothing in it can end the element or begin another.
pub(crate) fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("string keys and no floats");
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// Text as text of a page.
fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests;
