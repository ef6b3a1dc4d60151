//! A lesson as a person writes it: a small TOML file with the words, and the names of what is run.
//!
//! A lesson's file asks and explains; it never says what comes out. Which answer is right is decided by the run: every
//! choice makes a [`Claim`] about it, and the right one is the one whose claim holds.

use ft_core::dialect::pitfall::Pitfall;
use ft_sim::Family;
use serde::Deserialize;

/// File name without its ending, and text, of every lesson in its order.
const BUILT_IN: &[(&str, &str)] = &[
    ("01-localhost", include_str!("lessons/01-localhost.toml")),
    ("02-one-recv", include_str!("lessons/02-one-recv.toml")),
    ("03-split-digit", include_str!("lessons/03-split-digit.toml")),
    ("04-two-become-one", include_str!("lessons/04-two-become-one.toml")),
    ("05-end-of-file", include_str!("lessons/05-end-of-file.toml")),
    ("06-short-send", include_str!("lessons/06-short-send.toml")),
    ("07-what-an-ack-promises", include_str!("lessons/07-what-an-ack-promises.toml")),
    ("08-closing", include_str!("lessons/08-closing.toml")),
    ("09-both-wait", include_str!("lessons/09-both-wait.toml")),
    ("10-forty-milliseconds", include_str!("lessons/10-forty-milliseconds.toml")),
    ("11-hostile-and-silent", include_str!("lessons/11-hostile-and-silent.toml")),
    ("12-design-your-own", include_str!("lessons/12-design-your-own.toml")),
];

/// Every lesson, in order.
///
/// # Panics
///
/// If a lesson of the source tree cannot be read: a test reads them all.
pub(crate) fn all() -> Vec<Lesson> {
    let read = |(i, &(name, text)): (usize, &(&str, &str))| match load(i + 1, name, text) {
        Ok(lesson) => lesson,
        Err(error) => unreachable!("lesson {name}: {error}"),
    };
    BUILT_IN.iter().enumerate().map(read).collect()
}

/// The file of lesson `number`, from 1, if there is one.
pub(crate) fn file(number: usize) -> Option<&'static str> {
    BUILT_IN.get(number.checked_sub(1)?).map(|(name, _)| *name)
}

/// A lesson, read and checked.
#[derive(Clone, Debug)]
pub(crate) struct Lesson {
    /// Its place in the course, from 1.
    pub(crate) number: usize,
    /// Its name in links and snapshots: the file's, without number.
    pub(crate) name: String,
    /// The words.
    pub(crate) text: Text,
}

/// The file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Text {
    /// A few words.
    pub(crate) title: String,
    /// What one can do afterwards, in a line.
    pub(crate) aim: String,
    /// The program that is looked at.
    pub(crate) code: Code,
    /// What is asked before anything is shown.
    pub(crate) question: Question,
    /// What is played: at least one, but for lessons that measure or count instead.
    #[serde(default, rename = "run")]
    pub(crate) runs: Vec<Run>,
    /// A random search for the smallest schedule that breaks the first run's promise.
    pub(crate) search: Option<Search>,
    /// The same program so many times over real loopback TCP, and so many times under random schedules.
    pub(crate) localhost: Option<Localhost>,
    /// Write, write, read over real TCP, timed.
    pub(crate) timing: Option<Timing>,
    /// Faults at every byte of several protocols, counted.
    pub(crate) survey: Option<Survey>,
    /// Pitfalls that it shows, by id.
    pub(crate) pitfalls: Vec<String>,
    /// One line to remember.
    pub(crate) remember: String,
    /// Where the same bit real software.
    pub(crate) wild: Wild,
}

/// A piece of a program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Code {
    /// Whose it is.
    pub(crate) from: String,
    /// The lines, in Python.
    pub(crate) lines: String,
    /// Numbers of the lines that the lesson is about, from 1.
    pub(crate) guilty: Vec<usize>,
}

/// What is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Question {
    /// The question.
    pub(crate) ask: String,
    /// Three or four answers.
    #[serde(rename = "choice")]
    pub(crate) choices: Vec<Choice>,
}

/// An answer to choose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Choice {
    /// What it says.
    pub(crate) text: String,
    /// The author expects it to be the right one. The run decides; where it differs, the explanations are not shown.
    #[serde(default)]
    pub(crate) expected: bool,
    /// Why one may think so; for the right one, why it is so.
    pub(crate) why: String,
    /// What it says about the run, to be checked.
    pub(crate) claims: Claim,
}

