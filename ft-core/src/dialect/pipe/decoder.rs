//! What the careful side of lab A understands, as plain state: bytes in, events out, no stream, no time.
//!
//! ```text
//!             `|digits` and \n, or quiet        size bytes
//!  Metadata ------------------------------> Body ---------> Trailing --EOF, quiet--> Done
//!     |                                      | EOF             | a byte
//!     +---------- anything else ------> Failed <---------------+
//! ```
//!
//! The state after some bytes does not depend on how they were cut (SPLIT): metadata is taken byte by byte, the body is only
//! counted. Join neighbouring [`PipeEvent::Body`] before comparing ([`join_bodies`]).

use super::super::detect::{foreign_after_quiet, foreign_answer, foreign_text, line_ended};
use super::super::error::{Fault, Stage};
use super::super::io::Moment;
use super::super::limits::{SIZE_DIGITS_MAX, SIZE_MAX, TEXT_MAX};
use super::super::name::{Escaped, LabName};
use super::super::pitfall::Pitfall;
use super::{ACK, Metadata};

/// Bytes that most metadata fit into.
const USUAL_TEXT: usize = 32;

/// What the receiver's decoder found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PipeEvent {
    /// The metadata is over and legal: send the ACK.
    Metadata(Metadata),
    /// Some bytes of the body.
    Body(Vec<u8>),
    /// The stated size has come; whether more follows is not known yet.
    Whole,
    /// Nothing more follows: store it.
    Done,
    /// The peer broke the dialect; the decoder takes nothing more.
    Failed(Fault),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Metadata { text: Vec<u8> },
    Body { size: u64, left: u64 },
    Trailing { size: u64 },
    Done,
    Failed,
}

/// The receiver's decoder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PipeDecoder {
    state: State,
    size_max: u64,
    offset: u64,
}

impl Default for PipeDecoder {
    fn default() -> Self {
        Self::new(SIZE_MAX)
    }
}

impl PipeDecoder {
    /// Expects metadata that states at most `size_max` bytes.
    #[must_use]
    pub fn new(size_max: u64) -> Self {
        Self { state: State::Metadata { text: Vec::with_capacity(USUAL_TEXT) }, size_max, offset: 0 }
    }

    /// Takes the next bytes of the stream, and adds what it found to `events`.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<PipeEvent>) {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            match &mut self.state {
                State::Metadata { text } => {
                    rest = &rest[1..];
                    self.offset += 1;
                    text.push(first);
                    self.metadata_grew(events);
                }
                State::Body { size, left } => {
                    let fits = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    let (body, after) = rest.split_at(fits);
                    rest = after;
                    self.offset += fits as u64;
                    *left -= fits as u64;
                    let (size, left) = (*size, *left);
                    events.push(PipeEvent::Body(body.to_vec()));
                    if left == 0 {
                        self.state = State::Trailing { size };
                        events.push(PipeEvent::Whole);
                    }
                }
                State::Trailing { size } => {
                    // Digits that came after a quiet moment end up here: the body is longer than the size that was read.
                    let stated = *size;
                    events.push(self.fail(Fault::Excess { stated }));
                }
                State::Done | State::Failed => break,
            }
        }
    }

    /// Takes the end of the stream.
    pub fn eof(&mut self) -> Option<PipeEvent> {
        match &self.state {
            // Even after `name|10`: the digits may have been cut, and a sender that waits for its ACK does not leave.
            State::Metadata { text } => {
                let truncated = Fault::Truncated { stage: Stage::Metadata, offset: self.offset, missing: None };
                let fault = match foreign_after_quiet(text) {
                    Some(foreign) => Fault::Foreign(foreign),
                    None => wrong_size(text).unwrap_or(truncated),
                };
                Some(self.fail(fault))
            }
            State::Body { left, .. } => {
                let fault = Fault::Truncated { stage: Stage::Body, offset: self.offset, missing: Some(*left) };
                Some(self.fail(fault))
            }
            State::Trailing { .. } => Some(self.done()),
            State::Done | State::Failed => None,
        }
    }

    /// Takes a quiet moment, which [`PipeDecoder::listens_for`] asked for, and adds what it meant to `events`.
    pub fn quiet(&mut self, events: &mut Vec<PipeEvent>) {
        match &self.state {
            State::Metadata { text } => {
                if let Some((name, digits)) = split_metadata(text) {
                    let metadata = read_metadata(name, digits, self.size_max);
                    self.metadata_ended(metadata, events);
                }
            }
            State::Trailing { .. } => events.push(self.done()),
            State::Body { .. } | State::Done | State::Failed => {}
        }
    }

    /// The quiet moment that would mean something now. Metadata may end wherever it reads `name|digits`; before that, and
    /// inside the body, only bytes and EOF count.
    #[must_use]
    pub fn listens_for(&self) -> Option<Moment> {
        match &self.state {
            State::Metadata { text } if split_metadata(text).is_some() => Some(Moment::TextEnd),
            State::Trailing { .. } => Some(Moment::Close),
            State::Metadata { .. } | State::Body { .. } | State::Done | State::Failed => None,
        }
    }

    fn metadata_grew(&mut self, events: &mut Vec<PipeEvent>) {
        let State::Metadata { text } = &self.state else {
            return;
        };
        if let Some(line) = text.strip_suffix(b"\n") {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some((name, digits)) = split_metadata(line) {
                let metadata = read_metadata(name, digits, self.size_max);
                return self.metadata_ended(metadata, events);
            }
        }
        if let Some(foreign) = foreign_text(text) {
            return events.push(self.fail(Fault::Foreign(foreign)));
        }
        if text.len() > TEXT_MAX {
            events.push(self.fail(Fault::TooLong { stage: Stage::Metadata, limit: TEXT_MAX }));
        }
    }

    fn metadata_ended(&mut self, metadata: Result<Metadata, Fault>, events: &mut Vec<PipeEvent>) {
        match metadata {
            Ok(metadata) => {
                let size = metadata.size;
                events.push(PipeEvent::Metadata(metadata));
                if size == 0 {
                    self.state = State::Trailing { size };
                    events.push(PipeEvent::Whole);
                } else {
                    self.state = State::Body { size, left: size };
                }
            }
            Err(fault) => events.push(self.fail(fault)),
        }
    }

    fn done(&mut self) -> PipeEvent {
        self.state = State::Done;
        PipeEvent::Done
    }

    fn fail(&mut self, fault: Fault) -> PipeEvent {
        self.state = State::Failed;
        PipeEvent::Failed(fault)
    }
}

