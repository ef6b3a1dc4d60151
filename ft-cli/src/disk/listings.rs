//! Which names are in a folder, as far as their spelling matters: whether what was found is spelled as it was asked for, and
//! whether something else there would be taken for it on another system.
//!
//! One index for the whole process, because sessions and their folders overlap. Whoever lands a name under `--names portable` holds
//! it from the look to the rename, so that two spellings cannot land side by side.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use ft_core::frame::Mtime;

use super::limits::{LISTED_NAMES, ROOTS_GRAIN};
use super::root::lock;
use super::spelling::{fold, twins};
use super::sys::Dir;

static LISTINGS: Mutex<Listings> = Mutex::new(Listings { folders: BTreeMap::new(), held: 0 });

/// Listings of the folders that were asked about. On a file system that keeps spellings apart none is read, unless names must be
/// apart on every system.
#[derive(Debug)]
pub(super) struct Listings {
    folders: BTreeMap<(u64, u64), Listing>,
    /// Names in all of them.
    held: usize,
}

/// Equal as long as nothing came or went, as far as the file system's clock can tell.
type Stamp = (Mtime, (i64, u32));

#[derive(Debug)]
struct Listing {
    stamp: Stamp,
    read: Instant,
    /// The last change was long enough before: a further one shows in the stamp.
    settled: bool,
    /// Hashes of the folded name and of the name, sorted.
    names: Vec<(u64, u64)>,
}

impl Listing {
    fn has(&self, name: &[u8]) -> bool {
        self.names.binary_search(&hashes(name)).is_ok()
    }

    fn has_other(&self, name: &[u8]) -> bool {
        let (folded, exact) = hashes(name);
        let from = self.names.partition_point(|(f, _)| *f < folded);
        self.names[from..].iter().take_while(|(f, _)| *f == folded).any(|(_, e)| *e != exact)
    }
}

/// Whether a folder in which something was found by this name finds it by other spellings too. It may also have several.
///
/// # Errors
/// As the system says.
pub(super) fn folds(dir: &Dir, name: &[u8]) -> io::Result<bool> {
    for twin in twins(name) {
        // Not by its number: there are file systems that give each spelling a number of its own.
        match dir.stat(&twin) {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(true),
            Err(e) if e.kind() == ErrorKind::InvalidFilename => {}
            Err(e) => return Err(e),
        }
    }
    Ok(false)
}

impl Listings {
    pub(super) fn lock() -> MutexGuard<'static, Self> {
        lock(&LISTINGS)
    }

    /// What is in a folder that folds instead of `name`, where something was found by that name.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn instead(&mut self, dir: &Dir, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let has = self.listing(dir)?.has(name);
        self.trim();
        if has {
            return Ok(None);
        }
        let names = self.read(dir)?;
        if names.iter().any(|other| other == name) {
            return Ok(None);
        }
        let folded = fold(name);
        let found = names.into_iter().find(|other| fold(other) == folded);
        // A file system that joins what we do not: it is there all the same.
        Ok(Some(found.unwrap_or_else(|| b"another spelling".to_vec())))
    }

    /// Another name in `dir` that some system takes for `name`.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn beside(&mut self, dir: &Dir, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let has = self.listing(dir)?.has_other(name);
        self.trim();
        if !has {
            return Ok(None);
        }
        // It may be gone since, and whoever is refused wants to know what it is.
        let folded = fold(name);
        Ok(self.read(dir)?.into_iter().find(|other| other != name && fold(other) == folded))
    }

    /// `name` was put into `dir`, since that was looked at, by whoever holds the index: its listing holds good.
    pub(super) fn added(&mut self, dir: &Dir, name: &[u8]) {
        let Ok(st) = dir.stat_self() else { return };
        if let Some(listing) = dir.identity().ok().and_then(|id| self.folders.get_mut(&id)) {
            let entry = hashes(name);
            if let Err(at) = listing.names.binary_search(&entry) {
                listing.names.insert(at, entry);
                self.held += 1;
            }
            (listing.stamp, listing.settled) = ((st.mtime, st.changed), false);
        }
    }

    fn listing(&mut self, dir: &Dir) -> io::Result<&Listing> {
        let st = dir.stat_self()?;
        let id = dir.identity()?;
        let good = |known: &&Listing| {
            known.stamp == (st.mtime, st.changed) && (known.settled || known.read.elapsed() < ROOTS_GRAIN)
        };
        if self.folders.get(&id).filter(good).is_none() {
            self.read(dir)?;
        }
        self.folders.get(&id).ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Nothing is kept beyond the bound.
    fn trim(&mut self) {
        if self.held > LISTED_NAMES {
            self.folders.clear();
            self.held = 0;
        }
    }

    /// Reads a folder, and keeps the listing.
    fn read(&mut self, dir: &Dir) -> io::Result<Vec<Vec<u8>>> {
        // Before the names, so that what comes meanwhile makes a difference.
        let (st, read, now) = (dir.stat_self()?, Instant::now(), SystemTime::now());
        let all: Vec<_> = dir.names()?.into_iter().map(|(name, _)| name).collect();
        let mut names: Vec<_> = all.iter().map(|name| hashes(name)).collect();
        names.sort_unstable();
        let id = dir.identity()?;
        if let Some(old) = self.folders.remove(&id) {
            self.held -= old.names.len();
        }
        if self.held + names.len() > LISTED_NAMES {
            self.folders.clear();
            self.held = 0;
        }
        self.held += names.len();
        let changed =
            u64::try_from(st.mtime.secs).ok().and_then(|s| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(s)));
        let settled = changed.is_some_and(|at| now.duration_since(at).is_ok_and(|since| since > ROOTS_GRAIN));
        self.folders.insert(id, Listing { stamp: (st.mtime, st.changed), read, settled, names });
        Ok(all)
    }
}

fn hashes(name: &[u8]) -> (u64, u64) {
    let short = |bytes: &[u8]| {
        let mut first = [0; 8];
        blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut first);
        u64::from_le_bytes(first)
    };
    (short(&fold(name)), short(name))
}
