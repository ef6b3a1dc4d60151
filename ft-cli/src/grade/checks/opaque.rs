//! Two programs and a protocol that nobody told us: what is tried comes from what one plain transfer looked like.
//!
//! The control run keeps the boundaries that the programs made, so that each piece that was seen is a message, or a part of
//! the content. Every place in a message is then cut, every two messages in a row are merged, and the connection is ended
//! inside the content. The pitfall's name is what such a place is called; whose fault it is, nobody can tell from outside.

use ft_core::dialect::Pitfall;
use ft_sim::schedule::{Direction, Fault, Step};
use ft_sim::trace::{Event, What};

use super::super::plan::{Check, Input, Plan, Special, Wants, content, late, together};
use super::super::verdict::Role;
use super::{Checks, LARGE, OLD, run};

/// Boundaries of a plain transfer that every run keeps: those of its messages, not each of a long content's.
const BOUNDARIES: usize = 8;

/// As long as the usual name, so that every offset stays where it was; with a character of two bytes.
const FOREIGN: &str = "d\u{e4}t.txt";

/// One piece that a program wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Piece {
    dir: Direction,
    at: usize,
    bytes: Vec<u8>,
    /// Nothing of the other direction came between it and the piece before it in its own.
    follows: bool,
}

impl Piece {
    fn end(&self) -> usize {
        self.at + self.bytes.len()
    }

    /// A part of the file, and no message.
    fn is_content(&self, content: &[u8]) -> bool {
        self.bytes.len() >= 8 && content.windows(self.bytes.len()).any(|part| part == self.bytes)
    }
}

/// The pieces of a recording, in order.
pub(in super::super) fn pieces(events: &[Event]) -> Vec<Piece> {
    let mut all: Vec<Piece> = Vec::new();
    for event in events {
        if let What::Write { dir, offset, bytes, .. } = &event.what {
            let follows = all.last().is_some_and(|last| last.dir == *dir);
            all.push(Piece {
                dir: *dir,
                at: usize::try_from(*offset).unwrap_or(usize::MAX),
                bytes: bytes.clone(),
                follows,
            });
        }
    }
    all
}

/// What the two are known to do with a file.
#[derive(Clone, Debug)]
pub(in super::super) struct Seen {
    pub(in super::super) input: Input,
    pub(in super::super) pieces: Vec<Piece>,
}

fn split(dir: Direction, at: usize) -> Step {
    Step::new(dir, at as u64, Fault::Split)
}

/// A place in the middle of something that must not be taken for whole.
fn is_inside(bytes: &[u8], at: usize, of: fn(u8) -> bool) -> bool {
    at > 0 && at < bytes.len() && of(bytes[at - 1]) && of(bytes[at])
}

impl Seen {
    /// The plain transfer: what was apart stays apart.
    fn plain(&self) -> Plan {
        run(self.input.clone(), Vec::new()).under(&self.boundaries())
    }

    /// Where one side wrote twice in a row: whether a reader finds that in one piece or two is luck, unless it is said.
    fn boundaries(&self) -> Vec<Step> {
        let of = |dir| {
            let pieces = self.pieces.iter().filter(move |piece| piece.dir == dir && piece.follows && piece.at > 0);
            pieces.take(BOUNDARIES).map(move |piece| split(dir, piece.at))
        };
        of(Direction::C2s).chain(of(Direction::S2c)).collect()
    }

    /// Splits inside the messages of a direction that are no content, at most so many.
    fn message_splits(&self, dir: Direction, wanted: impl Fn(&[u8], usize) -> bool) -> Vec<Plan> {
        let messages = self.pieces.iter().filter(|piece| piece.dir == dir && !piece.is_content(&self.input.content));
        let places = messages.flat_map(|piece| {
            let wanted = &wanted;
            (1..piece.bytes.len()).filter(move |at| wanted(&piece.bytes, *at)).map(move |at| piece.at + at)
        });
        spread(places.collect(), 4).into_iter().map(|at| self.plain().under(&[split(dir, at)])).collect()
    }

    /// Two pieces in a row of one direction, as one.
    fn merges(&self, dir: Direction, into_content: bool) -> Vec<Plan> {
        let of: Vec<&Piece> = self.pieces.iter().filter(|piece| piece.dir == dir).collect();
        let pairs = of.windows(2).filter(|pair| !pair[0].is_content(&self.input.content));
        let pairs = pairs.filter(|pair| pair[1].is_content(&self.input.content) == into_content);
        let merged = |pair: &[&Piece]| {
            let (from, to) = (pair[0].at, pair[1].end());
            let mut steps = self.boundaries();
            steps.retain(|step| step.dir != dir || !(from as u64 + 1..to as u64).contains(&step.at));
            run(self.input.clone(), Vec::new()).under(&steps).under(&[Step::new(dir, from as u64, together(to))])
        };
        pairs.map(merged).take(4).collect()
    }

