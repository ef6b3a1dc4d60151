//! Roots that were computed before, so that comparing an unchanged file by content need not read it again.
//!
//! An entry is keyed by what tells a file and its state apart: device, inode, size, mtime and ctime. ctime is what makes
//! this safe: no program can set it. A file that changed a moment ago is not entered, because a further change within the
//! clock's grain would not show (the "racy" entries of git's index). What this cannot see is what the system does not
//! date: a write through a mapping that was dirty already, or to the disk beneath the file system.
//!
//! The cache is one file in the user's cache folder, `$XDG_CACHE_HOME/ft-cli/roots` or `~/.cache/ft-cli/roots`, for its
//! owner only; nothing of it is ever left where files land. It is rewritten as a whole and carries a hash of itself: torn,
//! damaged, or of another version, it is no cache. `FT_ROOTS=off` switches it off, `FT_ROOTS=PATH` puts it elsewhere.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ft_core::hash::Root;

use super::limits::{ROOTS_GRAIN, ROOTS_LEAST, ROOTS_MOST};
use super::root::lock;
use super::sys::Stat;

/// First bytes of the file; the number is its version.
const MAGIC: &[u8; 16] = b"ft-cli roots  1\n";

/// Bytes of one entry: key, root, and a number that says how recently it was used.
const ENTRY: usize = KEY + 32 + 8;
const KEY: usize = 8 + 8 + 8 + 12 + 12;

type Key = [u8; KEY];

/// The cache of this process.
#[derive(Debug)]
pub(super) struct Roots {
    path: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    roots: HashMap<Key, (Root, u64)>,
    loaded: bool,
    changed: bool,
    /// Grows with every use.
    uses: u64,
}

impl Roots {
    /// The user's, shared by all sessions of the process.
    pub(super) fn of_user() -> &'static Self {
        static ROOTS: OnceLock<Roots> = OnceLock::new();
        ROOTS.get_or_init(|| Self::at(place()))
    }

    fn at(path: Option<PathBuf>) -> Self {
        Self { path, known: Mutex::default() }
    }

    /// The folder of the cache.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        self.path.as_ref()?.parent().map(Path::to_owned)
    }

    /// The root of a file of which the system says this, if it was computed before.
    pub(super) fn find(&self, stat: &Stat) -> Option<Root> {
        let key = self.key(stat)?;
        let mut known = lock(&self.known);
        self.load(&mut known);
        known.uses += 1;
        let uses = known.uses;
        let (root, used) = known.roots.get_mut(&key)?;
        *used = uses;
        let root = *root;
        // Who was used last matters when somebody has to go.
        known.changed |= known.roots.len() > ROOTS_MOST / 2;
        Some(root)
    }

    /// Remembers the root of a file of which the system said this before and after it was read; `begun` is when that was.
    pub(super) fn remember(&self, stat: &Stat, root: Root, begun: SystemTime) {
        let Some(key) = self.key(stat).filter(|_| is_old(stat, begun)) else { return };
        let mut known = lock(&self.known);
        self.load(&mut known);
        known.uses += 1;
        let uses = known.uses;
        known.roots.insert(key, (root, uses));
        known.changed = true;
    }

    /// Writes it back. What cannot be written is not worth a word: the next time files are read again.
    pub(super) fn save(&self) {
        let mut known = lock(&self.known);
        if let (Some(path), true) = (&self.path, std::mem::take(&mut known.changed)) {
            drop(write(path, &mut known.roots));
        }
    }

    fn key(&self, stat: &Stat) -> Option<Key> {
        // Without numbers for files there is nothing to tell one from its successor.
        let useful = self.path.is_some() && stat.inode != 0 && stat.changed.0 != 0 && stat.size >= ROOTS_LEAST;
        useful.then(|| key_of(stat))
    }

    fn load(&self, known: &mut Known) {
        if !std::mem::replace(&mut known.loaded, true)
            && let Some(path) = &self.path
        {
            known.roots = read(path).unwrap_or_default();
            known.uses = known.roots.values().map(|(_, used)| *used).max().unwrap_or(0);
        }
    }
}

