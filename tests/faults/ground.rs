//! A tree to transfer, a place where it goes, and what may be true of that place after whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::content;

/// Name of the tree under the destination.
pub(crate) const TREE: &str = "tree";

/// Nothing of a transfer may take longer: it is done in a fraction of a second, and a peer that is silent is given up
/// after [`TIMEOUT`].
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// `--timeout` of both sides, seconds.
pub(crate) const TIMEOUT: &str = "5";

/// What a name may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Folder,
    Link(PathBuf),
    File { bytes: Vec<u8>, mtime: SystemTime, mode: u32 },
}

/// Paths beneath the destination, and what is there.
pub(crate) type Tree = BTreeMap<PathBuf, Entry>;

/// Sources, kept for a whole campaign.
pub(crate) struct Ground {
    _folder: tempfile::TempDir,
    at: PathBuf,
    /// The tree to transfer.
    pub(crate) source: PathBuf,
    pub(crate) new: Tree,
    /// What is at the destination before.
    old: Tree,
}

/// One destination.
pub(crate) struct Place {
    _folder: tempfile::TempDir,
    pub(crate) folder: PathBuf,
    /// Where the remembered roots of this place's programs go.
    pub(crate) roots: PathBuf,
}

/// How much there is to transfer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Every way that content goes: 1.7 MiB.
    Full,
    /// Three small files, for thousands of transfers.
    Small,
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn file(len: usize, seed: u64) -> Entry {
    Entry::File { bytes: content(len, seed), mtime: time(1_500_000_000 + seed), mode: 0o644 }
}

fn sparse() -> Entry {
    let mut bytes = vec![0; 3 << 20];
    bytes[..5000].copy_from_slice(&content(5000, 9));
    bytes[2_900_000..2_900_100].copy_from_slice(&content(100, 10));
    Entry::File { bytes, mtime: time(1_600_000_000), mode: 0o600 }
}

fn write(at: &Path, tree: &Tree) {
    for (path, entry) in tree {
        let path = at.join(path);
        match entry {
            Entry::Folder => fs::create_dir_all(path).expect("made"),
            Entry::Link(target) => std::os::unix::fs::symlink(target, path).expect("made"),
            Entry::File { bytes, mtime, mode } => {
                let file = File::create(&path).expect("created");
                // Pages of zeros are holes, as in the file that this stands for.
                file.set_len(bytes.len() as u64).expect("made long");
                for (n, page) in bytes.chunks(4096).enumerate() {
                    if page.iter().any(|byte| *byte != 0) {
                        file.write_all_at(page, n as u64 * 4096).expect("written");
                    }
                }
                file.set_permissions(PermissionsExt::from_mode(*mode)).expect("set");
                file.set_modified(*mtime).expect("set");
            }
        }
    }
}

/// Everything beneath a folder but staging.
pub(crate) fn read(at: &Path) -> Tree {
    let (mut tree, mut todo) = (Tree::new(), vec![at.to_owned()]);
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(at).expect("beneath").to_owned();
            let meta = path.symlink_metadata().expect("there");
            if name == Path::new(".ft-staging") {
                continue;
            }
            let entry = if meta.is_dir() {
                todo.push(path);
                Entry::Folder
            } else if meta.is_symlink() {
                Entry::Link(fs::read_link(path).expect("a link"))
            } else {
                let bytes = fs::read(path).expect("readable");
                Entry::File { bytes, mtime: meta.modified().expect("a time"), mode: meta.permissions().mode() & 0o777 }
            };
            tree.insert(name, entry);
        }
    }
    tree
}

impl Ground {
    /// On tmpfs where there is one, unless told otherwise: what is checked does not depend on the disk.
    pub(crate) fn new(size: Size) -> Self {
        Self::at(&Self::memory(), size)
    }

    pub(crate) fn memory() -> PathBuf {
        let memory = PathBuf::from("/dev/shm");
        if memory.is_dir() { memory } else { PathBuf::from(env!("CARGO_TARGET_TMPDIR")) }
    }

