//! What the system said, as the protocol's errors: a code, whether to try again, and which operation on which path.

use std::io::{self, ErrorKind};

use ft_core::error::{Code, FileError, Retry};
use ft_core::path::{RelPath, escape};

use super::sys;

/// Kinds of system errors that have a code of their own; all others are `io`.
const KINDS: &[(ErrorKind, Code, Retry)] = &[
    (ErrorKind::StorageFull, Code::NoSpace, Retry::Later),
    (ErrorKind::QuotaExceeded, Code::NoSpace, Retry::Later),
    (ErrorKind::PermissionDenied, Code::Permission, Retry::Never),
    (ErrorKind::ReadOnlyFilesystem, Code::Permission, Retry::Never),
    (ErrorKind::InvalidFilename, Code::BadName, Retry::Never),
    (ErrorKind::NotFound, Code::NotFound, Retry::Never),
    (ErrorKind::NotADirectory, Code::WrongKind, Retry::Never),
    (ErrorKind::IsADirectory, Code::WrongKind, Retry::Never),
    (ErrorKind::AlreadyExists, Code::Exists, Retry::Never),
    (ErrorKind::FileTooLarge, Code::TooLarge, Retry::Never),
    (ErrorKind::Unsupported, Code::UnsupportedKind, Retry::Never),
];

/// The error of `operation` (such as `create`) on `path`.
pub(super) fn fault(operation: &str, path: &RelPath, e: &io::Error) -> FileError {
    if sys::is_through_link(e) {
        return through_link(path);
    }
    if e.kind() == ErrorKind::CrossesDevices {
        return other_file_system(path);
    }
    let row = KINDS.iter().find(|(kind, ..)| *kind == e.kind());
    let (code, retry) = row.map_or((Code::Io, Retry::Later), |&(_, code, retry)| (code, retry));
    let shown = if path.is_root() { ".".to_owned() } else { path.to_string() };
    FileError::new(code, retry, format!("{operation} {shown}: {e}"))
}

/// The path leads through a symbolic link, or out of the root.
pub(super) fn through_link(path: &RelPath) -> FileError {
    FileError::new(Code::UnsafePath, Retry::Never, format!("{path} leads through a symbolic link"))
}

/// Something of another kind has the name, or is a parent.
pub(super) fn in_the_way(path: &RelPath, what: sys::What) -> FileError {
    FileError::new(Code::WrongKind, Retry::Never, format!("{path}: {} is in the way", what.name()))
}

/// A name that is spelled otherwise is there, and `who` takes both for one.
pub(super) fn alike(path: &RelPath, other: &[u8], who: &str) -> FileError {
    let text = format!("{path}: {} is there, and {who} the two names for one", escape(other));
    FileError::new(Code::Exists, Retry::Never, text)
}

/// A rename cannot carry a file to another file system, and anything else would show it half-written.
pub(super) fn other_file_system(path: &RelPath) -> FileError {
    let text =
        format!("{path} is on another file system than the folder that receives: receive into that one by itself");
    // Not `not-wanted`: nobody chose to leave it out.
    FileError::new(Code::Io, Retry::Never, text)
}

/// A fault of this program, or of whoever drives it.
pub(super) fn internal(text: impl Into<String>) -> FileError {
    FileError::new(Code::Internal, Retry::Never, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_get_the_code_that_tells_what_to_do() {
        // EACCES, EPERM, ENOSPC, ENAMETOOLONG, EFBIG, EROFS, EIO and EDQUOT as Linux numbers them.
        let cases = [
            (13, Code::Permission),
            (1, Code::Permission),
            (28, Code::NoSpace),
            (36, Code::BadName),
            (27, Code::TooLarge),
            (30, Code::Permission),
            (5, Code::Io),
            (122, Code::NoSpace),
        ];
        let path = RelPath::parse(b"a/b\n").unwrap();
        for (number, code) in cases {
            let e = fault("write", &path, &io::Error::from_raw_os_error(number));
            assert_eq!(e.code, code, "errno {number}");
            assert!(e.text.starts_with("write a/b\\u{a}: "), "{}", e.text);
        }
    }
}
