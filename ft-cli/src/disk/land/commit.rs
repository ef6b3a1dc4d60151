//! Committing a group: metadata, sync of all contents, renames, sync of all folders, each step told when it is done.
//!
//! Few files are synced one by one, many by one sync of the file system. A sync that fails is final for the files it
//! covers: the system may have dropped the pages and will say "fine" the next time, so nothing is tried again and what
//! was written is not kept as a partial either (pitfall "fsync retried"). A sync of the file system that fails also covers
//! what is being written meanwhile, and tells so once: no later one can answer for those files (`Stream::needs_own_sync`).

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use ft_core::error::{Code, FileError, Retry};
use ft_core::frame::{Ack2, Kind, Level, Meta, Overwrite, StreamId};
use ft_core::path::RelPath;
use ft_core::storage::{LandDone, Step};

use super::super::Names;
use super::super::fault::{alike, fault, in_the_way, internal};
use super::super::limits::{FOLDER_RIGHTS, KEEP_BOTH_TRIES, OPEN_TOGETHER, SYNC_EACH};
use super::super::listings::{Listings, respelled};
use super::super::names;
use super::super::outbox::Outbox;
use super::super::root::Root;
use super::super::sys::{self, Dir, Through, What};
use super::folders::{Folders, Fresh};
use super::stream::{Back, HashState, Same, Stream, Temp};
use super::write::{changed, taken};

/// How often something may be in the way and be gone when it is looked at.
const GONE_TRIES: u32 = 100;

enum Job {
    Commit(Vec<(StreamId, Box<Stream>)>),
    Discarded(StreamId),
}

/// The entrance of the landing thread.
pub(super) struct Lander(Sender<Job>);

impl Lander {
    /// Starts the thread; `None` if the system has none left.
    pub(super) fn start(
        root: &Arc<Root>,
        names: Names,
        sync: &io::Result<Arc<Dir>>,
        done: Outbox<LandDone>,
    ) -> Option<Self> {
        let (jobs, queue) = channel();
        let sync = sync.as_ref().ok().filter(|dir| dir.sync_tells()).map(Arc::clone);
        let root = Arc::clone(root);
        let working = root.work();
        let run = move || {
            let folders = Folders::new(Arc::clone(&root), names);
            let landing = Landing { folders, names, fresh: Fresh::default(), root, sync, done };
            landing.run(&queue);
            drop(working);
        };
        std::thread::Builder::new().name("ft-commit".to_owned()).spawn(run).ok()?;
        Some(Self(jobs))
    }

    pub(super) fn commit(&self, batch: Vec<(StreamId, Box<Stream>)>) {
        drop(self.0.send(Job::Commit(batch)));
    }

    /// Answers the discard of a stream that was committed before.
    pub(super) fn discarded(&self, id: StreamId) {
        drop(self.0.send(Job::Discarded(id)));
    }
}

struct Landing {
    root: Arc<Root>,
    folders: Folders,
    names: Names,
    fresh: Fresh,
    sync: Option<Arc<Dir>>,
    done: Outbox<LandDone>,
}

/// One stream on its way.
struct Entry {
    id: StreamId,
    stream: Box<Stream>,
    /// Where it is.
    path: RelPath,
    /// Synced by itself.
    alone: bool,
    error: Option<FileError>,
}

impl Entry {
    fn durable(&self) -> bool {
        self.error.is_none() && self.stream.level == Level::Durable
    }

    fn synced_with_all(&self) -> bool {
        self.durable() && !self.alone
    }
}

impl Landing {
    fn run(mut self, queue: &Receiver<Job>) {
        // A commit that was asked for is carried out even if the session goes: its content is verified.
        while let Ok(job) = self.done.next(queue) {
            match job {
                Job::Commit(batch) => self.commit(batch),
                Job::Discarded(id) => self.tell(LandDone::Discarded(id)),
            }
        }
    }

    fn syncs_all(&self) -> bool {
        sys::SYNCS_FILE_SYSTEM && self.sync.is_some()
    }

