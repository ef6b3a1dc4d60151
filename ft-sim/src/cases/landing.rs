//! `ft_core`'s storage on the simulator's disk: content under a temporary name, synced, renamed, folder synced (FT-62).
//!
//! [`Haste`] plants the mistakes that a power cut punishes, so that a test can show that it does.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::task::{Context, Poll};

use ft_core::carry::Bulk;
use ft_core::error::{Code, FileError, Retry};
use ft_core::frame::{Ack2, Level, Offer, StreamId};
use ft_core::hash::TreeHasher;
use ft_core::memory::{Memory, MemoryStorage};
use ft_core::storage::{LandDone, LandOp, Prepared, Step, Storage, level_for};

use crate::disk::{Disk, File};
use crate::trace::NoteKind;
use crate::world::Tracer;

/// A step of landing that is left out, and reported all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Haste {
    /// None: as the protocol has it.
    #[default]
    None,
    /// The file is not synced before its rename.
    FileSync,
    /// The folder is not synced before ACK2.
    FolderSync,
    /// The final name is written in place.
    Rename,
    /// A file whose sync failed is synced again, and that is believed.
    SyncAgain,
}

/// Where a case's receiver lands its files.
#[derive(Clone)]
pub(super) enum Target {
    Memory(Memory),
    Disk(Disk, Haste, Tracer),
}

impl Target {
    pub(super) fn storage(&self) -> AnyStorage {
        match self {
            Self::Memory(memory) => AnyStorage::Memory(Box::new(memory.storage())),
            Self::Disk(disk, haste, tracer) => {
                AnyStorage::Disk(DiskStorage::new(disk.rebooted(), *haste, tracer.clone()))
            }
        }
    }

    /// Nothing goes wrong by itself any more.
    pub(super) fn calm(&self) {
        if let Self::Disk(disk, ..) = self {
            disk.clear_fault();
        }
    }

    /// Whether something that was kept is believed to be the beginning of what it was kept from.
    pub(super) fn believes(&self) -> bool {
        matches!(self, Self::Memory(memory) if !memory.tree().kept_from.is_empty())
    }

    /// Calls `see` for every file under a final name.
    pub(super) fn each(&self, mut see: impl FnMut(&str, &[u8])) {
        match self {
            Self::Memory(memory) => {
                for (path, entry) in &memory.tree().files {
                    match path.components() {
                        // A case's names are plain: nothing of them needs to be escaped.
                        [name] if name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\') => {
                            see(std::str::from_utf8(name).unwrap_or_default(), &entry.content);
                        }
                        _ => see(&path.to_string(), &entry.content),
                    }
                }
            }
            Self::Disk(disk, ..) => disk.rebooted().each(|name, content| {
                if !name.starts_with('.') {
                    see(name, content);
                }
            }),
        }
    }
}

pub(super) enum AnyStorage {
    Memory(Box<MemoryStorage>),
    Disk(DiskStorage),
}

impl Storage for AnyStorage {
    fn submit(&mut self, op: LandOp, content: Option<Bulk>) {
        match self {
            Self::Memory(storage) => storage.submit(op, content),
            Self::Disk(storage) => storage.submit(op, content),
        }
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(LandDone, Option<Bulk>)> {
        match self {
            Self::Memory(storage) => storage.poll_done(cx),
            Self::Disk(storage) => storage.poll_done(cx),
        }
    }
}

struct Landing {
    offer: Offer,
    name: String,
    temporary: String,
    file: File,
    size: u64,
    hasher: TreeHasher,
    broken: Option<FileError>,
}

/// One session's files.
pub(super) struct DiskStorage {
    disk: Disk,
    haste: Haste,
    tracer: Tracer,
    /// The power cut was noted.
    noted: bool,
    streams: BTreeMap<StreamId, Landing>,
    done: VecDeque<(LandDone, Option<Bulk>)>,
}

fn file_error(error: &io::Error) -> FileError {
    let code = if error.kind() == io::ErrorKind::StorageFull { Code::NoSpace } else { Code::Io };
    FileError::new(code, Retry::Later, error.to_string())
}

impl DiskStorage {
    fn new(disk: Disk, haste: Haste, tracer: Tracer) -> Self {
        Self { disk, haste, tracer, noted: false, streams: BTreeMap::new(), done: VecDeque::new() }
    }

    fn prepare(&mut self, id: StreamId, offer: Offer) -> Prepared {
        let name = offer.meta.path.to_string();
        if !self.disk.lock(&name) {
            return Prepared::Refused(FileError::new(Code::NameBusy, Retry::Later, ""));
        }
        let temporary = if self.haste == Haste::Rename { name.clone() } else { format!(".{name}") };
        match self.disk.create(&temporary) {
            Err(error) => {
                self.disk.unlock(&name);
                Prepared::Refused(file_error(&error))
            }
            Ok(file) => {
                let hasher = TreeHasher::new();
                self.streams.insert(id, Landing { offer, name, temporary, file, size: 0, hasher, broken: None });
                Prepared::Fresh
            }
        }
    }

