//! What sender and receiver have in common: both are pure machines, an input in and actions out.
//!
//! A machine is a value (`Clone + Eq + Hash`): it holds no stream, no file, no time and no content, so a simulator can
//! copy it, compare it and enumerate it. The driver in `session` carries its actions out.

use crate::error::{FileError, SessionError};
use crate::event::Event;
use crate::frame::{Frame, Hello, Intent, StreamId};
use crate::limits::{MAX_OFFER_BYTES, MAX_STREAMS};

/// One thing that the driver must do, in the order given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action<Op> {
    /// Queue a frame for the peer.
    Send(Frame),
    /// Queue a DATA frame with the content that completed for this item at this offset.
    SendContent(Content),
    /// Submit a storage or source operation; `true`: the content buffer at hand goes with it.
    Submit(Op, bool),
    /// Throw the content buffer at hand away.
    DropContent,
    /// Tell the observer.
    Tell(Event),
    /// When everything queued is written, shut down the writing half.
    ShutDown,
}

/// Names a piece of content that a source delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Content {
    /// The entry it belongs to.
    pub item: crate::storage::ItemId,
    /// The stream it goes to.
    pub stream: StreamId,
    /// Position in the file.
    pub offset: u64,
    /// Bytes.
    pub len: u32,
}

/// Where a machine's actions go.
pub type Actions<Op> = Vec<Action<Op>>;

/// A transition of a stream or of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Next<S> {
    /// Go on in this state; the same state when nothing changes.
    To(S),
    /// It is over.
    Close,
    /// The peer must not do that now; the requirement that it broke.
    Violation(&'static str),
    /// Only a bug of ours leads here.
    Bug,
}

impl<S: std::fmt::Debug> std::fmt::Display for Next<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::To(state) => write!(f, "{state:?}"),
            Self::Close => f.write_str("(closed)"),
            Self::Violation(rule) => write!(f, "! {rule}"),
            Self::Bug => f.write_str("-"),
        }
    }
}

/// A complete transition table as text, one line a state, for a snapshot.
pub fn table<S: Copy + std::fmt::Debug, I: Copy + std::fmt::Debug>(
    states: &[S],
    inputs: &[I],
    next: impl Fn(S, I) -> Next<S>,
) -> String {
    let mut out = format!("{:<14}", "");
    for state in states {
        out += &format!("{:<13}", format!("{state:?}"));
    }
    out.truncate(out.trim_end().len());
    for input in inputs {
        out += &format!("\n{:<14}", format!("{input:?}"));
        for state in states {
            out += &format!("{:<13}", next(*state, *input).to_string());
        }
        out.truncate(out.trim_end().len());
    }
    out
}

/// A broken rule, found by a machine; the driver adds the offset.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Violation {
    /// The requirement.
    pub rule: &'static str,
    /// What the peer did.
    pub text: String,
}

impl Violation {
    /// A violation of `rule` by `text`.
    pub fn new(rule: &'static str, text: impl Into<String>) -> Self {
        Self { rule, text: text.into() }
    }

    /// With the byte offset at which it was noticed.
    pub fn at(self, offset: u64) -> SessionError {
        SessionError::PeerViolation { offset, rule: self.rule, text: self.text }
    }
}

/// Whether a frame came from a peer that may still speak, and what kind of session it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// We connected.
    Client,
    /// The peer connected; what it came for is known.
    Server,
}

/// Streams and bytes that the receiving side lets be open at once (PROTOCOL §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Streams offered and not closed.
    pub streams: u32,
    /// Bytes of their OFFER payloads.
    pub offer_bytes: u32,
}

impl Window {
    /// What a peer announces, as far as we are willing to remember for it: its word alone must not fill our memory.
    pub fn of(hello: &Hello) -> Self {
        Self {
            streams: hello.max_streams.clamp(1, MAX_STREAMS),
            offer_bytes: hello.max_offer_bytes.min(MAX_OFFER_BYTES),
        }
    }
}

/// Counts for the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Tally {
    /// Stored.
    pub completed: u64,
    /// Refused or failed.
    pub failed: u64,
    /// END sent, no ACK2.
    pub unknown: u64,
}

/// The contract between a machine and its driver.
///
/// The driver calls the methods as things happen and carries out the actions before the next call. After `on_end` no
/// frame follows; the session is over when `settled` is true.
pub trait Machine {
    /// Operations on files.
    type Op;
    /// Their completions.
    type Done;

    /// First actions: HELLO and, for a client, the first flight.
    fn start(&mut self, out: &mut Actions<Self::Op>);

    /// A frame came.
    ///
    /// # Errors
    /// It is not allowed now: the session is over.
    fn on_frame(&mut self, frame: Frame, out: &mut Actions<Self::Op>) -> Result<(), Violation>;

    /// An OFFER came whose name cannot be stored.
    ///
    /// # Errors
    /// As `on_frame`.
    fn on_bad_offer(
        &mut self,
        stream: StreamId,
        error: FileError,
        out: &mut Actions<Self::Op>,
    ) -> Result<(), Violation>;

    /// `len` bytes of the DATA frame that came last are in the buffer at hand.
    fn on_content(&mut self, len: u64, out: &mut Actions<Self::Op>);

    /// An operation completed. Content that came with it is kept by the driver until it is sent or dropped.
    fn on_done(&mut self, done: Self::Done, out: &mut Actions<Self::Op>);

    /// `len` content bytes left the queue.
    fn on_sent(&mut self, len: u64, out: &mut Actions<Self::Op>);

    /// The caller's pulse: tell the peer that work goes on, if it does. `came`: so did bytes of the peer's since the last one.
    fn on_pulse(&mut self, came: bool, out: &mut Actions<Self::Op>);

    /// No frame follows: the session ended (`Ok` after both GOODBYEs) or broke.
    fn on_end(&mut self, end: &Result<(), SessionError>, out: &mut Actions<Self::Op>);

    /// False while content in memory is at its bound: the driver reads no more from the peer.
    fn wants_content(&self) -> bool;

    /// Bytes of memory that it keeps for the peer's sake: content under way, open streams and what they were offered as.
    fn held(&self) -> u64;

    /// True when the peer has said GOODBYE.
    fn peer_left(&self) -> bool;

    /// True when nothing is under way and the session may end.
    fn settled(&self) -> bool;

    /// What became of the streams.
    fn tally(&self) -> Tally;

    /// Wants that were not answered in full.
    fn failed_wants(&self) -> &[(u32, FileError)];
}

/// Words for an intent.
pub(crate) fn intent_name(intent: Intent) -> &'static str {
    match intent {
        Intent::Push => "push",
        Intent::Pull => "pull",
        Intent::List => "list",
    }
}
