//! Errors of the lab dialects: whose fault, what was expected, what came, at which offset.

use std::{fmt, io};

use super::detect::Foreign;
use super::name::{Escaped, LabName, NameError};
use super::pitfall::Pitfall;

/// What is known about the file when a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The file is there, as far as the dialect can say it.
    Completed,
    /// The file is not there; what was there before still is.
    Failed,
    /// Everything was sent, and nothing says whether it arrived (`no-final-ack`).
    Unknown,
}

/// Where in a dialect something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Lab A's `name|size`.
    Metadata,
    /// Lab A's `ACK`.
    Ack,
    /// Lab B's first text.
    Command,
    /// Lab B's second text.
    Name,
    /// Lab B's `OK` or `NOT FOUND`.
    Status,
    /// Lab B's `file recv`.
    Ack1,
    /// Lab B's `file data recv`.
    Ack2,
    /// File data.
    Body,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "the metadata",
            Self::Ack => "ACK",
            Self::Command => "the command",
            Self::Name => "the file name",
            Self::Status => "the status",
            Self::Ack1 => "ACK1",
            Self::Ack2 => "ACK2",
            Self::Body => "the body",
        })
    }
}

/// What a peer did against its dialect. Offsets count bytes from the start of the peer's direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The stream ended inside `stage`.
    Truncated {
        /// What was being read.
        stage: Stage,
        /// Bytes that had come in all.
        offset: u64,
        /// Bytes that were still owed, where the dialect states them.
        missing: Option<u64>,
    },
    /// Bytes that the dialect does not have.
    Malformed {
        /// What was being read.
        stage: Stage,
        /// Where the text begins.
        offset: u64,
        /// What would have been right.
        expected: &'static str,
        /// The beginning of what came.
        came: Vec<u8>,
        /// The pitfall that most probably brought it here.
        pitfall: Option<Pitfall>,
    },
    /// A text longer than any peer needs.
    TooLong {
        /// What was being read.
        stage: Stage,
        /// The bound, in bytes.
        limit: usize,
    },
    /// A stated size above the receiver's limit.
    SizeTooLarge {
        /// The digits as they came.
        stated: Vec<u8>,
        /// The bound, in bytes.
        limit: u64,
    },
    /// A name that cannot be stored.
    Name {
        /// The name as it came.
        name: Vec<u8>,
        /// The rule that it breaks.
        reason: NameError,
    },
    /// More bytes than the stated size: the size was read wrongly, or stated wrongly.
    Excess {
        /// The stated size, in bytes.
        stated: u64,
    },
    /// The peer speaks something else.
    Foreign(Foreign),
}

impl Fault {
    /// The pitfall behind the fault, where there is one.
    #[must_use]
    pub fn pitfall(&self) -> Option<Pitfall> {
        match self {
            Self::Truncated { stage: Stage::Metadata | Stage::Command, offset: 0, .. } => {
                Some(Pitfall::EmptyConnection)
            }
            Self::Truncated { stage: Stage::Body, .. } => Some(Pitfall::EofIsSuccess),
            Self::Truncated { .. } | Self::TooLong { .. } | Self::Foreign(_) => None,
            Self::Malformed { pitfall, .. } => *pitfall,
            Self::SizeTooLarge { .. } => Some(Pitfall::SizeOverflow),
            Self::Name { reason, .. } => reason.pitfall(),
            Self::Excess { .. } => Some(Pitfall::SplitDigits),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { stage, offset, missing: Some(missing) } => {
                write!(f, "the peer ended the stream at byte {offset}, inside {stage}, {missing} bytes short")
            }
            Self::Truncated { stage, offset, missing: None } => {
                write!(f, "the peer ended the stream at byte {offset}, inside {stage}")
            }
            Self::Malformed { stage, offset, expected, came, pitfall } => {
                write!(f, "the peer sent \"{}\" as {stage} at byte {offset}, expected {expected}", Escaped(came))?;
                match pitfall {
                    Some(pitfall) => write!(f, " ({pitfall})"),
                    None => Ok(()),
                }
            }
            Self::TooLong { stage, limit } => {
                write!(f, "the peer sent more than {limit} bytes as {stage}")
            }
            Self::SizeTooLarge { stated, limit } => {
                write!(f, "the peer stated a size of {} bytes, the limit is {limit}", Escaped(stated))
            }
            Self::Name { name, reason } => {
                write!(f, "the peer sent the name \"{}\": {reason}", Escaped(name))
            }
            Self::Excess { stated } => write!(f, "the peer sent more than the {stated} bytes that it had stated"),
            Self::Foreign(foreign) => write!(f, "the peer speaks {foreign}, not a lab dialect"),
        }
    }
}

