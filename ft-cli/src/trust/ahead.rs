//! Large reads under a library that makes small ones.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::limits::READ_AHEAD_FROM;

/// A stream that reads more than it is asked for, once it has been told how much. Writes pass through.
pub struct ReadAhead<S> {
    stream: S,
    memory: Vec<u8>,
    /// Bytes to read at once, when enough has come to be worth that memory.
    wide: usize,
    /// Bytes that may still come before that.
    before: usize,
    from: usize,
    to: usize,
}

impl<S> ReadAhead<S> {
    /// Reads nothing ahead yet: whoever has proved nothing costs nothing.
    pub fn new(stream: S) -> Self {
        Self { stream, memory: Vec::new(), wide: 0, before: READ_AHEAD_FROM, from: 0, to: 0 }
    }

    /// From now on reads up to `bytes` at once, if much comes: whoever has proved who he is and says little costs little.
    pub fn widen(&mut self, bytes: usize) {
        self.wide = bytes;
    }

    /// The stream itself. What was read ahead is not in it any more.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.from == this.to {
            if this.before == 0 && this.memory.len() < this.wide {
                this.memory.resize(this.wide, 0);
            }
            if buf.remaining() >= this.memory.len() {
                let before = buf.filled().len();
                ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
                this.before = this.before.saturating_sub(buf.filled().len() - before);
                return Poll::Ready(Ok(()));
            }
            let mut ahead = ReadBuf::new(&mut this.memory);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut ahead))?;
            (this.from, this.to) = (0, ahead.filled().len());
        }
        let n = buf.remaining().min(this.to - this.from);
        buf.put_slice(&this.memory[this.from..this.from + n]);
        this.from += n;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn bytes_come_once_and_in_order_however_they_are_asked_for() {
        let all: Vec<u8> = (0..=255).cycle().take(READ_AHEAD_FROM + 10_000).collect();
        for (wide, piece) in [(0, 7), (1, 7), (64, 7), (64, 64), (64, 100), (4096, 1), (20_000, 3000)] {
            let mut stream = ReadAhead::new(&all[..]);
            stream.widen(wide);
            let mut seen = Vec::new();
            let mut chunk = vec![0; piece];
            while let n @ 1.. = stream.read(&mut chunk).await.unwrap() {
                seen.extend_from_slice(&chunk[..n]);
            }
            assert_eq!(seen, all, "{wide} {piece}");
            assert_eq!(stream.memory.len(), wide, "by then it is worth it");
        }
    }
}
