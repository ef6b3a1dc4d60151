//! Reading what is sent: the source of one session, and its threads.
//!
//! The *worker* walks, opens and reads, and hashes small files; the *hasher* (see `hashing`) starts with the first large
//! file and hashes while the next stretch is read. The session asks for several reads at once: that is the read-ahead.

mod among;
mod item;
mod read;
mod walk;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};

use ft_core::carry::Bulk;
use ft_core::compress::Compress;
use ft_core::error::FileError;
use ft_core::frame::Links;
use ft_core::path::RelPath;
use ft_core::storage::{Buf, ItemId, Source, SourceDone, SourceOp};

use super::ahead::Ahead;
use super::fault::internal;
use super::hashing::{Hashing, Job};
use super::outbox::{self, Inbox, Outbox};
use super::root::Root;
use super::{Filter, Notes};
use item::{Entry, Near, Origin};
use walk::Walk;

/// Buffers kept for the next reads; a session has no more in flight at once than this many large ones.
const SPARES: usize = 16;

/// How a source walks.
#[derive(Clone)]
pub struct WalkOptions {
    /// What to do about symbolic links, in a push.
    pub links: Links,
    /// What does not match is not offered. Matched against the path beneath what was named, its own name first.
    pub filter: Option<Filter>,
    /// All that is sent by the same command, in order: the first of two things under one name is sent, the other is told.
    pub among: Option<Arc<[PathBuf]>>,
    /// Hears what was skipped.
    pub notes: Option<Notes>,
    /// The transport carries content: of large files only where it is is handed over.
    pub carried: bool,
    /// While content is wanted compressed, it is read into memory all the same.
    pub compress: Compress,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self { links: Links::Skip, filter: None, among: None, notes: None, carried: false, compress: Compress::Off }
    }
}

impl fmt::Debug for WalkOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalkOptions").field("links", &self.links).field("filter", &self.filter).finish_non_exhaustive()
    }
}

/// Reads files for one session: those that a push was told to send, or those beneath a [`Root`] that wants ask for.
pub struct DiskSource {
    ops: Sender<(SourceOp, Option<Buf>)>,
    done: Inbox<SourceDone>,
    abandoned: Arc<AtomicBool>,
}

/// Already completed paths are not offered again.
type Skip = Box<dyn Fn(&RelPath) -> bool + Send>;

impl DiskSource {
    /// The name under which a path is sent; `None` if it stands for what is in that folder.
    pub fn sent_as(path: &Path) -> Option<&OsStr> {
        among::sent_as(path)
    }

    /// Sends files and folders of this computer, each under its own name, in the folder `into` of the receiver. A path
    /// that ends in `.` or `..` stands for what is in that folder. Paths (as offered) of which `skip` says true
    /// are left out: a retry need not offer again what is known to be complete.
    pub fn push(
        paths: Vec<PathBuf>,
        into: RelPath,
        options: WalkOptions,
        skip: impl Fn(&RelPath) -> bool + Send + 'static,
    ) -> Self {
        let skip: Skip = Box::new(skip);
        Self::start(None, options.clone(), BTreeMap::from([(0, Walk::push(paths, into, options, skip))]), None)
    }

    /// Sends one stream of unknown size, such as standard input, as the file `into`.
    pub fn stdin(reader: impl Read + Send + 'static, into: RelPath) -> Self {
        Self::start(None, WalkOptions::default(), BTreeMap::new(), Some((Box::new(reader), into)))
    }

    pub(super) fn serve(root: Arc<Root>, options: WalkOptions) -> Self {
        Self::start(Some(root), options, BTreeMap::new(), None)
    }

    fn start(
        root: Option<Arc<Root>>,
        options: WalkOptions,
        wants: BTreeMap<u32, Walk>,
        stream: Option<(Box<dyn Read + Send>, RelPath)>,
    ) -> Self {
        let (ops, queue) = channel();
        let (completions, done) = outbox::pair();
        let abandoned = Arc::new(AtomicBool::new(false));
        let near = Near::new(root.is_some());
        let worker = Worker {
            root,
            options,
            wants,
            stream,
            items: BTreeMap::new(),
            last_item: 0,
            done: completions,
            hashing: None,
            abandoned: Arc::clone(&abandoned),
            spares: Vec::new(),
            near,
            ahead: Ahead::new(None, Arc::clone(&abandoned)),
        };
        // Without a thread the queue is dropped here, and `submit` says so.
        drop(std::thread::Builder::new().name("ft-read".to_owned()).spawn(move || worker.run(&queue)));
        Self { ops, done, abandoned }
    }
}

