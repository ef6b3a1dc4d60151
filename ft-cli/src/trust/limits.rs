//! Every bound of this folder, each with its unit and its reason.

use std::time::Duration;

/// Wrong codes that a receiver takes before its code is burnt. With a code of 28 bits, a stranger's chance is one in
/// hundred million.
pub(super) const TRIES: u32 = 3;

/// Time for the list of keys and a certificate to be read again: they may be on a disk that does not answer.
pub(super) const RELOAD_PATIENCE: Duration = Duration::from_secs(30);

/// Time for a sender to take the last word about its code. It knows then; whether it goes at once is its own matter.
pub(super) const LAST_WORD: Duration = Duration::from_secs(2);

/// Time for the whole exchange about a code, from the first byte on.
pub(super) const CODE_EXCHANGE: Duration = Duration::from_secs(10);

/// Longest code that is read, bytes: a number and two words have at most 20.
pub(super) const CODE_MAX: usize = 64;

/// Exchanges about a code at a time; more connections are closed at once.
pub(super) const EXCHANGES: usize = 16;

/// Bytes read from a socket at once for TLS. The library asks for 4 KiB at a time, which would be a system call for a
/// quarter of a record; this is sixteen records.
pub(super) const READ_AHEAD: usize = 256 * 1024;

/// Bytes that come before that is worth its memory.
pub(super) const READ_AHEAD_FROM: usize = 64 * 1024;

/// Plaintext that waits, encrypted, for a socket that takes no more, bytes.
pub(super) const WRITE_BUFFER: usize = 256 * 1024;

/// Largest identity, certificate or list of keys that is read, bytes: they are written by hand or by this program.
pub(super) const FILE_MAX: u64 = 1024 * 1024;

/// Time for a person to compare two fingerprints and answer. Who has gone away has not agreed.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(120);
