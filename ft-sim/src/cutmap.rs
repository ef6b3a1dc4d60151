//! Cut maps: one cell for each byte offset, direction and kind of cut, with what became of the transfer.
//!
//! A search stops at the first broken promise; a map shows where on the wire a program stands and where it falls. Every
//! cell is a run of its own, judged by the promise that it broke and by what lies under the final names afterwards, and
//! keeps the schedule that shows it again. What is here is data; pictures of it belong to whoever shows them.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::cases::Outcome;
use crate::invariant::{Kind, Violation};
use crate::limits;
use crate::report::Run;
use crate::schedule::{Direction, Fault, Party, Schedule, Step};
use crate::trace::{Event, What};

/// The cuts that are mapped unless others are asked for: segmentation, then every way in which a connection ends.
pub const FAULTS: &[Fault] =
    &[Fault::Split, Fault::HalfClose, Fault::Fin, Fault::Rst, Fault::Stall, Fault::Kill(Party::Server)];

/// What became of the transfer in one cell; from harmless to harmful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Every promise was kept, and the receiver has what it has without the cut.
    Intact,
    /// Every promise was kept; what the receiver had before is still there, and nobody says otherwise.
    Refused,
    /// Somebody says what is not so: success without the file (HONEST), or another story than without the cut (SPLIT).
    Lie,
    /// Somebody waits for ever, or a retry never completes (LIVE).
    Hang,
    /// The server dies of it (LIVE), or a program panics.
    Crash,
    /// Under a final name lies what nobody meant, or the old file is gone (INTACT, INSIDE).
    Corrupt,
}

impl Mark {
    /// Every mark, harmless first.
    pub const ALL: [Self; 6] = [Self::Intact, Self::Refused, Self::Lie, Self::Hang, Self::Crash, Self::Corrupt];

    /// The word for it, in lists and data.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Refused => "refused",
            Self::Lie => "lie",
            Self::Hang => "hang",
            Self::Crash => "crash",
            Self::Corrupt => "corrupt",
        }
    }

    /// One printable ASCII character for it, so that no picture depends on colour.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Intact => '.',
            Self::Refused => '-',
            Self::Lie => 'L',
            Self::Hang => 'H',
            Self::Crash => 'X',
            Self::Corrupt => 'C',
        }
    }

    /// What it means to someone who awaits a file.
    #[must_use]
    pub fn means(self) -> &'static str {
        match self {
            Self::Intact => "the file is there, whole",
            Self::Refused => "the old file stays, and nobody says otherwise",
            Self::Lie => "somebody says what is not so",
            Self::Hang => "somebody waits for ever",
            Self::Crash => "the server dies",
            Self::Corrupt => "a torn file, or none, in place of the old one",
        }
    }

    /// True if a promise was broken.
    #[must_use]
    pub fn is_harm(self) -> bool {
        self > Self::Refused
    }

    /// Judges a run: by the first promise that it broke (later ones are often its echo), else by what it left.
    fn judge(violation: Option<&Violation>, left_as_uncut: bool) -> Self {
        let Some(Violation { kind, name, .. }) = violation else {
            return if left_as_uncut { Self::Intact } else { Self::Refused };
        };
        match kind {
            Kind::Live | Kind::Eventually => Self::Hang,
            Kind::Panic => Self::Crash,
            // What differs from itself must not be believed.
            Kind::Determinism => Self::Lie,
            Kind::Always if name.starts_with("LIVE") => Self::Crash,
            Kind::Always if name.starts_with("INTACT") || name.starts_with("INSIDE") => Self::Corrupt,
            Kind::Always => Self::Lie,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How a run ended. Many cells share one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ending {
    /// The judgement.
    pub mark: Mark,
    /// What the client says.
    pub client: String,
    /// What the server says.
    pub server: String,
    /// What lies under the receiver's final names, before any retry.
    pub files: String,
    /// The promise that was broken, if one was.
    pub breaks: Option<String>,
}

/// One cut: one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Bytes of the direction before the cut.
    pub at: u64,
    /// Number of its [`Ending`] in [`CutMap::endings`].
    pub ending: usize,
    /// All that deviates from a benign network, the cut included.
    pub schedule: Schedule,
}

/// One kind of cut along one direction, by rising offset. Offsets that it cannot have are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The cut.
    pub fault: Fault,
    /// A cell for each offset.
    pub cells: Vec<Cell>,
}

