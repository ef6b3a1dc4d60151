//! The current folder of a jail's programs, by a descriptor that was opened before any of them ran.
//!
//! A program can put anything under any name there, and the folder itself elsewhere: a link to its caller's files, a pipe
//! that nobody writes to, a device without end. So nothing is reached by its path, no link is followed, nothing but a file is
//! read, and no more of it than somebody has a use for.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::io::Errno;

use super::Left;

/// The folder.
#[derive(Debug)]
pub(super) struct Work(File);

impl Work {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?.into()))
    }

    /// What lies under a name. Of a file at most `most` bytes are read.
    pub(super) fn read(&self, name: &OsStr, most: u64) -> Left {
        // A pipe without a writer would be waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match plain(name).and_then(|name| Ok(openat(&self.0, name, flags, Mode::empty())?)) {
            Ok(file) => File::from(file),
            Err(e) if e.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => return Left::NoFile,
            Err(e) if e.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => return Left::NoFile,
            Err(_) => return Left::Nothing,
        };
        let Ok(metadata) = file.metadata() else { return Left::Nothing };
        if !metadata.is_file() {
            return Left::NoFile;
        }
        let mut bytes = Vec::new();
        match file.take(most).read_to_end(&mut bytes) {
            Ok(_) => Left::File { len: metadata.len().max(bytes.len() as u64), bytes },
            Err(_) => Left::Nothing,
        }
    }

    /// Writes a new file, whatever had its name.
    pub(super) fn put(&self, name: &OsStr, content: &[u8]) -> io::Result<()> {
        self.remove(name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.0, plain(name)?, flags, Mode::from_raw_mode(0o666))?;
        File::from(file).write_all(content)
    }

    /// Removes everything but folders and what is hidden.
    pub(super) fn tidy(&self) -> io::Result<()> {
        for name in self.names()? {
            let is_folder = match statat(&self.0, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(e.into()),
            };
            if !is_folder && !name.as_bytes().starts_with(b".") {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    /// The names in it.
    pub(super) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    /// Nothing has this name any more. A program that runs may have been quicker.
    fn remove(&self, name: &OsStr) -> io::Result<()> {
        let removed = match unlinkat(&self.0, plain(name)?, AtFlags::empty()) {
            Err(Errno::ISDIR) => {
                fs::remove_dir_all(PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd())).join(name))
            }
            other => other.map_err(io::Error::from),
        };
        removed.or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) })
    }
}

/// A name of something in the folder itself.
fn plain(name: &OsStr) -> io::Result<&OsStr> {
    match name.as_bytes() {
        b"" | b"." | b".." => Err(ErrorKind::InvalidInput.into()),
        bytes if bytes.contains(&b'/') => Err(ErrorKind::InvalidInput.into()),
        _ => Ok(name),
    }
}
