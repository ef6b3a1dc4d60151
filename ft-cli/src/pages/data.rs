//! What a page is given: everything that its script may show, and nothing that it would have to work out about a protocol.
//!
//! The names here are the names that the scripts read. Bytes are hexadecimal, so that nothing that a peer could have sent
//! is ever text of the page; texts are put into the page as text, never as markup.

use ft_sim::cutmap::{CutMap, Mark};
use serde::Serialize;

use super::texts::{Said, Texts};

/// One play, moment by moment.
#[derive(Debug, Serialize)]
pub(crate) struct Timeline {
    /// Its replay line: the scenario's play and the schedule.
    pub(crate) replay: String,
    /// Everything in which the network deviated.
    pub(crate) schedule: String,
    /// Who plays the client and who the server.
    pub(crate) parties: [String; 2],
    /// Each direction of each connection.
    pub(crate) streams: Vec<Stream>,
    /// What happened, in order.
    pub(crate) moments: Vec<Moment>,
    /// Moments that were left out at the end, to bound the page.
    pub(crate) left_out: usize,
    /// What came of it, where that is told beside the moments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Told>,
}

/// One direction of one connection.
#[derive(Debug, Serialize)]
pub(crate) struct Stream {
    /// Connection, from 1.
    pub(crate) conn: u16,
    /// `c2s` or `s2c`.
    pub(crate) dir: String,
    /// Bytes that were written.
    pub(crate) len: u64,
    /// The first of them, hexadecimal.
    pub(crate) hex: String,
    /// What the writer meant as one, in order; without gaps.
    pub(crate) messages: Vec<Message>,
}

/// A message: what colours the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Message {
    /// Offset of its first byte.
    pub(crate) from: u64,
    /// Offset behind its last byte.
    pub(crate) to: u64,
    /// The frame's name, where the protocol has frames.
    pub(crate) label: Option<&'static str>,
}

/// Something happened; `t` is virtual time in nanoseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Moment {
    pub(crate) t: u64,
    #[serde(flatten)]
    pub(crate) what: Happening,
}

/// What happened. `c` is a connection, `d` a direction, `o` an offset, `n` a number of bytes, `side` client or server.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "k", rename_all = "lowercase")]
pub(crate) enum Happening {
    /// A connection was opened.
    Open { c: u16 },
    /// A send took bytes; it offered `asked`.
    Write { c: u16, d: String, o: u64, n: u64, asked: u64 },
    /// Bytes arrived in the reader's kernel.
    Deliver { c: u16, d: String, o: u64, n: u64 },
    /// One recv returned bytes; or `calls` of them that nothing came between.
    Read { c: u16, d: String, o: u64, n: u64, calls: u64 },
    /// The end of the stream arrived.
    Fin { c: u16, d: String, o: u64 },
    /// A recv returned end of stream.
    Eof { c: u16, d: String, o: u64 },
    /// A RST arrived at `side`.
    Rst { c: u16, side: &'static str, o: u64 },
    /// A call of `side` failed.
    Error { c: u16, d: String, o: u64, side: &'static str, text: String },
    /// A step of the schedule took effect.
    Fault { c: u16, d: String, o: u64, text: String },
    /// A side, or the case, said something; `kind` is the simulator's word for what sort of thing it is.
    Note { side: Option<&'static str>, kind: &'static str, text: String },
    /// A side's program ended.
    Done { side: &'static str, text: String },
}

/// What both sides say in the end, and what lies on the receiver's disk.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    /// The client's words.
    pub(crate) client: String,
    /// The server's words.
    pub(crate) server: String,
    /// Under the final names, before any retry.
    pub(crate) files: String,
    /// The client's words after a clean retry.
    pub(crate) retry: Option<String>,
    /// Who waits for what, for ever.
    pub(crate) waits: Option<String>,
    /// The broken promise.
    pub(crate) breaks: Option<String>,
}

/// A cut map, in runs of equal cells.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Cuts {
    /// The case.
    pub(crate) case: String,
    /// What the network does besides the cut.
    pub(crate) base: String,
    /// Client to server, then server to client.
    pub(crate) strips: Vec<CutStrip>,
    /// Endings that the runs name by number: mark, client, server, files.
    pub(crate) endings: Vec<(Mark, Said, Said, Said)>,
}

/// One direction of a cut map.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct CutStrip {
    /// `c2s` or `s2c`.
    pub(crate) dir: String,
    /// What is written when nothing is cut, hexadecimal.
    pub(crate) hex: String,
    /// Where the writer's calls begin.
    pub(crate) writes: Vec<u64>,
    /// Frames, where the protocol has any.
    pub(crate) frames: Vec<Message>,
    /// One for each kind of cut.
    pub(crate) rows: Vec<CutRow>,
}

/// One kind of cut along a direction.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct CutRow {
    /// As a schedule names it.
    pub(crate) fault: String,
    /// First offset, number of cells, number of their ending.
    pub(crate) runs: Vec<(u64, u64, usize)>,
}

