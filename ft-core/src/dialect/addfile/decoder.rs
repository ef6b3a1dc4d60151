//! What a careful server of lab B understands, as plain state: bytes in, events out, no stream, no time.
//!
//! ```text
//!           a word            \n: line feed reading        \n ends it
//!  Command -------> Worded --------------------------> Name -------> Data --EOF--> Ended
//!     |                \------ anything else: bare -----^   quiet ends it
//!     | no word
//!  Unrecognised --\n, quiet, EOF--> Failed
//! ```
//!
//! The first byte behind the command word tells the client's reading of `send_text`. Join neighbouring
//! [`RequestEvent::Data`] before comparing ([`join_data`]): the state does not depend on segmentation, the pieces do.

use super::super::TextEnd;
use super::super::detect::{foreign_after_quiet, foreign_text, line_ended};
use super::super::error::{Fault, Stage};
use super::super::io::Moment;
use super::super::limits::{QUOTE_MAX, TEXT_MAX};
use super::super::name::{Escaped, LabName};
use super::Command;

/// What the server's decoder found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RequestEvent {
    /// The command word is whole.
    Command(Command),
    /// The name is whole and legal: answer.
    Name(LabName),
    /// Some bytes of what follows the name.
    Data(Vec<u8>),
    /// The peer has ended its direction after the name.
    End,
    /// The peer broke the dialect; the decoder takes nothing more.
    Failed(Fault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reading {
    Bare,
    LineFeed,
    CarriageReturnLineFeed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Command { text: Vec<u8> },
    Unrecognised { text: Vec<u8> },
    Worded { command: Command, carriage_return: bool },
    Name { command: Command, reading: Reading, text: Vec<u8> },
    Data,
    Ended,
    Failed,
}

/// The server's decoder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestDecoder {
    state: State,
    text_end: TextEnd,
    offset: u64,
}

impl Default for RequestDecoder {
    fn default() -> Self {
        Self { state: State::Command { text: Vec::new() }, text_end: TextEnd::Bare, offset: 0 }
    }
}