    /// Beneath `at`.
    pub(crate) fn at(at: &Path, size: Size) -> Self {
        let folder = tempfile::Builder::new().prefix("ft-faults-").tempdir_in(at).expect("a folder");
        let tree = |entries: Vec<(&str, Entry)>| -> Tree {
            entries.into_iter().map(|(name, entry)| (Path::new(TREE).join(name), entry)).collect()
        };
        let mut new = tree(vec![("", Entry::Folder), ("empty", file(0, 1)), ("nested", Entry::Folder)]);
        new.extend(tree(vec![("nested/hundred", file(100, 2))]));
        let mut old = tree(vec![("", Entry::Folder), ("nested", Entry::Folder), ("nested/hundred", file(77, 12))]);
        match size {
            Size::Full => {
                new.extend(tree(vec![("copied", file(300_000, 3)), ("carried", file((1 << 20) + 4097, 4))]));
                new.extend(tree(vec![("sparse", sparse()), ("link", Entry::Link("nested/hundred".into()))]));
                // More than are synced one by one.
                new.extend((0..10).map(|n| (Path::new(TREE).join(format!("nested/few-{n}")), file(500, 20 + n))));
                old.extend(tree(vec![("carried", file(9000, 14))]));
            }
            Size::Small => {
                new.extend(tree(vec![("copied", file(30_000, 3)), ("carried", file((1 << 20) + 4097, 4))]));
            }
        }
        let (at, source) = (folder.path().to_owned(), folder.path().join("source"));
        fs::create_dir(&source).expect("made");
        write(&source, &new);
        Self { _folder: folder, at, source, new, old }
    }

    /// A new destination, with old files.
    pub(crate) fn place(&self) -> Place {
        self.place_at(&self.at)
    }

    pub(crate) fn place_at(&self, at: &Path) -> Place {
        let folder = tempfile::tempdir_in(at).expect("a folder");
        let (there, roots) = (folder.path().join("there"), folder.path().join("roots"));
        fs::create_dir(&there).expect("made");
        fs::create_dir(&roots).expect("made");
        write(&there, &self.old);
        Place { _folder: folder, folder: there, roots: roots.join("file") }
    }

    /// What is wrong at the destination: anything but the old content or the whole new one under a name.
    pub(crate) fn torn(&self, there: &Path) -> Vec<String> {
        let found = read(there);
        let mut wrong = Vec::new();
        for (path, entry) in &found {
            let is = |tree: &Tree| match (tree.get(path), entry) {
                // Times and modes of what nobody has confirmed are open.
                (Some(Entry::File { bytes: want, .. }), Entry::File { bytes, .. }) => want == bytes,
                (Some(want), got) => want == got,
                (None, _) => false,
            };
            if !is(&self.new) && !is(&self.old) {
                wrong.push(format!("INTACT: {} is {}", path.display(), short(entry)));
            }
        }
        for path in self.old.keys().filter(|path| !found.contains_key(*path)) {
            wrong.push(format!("INTACT: {} is gone", path.display()));
        }
        wrong
    }

    /// Which of these names are not there as they were sent, times and modes included.
    pub(crate) fn lost<'a>(&'a self, there: &Path, names: impl IntoIterator<Item = &'a PathBuf>) -> Vec<String> {
        let found = read(there);
        let differs = |path: &&PathBuf| !self.new.contains_key(*path) || found.get(*path) != self.new.get(*path);
        let told = |path: &PathBuf| {
            let is = found.get(path).map_or("absent".to_owned(), short);
            format!("HONEST: {} was said to be stored and is {is}", path.display())
        };
        names.into_iter().filter(differs).map(told).collect()
    }

    pub(crate) fn all_names(&self) -> BTreeSet<PathBuf> {
        self.new.keys().cloned().collect()
    }
}

fn short(entry: &Entry) -> String {
    match entry {
        Entry::File { bytes, mtime, mode } => {
            let since = mtime.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            format!("a file of {} bytes, {since} s, mode {mode:o}", bytes.len())
        }
        Entry::Folder | Entry::Link(_) => format!("{entry:?}"),
    }
}

/// What is in the staging folder, and it itself.
pub(crate) fn leftovers(there: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(there.join(".ft-staging")) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    std::iter::once(".ft-staging".to_owned()).chain(names).collect()
}
