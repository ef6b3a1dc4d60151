//! Lab A, dialect `pipe`: `name|size`, then `ACK`, then the body. One file a connection, client to server.
//!
//! ```text
//! client                          server
//!   "data.txt|1024"  ---------->            no terminator: `split-digits` is the protocol's fault
//!   <----------------------------  "ACK"    three bytes, no terminator
//!   1024 bytes       ---------->
//!   close                                   no final ACK: `no-final-ack` is the protocol's fault
//! ```

pub mod careful;
pub mod decoder;
pub mod naive;
#[cfg(test)]
mod tests;

use super::limits::SIZE_MAX;
use super::name::{Escaped, LabName};
use super::pitfall::Pitfall;
use super::{LabError, TextEnd};

/// The default endpoint of lab A.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1";

/// The default port of lab A.
pub const DEFAULT_PORT: u16 = 65432;

/// The confirmation of the metadata.
pub const ACK: &[u8] = b"ACK";

/// What a side of this dialect may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// How a sender ends the metadata. The listing's server reads both: `int("10\n")` is 10. Receivers accept both.
    pub text_end: TextEnd,
    /// Largest size that a receiver accepts, in bytes.
    pub size_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { text_end: TextEnd::Bare, size_max: SIZE_MAX }
    }
}

/// The metadata text for a file.
///
/// # Errors
///
/// [`LabError::Unsendable`] when the listing's server would read another name, or die of it: a `|` in the name
/// (`delimiter-in-name`), bytes that are not UTF-8.
pub fn metadata(name: &LabName, size: u64, end: TextEnd) -> Result<Vec<u8>, LabError> {
    let unsendable = |pitfall| LabError::Unsendable { name: name.clone(), pitfall };
    if name.as_bytes().contains(&b'|') {
        return Err(unsendable(Pitfall::DelimiterInName));
    }
    if std::str::from_utf8(name.as_bytes()).is_err() {
        return Err(unsendable(Pitfall::Utf8Split));
    }
    Ok([name.as_bytes(), b"|", size.to_string().as_bytes(), end.bytes()].concat())
}

/// A file that was announced.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// The name, checked.
    pub name: LabName,
    /// The stated size, in bytes.
    pub size: u64,
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}|{}", Escaped(self.name.as_bytes()), self.size)
    }
}
