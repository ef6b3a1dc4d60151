//! Linux: every name is resolved by the kernel beneath a held descriptor (`openat2`), so that no rename of a folder on
//! the way can lead outside (PROTOCOL §6.5, invariant INSIDE).

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use ft_core::frame::Mtime;
use rustix::fs::{
    Advice, AtFlags, FallocateFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags, SeekFrom, Timespec, Timestamps,
    UTIME_NOW,
};
use rustix::io::Errno;

use super::{Extent, Stat, Through, What, through_link};

/// Whether one call can sync everything.
pub(in super::super) const SYNCS_FILE_SYSTEM: bool = true;

/// Set when this kernel (or its sandbox) has no `openat2`: then paths are walked one component at a time.
static NO_OPENAT2: AtomicBool = AtomicBool::new(false);

/// Held by who looks whether a name is free and takes it, where the file system cannot do both at once.
static UNFLAGGED: Mutex<()> = Mutex::new(());

/// An open folder.
#[derive(Debug)]
pub(in super::super) struct Dir(OwnedFd);

/// Any descriptor, for tests of calls that fail.
#[cfg(test)]
impl From<OwnedFd> for Dir {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
// NONBLOCK: opening a named pipe that took a file's place must not wait for a writer.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

fn os(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}

impl Dir {
    /// Opens a folder that the user of this program named, whatever it leads through.
    pub(in super::super) fn open_ambient(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, FOLDER, Mode::empty())?))
    }

    /// The folder at `components` beneath this one.
    pub(in super::super) fn folder(&self, components: &[Vec<u8>], through: Through) -> io::Result<Self> {
        Ok(Self(self.open(components, FOLDER, through)?))
    }

    /// Opens a file for reading; what it is must be asked of the descriptor.
    pub(in super::super) fn file(&self, components: &[Vec<u8>], through: Through) -> io::Result<File> {
        let flags = if through == Through::NoLinks { READ } else { READ.difference(OFlags::NOFOLLOW) };
        Ok(File::from(self.open(components, flags, through)?))
    }

    /// The same for a name in this folder itself, no link: nothing is left to resolve, so this costs half.
    pub(in super::super) fn file_here(&self, name: &[u8]) -> io::Result<File> {
        match rustix::fs::openat(&self.0, os(name), READ, Mode::empty()) {
            Err(Errno::LOOP) => Err(through_link()),
            other => Ok(File::from(other?)),
        }
    }

    /// What is at `components`, links followed as far as `through` allows. Opens nothing: a device is not touched.
    pub(in super::super) fn stat_through(&self, components: &[Vec<u8>], through: Through) -> io::Result<Stat> {
        let fd = self.open(components, OFlags::PATH | OFlags::CLOEXEC, through)?;
        Ok(convert(&rustix::fs::fstat(fd)?))
    }

    fn open(&self, components: &[Vec<u8>], flags: OFlags, through: Through) -> io::Result<OwnedFd> {
        let path = if components.is_empty() { b".".to_vec() } else { components.join(&b'/') };
        let resolve = match through {
            Through::LinksAnywhere => {
                return Ok(rustix::fs::openat(&self.0, os(&path), flags, Mode::empty())?);
            }
            Through::NoLinks => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
            Through::LinksInside => ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        };
        if !NO_OPENAT2.load(Ordering::Relaxed) {
            match rustix::fs::openat2(&self.0, os(&path), flags, Mode::empty(), resolve) {
                Err(Errno::NOSYS) => NO_OPENAT2.store(true, Ordering::Relaxed),
                Err(Errno::LOOP | Errno::XDEV) => return Err(through_link()),
                other => return Ok(other?),
            }
        }
        self.open_stepwise(components, flags)
    }

    /// Without `openat2`: one `openat` for each component, none of which may be a link. Links inside the root cannot be
    /// followed safely this way, so they are not.
    fn open_stepwise(&self, components: &[Vec<u8>], flags: OFlags) -> io::Result<OwnedFd> {
        let Some((last, parents)) = components.split_last() else {
            return Ok(rustix::fs::openat(&self.0, ".", flags, Mode::empty())?);
        };
        let mut at = None;
        for name in parents {
            at = Some(self.step(at.as_ref(), name, FOLDER)?);
        }
        self.step(at.as_ref(), last, flags)
    }

    fn step(&self, at: Option<&OwnedFd>, name: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let dir = at.unwrap_or(&self.0);
        match rustix::fs::openat(dir, os(name), flags | OFlags::NOFOLLOW, Mode::empty()) {
            Err(Errno::LOOP) => Err(through_link()),
            // A link with O_DIRECTORY | O_NOFOLLOW is "not a directory": tell the two apart.
            Err(Errno::NOTDIR) => match rustix::fs::statat(dir, os(name), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(st) if FileType::from_raw_mode(st.st_mode) == FileType::Symlink => Err(through_link()),
                Ok(_) | Err(_) => Err(Errno::NOTDIR.into()),
            },
            other => Ok(other?),
        }
    }

    /// What is there under a name, a link itself not followed; `None` when nothing is.
    pub(in super::super) fn stat(&self, name: &[u8]) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.0, os(name), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(st) => Ok(Some(convert(&st))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// The folder itself.
    pub(in super::super) fn stat_self(&self) -> io::Result<Stat> {
        Ok(convert(&rustix::fs::fstat(&self.0)?))
    }

    /// Which folder it is.
    pub(in super::super) fn identity(&self) -> io::Result<(u64, u64)> {
        let st = self.stat_self()?;
        Ok((st.device, st.inode))
    }

    /// Names in the folder, unordered, with what they are where the system says so at no cost.
    pub(in super::super) fn names(&self) -> io::Result<Vec<(Vec<u8>, Option<What>)>> {
        let mut all = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                let file_type = entry.file_type();
                all.push((name.to_vec(), (file_type != FileType::Unknown).then(|| what(file_type))));
            }
        }
        Ok(all)
    }

    pub(in super::super) fn make_folder(&self, name: &[u8], private: bool) -> io::Result<()> {
        let mode = if private { Mode::RWXU } else { Mode::RWXU | Mode::RWXG | Mode::RWXO };
        Ok(rustix::fs::mkdirat(&self.0, os(name), mode)?)
    }

    /// A new file with as much of `mode` as the umask or the folder's access list leaves; fails if the name is taken.
    pub(in super::super) fn create(&self, name: &[u8], mode: u16) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_bits_truncate(u32::from(mode & 0o777));
        Ok(File::from(rustix::fs::openat(&self.0, os(name), flags, mode)?))
    }

    /// A file to go on with, made if missing.
    pub(in super::super) fn open_or_create(&self, name: &[u8]) -> io::Result<File> {
        self.open_to_write(name, OFlags::CREATE)
    }

    /// The same, if it is there.
    pub(in super::super) fn open_existing(&self, name: &[u8]) -> io::Result<File> {
        self.open_to_write(name, OFlags::empty())
    }

    fn open_to_write(&self, name: &[u8], more: OFlags) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | more;
        match rustix::fs::openat(&self.0, os(name), flags, Mode::RUSR | Mode::WUSR) {
            Err(Errno::LOOP) => Err(through_link()),
            other => Ok(File::from(other?)),
        }
    }

    /// Gives `name` to what is `from` here, unless the name is taken (`AlreadyExists`). Atomic.
    pub(in super::super) fn rename_new(&self, from: &[u8], to: &Self, name: &[u8]) -> io::Result<()> {
        match rustix::fs::renameat_with(&self.0, os(from), &to.0, os(name), RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS) => self.rename_new_without_flag(from, to, name),
            other => Ok(other?),
        }
    }

    /// The same on a file system that does not know the flag.
    fn rename_new_without_flag(&self, from: &[u8], to: &Self, name: &[u8]) -> io::Result<()> {
        // A hard link is as atomic, and fails as well if the name is taken.
        match rustix::fs::linkat(&self.0, os(from), &to.0, os(name), AtFlags::empty()) {
            Ok(()) => Ok(rustix::fs::unlinkat(&self.0, os(from), AtFlags::empty())?),
            // No hard links either (FAT and its like behind FUSE). This process renames one at a time then; what another puts
            // there between these two calls is replaced. To take the name with an empty file first would spare it, and leave
            // that file there if the power fails.
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => {
                let _one_at_a_time = UNFLAGGED.lock().unwrap_or_else(PoisonError::into_inner);
                match to.stat(name)? {
                    Some(_) => Err(Errno::EXIST.into()),
                    None => self.rename_over(from, to, name),
                }
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Gives `name` to what is `from` here, in place of what had it. Atomic.
    pub(in super::super) fn rename_over(&self, from: &[u8], to: &Self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, os(from), &to.0, os(name))?)
    }

    pub(in super::super) fn remove_file(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, os(name), AtFlags::empty())?)
    }

    pub(in super::super) fn remove_folder(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, os(name), AtFlags::REMOVEDIR)?)
    }

    pub(in super::super) fn make_link(&self, target: &[u8], name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(os(target), &self.0, os(name))?)
    }

    pub(in super::super) fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.0, os(name), Vec::new())?.into_bytes())
    }

    /// Modification time of a link itself.
    pub(in super::super) fn set_link_mtime(&self, name: &[u8], mtime: Mtime) -> io::Result<()> {
        Ok(rustix::fs::utimensat(&self.0, os(name), &timestamps(mtime), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Mode and modification time of the folder itself.
    pub(in super::super) fn set_meta(&self, mode: Option<u16>, mtime: Option<Mtime>) -> io::Result<()> {
        set_meta_of(&self.0, mode, mtime)
    }

    /// The folder's entries, mode and times are on disk.
    pub(in super::super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// Everything on the folder's file system is on disk. Fails also if any write-back there failed since this
    /// descriptor was opened (Linux 5.8 and later).
    pub(in super::super) fn sync_file_system(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }

    /// Whether such a sync tells of everything that could not be written: older systems do not say it, and FUSE need not pass the
    /// question on.
    pub(in super::super) fn sync_tells(&self) -> bool {
        // `FUSE_SUPER_MAGIC`, which is also that of disks behind it.
        const FUSE: u64 = 0x6573_5546;
        let is_fuse =
            rustix::fs::fstatfs(&self.0).map_or(true, |st| u64::try_from(st.f_type).is_ok_and(|kind| kind == FUSE));
        !is_fuse && release() >= (5, 8)
    }

    /// Bytes that this user may still store on the file system.
    pub(in super::super) fn free(&self) -> io::Result<u64> {
        let st = rustix::fs::fstatvfs(&self.0)?;
        Ok(st.f_bavail.saturating_mul(st.f_frsize))
    }

    /// Takes away what others may do in the folder. False: it is not ours, so it cannot be trusted.
    pub(in super::super) fn make_private(&self) -> io::Result<bool> {
        let st = rustix::fs::fstat(&self.0)?;
        if st.st_uid != rustix::process::geteuid().as_raw() {
            return Ok(false);
        }
        if st.st_mode & 0o077 != 0 {
            rustix::fs::fchmod(&self.0, Mode::RWXU)?;
        }
        Ok(true)
    }

    /// Takes the folder's advisory lock without waiting: shared among processes, or alone. False: somebody has it.
    pub(in super::super) fn try_lock(&self, alone: bool) -> io::Result<bool> {
        let operation = if alone {
            rustix::fs::FlockOperation::NonBlockingLockExclusive
        } else {
            rustix::fs::FlockOperation::NonBlockingLockShared
        };
        match rustix::fs::flock(&self.0, operation) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

/// Takes a file's advisory lock without waiting. False: somebody has it, in this process or another.
pub(in super::super) fn try_lock_file(file: &File) -> io::Result<bool> {
    match rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// What an open file is.
pub(in super::super) fn stat_file(file: &File) -> io::Result<Stat> {
    Ok(convert(&rustix::fs::fstat(file)?))
}

/// What is taken from the mode of new files. Read, not asked by `umask(2)`, which would change it for all threads.
pub(in super::super) fn umask() -> u16 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    mask.and_then(|mask| u16::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o022)
}

/// Mode and modification time of an open file.
pub(in super::super) fn set_file_meta(file: &File, mode: Option<u16>, mtime: Option<Mtime>) -> io::Result<()> {
    set_meta_of(file, mode, mtime)
}

fn set_meta_of(fd: impl AsFd, mode: Option<u16>, mtime: Option<Mtime>) -> io::Result<()> {
    if let Some(mode) = mode {
        rustix::fs::fchmod(fd.as_fd(), Mode::from_bits_truncate(u32::from(mode & 0o777)))?;
    }
    if let Some(mtime) = mtime {
        rustix::fs::futimens(fd.as_fd(), &timestamps(mtime))?;
    }
    Ok(())
}

/// Sets aside room for a stretch of the file without changing its length. `Unsupported`: this file system cannot.
pub(in super::super) fn reserve(file: &File, from: u64, to: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, from, to.saturating_sub(from)) {
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Err(io::ErrorKind::Unsupported.into()),
            other => return Ok(other?),
        }
    }
}

/// Gives back the room of a stretch that will not be written, so that a sparse file stays sparse. Best effort.
pub(in super::super) fn punch(file: &File, from: u64, len: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, from, len) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Starts writing a stretch to disk without waiting for it. Only a hint, so it cannot fail: what goes wrong is
/// reported by the sync. (The call is the one that "will not need" pages: it starts write-back of dirty ones.)
pub(in super::super) fn start_write_back(file: &File, from: u64, len: u64) {
    let _hint = rustix::fs::fadvise(file, from, std::num::NonZeroU64::new(len), Advice::DontNeed);
}

/// The file will be read from the beginning to the end.
pub(in super::super) fn expect_sequential(file: &File) {
    let _hint = rustix::fs::fadvise(file, 0, None, Advice::Sequential);
}

/// Whether data or a hole is at `offset` of a file of `size` bytes, and up to where.
pub(in super::super) fn extent(file: &File, offset: u64, size: u64) -> io::Result<Extent> {
    match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(data) if data > offset => Ok(Extent::Hole(data.min(size))),
        Ok(_) => Ok(Extent::Data(rustix::fs::seek(file, SeekFrom::Hole(offset))?.min(size))),
        Err(Errno::NXIO) => Ok(Extent::Hole(size)),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Extent::Data(size)),
        Err(e) => Err(e.into()),
    }
}

pub(in super::super) fn read_at(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(into, offset)
}

pub(in super::super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// A path of this system as components; `None` when it has something that is no name (`..`).
pub(in super::super) fn component(name: &OsStr) -> Vec<u8> {
    name.as_bytes().to_vec()
}

/// The first two numbers of the kernel's version.
fn release() -> (u32, u32) {
    let uname = rustix::system::uname();
    let text = uname.release().to_string_lossy();
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Components as a path of this system, for matching and for showing.
pub(in super::super) fn to_path(bytes: &[u8]) -> std::path::PathBuf {
    std::path::PathBuf::from(os(bytes))
}

/// Whether this system can store the name. All names that the protocol allows are fine here.
pub(in super::super) fn storable(_component: &[u8]) -> bool {
    true
}

/// Both times, because many file systems behind FUSE take two or none, and say nothing.
fn timestamps(mtime: Mtime) -> Timestamps {
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let last_modification = Timespec { tv_sec: mtime.secs, tv_nsec: mtime.nanos.into() };
    Timestamps { last_access, last_modification }
}

fn what(file_type: FileType) -> What {
    match file_type {
        FileType::RegularFile => What::File,
        FileType::Directory => What::Folder,
        FileType::Symlink => What::Link,
        FileType::Fifo => What::Special("a named pipe"),
        FileType::Socket => What::Special("a socket"),
        FileType::CharacterDevice => What::Special("a character device"),
        FileType::BlockDevice => What::Special("a block device"),
        FileType::Unknown => What::Special("something of an unknown kind"),
    }
}

fn convert(st: &rustix::fs::Stat) -> Stat {
    let nanos = |n: u64| u32::try_from(n).unwrap_or(0);
    Stat {
        what: what(FileType::from_raw_mode(st.st_mode)),
        size: u64::try_from(st.st_size).unwrap_or(0),
        mtime: Mtime { secs: st.st_mtime, nanos: nanos(st.st_mtime_nsec) },
        mode: u16::try_from(st.st_mode & 0o777).unwrap_or(0),
        stored: u64::try_from(st.st_blocks).unwrap_or(0).saturating_mul(512),
        device: st.st_dev,
        inode: st.st_ino,
        linked: st.st_nlink > 1,
        changed: (st.st_ctime, nanos(st.st_ctime_nsec)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::is_through_link;
    use super::*;

    #[test]
    fn without_openat2_every_component_is_still_kept_from_being_a_link() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/f"), "x").unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("l")).unwrap();
        std::os::unix::fs::symlink("f", dir.path().join("a/b/m")).unwrap();
        let root = Dir::open_ambient(dir.path()).unwrap();
        let open = |path: &[&str], flags| {
            root.open_stepwise(&path.iter().map(|c| c.as_bytes().to_vec()).collect::<Vec<_>>(), flags)
        };
        assert!(open(&["a", "b", "f"], READ).is_ok() && open(&["a", "b"], FOLDER).is_ok() && open(&[], FOLDER).is_ok());
        for (path, flags) in [(&["l", "b", "f"][..], READ), (&["l"], FOLDER), (&["a", "b", "m"], READ), (&["l"], READ)]
        {
            assert!(is_through_link(&open(path, flags).unwrap_err()), "{path:?}");
        }
        assert_eq!(open(&["a", "b", "f", "g"], READ).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(open(&["a", "none"], READ).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
