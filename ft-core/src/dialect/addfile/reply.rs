//! What a careful client of lab B understands: two confirmations, or a status with data behind it.

use super::super::TextEnd;
use super::super::detect::{foreign_answer, line_ended};
use super::super::error::{Fault, Stage};
use super::super::io::Moment;
use super::super::limits::QUOTE_MAX;
use super::super::name::Escaped;
use super::{ACK1, ACK2, NOT_FOUND, OK};

/// One of several words, none the beginning of another: known by its last letter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Answer {
    seen: Vec<u8>,
}

enum Reads {
    More,
    Word(&'static str),
    Wrong(Fault),
}

impl Answer {
    fn push(&mut self, byte: u8, words: &[&'static str], stage: Stage, offset: u64) -> Reads {
        // Some programs end a text that has its line feed with another one.
        if self.seen.is_empty() && matches!(byte, b'\n' | b'\r') {
            return Reads::More;
        }
        self.seen.push(byte);
        if let Some(word) = words.iter().find(|word| word.as_bytes() == self.seen) {
            self.seen.clear();
            return Reads::Word(word);
        }
        let foreign = foreign_answer(&self.seen);
        if self.is_wrong(words) && (foreign.is_some() || line_ended(&self.seen) || self.seen.len() >= QUOTE_MAX) {
            return Reads::Wrong(self.fault(stage, offset));
        }
        Reads::More
    }

    fn is_wrong(&self, words: &[&'static str]) -> bool {
        !words.iter().any(|word| word.as_bytes().starts_with(&self.seen))
    }

    fn fault(&self, stage: Stage, offset: u64) -> Fault {
        match foreign_answer(&self.seen) {
            Some(foreign) => Fault::Foreign(foreign),
            None => Fault::Malformed {
                stage,
                offset: offset - self.seen.len() as u64,
                expected: match stage {
                    Stage::Ack1 => "\"file recv\"",
                    Stage::Ack2 => "\"file data recv\"",
                    Stage::Metadata | Stage::Ack | Stage::Command | Stage::Name | Stage::Status | Stage::Body => {
                        "\"OK\" or \"NOT FOUND\""
                    }
                },
                came: Escaped::quote(&self.seen),
                pitfall: None,
            },
        }
    }

    fn at_eof(&self, words: &[&'static str], stage: Stage, offset: u64) -> Fault {
        if self.is_wrong(words) { self.fault(stage, offset) } else { Fault::Truncated { stage, offset, missing: None } }
    }
}

/// What the confirmations' decoder found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConfirmationEvent {
    /// `file recv`: the name is known, data may come.
    Ack1,
    /// `file data recv`: the server says that it has the data.
    Ack2,
    /// The peer broke the dialect; the decoder takes nothing more.
    Failed(Fault),
}

/// Reads ACK1, then ACK2, however they are cut or merged (`split-ack`, `merged-acks`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConfirmationDecoder {
    answer: Answer,
    stage: ConfirmationStage,
    offset: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum ConfirmationStage {
    #[default]
    Ack1,
    Ack2,
    Over,
}

impl ConfirmationDecoder {
    /// Takes the next bytes of the stream. What follows ACK2 is not looked at.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<ConfirmationEvent> {
        let mut events = Vec::new();
        for &byte in bytes {
            let Some((words, stage)) = self.expects() else {
                break;
            };
            self.offset += 1;
            match self.answer.push(byte, words, stage, self.offset) {
                Reads::More => {}
                Reads::Word(_) if self.stage == ConfirmationStage::Ack1 => {
                    self.stage = ConfirmationStage::Ack2;
                    events.push(ConfirmationEvent::Ack1);
                }
                Reads::Word(_) => {
                    self.stage = ConfirmationStage::Over;
                    events.push(ConfirmationEvent::Ack2);
                }
                Reads::Wrong(fault) => {
                    self.stage = ConfirmationStage::Over;
                    events.push(ConfirmationEvent::Failed(fault));
                }
            }
        }
        events
    }

    /// Takes the end of the stream.
    pub fn eof(&mut self) -> Vec<ConfirmationEvent> {
        let Some((words, stage)) = self.expects() else {
            return Vec::new();
        };
        self.stage = ConfirmationStage::Over;
        vec![ConfirmationEvent::Failed(self.answer.at_eof(words, stage, self.offset))]
    }

    /// Takes a quiet moment, which [`ConfirmationDecoder::listens_for`] asked for.
    pub fn quiet(&mut self) -> Vec<ConfirmationEvent> {
        if self.listens_for().is_some() { self.eof() } else { Vec::new() }
    }

    /// The quiet moment that would mean something now: the end of a wrong answer.
    #[must_use]
    pub fn listens_for(&self) -> Option<Moment> {
        let (words, _) = self.expects()?;
        self.answer.is_wrong(words).then_some(Moment::TextEnd)
    }

    fn expects(&self) -> Option<(&'static [&'static str], Stage)> {
        // The lab's prose calls ACK1 "File name recv", its listing sends "file recv".
        const FIRST: &[&str] = &[ACK1.trim_ascii(), "File name recv"];
        const SECOND: &[&str] = &[ACK2.trim_ascii()];
        match self.stage {
            ConfirmationStage::Ack1 => Some((FIRST, Stage::Ack1)),
            ConfirmationStage::Ack2 => Some((SECOND, Stage::Ack2)),
            ConfirmationStage::Over => None,
        }
    }
}

/// What the status decoder found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StatusEvent {
    /// The request is served.
    Ok,
    /// It is not.
    NotFound,
    /// Some bytes of the file.
    Data(Vec<u8>),
    /// The server has ended its direction after an `OK`.
    End,
    /// The peer broke the dialect; the decoder takes nothing more.
    Failed(Fault),
}