impl Source for DiskSource {
    fn submit(&mut self, op: SourceOp, spare: Option<Buf>) {
        if let Err(std::sync::mpsc::SendError((op, _))) = self.ops.send((op, spare)) {
            let gone = internal("the disk thread has gone");
            match op {
                SourceOp::Open { .. } | SourceOp::Close(_) => {}
                SourceOp::Next { want, .. } => {
                    self.done.push(SourceDone::Entries { want, items: Vec::new(), end: Some(Err(gone)) }, None);
                }
                SourceOp::Check { item, .. } | SourceOp::Hash(item) | SourceOp::Read { item, .. } => {
                    self.done.push(SourceDone::Failed(item, gone), None);
                }
            }
        }
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(SourceDone, Option<Bulk>)> {
        self.done.poll(cx)
    }
}

impl Drop for DiskSource {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for DiskSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskSource")
    }
}

/// The thread that walks and reads.
struct Worker {
    /// What is served; `None` in a push.
    root: Option<Arc<Root>>,
    options: WalkOptions,
    wants: BTreeMap<u32, Walk>,
    /// Standard input, until it is offered.
    stream: Option<(Box<dyn Read + Send>, RelPath)>,
    items: BTreeMap<ItemId, Entry>,
    last_item: ItemId,
    done: Outbox<SourceDone>,
    hashing: Option<Hashing<SourceDone>>,
    abandoned: Arc<AtomicBool>,
    spares: Vec<Buf>,
    near: Near,
    ahead: Ahead,
}

impl Worker {
    fn run(mut self, queue: &Receiver<(SourceOp, Option<Buf>)>) {
        while let Ok((op, spare)) = self.done.next(queue) {
            if self.abandoned.load(Ordering::Relaxed) {
                return;
            }
            self.spares.extend(spare.filter(|_| self.spares.len() < SPARES));
            match op {
                SourceOp::Open { want, path, depth, links } => {
                    if let Some(root) = &self.root {
                        let walk = Walk::serve(Arc::clone(root), &path, depth, links, self.options.clone());
                        self.wants.insert(want, walk);
                    }
                }
                SourceOp::Next { want, max } => self.next(want, max),
                SourceOp::Check { item, len, subtrees } => {
                    let checked = self.check(item, len, &subtrees);
                    self.answer(item, checked.map(|offset| SourceDone::Checked(item, offset)));
                }
                SourceOp::Hash(item) => {
                    let hashed = self.hash_all(item);
                    self.answer(item, hashed.map(|root| SourceDone::Hashed(item, root)));
                }
                SourceOp::Read { item, offset, max } => self.read(item, offset, max),
                SourceOp::Close(item) => {
                    if let Some(mut entry) = self.items.remove(&item) {
                        entry.stop_ahead();
                    }
                    if let Some(hashing) = &self.hashing {
                        hashing.submit(Job::Forget(item));
                    }
                }
            }
        }
    }

    fn next(&mut self, want: u32, max: usize) {
        let (found, end) = match (self.wants.get_mut(&want), self.stream.take()) {
            (Some(walk), _) => walk.next(max),
            (None, Some((reader, path))) => (vec![Entry::stream(reader, path)], Some(Ok(()))),
            (None, None) => (Vec::new(), Some(Err(internal("entries of a want that was not opened")))),
        };
        if end.is_some() {
            self.wants.remove(&want);
        }
        let mut items = Vec::with_capacity(found.len());
        for (mut entry, meta) in found {
            self.last_item += 1;
            self.hash_ahead(&mut entry);
            items.push(ft_core::storage::Item { id: self.last_item, meta });
            self.items.insert(self.last_item, entry);
        }
        self.complete(SourceDone::Entries { want, items, end }, None);
    }

    fn hash_ahead(&mut self, entry: &mut Entry) {
        if let Origin::File { stat, .. } = &entry.origin
            && self.ahead.wants(stat.size)
            && let Ok((file, stat)) = entry.open(&mut self.near)
        {
            entry.ahead = self.ahead.guess(file, stat.size);
        }
    }

    fn complete(&self, completion: SourceDone, content: Option<Bulk>) {
        self.done.push(completion, content);
    }

    /// Completes behind what the hasher still has of this item.
    fn complete_in_order(&self, item: ItemId, completion: SourceDone) {
        let beside = self.items.get(&item).is_some_and(Entry::is_hashed_beside);
        match &self.hashing {
            Some(hashing) if beside => hashing.submit(Job::Pass(completion, None)),
            Some(_) | None => self.complete(completion, None),
        }
    }

    fn answer(&mut self, item: ItemId, result: Result<SourceDone, FileError>) {
        let completion = result.unwrap_or_else(|error| {
            if let Some(entry) = self.items.get_mut(&item) {
                entry.failed.get_or_insert_with(|| error.clone());
            }
            SourceDone::Failed(item, error)
        });
        self.complete_in_order(item, completion);
    }
}
