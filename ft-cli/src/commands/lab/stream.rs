//! What a lab session needs of a stream: bytes that were read too early, and an ear for silence.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ft_core::dialect::{Moment, Quiet};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

use crate::limits::{LAB_CLOSE, LAB_DATA_END, LAB_SEPARATE, LAB_TEXT_END};

/// A stream whose first bytes were read already, to tell its dialect.
pub(super) struct Prefixed<S> {
    head: Vec<u8>,
    taken: usize,
    stream: S,
}

impl<S> Prefixed<S> {
    /// `head` comes first, then what `stream` brings.
    pub(super) fn new(head: Vec<u8>, stream: S) -> Self {
        Self { head, taken: 0, stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.taken == this.head.len() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let rest = &this.head[this.taken..];
        let n = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..n]);
        this.taken += n;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// [`Quiet`] by tokio's clock.
pub(super) struct Silence;

impl Quiet for Silence {
    async fn quiet(&mut self, moment: Moment) {
        sleep(match moment {
            Moment::TextEnd => LAB_TEXT_END,
            Moment::DataEnd => LAB_DATA_END,
            Moment::Separate => LAB_SEPARATE,
            Moment::Close => LAB_CLOSE,
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn bytes_read_early_come_first_and_once() {
        let rest: &[u8] = b"|5";
        let mut stream = Prefixed::new(b"name".to_vec(), rest);
        let mut small = [0; 3];
        stream.read_exact(&mut small).await.unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert_eq!((&small[..], all.as_str()), (&b"nam"[..], "e|5"));
    }
}
