//! Typed facts that a session reports as they become true: progress, traces, tests and invariants all read these.

use crate::error::{FileError, Outcome, SessionError};
use crate::frame::{Ack2, Frame, Meta, StreamId};
use crate::storage::Step;

/// Which way a frame went, seen from the side that reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the peer.
    Sent,
    /// From the peer.
    Received,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A frame was decoded, or queued for the peer.
    Frame(Direction, Frame),
    /// A stream was offered (sender) or its offer came (receiver).
    Offered(StreamId, Meta),
    /// ACK1: content goes from this offset on, of this size if it is known.
    Started(StreamId, u64, Option<u64>),
    /// ACK1: the receiver has the file already.
    Same(StreamId),
    /// Content bytes of a stream that were queued for the peer, or came from it; the sum so far includes a resumed prefix.
    Progress(StreamId, u64),
    /// All content of a stream has the stated root (receiver).
    Verified(StreamId),
    /// A step of landing is done (receiver).
    Landing(StreamId, Step),
    /// ACK2 was queued (receiver) or came (sender).
    Stored(StreamId, Ack2),
    /// The stream ended otherwise.
    Failed(StreamId, FileError),
    /// The session broke after END and before ACK2: stored or not, a retry will tell (sender).
    Unknown(StreamId),
    /// One line of a listing.
    Listed(Meta),
    /// A want was answered, with the reason if it was not in full.
    WantDone(u32, Option<FileError>),
    /// The session ended.
    Closed(Result<(), SessionError>),
}

/// What became of one offered file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileReport {
    /// The stream; 0 where none was opened.
    pub stream: StreamId,
    /// What was offered.
    pub meta: Meta,
    /// What became of it.
    pub outcome: Outcome,
    /// The promise, if it was stored.
    pub ack: Option<Ack2>,
    /// The reason, if it failed.
    pub error: Option<FileError>,
}

/// What a session came to, from one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How the session itself ended.
    pub end: Result<(), SessionError>,
    /// Wants that were not answered in full, with the reason.
    pub wants: Vec<(u32, FileError)>,
    /// Files completed.
    pub completed: u64,
    /// Streams that were refused or failed.
    pub failed: u64,
    /// Streams whose outcome is unknown.
    pub unknown: u64,
    /// Most memory that the session held at once for the peer's sake, bytes: frames, content and open streams. Never
    /// above [`crate::limits::CONNECTION_BYTES`], whatever the peer sends.
    pub most_held: u64,
    /// What was still held when the session was over, bytes; 0 unless something was counted wrongly.
    pub left_held: u64,
}