/// What an answer says about a run; all that is stated must hold. Words are the beginnings of what the parties say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Claim {
    /// The client's words of the first run.
    pub(crate) client: Option<String>,
    /// The server's words.
    pub(crate) server: Option<String>,
    /// What lies on the receiver's disk.
    pub(crate) files: Option<String>,
    /// The broken promise, `nothing` if none is.
    pub(crate) breaks: Option<String>,
    /// Of the random schedules, so many (from, to) leave the file whole.
    pub(crate) survive: Option<[u64; 2]>,
    /// One round of write, write, read takes so many milliseconds (from, to).
    pub(crate) millis: Option<[u64; 2]>,
    /// This case of the survey has no cut that breaks it.
    pub(crate) clean: Option<String>,
    /// This case of the survey has at least one.
    pub(crate) falls: Option<String>,
}

/// A pair of programs under one schedule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Run {
    /// What it shows, in a line.
    pub(crate) shows: String,
    /// The program as it is.
    pub(crate) broken: Play,
    /// The better program; it is played under the schedule of the other.
    pub(crate) fixed: Play,
    /// How the better program does it, in a line or two.
    pub(crate) how: String,
    /// Where to look in the lanes.
    pub(crate) look: String,
    /// What the lanes must show for that to be said.
    pub(crate) seen: Vec<String>,
}

/// A play of a scenario in `scenarios/`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Play {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// Which of its plays, from 1.
    #[serde(default = "one")]
    pub(crate) play: usize,
}

/// What is searched for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Search {
    /// Of which run, from 1.
    #[serde(default = "one")]
    pub(crate) run: usize,
    /// Beginning of the promise's name.
    pub(crate) breaks: String,
    /// Kinds of faults, as a schedule names them.
    pub(crate) faults: Vec<Kind>,
    /// Only schedules whose last step lies in this direction: `c2s` or `s2c`.
    pub(crate) direction: Option<String>,
}

/// Faults that a search may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Split,
    Clip,
    Short,
    Hold,
    Delay,
    HalfClose,
    Fin,
    Rst,
    Crash,
}

impl Kind {
    /// The simulator's word for it.
    pub(crate) fn family(self) -> Family {
        match self {
            Self::Split => Family::Split,
            Self::Clip => Family::Clip,
            Self::Short => Family::Short,
            Self::Hold => Family::Hold,
            Self::Delay => Family::Delay,
            Self::HalfClose => Family::HalfClose,
            Self::Fin => Family::Fin,
            Self::Rst => Family::Rst,
            Self::Crash => Family::Crash,
        }
    }
}

/// Real loopback TCP against random schedules.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Localhost {
    /// Transfers of each.
    pub(crate) times: u64,
}

/// Write, write, read.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Timing {
    /// Rounds that are measured; the median counts.
    pub(crate) rounds: usize,
}

/// Cases, each with every fault at every byte.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Survey {
    /// Names of cases.
    pub(crate) cases: Vec<String>,
    /// Faults, as a schedule writes them.
    pub(crate) faults: Vec<String>,
}

/// Where it happened.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Wild {
    /// Whose page it is, and its title.
    pub(crate) title: String,
    /// Where it is.
    pub(crate) link: String,
    /// What happened there, in a line or two.
    pub(crate) what: String,
}

fn one() -> usize {
    1
}

/// Reads a lesson.
///
/// # Errors
///
/// TOML that does not fit, an unknown pitfall, a guilty line that is not there, a link that is not https, too few answers.
pub(crate) fn load(number: usize, name: &str, text: &str) -> Result<Lesson, String> {
    let text: Text = toml::from_str(text).map_err(|error| error.to_string())?;
    let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    check((3..=4).contains(&text.question.choices.len()), "a question has three or four answers")?;
    let empty = Claim::default();
    check(text.question.choices.iter().all(|choice| choice.claims != empty), "every answer claims something")?;
    let expected = text.question.choices.iter().filter(|choice| choice.expected).count();
    check(expected == 1, "the author expects one answer")?;
    check(text.runs.iter().all(|run| !run.seen.is_empty()), "something is to be seen in every run")?;
    // The head of a page has the title, what the page is for, and its number.
    check(text.title.chars().count() <= 28, "a title has at most 28 characters")?;
    let lines = text.code.lines.lines().count();
    check(!text.code.guilty.is_empty(), "a line of the code is guilty")?;
    check(text.code.guilty.iter().all(|line| (1..=lines).contains(line)), "guilty lines are lines of the code")?;
    check(text.wild.link.starts_with("https://"), "a link is https")?;
    for id in &text.pitfalls {
        check(Pitfall::ALL.iter().any(|pitfall| pitfall.id() == id), &format!("{id:?} is no pitfall"))?;
    }
    let name = name.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned();
    Ok(Lesson { number, name, text })
}
