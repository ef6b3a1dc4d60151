//! A trace as text in three lanes, at most 80 columns: what the client does, what the wire does, what the server does.
//!
//! Bytes that pass through all three in one go share a line, so that the benign run reads as one line per message and
//! anything that takes two lines is a place where the network made a difference.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Event, What, escape};
use crate::core::HostId;
use crate::schedule::{Direction, Party};

/// Columns of the three lanes; with the time in front they make 80.
const WIDTHS: [usize; 3] = [25, 22, 22];
const TIME: usize = 8;

/// Which of the three lanes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Client,
    Wire,
    Server,
}

/// One line being filled.
#[derive(Default)]
struct Row {
    at: u64,
    cells: [String; 3],
    /// The bytes it follows, if it follows any, and the lane it has reached.
    follows: Option<(u16, Direction, u64, u64)>,
}

/// Renders events as lanes, with a heading. Polls and timers are left out: time and order show them.
#[must_use]
pub fn lanes(events: &[Event]) -> String {
    let mut clients = BTreeSet::new();
    for event in events {
        if let What::Open { hosts, .. } = &event.what {
            clients.insert(hosts[0]);
        }
    }
    let lane_of = |host: HostId| {
        if clients.contains(&host) { Lane::Client } else { Lane::Server }
    };
    let mut text = String::new();
    line(&mut text, "time", &["client", "wire", "server"].map(str::to_owned));
    let mut row = Row::default();
    let shown: Vec<&Event> = events.iter().filter(|e| !matches!(e.what, What::Timer | What::Poll { .. })).collect();
    let mut next = 0;
    while let Some(event) = shown.get(next) {
        let (reads, last) = reads_on(&shown[next..]);
        next += reads;
        let Some((lane, mut cell, mut follows)) = cell(&event.what, lane_of) else {
            continue;
        };
        if reads > 1
            && let Some((conn, dir, offset, _)) = follows
        {
            // A parser that reads byte by byte would fill the screen.
            cell = format!("{}read {} in {reads}", number(conn), range(offset, last - offset));
            follows = Some((conn, dir, offset, last - offset));
        }
        let joins = row.at == event.at
            && follows.is_some()
            && row.follows == follows
            && row.cells[lane as usize].is_empty()
            && follows.is_some_and(|(_, dir, ..)| is_next(&row, lane, dir));
        if !joins {
            flush(&mut text, &mut row);
            row.at = event.at;
            row.follows = follows;
        }
        row.cells[lane as usize] = cell;
    }
    flush(&mut text, &mut row);
    text
}

/// How many events at the beginning are reads of one reader that follow each other with nothing between them (at least
/// 1, the first event), and the offset behind the last.
fn reads_on(events: &[&Event]) -> (usize, u64) {
    let mut count = 0;
    let mut reached = None;
    for event in events {
        let What::Read { conn, dir, offset, len } = event.what else { break };
        match reached {
            None => reached = Some((event.at, conn, dir, offset + len)),
            Some(place) if place == (event.at, conn, dir, offset) => {
                reached = Some((event.at, conn, dir, offset + len))
            }
            Some(_) => break,
        }
        count += 1;
    }
    (count.max(1), reached.map_or(0, |(.., end)| end))
}

/// True if `lane` comes right after what the row already holds, in the bytes' direction.
fn is_next(row: &Row, lane: Lane, dir: Direction) -> bool {
    let before = match (dir, lane) {
        (Direction::C2s, Lane::Server) | (Direction::S2c, Lane::Client) => Lane::Wire,
        (Direction::C2s, Lane::Wire) => Lane::Client,
        (Direction::S2c, Lane::Wire) => Lane::Server,
        (Direction::C2s, Lane::Client) | (Direction::S2c, Lane::Server) => return false,
    };
    !row.cells[before as usize].is_empty()
}

fn flush(text: &mut String, row: &mut Row) {
    let row = std::mem::take(row);
    if row.cells.iter().any(|cell| !cell.is_empty()) {
        line(text, &time(row.at), &row.cells);
    }
}

