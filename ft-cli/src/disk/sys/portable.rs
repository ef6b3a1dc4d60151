//! Systems other than Linux, with `std` alone: names are checked component by component, by path.
//!
//! What is weaker than on Linux: between a check and its use someone with rights in the tree can swap a folder for a
//! link; free space is not asked for and not reserved; holes are written as zeros that the file system may or may not store;
//! many files are synced one by one; on Windows folders cannot be synced, nor links made.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ft_core::frame::Mtime;

use super::{Extent, PRIVATE, Stat, Through, What, through_link};

/// Whether one call can sync everything.
pub(in super::super) const SYNCS_FILE_SYSTEM: bool = false;

/// Held by who looks whether a name is free and takes it.
static UNFLAGGED: Mutex<()> = Mutex::new(());

/// A folder, by its path.
#[derive(Debug)]
pub(in super::super) struct Dir {
    path: PathBuf,
    lock: Mutex<Option<File>>,
}

impl Dir {
    pub(in super::super) fn open_ambient(path: &Path) -> io::Result<Self> {
        Self::at(fs::canonicalize(path)?)
    }

    fn at(path: PathBuf) -> io::Result<Self> {
        if !fs::metadata(&path)?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(Self { path, lock: Mutex::new(None) })
    }

    pub(in super::super) fn folder(&self, components: &[Vec<u8>], through: Through) -> io::Result<Self> {
        Self::at(self.resolve(components, through)?)
    }

    pub(in super::super) fn file(&self, components: &[Vec<u8>], through: Through) -> io::Result<File> {
        let path = self.resolve(components, through)?;
        // Opening a named pipe would wait for its writer. There is no file, then.
        if !fs::metadata(&path)?.is_file() {
            return Err(ErrorKind::NotFound.into());
        }
        File::open(path)
    }

    pub(in super::super) fn file_here(&self, name: &[u8]) -> io::Result<File> {
        self.file(&[name.to_vec()], Through::NoLinks)
    }

    pub(in super::super) fn stat_through(&self, components: &[Vec<u8>], through: Through) -> io::Result<Stat> {
        Ok(convert(&fs::metadata(self.resolve(components, through)?)?))
    }

    fn resolve(&self, components: &[Vec<u8>], through: Through) -> io::Result<PathBuf> {
        let mut path = self.path.clone();
        for component in components {
            path.push(to_path(component));
            if through == Through::NoLinks && fs::symlink_metadata(&path)?.is_symlink() {
                return Err(through_link());
            }
        }
        if through == Through::LinksInside && !fs::canonicalize(&path)?.starts_with(&self.path) {
            return Err(through_link());
        }
        Ok(path)
    }

    fn name(&self, name: &[u8]) -> PathBuf {
        self.path.join(to_path(name))
    }

