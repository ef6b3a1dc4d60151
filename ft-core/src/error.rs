//! Who is at fault, what was expected, what came, and what became of the transfer (PROTOCOL §8).
//!
//! Two scopes, never mixed: a [`FileError`] ends one stream and the session goes on; a [`SessionError`] ends the session.

use std::fmt;

use crate::limits::MAX_TEXT;
use crate::path::escape;

/// Error codes on the wire (PROTOCOL §8.1). Codes below 32 end a session, the others end one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the table below is the documentation, one line a code")]
pub enum Code {
    UnsupportedVersion,
    Malformed,
    Violation,
    LimitExceeded,
    Forbidden,
    Busy,
    ShuttingDown,
    TimedOut,
    Internal,
    BadName,
    Exists,
    NoSpace,
    NotFound,
    Permission,
    WrongKind,
    TooLarge,
    Io,
    Changed,
    Integrity,
    Cancelled,
    NotWanted,
    UnsafePath,
    UnsupportedKind,
    NameBusy,
    /// A code of a later version: kept, so that it can be shown.
    Other(u16),
}

/// Number, name and meaning of every code, in the order of the numbers: the one table that code and document share.
pub const CODES: &[(Code, u16, &str, &str)] = &[
    (Code::UnsupportedVersion, 1, "unsupported-version", "no protocol version in common"),
    (Code::Malformed, 2, "malformed", "bytes that are not a frame of this protocol"),
    (Code::Violation, 3, "violation", "a frame that is not allowed in this state"),
    (Code::LimitExceeded, 4, "limit-exceeded", "more than a stated limit allows"),
    (Code::Forbidden, 5, "forbidden", "this server does not do that"),
    (Code::Busy, 6, "busy", "too many connections"),
    (Code::ShuttingDown, 7, "shutting-down", "the server is stopping"),
    (Code::TimedOut, 8, "timed-out", "the peer was silent for too long"),
    (Code::Internal, 9, "internal", "a fault of the one who reports it"),
    (Code::BadName, 32, "bad-name", "the name cannot be stored"),
    (Code::Exists, 33, "exists", "a file of that name is there and policy keeps it"),
    (Code::NoSpace, 34, "no-space", "not enough room for the file"),
    (Code::NotFound, 35, "not-found", "no such file or folder"),
    (Code::Permission, 36, "permission", "the system denied access"),
    (Code::WrongKind, 37, "wrong-kind", "something of another kind is in the way"),
    (Code::TooLarge, 38, "too-large", "the file is larger than allowed"),
    (Code::Io, 39, "io", "reading or writing failed"),
    (Code::Changed, 40, "changed", "the file changed while it was read"),
    (Code::Integrity, 41, "integrity", "the content does not have the stated hash"),
    (Code::Cancelled, 42, "cancelled", "given up by the one who reports it"),
    (Code::NotWanted, 43, "not-wanted", "the receiver does not want this file"),
    (Code::UnsafePath, 44, "unsafe-path", "the path leads through a link or out of the root"),
    (Code::UnsupportedKind, 45, "unsupported-kind", "this kind of file cannot be stored"),
    (Code::NameBusy, 46, "name-busy", "another session is writing that name"),
];

impl Code {
    /// The number on the wire.
    pub fn to_wire(self) -> u16 {
        if let Self::Other(n) = self {
            return n;
        }
        CODES.iter().find(|row| row.0 == self).map_or(0, |row| row.1)
    }

    /// The code for a number; unknown ones are kept as [`Code::Other`].
    pub fn from_wire(n: u16) -> Self {
        CODES.iter().find(|row| row.1 == n).map_or(Self::Other(n), |row| row.0)
    }

    /// The stable name, for people and for `--json`.
    pub fn name(self) -> &'static str {
        CODES.iter().find(|row| row.0 == self).map_or("unknown-code", |row| row.2)
    }

    /// The meaning in a few words.
    pub fn meaning(self) -> &'static str {
        CODES.iter().find(|row| row.0 == self).map_or("a code of a later version", |row| row.3)
    }
}

/// Whether trying again can help (PROTOCOL §8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// It may succeed later, unchanged.
    Later,
    /// It may succeed at once.
    Now,
}

/// One stream failed or was refused; the session goes on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileError {
    /// What happened.
    pub code: Code,
    /// Whether to try again.
    pub retry: Retry,
    /// Where in the file, bytes; 0 where that has no meaning.
    pub offset: u64,
    /// For a person; at most [`MAX_TEXT`] bytes. From a peer: escape before showing, as `Display` does.
    pub text: String,
}

