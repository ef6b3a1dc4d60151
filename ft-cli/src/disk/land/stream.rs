//! What the storage knows about one stream between its offer and its end.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use ft_core::error::FileError;
use ft_core::frame::{Level, Meta, Mtime, Overwrite};
use ft_core::hash::{Root as Hash, Subtree, TreeHasher};
use ft_core::limits::RESUME_UNIT;
use ft_core::path::RelPath;
use ft_core::storage::Keep;

use super::super::ahead::Prefix;
use super::super::root::{Busy, Promise};
use super::super::staging::{Claim, Staging, is_named, open_there};
use super::super::sys::{Dir, Stat, set_file_meta, stat_file};

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    /// As offered, with the path where it is to land.
    pub(super) meta: Meta,
    pub(super) overwrite: Overwrite,
    pub(super) level: Level,
    /// Something of that name was there when the offer was decided.
    pub(super) exists: bool,
    /// For keep-both: the first of the names that was free then.
    pub(super) candidate: u32,
    pub(super) same: Option<Box<Same>>,
    pub(super) temp: Option<Temp>,
    pub(super) hash: HashState,
    /// What was stated of a partial: length and hashes, or no hashes because it is hashed while the rest comes.
    pub(super) prefix: (u64, Vec<Subtree>),
    /// That hashing, until content comes.
    pub(super) before: Option<Prefix>,
    /// Where the next write goes; `None` before the first.
    pub(super) position: Option<u64>,
    /// Length of the file in staging: behind the last bytes that are no hole.
    pub(super) written: u64,
    /// From where on room was set aside on disk.
    pub(super) reserved: Option<u64>,
    /// How many syncs of the file system had failed when its first byte was written; `None` where an earlier session wrote it.
    pub(super) begun: Option<u64>,
    /// All of it came in one write.
    pub(super) whole: bool,
    /// Up to where write-back was started.
    pub(super) flushed: u64,
    pub(super) broken: Option<FileError>,
    pub(super) _name: Busy,
    pub(super) promise: Option<Promise>,
}

/// The file is there already.
#[derive(Debug)]
pub(super) struct Same {
    pub(super) path: RelPath,
    pub(super) stat: Stat,
    /// `None` when size and time were enough.
    pub(super) root: Option<Hash>,
}

/// How the stream is hashed.
#[derive(Debug)]
pub(super) enum HashState {
    /// All of it is in the first write.
    Whole,
    /// By the thread that writes; boxed, because thousands of streams wait with nothing to hash.
    Inline(Box<TreeHasher>),
    /// By the second thread.
    Beside,
    /// The second thread will tell.
    Asked(Receiver<Hash>),
    Known(Hash),
    None,
}

impl HashState {
    pub(super) fn is_beside(&self) -> bool {
        matches!(self, Self::Beside | Self::Asked(_))
    }
}

impl Stream {
    /// Whether what is there may be changed.
    pub(super) fn replaces(&self) -> bool {
        matches!(self.overwrite, Overwrite::Replace | Overwrite::Default)
    }

    /// Whether a later try can use what is written here: it must be able to find it and to state a whole unit.
    pub(super) fn resumable(&self) -> bool {
        self.meta.size.is_some_and(|size| size > RESUME_UNIT)
    }

    /// Whether the partial was left as the beginning of a file of the offered time: then it is hashed while the rest comes. If it
    /// is another one's after all, or was torn, the root tells. Only the very time counts: where a file system keeps less of
    /// it, that of a last write may look like it.
    pub(super) fn is_beginning(&self) -> bool {
        self.meta.mtime.is_some() && self.temp.as_ref().and_then(|temp| temp.mark) == self.meta.mtime
    }

    /// Whether a prefix was stated without hashes.
    pub(super) fn is_believed(&self) -> bool {
        self.prefix.0 > 0 && self.prefix.1.is_empty()
    }

    /// Whether it counts among the files that wait open.
    pub(super) fn waits_open(&self) -> bool {
        self.temp.as_ref().is_some_and(|temp| temp.waits)
    }

    /// Whether no sync of the file system can answer for it, after so many that failed: they are told once, so what is lost of
    /// a file that was under way may have been told already, when another was asked about.
    pub(super) fn needs_own_sync(&self, failed: u64) -> bool {
        match (&self.temp, &self.same) {
            (Some(_), _) => self.begun != Some(failed),
            (None, Some(_)) => failed > 0,
            // A folder or a link: its content is its entry.
            (None, None) => false,
        }
    }

    /// Whether its own sync cannot answer for it either. A descriptor that was open all the time tells what was lost; a file
    /// that was closed may have been forgotten by the system, and the failure with it.
    pub(super) fn is_beyond_syncs(&self, failed: u64) -> bool {
        self.temp.as_ref().is_some_and(|temp| temp.file.is_none()) && self.begun.unwrap_or(0) != failed
    }

    pub(super) fn discard(mut self, keep: Keep) {
        match (&mut self.temp, keep) {
            (Some(temp), Keep::Nothing) => temp.lasting = false,
            (Some(temp), Keep::Doubted) => temp.mark = None,
            (Some(_), Keep::Partial) | (None, _) => {}
        }
    }
}

