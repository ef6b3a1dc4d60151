//! What the machines ask of files, as messages: an operation goes in, its completion comes back later.
//!
//! Not a file API. A session submits operations and polls for completions, so that one implementation can be a map in
//! memory, one a disk with threads, and one a disk that crashes on purpose, and none of them blocks the stream. Content
//! travels beside the operations in [`Buf`]s and is never copied on the way.
//!
//! Contract, for both traits: operations of one stream (or item) complete in the order of submission; across streams any
//! order is allowed. Every operation completes exactly once. After an operation on a stream failed, later ones on that
//! stream complete as failed too. Dropping the value abandons what is unfinished, and leaves what a crash would leave.

use std::task::{Context, Poll};

use crate::carry::Bulk;
use crate::error::FileError;
use crate::frame::{Ack2, Level, Links, Meta, Offer, StreamId};
use crate::hash::{Root, Subtree};
use crate::path::RelPath;

/// A content buffer: page-aligned from a page on, because reads and writes of unaligned memory run at half speed.
pub struct Buf {
    memory: Vec<u8>,
    start: usize,
    capacity: usize,
    len: usize,
}

const PAGE: usize = 4096;

/// Memory is made in a few sizes, so that what held one small file can hold the next.
const LARGEST_ROUNDED: usize = 64 * 1024;

/// Bytes to make room for when `capacity` is needed. Of less than half a page nothing is gained by using it again, or by
/// alignment, and small files are many.
fn room_for(capacity: usize) -> usize {
    match capacity {
        0..=2048 => capacity,
        _ if capacity <= LARGEST_ROUNDED => capacity.next_power_of_two().max(PAGE),
        _ => capacity,
    }
}

/// How much of `memory` bytes goes to alignment.
fn slack_for(memory: usize) -> usize {
    if memory < 2 * PAGE { 0 } else { PAGE }
}

impl Buf {
    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        let room = room_for(capacity);
        let slack = slack_for(room + PAGE);
        let memory = vec![0; room + slack];
        let start = memory.as_ptr().align_offset(PAGE).min(slack);
        Self { memory, start, capacity, len: 0 }
    }

    /// A buffer that holds a copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut buf = Self::with_capacity(bytes.len());
        buf.spare()[..bytes.len()].copy_from_slice(bytes);
        buf.advance(bytes.len());
        buf
    }

    /// The bytes that it holds.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    /// The room behind them.
    pub fn spare(&mut self) -> &mut [u8] {
        let from = self.start + self.len;
        let to = self.start + self.capacity();
        &mut self.memory[from..to]
    }

    /// Counts `n` bytes of the room as held.
    ///
    /// # Panics
    /// If there is less room.
    pub fn advance(&mut self, n: usize) {
        assert!(self.len + n <= self.capacity(), "advanced past the buffer");
        self.len += n;
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that it can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Empties it to hold up to `capacity` bytes; `None`, and its memory is gone, when that is not large enough.
    pub fn reuse(mut self, capacity: usize) -> Option<Self> {
        self.len = 0;
        self.capacity = capacity;
        (capacity <= self.room()).then_some(self)
    }

    /// Bytes that its memory has room for.
    pub(crate) fn room(&self) -> usize {
        self.memory.len() - slack_for(self.memory.len())
    }

    /// Forgets what it holds, keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

impl std::fmt::Debug for Buf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buf({} of {})", self.len, self.capacity())
    }
}

/// Operations of the receiving side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LandOp {
    /// Decide about an offer: name, policy, space, what is there already. Completes with [`LandDone::Prepared`].
    Prepare(StreamId, Offer),
    /// Append content at an offset; its bytes come beside. The offset is where the stream stands, or, for the first
    /// write, 0 or a boundary of the stated prefix: then what lies behind it is dropped. Completes with
    /// [`LandDone::Wrote`].
    Write {
        /// The stream.
        stream: StreamId,
        /// Position in the file.
        offset: u64,
        /// Bytes beside.
        len: u64,
    },
    /// As `Write`, for zeros: no bytes beside.
    Hole {
        /// The stream.
        stream: StreamId,
        /// Position in the file.
        offset: u64,
        /// Zero bytes.
        len: u64,
    },
    /// All content is there (`size` bytes): finish hashing. Completes with [`LandDone::Finished`].
    Finish(StreamId, u64),
    /// Put these files under their final names, in this order, at the level that each offer asked for: metadata, sync
    /// of all contents, renames, sync of all folders, and each step reported by [`LandDone::Step`] when it is done.
    /// Completes with one [`LandDone::Landed`] or [`LandDone::Failed`] for each stream.
    /// A stream whose `Prepare` found the same file is committed without content.
    Commit(Vec<StreamId>),
    /// Forget a stream; keep what was written for a later resume if asked and possible. Completes with
    /// [`LandDone::Discarded`].
    Discard(StreamId, Keep),
}

/// What to do with content that did not become a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keep {
    /// Keep it for a resume.
    Partial,
    /// Keep it for a resume that states hashes: it is not what was offered, or not all of it.
    Doubted,
    /// It is wrong or unwanted: remove it.
    Nothing,
}

/// What `Prepare` found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Prepared {
    /// Nothing useful is there.
    Fresh,
    /// A partial of `len` bytes (see [`crate::hash::statable`]) with these subtree hashes.
    Partial {
        /// Whole resume units, bytes.
        len: u64,
        /// As [`crate::hash::decompose`] orders them. None of them: it came from a file of this name and time, and is hashed
        /// while the rest comes.
        subtrees: Vec<Subtree>,
    },
    /// A file with the offered size and time is there and the offer allows to trust that.
    SameMeta,
    /// A file of the offered size is there, with this root, and the offer asked to compare.
    SameContent(Root),
    /// The offer is refused; the stream is forgotten.
    Refused(FileError),
}