    /// Syncs the file system. Whoever is writing meanwhile has to know that it failed.
    fn sync_all(&self) -> io::Result<()> {
        let synced = match &self.sync {
            Some(sync) => sync.sync_file_system(),
            None => Err(ErrorKind::Unsupported.into()),
        };
        synced.inspect_err(|_| self.root.sync_has_failed())
    }

    fn tell(&self, completion: LandDone) {
        self.done.push(completion, None);
    }

    /// In parts: of each, no more files are open at a time than a process can afford.
    fn commit(&mut self, mut batch: Vec<(StreamId, Box<Stream>)>) {
        let (each, failed) = (!self.syncs_all(), self.root.failed_syncs());
        let stays_open = |stream: &Stream| {
            each || stream.needs_own_sync(failed) || stream.temp.as_ref().is_some_and(|temp| temp.partial)
        };
        while !batch.is_empty() {
            let mut open = 0;
            let beyond = batch.iter().position(|(_, stream)| {
                open += usize::from(stays_open(stream));
                open > OPEN_TOGETHER
            });
            let rest = batch.split_off(beyond.unwrap_or(batch.len()));
            self.commit_part(std::mem::replace(&mut batch, rest));
        }
    }

    fn commit_part(&mut self, batch: Vec<(StreamId, Box<Stream>)>) {
        let mut batch: Vec<Entry> = batch
            .into_iter()
            .map(|(id, stream)| Entry { id, path: stream.meta.path.clone(), stream, alone: false, error: None })
            .collect();
        self.folders.clear();
        let each = batch.iter().filter(|entry| entry.durable()).count() <= SYNC_EACH || !self.syncs_all();
        self.sync_contents(&mut batch, each);
        let mut changed = BTreeSet::new();
        for entry in &mut batch {
            if entry.error.is_some() {
                continue;
            }
            match self.place(entry, &mut changed) {
                Ok(()) => self.tell(LandDone::Step(entry.id, Step::Renamed)),
                Err(error) => entry.error = Some(error),
            }
        }
        if batch.iter().any(Entry::durable) {
            self.sync_folders(&mut batch, changed);
        }
        // Sessions of the same tree wait for these names: free them before the answers cause new offers.
        self.folders.clear();
        for Entry { id, mut stream, path, error, .. } in batch {
            let root = match (&stream.same, &mut stream.hash) {
                (Some(same), _) => same.root,
                (None, HashState::Known(root)) => Some(*root),
                (None, _) => None,
            };
            let size = stream.meta.size.or(stream.position).unwrap_or(0);
            let level = stream.level;
            drop(stream);
            self.tell(match error {
                Some(error) => LandDone::Failed(id, 0, error),
                None => LandDone::Landed(id, Ack2 { size, level, root: root.unwrap_or_default(), path }),
            });
        }
    }

    /// Metadata and content of every file are on disk, as far as its level asks for that.
    fn sync_contents(&mut self, batch: &mut [Entry], each: bool) {
        let failed = self.root.failed_syncs();
        for entry in batch.iter_mut() {
            entry.alone = entry.durable() && (each || entry.stream.needs_own_sync(failed));
            if entry.alone && entry.stream.is_beyond_syncs(failed) {
                let e = io::Error::other("a sync of the file system failed while it was under way");
                entry.error = Some(self.poison(&mut entry.stream, &e));
            } else if let Err(error) = self.complete(entry) {
                entry.error = Some(error);
            }
        }
        for entry in batch.iter_mut().filter(|entry| entry.durable() && entry.alone) {
            let synced = match &entry.stream.temp {
                Some(Temp { file: Some(file), .. }) => file.sync_all(),
                Some(Temp { file: None, .. }) => Err(ErrorKind::NotFound.into()),
                None => self.sync_same(entry.stream.same.as_deref()),
            };
            if let Err(e) = synced {
                entry.error = Some(self.poison(&mut entry.stream, &e));
            }
        }
        if batch.iter().any(Entry::synced_with_all)
            && let Err(e) = self.sync_all()
        {
            for entry in batch.iter_mut().filter(|entry| entry.synced_with_all()) {
                entry.error = Some(self.poison(&mut entry.stream, &e));
            }
        }
        for entry in batch.iter().filter(|entry| entry.durable()) {
            self.tell(LandDone::Step(entry.id, Step::Synced));
        }
    }