fn place() -> Option<PathBuf> {
    match std::env::var_os("FT_ROOTS") {
        Some(off) if off == "off" => None,
        Some(path) if !path.is_empty() => Some(path.into()),
        Some(_) | None => {
            let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
            let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
            Some(base.join("ft-cli").join("roots"))
        }
    }
}

fn key_of(stat: &Stat) -> Key {
    let mut key = [0; KEY];
    key[..8].copy_from_slice(&stat.device.to_be_bytes());
    key[8..16].copy_from_slice(&stat.inode.to_be_bytes());
    key[16..24].copy_from_slice(&stat.size.to_be_bytes());
    key[24..32].copy_from_slice(&stat.mtime.secs.to_be_bytes());
    key[32..36].copy_from_slice(&stat.mtime.nanos.to_be_bytes());
    key[36..44].copy_from_slice(&stat.changed.0.to_be_bytes());
    key[44..].copy_from_slice(&stat.changed.1.to_be_bytes());
    key
}

/// Whether a change after `begun` is certain to show in the times of the file.
fn is_old(stat: &Stat, begun: SystemTime) -> bool {
    let Ok(now) = begun.duration_since(UNIX_EPOCH) else { return false };
    let at = |secs: i64, nanos: u32| u64::try_from(secs).map_or(Duration::ZERO, |secs| Duration::new(secs, nanos));
    let newest = at(stat.changed.0, stat.changed.1).max(at(stat.mtime.secs, stat.mtime.nanos));
    newest + ROOTS_GRAIN <= now
}

fn read(path: &Path) -> Option<HashMap<Key, (Root, u64)>> {
    // No more than we would write: whoever can put something else there is the user.
    let most = MAGIC.len() + ROOTS_MOST * ENTRY + 32;
    if std::fs::metadata(path).ok()?.len() > most as u64 {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    let (bytes, seal) = bytes.split_last_chunk::<32>()?;
    let entries = bytes.strip_prefix(MAGIC)?;
    if blake3::hash(bytes).as_bytes() != seal || entries.len() % ENTRY != 0 {
        return None;
    }
    let entry = |bytes: &[u8]| {
        let (key, rest) = bytes.split_first_chunk::<KEY>()?;
        let (root, used) = rest.split_first_chunk::<32>()?;
        Some((*key, (Root(*root), u64::from_be_bytes(used.try_into().ok()?))))
    };
    entries.chunks_exact(ENTRY).map(entry).collect()
}

/// Replaces the file by one rename, so that two processes that write at once leave one whole file.
fn write(path: &Path, roots: &mut HashMap<Key, (Root, u64)>) -> io::Result<()> {
    // Another process may have written meanwhile: the other side of a transfer on this machine, for one.
    for (key, theirs) in read(path).unwrap_or_default() {
        roots.entry(key).or_insert(theirs);
    }
    let mut all: Vec<_> = roots.iter().map(|(key, (root, used))| (*key, *root, *used)).collect();
    // The longest unused go first.
    all.sort_unstable_by_key(|(key, _, used)| (std::cmp::Reverse(*used), *key));
    all.truncate(ROOTS_MOST);
    let mut bytes = Vec::with_capacity(MAGIC.len() + all.len() * ENTRY + 32);
    bytes.extend_from_slice(MAGIC);
    for (key, root, used) in &all {
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&root.0);
        bytes.extend_from_slice(&used.to_be_bytes());
    }
    let seal = blake3::hash(&bytes);
    bytes.extend_from_slice(seal.as_bytes());
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)?;
    let temp = tempfile::Builder::new().prefix("roots-").tempfile_in(folder)?;
    io::Write::write_all(&mut temp.as_file(), &bytes)?;
    temp.persist(path)?;
    Ok(())
}

#[cfg(test)]
#[path = "roots_tests.rs"]
mod tests;
