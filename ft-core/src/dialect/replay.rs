//! Finding out what a client speaks without losing what it said.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::detect::{Detected, Foreign, detect, detect_after_quiet};
use super::io::{Heard, Moment, Quiet, hear};
use super::limits::TEXT_MAX;

/// A stream whose first bytes have been read, and are read again.
#[derive(Debug)]
pub struct Replay<S> {
    first: Vec<u8>,
    taken: usize,
    stream: S,
}

impl<S> Replay<S> {
    /// Puts `first` before what `stream` still has.
    #[must_use]
    pub fn new(first: Vec<u8>, stream: S) -> Self {
        Self { first, taken: 0, stream }
    }

    /// The first bytes, whether they have been read again or not.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        &self.first
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Replay<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, free: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = &self.first[self.taken..];
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, free);
        }
        let count = left.len().min(free.remaining());
        free.put_slice(&left[..count]);
        self.taken += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replay<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Reads until the dialect is known. [`Detected::NeedMore`] means that the client left before it was.
///
/// A silent client is waited for; the deadline is the caller's.
///
/// # Errors
///
/// The stream's.
///
/// # Cancel safety
///
/// Not safe: dropping it drops the stream with the bytes that were read.
pub async fn sniff<S, Q>(mut stream: S, quiet: &mut Q) -> io::Result<(Detected, Replay<S>)>
where
    S: AsyncRead + Unpin,
    Q: Quiet,
{
    let mut first = Vec::new();
    let mut buffer = [0; TEXT_MAX];
    let detected = loop {
        // Silence settles only what could be a whole text already.
        let settles = detect_after_quiet(&first) != Detected::NeedMore;
        match hear(&mut stream, &mut buffer, quiet, settles.then_some(Moment::TextEnd)).await? {
            Heard::Bytes(count) => first.extend_from_slice(&buffer[..count]),
            Heard::Quiet => break detect_after_quiet(&first),
            Heard::Eof if first.is_empty() => break Detected::NeedMore,
            Heard::Eof => match detect_after_quiet(&first) {
                Detected::NeedMore => break Detected::Foreign(Foreign::Unknown),
                decided @ (Detected::Ft1 | Detected::Pipe | Detected::Addfile | Detected::Foreign(_)) => {
                    break decided;
                }
            },
        }
        match detect(&first) {
            Detected::NeedMore => {}
            decided @ (Detected::Ft1 | Detected::Pipe | Detected::Addfile | Detected::Foreign(_)) => {
                break decided;
            }
        }
    };
    Ok((detected, Replay::new(first, stream)))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::super::testing::{Scripted, Step, Ticks, run, say};
    use super::*;

    #[test]
    fn sniffed_stream_still_says_everything() {
        let rows: [(Vec<Step>, Detected, &[u8]); 5] = [
            (vec![say("addf"), say("ile|10"), say("x"), Step::Fin], Detected::Pipe, b"addfile|10x"),
            (vec![say("addfile"), Step::Pause(9000), say("name"), Step::Fin], Detected::Addfile, b"addfilename"),
            (vec![say("\u{1}?"), Step::Fin], Detected::Foreign(Foreign::Unknown), b"\x01?"),
            (vec![say(b"\x89FT/\r\n"), say(b"\x1a\n\x01"), Step::Fin], Detected::Ft1, b"\x89FT/\r\n\x1a\n\x01"),
            (vec![Step::Fin], Detected::NeedMore, b""),
        ];
        for (steps, expected, whole) in rows {
            run(async {
                let (detected, mut replay) = sniff(Scripted::new(steps), &mut Ticks).await.expect("reads");
                let mut all = Vec::new();
                replay.read_to_end(&mut all).await.expect("reads");
                assert_eq!((detected, all.as_slice()), (expected, whole));
            });
        }
    }
}