    /// Mode, times and hash of one stream. Leaves its file open for a sync of its own, if it gets one.
    fn complete(&mut self, entry: &mut Entry) -> Result<(), FileError> {
        let open = entry.alone;
        let stream = &mut entry.stream;
        if let HashState::Asked(told) = &stream.hash {
            stream.hash = HashState::Known(told.recv().map_err(|_| internal("the hashing thread has gone"))?);
        }
        if let Some(same) = &stream.same {
            return self.complete_same(&stream.meta, same, stream.replaces());
        }
        let path = &entry.path;
        match &mut stream.temp {
            Some(temp) => {
                if temp.partial || open {
                    match temp.reopen(false).map_err(|e| fault("open the staged content of", path, &e))? {
                        Back::Same | Back::Trimmed => {}
                        Back::Other => return Err(changed(path)),
                        Back::Taken => return Err(taken(path)),
                    }
                }
                if let (true, Some(file)) = (temp.partial, &temp.file) {
                    sys::set_file_meta(file, Some(self.root.mode_for(&stream.meta)), stream.meta.mtime)
                        .map_err(|e| fault("set mode and time of", path, &e))?;
                }
                if let (true, Some(file)) = (open, &temp.file) {
                    // All of the group start before the first is waited for.
                    sys::start_write_back(file, stream.flushed, stream.written.saturating_sub(stream.flushed));
                }
                Ok(())
            }
            None if stream.meta.kind == Kind::File => Err(internal("commit of a file that was not finished")),
            None => Ok(()),
        }
    }

    /// The file is still the one that was found; mode and time become what was offered, where replacing is allowed.
    fn complete_same(&mut self, meta: &Meta, same: &Same, replaces: bool) -> Result<(), FileError> {
        let path = &same.path;
        let changed = || {
            let text = format!("{path} changed since the offer was answered");
            FileError::new(Code::Changed, Retry::Now, text)
        };
        let Some((name, above)) = path.components().split_last() else {
            return Err(internal("a path without a name"));
        };
        let parent = self.folders.find(above)?.ok_or_else(changed)?;
        if parent.stat(name).map_err(|e| fault("look at", path, &e))? != Some(same.stat) {
            return Err(changed());
        }
        let mode = meta.mode.filter(|&mode| replaces && mode != same.stat.mode);
        let mtime = meta.mtime.filter(|&mtime| replaces && !self.root.same_time(mtime, same.stat.mtime, true));
        if mode.is_none() && mtime.is_none() {
            return Ok(());
        }
        let file = parent.file_here(name).map_err(|e| fault("open", path, &e))?;
        if sys::stat_file(&file).map_err(|e| fault("look at", path, &e))? != same.stat {
            return Err(changed());
        }
        sys::set_file_meta(&file, mode, mtime).map_err(|e| fault("set mode and time of", path, &e))
    }

    fn sync_same(&self, same: Option<&Same>) -> io::Result<()> {
        // Folders and links: their content is their entry.
        let Some(same) = same else { return Ok(()) };
        match self.root.dir.file(same.path.components(), Through::NoLinks) {
            Ok(file) => file.sync_all(),
            // Its mode keeps us out: it is synced with everything else, as long as that can answer for it.
            Err(e) if e.kind() == ErrorKind::PermissionDenied && self.syncs_all() && self.root.failed_syncs() == 0 => {
                self.sync_all()
            }
            Err(e) => Err(e),
        }
    }

    /// A failed sync: neither what was written nor what was there already can be trusted, now or later.
    fn poison(&self, stream: &mut Stream, e: &io::Error) -> FileError {
        if let Some(temp) = &mut stream.temp {
            temp.lasting = false;
        }
        if let Some(same) = &stream.same {
            self.root.doubt(&same.path);
        }
        let error = fault("sync", &stream.meta.path, e);
        FileError::new(Code::Io, Retry::Later, error.text)
    }

