//! Content that the kernel moves: from a file to a socket with `sendfile`, from a socket through a pipe to a file with
//! `splice`. Nothing of it is copied into this program's memory but what is hashed.
//!
//! [`Carried`] is the transport (see [`ft_core::carry`]); [`FileRange`] and [`Pipe`] are what its parcels hold, and all that the
//! disk needs to know of it. Only Linux has these calls; elsewhere content goes through memory.

mod lanes;
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

use ft_core::bundle::Bundle;
#[cfg(target_os = "linux")]
use ft_core::carry::Transport as _;
use ft_core::join::Token;
pub use lanes::Lanes;
use tokio::net::TcpStream;

use crate::net::Deadline;
use crate::trust::Conn;

/// What sessions run over: a connection or several, plain or encrypted, with their time-out.
pub type Stream = Deadline<Bundle<Conn, Lanes>>;

/// No system call moves content here.
#[cfg(not(target_os = "linux"))]
pub type Carried = Stream;

/// Whether the content that is sent over `stream` can stay in its file.
pub fn carries(stream: &Stream, copy: bool) -> bool {
    cfg!(target_os = "linux") && !copy && plain_out(stream.get_ref()).is_some()
}

/// A connection that carries content, unless it is encrypted or content is to be copied through memory.
pub fn over(stream: Stream, copy: bool) -> Carried {
    #[cfg(target_os = "linux")]
    return Carried::over(stream, copy);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = copy;
        stream
    }
}

/// Lets others join `carried`'s session: whoever has one of `tokens`, as they come in `arrivals`.
pub fn join_by(carried: &mut Carried, tokens: Vec<Token>, arrivals: Lanes) {
    #[cfg(target_os = "linux")]
    {
        carried.stream().get_mut().join_by(arrivals);
        carried.inviting(tokens);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (carried, tokens, arrivals);
}

/// The connection itself, of which nothing was taken out yet.
pub fn into_conn(carried: Carried) -> Conn {
    #[cfg(target_os = "linux")]
    let carried = carried.into_stream();
    carried.into_inner().into_first()
}

/// The socket that what is written goes out on as it is, if there is one: no TLS, no segments.
fn plain_out(bundle: &Bundle<Conn, Lanes>) -> Option<&TcpStream> {
    bundle.raw_out()?.plain()
}

/// The same for what is read.
#[cfg(target_os = "linux")]
fn plain_in(bundle: &Bundle<Conn, Lanes>) -> Option<&TcpStream> {
    bundle.raw_in()?.plain()
}
