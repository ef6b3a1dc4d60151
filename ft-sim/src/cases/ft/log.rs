//! What one side of an ft/1 session says, as it says it: into the trace, into digests that must not depend on
//! segmentation (SPLIT), and against what may be said when (ORDER).

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use ft_core::event::{Direction, Event};
use ft_core::frame::{Frame, Level, StreamId, Verdict};
use ft_core::storage::Step;

use crate::trace::NoteKind;
use crate::world::{Tracer, World};

/// What one side of a session said, folded: equal sessions have equal facts, however the stream was cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    sent: u64,
    received: u64,
    local: u64,
}

/// What was said, in order, of each stream; in the order of the streams.
#[derive(Default)]
struct Folds(Vec<(StreamId, Fold)>);

/// A running digest of what was said, much cheaper than the standard hasher: half of a search is spent in sessions, and
/// each says some twenty things.
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.write_u64(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.write_u64(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    // Most of what is hashed are small numbers; the trait would make bytes of them first.
    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

impl Folds {
    /// Gives back the digest of all that was said of the stream.
    fn add(&mut self, stream: StreamId, what: &impl Hash) -> u64 {
        let place = match self.0.binary_search_by_key(&stream, |(stream, _)| *stream) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, (stream, Fold::default()));
                place
            }
        };
        what.hash(&mut self.0[place].1);
        self.0[place].1.finish()
    }

    fn finish(&self) -> u64 {
        let mut all = Fold::default();
        for (stream, fold) in &self.0 {
            (stream, fold.finish()).hash(&mut all);
        }
        all.finish()
    }
}

fn stream_of(frame: &Frame) -> StreamId {
    match frame {
        Frame::Hello(_)
        | Frame::Goodbye
        | Frame::Join(_)
        | Frame::Spread(_)
        | Frame::Invite(_)
        | Frame::Want(..)
        | Frame::Done(..)
        | Frame::Entry(..) => 0,
        Frame::Offer(stream, _)
        | Frame::Error(stream, _)
        | Frame::Ack1(stream, ..)
        | Frame::Data { stream, .. }
        | Frame::Zdata { stream, .. }
        | Frame::Hole { stream, .. }
        | Frame::End(stream, ..)
        | Frame::Ack2(stream, _)
        | Frame::Alive(stream, _) => *stream,
    }
}

/// Hears one side's events.
pub(super) struct Log {
    pub(super) tracer: Tracer,
    /// One for each stream, because the order among streams is free (PROTOCOL §7.5); 0 is the session.
    sent: Folds,
    received: Folds,
    local: Folds,
    agreed: Vec<StreamId>,
    landed: Vec<StreamId>,
    /// The first thing that was done too early.
    pub(super) early: Option<&'static str>,
}

