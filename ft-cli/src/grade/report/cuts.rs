//! Where along the bytes a program was cut, and what came of it: the places of all schedules, on the streams of the plain
//! transfer.

use std::collections::BTreeMap;

use ft_sim::Direction;
use ft_sim::trace::{Event, What};
use serde::Serialize;

use super::told::{Mark, Told};
use crate::pages::data::hex;

/// Bytes that are shown to each side of a cut.
const AROUND: usize = 8;

/// Bytes that are shown at the beginning of a stream, where headers are.
const FIRST: usize = 24;

/// A stretch that is not shown is longer than this; its words would take as much room.
const GAP: usize = 16;

/// All places, and the streams on which they lie.
#[derive(Debug, Serialize)]
pub(super) struct Cuts {
    pub(super) strips: Vec<Strip>,
    pub(super) places: Vec<Place>,
    /// Pitfalls that were looked for without a step at any byte: odd input, silence, a restart.
    pub(super) without: Vec<&'static str>,
}

/// One direction of the plain transfer.
#[derive(Debug, Serialize)]
pub(super) struct Strip {
    pub(super) dir: String,
    pub(super) len: usize,
    pub(super) pieces: Vec<Piece>,
}

/// What stands on a strip, from left to right.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "k", rename_all = "lowercase")]
pub(super) enum Piece {
    /// Bytes, hexadecimal.
    Bytes { hex: String },
    /// So many bytes that are not shown.
    Gap { n: usize },
    /// Number of a place, from 1.
    Cut { n: usize, mark: &'static str },
}

/// A place at which something happened in some run.
#[derive(Debug, Serialize)]
pub(super) struct Place {
    pub(super) dir: String,
    pub(super) at: u64,
    /// Nothing if it is on its strip, else why not.
    pub(super) off: Option<&'static str>,
    /// The worst of its checks.
    pub(super) mark: &'static str,
    pub(super) checks: Vec<At>,
}

/// A check that did something at a place.
#[derive(Debug, Serialize)]
pub(super) struct At {
    pub(super) id: String,
    pub(super) pitfall: &'static str,
    pub(super) step: String,
    pub(super) mark: &'static str,
}

/// What was written in one direction of the first connection.
fn written(events: &[Event], wanted: Direction) -> Vec<u8> {
    let mut all = Vec::new();
    for event in events {
        if let What::Write { conn: 1, dir, bytes, .. } = &event.what
            && *dir == wanted
        {
            all.extend_from_slice(bytes);
        }
    }
    all
}

/// Direction, offset, and why it is on no strip.
type Where = (Direction, u64, Option<&'static str>);

/// What is worst comes last.
fn weight(mark: Mark) -> u8 {
    match mark {
        Mark::NotApplicable => 0,
        Mark::Passed => 1,
        Mark::Protocol => 2,
        Mark::Inconclusive => 3,
        Mark::Failed => 4,
    }
}

/// The map of one program: `events` is its plain transfer.
pub(super) fn cuts(events: &[Event], findings: &[Told<'_>]) -> Cuts {
    let streams = Direction::BOTH.map(|dir| (dir, written(events, dir)));
    let tried = || findings.iter().filter(|finding| finding.mark != Mark::NotApplicable);
    let mut found: BTreeMap<Where, Vec<(Mark, At)>> = BTreeMap::new();
    for told in tried() {
        let finding = told.finding;
        for step in finding.schedule.steps() {
            let stream = streams.iter().find(|(dir, _)| *dir == step.dir).map_or(&[][..], |(_, bytes)| bytes);
            let own = written(&finding.events, step.dir);
            let off = off(stream, &own, step.conn, step.at);
            let at =
                At { id: finding.id(), pitfall: finding.pitfall.id(), step: step.to_string(), mark: told.mark.id() };
            found.entry((step.dir, step.at, off)).or_default().push((told.mark, at));
        }
    }
    let places: Vec<Place> = found
        .into_iter()
        .map(|((dir, at, off), checks)| {
            let worst = checks.iter().map(|(mark, _)| *mark).max_by_key(|mark| weight(*mark));
            let mark = worst.unwrap_or(Mark::Passed).id();
            Place { dir: dir.to_string(), at, off, mark, checks: checks.into_iter().map(|(_, at)| at).collect() }
        })
        .collect();
    let strips = streams.iter().map(|(dir, bytes)| strip(*dir, bytes, &places)).collect();
    let without = tried().filter(|told| told.finding.schedule.steps().is_empty());
    Cuts { strips, without: without.map(|told| told.finding.pitfall.id()).collect(), places }
}

/// Why a place of a run is none of the plain transfer's.
fn off(stream: &[u8], own: &[u8], conn: u16, at: u64) -> Option<&'static str> {
    let Ok(at) = usize::try_from(at) else { return Some("beyond its end") };
    let common = at.min(own.len()).min(stream.len());
    if conn != 1 {
        Some("another connection")
    } else if own[..common] != stream[..common] {
        Some("another file")
    } else if at > stream.len() {
        Some("beyond its end")
    } else {
        None
    }
}

fn strip(dir: Direction, bytes: &[u8], places: &[Place]) -> Strip {
    let dir = dir.to_string();
    let here: BTreeMap<usize, (usize, &'static str)> = places
        .iter()
        .enumerate()
        .filter(|(_, place)| place.dir == dir && place.off.is_none())
        .filter_map(|(i, place)| Some((usize::try_from(place.at).ok()?, (i + 1, place.mark))))
        .collect();
    let is_near = |at: usize| at < FIRST || here.range((at + 1).saturating_sub(AROUND)..=at + AROUND).next().is_some();
    let mut pieces = Vec::new();
    let mut at = 0;
    while at <= bytes.len() {
        if let Some((n, mark)) = here.get(&at) {
            pieces.push(Piece::Cut { n: *n, mark });
        }
        if at == bytes.len() {
            break;
        }
        let next = here.range(at + 1..).next().map_or(bytes.len(), |(at, _)| *at);
        let end = (at..next).find(|to| !is_near(*to)).unwrap_or(next);
        let far = (end..next).find(|to| is_near(*to)).unwrap_or(next);
        // A short stretch takes less room than the words about it.
        let end = if far - end <= GAP { next.min(far.max(end)) } else { end };
        if end > at {
            pieces.push(Piece::Bytes { hex: hex(&bytes[at..end]) });
        }
        if far > end {
            pieces.push(Piece::Gap { n: far - end });
        }
        at = far.max(end);
    }
    Strip { dir, len: bytes.len(), pieces }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(at: u64) -> Place {
        Place { dir: "c2s".into(), at, off: None, mark: "failed", checks: Vec::new() }
    }

    fn drawn(len: u8, places: &[u64]) -> String {
        let bytes: Vec<u8> = (0..len).collect();
        let places: Vec<Place> = places.iter().map(|at| place(*at)).collect();
        let pieces = strip(Direction::C2s, &bytes, &places).pieces.into_iter().map(|piece| match piece {
            Piece::Bytes { hex } => (hex.len() / 2).to_string(),
            Piece::Gap { n } => format!("({n})"),
            Piece::Cut { n, .. } => format!("/{n}"),
        });
        pieces.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn strip_shows_bytes_around_cuts_and_counts_the_others() {
        assert_eq!(drawn(3, &[1]), "1 /1 2");
        assert_eq!(drawn(100, &[]), "24 (76)");
        assert_eq!(drawn(100, &[4, 60, 100]), "4 /1 20 (28) 8 /2 8 (24) 8 /3");
        assert_eq!(drawn(30, &[0]), "/1 30");
        assert_eq!(drawn(0, &[0]), "/1");
    }

    #[test]
    fn strip_of_any_length_and_any_cuts_counts_every_byte_once() {
        for len in 0..=120 {
            for cuts in [vec![], vec![0], vec![len / 2], vec![1, len / 3, len], vec![len]] {
                let mut cuts: Vec<u64> = cuts.into_iter().map(|at: u8| u64::from(at.min(len))).collect();
                cuts.dedup();
                let drawn = drawn(len, &cuts);
                let numbers = drawn.split(' ').filter(|piece| !piece.starts_with('/') && !piece.is_empty());
                let sum: u64 = numbers.map(|n| n.trim_matches(['(', ')']).parse::<u64>().expect("a number")).sum();
                assert_eq!(sum, u64::from(len), "{cuts:?}: {drawn}");
            }
        }
    }

    #[test]
    fn place_of_another_file_is_not_on_the_strip() {
        let stream = b"data.txt|1300";
        assert_eq!(off(stream, b"data.txt|1300", 1, 9), None);
        assert_eq!(off(stream, b"data.txt|12582912", 1, 10), None, "the same so far");
        assert_eq!(off(stream, b"data.txt|12582912", 1, 14), Some("another file"));
        assert_eq!(off(stream, b"", 1, 14), Some("beyond its end"));
        assert_eq!(off(stream, b"data", 1, 9), None, "what was not written is not different");
        assert_eq!(off(stream, b"data.txt|1300", 2, 4), Some("another connection"));
    }
}