    /// Where the content begins and ends in its direction.
    fn body(&self) -> Option<(Direction, usize, usize)> {
        let mut parts = self.pieces.iter().filter(|piece| piece.is_content(&self.input.content));
        let first = parts.next()?;
        let last = parts.next_back().unwrap_or(first);
        Some((first.dir, first.at, last.end()))
    }
}

/// At most so many of them, the first and the last among them.
fn spread(places: Vec<usize>, most: usize) -> Vec<usize> {
    if places.len() <= most {
        return places;
    }
    (0..most).map(|n| places[n * (places.len() - 1) / (most - 1)]).collect()
}

/// Everything of interest.
pub(in super::super) fn checks(seen: &Seen) -> Checks {
    let check = |pitfall, expected| Check::new(Role::Pair, pitfall, None, expected);
    let plain = || seen.plain();
    let digits = |bytes: &[u8], at: usize| is_inside(bytes, at, |byte| byte.is_ascii_digit());
    let foreign = |bytes: &[u8], at: usize| at < bytes.len() && bytes[at] & 0xc0 == 0x80;
    let (c2s, s2c) = (Direction::C2s, Direction::S2c);
    let down = if seen.input.down { s2c } else { c2s };
    let mut all = vec![
        check(Pitfall::SplitHeader, "reads on until a message is whole")
            .plans(seen.message_splits(c2s, |bytes, at| !digits(bytes, at) && !foreign(bytes, at))),
        check(Pitfall::SplitDigits, "takes no number for whole before it is sure of it")
            .plans(seen.message_splits(down, digits)),
        check(Pitfall::CoalescedMessages, "takes its message, and keeps the rest for what comes next")
            .plans(seen.merges(c2s, false)),
        check(Pitfall::SplitAck, "reads on until an answer is whole").plans(seen.message_splits(s2c, |_, _| true)),
        check(Pitfall::MergedAcks, "tells answers apart, however they come").plans(seen.merges(s2c, false)),
        if seen.input.down {
            check(Pitfall::StatusDataMerge, "keeps the content that came behind a status").plans(seen.merges(s2c, true))
        } else {
            check(Pitfall::HeaderBodyMerge, "keeps the content that came behind a header").plans(seen.merges(c2s, true))
        },
    ];
    if let Some((dir, from, to)) = seen.body() {
        let middle = from.midpoint(to);
        let cut = |at: usize, fault| plain().under(&[Step::new(dir, at as u64, fault)]);
        all.extend([
            check(Pitfall::RecvIsNotMessage, "reads to the end of the content")
                .plans([from + 1, middle, to - 1].map(|at| cut(at, Fault::Split))),
            check(Pitfall::EofIsSuccess, "claims no success for a part of the file")
                .plans([Fault::Fin, Fault::Rst].map(|fault| cut(middle, fault).wants(Wants::Honest))),
            check(Pitfall::TruncateFirst, "keeps the old file until the new one is whole").plans([cut(
                from,
                Fault::Rst,
            )
            .over(OLD)
            .wants(Wants::KeptOld)]),
            check(Pitfall::NoFinalAck, "claims success when the file has arrived")
                .plans([cut(to, Fault::Rst).wants(Wants::Honest)]),
            check(Pitfall::ShortSend, "sends what a short write left")
                .before(large(seen, dir, from))
                .plans([large(seen, dir, from).with(Special::Interrupted)]),
        ]);
    }
    let input = |name: &str, content: Vec<u8>| {
        let stored = seen.input.stored.replace(&seen.input.name, name);
        let input = Input { name: name.into(), content, stored, old: None, down: seen.input.down };
        run(input, Vec::new()).under(&seen.boundaries())
    };
    all.extend([
        check(Pitfall::Utf8Split, "takes names with characters of several bytes")
            .plans([input(FOREIGN, seen.input.content.clone())]),
        check(Pitfall::ZeroBytePayload, "transfers an empty file, too").plans([input("null.txt", Vec::new())]),
        check(Pitfall::NoTimeout, "waits for no silent peer for ever").plans([
            plain().under(&[Step::new(s2c, 0, Fault::Stall)]).wants(Wants::Ends),
            plain().with(Special::Meanwhile).wants(Wants::NextServed),
        ]),
        check(Pitfall::EmptyConnection, "serves the next client after one that said nothing")
            .plans([plain().wants(Wants::NextServed)]),
        check(Pitfall::TimeWait, "can be started again at once")
            .plans([plain().with(Special::Restart).wants(Wants::Restarted)]),
    ]);
    for check in &mut all {
        if check.plans.is_empty() {
            check.nothing = Some("in the plain transfer there is no such place");
        }
    }
    all
}

/// More than kernels hold, and a pause in which it piles up.
fn large(seen: &Seen, dir: Direction, from: usize) -> Plan {
    let input = Input { content: content(LARGE), ..seen.input.clone() };
    // The header may be longer by the digits of a size; what matters is that the path is shut for a while.
    run(input, Vec::new()).under(&seen.boundaries()).under(&[Step::new(dir, from as u64, late(500))])
}