/// A step on the way of a file to durability, for traces and the invariant ORDER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The content is synced.
    Synced,
    /// The final name is in place.
    Renamed,
    /// The folder of the name, and new folders above it, are synced.
    DirSynced,
}

/// Completions of the receiving side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LandDone {
    /// Of `Prepare`.
    Prepared(StreamId, Prepared),
    /// Of `Write` and `Hole`: done, with the length that was submitted.
    Wrote(StreamId, u64),
    /// Of `Finish`.
    Finished(StreamId, Root),
    /// Within `Commit`: one stream has come one step further.
    Step(StreamId, Step),
    /// Of `Commit`, for one stream: it is under its final name.
    Landed(StreamId, Ack2),
    /// Of `Discard`.
    Discarded(StreamId),
    /// Instead of any of the above but `Discarded`: the stream is broken; `Discard` it. For `Write` and `Hole` with the
    /// length that was submitted, for others with 0.
    Failed(StreamId, u64, FileError),
}

/// Where received files go. See the contract above.
pub trait Storage {
    /// Starts an operation; `content` is there for `Write` and only then. Never blocks.
    fn submit(&mut self, op: LandOp, content: Option<Bulk>);

    /// The next completion, with a buffer or parcel that may be used again.
    ///
    /// # Cancel safety
    /// Nothing is lost when the caller stops polling.
    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(LandDone, Option<Bulk>)>;
}

/// Names an entry that a source has given out; chosen by the source.
pub type ItemId = u64;

/// Operations of the sending side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SourceOp {
    /// Prepare to walk what was wanted. No completion of its own: failures come with the first `Next`.
    /// Want 0, what a push was told to send, is open from the beginning.
    Open {
        /// The want's number.
        want: u32,
        /// Beneath the served root.
        path: RelPath,
        /// Levels of folders to enter.
        depth: u16,
        /// What to do about symbolic links.
        links: Links,
    },
    /// The next entries of a want, at most `max`. Completes with [`SourceDone::Entries`].
    Next {
        /// The want's number.
        want: u32,
        /// Most entries wanted.
        max: usize,
    },
    /// Find how far the receiver's prefix of `len` bytes is equal. Completes with [`SourceDone::Checked`].
    Check {
        /// The entry.
        item: ItemId,
        /// Length of the prefix, bytes.
        len: u64,
        /// As [`crate::hash::decompose`] orders them. None of them: there is nothing to compare with, and the source may take
        /// it for equal or not.
        subtrees: Vec<Subtree>,
    },
    /// Hash the whole entry. Completes with [`SourceDone::Hashed`].
    Hash(ItemId),
    /// The next content of a file (never of a folder or link): the first `Read` of an item is at 0 or at the boundary that `Check` gave, each following where
    /// the last ended. Completes with [`SourceDone::Content`] or [`SourceDone::Hole`].
    Read {
        /// The entry.
        item: ItemId,
        /// Position in the file.
        offset: u64,
        /// Most bytes wanted.
        max: usize,
    },
    /// Nothing more is wanted of this entry. No completion.
    Close(ItemId),
}

/// An entry that a source offers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Item {
    /// Its name towards the source.
    pub id: ItemId,
    /// Its name and metadata towards the peer.
    pub meta: Meta,
}

/// Completions of the sending side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SourceDone {
    /// Of `Next`: some entries, and whether the want is exhausted (`Some`), with the reason if it failed.
    Entries {
        /// The want's number.
        want: u32,
        /// What was found, in the order to offer.
        items: Vec<Item>,
        /// No more come; `Err` says why not all.
        end: Option<Result<(), FileError>>,
    },
    /// Of `Check`: the first `offset` bytes are equal, or believed to be; 0 or a boundary of the decomposition.
    Checked(ItemId, u64),
    /// Of `Hash`.
    Hashed(ItemId, Root),
    /// Of `Read`: `len` bytes (beside) at `offset`; with the root if this was the end. `len` is 0 only at the end.
    Content {
        /// The entry.
        item: ItemId,
        /// Position in the file.
        offset: u64,
        /// Bytes beside.
        len: u64,
        /// The end, and the root over everything from byte 0.
        end: Option<Root>,
    },
    /// Of `Read`: `len` zero bytes at `offset` that are not stored; otherwise as `Content`.
    Hole {
        /// The entry.
        item: ItemId,
        /// Position in the file.
        offset: u64,
        /// Zero bytes, at most [`crate::limits::MAX_HOLE`].
        len: u64,
        /// The end, and the root over everything from byte 0.
        end: Option<Root>,
    },
    /// Instead of `Checked`, `Hashed`, `Content` or `Hole`: the entry cannot be read, or is not what was offered.
    Failed(ItemId, FileError),
}

/// Where sent files come from. See the contract above.
pub trait Source {
    /// Starts an operation; a buffer to use again may come with it. Never blocks.
    fn submit(&mut self, op: SourceOp, spare: Option<Buf>);

    /// The next completion; `Content` with `len > 0` comes with its bytes.
    ///
    /// # Cancel safety
    /// Nothing is lost when the caller stops polling.
    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(SourceDone, Option<Bulk>)>;
}

/// The level that a commit must reach for an offer: what the sender asked for, or more if the receiver insists.
pub fn level_for(offer: &Offer, least: Level) -> Level {
    offer.level.max(least)
}
