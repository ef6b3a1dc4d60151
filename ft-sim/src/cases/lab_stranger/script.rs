//! A stranger as a script, with what must come of it.

use std::collections::BTreeMap;
use std::time::Duration;

use ft_core::dialect::TextEnd;
use ft_core::dialect::addfile::{Command, DataEnd};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::ground::Time;
use crate::schedule::{Direction, Fault, Schedule, Step};
use crate::trace::NoteKind;
use crate::world::Tracer;

/// Longer than any quiet moment that is waited for, milliseconds.
pub(super) const LONG: u64 = 3_000;

/// Long enough for a text to end, milliseconds.
pub(super) const TEXT_ENDS: u64 = 400;

/// Too short for any of these, however the network delays, milliseconds.
pub(super) const PAUSE: u64 = 100;

/// What lies on the disk of the side that is ours.
pub(super) const BEFORE: [(&[u8], &[u8]); 2] = [(b"f", b"old"), (b"server_f", b"old")];

/// What our side is asked to do with a stranger.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Our client's verb; a server is told.
    pub(super) verb: Command,
    pub(super) end: TextEnd,
    pub(super) data_end: DataEnd,
    /// What our client sends, in the pieces that reading it brings.
    pub(super) source: Vec<&'static [u8]>,
    /// The size that our sender of lab A states, bytes.
    pub(super) size: u64,
    pub(super) name: &'static str,
    /// Nothing can be made durable on our disk.
    pub(super) disk_fails: bool,
}

pub(super) enum Do {
    Say(Vec<u8>),
    /// Until so many bytes in all have come, or the stream has ended.
    Hear(usize),
    HearAll,
    /// Milliseconds.
    Rest(u64),
    HalfClose,
    /// Closes the socket: with unread bytes that is a reset.
    Leave,
}

/// A stranger, and what must come of it.
pub(super) struct Script {
    pub(super) name: &'static str,
    pub(super) asked: Asked,
    /// What ours says in the end.
    pub(super) says: String,
    /// What the stranger hears, up to an end in order.
    pub(super) hears: Vec<u8>,
    /// What is stored in the end, beside what was there.
    pub(super) leaves: Vec<(Vec<u8>, Vec<u8>)>,
    /// What may be stored instead, where the connection ends early.
    pub(super) meanwhile: Vec<&'static str>,
    /// It closes while it may still be answered: of all that may happen to the answer, only a short write is sure.
    pub(super) races: bool,
    pub(super) steps: Vec<Do>,
}

impl Script {
    pub(super) fn new(name: &'static str, says: impl Into<String>) -> Self {
        let asked = Asked {
            verb: Command::Addfile,
            end: TextEnd::Newline,
            data_end: DataEnd::EofOrQuiet,
            source: vec![b"hello"],
            size: 5,
            name: "f",
            disk_fails: false,
        };
        let (hears, leaves, meanwhile, steps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { name, asked, says: says.into(), hears, leaves, meanwhile, races: false, steps }
    }

    pub(super) fn ours(mut self, change: impl FnOnce(&mut Asked)) -> Self {
        change(&mut self.asked);
        self
    }

    pub(super) fn hears(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.hears = bytes.into();
        self
    }

    pub(super) fn leaves(mut self, name: impl Into<Vec<u8>>, content: impl Into<Vec<u8>>) -> Self {
        self.leaves.push((name.into(), content.into()));
        self
    }

    pub(super) fn meanwhile(mut self, contents: &[&'static str]) -> Self {
        self.meanwhile = contents.to_vec();
        self
    }

    pub(super) fn races(mut self) -> Self {
        self.races = true;
        self
    }

    pub(super) fn step(mut self, step: Do) -> Self {
        self.steps.push(step);
        self
    }

    pub(super) fn say(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Do::Say(bytes.into()))
    }

    pub(super) fn hear(self, bytes: usize) -> Self {
        self.step(Do::Hear(bytes))
    }

    pub(super) fn hear_all(self) -> Self {
        self.step(Do::HearAll)
    }

    pub(super) fn rest(self, millis: u64) -> Self {
        self.step(Do::Rest(millis))
    }

    pub(super) fn half_close(self) -> Self {
        self.step(Do::HalfClose)
    }

    pub(super) fn leave(self) -> Self {
        self.step(Do::Leave)
    }

    /// Plays it, then ends its direction and reads to the end; what was heard, and how that ended.
    ///
    /// It has no deadline: ours must have one, or come to an end without.
    pub(super) async fn play<S: AsyncRead + AsyncWrite + Unpin, T: Time>(
        &self,
        mut stream: S,
        clock: T,
        tracer: Tracer,
    ) -> Heard {
        tracer.note(NoteKind::Note, format_args!("{}", self.name));
        let mut heard = Heard::default();
        for step in &self.steps {
            match step {
                // Ours may have hung up already; what it said is read below.
                Do::Say(bytes) => drop(stream.write_all(bytes).await),
                Do::Hear(bytes) => heard.read(&mut stream, *bytes).await,
                Do::HearAll => heard.read(&mut stream, usize::MAX).await,
                Do::Rest(millis) => clock.sleep(Duration::from_millis(*millis)).await,
                Do::HalfClose => drop(stream.shutdown().await),
                Do::Leave => {
                    heard.end = Some("leaves".to_owned());
                    return heard;
                }
            }
        }
        drop(stream.shutdown().await);
        heard.read(&mut stream, usize::MAX).await;
        heard
    }

    pub(super) fn has_left(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Do::Leave))
    }

    /// Whether all must come as it states, and not only as well as a connection that ends early allows.
    pub(super) fn is_held_to(&self, schedule: &Schedule) -> bool {
        let takes_back = |step: &Step| self.races && (step.dir, step.fault) != (Direction::S2c, Fault::Short);
        schedule.steps().iter().all(|step| step.fault.is_segmentation() && !takes_back(step))
    }

    /// What must lie there in the end.
    pub(super) fn after(&self) -> BTreeMap<&[u8], &[u8]> {
        let mut after = BTreeMap::from(BEFORE);
        after.extend(self.leaves.iter().map(|(name, content)| (&name[..], &content[..])));
        after
    }

    /// Whether it may be taken for whole where the connection ends early.
    pub(super) fn is_meanwhile(&self, content: &[u8]) -> bool {
        self.meanwhile.iter().any(|other| other.as_bytes() == content)
    }

    /// Whether a file may be there where the connection has ended early.
    pub(super) fn may_leave(&self, name: &[u8], content: &[u8]) -> bool {
        BEFORE.contains(&(name, content)) || self.is_meanwhile(content) || self.after().get(name) == Some(&content)
    }
}

/// What a stranger has heard.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) bytes: Vec<u8>,
    /// How it ended, if it has: in order where this is empty.
    pub(super) end: Option<String>,
}

impl Heard {
    /// Until so many bytes in all have come.
    pub(super) async fn read<S: AsyncRead + Unpin>(&mut self, stream: &mut S, bytes: usize) {
        let mut buffer = [0; 4096];
        while self.end.is_none() && self.bytes.len() < bytes {
            match stream.read(&mut buffer).await {
                Ok(0) => self.end = Some(String::new()),
                Ok(n) => self.bytes.extend_from_slice(&buffer[..n]),
                Err(error) => self.end = Some(error.to_string()),
            }
        }
    }
}
