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

use super::limits::{LISTED_BYTES, ROOTS_GRAIN};
use super::root::lock;
use super::spelling::{fold, twins};
use super::sys::Dir;

static LISTINGS: Mutex<Listings> = Mutex::new(Listings { folders: BTreeMap::new(), held: 0 });

/// Listings of the folders that were asked about. On a file system that keeps spellings apart none is read, unless names must be
/// apart on every system.
#[derive(Debug)]
pub(super) struct Listings {
    folders: BTreeMap<(u64, u64), Listing>,
    /// Bytes of all of them.
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
    /// By the hash of the folded name.
    names: Vec<(u64, Box<[u8]>)>,
}

impl Listing {
    /// The names that fold to the same.
    fn like(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        let folded = hash(name);
        let from = self.names.partition_point(|(f, _)| *f < folded);
        self.names[from..].iter().take_while(move |(f, _)| *f == folded).map(|(_, name)| &**name)
    }

    fn has(&self, name: &[u8]) -> bool {
        self.like(name).any(|other| other == name)
    }

    fn bytes(&self) -> usize {
        self.names.iter().map(|(_, name)| bytes(name)).sum::<usize>() + size_of::<Self>() + size_of::<(u64, u64)>()
    }
}

/// What a name takes in a listing.
fn bytes(name: &[u8]) -> usize {
    name.len() + size_of::<(u64, Box<[u8]>)>()
}

/// Whether a folder in which something was found by this name finds it by other spellings too. It may also have several.
///
/// # Errors
/// As the system says.
fn folds(dir: &Dir, name: &[u8]) -> io::Result<bool> {
    // A name that FAT has made of a longer one has no twin of its own.
    if name.contains(&b'~') && !name.iter().any(u8::is_ascii_alphabetic) {
        return Ok(true);
    }
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

/// The index, from when it is needed.
pub(super) type Held = Option<MutexGuard<'static, Listings>>;

/// What is in `dir` instead of `name`, where something was found by that name: the file system takes both for one.
///
/// # Errors
/// As the system says.
pub(super) fn respelled(held: &mut Held, dir: &Dir, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    if !folds(dir, name)? {
        return Ok(None);
    }
    held.get_or_insert_with(Listings::lock).instead(dir, name)
}

impl Listings {
    pub(super) fn lock() -> MutexGuard<'static, Self> {
        lock(&LISTINGS)
    }

    /// What is in a folder that folds instead of `name`, where something was found by that name.
    ///
    /// # Errors
    /// As the system says.
    fn instead(&mut self, dir: &Dir, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        // Who lands a new name in such a folder does not tell: one that is missing may have come since.
        if self.listing(dir, |listing| listing.has(name))? {
            return Ok(None);
        }
        self.read(dir, |listing| match listing.has(name) {
            true => None,
            // A file system that joins what we do not: it is there all the same.
            false => Some(listing.like(name).next().unwrap_or(b"another spelling").to_vec()),
        })
    }

    /// Another name in `dir` that some system takes for `name`.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn beside(&mut self, dir: &Dir, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let other = |listing: &Listing| listing.like(name).find(|other| *other != name).map(<[u8]>::to_vec);
        match self.listing(dir, other)? {
            // Gone since.
            Some(there) if dir.stat(&there)?.is_none() => self.read(dir, other),
            there => Ok(there),
        }
    }

    /// `name` was put into `dir`, since that was looked at, by whoever holds the index: its listing holds good.
    pub(super) fn added(&mut self, dir: &Dir, name: &[u8]) {
        let Ok(st) = dir.stat_self() else { return };
        if let Some(listing) = dir.identity().ok().and_then(|id| self.folders.get_mut(&id)) {
            if !listing.has(name) {
                let folded = hash(name);
                let at = listing.names.partition_point(|(f, _)| *f < folded);
                listing.names.insert(at, (folded, name.into()));
                self.held += bytes(name);
            }
            (listing.stamp, listing.settled) = ((st.mtime, st.changed), false);
        }
    }

    /// Looks at what is known of a folder, if that holds good, or else at the folder.
    fn listing<T>(&mut self, dir: &Dir, look: impl Fn(&Listing) -> T) -> io::Result<T> {
        let st = dir.stat_self()?;
        let known = self.folders.get(&dir.identity()?).filter(|known| {
            known.stamp == (st.mtime, st.changed) && (known.settled || known.read.elapsed() < ROOTS_GRAIN)
        });
        match known {
            Some(listing) => Ok(look(listing)),
            None => self.read(dir, look),
        }
    }

    /// Reads a folder, and keeps its listing unless that is beyond all bounds.
    fn read<T>(&mut self, dir: &Dir, look: impl Fn(&Listing) -> T) -> io::Result<T> {
        // Before the names, so that what comes meanwhile makes a difference.
        let (st, read, now) = (dir.stat_self()?, Instant::now(), SystemTime::now());
        let mut names: Vec<_> = dir.names()?.into_iter().map(|(name, _)| (hash(&name), name.into())).collect();
        names.sort_unstable();
        let secs = u64::try_from(st.mtime.secs).unwrap_or(0);
        let changed = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(secs));
        let settled = changed.is_some_and(|at| now.duration_since(at).is_ok_and(|since| since > ROOTS_GRAIN));
        let listing = Listing { stamp: (st.mtime, st.changed), read, settled, names };
        let seen = look(&listing);
        let id = dir.identity()?;
        if let Some(old) = self.folders.remove(&id) {
            self.held -= old.bytes();
        }
        if self.held + listing.bytes() > LISTED_BYTES {
            self.folders.clear();
            self.held = 0;
        }
        if listing.bytes() <= LISTED_BYTES {
            self.held += listing.bytes();
            self.folders.insert(id, listing);
        }
        Ok(seen)
    }
}

fn hash(name: &[u8]) -> u64 {
    let mut first = [0; 8];
    blake3::Hasher::new().update(&fold(name)).finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}
