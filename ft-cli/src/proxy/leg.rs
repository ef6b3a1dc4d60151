//! The proxy's connection to a party: a TCP stream whose every read is recorded, and may be slowed down to a WAN's pace.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ft_sim::relay;
use ft_sim::schedule::Party;
use ft_sim::trace::What;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::record::Record;
use crate::limits::{PACE_BUFFER, PACE_CHUNK, PACE_PIECES, PACE_QUEUE};

/// A slower path than the one that is there. Both directions have it, each for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Time that a byte is under way; a round trip takes twice as long.
    pub latency: Duration,
    /// Bits in a second; without it as many as there are.
    pub rate: Option<u64>,
}

impl Pace {
    fn is_free(self) -> bool {
        self == Self::default()
    }

    /// Bytes that may be under way or queued: the path's own, and a router's queue of [`PACE_QUEUE`].
    fn room(self) -> usize {
        let Some(rate) = self.rate else { return PACE_BUFFER };
        let held = u128::from(rate) * (self.latency + PACE_QUEUE).as_nanos() / 8 / 1_000_000_000;
        usize::try_from(held).unwrap_or(usize::MAX).clamp(PACE_CHUNK, PACE_BUFFER)
    }

    /// Time that so many bytes take to be put on the path.
    fn serialising(self, len: usize) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let nanos = len as u128 * 8 * 1_000_000_000 / u128::from(rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What travels along a paced path. An end and a break stay at its head: they can be read again.
#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    End,
    /// A reset overtakes nothing: what came before it is read first.
    Broken(io::ErrorKind),
}

/// What is on its way along a paced path.
#[derive(Debug)]
struct Path {
    pace: Pace,
    /// Pieces with the moment at which each arrives.
    queue: VecDeque<(Instant, Piece)>,
    /// Bytes in them.
    queued: usize,
    /// When the path can take the next byte.
    free_at: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Path {
    fn new(pace: Pace) -> Self {
        let now = Instant::now();
        let sleep = Box::pin(sleep_until(now));
        Self { pace, queue: VecDeque::new(), queued: 0, free_at: now, sleep }
    }

    fn has_room(&self) -> bool {
        let is_open = !matches!(self.queue.back(), Some((_, Piece::End | Piece::Broken(_))));
        is_open && self.queued < self.pace.room() && self.queue.len() < PACE_PIECES
    }

    fn put(&mut self, piece: Piece) {
        let len = if let Piece::Bytes(bytes) = &piece { bytes.len() } else { 0 };
        self.free_at = self.free_at.max(Instant::now()) + self.pace.serialising(len);
        self.queued += len;
        self.queue.push_back((self.free_at + self.pace.latency, piece));
    }

    /// What has come out at this end, at most so much of it; nothing at all is the end of stream.
    fn poll_take(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<Vec<u8>>> {
        let Some((due, piece)) = self.queue.front_mut() else { return Poll::Pending };
        // The timer ticks in milliseconds, in which a fast path carries many pieces.
        if *due > Instant::now() {
            self.sleep.as_mut().reset(*due);
            ready!(self.sleep.as_mut().poll(cx));
        }
        let bytes = match piece {
            Piece::Bytes(bytes) => bytes,
            Piece::End => return Poll::Ready(Ok(Vec::new())),
            Piece::Broken(kind) => return Poll::Ready(Err((*kind).into())),
        };
        let rest = bytes.split_off(most.min(bytes.len()));
        let part = std::mem::replace(bytes, rest);
        self.queued -= part.len();
        if bytes.is_empty() {
            self.queue.pop_front();
        }
        Poll::Ready(Ok(part))
    }
}

/// A connection between the proxy and one party.
#[derive(Debug)]
pub(super) struct Leg {
    stream: TcpStream,
    conn: u16,
    party: Party,
    /// Bytes read so far.
    offset: u64,
    record: Record,
    path: Option<Path>,
}

impl Leg {
    pub(super) fn new(stream: TcpStream, conn: u16, party: Party, record: Record, pace: Pace) -> Self {
        let path = (!pace.is_free()).then(|| Path::new(pace));
        Self { stream, conn, party, offset: 0, record, path }
    }

    fn recorded(&mut self, bytes: &[u8]) {
        let (conn, dir, offset) = (self.conn, self.party.writes(), self.offset);
        self.offset += bytes.len() as u64;
        if self.record.is_full() {
            return self.record.stirred();
        }
        self.record.saw(What::Write { conn, dir, offset, bytes: bytes.to_vec(), asked: bytes.len() as u64 });
    }
}

impl relay::Leg for Leg {
    fn abort(self) {
        // With a linger time of zero, closing sends RST and forgets what was not sent. Where the option is refused the
        // socket is closed all the same, and the peer reads an end instead.
        let _ = self.stream.set_zero_linger();
    }
}

impl AsyncRead for Leg {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(path) = &mut this.path else {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let bytes = &buf.filled()[before..];
            if !bytes.is_empty() {
                this.recorded(bytes);
            }
            return Poll::Ready(Ok(()));
        };
        while path.has_room() {
            let mut chunk = [0; PACE_CHUNK];
            let mut part = ReadBuf::new(&mut chunk);
            path.put(match Pin::new(&mut this.stream).poll_read(cx, &mut part) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if part.filled().is_empty() => Piece::End,
                Poll::Ready(Ok(())) => Piece::Bytes(part.filled().to_vec()),
                Poll::Ready(Err(error)) => Piece::Broken(error.kind()),
            });
        }
        let bytes = ready!(path.poll_take(cx, buf.remaining()))?;
        buf.put_slice(&bytes);
        if !bytes.is_empty() {
            this.recorded(&bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Leg {
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
