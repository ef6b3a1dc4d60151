//! The folders of a jail, as its caller sees them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::talk::Setup;
use super::work::Work;
use crate::limits::JAIL_STRAYS;

/// Entries of a jail that are looked at when it is searched: a program may have made millions.
const LOOKED_AT: usize = 100_000;

/// Removed with the value.
#[derive(Debug)]
pub(super) struct Folders {
    root: TempDir,
    path: PathBuf,
    work: PathBuf,
    /// The same, as it was before a program could put something else there.
    inside: Work,
    /// What of the caller's `/tmp` is seen in the jail's, relative to it. To be left alone: something is mounted there.
    held: Vec<PathBuf>,
}

impl Folders {
    /// New and empty, with what lies at `shown` to be seen in the jail even if it is beneath `/tmp`.
    pub(super) fn new(shown: &[PathBuf]) -> io::Result<Self> {
        let root = tempfile::Builder::new().prefix("ft-jail-").tempdir()?;
        let path = root.path().canonicalize()?;
        for name in ["outer/work", "home", "tmp", "dev"] {
            fs::create_dir_all(path.join(name))?;
        }
        let work = path.join("outer/work");
        let mut held = Vec::new();
        for show in shown.iter().chain([&path]) {
            let show = show.canonicalize()?;
            let folder = if show.is_dir() { show.as_path() } else { show.parent().unwrap_or(&show) };
            let Ok(inner) = folder.strip_prefix("/tmp") else { continue };
            if inner.as_os_str().is_empty() || held.iter().any(|other| other == inner) {
                continue;
            }
            fs::create_dir_all(path.join("tmp").join(inner))?;
            held.push(inner.to_owned());
        }
        // The outer ones first: a mount over a folder hides what is mounted inside it.
        held.sort();
        Ok(Self { inside: Work::open(&work)?, work, root, path, held })
    }

    pub(super) fn root(&self) -> &Path {
        &self.path
    }

    pub(super) fn work(&self) -> &Path {
        &self.work
    }

    /// What is in `work`.
    pub(super) fn inside(&self) -> &Work {
        &self.inside
    }

    pub(super) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Where a program may write.
    pub(super) fn writable(&self) -> [PathBuf; 3] {
        [self.path.join("outer"), self.home(), self.tmp()]
    }

    pub(super) fn setup(&self) -> Setup {
        let [outer, home, tmp] = self.writable().map(PathBuf::into_os_string);
        let shown = self.held.iter().map(|inner| Path::new("/tmp").join(inner).into_os_string()).collect();
        Setup { root: self.path.clone().into(), outer, home, tmp, shown }
    }

    /// What is in the jail beside `work`, each under the name that the program would give it; `tmp` is its word for the
    /// folder of temporary files. At most [`JAIL_STRAYS`], sorted.
    pub(super) fn strays(&self, tmp: &str) -> Vec<PathBuf> {
        let mut found = BTreeSet::new();
        let [outer, home, temporary] = self.writable();
        for (folder, name) in [(outer, ".."), (home, "~"), (temporary, tmp)] {
            let mut seen = LOOKED_AT;
            walk(&folder, &mut seen, &mut |path, _| {
                let Ok(inner) = path.strip_prefix(&folder) else { return false };
                if path == self.work {
                    return false;
                }
                if name == tmp && self.held.iter().any(|held| held.starts_with(inner)) {
                    return !self.held.iter().any(|held| held == inner);
                }
                found.insert(Path::new(name).join(inner));
                true
            });
        }
        found.into_iter().take(JAIL_STRAYS).collect()
    }

    /// Files of at least `size` bytes, wherever in the jail.
    pub(super) fn large(root: &Path, size: u64) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        walk(root, &mut LOOKED_AT.clone(), &mut |path, metadata| {
            if metadata.is_file() && metadata.len() >= size {
                found.insert(path.to_owned());
            }
            true
        });
        found
    }

    /// Removes all that is in them, also where a program has put something else in the place of a folder of ours.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.open_up();
        for folder in self.writable() {
            empty(&folder, &|path| {
                let held = |inner: &Path| self.held.iter().any(|held| held.starts_with(inner));
                path == self.work || path.strip_prefix(self.tmp()).is_ok_and(held)
            })?;
        }
        for folder in self.held.iter().map(|held| self.tmp().join(held)).chain([self.work.clone()]) {
            fs::create_dir_all(folder)?;
        }
        self.inside = Work::open(&self.work)?;
        Ok(())
    }

    /// Gives us back the right to remove what a program has taken it from.
    fn open_up(&self) {
        let mut seen = usize::MAX;
        walk(&self.path, &mut seen, &mut |path, metadata| {
            if metadata.is_dir() && metadata.permissions().mode() & 0o700 != 0o700 {
                let _ = fs::set_permissions(path, Permissions::from_mode(0o700));
            }
            true
        });
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        self.open_up();
        // What else is wrong with it cannot be mended here, and is in the folder of temporary files.
        let _ = fs::remove_dir_all(self.root.path());
    }
}

/// Calls `each` for everything beneath `folder`, no link followed; beneath a folder only if it says so.
fn walk(folder: &Path, left: &mut usize, each: &mut dyn FnMut(&Path, &fs::Metadata) -> bool) {
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Some(rest) = left.checked_sub(1) else { return };
            *left = rest;
            let Ok(metadata) = entry.metadata() else { continue };
            if each(&entry.path(), &metadata) && metadata.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
}

/// Removes what is in `folder`, except folders that `keep` names, which are emptied but for what it names in there. A link in
/// the place of one is no folder.
fn empty(folder: &Path, keep: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let is_folder = entry.file_type()?.is_dir();
        if is_folder && keep(&path) {
            empty(&path, keep)?;
        } else if is_folder {
            fs::remove_dir_all(path)?;
        } else {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// What every program in the jail gets as its environment.
pub(super) fn environment(home: PathBuf, tmp: PathBuf) -> Vec<(OsString, OsString)> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    vec![
        ("PATH".into(), path),
        ("LANG".into(), "C.UTF-8".into()),
        ("HOME".into(), home.into()),
        ("TMPDIR".into(), tmp.into()),
        // What it prints must be here when it is killed; and what it leaves must be its own.
        ("PYTHONUNBUFFERED".into(), "1".into()),
        ("PYTHONDONTWRITEBYTECODE".into(), "1".into()),
    ]
}