    pub(in super::super) fn stat(&self, name: &[u8]) -> io::Result<Option<Stat>> {
        match fs::symlink_metadata(self.name(name)) {
            Ok(metadata) => Ok(Some(convert(&metadata))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(in super::super) fn stat_self(&self) -> io::Result<Stat> {
        Ok(convert(&fs::metadata(&self.path)?))
    }

    pub(in super::super) fn names(&self) -> io::Result<Vec<(Vec<u8>, Option<What>)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if cfg!(unix) || entry.file_name() != LOCK {
                all.push((component(&entry.file_name()), entry.file_type().ok().map(what)));
            }
        }
        Ok(all)
    }

    pub(in super::super) fn make_folder(&self, name: &[u8], private: bool) -> io::Result<()> {
        let path = self.name(name);
        fs::create_dir(&path)?;
        if private { restrict(&path) } else { Ok(()) }
    }

    pub(in super::super) fn create(&self, name: &[u8], mode: u16) -> io::Result<File> {
        let path = self.name(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        set_mode(&file, u32::from(mode & 0o777))?;
        Ok(file)
    }

    pub(in super::super) fn open_or_create(&self, name: &[u8]) -> io::Result<File> {
        match self.create(name, PRIVATE) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => self.open_existing(name),
            other => other,
        }
    }

    pub(in super::super) fn open_existing(&self, name: &[u8]) -> io::Result<File> {
        let path = self.resolve(&[name.to_vec()], Through::NoLinks)?;
        OpenOptions::new().read(true).write(true).open(path)
    }

    pub(in super::super) fn rename_new(&self, from: &[u8], to: &Self, name: &[u8]) -> io::Result<()> {
        let (from, to) = (self.name(from), to.name(name));
        match fs::hard_link(&from, &to) {
            Ok(()) => fs::remove_file(from),
            Err(e) if e.kind() == ErrorKind::AlreadyExists || e.kind() == ErrorKind::CrossesDevices => Err(e),
            // No hard links here: look first, then rename, one at a time.
            Err(_) => {
                let _one_at_a_time = UNFLAGGED.lock().unwrap_or_else(PoisonError::into_inner);
                match fs::symlink_metadata(&to) {
                    Ok(_) => Err(ErrorKind::AlreadyExists.into()),
                    Err(_) => fs::rename(from, to),
                }
            }
        }
    }

    /// Which folder it is.
    pub(in super::super) fn identity(&self) -> io::Result<(u64, u64)> {
        let mut reader = blake3::Hasher::new().update(self.path.as_os_str().as_encoded_bytes()).finalize_xof();
        let mut next = || {
            let mut bytes = [0; 8];
            reader.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        };
        Ok((next(), next()))
    }

    pub(in super::super) fn rename_over(&self, from: &[u8], to: &Self, name: &[u8]) -> io::Result<()> {
        fs::rename(self.name(from), to.name(name))
    }

    pub(in super::super) fn remove_file(&self, name: &[u8]) -> io::Result<()> {
        fs::remove_file(self.name(name))
    }

    pub(in super::super) fn remove_folder(&self, name: &[u8]) -> io::Result<()> {
        let path = self.name(name);
        if !cfg!(unix) {
            // May be missing; if the folder is not empty, the lock is made again by who needs it.
            drop(fs::remove_file(path.join(LOCK)));
        }
        fs::remove_dir(path)
    }

    #[cfg(unix)]
    pub(in super::super) fn make_link(&self, target: &[u8], name: &[u8]) -> io::Result<()> {
        std::os::unix::fs::symlink(to_path(target), self.name(name))
    }

    #[cfg(not(unix))]
    pub(in super::super) fn make_link(&self, _target: &[u8], _name: &[u8]) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    pub(in super::super) fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(component(fs::read_link(self.name(name))?.as_os_str()))
    }

    /// `std` cannot; the time of a link matters to nobody.
    #[allow(clippy::unused_self, reason = "the same on every system")]
    pub(in super::super) fn set_link_mtime(&self, _name: &[u8], _mtime: Mtime) -> io::Result<()> {
        Ok(())
    }

    pub(in super::super) fn set_meta(&self, mode: Option<u16>, mtime: Option<Mtime>) -> io::Result<()> {
        if cfg!(unix) { set_file_meta(&File::open(&self.path)?, mode, mtime) } else { Ok(()) }
    }

    pub(in super::super) fn sync(&self) -> io::Result<()> {
        if cfg!(unix) { File::open(&self.path)?.sync_all() } else { Ok(()) }
    }

    #[allow(clippy::unused_self, reason = "the same on every system")]
    pub(in super::super) fn sync_tells(&self) -> bool {
        false
    }

    #[allow(clippy::unused_self, reason = "the same on every system")]
    pub(in super::super) fn sync_file_system(&self) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same on every system")]
    pub(in super::super) fn free(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    /// Whose folder it is cannot be asked; that nobody else may enter can be arranged if it is ours, and fails if not.
    pub(in super::super) fn make_private(&self) -> io::Result<bool> {
        restrict(&self.path).map(|()| true)
    }

    pub(in super::super) fn try_lock(&self, alone: bool) -> io::Result<bool> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match lock.take() {
            Some(file) => file,
            None if cfg!(unix) => File::open(&self.path)?,
            None => OpenOptions::new().write(true).create(true).truncate(false).open(self.path.join(LOCK))?,
        };
        let locked = locked(if alone { file.try_lock() } else { file.try_lock_shared() })?;
        if locked {
            *lock = Some(file);
        }
        Ok(locked)
    }
}

/// Where folders themselves cannot be locked, this file in them is.
const LOCK: &str = ".lock";

fn locked(result: Result<(), fs::TryLockError>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(e)) => Err(e),
    }
}

pub(in super::super) fn try_lock_file(file: &File) -> io::Result<bool> {
    locked(file.try_lock())
}

pub(in super::super) fn stat_file(file: &File) -> io::Result<Stat> {
    Ok(convert(&file.metadata()?))
}

/// The mode of new files whose sender states none: the umask cannot be read here without changing it.
pub(in super::super) fn umask() -> u16 {
    0o022
}

pub(in super::super) fn set_file_meta(file: &File, mode: Option<u16>, mtime: Option<Mtime>) -> io::Result<()> {
    if let Some(mode) = mode {
        set_mode(file, u32::from(mode & 0o777))?;
    }
    if let Some(mtime) = mtime {
        file.set_times(FileTimes::new().set_modified(to_time(mtime)?))?;
    }
    Ok(())
}