impl Cuts {
    pub(crate) fn new(map: &CutMap, texts: &mut Texts) -> Self {
        let strips = map.strips.iter().map(|strip| CutStrip {
            dir: strip.dir.to_string(),
            hex: hex(&strip.bytes),
            writes: strip.writes.clone(),
            frames: super::frames(&strip.bytes),
            rows: strip
                .rows
                .iter()
                .map(|row| CutRow {
                    fault: row.fault.to_string(),
                    runs: row
                        .cells
                        .chunk_by(|a, b| a.ending == b.ending)
                        .map(|cells| (cells[0].at, cells.len() as u64, cells[0].ending))
                        .collect(),
                })
                .collect(),
        });
        Self {
            case: map.case.clone(),
            base: map.base.to_string(),
            strips: strips.collect(),
            endings: map
                .endings
                .iter()
                .map(|e| (e.mark, texts.say(&e.client), texts.say(&e.server), texts.say(&e.files)))
                .collect(),
        }
    }
}

/// Two lower-case digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A lesson; see `commands/demo/lesson.rs` for what its words are.
#[derive(Debug, Serialize)]
pub(crate) struct LessonData {
    /// From 1.
    pub(crate) number: usize,
    /// The part of the address behind `#`.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) aim: String,
    pub(crate) code: CodeData,
    pub(crate) ask: String,
    pub(crate) choices: Vec<ChoiceData>,
    /// What was counted or measured when the page was made.
    pub(crate) counts: Vec<Counts>,
    /// Two programs under one schedule.
    pub(crate) pairs: Vec<PairData>,
    /// The search for the smallest counterexample, in words; its replay line last.
    pub(crate) search: Option<SearchData>,
    /// Every cut of the lesson's first run, or of a survey's cases.
    pub(crate) cuts: Option<CutsData>,
    pub(crate) faults: Vec<FaultData>,
    pub(crate) remember: String,
    pub(crate) wild: WildData,
}

/// A piece of a program.
#[derive(Debug, Serialize)]
pub(crate) struct CodeData {
    pub(crate) from: String,
    pub(crate) lines: Vec<String>,
    /// Numbers of lines, from 1.
    pub(crate) guilty: Vec<usize>,
}

/// An answer to choose; `right` is the run's judgement.
#[derive(Debug, Serialize)]
pub(crate) struct ChoiceData {
    pub(crate) text: String,
    /// Left out where the run came to something else than the author explains.
    pub(crate) why: Option<String>,
    pub(crate) right: bool,
}

/// A small table; the first column names its rows.
#[derive(Debug, Serialize)]
pub(crate) struct Counts {
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// A program as it is and a better one.
#[derive(Debug, Serialize)]
pub(crate) struct PairData {
    pub(crate) shows: String,
    /// Left out where what it speaks of is not to be seen.
    pub(crate) look: Option<String>,
    /// Left out where the better program is not better.
    pub(crate) how: Option<String>,
    pub(crate) schedule: String,
    /// The schedule in sentences.
    pub(crate) told: String,
    pub(crate) broken: Timeline,
    pub(crate) fixed: Timeline,
}

/// What a random search found.
#[derive(Debug, Serialize)]
pub(crate) struct SearchData {
    pub(crate) text: String,
    pub(crate) schedule: Option<String>,
    pub(crate) again: Option<String>,
}

/// Maps of several programs, to be cut together.
#[derive(Debug, Serialize)]
pub(crate) struct CutsData {
    /// One for each program.
    pub(crate) maps: Vec<NamedCuts>,
    /// What is cut first: direction, fault, offset.
    pub(crate) begin: (String, String, u64),
}

/// A program's map.
#[derive(Debug, Serialize)]
pub(crate) struct NamedCuts {
    /// Its name on the page.
    pub(crate) title: String,
    /// How to draw it in a terminal.
    pub(crate) command: String,
    /// Number of its map: lessons share them.
    pub(crate) map: usize,
}

/// A pitfall: whose fault it is, and a witness where the wire is ambiguous.
#[derive(Debug, Serialize)]
pub(crate) struct FaultData {
    pub(crate) pitfall: &'static str,
    pub(crate) whose: &'static str,
    pub(crate) witness: Option<WitnessData>,
}

/// Two intents with the same bytes.
#[derive(Debug, Serialize)]
pub(crate) struct WitnessData {
    /// What each means, and its sends, hexadecimal.
    pub(crate) intents: Vec<(&'static str, Vec<String>)>,
    /// What the reader has, hexadecimal.
    pub(crate) wire: String,
    /// What comes behind it.
    pub(crate) then: &'static str,
}

/// Where it happened.
#[derive(Debug, Serialize)]
pub(crate) struct WildData {
    pub(crate) title: String,
    pub(crate) link: String,
    pub(crate) what: String,
}
