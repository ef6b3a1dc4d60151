//! Which calls are about files, and about which file: the calls of x86-64 Linux that this program and its libraries make.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use nix::libc;
use nix::unistd::Pid;

/// One call about a file or folder of the transfer.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// What it is about; beneath the ground, that one's name first.
    pub(crate) path: PathBuf,
    /// Content bytes that it was asked to move, if it can also move fewer.
    pub(crate) moves: u64,
    /// What the program saw; `None` if it never returned.
    pub(crate) result: Option<i64>,
}

/// Where a call says what it is about.
#[derive(Clone, Copy)]
enum Place {
    /// A descriptor, in this argument.
    Descriptor(usize),
    /// A path, relative to the descriptor in the argument before it. No path: the descriptor itself.
    Beneath(usize),
    /// A path, in this argument.
    Path(usize),
}

use Place::{Beneath, Descriptor, Path};

/// Number, name, places to look at until one leads into a ground, argument that has the count.
type Row = (libc::c_long, &'static str, &'static [Place], Option<usize>);

const TABLE: &[Row] = &[
    (libc::SYS_read, "read", &[Descriptor(0)], Some(2)),
    (libc::SYS_pread64, "pread", &[Descriptor(0)], Some(2)),
    (libc::SYS_readv, "readv", &[Descriptor(0)], None),
    (libc::SYS_preadv, "preadv", &[Descriptor(0)], None),
    (libc::SYS_write, "write", &[Descriptor(0)], Some(2)),
    (libc::SYS_pwrite64, "pwrite", &[Descriptor(0)], Some(2)),
    (libc::SYS_writev, "writev", &[Descriptor(0)], None),
    (libc::SYS_pwritev, "pwritev", &[Descriptor(0)], None),
    (libc::SYS_sendfile, "sendfile", &[Descriptor(1)], Some(3)),
    (libc::SYS_splice, "splice", &[Descriptor(2), Descriptor(0)], Some(4)),
    (libc::SYS_copy_file_range, "copy_file_range", &[Descriptor(2)], Some(4)),
    (libc::SYS_fsync, "fsync", &[Descriptor(0)], None),
    (libc::SYS_fdatasync, "fdatasync", &[Descriptor(0)], None),
    (libc::SYS_syncfs, "syncfs", &[Descriptor(0)], None),
    (libc::SYS_sync_file_range, "sync_file_range", &[Descriptor(0)], None),
    (libc::SYS_ftruncate, "ftruncate", &[Descriptor(0)], None),
    (libc::SYS_fallocate, "fallocate", &[Descriptor(0)], None),
    (libc::SYS_fadvise64, "fadvise", &[Descriptor(0)], None),
    (libc::SYS_fstat, "fstat", &[Descriptor(0)], None),
    (libc::SYS_fstatfs, "fstatfs", &[Descriptor(0)], None),
    (libc::SYS_fchmod, "fchmod", &[Descriptor(0)], None),
    (libc::SYS_fchown, "fchown", &[Descriptor(0)], None),
    (libc::SYS_fgetxattr, "fgetxattr", &[Descriptor(0)], None),
    (libc::SYS_fsetxattr, "fsetxattr", &[Descriptor(0)], None),
    (libc::SYS_lseek, "lseek", &[Descriptor(0)], None),
    (libc::SYS_flock, "flock", &[Descriptor(0)], None),
    (libc::SYS_fcntl, "fcntl", &[Descriptor(0)], None),
    (libc::SYS_getdents64, "getdents", &[Descriptor(0)], None),
    (libc::SYS_close, "close", &[Descriptor(0)], None),
    (libc::SYS_openat, "openat", &[Beneath(1)], None),
    (libc::SYS_openat2, "openat2", &[Beneath(1)], None),
    (libc::SYS_mkdirat, "mkdirat", &[Beneath(1)], None),
    (libc::SYS_unlinkat, "unlinkat", &[Beneath(1)], None),
    (libc::SYS_renameat, "renameat", &[Beneath(3), Beneath(1)], None),
    (libc::SYS_renameat2, "renameat2", &[Beneath(3), Beneath(1)], None),
    (libc::SYS_linkat, "linkat", &[Beneath(3), Beneath(1)], None),
    (libc::SYS_symlinkat, "symlinkat", &[Beneath(2)], None),
    (libc::SYS_readlinkat, "readlinkat", &[Beneath(1)], None),
    (libc::SYS_newfstatat, "fstatat", &[Beneath(1)], None),
    (libc::SYS_statx, "statx", &[Beneath(1)], None),
    (libc::SYS_utimensat, "utimensat", &[Beneath(1)], None),
    (libc::SYS_fchmodat, "fchmodat", &[Beneath(1)], None),
    (libc::SYS_faccessat, "faccessat", &[Beneath(1)], None),
    (libc::SYS_faccessat2, "faccessat2", &[Beneath(1)], None),
    (libc::SYS_open, "open", &[Path(0)], None),
    (libc::SYS_stat, "stat", &[Path(0)], None),
    (libc::SYS_lstat, "lstat", &[Path(0)], None),
    (libc::SYS_statfs, "statfs", &[Path(0)], None),
    (libc::SYS_access, "access", &[Path(0)], None),
    (libc::SYS_chdir, "chdir", &[Path(0)], None),
    (libc::SYS_chmod, "chmod", &[Path(0)], None),
    (libc::SYS_truncate, "truncate", &[Path(0)], None),
    (libc::SYS_mkdir, "mkdir", &[Path(0)], None),
    (libc::SYS_rmdir, "rmdir", &[Path(0)], None),
    (libc::SYS_unlink, "unlink", &[Path(0)], None),
    (libc::SYS_rename, "rename", &[Path(1)], None),
    (libc::SYS_readlink, "readlink", &[Path(0)], None),
];

