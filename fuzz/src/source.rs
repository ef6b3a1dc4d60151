//! A source as the contract allows it (`ft_core::storage`), and what the sender's machine must have heard before it may call
//! anything stored.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use arbitrary::{Result, Unstructured};
use ft_core::error::{Code, FileError, Retry};
use ft_core::event::Event;
use ft_core::frame::{Frame, Kind, Level, Meta, StreamId};
use ft_core::hash::{Root, decompose};
use ft_core::limits::{CHUNK, IN_FLIGHT_READS, MAX_HOLE, MAX_OFFER_BYTES, MAX_STREAMS};
use ft_core::machine::Content;
use ft_core::path::RelPath;
use ft_core::storage::{Item, ItemId, SourceDone, SourceOp};

use super::land::AT_HAND;
use super::wire::number;

/// Entries of one run at most.
const ENTRIES_MAX: u64 = 400;

/// An entry that was given out.
struct Entry {
    kind: Kind,
    size: Option<u64>,
    /// Where the next read begins, once there was one.
    read: Option<u64>,
    reading: bool,
    closed: bool,
    failed: bool,
}

/// One stream, as an observer sees it.
struct Stream {
    size: Option<u64>,
    /// ACK1 said that content is wanted, and where it begins is known or being found.
    begun: bool,
    position: Option<u64>,
    ended: Option<(u64, Root)>,
    /// The last word about it: exactly one.
    said: Option<&'static str>,
}

/// The source and the observer.
#[derive(Default)]
pub(crate) struct Store {
    entries: BTreeMap<ItemId, Entry>,
    opened: BTreeSet<u32>,
    pending: Vec<SourceOp>,
    streams: BTreeMap<StreamId, Stream>,
    /// Content that the driver keeps for the machine.
    kept: BTreeMap<(ItemId, u64), u64>,
    /// Content that is queued for the peer: on its way out, oldest first.
    pub(crate) queued: VecDeque<u64>,
    current: Option<StreamId>,
    said_goodbye: bool,
    over: bool,
}

fn root(item: ItemId) -> Root {
    Root([u8::try_from(item % 251).unwrap_or(0); 32])
}

impl Store {
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    pub(crate) fn over(&mut self) {
        self.over = true;
    }

    /// What an honest receiver would say of a stream now.
    pub(crate) fn promised(&self, id: StreamId) -> Option<(u64, Root)> {
        self.streams.get(&id).and_then(|s| s.ended)
    }

    pub(crate) fn size(&self, id: StreamId) -> u64 {
        self.streams.get(&id).and_then(|s| s.size).unwrap_or(0)
    }

    /// The peer's ACK1 was taken.
    pub(crate) fn acked(&mut self, id: StreamId, same_meta: Option<u64>, content: bool) {
        let s = self.streams.get_mut(&id).expect("only of streams that were offered");
        s.begun |= content;
        if let Some(size) = same_meta {
            s.ended = Some((size, Root::default()));
        }
    }

    pub(crate) fn submit(&mut self, op: SourceOp) {
        match &op {
            SourceOp::Open { want, .. } => {
                assert!(self.opened.insert(*want), "want {want} is opened once");
                return;
            }
            SourceOp::Next { want, .. } => assert!(*want == 0 || self.opened.contains(want)),
            SourceOp::Check { item, .. } | SourceOp::Hash(item) => drop(self.live(*item)),
            SourceOp::Read { item, offset, max } => {
                assert!((1..=CHUNK).contains(max));
                let entry = self.live(*item);
                assert!(!std::mem::replace(&mut entry.reading, true), "one read an item at a time");
                assert!(entry.read.is_none_or(|at| at == *offset), "each read where the last ended");
                assert!(entry.kind == Kind::File);
                entry.read = Some(*offset);
                let reads = self.entries.values().filter(|entry| entry.reading && !entry.closed).count();
                assert!(reads <= IN_FLIGHT_READS + 1, "BOUND: {reads} reads at once");
            }
            SourceOp::Close(item) => {
                assert!(!std::mem::replace(&mut self.live(*item).closed, true));
                self.kept.retain(|(of, _), _| of != item);
                return;
            }
        }
        self.pending.push(op);
    }

    fn live(&mut self, item: ItemId) -> &mut Entry {
        let entry = self.entries.get_mut(&item).expect("only of items that were given out");
        assert!(!entry.closed, "nothing of item {item} after its Close");
        entry
    }