impl std::error::Error for Fault {}

/// Where Python would raise: only the naive implementations return it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Crash {
    /// The exception's class, such as `ValueError`.
    pub exception: &'static str,
    /// The exception's text.
    pub message: String,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.exception, Escaped(self.message.as_bytes()))
    }
}

/// How a session of a lab dialect fails.
#[derive(Debug)]
pub enum LabError {
    /// The peer's fault.
    Peer(Fault),
    /// The peer answered `NOT FOUND`.
    NotFound {
        /// What was asked for.
        name: LabName,
    },
    /// Our own name cannot be said in this dialect.
    Unsendable {
        /// The name.
        name: LabName,
        /// What the wire would make of it.
        pitfall: Pitfall,
    },
    /// The connection failed.
    Stream {
        /// What was being done, such as `reading the body`.
        doing: &'static str,
        /// The stream's error.
        source: io::Error,
    },
    /// Our own files failed.
    Storage {
        /// What was being done, such as `committing`.
        doing: &'static str,
        /// The file system's error.
        source: io::Error,
    },
    /// The file that we send ended before its stated size.
    SourceShort {
        /// The size that the metadata stated, in bytes.
        stated: u64,
        /// What the source had, in bytes.
        had: u64,
    },
    /// Every byte was sent, and then the confirmation failed to come: the outcome is unknown.
    Unconfirmed {
        /// Why it did not come.
        cause: Box<LabError>,
    },
    /// A naive implementation died.
    Crash(Crash),
}

impl LabError {
    /// Failed or unknown, never completed.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Unconfirmed { .. } => Outcome::Unknown,
            Self::Peer(_)
            | Self::NotFound { .. }
            | Self::Unsendable { .. }
            | Self::Stream { .. }
            | Self::Storage { .. }
            | Self::SourceShort { .. }
            | Self::Crash(_) => Outcome::Failed,
        }
    }

    /// The pitfall behind the error, where there is one.
    #[must_use]
    pub fn pitfall(&self) -> Option<Pitfall> {
        match self {
            Self::Peer(fault) => fault.pitfall(),
            Self::Unsendable { pitfall, .. } => Some(*pitfall),
            Self::Unconfirmed { cause } => cause.pitfall(),
            Self::NotFound { .. }
            | Self::Stream { .. }
            | Self::Storage { .. }
            | Self::SourceShort { .. }
            | Self::Crash(_) => None,
        }
    }

    pub(super) fn stream(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Stream { doing, source }
    }

    pub(super) fn storage(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Storage { doing, source }
    }

    pub(super) fn crash(exception: &'static str, message: impl Into<String>) -> Self {
        Self::Crash(Crash { exception, message: message.into() })
    }

    /// A stream error as Python would raise it.
    pub(super) fn raised(error: io::Error) -> Self {
        let exception = if error.kind() == io::ErrorKind::ConnectionReset {
            "ConnectionResetError"
        } else if error.kind() == io::ErrorKind::BrokenPipe {
            "BrokenPipeError"
        } else {
            "OSError"
        };
        Self::crash(exception, error.to_string())
    }
}

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(fault) => fault.fmt(f),
            Self::NotFound { name } => write!(f, "the peer has no \"{name}\", or refuses it"),
            Self::Unsendable { name, pitfall } => {
                write!(f, "the name \"{name}\" cannot be said in this dialect ({pitfall})")
            }
            Self::Stream { doing, source } => {
                write!(f, "the connection failed while {doing}: {source}")
            }
            Self::Storage { doing, source } => {
                write!(f, "our own storage failed while {doing}: {source}")
            }
            Self::SourceShort { stated, had } => {
                write!(f, "our own file ended after {had} bytes, {stated} were announced")
            }
            Self::Unconfirmed { cause } => write!(f, "all was sent, but not confirmed: {cause}"),
            Self::Crash(crash) => write!(f, "crashed: {crash}"),
        }
    }
}

impl std::error::Error for LabError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Peer(fault) => Some(fault),
            Self::Stream { source, .. } | Self::Storage { source, .. } => Some(source),
            Self::Unconfirmed { cause } => Some(cause.as_ref()),
            Self::NotFound { .. } | Self::Unsendable { .. } | Self::SourceShort { .. } | Self::Crash(_) => None,
        }
    }
}

impl From<Fault> for LabError {
    fn from(fault: Fault) -> Self {
        Self::Peer(fault)
    }
}