/// What a file is when it is needed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Back {
    /// As it was.
    Same,
    /// Its content is; what was reserved for it is gone.
    Trimmed,
    /// Gone, another one, or written by another process.
    Other,
    /// Another session writes it.
    Taken,
}

impl Back {
    /// By the times, not by the time of the last change of anything: a sweep gives back what is reserved and no more, which
    /// changes that one. It writes nothing, and whoever does write leaves another time; before a partial lands, it also gets
    /// another mode.
    fn of(noted: &Stat, now: &Stat) -> Self {
        let content = |st: &Stat| (st.device, st.inode, st.size, st.mtime, st.mode);
        match content(noted) == content(now) {
            true if now.stored < noted.stored => Self::Trimmed,
            true => Self::Same,
            false => Self::Other,
        }
    }
}

/// A file in staging. Dropping it closes it, and removes it unless a later try can use it or it has its final name.
#[derive(Debug)]
pub(super) struct Temp {
    pub(super) staging: Arc<Staging>,
    pub(super) name: Vec<u8>,
    /// Among the partials, locked; otherwise in the folder of this process.
    pub(super) partial: bool,
    /// Stays when dropped.
    pub(super) lasting: bool,
    /// Shared with the second thread while it reads back what was carried into it.
    pub(super) file: Option<Arc<File>>,
    /// Open without being written: between offer and content, or between end and commit.
    pub(super) waits: bool,
    /// What it was when it began to wait, so that nobody else's work is taken for ours.
    pub(super) noted: Option<Box<Stat>>,
    /// The modification time that a partial is left with: that of the file which it is the beginning of. An offer of the same
    /// time is answered without hashing it first. `None`: nobody knows, or nobody believes it any more.
    pub(super) mark: Option<Mtime>,
}

impl Temp {
    pub(super) fn dir(&self) -> &Dir {
        if self.partial { &self.staging.partials } else { &self.staging.own }
    }

    /// Closes it for a while: descriptors are few, waiting files can be many.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.note()?;
        self.file = None;
        Ok(())
    }

    /// Notes what it is. Only a partial can be reached by others.
    pub(super) fn note(&mut self) -> io::Result<()> {
        if let (Some(file), true) = (&self.file, self.partial) {
            self.noted = Some(Box::new(stat_file(file)?));
        }
        Ok(())
    }

    /// Opens it again, and locks a partial again. With `any`, one with other content will do as well, and is made if it
    /// is gone; otherwise such a one stays closed.
    pub(super) fn reopen(&mut self, any: bool) -> io::Result<Back> {
        if let Some(file) = &self.file {
            // A lock keeps out only those who ask for it.
            let back = match self.noted.take() {
                Some(noted) => Back::of(&noted, &stat_file(file)?),
                None => Back::Same,
            };
            // What is reserved for a file that is locked nobody gives back; how much it is, a file system may count anew.
            return Ok(if back == Back::Trimmed { Back::Same } else { back });
        }
        if !self.partial {
            // It is written already and has its final mode, which may keep its owner from writing: a sync needs no more.
            self.file = Some(Arc::new(open_there(&self.staging.own, &self.name)?.0));
            return Ok(Back::Same);
        }
        let (file, st) = match self.staging.claim(&self.name, any)? {
            Claim::Ours(file, st) => (file, st),
            Claim::Taken => return Ok(Back::Taken),
            Claim::Missing => return Ok(Back::Other),
        };
        let back = self.noted.take().map_or(Back::Other, |noted| Back::of(&noted, &st));
        if any || back != Back::Other {
            self.file = Some(Arc::new(file));
        }
        Ok(back)
    }

    /// Whether its name still leads to what was written: others who may use the folder could have put theirs there, and a
    /// rename goes by name.
    pub(super) fn has_its_name(&self) -> io::Result<bool> {
        match (&self.file, self.partial) {
            (Some(file), true) => is_named(self.dir(), &self.name, &stat_file(file)?),
            // Nobody else works in this process's own folder.
            (Some(_) | None, _) => Ok(true),
        }
    }

    /// It has its final name.
    pub(super) fn landed(mut self) {
        self.lasting = true;
        self.partial = false;
    }
}

impl Temp {
    /// Whether it stays; a partial that does gives back what was reserved behind its end, and says what it is of.
    fn is_useful(&mut self) -> bool {
        if !self.partial {
            return self.lasting;
        }
        match (self.reopen(false), self.file.as_ref()) {
            (Ok(Back::Same | Back::Trimmed), Some(file)) => {
                let keep = |st: Stat| st.size >= RESUME_UNIT && file.set_len(st.size).is_ok();
                let stays = self.lasting && stat_file(file).is_ok_and(keep);
                if let (true, Some(_)) = (stays, self.mark) {
                    // Without it the next try hashes first.
                    drop(set_file_meta(file, None, self.mark));
                }
                stays
            }
            // Another process has it by now.
            (Ok(_) | Err(_), _) => true,
        }
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.is_useful() {
            // What stays is swept later.
            drop(self.dir().remove_file(&self.name));
        }
    }
}
