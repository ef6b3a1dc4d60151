//! A lab party's last words: what it claims, and how it puts it.

use std::fmt::{self, Display};
use std::rc::Rc;

use ft_core::dialect::{LabError, LabName, Outcome as Known, PeerClose};

/// What a party says at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) words: Words,
    /// It says that the whole file is where it belongs.
    pub(super) success: bool,
    /// Python would have died.
    pub(super) crashed: bool,
}

/// A party's last words. A search makes hundreds of thousands of these a second and reads hardly one, so that the usual
/// ones are not text yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// A naive client has sent so many bytes of so many.
    Exit(u64, u64),
    /// A careful client has sent so many bytes and saw its peer close like this.
    Unknown(u64, PeerClose),
    /// A naive server has saved so many bytes of so many; what was stated may be negative.
    Saved(String, u64, i128),
    /// A careful server has stored so many bytes.
    Stored(LabName, u64),
    Text(String),
    /// What became of it, and why.
    Failed(&'static str, Reason),
}

/// An error that is put into words when somebody asks.
#[derive(Clone, Debug)]
pub(super) struct Reason(Rc<LabError>);

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Reason {}

impl Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(sent, of) => write!(f, "exit 0: sent {sent} of {of} bytes"),
            Self::Unknown(sent, close) => write!(f, "unknown: {sent} bytes sent, peer close {close:?}"),
            Self::Saved(name, received, of) => write!(f, "saved {name:?}: {received} of {of} bytes"),
            Self::Stored(name, len) => write!(f, "stored {:?}: {len} bytes", name.to_string()),
            Self::Text(text) => f.write_str(text),
            // Python's exceptions have their class in front.
            Self::Failed(what, reason) => {
                let reason = reason.to_string();
                write!(f, "{what}: {}", reason.strip_prefix("crashed: ").unwrap_or(&reason))
            }
        }
    }
}

impl Words {
    /// The same, but for how the peer closed: a hint that depends on when it was looked at.
    pub(super) fn same(&self, other: &Self) -> bool {
        if let (Self::Unknown(here, _), Self::Unknown(there, _)) = (self, other) {
            return here == there;
        }
        self == other
    }

    /// The beginning, for the trace.
    pub(super) fn short(&self) -> &str {
        match self {
            Self::Exit(..) => "exit 0",
            Self::Unknown(..) => "unknown",
            Self::Saved(..) => "saved",
            Self::Stored(..) => "stored",
            Self::Failed(what, _) => what,
            Self::Text(text) => text.split([':', ',', '"']).next().unwrap_or_default().trim_end(),
        }
    }
}

impl Said {
    pub(super) fn success(words: Words) -> Self {
        Self { words, success: true, crashed: false }
    }

    pub(super) fn less(words: impl Into<String>) -> Self {
        Self { words: Words::Text(words.into()), success: false, crashed: false }
    }

    pub(super) fn error(error: LabError) -> Self {
        let crashed = matches!(error, LabError::Crash(_));
        let what = match error.outcome() {
            Known::Unknown => "unknown",
            Known::Completed | Known::Failed if crashed => "dies",
            Known::Completed | Known::Failed => "failed",
        };
        Self { words: Words::Failed(what, Reason(Rc::new(error))), success: false, crashed }
    }
}
