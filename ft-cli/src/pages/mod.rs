//! Pages for a browser: one file each, which asks nobody for anything.
//!
//! Markup, styles and scripts are plain files beside this one. Here they are put together with the data of a run, as JSON
//! in an element that is no script. [`data`] is all that the scripts know.

pub(crate) mod data;
mod timeline;

use serde::Serialize;

pub(crate) use timeline::timeline;

const STYLE: &str = concat!(include_str!("style.css"), include_str!("lanes.css"));
const SCRIPTS: &str = concat!(include_str!("dom.js"), include_str!("lanes.js"), include_str!("stage.js"));

/// The page of one play of a scenario.
#[derive(Debug, Serialize)]
struct TracePage<'a> {
    name: &'a str,
    question: &'a str,
    expected: &'a str,
    timeline: data::Timeline,
}

/// `sim trace --format html`: one play of a scenario, to be stepped through.
pub(crate) fn trace_page(name: &str, scenario: &ft_sim::scenario::Scenario, played: &ft_sim::scenario::Played) -> String {
    let page = TracePage {
        name,
        question: &scenario.question,
        expected: &scenario.expected,
        timeline: timeline(played),
    };
    let lanes = ft_sim::trace::lanes(&played.run.events);
    let parts = Parts {
        title: &scenario.question,
        script: &[SCRIPTS, include_str!("timeline.js")].concat(),
        data: &json(&page),
        // Who runs no scripts has the lanes as text.
        plain: &lanes,
    };
    fill(include_str!("timeline.html"), &parts)
}

/// What a template asks for.
struct Parts<'a> {
    title: &'a str,
    script: &'a str,
    data: &'a str,
    plain: &'a str,
}

/// Fills a template in one pass: what is put in is never looked at for further places.
///
/// # Panics
///
/// If the template asks for what there is not: a test fills every template.
fn fill(template: &str, parts: &Parts<'_>) -> String {
    let mut page = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("a place that begins ends");
        page.push_str(before);
        match name {
            "title" => page.push_str(&html(parts.title)),
            "plain" => page.push_str(&html(parts.plain)),
            "style" => page.push_str(STYLE),
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
fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("string keys and no floats");
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// Text as text of a page.
fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}
