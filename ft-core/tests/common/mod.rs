//! A pair of stream ends over memory that is cut at an exact byte, as a connection would be.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How a connection ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Both sides read EOF; writing fails with EPIPE.
    Fin,
    /// Both sides get ECONNRESET, after what was already received.
    Rst,
}

/// Where: after so many bytes of the direction that end `from` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// 0: client to server, 1: server to client.
    pub(crate) from: usize,
    /// Bytes that still arrive.
    pub(crate) at: u64,
    /// How.
    pub(crate) kind: Kind,
}

#[derive(Default)]
struct Wire {
    queues: [VecDeque<u8>; 2],
    sent: [u64; 2],
    shut: [bool; 2],
    cut: Option<Cut>,
    broken: Option<Kind>,
    wakers: Vec<Waker>,
}

/// One end.
pub(crate) struct End {
    wire: Arc<Mutex<Wire>>,
    me: usize,
}

/// Two ends of one connection; end 0 is the client.
pub(crate) fn pair(cut: Option<Cut>) -> (End, End) {
    let broken = cut.filter(|c| c.at == 0).map(|c| c.kind);
    let wire = Arc::new(Mutex::new(Wire { cut, broken, ..Wire::default() }));
    (End { wire: wire.clone(), me: 0 }, End { wire, me: 1 })
}

impl End {
    /// Bytes that this end has written.
    pub(crate) fn sent(&self) -> Arc<dyn Fn() -> u64 + Send + Sync> {
        let (wire, me) = (self.wire.clone(), self.me);
        Arc::new(move || wire.lock().unwrap().sent[me])
    }
}

impl Wire {
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire.lock().unwrap();
        let peer = 1 - self.me;
        let n = buf.remaining().min(wire.queues[peer].len());
        if n > 0 {
            let bytes: Vec<u8> = wire.queues[peer].drain(..n).collect();
            buf.put_slice(&bytes);
            wire.wake();
            return Poll::Ready(Ok(()));
        }
        match wire.broken {
            Some(Kind::Rst) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(Kind::Fin) => Poll::Ready(Ok(())),
            None if wire.shut[peer] => Poll::Ready(Ok(())),
            None => {
                wire.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire.lock().unwrap();
        let me = self.me;
        match wire.broken {
            Some(Kind::Rst) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(Kind::Fin) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            None => {}
        }
        let cut = wire.cut.filter(|c| c.from == me);
        let room = cut.map_or(u64::MAX, |c| c.at - wire.sent[me]);
        let n = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        wire.queues[me].extend(&bytes[..n]);
        wire.sent[me] += n as u64;
        // The kernel had taken the rest as well: a writer does not learn where the wire was cut.
        if let Some(cut) = cut.filter(|c| c.at == wire.sent[me]) {
            wire.broken = Some(cut.kind);
            wire.wake();
            return Poll::Ready(Ok(bytes.len()));
        }
        wire.wake();
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire.lock().unwrap();
        wire.shut[self.me] = true;
        wire.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    /// As `close`: with unread bytes it resets the connection, otherwise it sends FIN and refuses more.
    fn drop(&mut self) {
        let mut wire = self.wire.lock().unwrap();
        let unread = !wire.queues[1 - self.me].is_empty();
        wire.shut[self.me] = true;
        if unread && wire.broken.is_none() {
            wire.broken = Some(Kind::Rst);
            let me = self.me;
            wire.queues[me].clear();
        }
        wire.wake();
    }
}
