//! Landing (PROTOCOL §6.5): the storage of one session, and its threads.
//!
//! - The *worker* takes the operations in order: decides offers, writes, and hashes small files itself.
//! - The *hasher* (see `hashing`) starts with the first large file and hashes beside the writing, and another thread (see
//!   `ahead`) what was kept of one, if that is believed.
//! - The *lander* starts with the first commit and syncs and renames, while the next files are being written.

mod commit;
mod folders;
mod prepare;
mod stream;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};

use ft_core::carry::Bulk;
use ft_core::error::FileError;
use ft_core::frame::StreamId;
use ft_core::storage::{Buf, Keep, LandDone, LandOp, Storage};

use super::ahead::Ahead;
use super::fault::internal;
use super::hashing::{Hashing, Job};
use super::outbox::{self, Inbox, Outbox};
use super::root::Root;
use super::roots::Roots;
use super::sys::{Dir, Through};
use super::{Note, Policy};
use commit::Lander;
use folders::Folders;
use stream::Stream;

/// Lands the files of one session beneath a [`Root`].
///
/// Dropping it abandons what is unfinished: partials of large files stay for the next try, everything else goes.
pub struct DiskStorage {
    ops: Sender<(LandOp, Option<Bulk>)>,
    done: Inbox<LandDone>,
    abandoned: Arc<AtomicBool>,
}

impl DiskStorage {
    pub(super) fn start(root: Arc<Root>, policy: Policy) -> Self {
        let (ops, queue) = channel();
        let (completions, done) = outbox::pair();
        let abandoned = Arc::new(AtomicBool::new(false));
        let worker = Worker::new(root, policy, completions, Arc::clone(&abandoned));
        // Without a thread the queue is dropped here, and `submit` says so.
        drop(std::thread::Builder::new().name("ft-land".to_owned()).spawn(move || worker.run(&queue)));
        Self { ops, done, abandoned }
    }
}

impl Storage for DiskStorage {
    fn submit(&mut self, op: LandOp, content: Option<Bulk>) {
        if let Err(std::sync::mpsc::SendError((op, content))) = self.ops.send((op, content)) {
            let failed = |stream, len| LandDone::Failed(stream, len, internal("the disk thread has gone"));
            match op {
                LandOp::Prepare(stream, _) | LandOp::Finish(stream, _) => self.done.push(failed(stream, 0), content),
                LandOp::Write { stream, len, .. } | LandOp::Hole { stream, len, .. } => {
                    self.done.push(failed(stream, len), content);
                }
                LandOp::Commit(streams) => streams.into_iter().for_each(|s| self.done.push(failed(s, 0), None)),
                LandOp::Discard(stream, _) => self.done.push(LandDone::Discarded(stream), content),
            }
        }
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(LandDone, Option<Bulk>)> {
        self.done.poll(cx)
    }
}

impl Drop for DiskStorage {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for DiskStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskStorage")
    }
}

/// The thread that decides and writes.
struct Worker {
    root: Arc<Root>,
    policy: Policy,
    streams: BTreeMap<StreamId, Box<Stream>>,
    folders: Folders,
    /// Files that are open without being written.
    open: usize,
    /// Opened before the first write, so that its file-system sync reports every failed write-back since.
    sync: io::Result<Arc<Dir>>,
    done: Outbox<LandDone>,
    hashing: Option<Hashing<LandDone>>,
    ahead: Ahead,
    /// Streams of which a prefix was stated without hashes.
    believed: usize,
    lander: Option<Lander>,
    abandoned: Arc<AtomicBool>,
    /// What carried content is read back through, where there is no second thread.
    window: Option<Buf>,
}

impl Worker {
    fn new(root: Arc<Root>, policy: Policy, done: Outbox<LandDone>, abandoned: Arc<AtomicBool>) -> Self {
        let sync = root.dir.folder(&[], Through::NoLinks).map(Arc::new);
        let folders = Folders::new(Arc::clone(&root), policy.names);
        let ahead = Ahead::new(Some(Arc::clone(&root)), Arc::clone(&abandoned));
        Self {
            root,
            policy,
            streams: BTreeMap::new(),
            folders,
            open: 0,
            sync,
            done,
            hashing: None,
            ahead,
            believed: 0,
            lander: None,
            abandoned,
            window: None,
        }
    }

