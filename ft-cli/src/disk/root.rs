//! An opened folder that is served or received into, and what its sessions share: names in use, space promised.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ft_core::frame::{Meta, Mtime};
use ft_core::path::RelPath;

use super::grain::Grain;
use super::land::DiskStorage;
use super::limits::{DOUBTS_MOST, SPACE_AGE, SPACE_MARGIN};
use super::source::{DiskSource, WalkOptions};
use super::staging::{Staging, partial_of};
use super::sys::{self, Dir, Through, What};
use super::{Policy, fault};

/// An opened destination or served folder. Held by descriptor: renaming or replacing it while it is open leads nobody
/// elsewhere.
#[derive(Debug)]
pub struct Root {
    pub(super) dir: Dir,
    path: PathBuf,
    pub(super) device: u64,
    /// Made at the first use, so that a folder that is only read stays as it is.
    staging: Mutex<Option<Arc<Staging>>>,
    /// Hashes of the paths: thousands of streams wait, and each has its path already.
    busy: Mutex<HashSet<[u8; 32]>>,
    /// What new files do not get of the mode that is asked for.
    umask: u16,
    space: Mutex<Space>,
    activity: Arc<Activity>,
    failed_syncs: AtomicU64,
    doubts: Mutex<Doubts>,
    grain: Grain,
}

/// One thing in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: Vec<u8>,
    /// It is a folder, not a link to one.
    pub is_folder: bool,
    /// Length of its content, if it is a file.
    pub bytes: u64,
}

/// Counts threads. Apart from the root, so that a thread can say that it has ended when it holds nothing of it any more.
#[derive(Debug, Default)]
struct Activity {
    working: Mutex<usize>,
    idle: Condvar,
}

#[derive(Debug, Default)]
struct Space {
    /// Free bytes when last asked, less what was promised since.
    left: u64,
    asked: Option<Instant>,
    /// Promised to files that are not written yet.
    promised: u64,
}

/// Files under their final names for which a sync failed.
#[derive(Debug, Default)]
struct Doubts {
    /// Hashes of their paths.
    names: HashSet<[u8; 32]>,
    /// More than are remembered.
    all: bool,
}

impl Root {
    /// Opens a folder.
    ///
    /// # Errors
    /// As the system says: it is missing, no folder, or may not be read.
    pub fn open(dir: &Path) -> io::Result<Arc<Self>> {
        Self::of(Dir::open_ambient(dir)?, dir.to_owned(), sys::umask())
    }

