//! Content that is still in its file.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;

use ft_core::carry::Parcel;
use rustix::io::Errno;

/// Where a stretch of content begins; its length is the parcel's.
#[derive(Clone, Debug)]
pub struct FileRange {
    /// The file, open for reading.
    pub file: Arc<File>,
    /// Position in it, bytes.
    pub offset: u64,
}

/// What came of an attempt to send from a file.
pub(super) enum Sent {
    /// So many bytes, at least one.
    Bytes(u64),
    /// None, and it is the file that is in the way: at its end, unreadable, or of a kind that the kernel cannot send from.
    NotFromHere,
}

impl FileRange {
    /// `len` bytes of `file` from `offset` on, as content.
    pub fn parcel(file: Arc<File>, offset: u64, len: u64) -> Parcel {
        Parcel { len, what: Box::new(Self { file, offset }) }
    }

    /// Sends at most `most` bytes, from byte `from` of the stretch on.
    ///
    /// # Errors
    /// The socket's.
    pub(super) fn send(&self, socket: impl AsFd, from: u64, most: u64) -> std::io::Result<Sent> {
        let mut at = self.offset + from;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        match rustix::fs::sendfile(socket, &self.file, Some(&mut at), most) {
            Ok(0) => Ok(Sent::NotFromHere),
            Ok(n) => Ok(Sent::Bytes(n as u64)),
            Err(
                e @ (Errno::AGAIN | Errno::INTR | Errno::PIPE | Errno::CONNRESET | Errno::TIMEDOUT | Errno::NOTCONN),
            ) => Err(e.into()),
            // Whatever else it is: sending from memory will meet it again if it is the socket's.
            Err(_) => Ok(Sent::NotFromHere),
        }
    }
}
