//! Scenarios: a question with its answer, as a small TOML file that a person can read, run and change.
//!
//! ```toml
//! # Does the sender know what became of the file when the last confirmation is lost?
//! # It does not, and says so: unknown. A retry finds the file there.
//! # FT-75
//! shows = ["FT-75"]
//!
//! [[play]]
//! case = "ft-push"
//! schedule = "s2c@150 stall"
//! client = "1 unknown"
//! retry = "1 completed"
//! ```
//!
//! The file opens with a comment: the question, what is expected, and which requirement or pitfall it shows. Each play
//! is a case with other inputs, one schedule, and what the parties must say.

mod plays;

use std::fmt::{self, Write as _};

use ft_core::dialect::pitfall::{Lab, Pitfall, Whose};
use ft_core::dialect::witness::{Then, witnesses};
use serde::Deserialize;

use crate::cases::{self, Case, Inputs, Outcome, Setup};
use crate::cutmap::{CutMap, TooLarge};
use crate::ground::WorldKind;
use crate::report::Run;
use crate::room::{Away, Network};
use crate::schedule::{Fault, Schedule};
use crate::trace::{Event, escape, lanes};
#[cfg(feature = "tokio-world")]
use crate::world::World;

/// Longest scenario text that is read, bytes: they are written by hand.
const MAX_TEXT: usize = 64 * 1024;

/// A scenario, read and checked.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What replay lines call it.
    name: String,
    /// The first line of the opening comment.
    pub question: String,
    /// The rest of the opening comment.
    pub expected: String,
    /// Requirements (`FT-33`), invariants and pitfalls that it shows.
    pub shows: Vec<String>,
    plays: Vec<Play>,
}

#[derive(Clone, Debug)]
struct Play {
    case: &'static Case,
    setup: Setup,
    schedule: Schedule,
    expect: Expect,
}

/// What a play must come to. What is not stated is not asked, but `breaks`: without it nothing may break.
#[derive(Clone, Debug, Default)]
struct Expect {
    client: Option<String>,
    server: Option<String>,
    files: Option<String>,
    retry: Option<String>,
    breaks: Option<String>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    shows: Vec<String>,
    play: Vec<PlayText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PlayText {
    case: String,
    schedule: String,
    client: Option<String>,
    server: Option<String>,
    files: Option<String>,
    retry: Option<String>,
    breaks: Option<String>,
    #[serde(default)]
    with: Inputs,
}

/// Why a scenario cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Reads a scenario. Its replay lines call it `scenario`, until it is [named](Scenario::named).
///
/// # Errors
///
/// No opening comment with a question, TOML that does not fit, no such case, a schedule that cannot be read, an unknown
/// pitfall or input.
pub fn load(text: &str) -> Result<Scenario, Error> {
    if text.len() > MAX_TEXT {
        return Err(Error(format!("a scenario has at most {MAX_TEXT} bytes, this has {}", text.len())));
    }
    let mut comment = text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim);
    let question = comment.next().unwrap_or_default().to_owned();
    let expected = comment.collect::<Vec<_>>().join("\n");
    if !question.ends_with('?') || expected.is_empty() {
        return Err(Error("a scenario opens with a comment: a question, then what is expected".to_owned()));
    }
    let file: File = toml::from_str(text).map_err(|error| Error(error.to_string()))?;
    if file.play.is_empty() || file.shows.is_empty() {
        return Err(Error("a scenario shows something, in at least one play".to_owned()));
    }
    for id in &file.shows {
        let known = is_requirement(id)
            || Pitfall::ALL.iter().any(|pitfall| pitfall.id() == id)
            || ["INTACT", "HONEST", "ORDER", "SPLIT", "LIVE", "BOUND", "INSIDE"].contains(&id.as_str());
        if !known {
            return Err(Error(format!("{id:?} is no requirement, invariant or pitfall")));
        }
    }
    let plays = file.play.into_iter().map(Play::read).collect::<Result<_, _>>()?;
    Ok(Scenario { name: "scenario".to_owned(), question, expected, shows: file.shows, plays })
}

/// The last requirement of docs/PROTOCOL.md; a test reads them there.
const LAST_REQUIREMENT: u32 = 84;

/// `FT-1` and so on.
fn is_requirement(id: &str) -> bool {
    let number = id.strip_prefix("FT-").filter(|digits| !digits.starts_with(['0', '+']));
    number.and_then(|digits| digits.parse().ok()).is_some_and(|number: u32| (1..=LAST_REQUIREMENT).contains(&number))
}

impl Play {
    fn read(text: PlayText) -> Result<Self, Error> {
        let PlayText { case, schedule, client, server, files, retry, breaks, with } = text;
        let case = cases::find(&case).ok_or_else(|| Error(format!("no case is named {case:?}")))?;
        let schedule = schedule.parse().map_err(|error| Error(format!("schedule {schedule:?}: {error}")))?;
        let mut setup = case.setup();
        setup.apply(&with, retry.is_some()).map_err(Error)?;
        Ok(Self { case, setup, schedule, expect: Expect { client, server, files, retry, breaks } })
    }
}