/// What the call is about, if it is in the table and about something with an absolute path.
pub(crate) fn subject(number: u64, args: [u64; 5], process: &Process) -> Option<Call> {
    let number = libc::c_long::try_from(number).ok()?;
    let (_, name, places, count) = TABLE.iter().find(|row| row.0 == number)?;
    let look = |place: &Place| match *place {
        Descriptor(at) => process.descriptor(args[at]),
        Path(at) => process.text(args[at]),
        Beneath(at) => match process.text(args[at]).filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => Some(process.descriptor(args[at - 1])?.join(path)),
            None => process.descriptor(args[at - 1]),
        },
    };
    // Pipes and sockets have no path.
    let path: PathBuf = places.iter().filter_map(look).find(|path| path.is_absolute())?;
    Some(Call { name, path, moves: count.map_or(0, |at| args[at]), result: None })
}

/// Where the arguments of a stopped program lead.
pub(crate) struct Process(pub(crate) Pid);

impl Process {
    pub(crate) fn descriptor(&self, number: u64) -> Option<PathBuf> {
        // Descriptors are `int`; the upper half of the register is anything.
        let number = u32::try_from(number & 0xffff_ffff).ok()?.cast_signed();
        let link = if number == libc::AT_FDCWD { "cwd".to_owned() } else { format!("fd/{number}") };
        std::fs::read_link(format!("/proc/{}/{link}", self.0)).ok()
    }

    /// The text at an address of the program's memory.
    pub(crate) fn text(&self, address: u64) -> Option<PathBuf> {
        use std::os::unix::ffi::OsStringExt as _;
        if address == 0 {
            return None;
        }
        let memory = std::fs::File::open(format!("/proc/{}/mem", self.0)).ok()?;
        let mut bytes = vec![0; 4096];
        // Up to the end of the page first: what lies behind it may not be there.
        let page = usize::try_from(4096 - address % 4096).ok()?;
        let mut len = memory.read_at(&mut bytes[..page], address).ok()?;
        if !bytes[..len].contains(&0) {
            len += memory.read_at(&mut bytes[len..], address + len as u64).ok()?;
        }
        let end = bytes[..len].iter().position(|byte| *byte == 0)?;
        bytes.truncate(end);
        Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
    }
}
