//! Every bound of this folder, each with its unit and its reason.

use std::time::Duration;

/// Bytes read from a socket at once for TLS. The library asks for 4 KiB at a time, which would be a system call for a
/// quarter of a record; this is sixteen records.
pub(super) const READ_AHEAD: usize = 256 * 1024;

/// Plaintext that waits, encrypted, for a socket that takes no more, bytes.
pub(super) const WRITE_BUFFER: usize = 256 * 1024;

/// Largest identity, certificate or list of keys that is read, bytes: they are written by hand or by this program.
pub(super) const FILE_MAX: u64 = 1024 * 1024;

/// Time for a person to compare two fingerprints and answer. Who has gone away has not agreed.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(120);