fn line(text: &mut String, time: &str, cells: &[String; 3]) {
    let mut out = format!("{time:>TIME$}");
    for (cell, width) in cells.iter().zip(WIDTHS) {
        let _ = write!(out, " {:<width$}", clip(cell, width));
    }
    text.push_str(out.trim_end());
    text.push('\n');
}

/// Cuts a cell that is too wide, and says so.
fn clip(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return cell.to_owned();
    }
    let mut short: String = cell.chars().take(width - 1).collect();
    short.push('…');
    short
}

/// Virtual time in the unit that keeps it short.
fn time(nanos: u64) -> String {
    let micros = nanos / 1_000;
    match micros {
        0 => "0".to_owned(),
        _ if micros.is_multiple_of(1_000_000) => format!("{}s", micros / 1_000_000),
        _ if micros.is_multiple_of(1_000) => format!("{}ms", micros / 1_000),
        _ => format!("{micros}us"),
    }
}

type Follows = Option<(u16, Direction, u64, u64)>;

/// Which lane an event is shown in, its text, and the bytes it belongs to.
fn cell(what: &What, lane_of: impl Fn(HostId) -> Lane) -> Option<(Lane, String, Follows)> {
    let side = |party: Party| match party {
        Party::Client => Lane::Client,
        Party::Server => Lane::Server,
    };
    Some(match what {
        What::Open { conn, .. } => (Lane::Wire, format!("{}open", number(*conn)), None),
        What::Write { conn, dir, offset, bytes, asked } => {
            let len = bytes.len() as u64;
            let short = if len < *asked { format!(" of {asked}") } else { String::new() };
            let text = format!("{}write {}{short} {}", number(*conn), range(*offset, len), quote(bytes));
            (side(dir.writer()), text, Some((*conn, *dir, *offset, len)))
        }
        What::Deliver { conn, dir, offset, bytes } => {
            let len = bytes.len() as u64;
            let text = format!("{}{}", number(*conn), arrow(*dir, &range(*offset, len)));
            (Lane::Wire, text, Some((*conn, *dir, *offset, len)))
        }
        What::Read { conn, dir, offset, len } => {
            let text = format!("{}read {}", number(*conn), range(*offset, *len));
            (side(dir.reader()), text, Some((*conn, *dir, *offset, *len)))
        }
        What::Fin { conn, dir, offset } => (
            Lane::Wire,
            format!("{}{}", number(*conn), arrow(*dir, &format!("FIN {offset}"))),
            Some((*conn, *dir, *offset, 0)),
        ),
        What::Eof { conn, dir, offset } => {
            (side(dir.reader()), format!("{}read EOF {offset}", number(*conn)), Some((*conn, *dir, *offset, 0)))
        }
        What::Rst { conn, to, offset } => {
            (Lane::Wire, format!("{}{}", number(*conn), arrow(to.reads(), &format!("RST {offset}"))), None)
        }
        What::Error { conn, dir, offset, error, by } => {
            (side(*by), format!("{}{dir}@{offset}: {error}", number(*conn)), None)
        }
        What::Fault(step) => (Lane::Wire, format!("* {step}"), None),
        What::Done { host, how, .. } => (lane_of(*host), how.clone(), None),
        What::Note { host, kind, text } => {
            let lane = host.map_or(Lane::Wire, lane_of);
            (lane, format!("{} {text}", kind.as_str()), None)
        }
        What::Timer | What::Poll { .. } => return None,
    })
}

/// A connection's number, where it is not the only one.
fn number(conn: u16) -> String {
    if conn == 1 { String::new() } else { format!("{conn}:") }
}

fn range(offset: u64, len: u64) -> String {
    format!("{offset}..{}", offset + len)
}

fn arrow(dir: Direction, text: &str) -> String {
    match dir {
        Direction::C2s => format!("{text} -->"),
        Direction::S2c => format!("<-- {text}"),
    }
}

/// The first bytes, quoted.
fn quote(bytes: &[u8]) -> String {
    const SHOWN: usize = 32;
    let cut = if bytes.len() > SHOWN { "…" } else { "" };
    format!("\"{}{cut}\"", escape(&bytes[..bytes.len().min(SHOWN)]))
}
