//! The two lab dialects, `pipe` and `addfile`, each written twice.
//!
//! Two university labs called "File transfer over TCP" are where this project starts from. For each of them there are
//! two implementations over the same stream traits, and both roles of each:
//!
//! - **naive** does what the labs' listings do, pitfalls included: one read is one message, the count that a write
//!   returns is ignored, the old file is emptied first, the ACK goes out before anything is durable. Where Python would
//!   raise, it returns [`LabError::Crash`];
//! - **careful** buffers, loops, bounds, and checks everything that the wire allows to be checked. What the wire makes
//!   impossible is a *protocol fault*, named by its [`Pitfall`], with two intents that share their bytes in [`witness`].
//!
//! Reading order: [`limits`], [`pitfall`], [`name`], [`error`], [`event`], [`files`], [`io`] (the shared vocabulary), then
//! [`pipe`] and [`addfile`] (in each: `decoder`, the pure state machine; `careful`; `naive`), then [`mod@detect`] and [`replay`], which tell the
//! dialects apart by the first bytes.
//!
//! Left to the caller: sockets, `SO_REUSEADDR` (`time-wait`), name resolution, disks, and time. Every future here may wait
//! for ever on a silent peer (`no-timeout`): wrap it, or the stream, in a deadline.

pub mod addfile;
pub mod detect;
pub mod error;
pub mod event;
pub mod files;
pub mod io;
pub mod limits;
pub mod name;
pub mod pipe;
pub mod pitfall;
mod python;
pub mod replay;
#[cfg(test)]
mod testing;
pub mod witness;

pub use detect::{Detected, Foreign, detect, detect_after_quiet, foreign_response};
pub use error::{Crash, Fault, LabError, Outcome, Stage};
pub use event::{LabEvent, Observer, Unobserved};
pub use files::{LabFiles, MemoryFiles, RawFiles};
pub use io::{AtOnce, Moment, Never, PeerClose, Quiet};
pub use name::{Escaped, LabName, NameError};
pub use pitfall::{Lab, Pitfall, Whose};
pub use replay::{Replay, sniff};

/// How a text (`send_text` of lab B, the metadata of lab A) ends on the wire.
///
/// The labs do not show `send_text`; programs written for them do either. A careful receiver accepts both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TextEnd {
    /// Nothing ends it: the reader takes what one `recv(1024)` returns.
    #[default]
    Bare,
    /// A line feed ends it.
    Newline,
}

impl TextEnd {
    /// The bytes that end a text.
    #[must_use]
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::Bare => b"",
            Self::Newline => b"\n",
        }
    }
}
