//! Files in memory: the reference implementation of [`Storage`] and [`Source`], for tests and the simulator.
//!
//! Every operation completes at once and in order. What is synced and what is not makes no difference here; a disk that
//! forgets is the simulator's.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::carry::Bulk;
use crate::error::{Code, FileError, Retry};
use crate::frame::{Ack2, Compare, Kind, Level, Links, Meta, Mtime, Offer, Overwrite, StreamId};
use crate::hash::{Root, Subtree, TreeHasher, decompose, statable};
use crate::path::RelPath;
use crate::storage::{
    Buf, Item, ItemId, Keep, LandDone, LandOp, Prepared, Source, SourceDone, SourceOp, Step, Storage, level_for,
};

/// One file, folder or link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Name and metadata; the size is that of `content`.
    pub meta: Meta,
    /// What is in it; clones share it.
    pub content: Arc<Vec<u8>>,
}

impl Entry {
    /// A file with no time and no mode.
    ///
    /// # Panics
    /// If `path` is not a valid path.
    pub fn file(path: &str, content: &[u8]) -> Self {
        let path = RelPath::parse(path.as_bytes()).expect("a valid path");
        let size = Some(content.len() as u64);
        let meta = Meta { path, kind: Kind::File, size, mode: None, mtime: None, target: Vec::new() };
        Self { meta, content: Arc::new(content.to_vec()) }
    }
}

/// Everything under one root, shared between sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// By final name.
    pub files: BTreeMap<RelPath, Entry>,
    /// Content that did not become a file yet, by the name it is meant for.
    pub partials: BTreeMap<RelPath, Vec<u8>>,
    /// Of which file each of them is the beginning, as far as that is known: its modification time. An offer of the same time
    /// is answered without hashes.
    pub kept_from: BTreeMap<RelPath, Mtime>,
    /// What to do about existing files when the sender has no wish.
    pub overwrite: Option<Overwrite>,
    /// Bytes that may still be written; `None` for no limit.
    pub room: Option<u64>,
}

/// A handle on a [`Tree`].
#[derive(Clone, Debug)]
pub struct Memory {
    tree: Arc<Mutex<Tree>>,
    root_of: fn(&[u8]) -> Root,
}

impl Default for Memory {
    fn default() -> Self {
        Self { tree: Arc::default(), root_of: Root::of }
    }
}

impl Memory {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same tree, with another hash than BLAKE3 over whole files: a stub, for searches in which no byte is ever
    /// changed on the way and hashing would be most of the cost. Both sides of a session must have the same.
    #[must_use]
    pub fn with_hash(self, root_of: fn(&[u8]) -> Root) -> Self {
        Self { root_of, ..self }
    }

    fn root(&self, content: &[u8]) -> Root {
        // A folder or a link has no content, and its root is the machine's to state.
        if content.is_empty() { Root::of(content) } else { (self.root_of)(content) }
    }

    /// The tree, to fill or to inspect.
    pub fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a file under its final name.
    pub fn put(&self, entry: Entry) {
        self.tree().files.insert(entry.meta.path.clone(), entry);
    }

    /// Content under a final name.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        let path = RelPath::parse(path.as_bytes()).ok()?;
        self.tree().files.get(&path).map(|e| e.content.to_vec())
    }

    /// A storage that lands in this tree.
    pub fn storage(&self) -> MemoryStorage {
        MemoryStorage { memory: self.clone(), streams: BTreeMap::new(), done: VecDeque::new() }
    }

    /// A source that serves this tree, and pushes all of it as want 0.
    pub fn source(&self) -> MemorySource {
        let all = self.tree().files.values().cloned().collect();
        MemorySource {
            memory: self.clone(),
            walks: BTreeMap::from([(0, Ok(all))]),
            items: BTreeMap::new(),
            next_item: 1,
            done: VecDeque::new(),
        }
    }
}

struct Landing {
    offer: Offer,
    content: Vec<u8>,
    /// Of the whole content, once it is there.
    root: Option<Root>,
    /// The file that is there already is the one.
    same: Option<Root>,
    begun: bool,
}

/// See [`Memory::storage`].
pub struct MemoryStorage {
    memory: Memory,
    streams: BTreeMap<StreamId, Landing>,
    done: VecDeque<(LandDone, Option<Bulk>)>,
}

