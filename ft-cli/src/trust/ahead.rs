//! Large reads under a library that makes small ones.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that reads more than it is asked for, once it has been told how much. Writes pass through.
pub struct ReadAhead<S> {
    stream: S,
    memory: Vec<u8>,
    from: usize,
    to: usize,
}

impl<S> ReadAhead<S> {
    /// Reads nothing ahead yet: whoever has proved nothing costs nothing.
    pub fn new(stream: S) -> Self {
        Self { stream, memory: Vec::new(), from: 0, to: 0 }
    }

    /// From now on reads up to `bytes` at once.
    pub fn widen(&mut self, bytes: usize) {
        if self.memory.len() < bytes {
            self.memory.resize(bytes, 0);
        }
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
            if buf.remaining() >= this.memory.len() {
                return Pin::new(&mut this.stream).poll_read(cx, buf);
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
        let all: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for (wide, piece) in [(0, 7), (1, 7), (64, 7), (64, 64), (64, 100), (4096, 1), (20_000, 3000)] {
            let mut stream = ReadAhead::new(&all[..]);
            stream.widen(wide);
            let mut seen = Vec::new();
            let mut chunk = vec![0; piece];
            while let n @ 1.. = stream.read(&mut chunk).await.unwrap() {
                seen.extend_from_slice(&chunk[..n]);
            }
            assert_eq!(seen, all, "{wide} {piece}");
        }
    }
}
