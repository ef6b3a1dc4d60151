//! The staging folder: where content waits until it is whole and verified.
//!
//! `.ft-staging` in the root, for its owner only, holds
//! - `p-<hash of the final path>`: partials of files that can be resumed, found again by the next try, each locked
//!   (`flock`) by the session that writes it;
//! - `w-<process>-<n>/<shelf>/<n>`: one folder for each process that works here, locked as long as it lives, for
//!   everything that no later try could use: files below the resume unit, of unknown size, and links on their way.
//!
//! Locks die with their process, so a sweep can tell what was abandoned: it takes each lock without waiting, and removes
//! what it could lock and nobody can resume. The folder itself is locked shared by all, and alone by the last one who removes it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ft_core::limits::RESUME_UNIT;
use ft_core::path::RelPath;

use super::limits::{LANDING_AGE, PARTIAL_AGE, SHELF_FILES, SHELVES, STAGING, SWEEP_EVERY};
use super::spelling::fold;
use super::sys::{self, Dir, Stat, Through, What};

/// Tries to open a folder or a partial that another process removes at the same moment.
const OPEN_TRIES: u32 = 100;

/// A lock that is held for no longer than this is a sweep that looks, not a session that writes.
const SWEEP_WAITS: u32 = 3;
const SWEEP_WAIT: Duration = Duration::from_millis(2);

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The opened staging folder of one root in this process.
#[derive(Debug)]
pub(super) struct Staging {
    root: Dir,
    /// Holds the partials.
    pub(super) partials: Dir,
    /// Holds what only this process can use.
    pub(super) own: Dir,
    own_name: Vec<u8>,
    serial: AtomicU64,
    /// Shelves of `own` that exist, a bit each.
    shelves: Mutex<u64>,
    swept: Mutex<Instant>,
    /// Whether the umask alone has a say in the mode of what is created in `own`, and no access list.
    pub(super) plain_modes: bool,
}

/// What came of asking for a partial.
#[derive(Debug)]
pub(super) enum Claim {
    /// It has the name, and is locked for as long as it is open.
    Ours(File, Stat),
    /// Another session writes it.
    Taken,
    /// Nothing has the name, and nothing was to be made.
    Missing,
}

/// True for a name that nobody may see or use; however it is spelled, because some file systems do not tell.
pub(super) fn is_reserved(component: &[u8]) -> bool {
    match component.is_ascii() {
        true => component.eq_ignore_ascii_case(STAGING.as_bytes()),
        false => fold(component) == STAGING.as_bytes(),
    }
}

/// Name of the partial for a final path: the same at the next try.
pub(super) fn partial_name(path: &RelPath) -> Vec<u8> {
    partial_of(blake3::hash(&path.to_bytes()))
}

/// The same for the hash of the final path.
pub(super) fn partial_of(path: blake3::Hash) -> Vec<u8> {
    format!("p-{}", &path.to_hex()[..40]).into_bytes()
}

impl Staging {
    /// Opens or makes the staging folder beneath `root`, takes a working folder there, and sweeps.
    pub(super) fn open(root: &Dir, umask: u16) -> io::Result<Self> {
        let root = root.folder(&[], Through::NoLinks)?;
        for attempt in 0..OPEN_TRIES {
            if attempt > 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            ignore(root.make_folder(STAGING.as_bytes(), true), ErrorKind::AlreadyExists)?;
            let partials = match root.folder(&[STAGING.into()], Through::NoLinks) {
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                other => other?,
            };
            if !partials.make_private()? {
                let text = format!("{STAGING} belongs to another user");
                return Err(io::Error::new(ErrorKind::PermissionDenied, text));
            }
            if !partials.try_lock(false)? || !is_at(&root, STAGING.as_bytes(), &partials)? {
                continue;
            }
            let Some((own, own_name)) = take_own(&partials)? else {
                continue;
            };
            let plain_modes = has_plain_modes(&own, umask).unwrap_or(false);
            let (serial, shelves, swept) = (AtomicU64::new(0), Mutex::new(0), Mutex::new(Instant::now()));
            let staging = Self { root, partials, own, own_name, serial, shelves, swept, plain_modes };
            staging.sweep(&HashSet::new());
            return Ok(staging);
        }
        Err(io::Error::new(ErrorKind::ResourceBusy, format!("{STAGING} is being removed by another process")))
    }

