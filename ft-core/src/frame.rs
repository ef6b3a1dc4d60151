//! Frames as plain values (PROTOCOL §5). How they look in bytes is `codec`'s business.

use crate::error::FileError;
use crate::hash::{Root, Subtree};
use crate::join::{Invite, Join};
use crate::path::RelPath;

/// Names one file in one session; the sender counts 1, 2, 3 … without gaps. 0 is the session itself.
pub type StreamId = u32;

/// What the client came for (PROTOCOL §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intent {
    /// The client sends files.
    Push,
    /// The client asks for files.
    Pull,
    /// The client asks what files there are.
    List,
}

/// First frame of each side (PROTOCOL §5.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hello {
    /// `Some` from a client, `None` in a server's answer.
    pub intent: Option<Intent>,
    /// Streams that this side, as a receiver, lets be open at once.
    pub max_streams: u32,
    /// Bytes of OFFER payloads on open streams that this side, as a receiver, accepts.
    pub max_offer_bytes: u32,
    /// Optional features, a bit each; unknown bits are ignored, a feature is used when both sides set it.
    pub features: u64,
    /// Program and version, for people; never acted on.
    pub agent: String,
}

/// What kind of thing an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder; offered after everything in it, so that its times survive.
    Folder,
    /// A symbolic link; its target is in [`Meta::target`].
    Link,
}

/// Name and metadata of one entry: the body of OFFER and of ENTRY (PROTOCOL §5.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Meta {
    /// Where it goes, beneath the receiver's root (push) or beneath the folder that holds what was wanted (pull).
    pub path: RelPath,
    /// What it is.
    pub kind: Kind,
    /// Length in bytes; `None` when the sender cannot know (a pipe). 0 for folders and links.
    pub size: Option<u64>,
    /// Permission bits (0o777), if the sender has them.
    pub mode: Option<u16>,
    /// Modification time, if the sender has it.
    pub mtime: Option<Mtime>,
    /// Target of a symbolic link, raw; empty otherwise.
    pub target: Vec<u8>,
}

/// Seconds since 1970-01-01 UTC (may be negative) and nanoseconds 0..1e9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mtime {
    /// Whole seconds, rounded down.
    pub secs: i64,
    /// Nanoseconds after `secs`.
    pub nanos: u32,
}

/// What to do about an existing file of that name: a wish of the sender, the receiver's policy wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overwrite {
    /// As the receiver thinks best.
    Default,
    /// Refuse.
    Never,
    /// Put the new file in the old one's place.
    Replace,
    /// Keep both: the new one gets another name, told in ACK2.
    KeepBoth,
}

/// How hard the receiver tries to find that it has the file already (PROTOCOL §6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compare {
    /// Not at all: send it.
    None,
    /// Equal size and modification time count as equal.
    Quick,
    /// Equal size and equal hash count as equal.
    Content,
}

/// What ACK2 promises (PROTOCOL §6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Under its final name, in the page cache: survives a killed process, not a power cut.
    Cached,
    /// File, name and every folder above it synced: survives a power cut.
    Durable,
}

/// "Here is a file": the sender's proposal (PROTOCOL §5.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Offer {
    /// Which WANT it answers; 0 in a push.
    pub want: u32,
    /// Name and metadata.
    pub meta: Meta,
    /// Wish about an existing file.
    pub overwrite: Overwrite,
    /// Wish about comparing.
    pub compare: Compare,
    /// Least level that the sender asks for.
    pub level: Level,
}

/// The receiver's answer to an OFFER (PROTOCOL §5.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Send all of it.
    Send,
    /// The first bytes are here, with these subtree hashes: continue at the first that differs (PROTOCOL §6.3). Without
    /// hashes they are hashed while the rest is on its way, and the root tells whether they were right.
    Resume(Vec<Subtree>),
    /// Size and time are equal: nothing to send, ACK2 follows.
    SameMeta,
    /// A file of this size is here, with this root: END with the same root takes it, DATA from 0 replaces it.
    SameContent(Root),
    /// No. The session goes on.
    Refused(FileError),
}

