//! Folders beneath the root: resolved, made where missing, and remembered for a short while.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;

use ft_core::error::FileError;
use ft_core::path::RelPath;

use super::super::Names;
use super::super::fault::{alike, fault, in_the_way, other_file_system, through_link};
use super::super::limits::{FOLDERS_CACHED, FRESH_BYTES};
use super::super::listings::{Listings, respelled};
use super::super::root::Root;
use super::super::sys::{Dir, Through, What, is_through_link};

type Components = Vec<Vec<u8>>;

/// Folders that a session made and was not told about yet, to be told from those that it found: where nothing may be replaced,
/// what was found keeps its mode and time.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    made: BTreeSet<Components>,
    bytes: usize,
}

impl Fresh {
    /// Remembers them, up to a bound: a folder beyond it counts as found.
    pub(super) fn add(&mut self, made: Vec<Components>) {
        for at in made {
            let bytes = cost(&at);
            if self.bytes + bytes <= FRESH_BYTES && self.made.insert(at) {
                self.bytes += bytes;
            }
        }
    }

    /// Whether it was made here; it is forgotten.
    pub(super) fn take(&mut self, at: &[Vec<u8>]) -> bool {
        let was = self.made.remove(at);
        if was {
            self.bytes -= cost(at);
        }
        was
    }
}

/// Bytes that it takes to remember a path.
fn cost(at: &[Vec<u8>]) -> usize {
    at.iter().map(|component| component.len() + size_of::<Vec<u8>>()).sum()
}

/// A cache that is emptied whenever what it says could matter: it saves looking up the same parent for each of
/// thousands of files, and is never what keeps a file inside the root.
#[derive(Debug)]
pub(super) struct Folders {
    root: Arc<Root>,
    names: Names,
    /// `None`: nothing is there, and it could be made.
    known: BTreeMap<Components, Option<Arc<Dir>>>,
}