/// One direction of the first connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strip {
    /// Which.
    pub dir: Direction,
    /// What is written in it when nothing is cut.
    pub bytes: Vec<u8>,
    /// Offsets at which the writer's calls begin when nothing is cut.
    pub writes: Vec<u64>,
    /// One for each kind of cut.
    pub rows: Vec<Row>,
}

/// A map; see the module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutMap {
    /// The case's name.
    pub case: String,
    /// What its replay lines name: the case, or the scenario's play whose inputs were taken.
    pub subject: String,
    /// Who plays the client and who the server.
    pub parties: [String; 2],
    /// What the network does in every cell besides the cut.
    pub base: Schedule,
    /// How it ends without a cut.
    pub uncut: Ending,
    /// Client to server, then server to client.
    pub strips: [Strip; 2],
    /// Every ending that occurs, in the order of occurrence.
    pub endings: Vec<Ending>,
}

/// Why there is no map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Cells that it would have.
    pub cells: u64,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map of {} cells, at most {} are drawn", self.cells, limits::MAX_MAP_CELLS)
    }
}

impl std::error::Error for TooLarge {}

/// Draws the map of what `play` plays: once under `base` alone, then with each of `faults` at every offset of both
/// directions of the first connection.
///
/// Promises are judged by the beginnings of their names: INTACT and INSIDE are [`Mark::Corrupt`], LIVE is [`Mark::Crash`]
/// (a deadlock and a retry that never completes are [`Mark::Hang`]), every other is [`Mark::Lie`].
///
/// # Errors
///
/// The parties write so much that the map would have more than [`limits::MAX_MAP_CELLS`] cells.
pub fn draw(
    case: &str,
    parties: [&str; 2],
    base: &Schedule,
    faults: &[Fault],
    play: impl Fn(&Schedule) -> (Run, Outcome),
) -> Result<CutMap, TooLarge> {
    let (run, outcome) = play(base);
    let judge = Judge { base_deviates: base.deviations() > 0, uncut: None };
    let uncut = judge.ending(&run, outcome);
    let judge = Judge { uncut: Some(&uncut), ..judge };
    let mut strips = Direction::BOTH.map(|dir| strip(dir, &run.events));
    let cells = strips.iter().map(|strip| (strip.bytes.len() as u64 + 1) * faults.len() as u64).sum();
    if cells > limits::MAX_MAP_CELLS {
        return Err(TooLarge { cells });
    }
    let mut endings: Vec<Ending> = Vec::new();
    for strip in &mut strips {
        for &fault in faults {
            let mut cells = Vec::new();
            for at in 0..=strip.bytes.len() as u64 {
                let mut steps = base.steps().to_vec();
                steps.push(Step::new(strip.dir, at, fault));
                let Ok(schedule) = Schedule::new(steps, base.picks().to_vec()) else { continue };
                let (run, outcome) = play(&schedule);
                let ended = judge.ending(&run, outcome);
                let known = endings.iter().position(|other| *other == ended);
                let ending = known.unwrap_or_else(|| {
                    endings.push(ended);
                    endings.len() - 1
                });
                cells.push(Cell { at, ending, schedule });
            }
            strip.rows.push(Row { fault, cells });
        }
    }
    let parties = parties.map(str::to_owned);
    Ok(CutMap { case: case.to_owned(), subject: case.to_owned(), parties, base: base.clone(), uncut, strips, endings })
}

/// Every file that is there is the new one.
fn is_new(files: &str) -> bool {
    files.split(", ").all(|file| file.ends_with(": new"))
}

/// Judges runs by the one that has no cut.
struct Judge<'a> {
    base_deviates: bool,
    uncut: Option<&'a Ending>,
}

