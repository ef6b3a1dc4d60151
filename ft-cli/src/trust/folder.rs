//! The folder of this installation: its key, whom it knows, whom it lets in. Only its owner may look into it.

use std::env;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::limits::FILE_MAX;

/// `$XDG_CONFIG_HOME/ft-cli`, or `~/.config/ft-cli` (XDG Base Directory Specification); on Windows `%APPDATA%\ft-cli`.
///
/// # Errors
/// The environment names no home.
pub(super) fn config() -> io::Result<PathBuf> {
    let var = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = match cfg!(windows) {
        true => var("APPDATA"),
        false => var("XDG_CONFIG_HOME").or_else(|| var("HOME").map(|home| home.join(".config"))),
    };
    base.map(|base| base.join("ft-cli")).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, "neither XDG_CONFIG_HOME nor HOME names a folder for keys")
    })
}

/// Makes a folder and what is above it; a new one is its owner's alone.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The folder that a file is in.
pub(super) fn of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Waits until the names in a folder would survive a power cut.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Reads a whole file of a bounded size. `None` if there is none. What is read is overwritten when it is dropped.
pub(super) fn read(path: &Path) -> io::Result<Option<Zeroizing<String>>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    // Room for all of it at once: a growing text would leave copies behind.
    let len = file.metadata()?.len().min(FILE_MAX);
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(len).unwrap_or(0) + 1));
    let read = file.take(FILE_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > FILE_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {FILE_MAX} bytes")));
    }
    Ok(Some(text))
}

/// Refuses a file that holds a secret and that others may read.
#[cfg(unix)]
pub(super) fn check_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let text = format!("others may read it (mode {mode:04o}), so it is no secret; chmod 600 it, or make a new one");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

/// Elsewhere the profile's own permissions stand for it.
#[cfg(not(unix))]
pub(super) fn check_private(_: &Path) -> io::Result<()> {
    Ok(())
}