    fn of(dir: Dir, path: PathBuf, umask: u16) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            device: dir.stat_self()?.device,
            dir,
            path,
            staging: Mutex::default(),
            busy: Mutex::default(),
            umask,
            space: Mutex::default(),
            activity: Arc::default(),
            failed_syncs: AtomicU64::new(0),
            doubts: Mutex::default(),
            grain: Grain::default(),
        }))
    }

    /// A folder beneath this one as a root of its own, made if it is missing. No link is followed on the way.
    ///
    /// # Errors
    /// Something else is there, or it cannot be made.
    pub fn beneath(&self, path: &RelPath) -> io::Result<Arc<Self>> {
        let mut dir = self.dir.folder(&[], Through::NoLinks)?;
        for component in path.components() {
            match dir.make_folder(component, false) {
                Ok(()) => dir.sync()?,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
            dir = dir.folder(std::slice::from_ref(component), Through::NoLinks)?;
        }
        let shown = path.components().iter().fold(self.path.clone(), |at, name| at.join(sys::to_path(name)));
        Self::of(dir, shown, self.umask)
    }

    /// Whether it is the folder that `path` beneath `above` leads to now. Blocks.
    pub fn is_at(&self, above: &Self, path: &RelPath) -> bool {
        let there = above.dir.folder(path.components(), Through::NoLinks).and_then(|dir| dir.identity());
        there.is_ok_and(|there| self.dir.identity().is_ok_and(|here| here == there))
    }

    /// What is in the folder at `at`, no link followed; what goes away meanwhile is left out. Blocks.
    ///
    /// # Errors
    /// As the system says.
    pub fn list(&self, at: &[Vec<u8>]) -> io::Result<Vec<Listed>> {
        let dir = self.dir.folder(at, Through::NoLinks)?;
        let mut all = Vec::new();
        for (name, _) in dir.names()? {
            if let Some(st) = dir.stat(&name)? {
                let bytes = if st.what == What::File { st.size } else { 0 };
                all.push(Listed { name, is_folder: st.what == What::Folder, bytes });
            }
        }
        Ok(all)
    }

    /// Whether anything is there, no link followed; false if that cannot be seen. Blocks.
    pub fn has(&self, path: &RelPath) -> bool {
        let Some((name, above)) = path.components().split_last() else { return true };
        let parent = self.dir.folder(above, Through::NoLinks);
        parent.and_then(|parent| parent.stat(name)).is_ok_and(|found| found.is_some())
    }

    /// A file beneath this folder, opened for reading, no link followed. Blocks.
    ///
    /// # Errors
    /// Something else is there, or nothing, or it cannot be opened.
    pub fn read(&self, path: &RelPath) -> io::Result<File> {
        let Some((name, above)) = path.components().split_last() else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let parent = self.dir.folder(above, Through::NoLinks)?;
        // Looked at before it is opened: opening a device can do something.
        let is_file = |what: What| match what {
            What::File => Ok(()),
            What::Folder | What::Link | What::Special(_) => Err(io::Error::other(format!("it is {}", what.name()))),
        };
        is_file(parent.stat(name)?.ok_or(io::ErrorKind::NotFound)?.what)?;
        let file = parent.file_here(name)?;
        is_file(sys::stat_file(&file)?.what)?;
        Ok(file)
    }

    /// The path by which it was opened, for showing.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The mode for a new file: as offered, or what any program here would give.
    pub(super) fn mode_for(&self, meta: &Meta) -> u16 {
        meta.mode.unwrap_or(0o666 & !self.umask)
    }

    /// Whether a file that is created with this mode has it then.
    pub(super) fn leaves(&self, mode: u16) -> bool {
        mode & self.umask == 0
    }

    /// Whether a file that was given the time `wanted` may show `kept` here. If that depends on the file system it is asked,
    /// in staging, if it `may_ask`.
    pub(super) fn same_time(&self, wanted: Mtime, kept: Mtime, may_ask: bool) -> bool {
        self.grain.same(wanted, kept, may_ask.then_some(|| self.staging()))
    }

    /// A storage for one session that lands files here.
    pub fn storage(self: &Arc<Self>, policy: Policy) -> DiskStorage {
        DiskStorage::start(Arc::clone(self), policy)
    }

    /// A source for one session that answers wants from beneath this folder. `options.links` does not matter: each want
    /// says what it wishes.
    pub fn source(self: &Arc<Self>, options: WalkOptions) -> DiskSource {
        DiskSource::serve(Arc::clone(self), options)
    }

    /// Waits until the threads of all dropped storages have ended, so that every name is free again and the staging
    /// folder holds nothing but partials. False if that takes longer.
    pub fn settle(&self, at_most: Duration) -> bool {
        let working = lock(&self.activity.working);
        let (working, _) =
            self.activity.idle.wait_timeout_while(working, at_most, |n| *n > 0).unwrap_or_else(PoisonError::into_inner);
        *working == 0
    }

    pub(super) fn staging(&self) -> io::Result<Arc<Staging>> {
        let mut staging = lock(&self.staging);
        if let Some(open) = &*staging {
            open.sweep_if_due(|| self.partials_in_use());
            return Ok(Arc::clone(open));
        }
        let opened = Arc::new(Staging::open(&self.dir, self.umask)?);
        *staging = Some(Arc::clone(&opened));
        Ok(opened)
    }

    fn partials_in_use(&self) -> HashSet<Vec<u8>> {
        lock(&self.busy).iter().map(|name| partial_of(blake3::Hash::from_bytes(*name))).collect()
    }

    /// Takes a name for one stream; `None` if another has it.
    pub(super) fn take_name(self: &Arc<Self>, path: &RelPath) -> Option<Busy> {
        let name = key(path);
        let taken = lock(&self.busy).insert(name);
        taken.then(|| Busy { root: Arc::clone(self), name })
    }

    /// Sets `bytes` aside in our books; `None` when there is less. Files that are written at once are not worth a
    /// reservation on disk, but ten thousand of them must not be promised the same megabyte.
    pub(super) fn promise(self: &Arc<Self>, bytes: u64) -> io::Result<Option<Promise>> {
        let mut space = lock(&self.space);
        let fresh = space.asked.is_some_and(|at| at.elapsed() < SPACE_AGE);
        if !fresh || space.left < bytes {
            space.left = self.dir.free()?.saturating_sub(space.promised).saturating_sub(SPACE_MARGIN);
            space.asked = Some(Instant::now());
        }
        if bytes > 0 && space.left < bytes {
            return Ok(None);
        }
        space.left -= bytes;
        space.promised += bytes;
        Ok(Some(Promise { root: Arc::clone(self), bytes }))
    }

    /// How many syncs of the whole file system have failed, of all sessions.
    pub(super) fn failed_syncs(&self) -> u64 {
        self.failed_syncs.load(Ordering::Acquire)
    }

    /// To be told when the sync has come back, so that whoever counts it writes after it.
    pub(super) fn sync_has_failed(&self) {
        self.failed_syncs.fetch_add(1, Ordering::AcqRel);
    }

    /// A sync failed for the file that is there. The next would say "fine", so it is not asked: the file has to be sent again.
    pub(super) fn doubt(&self, path: &RelPath) {
        let mut doubts = lock(&self.doubts);
        if doubts.names.len() < DOUBTS_MOST {
            doubts.names.insert(key(path));
        } else {
            doubts.all = true;
        }
    }

    /// Another file has the name now.
    pub(super) fn trust(&self, path: &RelPath) {
        let mut doubts = lock(&self.doubts);
        if !doubts.names.is_empty() {
            doubts.names.remove(&key(path));
        }
    }

    /// Whether the file that is there is not to be taken for a stored one.
    pub(super) fn doubts(&self, path: &RelPath) -> bool {
        let doubts = lock(&self.doubts);
        doubts.all || (!doubts.names.is_empty() && doubts.names.contains(&key(path)))
    }

    pub(super) fn work(&self) -> Working {
        *lock(&self.activity.working) += 1;
        Working(Arc::clone(&self.activity))
    }
}