/// What one play came to.
#[derive(Clone, Debug)]
pub struct Played {
    /// The case's name.
    pub case: &'static str,
    /// The line that shows this very play again, with the scenario's inputs; see [`crate::replay`].
    pub replay: String,
    /// The run, with its events.
    pub run: Run,
    /// What the parties said.
    pub outcome: Outcome,
    /// Where it differs from what was expected, one line each.
    pub surprises: Vec<String>,
}

/// What a scenario came to.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The whole story, one screen for each play.
    pub text: String,
    /// Every play came to what was expected.
    pub passed: bool,
    /// The events of the first play, for renderings.
    pub trace: Vec<Event>,
    /// Each play.
    pub plays: Vec<Played>,
}

impl Scenario {
    /// Plays it.
    #[must_use]
    pub fn run(&self) -> Verdict {
        self.judge(|play| play.setup.clone().play(&play.schedule))
    }

    /// Plays it in a tokio runtime with a paused clock.
    #[cfg(feature = "tokio-world")]
    #[must_use]
    pub fn run_on_tokio(&self) -> Verdict {
        self.judge(|play| play.setup.clone().play_in(World::on_tokio(), &play.schedule))
    }

    /// Plays it on another world's network.
    ///
    /// # Errors
    ///
    /// Why that world cannot hold it.
    pub fn run_on<N: Network>(&self, away: &mut Away<N>) -> Result<Verdict, String> {
        self.holds(N::KIND)?;
        Ok(self.judge(|play| play.setup.clone().play_on(away, &play.schedule)))
    }

    /// Whether a world can hold every play of it.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn holds(&self, world: WorldKind) -> Result<(), String> {
        self.plays.iter().try_for_each(|play| play.case.holds(world, &play.schedule))
    }

    fn judge(&self, mut make: impl FnMut(&Play) -> (Run, Outcome)) -> Verdict {
        let judged = self.plays.iter().enumerate().map(|(nth, play)| {
            let (run, outcome) = make(play);
            let surprises = play.expect.surprises(&run, &outcome);
            self.played(nth, play, (run, outcome), surprises)
        });
        self.verdict(judged.collect())
    }

    fn verdict(&self, plays: Vec<Played>) -> Verdict {
        let mut text = format!("{}\n{}\n", self.question, self.expected);
        for (play, played) in self.plays.iter().zip(&plays) {
            let Played { case, run, outcome, surprises, replay: _ } = played;
            let _ = write!(text, "\n== {case}: {}\n\n{}\n", run.schedule, screen(&lanes(&run.events)));
            let _ = writeln!(text, "client: {}\nserver: {}\nfiles:  {}", outcome.client, outcome.server, outcome.files);
            if let Some(retry) = &outcome.retry
                && play.expect.retry.is_some()
            {
                let _ = writeln!(text, "retry:  {retry}");
            }
            match &run.violation {
                Some(violation) => _ = writeln!(text, "breaks: {violation}"),
                None => text.push_str("breaks: nothing\n"),
            }
            for surprise in surprises {
                let _ = writeln!(text, "NOT AS EXPECTED: {surprise}");
            }
        }
        text.push_str(&self.blame(&plays));
        let passed = plays.iter().all(|played| played.surprises.is_empty());
        let trace = plays.first().map(|played| played.run.events.clone()).unwrap_or_default();
        Verdict { text, passed, trace, plays }
    }

    /// What each cut at each byte does to a play's inputs, counted from 0, on top of `base`; `None` if there is no such play.
    ///
    /// # Errors
    ///
    /// See [`crate::cutmap::draw`].
    pub fn cut_map(&self, play: usize, base: &Schedule, faults: &[Fault]) -> Option<Result<CutMap, TooLarge>> {
        let Play { case, setup, .. } = self.plays.get(play)?;
        let map = setup.clone().cut_map(case, base, faults);
        Some(map.map(|map| CutMap { subject: self.subject(play), ..map }))
    }

    /// Whose fault each pitfall is that broke something here; for a fault of the protocol, the witness.
    fn blame(&self, plays: &[Played]) -> String {
        let mut text = String::new();
        let lab_of = |case: &str| match case {
            _ if case.starts_with("lab-a") => Some(Lab::A),
            _ if case.starts_with("lab-b") => Some(Lab::B),
            _ => None,
        };
        let shown: Vec<Pitfall> =
            Pitfall::ALL.iter().copied().filter(|p| self.shows.iter().any(|id| id == p.id())).collect();
        let mut labs: Vec<Lab> = plays.iter().filter_map(|played| lab_of(played.case)).collect();
        labs.dedup();
        for pitfall in shown {
            for &lab in &labs {
                let whose = match pitfall.whose(lab) {
                    None => continue,
                    Some(Whose::Implementation) => "the implementation",
                    Some(Whose::Protocol) => "the protocol",
                    Some(Whose::Both) => "the implementation, and of the protocol",
                };
                let _ = writeln!(text, "\n{pitfall}: a fault of {whose}");
                for row in witnesses().iter().filter(|row| row.pitfall == pitfall && row.lab == lab) {
                    let then = match row.one.then {
                        Then::Silence => "silence",
                        Then::Fin => "FIN",
                    };
                    let _ = writeln!(text, "  on the wire: \"{}\", then {then}", escape(&row.one.wire()));
                    let _ = writeln!(text, "  it may mean: {}\n           or: {}", row.one.means, row.other.means);
                }
            }
        }
        text
    }
}

