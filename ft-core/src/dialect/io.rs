//! Reading with an ear for silence, and closing without an RST.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::limits::{LINGER_MAX, READ_BUFFER, SMALL_FILE, TEXT_MAX};

/// What a quiet moment is waited for. A caller may give each its own length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// A text without a terminator might be over. Tens to hundreds of milliseconds: each such transfer pays it once.
    TextEnd,
    /// A body without a length might be over. Longer: a guess that is wrong costs the rest of the file.
    DataEnd,
    /// Two messages must not arrive in one read of a naive peer. Hundreds of milliseconds: the peer may be asleep itself
    /// before it reads, to keep its own messages apart.
    Separate,
    /// The peer may be about to close, and need not.
    Close,
}

/// The caller's time: resolves when the stream has been silent long enough.
///
/// Each call starts a new wait, at the moment of its first poll. Dropping the future must be free of effects.
#[allow(async_fn_in_trait, reason = "implementations for simulated time are not Send; real ones are seen concretely")]
pub trait Quiet {
    /// Resolves when the caller's time for `moment` has passed.
    async fn quiet(&mut self, moment: Moment);
}

/// No moment is ever quiet: only terminators and EOF end anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Never;

impl Quiet for Never {
    async fn quiet(&mut self, _moment: Moment) {
        std::future::pending::<()>().await;
    }
}

/// Quiet as soon as a read finds nothing: for streams in memory, and the most impatient of peers.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtOnce;

impl Quiet for AtOnce {
    async fn quiet(&mut self, _moment: Moment) {}
}

impl<Q: Quiet> Quiet for &mut Q {
    async fn quiet(&mut self, moment: Moment) {
        (**self).quiet(moment).await;
    }
}

/// How the peer left, seen by a side that has shut down its own writing half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerClose {
    /// It ended its direction in order.
    Fin,
    /// It reset the connection: something it was sent may never have been read (`close-unread-rst`).
    Reset,
    /// It was still there after a quiet moment.
    StillOpen,
    /// It kept sending what nobody asked for.
    StillSending,
}

/// Memory for one read after another. It begins small and grows when a read fills it: most sessions are short, and
/// zeroing 32 KiB would be most of what they cost.
pub(super) struct ReadBuffer {
    memory: Vec<u8>,
    last: usize,
}

impl ReadBuffer {
    /// For what a peer says: room for a text.
    pub(super) fn new() -> Self {
        Self { memory: vec![0; TEXT_MAX], last: 0 }
    }

    /// For `size` bytes that we send: a small file goes out in one write. What is no file of a known size is taken for a
    /// large one.
    pub(super) fn for_sending(size: Option<u64>) -> Self {
        let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(SMALL_FILE);
        Self { memory: vec![0; size.clamp(TEXT_MAX, SMALL_FILE)], last: 0 }
    }

    /// Room for the next read.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.last == self.memory.len() && self.last < READ_BUFFER {
            self.memory.resize((self.last * 8).min(READ_BUFFER), 0);
        }
        &mut self.memory
    }

    /// The `count` bytes that the read brought.
    pub(super) fn filled(&mut self, count: usize) -> &[u8] {
        self.last = count;
        &self.memory[..count]
    }
}

/// What one wait on a stream brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// This many bytes, at least one.
    Bytes(usize),
    /// The peer has ended its direction.
    Eof,
    /// Nothing came for the time of the moment.
    Quiet,
}

/// Reads some bytes, or hears the quiet if `moment` asks for it. Bytes that are there always win over the quiet.
///
/// # Errors
///
/// The stream's.
///
/// # Cancel safety
///
/// Safe: bytes are only taken by the poll that returns them.
pub(super) async fn hear<S, Q>(
    stream: &mut S,
    buffer: &mut [u8],
    quiet: &mut Q,
    moment: Option<Moment>,
) -> io::Result<Heard>
where
    S: AsyncRead + Unpin,
    Q: Quiet,
{
    let mut silence = pin!(async {
        match moment {
            Some(moment) => quiet.quiet(moment).await,
            None => std::future::pending().await,
        }
    });
    poll_fn(|context| {
        let mut free = ReadBuf::new(buffer);
        match Pin::new(&mut *stream).poll_read(context, &mut free) {
            Poll::Ready(Ok(())) if free.filled().is_empty() => Poll::Ready(Ok(Heard::Eof)),
            Poll::Ready(Ok(())) => Poll::Ready(Ok(Heard::Bytes(free.filled().len()))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => silence.as_mut().poll(context).map(|()| Ok(Heard::Quiet)),
        }
    })
    .await
}

/// Ends our direction, then reads what is still in flight to its end, so that closing sends no RST (`close-unread-rst`).
///
/// At most [`LINGER_MAX`] bytes are thrown away, and one quiet moment ends the wait. Errors of a connection that is over
/// anyway are part of the answer. `buffer` is for what is thrown away.
///
/// # Cancel safety
///
/// Safe: dropping it only closes less gently.
pub(super) async fn close_gently<S, Q>(stream: &mut S, quiet: &mut Q, buffer: &mut ReadBuffer) -> PeerClose
where
    S: AsyncRead + AsyncWrite + Unpin,
    Q: Quiet,
{
    if stream.shutdown().await.is_err() {
        return PeerClose::Reset;
    }
    drain(stream, quiet, buffer).await
}

/// The second half of [`close_gently`], for a side that has shut down its writing half already.
///
/// # Cancel safety
///
/// As [`close_gently`].
pub(super) async fn drain<S, Q>(stream: &mut S, quiet: &mut Q, buffer: &mut ReadBuffer) -> PeerClose
where
    S: AsyncRead + Unpin,
    Q: Quiet,
{
    let mut thrown_away = 0;
    while thrown_away < LINGER_MAX {
        match hear(stream, buffer.room(), quiet, Some(Moment::Close)).await {
            Ok(Heard::Bytes(count)) => thrown_away += buffer.filled(count).len(),
            Ok(Heard::Eof) => return PeerClose::Fin,
            Ok(Heard::Quiet) => return PeerClose::StillOpen,
            Err(_) => return PeerClose::Reset,
        }
    }
    PeerClose::StillSending
}