impl RequestDecoder {
    /// The client's reading of `send_text`, as far as it is known: the answer should have it too.
    #[must_use]
    pub fn text_end(&self) -> TextEnd {
        self.text_end
    }

    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<RequestEvent> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            match &self.state {
                State::Data => {
                    self.offset += rest.len() as u64;
                    events.push(RequestEvent::Data(rest.to_vec()));
                    return events;
                }
                State::Ended | State::Failed => return events,
                State::Command { .. } | State::Unrecognised { .. } | State::Worded { .. } | State::Name { .. } => {
                    rest = after;
                    self.offset += 1;
                    self.text_byte(byte, &mut events);
                }
            }
        }
        events
    }

    /// Takes the end of the stream.
    pub fn eof(&mut self) -> Vec<RequestEvent> {
        let mut events = Vec::new();
        match self.state.clone() {
            State::Command { .. } => self.truncated(Stage::Command, &mut events),
            State::Unrecognised { text } => self.unrecognised(&text, &mut events),
            // A cut name can only fetch the wrong file; with `addfile` and UPLOAD it would create one.
            State::Name { command: Command::Download, reading: Reading::Bare, text } => {
                self.named(&text, &mut events);
                events.extend(self.eof());
            }
            State::Worded { .. } | State::Name { .. } => self.truncated(Stage::Name, &mut events),
            State::Data => {
                self.state = State::Ended;
                events.push(RequestEvent::End);
            }
            State::Ended | State::Failed => {}
        }
        events
    }

    /// Takes a quiet moment, which [`RequestDecoder::listens_for`] asked for.
    pub fn quiet(&mut self) -> Vec<RequestEvent> {
        let mut events = Vec::new();
        if self.listens_for().is_some() {
            match self.state.clone() {
                State::Unrecognised { text } => self.unrecognised(&text, &mut events),
                State::Name { text, .. } => self.named(&text, &mut events),
                State::Command { .. } | State::Worded { .. } | State::Data | State::Ended | State::Failed => {}
            }
        }
        events
    }

    /// The quiet moment that would mean something now: the end of a bare name, or of a line that is no request. The end of
    /// data is not the decoder's to guess.
    #[must_use]
    pub fn listens_for(&self) -> Option<Moment> {
        match &self.state {
            State::Unrecognised { .. } => Some(Moment::TextEnd),
            State::Name { reading: Reading::Bare, .. } => Some(Moment::TextEnd),
            State::Command { .. }
            | State::Worded { .. }
            | State::Name { .. }
            | State::Data
            | State::Ended
            | State::Failed => None,
        }
    }

    fn text_byte(&mut self, byte: u8, events: &mut Vec<RequestEvent>) {
        match &mut self.state {
            State::Command { text } => {
                text.push(byte);
                let words = || Command::ALL.into_iter().map(|command| (command, command.word().as_bytes()));
                if let Some((command, _)) = words().find(|(_, word)| word == text) {
                    self.state = State::Worded { command, carriage_return: false };
                    events.push(RequestEvent::Command(command));
                } else if !words().any(|(_, word)| word.starts_with(text)) {
                    let text = std::mem::take(text);
                    self.unrecognised_grew(text, events);
                }
            }
            State::Unrecognised { text } => {
                text.push(byte);
                let text = std::mem::take(text);
                self.unrecognised_grew(text, events);
            }
            State::Worded { command, carriage_return } => {
                let command = *command;
                match (byte, *carriage_return) {
                    (b'\n', carriage_return) => {
                        self.text_end = TextEnd::Newline;
                        let reading = if carriage_return { Reading::CarriageReturnLineFeed } else { Reading::LineFeed };
                        self.state = State::Name { command, reading, text: Vec::new() };
                    }
                    (b'\r', false) => self.state = State::Worded { command, carriage_return: true },
                    (_, carriage_return) => {
                        let text = if carriage_return { vec![b'\r', byte] } else { vec![byte] };
                        self.state = State::Name { command, reading: Reading::Bare, text };
                    }
                }
            }
            State::Name { reading: Reading::LineFeed, text, .. } if byte == b'\n' => {
                let text = std::mem::take(text);
                self.named(&text, events);
            }
            State::Name { reading: Reading::CarriageReturnLineFeed, text, .. } if byte == b'\n' => {
                if text.last() == Some(&b'\r') {
                    text.pop();
                }
                let text = std::mem::take(text);
                self.named(&text, events);
            }
            State::Name { text, .. } => {
                text.push(byte);
                if text.len() > TEXT_MAX {
                    self.fail(Fault::TooLong { stage: Stage::Name, limit: TEXT_MAX }, events);
                }
            }
            State::Data | State::Ended | State::Failed => unreachable!("these states take no text"),
        }
    }

    fn unrecognised_grew(&mut self, text: Vec<u8>, events: &mut Vec<RequestEvent>) {
        if foreign_text(&text).is_some() || line_ended(&text) || text.len() >= QUOTE_MAX {
            self.unrecognised(&text, events);
        } else {
            self.state = State::Unrecognised { text };
        }
    }

    fn unrecognised(&mut self, text: &[u8], events: &mut Vec<RequestEvent>) {
        let fault = match foreign_after_quiet(text) {
            Some(foreign) => Fault::Foreign(foreign),
            None => Fault::Malformed {
                stage: Stage::Command,
                offset: 0,
                expected: "UPLOAD, DOWNLOAD or addfile",
                came: Escaped::quote(text),
                pitfall: None,
            },
        };
        self.fail(fault, events);
    }

    fn named(&mut self, name: &[u8], events: &mut Vec<RequestEvent>) {
        match LabName::new(name) {
            Ok(name) => {
                self.state = State::Data;
                events.push(RequestEvent::Name(name));
            }
            Err(reason) => self.fail(Fault::Name { name: name.to_vec(), reason }, events),
        }
    }

    fn truncated(&mut self, stage: Stage, events: &mut Vec<RequestEvent>) {
        self.fail(Fault::Truncated { stage, offset: self.offset, missing: None }, events);
    }

    fn fail(&mut self, fault: Fault, events: &mut Vec<RequestEvent>) {
        self.state = State::Failed;
        events.push(RequestEvent::Failed(fault));
    }
}

/// Joins neighbouring pieces of data, so that event lists compare whatever the segmentation.
#[must_use]
pub fn join_data(events: Vec<RequestEvent>) -> Vec<RequestEvent> {
    let mut joined: Vec<RequestEvent> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(RequestEvent::Data(whole)), RequestEvent::Data(more)) => whole.extend(more),
            (_, event) => joined.push(event),
        }
    }
    joined
}