impl Judge<'_> {
    fn ending(&self, run: &Run, outcome: Outcome) -> Ending {
        let Outcome { client, server, files, .. } = outcome;
        let violation = run.violation.as_ref().filter(|violation| !self.is_of_the_base(violation, &client, &server));
        let as_uncut = match self.uncut {
            Some(uncut) if uncut.breaks.is_none() => files == uncut.files,
            Some(_) | None => is_new(&files),
        };
        let mark = Mark::judge(violation, as_uncut);
        Ending { mark, client, server, files, breaks: violation.map(ToString::to_string) }
    }

    /// SPLIT compares with a benign network. On top of a base that deviates, what was said under the base is what counts.
    fn is_of_the_base(&self, violation: &Violation, client: &str, server: &str) -> bool {
        let as_uncut = self.uncut.is_none_or(|uncut| uncut.client == client && uncut.server == server);
        self.base_deviates && violation.name.starts_with("SPLIT") && as_uncut
    }
}

/// What was written in one direction of the first connection, without rows yet.
fn strip(dir: Direction, events: &[Event]) -> Strip {
    let mut strip = Strip { dir, bytes: Vec::new(), writes: Vec::new(), rows: Vec::new() };
    for event in events {
        if let What::Write { conn: 1, dir: of, offset, bytes, .. } = &event.what
            && *of == dir
            && !bytes.is_empty()
        {
            strip.writes.push(*offset);
            strip.bytes.extend_from_slice(bytes);
        }
    }
    strip
}

impl CutMap {
    /// How a cell ended.
    #[must_use]
    pub fn ending(&self, cell: &Cell) -> &Ending {
        &self.endings[cell.ending]
    }

    /// How many cells have each mark, harmless first.
    #[must_use]
    pub fn counts(&self) -> [(Mark, usize); 6] {
        Mark::ALL.map(|mark| {
            let cells = self.strips.iter().flat_map(|strip| &strip.rows).flat_map(|row| &row.cells);
            (mark, cells.filter(|cell| self.ending(cell).mark == mark).count())
        })
    }

    /// The first cell with a mark: the smallest offset, client to server before server to client.
    #[must_use]
    pub fn first(&self, mark: Mark) -> Option<&Cell> {
        let mut cells = self.strips.iter().flat_map(|strip| &strip.rows).flat_map(|row| &row.cells);
        cells.find(|cell| self.ending(cell).mark == mark)
    }

    /// The line that shows a cell again; see [`crate::replay`].
    #[must_use]
    pub fn replay_line(&self, cell: &Cell) -> String {
        crate::replay::line(&self.subject, &cell.schedule)
    }

    /// A JSON object for each cell, one a line, for programs.
    #[must_use]
    pub fn json_lines(&self) -> String {
        let mut text = String::new();
        for strip in &self.strips {
            for row in &strip.rows {
                for cell in &row.cells {
                    let line = Line {
                        event: "cell",
                        case: &self.case,
                        dir: strip.dir,
                        fault: row.fault.to_string(),
                        at: cell.at,
                        ending: self.ending(cell),
                        replay: self.replay_line(cell),
                    };
                    let line =
                        serde_json::to_string(&line).unwrap_or_else(|_| unreachable!("strings and numbers are JSON"));
                    text.push_str(&line);
                    text.push('\n');
                }
            }
        }
        text
    }
}

/// A cell for programs. Field names are stable.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    case: &'a str,
    #[serde(serialize_with = "as_text")]
    dir: Direction,
    fault: String,
    at: u64,
    #[serde(flatten)]
    ending: &'a Ending,
    replay: String,
}

fn as_text<S: Serializer>(value: &Direction, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Cells that follow each other and ended with one mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch<'a> {
    /// Their mark.
    pub mark: Mark,
    /// The cells.
    pub cells: &'a [Cell],
}

impl Row {
    /// The row as stretches of one mark.
    pub fn stretches<'a>(&'a self, map: &'a CutMap) -> impl Iterator<Item = Stretch<'a>> {
        let mark = |cell: &Cell| map.ending(cell).mark;
        let chunks = self.cells.chunk_by(move |a, b| mark(a) == mark(b));
        chunks.map(move |cells| Stretch { mark: mark(&cells[0]), cells })
    }
}