/// Reads a status and the data behind it.
///
/// `OK` is known by its letters, so bare data may follow it in one read (`status-data-merge`). In the line feed reading a
/// line feed behind it belongs to the status, in the bare one to the data: that choice is the client's, since `OK\nabc` is
/// the bare `\nabc` and the terminated `abc`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StatusDecoder {
    answer: Answer,
    stage: StatusStage,
    reading: TextEnd,
    offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum StatusStage {
    Status,
    BehindOk { carriage_return: bool },
    Data,
    Over,
}

impl StatusDecoder {
    /// Expects a status in this reading.
    #[must_use]
    pub fn new(reading: TextEnd) -> Self {
        Self { answer: Answer::default(), stage: StatusStage::Status, reading, offset: 0 }
    }

    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<StatusEvent> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            match self.stage {
                StatusStage::Status => {
                    rest = after;
                    self.offset += 1;
                    self.status_byte(byte, &mut events);
                }
                StatusStage::BehindOk { carriage_return } => match (byte, carriage_return) {
                    (b'\n', _) => {
                        rest = after;
                        self.stage = StatusStage::Data;
                    }
                    (b'\r', false) => {
                        rest = after;
                        self.stage = StatusStage::BehindOk { carriage_return: true };
                    }
                    // A server of the other reading: this is data already.
                    (_, carriage_return) => {
                        self.stage = StatusStage::Data;
                        if carriage_return {
                            events.push(StatusEvent::Data(vec![b'\r']));
                        }
                    }
                },
                StatusStage::Data => {
                    events.push(StatusEvent::Data(rest.to_vec()));
                    return events;
                }
                StatusStage::Over => return events,
            }
        }
        events
    }

    /// Takes the end of the stream.
    pub fn eof(&mut self) -> Vec<StatusEvent> {
        let events = match self.stage {
            StatusStage::Status => {
                vec![StatusEvent::Failed(self.answer.at_eof(Self::WORDS, Stage::Status, self.offset))]
            }
            StatusStage::BehindOk { carriage_return: true } => {
                vec![StatusEvent::Data(vec![b'\r']), StatusEvent::End]
            }
            StatusStage::BehindOk { carriage_return: false } | StatusStage::Data => vec![StatusEvent::End],
            StatusStage::Over => Vec::new(),
        };
        self.stage = StatusStage::Over;
        events
    }

    /// Takes a quiet moment, which [`StatusDecoder::listens_for`] asked for.
    pub fn quiet(&mut self) -> Vec<StatusEvent> {
        if self.listens_for().is_some() { self.eof() } else { Vec::new() }
    }

    /// The quiet moment that would mean something now: the end of a wrong answer.
    #[must_use]
    pub fn listens_for(&self) -> Option<Moment> {
        (self.stage == StatusStage::Status && self.answer.is_wrong(Self::WORDS)).then_some(Moment::TextEnd)
    }

    const WORDS: &'static [&'static str] = &[OK, NOT_FOUND];

    fn status_byte(&mut self, byte: u8, events: &mut Vec<StatusEvent>) {
        match self.answer.push(byte, Self::WORDS, Stage::Status, self.offset) {
            Reads::More => {}
            Reads::Word(OK) => {
                self.stage = match self.reading {
                    TextEnd::Bare => StatusStage::Data,
                    TextEnd::Newline => StatusStage::BehindOk { carriage_return: false },
                };
                events.push(StatusEvent::Ok);
            }
            Reads::Word(_) => {
                self.stage = StatusStage::Over;
                events.push(StatusEvent::NotFound);
            }
            Reads::Wrong(fault) => {
                self.stage = StatusStage::Over;
                events.push(StatusEvent::Failed(fault));
            }
        }
    }
}
