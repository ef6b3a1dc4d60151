//! Pages of a lesson as values: what is said, before anybody decides how it looks. `draw` makes 80 columns of them, `plain`
//! makes sentences.

use ft_sim::trace::Event;

use super::streams::Stream;

/// What fits a screen, with one thing to see.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// What the page is for, in a few words.
    pub(crate) heading: String,
    /// From top to bottom.
    pub(crate) blocks: Vec<Block>,
}

/// A part of a page.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    /// A paragraph.
    Say(String),
    /// A paragraph that stands out.
    Strong(String),
    /// A piece of a program.
    Code { from: String, lines: Vec<String>, guilty: Vec<usize> },
    /// Numbered answers.
    Answers(Vec<Answer>),
    /// Whose they are, and bytes of one direction or both: as they were written, and as they were read.
    Streams(String, Vec<Stream>),
    /// What is told about something, a line each: label and words.
    Facts(Vec<[String; 2]>),
    /// What happened, in order.
    Lanes(Vec<Event>),
    /// Rows of: what, in the left program, in the right one.
    Compare { heads: [String; 2], rows: Vec<[String; 3]> },
    /// A table of numbers; the first column has names.
    Counts { heads: Vec<String>, rows: Vec<Vec<String>> },
    /// Where to read on: shown as it is, never wrapped.
    Link(String),
    /// What to type, and what for; never wrapped.
    Command(String, String),
}

/// One answer to choose.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// What it says.
    pub(crate) text: String,
    /// Whether it is right; nothing before the run.
    pub(crate) right: Option<bool>,
    /// Why one may choose it.
    pub(crate) why: Option<String>,
}
