//! Content that the kernel moves: from a file to a socket with `sendfile`, from a socket through a pipe to a file with
//! `splice`. Nothing of it is copied into this program's memory but what is hashed.
//!
//! [`Carried`] is the transport (see [`ft_core::carry`]); [`FileRange`] and [`Pipe`] are what its parcels hold, and all that the
//! disk needs to know of it. Only Linux has these calls; elsewhere content goes through memory.

#[cfg(target_os = "linux")]
mod pipe;
#[cfg(target_os = "linux")]
mod range;
#[cfg(target_os = "linux")]
mod transport;

#[cfg(target_os = "linux")]
pub use pipe::Pipe;
#[cfg(target_os = "linux")]
pub use range::FileRange;
#[cfg(target_os = "linux")]
pub use transport::Carried;

use crate::net::Deadline;
use crate::trust::Conn;

/// No system call moves content here.
#[cfg(not(target_os = "linux"))]
pub type Carried = Deadline<Conn>;

/// Whether the content that is sent over `stream` can stay in its file.
pub fn carries(stream: &Deadline<Conn>, copy: bool) -> bool {
    cfg!(target_os = "linux") && !copy && stream.get_ref().plain().is_some()
}

/// A connection that carries content, unless it is encrypted or content is to be copied through memory.
pub fn over(stream: Deadline<Conn>, copy: bool) -> Carried {
    #[cfg(target_os = "linux")]
    return Carried::over(stream, copy);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = copy;
        stream
    }
}
