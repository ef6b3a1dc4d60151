//! A party's end of a connection: the stream that code under test reads and writes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::core::Shared;
use crate::schedule::Party;

/// One end of a simulated TCP connection.
///
/// Behaves as `tokio::net::TcpStream` does: `shutdown` half-closes, dropping it closes the socket, and closing with
/// unread bytes sends RST.
///
/// # Panics
///
/// It may be handed to `tokio::spawn`, but not to another thread: used or dropped there, it panics.
///
/// # Cancel safety
///
/// Reading and writing are cancel safe: an operation that did not complete took and gave no bytes.
pub struct Endpoint {
    shared: Shared,
    epoch: u64,
    conn: u16,
    party: Party,
}

impl Endpoint {
    pub(crate) fn new(shared: Shared, epoch: u64, conn: u16, party: Party) -> Self {
        Self { shared, epoch, conn, party }
    }

    /// Which end this is.
    #[must_use]
    pub fn party(&self) -> Party {
        self.party
    }

    /// The connection's number in this run, from 1: what a schedule writes before the colon.
    #[must_use]
    pub fn conn(&self) -> u16 {
        self.conn + 1
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({} of connection {})", self.party, self.conn())
    }
}

/// A stream that outlived its run has no connection any more.
fn stale() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "this stream belongs to a run that has ended")
}

impl AsyncRead for Endpoint {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut core = self.shared.lock();
        if core.epoch != self.epoch {
            return Poll::Ready(Err(stale()));
        }
        let room = buf.remaining();
        let result = core.read(self.conn, self.party, room, cx.waker(), |bytes| buf.put_slice(bytes));
        self.shared.unlock_and_wake(core);
        result
    }
}

impl AsyncWrite for Endpoint {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut core = self.shared.lock();
        if core.epoch != self.epoch {
            return Poll::Ready(Err(stale()));
        }
        let result = core.write(self.conn, self.party, bytes, cx.waker());
        self.shared.unlock_and_wake(core);
        result
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut core = self.shared.lock();
        if core.epoch == self.epoch {
            core.shutdown(self.conn, self.party);
        }
        self.shared.unlock_and_wake(core);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // A thread that may not have it has panicked over that already.
        if std::thread::panicking() && !self.shared.is_here() {
            return;
        }
        let mut core = self.shared.lock();
        if core.epoch == self.epoch {
            core.close(self.conn, self.party);
        }
        self.shared.unlock_and_wake(core);
    }
}
