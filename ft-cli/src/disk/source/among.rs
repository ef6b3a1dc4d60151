//! Arguments of one push of which some stand for what is in a folder (`d1/. d2/.`): two of them may hold one name.
//!
//! Nothing is remembered of what was sent, so that a million files cost no memory, and retries and other connections of
//! the same command come to the same: of each name it is looked up whether another argument has it, too. The first one
//! sends it. Folders of one name become one, which the last sends, behind everything in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ft_core::frame::Links;

use super::super::sys::{self, Dir, Through, What};

/// All arguments, and which of them is being walked.
pub(super) struct Among {
    all: Arc<[PathBuf]>,
    own: usize,
    links: Links,
    through: Through,
}

/// The name under which an argument is sent; `None` for `.`, `..`, `/` and `folder/.`, which mean what is in them.
/// (`Path` forgets a trailing `/.`, which whoever typed it meant.)
pub(super) fn sent_as(path: &Path) -> Option<&std::ffi::OsStr> {
    path.file_name().filter(|_| !path.as_os_str().as_encoded_bytes().ends_with(b"/."))
}

impl Among {
    /// `None` where no two arguments can have one name.
    pub(super) fn new(all: Option<Arc<[PathBuf]>>, links: Links, through: Through) -> Option<Self> {
        let all = all.filter(|all| all.len() > 1 && all.iter().any(|path| sent_as(path).is_none()))?;
        Some(Self { all, own: 0, links, through })
    }

    /// This argument is walked from now on.
    pub(super) fn begin(&mut self, path: &Path) {
        let own = self.all.iter().position(|other| other.as_os_str() == path.as_os_str());
        self.own = own.unwrap_or(self.own);
    }

    /// What is not sent under this name, and the thing of an earlier argument that is. Two folders are no trouble.
    pub(super) fn taken(&self, name: &[Vec<u8>], folder: bool) -> Option<(PathBuf, PathBuf)> {
        let takes = |path: &&PathBuf| self.look(path, name).is_some_and(|what| !(folder && what == What::Folder));
        let other = self.all.iter().take(self.own).find(takes)?;
        Some((local(self.all.get(self.own)?, name), local(other, name)))
    }

    /// Whether a later argument has a folder of this name.
    pub(super) fn comes_again(&self, name: &[Vec<u8>]) -> bool {
        self.all.iter().skip(self.own + 1).any(|path| self.look(path, name) == Some(What::Folder))
    }

    /// What an argument sends under a name.
    fn look(&self, path: &Path, name: &[Vec<u8>]) -> Option<What> {
        let (last, above) = name.split_last()?;
        let base = match sent_as(path) {
            Some(own) if name.first() != Some(&sys::component(own)) => return None,
            Some(_) => folder_of(path),
            None => path,
        };
        let base = Dir::open_ambient(base).ok()?;
        let found = base.folder(above, self.through).ok()?.stat(last).ok()??.what;
        match (found, self.links) {
            (What::Special(_), _) | (What::Link, Links::Skip) => None,
            (What::Link, Links::Follow) => base.stat_through(name, self.through).ok().map(|stat| stat.what),
            (What::File | What::Folder | What::Link, _) => Some(found),
        }
    }
}

/// The folder that holds an argument.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where an argument has what it sends under a name.
fn local(path: &Path, name: &[Vec<u8>]) -> PathBuf {
    let base = if sent_as(path).is_some() { folder_of(path) } else { path };
    let whole = name.iter().fold(base.to_owned(), |whole, component| whole.join(sys::to_path(component)));
    whole.strip_prefix(".").map(Path::to_owned).unwrap_or(whole).components().collect()
}