/// At most a screen of lanes: the beginning and the end, which is where stories begin and end.
fn screen(lanes: &str) -> String {
    const TOP: usize = 24;
    const BOTTOM: usize = 20;
    let lines: Vec<&str> = lanes.lines().collect();
    if lines.len() <= TOP + BOTTOM + 1 {
        return lanes.to_owned();
    }
    let left_out = lines.len() - TOP - BOTTOM;
    let mut text = lines[..TOP].join("\n");
    let _ = write!(text, "\n     ... {left_out} lines like these ...\n");
    text.push_str(&lines[lines.len() - BOTTOM..].join("\n"));
    text.push('\n');
    text
}

impl Expect {
    /// Where a run differs from it, one line each.
    fn surprises(&self, run: &Run, outcome: &Outcome) -> Vec<String> {
        let mut surprises = Vec::new();
        let retry = outcome.retry.clone().unwrap_or_default();
        for (what, expected, got) in [
            ("client", &self.client, &outcome.client),
            ("server", &self.server, &outcome.server),
            ("files", &self.files, &outcome.files),
            ("retry", &self.retry, &retry),
        ] {
            if let Some(expected) = expected
                && !got.starts_with(expected)
            {
                surprises.push(format!("{what}: expected {expected:?}, got {got:?}"));
            }
        }
        let broken = run.violation.as_ref().map(|violation| violation.name.clone());
        match (&self.breaks, &broken) {
            (None, None) => {}
            (Some(expected), Some(name)) if name.starts_with(expected) => {}
            (Some(expected), Some(name)) => surprises.push(format!("breaks: expected {expected:?}, got {name:?}")),
            (Some(expected), None) => surprises.push(format!("breaks: expected {expected:?}, nothing was broken")),
            (None, Some(name)) => surprises.push(format!("breaks: expected nothing, got {name:?}")),
        }
        surprises
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(shows: &str, play: &str) -> String {
        format!("# What of it?\n# This.\nshows = [{shows:?}]\n[[play]]\nschedule = \"benign\"\n{play}\n")
    }

    #[test]
    fn last_requirement_is_the_one_of_the_document() {
        let document = include_str!("../../docs/PROTOCOL.md");
        let stated = document.split("**FT-").skip(1).filter_map(|rest| rest.split_once("**"));
        let last = stated.filter_map(|(number, _)| number.parse::<u32>().ok()).max();
        assert_eq!(last, Some(LAST_REQUIREMENT));
    }

    #[test]
    fn scenario_shows_nothing_that_is_not_there() {
        for shows in ["FT-9999", "FT-0", "FT-07", "FT-", "FT-x", "LUCK"] {
            let refused = load(&with(shows, "case = \"ft-push\"")).expect_err(shows);
            assert_eq!(refused.to_string(), format!("{shows:?} is no requirement, invariant or pitfall"));
        }
        assert!(load(&with("FT-84", "case = \"ft-push\"")).is_ok());
    }

    #[test]
    fn more_files_than_there_are_names_are_refused() {
        let sizes = |n: usize| format!("case = \"ft-push\"\nwith = {{ sizes = {:?} }}", vec![1; n]);
        assert!(load(&with("FT-1", &sizes(26))).is_ok());
        let refused = load(&with("FT-1", &sizes(27))).expect_err("27");
        assert_eq!(refused.to_string(), "sizes are of at most 26 files, not 27");
        let refused = load(&with("FT-1", &sizes(0))).expect_err("none");
        assert_eq!(refused.to_string(), "sizes are of at least one file");
    }

    #[test]
    fn surprise_about_what_breaks_is_said_in_words() {
        let surprise = |play: &str| load(&with("FT-1", play)).expect("a scenario").run().plays[0].surprises.join("");
        let fine = surprise("case = \"ft-push\"\nbreaks = \"ORDER\"");
        assert_eq!(fine, "breaks: expected \"ORDER\", nothing was broken");
        let climbs = "case = \"lab-a-naive\"\nwith = { name = \"../x\" }";
        let inside = "\"INSIDE: nothing outside the folder\"";
        assert_eq!(surprise(climbs), format!("breaks: expected nothing, got {inside}"));
        assert_eq!(
            surprise(&format!("{climbs}\nbreaks = \"ORDER\"")),
            format!("breaks: expected \"ORDER\", got {inside}")
        );
    }
}