    fn run(mut self, queue: &Receiver<(LandOp, Option<Bulk>)>) {
        let working = self.root.work();
        while let Ok((op, content)) = self.done.next(queue) {
            if self.abandoned.load(Ordering::Relaxed) {
                break;
            }
            match op {
                LandOp::Prepare(stream, offer) => {
                    let prepared = self.prepare(stream, offer);
                    self.complete(LandDone::Prepared(stream, prepared), None);
                }
                LandOp::Write { stream, offset, len } => self.write(stream, offset, len, content),
                LandOp::Hole { stream, offset, len } => self.write(stream, offset, len, None),
                LandOp::Finish(stream, size) => self.finish(stream, size),
                LandOp::Commit(streams) => self.commit(streams),
                LandOp::Discard(stream, keep) => self.discard(stream, keep),
            }
        }
        Roots::of_user().save();
        // Files are closed and names are free before anyone is told that this thread has ended.
        drop(self);
        drop(working);
    }

    fn complete(&self, completion: LandDone, content: Option<Bulk>) {
        self.done.push(completion, content);
    }

    /// Completes behind the stream's content, if that went through the hasher.
    fn complete_in_order(&self, hashed_beside: bool, completion: LandDone, content: Option<Bulk>) {
        match &self.hashing {
            Some(hashing) if hashed_beside => hashing.submit(Job::Pass(completion, content)),
            Some(_) | None => self.complete(completion, content),
        }
    }

    fn fail(&mut self, stream: StreamId, len: u64, error: FileError, content: Option<Bulk>) {
        let mut beside = false;
        if let Some(state) = self.streams.get_mut(&stream) {
            beside = state.hash.is_beside();
            state.broken.get_or_insert_with(|| error.clone());
            if let Some(temp) = &mut state.temp {
                // Whoever could not write may not have written all that it believes.
                temp.mark = None;
            }
        }
        self.complete_in_order(beside, LandDone::Failed(stream, len, error), content);
    }

    fn commit(&mut self, streams: Vec<StreamId>) {
        let mut batch = Vec::with_capacity(streams.len());
        for id in streams {
            match self.streams.remove(&id) {
                Some(state) => match state.broken.clone() {
                    None => {
                        self.open -= usize::from(state.waits_open());
                        self.believed -= usize::from(state.is_believed());
                        batch.push((id, state));
                    }
                    Some(error) => {
                        self.streams.insert(id, state);
                        self.fail(id, 0, error, None);
                    }
                },
                None => self.fail(id, 0, internal("commit of a stream that is not there"), None),
            }
        }
        // What is there changes now.
        self.folders.clear();
        if self.lander.is_none() {
            self.lander = Lander::start(&self.root, self.policy.names, &self.sync, self.done.clone());
        }
        self.done.flush();
        match &self.lander {
            Some(lander) => lander.commit(batch),
            None => {
                for (id, _) in batch {
                    self.fail(id, 0, internal("no thread for landing"), None);
                }
            }
        }
    }

    fn discard(&mut self, id: StreamId, keep: Keep) {
        match (self.streams.remove(&id), &self.lander) {
            (Some(state), _) => {
                let beside = state.hash.is_beside();
                self.open -= usize::from(state.waits_open());
                self.believed -= usize::from(state.is_believed());
                state.discard(keep);
                if let (true, Some(hashing)) = (beside, &self.hashing) {
                    hashing.submit(Job::Forget(id.into()));
                }
                self.complete_in_order(beside, LandDone::Discarded(id), None);
            }
            // It was committed: the answer has to stay behind that one's.
            (None, Some(lander)) => {
                self.done.flush();
                lander.discarded(id);
            }
            (None, None) => self.complete(LandDone::Discarded(id), None),
        }
    }

    fn note(&self, note: Note) {
        if let Some(notes) = &self.policy.notes {
            notes(note);
        }
    }
}
