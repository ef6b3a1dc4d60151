//! What a run did: one event type, and a running hash as the run's identity.
//!
//! The hash covers every event with its virtual time, offsets and payload, whether or not events are kept: two runs
//! with one identity did the same. Keeping the events costs memory, so that searches keep none; the one run that is
//! shown is run again, which a deterministic simulator may do. `trace/` renders kept events as text lanes
//! ([`crate::trace::lanes`]), JSON lines ([`crate::trace::json_lines`]) and pcapng ([`crate::trace::pcapng`]).

mod json;
mod lanes;
mod pcap;

use std::fmt;

pub use json::json_lines;
pub use lanes::lanes;
pub use pcap::pcapng;

use crate::core::HostId;
use crate::schedule::{Direction, Party, Step};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Virtual time, nanoseconds since the run began.
    pub at: u64,
    /// Polls made before it.
    pub step: u64,
    /// What happened.
    pub what: What,
}

/// What happened. Offsets count bytes of that direction from 0; connections count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A connection was opened.
    Open {
        /// Its number.
        conn: u16,
        /// The hosts of its client and its server.
        hosts: [HostId; 2],
    },
    /// Bytes were accepted from the writer.
    Write {
        /// Connection.
        conn: u16,
        /// Direction.
        dir: Direction,
        /// Offset of the first byte.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
        /// Bytes that the call offered; more than `bytes` is a short write.
        asked: u64,
    },
    /// Bytes arrived at the reader's side: one segment.
    Deliver {
        /// Connection.
        conn: u16,
        /// Direction.
        dir: Direction,
        /// Offset of the first byte.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// One read returned bytes.
    Read {
        /// Connection.
        conn: u16,
        /// Direction.
        dir: Direction,
        /// Offset of the first byte.
        offset: u64,
        /// How many.
        len: u64,
    },
    /// One read returned end of stream.
    Eof {
        /// Connection.
        conn: u16,
        /// Direction.
        dir: Direction,
        /// Offset at which the stream ended.
        offset: u64,
    },
    /// A FIN arrived at the reader's side.
    Fin {
        /// Connection.
        conn: u16,
        /// Direction.
        dir: Direction,
        /// Offset at which the stream ended.
        offset: u64,
    },
    /// A RST arrived at a party.
    Rst {
        /// Connection.
        conn: u16,
        /// Who received it.
        to: Party,
        /// Bytes that had arrived at that party; they stay readable.
        offset: u64,
    },
    /// A read or write failed.
    Error {
        /// Connection.
        conn: u16,
        /// The direction that was read or written.
        dir: Direction,
        /// Offset reached.
        offset: u64,
        /// Who was told.
        by: Party,
        /// The error, in the words of `io::ErrorKind`.
        error: String,
    },
    /// A step of the schedule took effect.
    Fault(Step),
    /// Virtual time jumped to the next timer.
    Timer,
    /// A task was polled.
    Poll {
        /// The host it runs on.
        host: HostId,
        /// The task's number.
        task: u8,
    },
    /// A task ended.
    Done {
        /// The host it ran on.
        host: HostId,
        /// The task's number.
        task: u8,
        /// How: `done`, `panicked: …`, `killed`, `crashed`.
        how: String,
    },
    /// Something a party or a case said.
    Note {
        /// The host whose task was running; nobody's if the case itself spoke.
        host: Option<HostId>,
        /// What sort of thing it is.
        kind: NoteKind,
        /// The text, already escaped.
        text: String,
    },
}

/// What a note speaks of; renderings give each its column or colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoteKind {
    /// A file system call.
    Fs,
    /// A protocol frame was sent or understood.
    Frame,
    /// A protocol acknowledgement was sent or understood.
    Ack,
    /// The outcome that a party reports.
    Verdict,
    /// Anything else.
    Note,
}

impl NoteKind {
    /// The word printed in front.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fs => "fs",
            Self::Frame => "frame",
            Self::Ack => "ack",
            Self::Verdict => "verdict",
            Self::Note => "note",
        }
    }
}

/// The identity of a run: equal runs have equal hashes, on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceHash(pub u64);

impl fmt::Display for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Odd numbers without a pattern: the fractions of the square roots of 2, 3, 5 and 7.
const FACTORS: [u64; 4] = [0x6a09_e667_f3bc_c909, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];

fn words(block: &[u8; 32]) -> [u64; 4] {
    let (words, _) = block.as_chunks::<8>();
    std::array::from_fn(|at| u64::from_le_bytes(words[at]))
}

/// Collects events; part of a world.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: u64,
    kept: Option<Vec<Event>>,
}

impl Trace {
    pub(crate) fn reset(&mut self, keep: bool) {
        self.hash = 0;
        self.kept = keep.then(Vec::new);
    }

    pub(crate) fn hash(&self) -> TraceHash {
        // Every input bit reaches every output bit, so that truncated hashes can be compared too.
        let mut h = self.hash;
        h ^= h >> 32;
        h = h.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        TraceHash(h ^ (h >> 29))
    }

    pub(crate) fn take(&mut self) -> Vec<Event> {
        self.kept.take().unwrap_or_default()
    }

    /// Folds up to four words, which say one thing together, into the identity. Each has its own odd factor and the sum
    /// one step of multiplication and rotation, so that the words of an event need not wait for each other.
    #[inline]
    pub(crate) fn fold<const N: usize>(&mut self, words: [u64; N]) {
        const { assert!(N <= FACTORS.len(), "a factor for each word") };
        let mut sum = 0_u64;
        for (word, factor) in words.into_iter().zip(FACTORS) {
            // The upper half of a word must have a say in the lower half of the product too.
            sum = sum.wrapping_add((word ^ word >> 32).wrapping_mul(factor)).rotate_left(17);
        }
        self.hash = (self.hash.rotate_left(23) ^ sum).wrapping_mul(0x9fb2_1c65_1e98_df25);
    }

    pub(crate) fn fold_bytes(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<32>();
        for block in blocks {
            self.fold(words(block));
        }
        // What is left and how much there was: in one step if there is room beside it, as most of what is said is short.
        let mut last = [0; 32];
        last[..rest.len()].copy_from_slice(rest);
        let [a, b, c, d] = words(&last);
        let len = bytes.len() as u64;
        if rest.len() <= 24 {
            self.fold([a, b, c, len]);
        } else {
            self.fold([a, b, c, d]);
            self.fold([len]);
        }
    }

    /// True if somebody will look at the events.
    pub(crate) fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    /// Keeps an event, if events are kept.
    pub(crate) fn keep(&mut self, at: u64, step: u64, what: impl FnOnce() -> What) {
        if let Some(kept) = &mut self.kept {
            kept.push(Event { at, step, what: what() });
        }
    }
}

/// Bytes as text that is safe to print: printable ASCII as it is, everything else escaped.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