impl MemoryStorage {
    fn prepare(&mut self, id: StreamId, offer: Offer) -> Prepared {
        let tree = self.memory.tree();
        let path = &offer.meta.path;
        let refuse = |code, text: &str| Prepared::Refused(FileError::new(code, Retry::Never, text));
        let mut above = path.parent();
        while let Some(parent) = above.filter(|p| !p.is_root()) {
            if tree.files.get(&parent).is_some_and(|e| e.meta.kind != Kind::Folder) {
                return refuse(Code::WrongKind, "a parent of the name is not a folder");
            }
            above = parent.parent();
        }
        let mut same = None;
        let mut prepared = Prepared::Fresh;
        if let Some(old) = tree.files.get(path) {
            if (old.meta.kind == Kind::Folder) != (offer.meta.kind == Kind::Folder) {
                return refuse(Code::WrongKind, "a file over a folder, or a folder over a file");
            }
            let equal = old.meta.kind == Kind::File && offer.meta.size == Some(old.content.len() as u64);
            match offer.compare {
                Compare::Quick if equal && offer.meta.mtime.is_some() && offer.meta.mtime == old.meta.mtime => {
                    same = Some(Root::default());
                    prepared = Prepared::SameMeta;
                }
                Compare::Content if equal => {
                    let root = self.memory.root(&old.content);
                    same = Some(root);
                    prepared = Prepared::SameContent(root);
                }
                Compare::None | Compare::Quick | Compare::Content => {}
            }
            let policy = if offer.overwrite == Overwrite::Default { tree.overwrite } else { Some(offer.overwrite) };
            if same.is_none() && policy == Some(Overwrite::Never) && old.meta.kind != Kind::Folder {
                return refuse(Code::Exists, "");
            }
        }
        if let (Some(room), Some(size)) = (tree.room, offer.meta.size)
            && size > room
            && same.is_none()
        {
            return refuse(Code::NoSpace, &format!("{size} bytes offered, room for {room}"));
        }
        let mut landing = Landing { content: Vec::new(), root: None, same, begun: false, offer };
        if let (Prepared::Fresh, Some(kept), Some(size)) =
            (&prepared, tree.partials.get(&landing.offer.meta.path), landing.offer.meta.size)
        {
            let len = statable(kept.len() as u64, size);
            if len > 0 {
                landing.content = kept[..usize::try_from(len).expect("it is in memory")].to_vec();
                let meta = &landing.offer.meta;
                let known = meta.mtime.is_some() && meta.mtime.as_ref() == tree.kept_from.get(&meta.path);
                let mut hasher = TreeHasher::new();
                if !known {
                    hasher.update(&landing.content);
                }
                prepared = Prepared::Partial { len, subtrees: hasher.prefix().1 };
            }
        }
        drop(tree);
        self.streams.insert(id, landing);
        prepared
    }

    fn write(&mut self, id: StreamId, offset: u64, bytes: &[u8]) {
        let Some(landing) = self.streams.get_mut(&id) else { return };
        if !landing.begun {
            landing.begun = true;
            landing.same = None;
            landing.content.truncate(usize::try_from(offset).expect("it is in memory"));
        }
        assert_eq!(landing.content.len() as u64, offset, "writes are contiguous");
        landing.content.extend_from_slice(bytes);
    }

    fn land(&mut self, id: StreamId) {
        let Some(Landing { offer, content, root, same, .. }) = self.streams.remove(&id) else { return };
        for step in [Step::Synced, Step::Renamed, Step::DirSynced] {
            self.done.push_back((LandDone::Step(id, step), None));
        }
        let mut tree = self.memory.tree();
        let mut path = offer.meta.path.clone();
        if same.is_none() && offer.overwrite == Overwrite::KeepBoth && offer.meta.kind != Kind::Folder {
            path = free_name(&tree, &path);
        }
        let old = tree.files.remove(&path);
        let root = same.or(root).unwrap_or_else(|| self.memory.root(&content));
        let content = match old {
            Some(old) if same.is_some() => old.content,
            Some(_) | None => Arc::new(content),
        };
        let size = content.len() as u64;
        if let Some(room) = &mut tree.room {
            *room = room.saturating_sub(if same.is_some() { 0 } else { size });
        }
        tree.partials.remove(&offer.meta.path);
        tree.kept_from.remove(&offer.meta.path);
        let meta = Meta { path: path.clone(), size: Some(size), ..offer.meta.clone() };
        tree.files.insert(path.clone(), Entry { meta, content });
        let level = level_for(&offer, Level::Durable);
        self.done.push_back((LandDone::Landed(id, Ack2 { size, level, root, path }), None));
    }