    /// A name in `own` that was not used before, `shelf/number`. A new name costs a search of its folder's block, so
    /// thousands of files in one folder take twice as long to make as a few in each of several.
    ///
    /// # Errors
    /// A new shelf could not be made.
    pub(super) fn fresh_name(&self) -> io::Result<Vec<u8>> {
        let n = self.serial.fetch_add(1, Ordering::Relaxed);
        let shelf = n / SHELF_FILES % SHELVES;
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        if *shelves & (1 << shelf) == 0 {
            ignore(self.own.make_folder(shelf.to_string().as_bytes(), true), ErrorKind::AlreadyExists)?;
            *shelves |= 1 << shelf;
        }
        Ok(format!("{shelf}/{n}").into_bytes())
    }

    /// Opens and locks a partial; with `make`, a new one where none is that can be gone on with.
    ///
    /// # Errors
    /// It could not be opened, or what is in its place could not be removed.
    pub(super) fn claim(&self, name: &[u8], make: bool) -> io::Result<Claim> {
        let mut sweeps = 0;
        for _ in 0..OPEN_TRIES {
            let opened = if make { self.open_or_create(name) } else { open_there(&self.partials, name) };
            let (file, writable) = match opened {
                Err(e) if e.kind() == ErrorKind::NotFound && !make => return Ok(Claim::Missing),
                Err(e) if sys::is_through_link(&e) => {
                    self.partials.remove_file(name)?;
                    continue;
                }
                // Not even readable, so no lock can be asked for: whoever was about to land it may still live.
                Err(e) if e.kind() == ErrorKind::PermissionDenied => match self.partials.stat(name)? {
                    Some(st) if is_older(&st, LANDING_AGE) => {
                        self.partials.remove_file(name)?;
                        continue;
                    }
                    Some(_) => return Ok(Claim::Taken),
                    None => return Err(e),
                },
                other => other?,
            };
            if !sys::try_lock_file(&file)? {
                if sweeps < SWEEP_WAITS {
                    sweeps += 1;
                    std::thread::sleep(SWEEP_WAIT);
                    continue;
                }
                return Ok(Claim::Taken);
            }
            let st = sys::stat_file(&file)?;
            // Swept or landed between opening and locking: what we hold has no name any more.
            if !is_named(&self.partials, name, &st)? {
                continue;
            }
            if writable && !st.linked {
                return Ok(Claim::Ours(file, st));
            }
            // Left between getting its mode and its final name, it is whole, and worth going on with. Not if it has landed by
            // a second name: that content is no longer ours to change.
            if st.linked || sys::set_file_meta(&file, Some(sys::PRIVATE), None).is_err() {
                self.partials.remove_file(name)?;
            }
        }
        Err(ErrorKind::ResourceBusy.into())
    }

    /// Opens a partial, made if missing, and tells whether it can be written.
    fn open_or_create(&self, name: &[u8]) -> io::Result<(File, bool)> {
        match self.partials.open_or_create(name) {
            Err(e) if e.kind() == ErrorKind::PermissionDenied => match self.partials.file_here(name) {
                // Nothing is there: the folder itself may not be written.
                Err(gone) if gone.kind() == ErrorKind::NotFound => Err(e),
                other => Ok((other?, false)),
            },
            other => Ok((other?, true)),
        }
    }

    /// Sweeps if that was long ago: a server may run for months.
    /// What waits with its file closed has no lock: this process knows the names `in_use` without one.
    pub(super) fn sweep_if_due(&self, in_use: impl FnOnce() -> HashSet<Vec<u8>>) {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.elapsed() > SWEEP_EVERY {
            *swept = Instant::now();
            drop(swept);
            self.sweep(&in_use());
        }
    }

