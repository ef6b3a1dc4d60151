//! Bytes towards the peer: control frames and content in one queue, written many at a time, and a good end.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::carry::{Bulk, Transport};
use crate::codec::{encode, encode_zdata};
use crate::error::FileError;
use crate::frame::{Frame, StreamId};
use crate::limits::{HEADER_LEN, LINGER_BYTES};
use crate::preamble::Versions;

/// Bytes read at once to be thrown away; few, since most peers have nothing more to say.
const LINGER_READ: usize = 4 * 1024;

/// Frames are gathered in pieces of about this many bytes: one piece is written at once and freed at once.
const CONTROL_CHUNK: usize = 16 * 1024;

/// Bytes that the frames of a small session fit into.
const USUAL_CHUNK: usize = 256;

/// Chunks written by one call at most: what one call to the system takes is bounded too.
const WRITTEN_AT_ONCE: usize = 64;

/// Bytes on their way out.
enum Chunk {
    Control(Vec<u8>),
    Content(Bulk),
    /// A payload of ZDATA, and the bytes of content that it stands for.
    Zdata(Vec<u8>, u64),
    /// What follows goes over all connections.
    Spread,
}

/// Content that is written out: how much it was, and what held it, if it was not compressed.
pub(crate) struct Written {
    pub(crate) len: u64,
    pub(crate) bulk: Option<Bulk>,
}

impl Chunk {
    fn len(&self) -> usize {
        match self {
            Self::Control(bytes) => bytes.len(),
            // At most a DATA frame.
            Self::Content(bulk) => usize::try_from(bulk.len()).unwrap_or(usize::MAX),
            Self::Zdata(payload, _) => payload.len(),
            Self::Spread => 0,
        }
    }

    /// `None`: the transport has to send it.
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Control(bytes) | Self::Zdata(bytes, _) => Some(bytes),
            Self::Content(Bulk::Bytes(buf)) => Some(buf.bytes()),
            Self::Content(Bulk::Parcel(_)) | Self::Spread => None,
        }
    }
}

/// The queue towards the peer.
#[derive(Default)]
pub(crate) struct Outgoing {
    chunks: VecDeque<Chunk>,
    /// Memory of the last control chunk that was written, for the next one.
    spare: Vec<u8>,
    /// Bytes of the front chunk that are written.
    written: usize,
    pub(crate) queued: usize,
    /// Those of `queued` that are content, whole buffers.
    content: usize,
    /// Everything written has also been flushed.
    is_flushed: bool,
    pub(crate) shut_down: bool,
    pub(crate) is_shut: bool,
}

impl Outgoing {
    /// Queues a control frame, or the header of DATA.
    pub(crate) fn control(&mut self, frame: &Frame) {
        // Never one chunk for ever: a peer that always leaves a byte unread would make it grow without end.
        if !matches!(self.chunks.back(), Some(Chunk::Control(bytes)) if bytes.len() < CONTROL_CHUNK) {
            let mut memory = std::mem::take(&mut self.spare);
            memory.reserve(USUAL_CHUNK);
            self.chunks.push_back(Chunk::Control(memory));
        }
        if let Some(Chunk::Control(bytes)) = self.chunks.back_mut() {
            let before = bytes.len();
            encode(frame, bytes);
            self.queued += bytes.len() - before;
        }
    }

