//! A grade for people and for programs. Every report says the same, since all of them ask `told` what is said of a finding;
//! they differ in form.
//!
//! ```text
//!   stories ── what there is to say of a pitfall (texts.toml)      told ── what is said of a finding
//!   shown ── a stranger's words, escaped and bounded
//!   terminal   json   junit   gradescope      html ── grade.html, .css, .js      cuts ── where along the bytes it was cut
//! ```
//!
//! What a program printed, how it named its files, and what it put on the wire is a stranger's: nothing of it reaches a
//! report but through `shown::visible` or as hexadecimal digits.

mod cuts;
#[cfg(test)]
mod fixture;
mod gradescope;
mod html;
mod json;
mod junit;
mod shown;
mod stories;
mod terminal;
#[cfg(test)]
mod tests;
mod told;

use super::verdict::Grade;

/// How a grade is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a person, at most 98 columns.
    Text,
    /// The same with colours; the words say the same without.
    Painted,
    /// One JSON document.
    Json,
    /// JUnit's XML, for continuous integration.
    Junit,
    /// `results.json` of a Gradescope autograder.
    Gradescope,
    /// One page for a browser, which asks nobody for anything.
    Html,
}

/// Writes a grade down. Where the grade is for students, hints stand in the place of explanations.
#[must_use]
pub fn render(grade: &Grade, format: Format) -> Vec<u8> {
    let text = match format {
        Format::Text => terminal::report(grade, false),
        Format::Painted => terminal::report(grade, true),
        Format::Json => json::document(grade),
        Format::Junit => junit::document(grade),
        Format::Gradescope => gradescope::results(grade),
        Format::Html => html::page(grade),
    };
    text.into_bytes()
}