impl FileError {
    /// An error with a text, cut to what the wire carries.
    pub fn new(code: Code, retry: Retry, text: impl Into<String>) -> Self {
        let mut text = text.into();
        while text.len() > MAX_TEXT {
            text.pop();
        }
        Self { code, retry, offset: 0, text }
    }

    /// The same error, noticed at a byte offset of the file.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.text.is_empty() { self.code.meaning().into() } else { escape(self.text.as_bytes()) };
        write!(f, "{}: {text}", self.code.name())?;
        if self.offset > 0 {
            write!(f, " (at byte {})", self.offset)?;
        }
        Ok(())
    }
}

impl std::error::Error for FileError {}

/// Who caused a session to end before its time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SessionError {
    /// The bytes are not ft/1: what was expected and what came, at which byte of the incoming stream.
    Malformed {
        /// Byte offset in the stream from the peer.
        offset: u64,
        /// What the protocol asks for.
        expected: String,
        /// What came, already escaped.
        got: String,
    },
    /// Another protocol answered or called; its name as far as the first bytes tell.
    Foreign {
        /// For a person, such as `an HTTP server`.
        what: String,
    },
    /// No version in common; the peer's range.
    Version {
        /// Lowest version that the peer speaks.
        min: u16,
        /// Highest version that the peer speaks.
        max: u16,
    },
    /// Well-formed frames in an order, or with values, that the protocol forbids.
    PeerViolation {
        /// Byte offset in the stream from the peer.
        offset: u64,
        /// The requirement, such as `FT-31`.
        rule: &'static str,
        /// What the peer did.
        text: String,
    },
    /// The peer ended the session with an ERROR frame.
    PeerEnded(FileError),
    /// The stream ended before the peer's GOODBYE.
    Truncated {
        /// Bytes that had come.
        offset: u64,
    },
    /// The transport failed.
    Io {
        /// Kind, as the operating system classed it.
        kind: std::io::ErrorKind,
        /// The system's words.
        text: String,
        /// Bytes that had come.
        offset: u64,
    },
    /// Our own side gave up: storage broke, or the caller asked to stop.
    Local(FileError),
}

impl SessionError {
    /// The transport failed in this way, when so many bytes had come.
    pub(crate) fn io(error: &std::io::Error, offset: u64) -> Self {
        Self::Io { kind: error.kind(), text: error.to_string(), offset }
    }

    /// The code to tell the peer; `None` where the peer is gone or said it first.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Malformed { .. } => Some(Code::Malformed),
            Self::Version { .. } => Some(Code::UnsupportedVersion),
            Self::PeerViolation { .. } => Some(Code::Violation),
            Self::Local(e) => Some(e.code),
            Self::Io { kind: std::io::ErrorKind::TimedOut, .. } => Some(Code::TimedOut),
            Self::Foreign { .. } | Self::PeerEnded(_) | Self::Truncated { .. } | Self::Io { .. } => None,
        }
    }

    /// Whether a new connection may do better.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Truncated { .. } | Self::Io { .. } => Retry::Now,
            Self::PeerEnded(e) | Self::Local(e) => e.retry,
            Self::Malformed { .. } | Self::Foreign { .. } | Self::Version { .. } | Self::PeerViolation { .. } => {
                Retry::Never
            }
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { offset, expected, got } => {
                write!(f, "peer sent malformed bytes at byte {offset}: expected {expected}, got {got}")
            }
            Self::Foreign { what } => write!(f, "the peer does not speak ft/1: this looks like {what}"),
            Self::Version { min, max } => write!(
                f,
                "no version in common: peer speaks {min} to {max}, this side {} to {}",
                crate::limits::VERSION_MIN,
                crate::limits::VERSION_MAX
            ),
            Self::PeerViolation { offset, rule, text } => {
                write!(f, "peer broke the protocol at byte {offset} ({rule}): {text}")
            }
            Self::PeerEnded(e) => write!(f, "peer ended the session: {e}"),
            Self::Truncated { offset } => {
                write!(f, "the stream ended after {offset} bytes without GOODBYE: truncated")
            }
            Self::Io { text, offset, .. } => {
                write!(f, "connection failed after {offset} bytes: {}", escape(text.as_bytes()))
            }
            Self::Local(e) => write!(f, "this side gave up: {e}"),
        }
    }
}

impl std::error::Error for SessionError {}

/// What became of one file, as far as this side can know (PROTOCOL §7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Verified, stored at the stated level, under its final name.
    Completed,
    /// Not stored by this transfer; the old content, if any, is whole.
    Failed,
    /// Everything was sent and no answer came: stored or not, a retry will tell.
    Unknown,
}
