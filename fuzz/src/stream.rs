//! A stream in memory whose peer acts as an input says, and a runtime that notices when nobody would ever be woken.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use arbitrary::{Result, Unstructured};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::cuts::Cuts;

/// How the peer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Rst,
}

/// What a stream reads, in pieces, and what was written to it.
pub(crate) struct Script {
    pieces: VecDeque<Vec<u8>>,
    /// A piece was read whole: the next read finds nothing once, so that everything else may happen first.
    pause: bool,
    end: End,
    /// Most bytes of one write.
    at_once: usize,
    pub(crate) written: Vec<u8>,
    pub(crate) shut: bool,
}

impl Script {
    /// The peer's way of ending and the sizes of writes come from the input.
    pub(crate) fn new(u: &mut Unstructured<'_>, flights: &[Vec<u8>], cuts: &Cuts) -> Result<Self> {
        let how: u8 = u.arbitrary()?;
        let end = if how & 1 == 0 { End::Fin } else { End::Rst };
        let at_once = if how & 2 == 0 { usize::MAX } else { usize::from(how >> 2) + 1 };
        let pieces = flights.iter().flat_map(|flight| cuts.pieces(flight)).map(<[u8]>::to_vec).collect();
        Ok(Self { pieces, pause: false, end, at_once, written: Vec::new(), shut: false })
    }
}

impl AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.pause) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(piece) = self.pieces.front_mut() else {
            return Poll::Ready(match self.end {
                End::Fin => Ok(()),
                End::Rst => Err(io::ErrorKind::ConnectionReset.into()),
            });
        };
        let n = piece.len().min(buf.remaining());
        buf.put_slice(&piece[..n]);
        piece.drain(..n);
        if piece.is_empty() {
            self.pieces.pop_front();
            self.pause = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!self.shut, "nothing is written after the shutdown");
        let n = bytes.len().min(self.at_once);
        self.written.extend_from_slice(&bytes[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut = true;
        Poll::Ready(Ok(()))
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls are counted: a peer of a few KiB cannot keep anybody busy for longer.
const POLLS_MAX: u32 = 2_000_000;

/// Runs a future to its end.
///
/// # Panics
/// If it waits and nobody will wake it, or never ends (LIVE).
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut future = pin!(future);
    for _ in 0..POLLS_MAX {
        assert!(flag.0.swap(false, Ordering::Relaxed), "LIVE: it waits for ever");
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
    }
    panic!("LIVE: it never ends");
}