    /// Completes one operation, as the input says which and how.
    pub(crate) fn complete(&mut self, u: &mut Unstructured<'_>) -> Result<Option<SourceDone>> {
        let first = |at: &usize| {
            let item = |op: &SourceOp| match op {
                SourceOp::Check { item, .. } | SourceOp::Hash(item) | SourceOp::Read { item, .. } => Some(*item),
                SourceOp::Open { .. } | SourceOp::Next { .. } | SourceOp::Close(_) => None,
            };
            let mine = item(&self.pending[*at]);
            mine.is_none() || self.pending[..*at].iter().all(|op| item(op) != mine)
        };
        let ready: Vec<usize> = (0..self.pending.len().min(AT_HAND)).filter(first).collect();
        if ready.is_empty() {
            return Ok(None);
        }
        let op = self.pending.remove(ready[usize::from(u.arbitrary::<u8>()?) % ready.len()]);
        let how: u8 = u.arbitrary()?;
        let failed = |item| SourceDone::Failed(item, FileError::new(Code::Changed, Retry::Now, "it changed"));
        Ok(Some(match op {
            SourceOp::Next { want, max } => self.entries(want, max, how, u)?,
            SourceOp::Check { item, len, subtrees } => {
                let entry = self.entries.get_mut(&item).expect("it was given out");
                entry.failed |= how == 7;
                assert!(subtrees.is_empty() || subtrees.len() == decompose(len).count());
                let equal = decompose(len).take(usize::from(how)).sum();
                if entry.failed { failed(item) } else { SourceDone::Checked(item, equal) }
            }
            SourceOp::Hash(item) => {
                let entry = self.entries.get_mut(&item).expect("it was given out");
                entry.failed |= how == 7;
                if entry.failed { failed(item) } else { SourceDone::Hashed(item, root(item)) }
            }
            SourceOp::Read { item, offset, max } => self.read(item, offset, max, how, u)?,
            SourceOp::Open { .. } | SourceOp::Close(_) => unreachable!("they do not complete"),
        }))
    }

    fn entries(&mut self, want: u32, max: usize, how: u8, u: &mut Unstructured<'_>) -> Result<SourceDone> {
        let mut items = Vec::new();
        let left = ENTRIES_MAX.saturating_sub(self.entries.len() as u64);
        for _ in 0..u64::from(how >> 2).min(left).min(max as u64) {
            let (bits, size): (u8, u64) = (u.arbitrary()?, number(u)?);
            let kind = if bits & 3 == 3 { Kind::Folder } else { Kind::File };
            let size = match kind {
                Kind::File => (bits & 4 == 0).then_some(size & i64::MAX as u64),
                Kind::Folder | Kind::Link => Some(0),
            };
            let id = self.entries.len() as u64 + 1;
            let path = RelPath::parse(format!("f{id}").as_bytes()).expect("a path");
            let meta = Meta { path, kind, size, mode: None, mtime: None, target: Vec::new() };
            let entry = Entry { kind, size, read: None, reading: false, closed: false, failed: false };
            self.entries.insert(id, entry);
            items.push(Item { id, meta });
        }
        let end = match how & 3 {
            3 => Some(Err(FileError::new(Code::NotFound, Retry::Never, "gone"))),
            2 if left > 0 => None,
            _ => Some(Ok(())),
        };
        Ok(SourceDone::Entries { want, items, end })
    }

    fn read(&mut self, item: ItemId, offset: u64, max: usize, how: u8, u: &mut Unstructured<'_>) -> Result<SourceDone> {
        let entry = self.entries.get_mut(&item).expect("it was given out");
        entry.reading = false;
        entry.failed |= how & 7 == 7;
        if entry.failed {
            let error = FileError::new(Code::Changed, Retry::Now, "it changed");
            return Ok(SourceDone::Failed(item, error));
        }
        let hole = how & 7 == 6;
        let most = if hole { MAX_HOLE } else { max as u64 };
        let left = entry.size.map_or(u64::MAX, |size| size.saturating_sub(offset));
        let len = (number(u)? % most + 1).min(left);
        // A file without a size ends where it says.
        let over = entry.size.map_or(how & 8 != 0, |_| len == left);
        let len = if len == 0 && !over { 1 } else { len };
        entry.read = Some(offset + len);
        let end = over.then(|| root(item));
        if hole {
            return Ok(SourceDone::Hole { item, offset, len, end });
        }
        if len > 0 && !entry.closed {
            self.kept.insert((item, offset), len);
        }
        Ok(SourceDone::Content { item, offset, len, end })
    }

    /// Content is thrown away instead of being sent.
    pub(crate) fn dropped(&mut self, of: (ItemId, u64)) {
        self.kept.remove(&of);
    }