impl Log {
    pub(super) fn new(world: &World) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            tracer: world.tracer(),
            sent: Folds::default(),
            received: Folds::default(),
            local: Folds::default(),
            agreed: Vec::new(),
            landed: Vec::new(),
            early: None,
        }))
    }

    /// Forgets what it heard, and keeps the memory.
    pub(super) fn reset(&mut self, world: &World) {
        self.tracer = world.tracer();
        for folds in [&mut self.sent, &mut self.received, &mut self.local] {
            folds.0.clear();
        }
        self.agreed.clear();
        self.landed.clear();
        self.early = None;
    }

    pub(super) fn facts(&self) -> Facts {
        Facts { sent: self.sent.finish(), received: self.received.finish(), local: self.local.finish() }
    }

    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            // How often a pulse comes is the clock's affair.
            Event::Frame(direction, frame @ Frame::Alive(..)) => {
                if *direction == Direction::Sent {
                    self.sent_frame(frame, 0);
                }
            }
            Event::Frame(Direction::Sent, frame) => {
                let digest = self.sent.add(stream_of(frame), frame);
                self.sent_frame(frame, digest);
            }
            Event::Frame(Direction::Received, frame) => {
                self.received.add(stream_of(frame), frame);
                if let Frame::Ack1(stream, ..) = frame {
                    self.agreed.push(*stream);
                }
            }
            Event::Landing(stream, step) => {
                let digest = self.local.add(*stream, event);
                if *step == Step::DirSynced {
                    self.landed.push(*stream);
                }
                let text = format_args!("#{stream} {}", landing_word(*step));
                self.tracer.fact(NoteKind::Fs, [digest, 0, 0], b"", text);
            }
            // How content was cut into pieces is the stream's affair.
            Event::Progress(..) => {}
            Event::Offered(stream, _)
            | Event::Started(stream, ..)
            | Event::Same(stream)
            | Event::Verified(stream)
            | Event::Stored(stream, _)
            | Event::Failed(stream, _)
            | Event::Unknown(stream) => {
                self.local.add(*stream, event);
            }
            Event::Listed(_) | Event::WantDone(..) | Event::Closed(_) => {
                self.local.add(0, event);
            }
        }
    }

    /// `digest` stands for the frame in the run's identity.
    fn sent_frame(&mut self, frame: &Frame, digest: u64) {
        let note = |kind, text: std::fmt::Arguments<'_>| self.tracer.fact(kind, [digest, 0, 0], b"", text);
        match frame {
            Frame::Hello(_) => note(NoteKind::Frame, format_args!("HELLO")),
            Frame::Error(stream, error) => {
                note(NoteKind::Frame, format_args!("ERROR #{stream} {}", error.code.name()));
            }
            Frame::Goodbye | Frame::Join(_) | Frame::Spread(_) | Frame::Invite(_) => {
                note(NoteKind::Frame, format_args!("{}", frame.name()));
            }
            Frame::Want(_, want) => note(NoteKind::Frame, format_args!("WANT {}", want.path)),
            Frame::Done(_, n, _) => note(NoteKind::Frame, format_args!("DONE {n}")),
            Frame::Entry(_, meta) => note(NoteKind::Frame, format_args!("ENTRY {}", meta.path)),
            Frame::Offer(stream, offer) => {
                let size = offer.meta.size.unwrap_or_default();
                note(NoteKind::Frame, format_args!("OFFER #{stream} {} {size}", offer.meta.path));
            }
            Frame::Ack1(stream, len, verdict) => {
                let word = match verdict {
                    Verdict::Send => "send",
                    Verdict::Resume(_) => "resume",
                    Verdict::SameMeta => "same-meta",
                    Verdict::SameContent(_) => "same-content",
                    Verdict::Refused(error) => error.code.name(),
                };
                match len {
                    0 => note(NoteKind::Ack, format_args!("ACK1 #{stream} {word}")),
                    _ => note(NoteKind::Ack, format_args!("ACK1 #{stream} {word} {len}")),
                }
            }
            Frame::Data { stream, offset, len } => {
                let end = offset + u64::from(*len);
                note(NoteKind::Frame, format_args!("DATA #{stream} {offset}..{end}"));
                self.check_agreed(*stream);
            }
            Frame::Zdata { stream, offset, len, packed } => {
                let end = offset + u64::from(*len);
                note(NoteKind::Frame, format_args!("ZDATA #{stream} {offset}..{end} in {packed}"));
                self.check_agreed(*stream);
            }
            Frame::Hole { stream, offset, len } => {
                note(NoteKind::Frame, format_args!("HOLE #{stream} {offset}..{}", offset + len));
                self.check_agreed(*stream);
            }
            Frame::End(stream, size, _) => note(NoteKind::Frame, format_args!("END #{stream} {size}")),
            Frame::Ack2(stream, ack) => {
                note(NoteKind::Ack, format_args!("ACK2 #{stream} {}", ack.path));
                if ack.level == Level::Durable && !self.landed.contains(stream) {
                    self.early.get_or_insert("ACK2 before the folder was synced");
                }
            }
            Frame::Alive(..) => note(NoteKind::Frame, format_args!("ALIVE")),
        }
    }

    fn check_agreed(&mut self, stream: StreamId) {
        if !self.agreed.contains(&stream) {
            self.early.get_or_insert("content before ACK1");
        }
    }
}

fn landing_word(step: Step) -> &'static str {
    match step {
        Step::Synced => "file synced",
        Step::Renamed => "renamed",
        Step::DirSynced => "folder synced",
    }
}
