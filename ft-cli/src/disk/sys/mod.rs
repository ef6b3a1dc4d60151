//! The few file-system calls that landing and reading are made of, the same on every system.
//!
//! On Linux each call works on a held folder descriptor and resolves names beneath it in the kernel. Elsewhere `std` does it by
//! path, component by component: same answers, but someone who can rename folders of the tree at the right moment can
//! lead it astray. ARCHITECTURE names that as the price.

use std::fmt;
use std::io;

use ft_core::frame::Mtime;

#[cfg(all(target_os = "linux", not(feature = "portable-disk")))]
mod linux;
#[cfg(all(target_os = "linux", not(feature = "portable-disk")))]
pub(super) use linux::*;

#[cfg(not(all(target_os = "linux", not(feature = "portable-disk"))))]
mod portable;
#[cfg(not(all(target_os = "linux", not(feature = "portable-disk"))))]
pub(super) use portable::*;

/// Mode of a new file that only its owner may touch.
pub(super) const PRIVATE: u16 = 0o600;

/// What a path may lead through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Through {
    /// No symbolic link anywhere, the last component included.
    NoLinks,
    /// Links, as long as all of it stays beneath the folder that it starts from.
    LinksInside,
    /// Links to anywhere: only for what the user of this program named.
    LinksAnywhere,
}

/// What something in a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    File,
    Folder,
    Link,
    /// A named pipe, a device or a socket; with its name for people.
    Special(&'static str),
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File => "a regular file",
            Self::Folder => "a folder",
            Self::Link => "a symbolic link",
            Self::Special(name) => name,
        }
    }
}

/// What the system tells about a file. Two equal values mean that the file has not changed in between, as far as the
/// system's clock can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) what: What,
    pub(super) size: u64,
    pub(super) mtime: Mtime,
    pub(super) mode: u16,
    /// Bytes on disk; less than `size` in a sparse file.
    pub(super) stored: u64,
    /// File system and file, where the system has such numbers.
    pub(super) device: u64,
    pub(super) inode: u64,
    /// It has another name as well, as far as the system counts them.
    pub(super) linked: bool,
    /// Time of the last change of anything, raw.
    pub(super) changed: (i64, u32),
}

impl Stat {
    /// Whether it is still the same file, as far as can be seen. A new mode, name, link or attribute counts as a change as well: it
    /// cannot be told from new content whose time was put back, and the worst of it is another try.
    pub(super) fn is_unchanged(&self, now: &Self) -> bool {
        let identity = |st: &Self| (st.device, st.inode, st.size, st.mtime, st.changed);
        identity(self) == identity(now)
    }
}

/// A stretch of a file, from the asked offset up to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Data(u64),
    Hole(u64),
}

/// The path leads through a symbolic link, or out of the folder it starts from.
#[derive(Debug)]
pub(super) struct ThroughLink;

impl fmt::Display for ThroughLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a symbolic link is in the way")
    }
}

impl std::error::Error for ThroughLink {}

pub(super) fn through_link() -> io::Error {
    io::Error::other(ThroughLink)
}

/// Links that lead to each other, and nowhere else.
pub(super) fn is_circle(e: &io::Error) -> bool {
    cfg!(unix) && e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

pub(super) fn is_through_link(e: &io::Error) -> bool {
    e.get_ref().is_some_and(|inner| inner.is::<ThroughLink>())
}
