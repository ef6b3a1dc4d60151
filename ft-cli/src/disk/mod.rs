//! The real file system behind [`ft_core::storage`]: how received files land, and how files are read to be sent.
//!
//! [`Root`] is an opened folder, shared by sessions. [`DiskStorage`] lands files beneath it, [`DiskSource`] reads them, each with
//! threads of its own, so that nothing here ever blocks a session. Names are resolved beneath the held folder only;
//! content waits in a staging folder until it is whole, verified and synced, and gets its final name in one step
//! (PROTOCOL §6.5).

mod ahead;
mod fault;
mod filter;
mod grain;
mod hashing;
mod land;
mod limits;
mod listings;
mod names;
mod outbox;
#[cfg(all(test, target_os = "linux"))]
#[path = "../../../tests/support/owner.rs"]
mod owner;
mod root;
mod roots;
mod source;
mod spelling;
mod staging;
mod sum;
mod sys;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use ft_core::error::FileError;
use ft_core::frame::{Level, Overwrite, StreamId};
use ft_core::path::RelPath;

pub use filter::Filter;
pub use land::DiskStorage;
pub use limits::STAGING;
pub use root::{Listed, Root};
pub use source::{DiskSource, WalkOptions};

/// What a receiver does whatever the sender wishes.
#[derive(Clone)]
pub struct Policy {
    /// About existing files; `Default` leaves it to the sender's wish, and replaces if there is none.
    pub overwrite: Overwrite,
    /// Least level of every commit.
    pub least: Level,
    /// About names that are spelled alike.
    pub names: Names,
    /// Offers that do not match are refused.
    pub filter: Option<Filter>,
    /// Decide, tell it as [`Note::WouldLand`], and refuse: nothing is made or changed.
    pub dry_run: bool,
    /// The wanted thing lands under another name.
    pub rename: Option<RenameRule>,
    /// Hears what is worth a word.
    pub notes: Option<Notes>,
    /// Offers for which nothing may be taken.
    pub unpaid: Unpaid,
}

/// Offers that are good only if they need no room: whoever keeps books tells the storage before it hears of the offer. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Unpaid(Arc<Mutex<BTreeMap<StreamId, FileError>>>);

impl Unpaid {
    /// The stream's offer may have no room, and why.
    pub fn tell(&self, stream: StreamId, why: FileError) {
        root::lock(&self.0).insert(stream, why);
    }

    /// Why it may not; asked once.
    pub fn take(&self, stream: StreamId) -> Option<FileError> {
        root::lock(&self.0).remove(&stream)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            overwrite: Overwrite::Default,
            least: Level::Durable,
            names: Names::Apart,
            filter: None,
            dry_run: false,
            rename: None,
            notes: None,
            unpaid: Unpaid::default(),
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("overwrite", &self.overwrite)
            .field("least", &self.least)
            .field("names", &self.names)
            .field("filter", &self.filter)
            .field("dry_run", &self.dry_run)
            .field("rename", &self.rename)
            .finish_non_exhaustive()
    }
}

/// What a receiver does about names that differ in case, or in how their accents are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Where the file system takes two names for one, the second is refused (with keep-both: gets another name).
    #[default]
    Apart,
    /// So it is wherever any system would, and names that some system cannot store are refused.
    Portable,
    /// As the file system has it: what is there is taken for the same file.
    Any,
}

/// Replaces the first component of every offered path, for a pull of one thing (`get host/a b`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenameRule {
    /// The new name: one component.
    pub to: Vec<u8>,
}

/// Something that the person at this side should hear, beside what the session reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A symbolic link that was not sent, and why.
    SkippedLink(RelPath, &'static str),
    /// A named pipe, device or socket, by name, that was not sent.
    SkippedSpecial(RelPath, &'static str),
    /// A file or folder that could not be looked at; what is beneath it was not sent.
    Unreadable(RelPath, FileError),
    /// Something, by its name here, that was not sent because another thing has that name at the other side.
    SameName(RelPath, String, FileError),
    /// What a dry run found.
    WouldLand(RelPath, WouldLand),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SkippedLink(path, why) => write!(f, "{path}: symbolic link skipped: {why}"),
            Self::SkippedSpecial(path, what) => write!(f, "{path}: skipped: {what}"),
            Self::Unreadable(path, e) | Self::SameName(path, _, e) => write!(f, "{path}: skipped: {e}"),
            Self::WouldLand(path, what) => write!(f, "{path}: {what}"),
        }
    }
}

/// What would have become of an offer, had it not been a dry run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WouldLand {
    /// Nothing of that name is there.
    Create,
    /// The file of that name would be replaced.
    Replace,
    /// It would get another name beside the existing file.
    KeepBoth,
    /// It is there already.
    Same,
}

impl fmt::Display for WouldLand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "would be created",
            Self::Replace => "would replace the file of that name",
            Self::KeepBoth => "would be kept beside the file of that name",
            Self::Same => "is there already",
        })
    }
}

/// Writes down what was computed of files that need not be read again (see `FT_ROOTS` in docs/CLI.md). Sessions that
/// receive do so at their end; a program that only sends calls this at its own.
pub fn save_roots() {
    roots::Roots::of_user().save();
}

/// The name in the staging folder of what is kept of an unfinished file.
pub fn part_name(path: &RelPath) -> Vec<u8> {
    staging::partial_name(path)
}

/// Hears notes; called from the threads of storages and sources.
pub type Notes = Arc<dyn Fn(Note) + Send + Sync>;

/// Where those are kept, if they are.
pub fn roots_folder() -> Option<std::path::PathBuf> {
    roots::Roots::of_user().folder()
}
