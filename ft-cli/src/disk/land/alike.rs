//! Which names are in a folder, as far as their spelling matters: whether what was found is spelled as it was asked for, and
//! whether something else there would be taken for it elsewhere.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant;

use super::super::claims::Claims;
use super::super::limits::{LISTED_BYTES, LISTING_AGE};
use super::super::spelling::{fold, twins};
use super::super::sys::Dir;

/// Listings of a few folders, read when they are needed and used for a short while. On a file system that keeps spellings apart
/// none is read, unless names must be apart on every system.
#[derive(Debug)]
pub(super) struct Spellings {
    claims: Arc<Claims>,
    listings: BTreeMap<(u64, u64), Listing>,
    /// Bytes of all of them.
    held: usize,
}

#[derive(Debug)]
struct Listing {
    read: Instant,
    generation: u64,
    /// Sorted by the hash of the folded name.
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
        self.names.iter().map(|(_, name)| name.len() + size_of::<(u64, Box<[u8]>)>()).sum()
    }
}

impl Spellings {
    pub(super) fn new(claims: Arc<Claims>) -> Self {
        Self { claims, listings: BTreeMap::new(), held: 0 }
    }

    /// Forgets every listing.
    pub(super) fn clear(&mut self) {
        self.listings.clear();
        self.held = 0;
    }

    /// What is in `dir` instead of `name`, where something was found by that name: the file system takes both for one.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn respelled(&mut self, dir: &Dir, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        // Not by its number: there are file systems that give each spelling a number of its own.
        let mut folds = false;
        for twin in twins(name) {
            match dir.stat(&twin) {
                Ok(other) => folds |= other.is_some(),
                Err(e) if e.kind() == ErrorKind::InvalidFilename => {}
                Err(e) => return Err(e),
            }
        }
        // Both may be there, one beside the other; and the listing may be older than the name.
        if !folds || self.listing(dir)?.has(name) {
            return Ok(None);
        }
        let listing = self.read(dir)?;
        if listing.has(name) {
            return Ok(None);
        }
        // A file system that joins what we do not: it is there all the same.
        Ok(Some(listing.like(name).next().unwrap_or(b"another spelling").to_vec()))
    }

    /// Another name in `dir` that some system takes for `name`. What is on its way there is for the claims to tell.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn alike(&mut self, dir: &Dir, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        for other in self.listing(dir)?.like(name).filter(|other| *other != name) {
            // It may be gone since the listing was read.
            if dir.stat(other)?.is_some() {
                return Ok(Some(other.to_vec()));
            }
        }
        Ok(None)
    }

    fn listing(&mut self, dir: &Dir) -> io::Result<&Listing> {
        let key = key(dir)?;
        let generation = self.claims.generation();
        let fresh = |known: &&Listing| known.generation == generation && known.read.elapsed() < LISTING_AGE;
        if key.1 == 0 || self.listings.get(&key).filter(fresh).is_none() {
            return self.read(dir);
        }
        self.listings.get(&key).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn read(&mut self, dir: &Dir) -> io::Result<&Listing> {
        let key = key(dir)?;
        let (read, generation) = (Instant::now(), self.claims.generation());
        let mut names: Vec<_> = dir.names()?.into_iter().map(|(name, _)| (hash(&name), name.into())).collect();
        names.sort_unstable();
        let listing = Listing { read, generation, names };
        if let Some(old) = self.listings.remove(&key) {
            self.held -= old.bytes();
        }
        if self.held + listing.bytes() > LISTED_BYTES {
            self.clear();
        }
        self.held += listing.bytes();
        Ok(self.listings.entry(key).or_insert(listing))
    }
}

/// Which folder it is; 0 where the system has no such numbers.
fn key(dir: &Dir) -> io::Result<(u64, u64)> {
    let st = dir.stat_self()?;
    Ok((st.device, st.inode))
}

fn hash(name: &[u8]) -> u64 {
    let mut first = [0; 8];
    blake3::Hasher::new().update(&fold(name)).finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}