pub(in super::super) fn reserve(_file: &File, _from: u64, _to: u64) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[allow(clippy::unnecessary_wraps, reason = "the same on every system")]
pub(in super::super) fn punch(_file: &File, _from: u64, _len: u64) -> io::Result<()> {
    Ok(())
}

pub(in super::super) fn start_write_back(_file: &File, _from: u64, _len: u64) {}

pub(in super::super) fn expect_sequential(_file: &File) {}

#[allow(clippy::unnecessary_wraps, reason = "the same on every system")]
pub(in super::super) fn extent(_file: &File, offset: u64, size: u64) -> io::Result<Extent> {
    Ok(if offset < size { Extent::Data(size) } else { Extent::Hole(size) })
}

#[cfg(unix)]
pub(in super::super) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, offset)
}

#[cfg(windows)]
pub(in super::super) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, offset)
}

#[cfg(unix)]
pub(in super::super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
pub(in super::super) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, offset)? {
            0 => return Err(ErrorKind::WriteZero.into()),
            n => {
                bytes = &bytes[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}

pub(in super::super) fn component(name: &OsStr) -> Vec<u8> {
    name.as_encoded_bytes().to_vec()
}

#[cfg(unix)]
pub(in super::super) fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

#[cfg(not(unix))]
pub(in super::super) fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(unix)]
pub(in super::super) fn storable(_component: &[u8]) -> bool {
    true
}

#[cfg(not(unix))]
pub(in super::super) fn storable(component: &[u8]) -> bool {
    super::super::spelling::unportable(component).is_none()
}

#[cfg(unix)]
fn restrict(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700))
}

#[cfg(not(unix))]
fn restrict(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

fn what(file_type: fs::FileType) -> What {
    if file_type.is_file() {
        What::File
    } else if file_type.is_dir() {
        What::Folder
    } else if file_type.is_symlink() {
        What::Link
    } else {
        What::Special(special(file_type))
    }
}

#[cfg(unix)]
fn special(file_type: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if file_type.is_fifo() {
        "a named pipe"
    } else if file_type.is_socket() {
        "a socket"
    } else if file_type.is_char_device() {
        "a character device"
    } else {
        "a block device"
    }
}

#[cfg(not(unix))]
fn special(_file_type: fs::FileType) -> &'static str {
    "neither a file nor a folder"
}

fn to_time(mtime: Mtime) -> io::Result<SystemTime> {
    let nanos = Duration::from_nanos(mtime.nanos.into());
    let secs = Duration::from_secs(mtime.secs.unsigned_abs());
    let whole = if mtime.secs < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(secs)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(secs)
    };
    whole.and_then(|t| t.checked_add(nanos)).ok_or_else(|| ErrorKind::InvalidInput.into())
}

fn from_time(time: SystemTime) -> Mtime {
    let secs = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => Mtime { secs: secs(after), nanos: after.subsec_nanos() },
        Err(e) => match e.duration() {
            before if before.subsec_nanos() == 0 => Mtime { secs: -secs(before), nanos: 0 },
            before => Mtime { secs: -secs(before) - 1, nanos: 1_000_000_000 - before.subsec_nanos() },
        },
    }
}

#[cfg(unix)]
fn convert(metadata: &Metadata) -> Stat {
    use std::os::unix::fs::MetadataExt;
    Stat {
        what: what(metadata.file_type()),
        size: metadata.len(),
        mtime: metadata.modified().map_or(Mtime { secs: 0, nanos: 0 }, from_time),
        mode: u16::try_from(metadata.mode() & 0o777).unwrap_or(0),
        // Holes cannot be asked for, so it does not matter that there may be some.
        stored: metadata.len(),
        device: metadata.dev(),
        inode: metadata.ino(),
        linked: metadata.nlink() > 1,
        changed: (metadata.ctime(), u32::try_from(metadata.ctime_nsec()).unwrap_or(0)),
    }
}

#[cfg(not(unix))]
fn convert(metadata: &Metadata) -> Stat {
    let mtime = metadata.modified().map_or(Mtime { secs: 0, nanos: 0 }, from_time);
    let writable = if metadata.permissions().readonly() { 0o444 } else { 0o644 };
    Stat {
        what: what(metadata.file_type()),
        size: metadata.len(),
        mtime,
        mode: if metadata.is_dir() { 0o755 } else { writable },
        stored: metadata.len(),
        device: 0,
        inode: 0,
        linked: false,
        changed: (mtime.secs, mtime.nanos),
    }
}