/// "I want this": a pull or a listing (PROTOCOL §5.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Want {
    /// What, beneath the server's root; empty is the root itself.
    pub path: RelPath,
    /// Levels of folders to enter: 0 only the thing itself, [`u16::MAX`] everything beneath.
    pub depth: u16,
    /// What to do about symbolic links.
    pub links: Links,
    /// No WANT follows.
    pub last: bool,
}

/// What a sender does about symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Links {
    /// Leave them out.
    Skip,
    /// Offer them as links.
    Keep,
    /// Offer what they point to, if that is beneath the root.
    Follow,
}

/// A frame without the raw bytes of DATA and ZDATA: those follow their header on the wire and beside it in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Frame {
    /// First frame of each side.
    Hello(Hello),
    /// A stream failed (id > 0) or the session ends (id 0).
    Error(StreamId, FileError),
    /// Nothing more comes from this side.
    Goodbye,
    /// First frame of a connection that joins a session, and the server's answer to it (PROTOCOL §7.8).
    Join(Join),
    /// Sender: what follows is in segments over so many more connections.
    Spread(u8),
    /// Optional, server to client: connections may join.
    Invite(Invite),
    /// Client to server: asks for files or a listing. The number is the want's own: 1, 2, 3 …
    Want(u32, Want),
    /// Server to client: want number, entries offered or listed, and why no more if it failed.
    Done(u32, u32, Option<FileError>),
    /// Server to client: one line of a listing, for that want.
    Entry(u32, Meta),
    /// Sender: here is a file.
    Offer(StreamId, Offer),
    /// Receiver: what to do about it. The number is the length in bytes that `Resume` is about.
    Ack1(StreamId, u64, Verdict),
    /// Sender: the next `len` bytes of the stream, beginning at `offset`.
    Data {
        /// The stream.
        stream: StreamId,
        /// Position of the first byte in the file.
        offset: u64,
        /// Bytes that follow the header.
        len: u32,
    },
    /// Sender: the same, compressed; only where both sides announced that they can (PROTOCOL §5.9).
    Zdata {
        /// The stream.
        stream: StreamId,
        /// Position of the first byte in the file.
        offset: u64,
        /// Bytes of content.
        len: u32,
        /// Bytes of the zstd frame.
        packed: u32,
    },
    /// Sender: `len` zero bytes at `offset`.
    Hole {
        /// The stream.
        stream: StreamId,
        /// Position of the first byte in the file.
        offset: u64,
        /// How many zero bytes.
        len: u64,
    },
    /// Sender: that was all: size and root.
    End(StreamId, u64, Root),
    /// Receiver: stored.
    Ack2(StreamId, Ack2),
    /// Optional: still working; stream and how far.
    Alive(StreamId, u64),
}

impl Frame {
    /// Its name in the document, such as `OFFER`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "HELLO",
            Self::Error(..) => "ERROR",
            Self::Goodbye => "GOODBYE",
            Self::Join(_) => "JOIN",
            Self::Spread(_) => "SPREAD",
            Self::Invite(_) => "INVITE",
            Self::Want(..) => "WANT",
            Self::Done(..) => "DONE",
            Self::Entry(..) => "ENTRY",
            Self::Offer(..) => "OFFER",
            Self::Ack1(..) => "ACK1",
            Self::Data { .. } => "DATA",
            Self::Zdata { .. } => "ZDATA",
            Self::Hole { .. } => "HOLE",
            Self::End(..) => "END",
            Self::Ack2(..) => "ACK2",
            Self::Alive(..) => "ALIVE",
        }
    }
}

/// "It is stored": the receiver's promise (PROTOCOL §5.7).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ack2 {
    /// Size of what is stored, bytes.
    pub size: u64,
    /// What was reached.
    pub level: Level,
    /// Hash of what is stored; all zero when it was taken on size and time (`Verdict::SameMeta`).
    pub root: Root,
    /// The final name.
    pub path: RelPath,
}