    /// Removes what dead processes left and nobody can use. What cannot be removed stays: the next sweep tries again.
    fn sweep(&self, in_use: &HashSet<Vec<u8>>) {
        let Ok(names) = self.partials.names() else {
            return;
        };
        for (name, _) in names {
            if name == self.own_name || in_use.contains(&name) {
                continue;
            }
            let swept = match name.first_chunk() {
                Some(b"w-") => sweep_working(&self.partials, &name),
                Some(b"p-") => sweep_partial(&self.partials, &name),
                _ => Ok(()),
            };
            drop(swept);
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        empty(&self.own);
        drop(self.partials.remove_folder(&self.own_name));
        // Partials of others keep the folder; so does a process that holds the shared lock.
        if matches!(self.partials.try_lock(true), Ok(true)) {
            drop(self.root.remove_folder(STAGING.as_bytes()));
        }
    }
}

fn take_own(partials: &Dir) -> io::Result<Option<(Dir, Vec<u8>)>> {
    for _ in 0..OPEN_TRIES {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("w-{}-{n}", std::process::id()).into_bytes();
        match partials.make_folder(&name, true) {
            // Another process with our number: of another container, or long dead.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        }
        // Between making and locking, a sweep may take it for abandoned.
        let own = match partials.folder(std::slice::from_ref(&name), Through::NoLinks) {
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            other => other?,
        };
        if own.try_lock(true)? && is_at(partials, &name, &own)? {
            return Ok(Some((own, name)));
        }
    }
    Ok(None)
}

/// Creates a file to see.
fn has_plain_modes(own: &Dir, umask: u16) -> io::Result<bool> {
    let seen = own.create(b"mode", 0o777).and_then(|file| sys::stat_file(&file));
    own.remove_file(b"mode")?;
    Ok(seen?.mode == 0o777 & !umask)
}

/// Whether `dir` is (still) what has that name.
fn is_at(parent: &Dir, name: &[u8], dir: &Dir) -> io::Result<bool> {
    is_named(parent, name, &dir.stat_self()?)
}

fn sweep_working(partials: &Dir, name: &[u8]) -> io::Result<()> {
    let dir = partials.folder(&[name.to_vec()], Through::NoLinks)?;
    if dir.try_lock(true)? {
        empty(&dir);
        partials.remove_folder(name)?;
    }
    Ok(())
}

fn sweep_partial(partials: &Dir, name: &[u8]) -> io::Result<()> {
    match open_there(partials, name) {
        Ok((file, writable)) => sweep_opened(partials, name, &file, writable),
        // No lock can be asked for it; time tells as well that nobody has it.
        Err(e) if e.kind() == ErrorKind::PermissionDenied => match partials.stat(name)? {
            Some(st) if is_older(&st, PARTIAL_AGE) => partials.remove_file(name),
            Some(_) | None => Ok(()),
        },
        Err(e) => Err(e),
    }
}

fn sweep_opened(partials: &Dir, name: &[u8], file: &File, writable: bool) -> io::Result<()> {
    if !sys::try_lock_file(file)? {
        return Ok(());
    }
    // Only now: before the lock, its owner may have landed it, and somebody else may have begun another.
    let st = sys::stat_file(file)?;
    if st.what != What::File || !is_named(partials, name, &st)? {
        return Ok(());
    }
    // A second name means that it has landed, by a link, and its owner was killed before it took this one away.
    if st.linked || st.size < RESUME_UNIT || is_older(&st, PARTIAL_AGE) {
        return partials.remove_file(name);
    }
    // What a killed process had reserved behind the end is not needed before somebody comes back. What cannot be written
    // was about to land: it is whole, and has nothing behind its end.
    if !writable || st.stored <= st.size {
        return Ok(());
    }
    file.set_len(st.size)?;
    // Its content is what it was: the time says so to a session that has closed it for a while.
    sys::set_file_meta(file, None, Some(st.mtime))
}

/// Opens what has that name, and tells whether it can be written: a partial gets its final mode before its final name.
pub(super) fn open_there(dir: &Dir, name: &[u8]) -> io::Result<(File, bool)> {
    match dir.open_existing(name) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Ok((dir.file_here(name)?, false)),
        other => Ok((other?, true)),
    }
}

/// Whether the file (still) has that name.
pub(super) fn is_named(dir: &Dir, name: &[u8], st: &Stat) -> io::Result<bool> {
    Ok(dir.stat(name)?.is_some_and(|there| (there.device, there.inode) == (st.device, st.inode)))
}

/// Whether nothing of it has changed for that long.
fn is_older(st: &Stat, age: Duration) -> bool {
    let (secs, _) = st.changed;
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(secs).unwrap_or(0));
    SystemTime::now().duration_since(changed).is_ok_and(|passed| passed > age)
}

/// Removes the shelves of a working folder and what lies on them.
fn empty(own: &Dir) {
    for (shelf, _) in own.names().unwrap_or_default() {
        if let Ok(dir) = own.folder(std::slice::from_ref(&shelf), Through::NoLinks) {
            dir.names().unwrap_or_default().iter().for_each(|(name, _)| drop(dir.remove_file(name)));
        }
        drop(own.remove_folder(&shelf).or_else(|_| own.remove_file(&shelf)));
    }
}

fn ignore(result: io::Result<()>, kind: ErrorKind) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == kind => Ok(()),
        other => other,
    }
}

#[cfg(all(test, unix))]
#[path = "staging_tests.rs"]
mod tests;