    fn write(&mut self, id: StreamId, mut bytes: &[u8]) -> Result<(), FileError> {
        let Some(landing) = self.streams.get_mut(&id) else {
            return Err(FileError::new(Code::Internal, Retry::Never, "no such stream"));
        };
        if let Some(error) = &landing.broken {
            return Err(error.clone());
        }
        while !bytes.is_empty() {
            match self.disk.write(landing.file, bytes) {
                Ok(n) => {
                    landing.hasher.update(&bytes[..n]);
                    landing.size += n as u64;
                    bytes = &bytes[n..];
                }
                Err(error) => {
                    let error = file_error(&error);
                    landing.broken = Some(error.clone());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn land(&mut self, id: StreamId) -> Result<Ack2, FileError> {
        let Some(landing) = self.streams.get(&id) else {
            return Err(FileError::new(Code::Internal, Retry::Never, "no such stream"));
        };
        let failed = |error: io::Error| file_error(&error);
        if self.haste != Haste::FileSync {
            let synced = self.disk.sync(landing.file);
            let again = |error| if self.haste == Haste::SyncAgain { self.disk.sync(landing.file) } else { Err(error) };
            synced.or_else(again).map_err(failed)?;
        }
        self.done.push_back((LandDone::Step(id, Step::Synced), None));
        if self.haste != Haste::Rename {
            self.disk.rename(&landing.temporary, &landing.name).map_err(failed)?;
        }
        self.done.push_back((LandDone::Step(id, Step::Renamed), None));
        if self.haste != Haste::FolderSync {
            self.disk.sync_folder().map_err(failed)?;
        }
        self.done.push_back((LandDone::Step(id, Step::DirSynced), None));
        let level = level_for(&landing.offer, Level::Durable);
        let path = landing.offer.meta.path.clone();
        Ok(Ack2 { size: landing.size, level, root: landing.hasher.root(), path })
    }

    fn forget(&mut self, id: StreamId) {
        if let Some(landing) = self.streams.remove(&id) {
            if self.haste != Haste::Rename {
                self.disk.remove(&landing.temporary);
            }
            self.disk.unlock(&landing.name);
        }
    }
}

impl Storage for DiskStorage {
    fn submit(&mut self, op: LandOp, content: Option<Bulk>) {
        let (done, buf) = match op {
            LandOp::Prepare(id, offer) => (LandDone::Prepared(id, self.prepare(id, offer)), None),
            LandOp::Write { stream, len, .. } => {
                let content = content.expect("content comes with a write");
                let done = match self.write(stream, content.bytes()) {
                    Ok(()) => LandDone::Wrote(stream, len),
                    Err(error) => LandDone::Failed(stream, len, error),
                };
                (done, Some(content))
            }
            LandOp::Hole { stream, len, .. } => {
                let zeros = vec![0; usize::try_from(len).expect("a hole is at most 16 MiB")];
                let done = match self.write(stream, &zeros) {
                    Ok(()) => LandDone::Wrote(stream, len),
                    Err(error) => LandDone::Failed(stream, len, error),
                };
                (done, None)
            }
            LandOp::Finish(id, _) => {
                let done = match self.streams.get(&id) {
                    Some(Landing { broken: None, hasher, .. }) => LandDone::Finished(id, hasher.root()),
                    Some(Landing { broken: Some(error), .. }) => LandDone::Failed(id, 0, error.clone()),
                    None => LandDone::Failed(id, 0, FileError::new(Code::Internal, Retry::Never, "no such stream")),
                };
                (done, None)
            }
            LandOp::Commit(group) => {
                for id in group {
                    let done = match self.land(id) {
                        Ok(ack) => {
                            if let Some(landing) = self.streams.remove(&id) {
                                self.disk.unlock(&landing.name);
                            }
                            LandDone::Landed(id, ack)
                        }
                        Err(error) => LandDone::Failed(id, 0, error),
                    };
                    self.done.push_back((done, None));
                }
                return;
            }
            LandOp::Discard(id, _) => {
                self.forget(id);
                (LandDone::Discarded(id), None)
            }
        };
        self.done.push_back((done, buf));
    }

    fn poll_done(&mut self, _: &mut Context<'_>) -> Poll<(LandDone, Option<Bulk>)> {
        let failed = matches!(
            self.done.front(),
            None | Some((LandDone::Failed(..) | LandDone::Prepared(_, Prepared::Refused(_)), _))
        );
        if failed && !self.disk.is_alive() {
            // The host went with its disk: nobody hears of it any more.
            if !self.noted {
                self.noted = true;
                self.tracer.note(NoteKind::Fs, format_args!("the power fails"));
            }
            return Poll::Pending;
        }
        // Operations complete as they are submitted, by the same task: there is nobody to wake.
        self.done.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for DiskStorage {
    /// A killed process forgets its locks; after a power cut none of this reaches the disk.
    fn drop(&mut self) {
        let ids: Vec<StreamId> = self.streams.keys().copied().collect();
        ids.into_iter().for_each(|id| self.forget(id));
    }
}
