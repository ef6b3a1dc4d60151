//! Content that never passes through memory: the seam for systems that move it between a file and a stream themselves.
//!
//! A session needs bytes both ways, and every `AsyncRead + AsyncWrite` gives it these ([`Transport`] is implemented for all of
//! them). A transport that can do more says from which length on ([`Transport::least_carried`]): then a source may
//! hand over *where* its content is instead of the content, and the content of large DATA frames is taken off the stream
//! as a [`Parcel`] that only the storage knows how to open. Bytes on the wire, events and landings are the same either
//! way, so that whatever is tested with bytes in memory holds for the other.

use std::any::Any;
use std::fmt;
use std::io;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::join::Invite;
use crate::storage::Buf;

/// Content outside of memory: a range of a file, a pipe in the kernel. Its maker and the one it is for know what it is.
pub struct Parcel {
    /// Bytes in it.
    pub len: u64,
    /// What it is.
    pub what: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parcel({})", self.len)
    }
}

/// Content on its way between a stream and files.
#[derive(Debug)]
pub enum Bulk {
    /// In memory.
    Bytes(Buf),
    /// Elsewhere.
    Parcel(Parcel),
}

impl Bulk {
    /// Bytes of content.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(buf) => buf.len() as u64,
            Self::Parcel(parcel) => parcel.len,
        }
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they are in memory.
    pub fn into_bytes(self) -> Option<Buf> {
        match self {
            Self::Bytes(buf) => Some(buf),
            Self::Parcel(_) => None,
        }
    }

    /// What it carries, for a storage or source that has never asked for parcels.
    ///
    /// # Panics
    /// If it is a parcel: only a transport that carries makes them, and only for files that open them.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(buf) => buf.bytes(),
            Self::Parcel(parcel) => panic!("{parcel:?} where content in memory was expected"),
        }
    }
}

impl From<Buf> for Bulk {
    fn from(buf: Buf) -> Self {
        Self::Bytes(buf)
    }
}

/// What a session runs over.
pub trait Transport {
    /// Bytes both ways.
    type Stream: AsyncRead + AsyncWrite + Unpin;

    /// The stream.
    fn stream(&mut self) -> &mut Self::Stream;

    /// Length of a DATA frame's content, bytes, from which on it is worth carrying; `u64::MAX` when nothing is carried.
    fn least_carried(&self) -> u64 {
        u64::MAX
    }

    /// Sends of a parcel, from its byte `from` on, as much as the stream takes at once: at least a byte.
    ///
    /// What the parcel promised and no longer has (a file became shorter) is sent as zeros: the frame has been announced, and
    /// the root that follows will not fit, so that the file fails and the session goes on.
    ///
    /// # Errors
    /// The stream's. Without an own implementation: unsupported.
    ///
    /// # Cancel safety
    /// What was sent is told by `Ready`, never before.
    fn poll_send(&mut self, _cx: &mut Context<'_>, _parcel: &Parcel, _from: u64) -> Poll<io::Result<u64>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    /// Takes at most `max` bytes (never 0) off the stream into the parcel that is being filled; `Ready(0)` is the end of the
    /// stream. When the parcel is full before they are all taken, the rest waits in the stream: see [`Transport::take_parcel`].
    ///
    /// # Errors
    /// The stream's. Without an own implementation: unsupported.
    ///
    /// # Cancel safety
    /// What was taken is in the parcel.
    fn poll_take(&mut self, _cx: &mut Context<'_>, _max: u64) -> Poll<io::Result<Taken>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    /// The parcel that [`Transport::poll_take`] has filled so far, if there is anything in it.
    fn take_parcel(&mut self) -> Option<Parcel> {
        None
    }

    /// A parcel that has been opened, to be used again.
    fn give_back(&mut self, _parcel: Parcel) {}

    /// What there is to say about other connections that may join this one (PROTOCOL §7.8), each thing once: asked when a
    /// server says HELLO, and before each piece of content that it sends.
    fn invitation(&mut self) -> Option<Invite> {
        None
    }

    /// Connections that have joined and that content could be sent over from now on: see [`Transport::spread`].
    fn joined(&mut self) -> u8 {
        0
    }

    /// What is sent from now on goes in segments over all connections.
    fn spread(&mut self) {}

    /// What comes from now on comes in segments over `lanes` more connections, which may still be on their way. `ahead` was read
    /// of the first one already.
    fn gather(&mut self, _lanes: u8, _ahead: Vec<u8>) {}
}

/// What came of [`Transport::poll_take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many bytes more are in the parcel; 0 at the end of the stream.
    Bytes(u64),
    /// None, for it is full: take it away first.
    Full,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for S {
    type Stream = S;

    fn stream(&mut self) -> &mut S {
        self
    }
}