/// A final name that one stream writes.
#[derive(Debug)]
pub(super) struct Busy {
    root: Arc<Root>,
    name: [u8; 32],
}

impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.root.busy).remove(&self.name);
    }
}

/// Space that one stream may use.
#[derive(Debug)]
pub(super) struct Promise {
    root: Arc<Root>,
    bytes: u64,
}

impl Drop for Promise {
    fn drop(&mut self) {
        // Whether it was used is seen when the system is asked next.
        lock(&self.root.space).promised -= self.bytes;
    }
}

/// A thread that works on a root. To be dropped last.
#[derive(Debug)]
pub(super) struct Working(Arc<Activity>);

impl Drop for Working {
    fn drop(&mut self) {
        *lock(&self.0.working) -= 1;
        self.0.idle.notify_all();
    }
}

fn key(path: &RelPath) -> [u8; 32] {
    *blake3::hash(&path.to_bytes()).as_bytes()
}

/// A panic of another thread leaves the books as they were: each change is one assignment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error for an offer that does not fit.
pub(super) fn no_space(path: &RelPath, bytes: u64) -> ft_core::error::FileError {
    let e = io::Error::new(io::ErrorKind::StorageFull, format!("{bytes} bytes do not fit on the file system"));
    fault::fault("reserve", path, &e)
}