    /// Puts one stream under its final name.
    fn place(&mut self, entry: &mut Entry, changed: &mut BTreeSet<Vec<Vec<u8>>>) -> Result<(), FileError> {
        if let Some(same) = &entry.stream.same {
            entry.path = same.path.clone();
            if let Some((_, above)) = entry.path.components().split_last() {
                changed.insert(above.to_vec());
            }
            return Ok(());
        }
        let mut made = Vec::new();
        let placed = match entry.stream.meta.kind {
            Kind::Folder => self.place_folder(entry, changed, &mut made),
            Kind::File | Kind::Link => self.place_named(entry, changed, &mut made),
        };
        if placed.is_err() {
            self.folders.unmake(&made, changed);
        } else if !entry.stream.replaces() {
            self.fresh.add(made);
        }
        placed
    }

    fn place_folder(
        &mut self,
        entry: &Entry,
        changed: &mut BTreeSet<Vec<Vec<u8>>>,
        made: &mut Vec<Vec<Vec<u8>>>,
    ) -> Result<(), FileError> {
        let meta = &entry.stream.meta;
        let at = meta.path.components();
        let dir = self.folders.make(at, changed, made)?;
        let is_ours = made.iter().any(|one| one == at) || self.fresh.take(at);
        if is_ours || entry.stream.replaces() {
            // Whatever was offered: the next session must be able to look into it.
            let mode = meta.mode.map(|mode| mode | FOLDER_RIGHTS);
            dir.set_meta(mode, meta.mtime).map_err(|e| fault("set mode and time of", &meta.path, &e))?;
        }
        changed.insert(meta.path.components().to_vec());
        if let Some(above) = meta.path.parent() {
            changed.insert(above.components().to_vec());
        }
        Ok(())
    }

