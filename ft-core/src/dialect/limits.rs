//! Every bound of the lab dialects, with its unit and reason.

/// Longest name accepted or sent, in bytes: the longest component that common file systems store.
pub const NAME_MAX: usize = 255;

/// Longest metadata text or request text read before it is refused, in bytes: what the listings' `recv(1024)` can hold.
pub const TEXT_MAX: usize = 1024;

/// Most digits of a stated size: `u64::MAX` has 20, and a sender may pad with zeros (`size-overflow`).
pub const SIZE_DIGITS_MAX: usize = 20;

/// Largest size accepted by default, in bytes: the largest file offset a POSIX system can express (`size-overflow`).
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// One read of a careful implementation, in bytes: large enough that a call costs nothing beside the copy, small enough
/// for the 64 KiB that a peer may cost before it is trusted.
pub const READ_BUFFER: usize = 32 * 1024;

/// A file up to this size is read and sent at once, in bytes: most lab files are smaller, and zeroing more would be most
/// of what sending them costs.
pub const SMALL_FILE: usize = 8 * 1024;

/// One `recv` of text or of lab A's body in the listings, in bytes.
pub const LISTING_RECV: usize = 1024;

/// One `recv` of lab B's body in the listing, in bytes.
pub const LISTING_RECV_DATA: usize = 4096;

/// Most bytes read and thrown away before closing on a peer that was refused, in bytes: enough for what is usually in
/// flight (so that no RST destroys what the peer has not read), and no more than one socket buffer's worth of work.
pub const LINGER_MAX: usize = 1024 * 1024;

/// Times that silence may be taken for the end of lab B's data and prove wrong, before only the half-close is believed: each
/// costs a copy of the whole file, and a client that is cut into so many pieces is rather a hostile one.
pub const WRONG_GUESSES_MAX: u32 = 8;

/// Most bytes quoted in an error, in bytes: a line of a terminal.
pub const QUOTE_MAX: usize = 64;
