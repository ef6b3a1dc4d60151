//! One thing that a source has offered: where it is, what it was then, and how far it has been read.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use ft_core::error::{Code, FileError, Retry};
use ft_core::frame::{Kind, Meta};
use ft_core::hash::{Subtree, TreeHasher};
use ft_core::path::RelPath;

use super::super::ahead::Units;
use super::super::fault::fault;
use super::super::limits::HASH_INLINE;
use super::super::sys::{self, Dir, Extent, Stat, Through, What};

/// One entry.
pub(super) struct Entry {
    /// For messages, as offered.
    pub(super) path: RelPath,
    pub(super) origin: Origin,
    pub(super) state: State,
    pub(super) checked: Option<Checked>,
    pub(super) failed: Option<FileError>,
    /// What is being hashed of it before anybody asked.
    pub(super) ahead: Option<Arc<Units>>,
}

/// What `Check` came to. Not the hasher, and no open file, because thousands of entries may wait.
pub(super) enum Checked {
    /// So much is equal, and has these hashes.
    Equal(u64, Vec<Subtree>),
    /// So much was stated without hashes, and is believed until the root is known.
    Believed(u64),
}

/// Where its content comes from.
pub(super) enum Origin {
    /// A file beneath an open folder.
    File { base: Arc<Dir>, at: Vec<Vec<u8>>, through: Through, stat: Stat },
    /// Read once, from the beginning.
    Stream(Box<dyn Read + Send>),
    /// A folder or a link: no content.
    Nothing,
}

/// How far it has been read.
pub(super) enum State {
    Closed,
    Reading(Reading),
    /// To its end.
    Ended {
        beside: bool,
    },
}

/// The folder of the file that was opened last: the next one is most probably in it. Whatever is found there counts only
/// if it is the very file that was offered. Only for what the user of this program sends: what is served must still be
/// beneath the served folder, so every name is resolved anew from there.
pub(super) struct Near {
    serves: bool,
    last: Option<(Arc<Dir>, Vec<Vec<u8>>, Dir)>,
}

impl Near {
    pub(super) fn new(serves: bool) -> Self {
        Self { serves, last: None }
    }

    fn file(&mut self, base: &Arc<Dir>, at: &[Vec<u8>], through: Through) -> io::Result<File> {
        let (Some((name, above)), Through::NoLinks, false) = (at.split_last(), through, self.serves) else {
            return base.file(at, through);
        };
        let known = |(b, a, _): &(Arc<Dir>, Vec<Vec<u8>>, Dir)| Arc::ptr_eq(b, base) && a == above;
        if !self.last.as_ref().is_some_and(known) {
            self.last = Some((Arc::clone(base), above.to_vec(), base.folder(above, through)?));
        }
        match &self.last {
            Some((.., dir)) => dir.file_here(name),
            None => base.file(at, through),
        }
    }
}

/// An entry that is being read.
pub(super) struct Reading {
    /// `None` for a stream.
    pub(super) file: Option<Arc<File>>,
    pub(super) position: u64,
    /// `None`: the second thread has it.
    pub(super) hasher: Option<Box<TreeHasher>>,
    /// For a sparse file, the stretch that is being read.
    pub(super) extent: Option<Extent>,
}

impl Entry {
    pub(super) fn new(path: RelPath, origin: Origin) -> Self {
        Self { path, origin, state: State::Closed, checked: None, failed: None, ahead: None }
    }

    /// An entry of unknown size, and how it is offered.
    pub(super) fn stream(reader: Box<dyn Read + Send>, path: RelPath) -> (Self, Meta) {
        let meta =
            Meta { path: path.clone(), kind: Kind::File, size: None, mode: None, mtime: None, target: Vec::new() };
        (Self::new(path, Origin::Stream(reader)), meta)
    }

    pub(super) fn is_hashed_beside(&self) -> bool {
        match &self.state {
            State::Closed => false,
            State::Reading(reading) => reading.hasher.is_none(),
            State::Ended { beside } => *beside,
        }
    }

    /// Nothing of it needs to be hashed ahead any more.
    pub(super) fn stop_ahead(&mut self) {
        if let Some(units) = self.ahead.take() {
            units.stop();
        }
    }

    /// Whether it can be answered by one read: nothing of it was read yet, it fits, and no hole is in it.
    pub(super) fn is_small(&self, offset: u64, max: usize) -> bool {
        let Origin::File { stat, .. } = &self.origin else { return false };
        let fits = stat.size <= HASH_INLINE.min(max as u64) && stat.stored >= stat.size;
        fits && offset == 0 && matches!(self.state, State::Closed) && self.failed.is_none()
    }

    /// Opens the file, if it is still what was offered.
    pub(super) fn open(&self, near: &mut Near) -> Result<(File, Stat), FileError> {
        let (file, stat) = self.open_unseen(near)?;
        self.check(&file)?;
        Ok((file, stat))
    }

    /// Opens whatever has the name now: nothing that is read from it counts before [`Entry::check`].
    pub(super) fn open_unseen(&self, near: &mut Near) -> Result<(File, Stat), FileError> {
        let Origin::File { base, at, through, stat } = &self.origin else {
            let text = format!("{} has no content that could be read again", self.path);
            return Err(FileError::new(Code::Io, Retry::Never, text));
        };
        let file = near.file(base, at, *through).map_err(|e| {
            // It was there when it was offered.
            let gone = e.kind() == io::ErrorKind::NotFound;
            if gone { self.changed() } else { fault("open", &self.path, &e) }
        })?;
        Ok((file, *stat))
    }

    /// An open file is still what was offered.
    pub(super) fn check(&self, file: &File) -> Result<(), FileError> {
        let now = sys::stat_file(file).map_err(|e| fault("look at", &self.path, &e))?;
        if now.what == What::File && self.unchanged(&now) { Ok(()) } else { Err(self.changed()) }
    }

    /// Whether the file is still the one that was offered.
    pub(super) fn unchanged(&self, now: &Stat) -> bool {
        let Origin::File { stat, .. } = &self.origin else {
            return true;
        };
        stat.is_unchanged(now)
    }

    pub(super) fn changed(&self) -> FileError {
        changed(&self.path)
    }
}

pub(super) fn changed(path: &RelPath) -> FileError {
    FileError::new(Code::Changed, Retry::Now, format!("{path} changed since it was offered"))
}
