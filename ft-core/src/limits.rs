//! Every bound of ft/1, in one place, each with its unit and its reason (PROTOCOL §9).
//!
//! A bound that a peer could exceed is checked before anything is allocated for it.

/// Oldest and newest protocol version that this code speaks.
pub const VERSION_MIN: u16 = 1;
/// See [`VERSION_MIN`].
pub const VERSION_MAX: u16 = 1;

/// Bytes of a frame header. Fixed for ever: a peer of any version can find the end of a frame.
pub const HEADER_LEN: usize = 28;

/// Bytes of the preamble.
pub const PREAMBLE_LEN: usize = 16;

/// Largest payload of a control frame, bytes. The longest legal one is an OFFER with a 4 KiB path and a 4 KiB link
/// target; twice that leaves room for later fields and keeps an unauthenticated peer below 64 KiB.
pub const MAX_CONTROL: usize = 16 * 1024;

/// Largest payload of a DATA frame, bytes: long enough that headers cost nothing, short enough that an ERROR in the
/// other direction is never a second away on a 10 Mbit/s path.
pub const MAX_DATA: u32 = 1024 * 1024;

/// Shortest content that is tried to be compressed, bytes: of less, header and tables eat the gain.
pub const COMPRESS_LEAST: usize = 128;

/// zstd's level: the fastest of its usual ones. A path that is slower than that is helped most by it already.
pub const COMPRESS_LEVEL: i32 = 1;

/// Compressed content must be smaller by one part in so many, or it is sent as it is: less is not worth unpacking.
pub const COMPRESS_SHARE: usize = 16;

/// After chunks in vain one in 2, 4 … 2^this is tried: content that does not shrink costs next to nothing.
pub const COMPRESS_PATIENCE: u32 = 5;

/// Longest HOLE, bytes. A hole costs no network but must still be hashed; the bound ties work to frames received.
pub const MAX_HOLE: u64 = 16 * 1024 * 1024;

/// Unit of verified resume, bytes: a complete BLAKE3 subtree, so a prefix is stated in at most 43 hashes.
pub const RESUME_UNIT: u64 = 1024 * 1024;

/// Most subtree hashes in one ACK1: one for each bit of a file size counted in [`RESUME_UNIT`].
pub const MAX_SUBTREES: usize = 43;

/// Largest file, bytes: offsets stay positive where a file system counts in signed 64 bits.
pub const MAX_FILE: u64 = i64::MAX as u64;

/// Longest path component, bytes: NAME_MAX of every file system in use.
pub const MAX_COMPONENT: usize = 255;

/// Longest path, bytes, separators counted: PATH_MAX on Linux.
pub const MAX_PATH: usize = 4096;

/// Deepest path, components: deeper trees are almost surely loops or attacks.
pub const MAX_DEPTH: usize = 128;

/// Longest text in an ERROR, a refusal or a DONE, bytes.
pub const MAX_TEXT: usize = 512;

/// Longest agent string in HELLO, bytes.
pub const MAX_AGENT: usize = 64;

/// Streams that a client may open before it has seen the server's HELLO.
pub const INITIAL_STREAMS: u32 = 256;

/// Bytes of OFFER payloads on open streams before the server's HELLO: with buffers, below 64 KiB for a stranger.
pub const INITIAL_OFFER_BYTES: u32 = 32 * 1024;

/// Streams open at once (offered, not yet closed), which our receiver announces. More than [`GROUP_FILES`], so that a
/// full group of files can wait for its sync while the next one arrives.
pub const MAX_STREAMS: u32 = 12 * 1024;

/// Bytes of OFFER payloads on open streams, which our receiver announces: with content, a connection has 8 MiB to keep.
pub const MAX_OFFER_BYTES: u32 = 2 * 1024 * 1024;

/// What a peer can make us keep, bytes of frames: [`MAX_OFFER_BYTES`] of offers and their streams, [`IN_FLIGHT_BYTES`] of content
/// and the frames that wait. A server with a hundred peers must fit into a small machine.
pub const CONNECTION_BYTES: u64 = 8 * 1024 * 1024;

/// What an open stream costs besides its OFFER, bytes: its states in the machine and in the storage.
pub const STREAM_BYTES: u64 = 128;

/// Files synced together at most. Large, because a file-system sync costs nearly the same for one file as for thousands.
pub const GROUP_FILES: usize = 1024;

/// Content of a sync group, bytes, at which it is committed without waiting for more.
pub const GROUP_BYTES: u64 = 256 * 1024 * 1024;

/// Content still to come on the current stream, bytes, above which a group does not wait for it.
pub const GROUP_PATIENCE: u64 = 8 * 1024 * 1024;

/// Content bytes that a receiver holds unwritten, or a sender holds unsent: bounds memory, and is enough for a disk and
/// a network to work at the same time.
pub const IN_FLIGHT_BYTES: u64 = 4 * 1024 * 1024;

/// What a write or a hole under way costs besides its bytes: a page-aligned buffer and its place in queues. Without it a
/// peer could fill memory with frames of one byte.
pub const OPERATION: u64 = 8 * 1024;

/// Reads that a sender has under way at once: small files are read ahead while others are on the wire.
pub const IN_FLIGHT_READS: usize = 128;

/// Size of one content buffer, bytes.
pub const CHUNK: usize = 1024 * 1024;

/// Entries asked of a source at a time.
pub const WALK_BATCH: usize = 256;

/// Bytes that a closing side reads and throws away, so that its last words are not destroyed by an RST.
pub const LINGER_BYTES: u64 = 16 * 1024 * 1024;

/// Encoded bytes queued for the peer above which a machine makes no more of its own accord.
pub const OUT_QUEUE_BYTES: usize = 1024 * 1024;

/// Bytes before those of a segment: where they belong, how many, and a checksum (PROTOCOL §7.8).
pub const SEGMENT_HEADER: usize = 16;

/// Longest segment, bytes: as a DATA frame.
pub const MAX_SEGMENT: u32 = 1024 * 1024;

/// Longest segment that we send, bytes: so much waits for a connection that is slow while others have room, and headers cost
/// nothing yet.
pub const SEGMENT: usize = 128 * 1024;

/// Connections that may join one session: more than eight together were not measured to help.
pub const MAX_JOINED: u8 = 7;

/// WANT frames in one session: a pull names its files and folders; a longer list is several sessions.
pub const MAX_WANTS: u32 = 4096;

/// Path bytes of all WANTs of one session: they wait in memory until their turn.
pub const MAX_WANT_BYTES: usize = 1024 * 1024;
