//! Lab B, dialect `addfile`: a command, a file name, then data; one request a connection.
//!
//! ```text
//! client                              server
//!   "addfile"  name  ----------->
//!   <---------------------------  "file recv\n"        ACK1
//!   data             ----------->                      no length: half-close, or a quiet moment
//!   <---------------------------  "file data recv\n"   ACK2
//!
//!   "UPLOAD"   name  ----------->
//!   <---------------------------  "OK" | "NOT FOUND"
//!   data, half-close ----------->                      no confirmation
//!
//!   "DOWNLOAD" name  ----------->
//!   <---------------------------  "OK", data, close | "NOT FOUND"
//! ```
//!
//! Commands, names and statuses are texts in either reading ([`TextEnd`]); ACK1 and ACK2 have their line feed in both. What
//! `addfile` sends is stored as `server_` and the name; `UPLOAD` and `DOWNLOAD` use the name itself.

pub mod careful_client;
pub mod careful_server;
pub mod decoder;
pub mod naive;
mod reply;
#[cfg(test)]
mod tests;

pub use reply::{ConfirmationDecoder, ConfirmationEvent, StatusDecoder, StatusEvent};

use super::TextEnd;
use super::error::LabError;
use super::name::LabName;
use super::pitfall::Pitfall;

/// The default port of lab B.
pub const DEFAULT_PORT: u16 = 80;

/// ACK1, with its line feed.
pub const ACK1: &str = "file recv\n";

/// ACK2, with its line feed.
pub const ACK2: &str = "file data recv\n";

/// The status of a request that is served.
pub const OK: &str = "OK";

/// The status of a request that is not.
pub const NOT_FOUND: &str = "NOT FOUND";

/// A request. No word is the beginning of another, so a word is known by its last letter, terminated or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Command {
    /// `UPLOAD`
    Upload,
    /// `DOWNLOAD`
    Download,
    /// `addfile`
    Addfile,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 3] = [Self::Upload, Self::Download, Self::Addfile];

    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Upload => "UPLOAD",
            Self::Download => "DOWNLOAD",
            Self::Addfile => "addfile",
        }
    }
}

/// What a careful side of this dialect may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// How a client ends its texts. A server answers in the reading in which it was asked.
    pub text_end: TextEnd,
    /// Whether to pause between two messages of one direction, so that a naive peer's reads keep them apart
    /// (`coalesced-messages`, `status-data-merge`). Costs one [`super::Moment::Separate`] each.
    pub pause: bool,
    /// What a server takes for the end of `addfile`'s data.
    pub data_end: DataEnd,
}

impl Default for Options {
    fn default() -> Self {
        Self { text_end: TextEnd::Bare, pause: true, data_end: DataEnd::EofOrQuiet }
    }
}

/// What ends data that has no length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataEnd {
    /// EOF only. A client that awaits ACK2 without a half-close then waits until a deadline.
    EofOnly,
    /// EOF, or a quiet moment after at least one byte: a guess, repaired when late data proves it wrong.
    EofOrQuiet,
}

/// The bytes of a request's name, checked for what the wire can carry.
///
/// # Errors
///
/// [`LabError::Unsendable`] for a line feed or carriage return in the name (`delimiter-in-name`) or a name that is not UTF-8.
fn sendable(name: &LabName) -> Result<&[u8], LabError> {
    let bytes = name.as_bytes();
    let unsendable = |pitfall| LabError::Unsendable { name: name.clone(), pitfall };
    if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err(unsendable(Pitfall::DelimiterInName));
    }
    if std::str::from_utf8(bytes).is_err() {
        return Err(unsendable(Pitfall::Utf8Split));
    }
    Ok(bytes)
}