    fn discard(&mut self, id: StreamId, keep: Keep) {
        let Some(Landing { offer, content, begun, .. }) = self.streams.remove(&id) else { return };
        let (path, mut tree) = (&offer.meta.path, self.memory.tree());
        if keep == Keep::Nothing {
            tree.partials.remove(path);
            tree.kept_from.remove(path);
            return;
        }
        if !begun || content.is_empty() {
            // It is what it was.
            return;
        }
        tree.partials.insert(path.clone(), content);
        match (keep, offer.meta.mtime) {
            (Keep::Partial, Some(mtime)) => tree.kept_from.insert(path.clone(), mtime),
            (Keep::Partial | Keep::Doubted | Keep::Nothing, _) => tree.kept_from.remove(path),
        };
    }
}

/// `name (1).ext`, `name (2).ext` … whichever is free first; the name itself if it is.
fn free_name(tree: &Tree, path: &RelPath) -> RelPath {
    let name = path.name().unwrap_or_default();
    let dot = name.iter().rposition(|&b| b == b'.').filter(|&at| at > 0).unwrap_or(name.len());
    let (stem, ext) = name.split_at(dot);
    let numbered = (1u64..).map(|n| [stem, format!(" ({n})").as_bytes(), ext].concat());
    let names = std::iter::once(name.to_vec()).chain(numbered);
    let parent = path.parent().unwrap_or_default();
    let mut paths = names.filter_map(|name| parent.join(&name).ok());
    paths.find(|p| !tree.files.contains_key(p)).unwrap_or_else(|| path.clone())
}

impl Storage for MemoryStorage {
    fn submit(&mut self, op: LandOp, content: Option<Bulk>) {
        let (done, buf) = match op {
            LandOp::Prepare(id, offer) => (LandDone::Prepared(id, self.prepare(id, offer)), None),
            LandOp::Write { stream, offset, len } => {
                let content = content.expect("content comes with a write");
                self.write(stream, offset, content.bytes());
                (LandDone::Wrote(stream, len), Some(content))
            }
            LandOp::Hole { stream, offset, len } => {
                let zeros = vec![0; usize::try_from(len).expect("a hole is at most 16 MiB")];
                self.write(stream, offset, &zeros);
                (LandDone::Wrote(stream, len), None)
            }
            LandOp::Finish(id, _) => {
                let root = self.streams.get_mut(&id).map_or(Root::default(), |l| {
                    l.same = None;
                    *l.root.insert(self.memory.root(&l.content))
                });
                (LandDone::Finished(id, root), None)
            }
            LandOp::Commit(group) => {
                group.into_iter().for_each(|id| self.land(id));
                return;
            }
            LandOp::Discard(id, keep) => {
                self.discard(id, keep);
                (LandDone::Discarded(id), None)
            }
        };
        self.done.push_back((done, buf));
    }