    /// The machine sends a frame.
    pub(crate) fn sent(&mut self, frame: &Frame) {
        assert!(!self.said_goodbye, "nothing follows GOODBYE: {frame:?}");
        assert!(!self.over, "nothing follows the end: {frame:?}");
        match frame {
            Frame::Offer(id, offer) => {
                assert_eq!(*id as usize, self.streams.len() + 1, "streams are numbered without gaps");
                let s = Stream { size: offer.meta.size, begun: false, position: None, ended: None, said: None };
                self.streams.insert(*id, s);
                let open = self.streams.values().filter(|s| s.said.is_none()).count();
                assert!(open <= MAX_STREAMS as usize && MAX_OFFER_BYTES > 0, "BOUND: {open} streams open");
            }
            Frame::Hole { stream, offset, len } => self.content(*stream, *offset, *len),
            Frame::End(id, size, _) => {
                self.turn(*id);
                self.current = None;
                let s = self.streams.get_mut(id).expect("only of streams that were offered");
                assert!(s.begun && s.ended.is_none(), "ORDER: END of stream {id} after ACK1, once");
                assert!(s.position.is_none_or(|at| at == *size), "END where the content ends");
                assert!(s.size.is_none_or(|known| known == *size), "END at the size that was offered");
                let Frame::End(_, size, root) = frame else { return };
                s.ended = Some((*size, *root));
            }
            Frame::Error(id, _) if self.current == Some(*id) => self.current = None,
            Frame::Goodbye => {
                let open = |s: &Stream| s.ended.is_none() && s.said.is_none();
                assert!(!self.streams.values().any(open), "ORDER: GOODBYE after every END");
                self.said_goodbye = true;
            }
            _ => {}
        }
    }

    /// The machine sends content that was kept for it.
    pub(crate) fn sent_content(&mut self, piece: Content) {
        let Content { item, stream, offset, len } = piece;
        assert_eq!(self.kept.remove(&(item, offset)), Some(u64::from(len)), "what is sent was read");
        self.content(stream, offset, u64::from(len));
        self.queued.push_back(u64::from(len));
    }

    fn content(&mut self, id: StreamId, offset: u64, len: u64) {
        assert!(!self.said_goodbye && !self.over);
        self.turn(id);
        self.current = Some(id);
        let s = self.streams.get_mut(&id).expect("only of streams that were offered");
        assert!(s.begun && s.ended.is_none() && s.said.is_none(), "ORDER: content between ACK1 and END");
        assert!(s.position.is_none_or(|at| at == offset), "content is contiguous");
        let end = offset + len;
        assert!(s.size.is_none_or(|size| end <= size), "never past the size that was offered");
        s.position = Some(end);
    }

    /// FT-22: one stream's content at a time.
    fn turn(&self, id: StreamId) {
        assert!(
            self.current.is_none_or(|current| current == id),
            "stream {id} within the content of {:?}",
            self.current
        );
    }

    /// The machine tells an observer; `ack` is the ACK2 that came with this input, if one did.
    pub(crate) fn told(&mut self, event: &Event, ack: Option<(StreamId, u64, Root, Level)>, least: Level) {
        let (id, how) = match event {
            Event::Stored(id, told) => {
                let promised = self.promised(*id);
                assert_eq!(promised, Some((told.size, told.root)), "HONEST: stream {id} is called stored");
                let heard = ack.is_some_and(|heard| heard == (*id, told.size, told.root, told.level));
                assert!(heard && told.level >= least, "HONEST: stored, without an ACK2 that says so");
                (*id, "stored")
            }
            Event::Failed(id, _) => (*id, "failed"),
            Event::Unknown(id) => {
                assert!(self.promised(*id).is_some(), "stream {id} is unknown only after its END");
                (*id, "unknown")
            }
            _ => return,
        };
        let s = self.streams.get_mut(&id).expect("only of streams that were offered");
        assert_eq!(s.said.replace(how), None, "stream {id} ends once, now {how}");
        if self.current == Some(id) {
            self.current = None;
        }
    }

    /// The session is over: every stream has come to something, and the report counts it.
    pub(crate) fn settled(&self, completed: u64, failed: u64, unknown: u64) {
        let count = |how| self.streams.values().filter(|s| s.said == Some(how)).count() as u64;
        assert_eq!((count("stored"), count("failed"), count("unknown")), (completed, failed, unknown));
        assert_eq!(completed + failed + unknown, self.streams.len() as u64, "every stream came to something");
    }
}
