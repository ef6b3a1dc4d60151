//! What a jail sees of the file system: all of it, unchangeable, but for its own folders.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_bind_recursive, mount_change, mount_move, mount_remount,
};

use super::super::talk::{Failed, Setup};
use crate::limits::JAIL_SHARED;

/// The devices that a program may have. None of them stores anything.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Names in `/dev` that lead elsewhere.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// A mounted file system, as the kernel lists it.
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    at: PathBuf,
    /// Whether nothing on it may be run: a flag that must be kept.
    no_exec: bool,
}

/// Makes everything read-only except the jail's folders, puts `tmp` over `/tmp`, and leaves a few devices in `/dev`.
pub(super) fn confine(setup: &Setup) -> Result<(), Failed> {
    let root = Path::new(&setup.root);
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|e| Failed::at("making mounts private")(e.into()))?;
    let list = fs::read("/proc/self/mountinfo").map_err(Failed::at("reading the list of mounts"))?;
    // Held now, because `/tmp` will be covered.
    let shown: Vec<(OwnedFd, &Path)> = setup
        .shown
        .iter()
        .map(|path| Ok((open(Path::new(path))?, Path::new(path))))
        .collect::<io::Result<_>>()
        .map_err(Failed::at("opening what is to be seen in the jail"))?;
    // Mounts of their own: they stay as they are when the one around them is made read-only.
    for own in [&setup.outer, &setup.home, &setup.tmp] {
        mount_bind(own, own).map_err(|e| Failed::at("mounting the jail's folders")(e.into()))?;
    }
    devices(&root.join("dev")).map_err(Failed::at("making /dev"))?;
    for mounted in list.split(|&byte| byte == b'\n').filter_map(parse) {
        if !mounted.at.starts_with("/dev") {
            seal(&mounted)?;
        }
    }
    mount_bind(&setup.tmp, "/tmp").map_err(|e| Failed::at("covering /tmp")(e.into()))?;
    for (held, path) in shown {
        // A path that is hidden by now is reached through its descriptor.
        mount_bind_recursive(format!("/proc/self/fd/{}", held.as_raw_fd()), path)
            .map_err(|e| Failed::at(format!("showing {path:?}"))(e.into()))?;
    }
    // The caller's session speaks to its services there. Not everybody has one.
    let _ =
        mount("tmpfs", "/run/user", "tmpfs", MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV, c"size=4k");
    std::env::set_current_dir(&setup.outer).map_err(Failed::at("entering the jail"))
}

/// What the namespace of one program's processes needs: its own `/proc`, in which nothing can be written: there are
/// switches of the whole machine, and the files belong to root, who may be the caller. And its own shared memory.
pub(super) fn own_processes() {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // In some containers this is not allowed. Then the old one stays, which is read-only by now.
    let _ = mount("proc", "/proc", "proc", flags | MountFlags::RDONLY, c"");
    let size = std::ffi::CString::new(format!("mode=1777,size={JAIL_SHARED}")).unwrap_or_default();
    let _ = mount("tmpfs", "/dev/shm", "tmpfs", flags, size.as_c_str());
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// A `/dev` of our own, made at `place` and then moved: the machine's would let root write on its disks.
fn devices(place: &Path) -> io::Result<()> {
    mount("tmpfs", place, "tmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, c"mode=755,size=64k")?;
    for name in DEVICES {
        let original = Path::new("/dev").join(name);
        if original.exists() {
            File::create(place.join(name))?;
            mount_bind(&original, place.join(name))?;
        }
    }
    for (name, to) in LINKS {
        std::os::unix::fs::symlink(to, place.join(name))?;
    }
    fs::create_dir(place.join("shm"))?;
    mount_move(place, "/dev")?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NOEXEC;
    Ok(mount_remount("/dev", flags, c"")?)
}

fn seal(mounted: &Mounted) -> Result<(), Failed> {
    let mut flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    flags.set(MountFlags::NOEXEC, mounted.no_exec);
    match mount_remount(&mounted.at, flags, c"") {
        // Covered by another mount, or in a folder that this user may not enter: out of the program's reach as well.
        Ok(()) | Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(()),
        Err(error) => Err(Failed::at(format!("making {:?} read-only", mounted.at))(error.into())),
    }
}

/// One line of `mountinfo`: number, parent, device, root, place, options.
fn parse(line: &[u8]) -> Option<Mounted> {
    let mut fields = line.split(|&byte| byte == b' ');
    let at = PathBuf::from(OsString::from_vec(unescape(fields.nth(4)?)));
    let no_exec = fields.next()?.split(|&byte| byte == b',').any(|option| option == b"noexec");
    Some(Mounted { at, no_exec })
}

/// Blanks and the like stand as a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &after[3..];
            }
            None => {
                plain.push(first);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_point_with_a_blank_and_its_flag_are_read() {
        let line = b"42 27 7:0 / /a\\040b\\134c rw,noexec,relatime shared:1 - ext4 /dev/x rw";
        assert_eq!(parse(line).unwrap(), Mounted { at: "/a b\\c".into(), no_exec: true });
        assert!(!parse(b"1 1 7:0 / / rw - noexec x noexec").unwrap().no_exec);
        assert_eq!(parse(b""), None);
    }
}