    fn poll_done(&mut self, _: &mut Context<'_>) -> Poll<(LandDone, Option<Bulk>)> {
        // Operations complete as they are submitted, by the same task: there is nobody to wake.
        self.done.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for MemoryStorage {
    /// As a killed process would leave it: what was written stays as a partial, and nobody says of what.
    fn drop(&mut self) {
        let ids: Vec<StreamId> = self.streams.keys().copied().collect();
        ids.into_iter().for_each(|id| self.discard(id, Keep::Doubted));
    }
}

/// See [`Memory::source`].
pub struct MemorySource {
    memory: Memory,
    walks: BTreeMap<u32, Result<VecDeque<Entry>, FileError>>,
    items: BTreeMap<ItemId, Arc<Vec<u8>>>,
    next_item: ItemId,
    done: VecDeque<(SourceDone, Option<Bulk>)>,
}

impl MemorySource {
    fn open(&mut self, want: u32, path: &RelPath, depth: u16, links: Links) {
        let tree = self.memory.tree();
        let base = path.parent().unwrap_or_default();
        let skip = base.components().len();
        let found: VecDeque<Entry> = tree
            .files
            .values()
            .filter(|e| e.meta.path.components().starts_with(path.components()))
            .filter(|e| e.meta.path.components().len() - path.components().len() <= usize::from(depth))
            .filter(|e| links == Links::Keep || e.meta.kind != Kind::Link)
            .filter_map(|e| {
                let path = RelPath::new(e.meta.path.components()[skip..].to_vec()).ok()?;
                Some(Entry { meta: Meta { path, ..e.meta.clone() }, content: e.content.clone() })
            })
            .collect();
        let result = if found.is_empty() && !path.is_root() {
            Err(FileError::new(Code::NotFound, Retry::Never, path.to_string()))
        } else {
            Ok(found)
        };
        drop(tree);
        self.walks.insert(want, result);
    }

    fn next(&mut self, want: u32, max: usize) -> SourceDone {
        let (entries, end) = match self.walks.get_mut(&want) {
            Some(Ok(left)) => {
                let batch: Vec<Entry> = left.drain(..left.len().min(max)).collect();
                (batch, left.is_empty().then_some(Ok(())))
            }
            Some(Err(error)) => (Vec::new(), Some(Err(error.clone()))),
            None => (Vec::new(), Some(Ok(()))),
        };
        let items = entries
            .into_iter()
            .map(|Entry { meta, content }| {
                let id = self.next_item;
                self.next_item += 1;
                self.items.insert(id, content);
                Item { id, meta }
            })
            .collect();
        SourceDone::Entries { want, items, end }
    }

    /// The longest beginning, at a boundary of the stated subtrees, that is equal; one without hashes is believed.
    fn check(&self, item: ItemId, len: u64, subtrees: &[Subtree]) -> SourceDone {
        let Some(content) = self.items.get(&item) else { return gone(item) };
        if subtrees.is_empty() {
            return SourceDone::Checked(item, if len < content.len() as u64 { len } else { 0 });
        }
        let mut equal = 0;
        let mut hasher = TreeHasher::new();
        for (at, length) in decompose(len).enumerate() {
            let range = usize::try_from(equal).ok().zip(usize::try_from(equal + length).ok());
            let Some(bytes) = range.and_then(|(from, to)| content.get(from..to)) else { break };
            hasher.update(bytes);
            if hasher.prefix().1.get(at) != subtrees.get(at) {
                break;
            }
            equal += length;
        }
        SourceDone::Checked(item, equal)
    }

    fn read(&self, item: ItemId, offset: u64, max: usize) -> (SourceDone, Option<Bulk>) {
        let Some(content) = self.items.get(&item) else { return (gone(item), None) };
        let from = usize::try_from(offset).map_or(content.len(), |o| o.min(content.len()));
        let to = from.saturating_add(max).min(content.len());
        let end = (to == content.len()).then(|| self.memory.root(content));
        let len = (to - from) as u64;
        (SourceDone::Content { item, offset, len, end }, Some(Buf::copy_of(&content[from..to]).into()))
    }
}

fn gone(item: ItemId) -> SourceDone {
    SourceDone::Failed(item, FileError::new(Code::NotFound, Retry::Never, ""))
}

impl Source for MemorySource {
    fn submit(&mut self, op: SourceOp, _spare: Option<Buf>) {
        let done = match op {
            SourceOp::Open { want, path, depth, links } => return self.open(want, &path, depth, links),
            SourceOp::Next { want, max } => (self.next(want, max), None),
            SourceOp::Check { item, len, subtrees } => (self.check(item, len, &subtrees), None),
            SourceOp::Hash(item) => match self.items.get(&item) {
                Some(content) => (SourceDone::Hashed(item, self.memory.root(content)), None),
                None => (gone(item), None),
            },
            SourceOp::Read { item, offset, max } => self.read(item, offset, max),
            SourceOp::Close(item) => return drop(self.items.remove(&item)),
        };
        self.done.push_back(done);
    }

    fn poll_done(&mut self, _: &mut Context<'_>) -> Poll<(SourceDone, Option<Bulk>)> {
        self.done.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