    /// Queues bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.queued += bytes.len();
        self.chunks.push_back(Chunk::Control(bytes.to_vec()));
    }

    /// Queues content behind its DATA header.
    pub(crate) fn content(&mut self, bulk: Bulk) {
        let chunk = Chunk::Content(bulk);
        self.queued += chunk.len();
        self.content += chunk.len();
        self.chunks.push_back(chunk);
    }

    /// Queues SPREAD; everything behind it goes over all connections that have joined.
    pub(crate) fn spread(&mut self, frame: &Frame) {
        self.control(frame);
        self.chunks.push_back(Chunk::Spread);
    }

    /// Queues content as ZDATA; `len` bytes of it are in this payload.
    pub(crate) fn zdata(&mut self, stream: StreamId, offset: u64, payload: Vec<u8>, len: u64) {
        let mut header = Vec::with_capacity(HEADER_LEN);
        encode_zdata(stream, offset, &payload, &mut header);
        self.raw(&header);
        self.queued += payload.len();
        self.content += payload.len();
        self.chunks.push_back(Chunk::Zdata(payload, len));
    }

    /// Writes as much as the stream takes; gives back content that is written out. `Ready` when nothing is left and, if
    /// asked for, the writing half is shut.
    pub(crate) fn poll_write<T: Transport>(
        &mut self,
        transport: &mut T,
        cx: &mut Context<'_>,
        free: &mut Vec<Written>,
    ) -> Poll<io::Result<()>> {
        while let Some(front) = self.chunks.front() {
            let n = match front {
                Chunk::Spread => {
                    transport.spread();
                    self.chunks.pop_front();
                    continue;
                }
                Chunk::Content(Bulk::Parcel(parcel)) => {
                    let sent = ready!(transport.poll_send(cx, parcel, self.written as u64))?;
                    usize::try_from(sent).unwrap_or(usize::MAX)
                }
                Chunk::Control(_) | Chunk::Zdata(..) | Chunk::Content(Bulk::Bytes(_)) => {
                    let mut from = self.written;
                    let mut slices = [IoSlice::new(&[]); WRITTEN_AT_ONCE];
                    let mut count = 0;
                    for (slice, bytes) in slices.iter_mut().zip(self.chunks.iter().map_while(Chunk::bytes)) {
                        *slice = IoSlice::new(&bytes[std::mem::take(&mut from)..]);
                        count += 1;
                    }
                    ready!(Pin::new(transport.stream()).poll_write_vectored(cx, &slices[..count]))?
                }
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(n, free);
        }
        if !self.is_flushed {
            ready!(Pin::new(transport.stream()).poll_flush(cx))?;
            self.is_flushed = true;
        }
        if self.shut_down && !self.is_shut {
            ready!(Pin::new(transport.stream()).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Memory that frames take here, bytes; content is its owner's to count.
    pub(crate) fn frames(&self) -> usize {
        // The front chunk stays whole until its last byte is written.
        self.queued + self.written - self.content
    }

    /// Nothing left to write, flush or shut down.
    pub(crate) fn is_idle(&self) -> bool {
        self.chunks.is_empty() && self.is_flushed && (!self.shut_down || self.is_shut)
    }

    fn advance(&mut self, mut n: usize, free: &mut Vec<Written>) {
        self.queued -= n;
        self.is_flushed = false;
        while let Some(front) = self.chunks.front() {
            let left = front.len() - self.written;
            // It has no bytes, and is still to be acted on.
            if n < left || matches!(front, Chunk::Spread) {
                self.written += n;
                return;
            }
            n -= left;
            self.written = 0;
            let Some(front) = self.chunks.pop_front() else { return };
            let size = front.len();
            match front {
                Chunk::Control(mut bytes) => {
                    bytes.clear();
                    self.spare = bytes;
                }
                Chunk::Content(bulk) => {
                    self.content -= size;
                    free.push(Written { len: bulk.len(), bulk: Some(bulk) });
                }
                Chunk::Zdata(_, len) => {
                    self.content -= size;
                    free.push(Written { len, bulk: None });
                }
                Chunk::Spread => {}
            }
        }
    }
}

/// The end of a connection that must not end in an RST: writes what is queued, shuts the writing half down, and reads
/// what the peer still sends, up to a bound (pitfall `close-unread-rst`).
pub(crate) struct Linger<'a, T> {
    transport: &'a mut T,
    outgoing: Outgoing,
}

impl<'a, T: Transport> Linger<'a, T> {
    /// A server's whole answer: its preamble and an ERROR.
    pub(crate) fn new(transport: &'a mut T, error: Option<FileError>) -> Self {
        let mut outgoing = Outgoing::default();
        outgoing.raw(&Versions::OURS.encode());
        if let Some(error) = error {
            outgoing.control(&Frame::Error(0, error));
        }
        Self::behind(transport, outgoing)
    }

    /// Writes what is queued first.
    pub(crate) fn behind(transport: &'a mut T, mut outgoing: Outgoing) -> Self {
        outgoing.shut_down = true;
        Self { transport, outgoing }
    }

    /// Reading and writing go on side by side: a peer that writes without reading would otherwise stall both.
    pub(crate) async fn run(mut self) {
        let mut scratch = vec![0; LINGER_READ];
        let mut left = LINGER_BYTES;
        let (mut writing, mut eof) = (true, false);
        poll_fn(|cx| {
            if writing {
                writing = self.outgoing.poll_write(self.transport, cx, &mut Vec::new()).is_pending();
            }
            // The end is read once: to a stream with a deadline, reading it again and again would look like progress, and a
            // peer that has closed and does not read would hold us for ever.
            while !eof {
                let mut read = ReadBuf::new(&mut scratch);
                match Pin::new(self.transport.stream()).poll_read(cx, &mut read) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(())) => {
                        let n = read.filled().len() as u64;
                        left = left.saturating_sub(n);
                        if left == 0 {
                            return Poll::Ready(());
                        }
                        eof = n == 0;
                    }
                }
            }
            if writing { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes everything but one byte, then blocks; every time.
    struct LeavesOne;

    impl AsyncRead for LeavesOne {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for LeavesOne {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            match slices.iter().map(|slice| slice.len()).sum() {
                1 => Poll::Pending,
                len => Poll::Ready(Ok(len - 1)),
            }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn peer_that_always_leaves_a_byte_unread_does_not_make_the_queue_grow() {
        let mut outgoing = Outgoing::default();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        for stream in 0..100_000 {
            outgoing.control(&Frame::Alive(stream, 0));
            assert!(outgoing.poll_write(&mut LeavesOne, &mut cx, &mut Vec::new()).is_pending());
            assert!(outgoing.frames() <= 3 * CONTROL_CHUNK, "{} bytes at frame {stream}", outgoing.frames());
        }
    }
}