    fn place_named(
        &mut self,
        entry: &mut Entry,
        changed: &mut BTreeSet<Vec<Vec<u8>>>,
        made: &mut Vec<Vec<Vec<u8>>>,
    ) -> Result<(), FileError> {
        if entry.stream.meta.kind == Kind::Link {
            entry.stream.temp = Some(self.stage_link(&entry.stream.meta)?);
        }
        let Some((name, above)) = entry.stream.meta.path.components().split_last() else {
            return Err(internal("a path without a name"));
        };
        let parent = self.folders.make(above, changed, made)?;
        let Some(temp) = entry.stream.temp.take() else {
            return Err(internal("nothing is staged"));
        };
        let result = rename(&entry.stream, &temp, &parent, name, self.names);
        match result {
            Ok(name) => {
                temp.landed();
                if !changed.contains(above) {
                    changed.insert(above.to_vec());
                }
                if Some(name.as_slice()) != entry.path.name() {
                    let path = [above, &[name]].concat();
                    entry.path = RelPath::new(path).map_err(|e| internal(e.to_string()))?;
                }
                self.root.trust(&entry.path);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn stage_link(&self, meta: &Meta) -> Result<Temp, FileError> {
        let failed = |e: &io::Error| fault("create link", &meta.path, e);
        let staging = self.root.staging().map_err(|e| failed(&e))?;
        let name = staging.fresh_name().map_err(|e| failed(&e))?;
        staging.own.make_link(&meta.target, &name).map_err(|e| failed(&e))?;
        let temp =
            Temp { staging, name, partial: false, lasting: false, file: None, waits: false, noted: None, mark: None };
        if let Some(mtime) = meta.mtime {
            temp.dir().set_link_mtime(&temp.name, mtime).map_err(|e| failed(&e))?;
        }
        Ok(temp)
    }

    /// Every folder in `changed` is on disk, and so is every folder above it: one that was there already may have been made by
    /// somebody who did not wait for it to be synced, and its entry goes with the power.
    fn sync_folders(&mut self, batch: &mut [Entry], mut changed: BTreeSet<Vec<Vec<u8>>>) {
        let above: Vec<_> = changed.iter().flat_map(|at| (0..at.len()).map(|n| at[..n].to_vec())).collect();
        changed.extend(above);
        // After a failure that may have been a folder's, each has to tell for itself.
        let together = changed.len() > SYNC_EACH && self.syncs_all() && self.root.failed_syncs() == 0;
        let synced = if together {
            self.sync_all().map_err(|e| (RelPath::root(), e))
        } else {
            changed.iter().try_for_each(|at| {
                let synced = self.root.dir.folder(at, Through::NoLinks).and_then(|dir| dir.sync());
                synced.map_err(|e| (RelPath::new(at.clone()).unwrap_or_default(), e))
            })
        };
        for entry in batch.iter_mut().filter(|entry| entry.durable()) {
            match &synced {
                Ok(()) => self.tell(LandDone::Step(entry.id, Step::DirSynced)),
                Err((path, e)) => {
                    // It has its name, and may lose it with the power.
                    self.root.doubt(&entry.path);
                    entry.error = Some(fault("sync folder", path, e));
                }
            }
        }
    }
}

/// Gives a staged file or link its name, and tells which it is.
fn rename(stream: &Stream, temp: &Temp, parent: &Dir, name: &[u8], policy: Names) -> Result<Vec<u8>, FileError> {
    let path = &stream.meta.path;
    let replace = stream.replaces();
    let mut candidate = stream.candidate;
    // What was there at the offer is most likely still there.
    let mut try_new = !(stream.exists && replace);
    let look = |e: &io::Error| fault("look at", path, e);
    let still_ours = || match temp.has_its_name() {
        Ok(true) => Ok(()),
        Ok(false) => Err(changed(path)),
        Err(e) => Err(fault("look at the partial of", path, &e)),
    };
    // Where names must be apart on every system, nobody else lands one between our look and our rename.
    let mut listings = (policy == Names::Portable).then(Listings::lock);
    let mut gone = 0;
    loop {
        let this = names::candidate(name, candidate);
        let beside = match &mut listings {
            Some(listings) => listings.beside(parent, &this).map_err(|e| look(&e))?,
            None => None,
        };
        if try_new && beside.is_none() {
            still_ours()?;
            match temp.dir().rename_new(&temp.name, parent, &this) {
                Ok(()) => {
                    if let Some(listings) = &mut listings {
                        listings.added(parent, &this);
                    }
                    return Ok(this);
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(fault("rename to", path, &e)),
            }
        }
        try_new = true;
        let wanted = if stream.meta.kind == Kind::Link { What::Link } else { What::File };
        let existing = match (parent.stat(&this).map_err(|e| look(&e))?, &beside) {
            (Some(found), _) => Some(found.what),
            (None, Some(_)) => None,
            // Gone again.
            (None, None) if gone < GONE_TRIES => {
                gone += 1;
                continue;
            }
            (None, None) => return Err(fault("rename to", path, &ErrorKind::ResourceBusy.into())),
        };
        let same_link = existing == Some(What::Link)
            && wanted == What::Link
            && parent.read_link(&this).is_ok_and(|target| target == stream.meta.target);
        if stream.overwrite == Overwrite::KeepBoth && (!same_link || beside.is_some()) {
            candidate += 1;
            if candidate > KEEP_BOTH_TRIES {
                let text = format!("{path} and {KEEP_BOTH_TRIES} names like it are taken");
                return Err(FileError::new(Code::Exists, Retry::Never, text));
            }
            continue;
        }
        if let Some(other) = beside {
            return Err(alike(path, &other, "other systems take"));
        }
        if let Some(existing) = existing.filter(|existing| *existing != wanted) {
            return Err(in_the_way(path, existing));
        }
        if policy != Names::Any
            && let Some(other) = respelled(&mut listings, parent, &this).map_err(|e| look(&e))?
        {
            return Err(alike(path, &other, "this file system takes"));
        }
        if !replace && !same_link {
            return Err(FileError::new(Code::Exists, Retry::Never, format!("{path} exists and is kept")));
        }
        still_ours()?;
        temp.dir().rename_over(&temp.name, parent, &this).map_err(|e| fault("rename to", path, &e))?;
        if let Some(listings) = &mut listings {
            listings.added(parent, &this);
        }
        return Ok(this);
    }
}

#[cfg(all(test, unix))]
#[path = "commit_tests.rs"]
mod tests;