impl Folders {
    pub(super) fn new(root: Arc<Root>, names: Names) -> Self {
        Self { root, names, known: BTreeMap::new() }
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    /// Whether the last component of `at`, found in `parent` or not, may have that name for its own.
    ///
    /// # Errors
    /// It is there in another spelling.
    pub(super) fn check_spelling(&self, at: &[Vec<u8>], parent: &Dir, found: bool) -> Result<(), FileError> {
        let Some(name) = at.last() else { return Ok(()) };
        let failed = |e| fault("look at", &show(at), &e);
        let mut held = None;
        if found
            && self.names != Names::Any
            && let Some(other) = respelled(&mut held, parent, name).map_err(failed)?
        {
            return Err(alike(&show(at), &other, "this file system takes"));
        }
        if self.names == Names::Portable
            && let Some(other) = held.get_or_insert_with(Listings::lock).beside(parent, name).map_err(failed)?
        {
            return Err(alike(&show(at), &other, "other systems take"));
        }
        Ok(())
    }

    /// The folder, if it is there.
    ///
    /// # Errors
    /// It cannot be what it has to be: a link or something else is in the way, on another file system, not allowed.
    pub(super) fn find(&mut self, at: &[Vec<u8>]) -> Result<Option<Arc<Dir>>, FileError> {
        if let Some(known) = self.known.get(at) {
            return Ok(known.clone());
        }
        let found = match self.root.dir.folder(at, Through::NoLinks) {
            Ok(dir) => {
                self.check_device(at, &dir)?;
                if let (Some((_, above)), true) = (at.split_last(), self.names != Names::Any) {
                    if matches!(self.known.get(above), Some(None)) {
                        // It was made since: to be looked at as well.
                        self.known.remove(above);
                    }
                    let parent = self
                        .find(above)?
                        .ok_or_else(|| fault("open folder", &show(at), &ErrorKind::NotFound.into()))?;
                    self.check_spelling(at, &parent, true)?;
                }
                Some(Arc::new(dir))
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {
                // What would be made is made in the nearest one that exists.
                if let Some((_, above)) = at.split_last()
                    && let Some(parent) = self.find(above)?
                {
                    self.check_spelling(at, &parent, false)?;
                }
                None
            }
            Err(e) => return Err(self.why(at, &e)),
        };
        self.remember(at, found.clone());
        Ok(found)
    }

    /// The folder, made with all its parents if missing. Parents of what was made go to `changed`, what was made to `made`.
    pub(super) fn make(
        &mut self,
        at: &[Vec<u8>],
        changed: &mut BTreeSet<Components>,
        made: &mut Vec<Components>,
    ) -> Result<Arc<Dir>, FileError> {
        if let Some(dir) = self.find(at)? {
            return Ok(dir);
        }
        let path = show(at);
        let Some((name, above)) = at.split_last() else {
            return Err(fault("open", &path, &ErrorKind::NotFound.into()));
        };
        let parent = self.make(above, changed, made)?;
        // Held from the look to the making.
        let mut listings = (self.names == Names::Portable).then(Listings::lock);
        if let Some(listings) = &mut listings
            && let Some(other) = listings.beside(&parent, name).map_err(|e| fault("look at", &path, &e))?
        {
            return Err(alike(&path, &other, "other systems take"));
        }
        match parent.make_folder(name, false) {
            Ok(()) => {
                made.push(at.to_vec());
                if let Some(listings) = &mut listings {
                    listings.added(&parent, name);
                }
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(fault("create folder", &path, &e)),
        }
        drop(listings);
        // Also when another session made it: its entry may not be on disk yet.
        changed.insert(above.to_vec());
        let dir = parent.folder(std::slice::from_ref(name), Through::NoLinks).map_err(|e| self.why(at, &e))?;
        self.check_device(at, &dir)?;
        if made.last().is_none_or(|last| last != at) {
            self.check_spelling(at, &parent, true)?;
        }
        let dir = Arc::new(dir);
        self.remember(at, Some(Arc::clone(&dir)));
        Ok(dir)
    }

    /// Removes folders that were made in vain, as far as they are empty. What is gone is not `changed` any more: nobody could sync it.
    pub(super) fn unmake(&mut self, made: &[Components], changed: &mut BTreeSet<Components>) {
        for at in made.iter().rev() {
            self.known.remove(at);
            if let Some((name, above)) = at.split_last()
                && let Ok(Some(parent)) = self.find(above)
                && parent.remove_folder(name).is_ok()
            {
                changed.remove(at);
            }
        }
    }

    fn remember(&mut self, at: &[Vec<u8>], dir: Option<Arc<Dir>>) {
        if self.known.len() >= FOLDERS_CACHED {
            self.known.clear();
        }
        self.known.insert(at.to_vec(), dir);
    }

    fn check_device(&self, at: &[Vec<u8>], dir: &Dir) -> Result<(), FileError> {
        let st = dir.stat_self().map_err(|e| fault("look at", &show(at), &e))?;
        if st.device == self.root.device { Ok(()) } else { Err(other_file_system(&show(at))) }
    }

    /// Why a folder cannot be opened, with the component that is to blame.
    fn why(&self, at: &[Vec<u8>], e: &std::io::Error) -> FileError {
        let path = show(at);
        if is_through_link(e) {
            return through_link(&path);
        }
        if e.kind() == ErrorKind::NotADirectory {
            for n in 1..=at.len() {
                let parent = self.root.dir.folder(&at[..n - 1], Through::NoLinks);
                if let Ok(Some(st)) = parent.and_then(|p| p.stat(&at[n - 1]))
                    && st.what != What::Folder
                {
                    return in_the_way(&show(&at[..n]), st.what);
                }
            }
        }
        fault("open folder", &path, e)
    }
}

fn show(at: &[Vec<u8>]) -> RelPath {
    // They came from a checked path, so a part of it is one too.
    RelPath::new(at.to_vec()).unwrap_or_default()
}