/// Splits at the *last* `|`, if only digits follow it: so a `|` in the name is no harm (`delimiter-in-name`).
pub(crate) fn split_metadata(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|&byte| byte == b'|')?;
    let (name, digits) = (&text[..at], &text[at + 1..]);
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some((name, digits))
}

/// What is wrong with a text that its sender took for whole, although its last `|` has something else than digits behind it.
fn wrong_size(text: &[u8]) -> Option<Fault> {
    let at = text.iter().rposition(|&byte| byte == b'|')?;
    // A CR at the end may have been cut off from its LF.
    let size = text[at + 1..].strip_suffix(b"\r").unwrap_or(&text[at + 1..]);
    let wrong = size.iter().position(|byte| !byte.is_ascii_digit())?;
    // Behind digits that is most often the body of a sender that did not await the ACK.
    let merged = wrong > 0;
    Some(Fault::Malformed {
        stage: Stage::Metadata,
        offset: 0,
        expected: "name|size",
        came: Escaped::quote(text),
        pitfall: merged.then_some(Pitfall::HeaderBodyMerge),
    })
}

fn read_metadata(name: &[u8], digits: &[u8], size_max: u64) -> Result<Metadata, Fault> {
    let too_large = || Fault::SizeTooLarge { stated: Escaped::quote(digits), limit: size_max };
    if digits.len() > SIZE_DIGITS_MAX {
        return Err(too_large());
    }
    let size = digits
        .iter()
        .try_fold(0u64, |size, digit| size.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .filter(|&size| size <= size_max)
        .ok_or_else(too_large)?;
    let name = LabName::new(name).map_err(|reason| Fault::Name { name: name.to_vec(), reason })?;
    Ok(Metadata { name, size })
}

/// Joins neighbouring pieces of the body, so that event lists compare whatever the segmentation.
#[must_use]
pub fn join_bodies(events: Vec<PipeEvent>) -> Vec<PipeEvent> {
    let mut joined: Vec<PipeEvent> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(PipeEvent::Body(whole)), PipeEvent::Body(more)) => whole.extend(more),
            (_, event) => joined.push(event),
        }
    }
    joined
}

/// What the sender's decoder found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AckEvent {
    /// All three bytes have come.
    Acked,
    /// The peer broke the dialect; the decoder takes nothing more.
    Failed(Fault),
}

/// The sender's decoder: exactly `ACK`, however it is cut (`split-ack`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AckDecoder {
    seen: Vec<u8>,
    over: bool,
}

impl AckDecoder {
    /// Takes the next bytes of the stream. After the ACK nothing is asked of them: a line feed may follow it.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<AckEvent> {
        for &byte in bytes {
            if self.over {
                break;
            }
            self.seen.push(byte);
            if self.seen == ACK {
                self.over = true;
                return Some(AckEvent::Acked);
            }
            if self.is_right() {
                continue;
            }
            if let Some(foreign) = foreign_answer(&self.seen) {
                return self.fail(Fault::Foreign(foreign));
            }
            // A wrong answer is read to the end of its line, so that it can be named and quoted.
            if line_ended(&self.seen) || self.seen.len() >= TEXT_MAX {
                return self.quiet();
            }
        }
        None
    }

    /// Takes the end of the stream.
    pub fn eof(&mut self) -> Option<AckEvent> {
        if self.over {
            return None;
        }
        if self.is_right() {
            let offset = self.seen.len() as u64;
            return self.fail(Fault::Truncated { stage: Stage::Ack, offset, missing: None });
        }
        self.quiet()
    }

    /// Takes a quiet moment, which [`AckDecoder::listens_for`] asked for.
    pub fn quiet(&mut self) -> Option<AckEvent> {
        self.listens_for()?;
        let came = Escaped::quote(&self.seen);
        self.fail(Fault::Malformed { stage: Stage::Ack, offset: 0, expected: "\"ACK\"", came, pitfall: None })
    }

    /// The quiet moment that would mean something now: the end of a wrong answer. A half ACK is waited for.
    #[must_use]
    pub fn listens_for(&self) -> Option<Moment> {
        (!self.over && !self.is_right()).then_some(Moment::TextEnd)
    }

    /// What came so far is the beginning of an ACK, or all of it.
    fn is_right(&self) -> bool {
        self.seen.len() <= ACK.len() && self.seen.iter().zip(ACK).all(|(came, expected)| came == expected)
    }

    fn fail(&mut self, fault: Fault) -> Option<AckEvent> {
        self.over = true;
        Some(AckEvent::Failed(fault))
    }
}
