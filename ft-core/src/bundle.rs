//! One stream over several connections (PROTOCOL §7.8): cut into segments, each on whichever connection has room for it.
//!
//! ```text
//!   stream   0 ............ 100 ............ 200 ............ 300
//!   lane 0   [0: 100 bytes]                  [200: 100 bytes]
//!   lane 1                   [100: 100 bytes]                 [300: ...
//! ```
//!
//! A segment says where its bytes belong, so no lane has to wait for another to be written, and whoever reads takes next the
//! lane whose turn it is. What came too early stays where it is, in the kernel's buffer of its lane: there is no memory
//! for it here, and each lane is held back by its own window. Until [`Bundle::spread`] and [`Bundle::gather`] the
//! bytes of the first lane go as they are, each direction on its own.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::join::Lane;
use crate::limits::{MAX_FILE, MAX_SEGMENT, SEGMENT, SEGMENT_HEADER};

/// Where connections come from that join.
pub trait Arrivals<S> {
    /// The next one; `None` when no more can come.
    ///
    /// # Cancel safety
    /// None is lost.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Lane<S>>>;
}

/// The beginning of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    /// Where its first byte belongs in the stream.
    offset: u64,
    /// Bytes still to come.
    left: u32,
}

/// One connection and what is under way on it.
struct Part<S> {
    stream: S,
    /// A segment on its way out, with its header, and how much of it is written.
    out: Vec<u8>,
    written: usize,
    /// Bytes that came before they were asked for.
    ahead: Vec<u8>,
    /// A header on its way in.
    header: [u8; SEGMENT_HEADER],
    header_len: usize,
    head: Option<Head>,
    eof: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Part<S> {
    fn new(stream: S, ahead: Vec<u8>) -> Self {
        let header = [0; SEGMENT_HEADER];
        Self { stream, out: Vec::new(), written: 0, ahead, header, header_len: 0, head: None, eof: false }
    }

    /// Ready when its segment is written.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.written += n,
            }
        }
        self.out.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Bytes, those that came ahead first; 0 at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.ahead.is_empty() {
            let n = self.ahead.len().min(bytes.len());
            bytes[..n].copy_from_slice(&self.ahead[..n]);
            self.ahead.drain(..n);
            return Poll::Ready(Ok(n));
        }
        let mut read = ReadBuf::new(bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        Poll::Ready(Ok(read.filled().len()))
    }

    /// The header of its next segment; `false` when the lane has ended in order.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.header_len < SEGMENT_HEADER {
            let mut header = self.header;
            let n = ready!(self.poll_bytes(cx, &mut header[self.header_len..]))?;
            self.header = header;
            match n {
                0 if self.header_len == 0 => {
                    self.eof = true;
                    return Poll::Ready(Ok(false));
                }
                0 => return Poll::Ready(Err(cut_short())),
                n => self.header_len += n,
            }
        }
        self.header_len = 0;
        self.head = Some(decode(self.header)?);
        Poll::Ready(Ok(true))
    }
}

/// A stream over one connection or several.
pub struct Bundle<S, A> {
    parts: Vec<Part<S>>,
    arrivals: Option<A>,
    /// Bytes of a segment at most.
    segment: usize,
    /// Connections that have joined and are not used yet.
    waiting: Vec<Lane<S>>,
    /// What is written goes in segments: the place of the next byte, and the lane that is asked first.
    spread: Option<(u64, usize)>,
    /// What is read comes in segments: the place of the next byte, and how many lanes there must be.
    gather: Option<(u64, usize)>,
    /// The lane whose segment has begun.
    reading: Option<usize>,
    /// What was read could not be put together: what still comes on the first connection is nothing but bytes, to be read so that
    /// last words arrive there.
    is_broken: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin, A: Arrivals<S>> Bundle<S, A> {
    /// One connection, as it is; no other can join.
    pub fn single(stream: S) -> Self {
        Self {
            parts: vec![Part::new(stream, Vec::new())],
            arrivals: None,
            segment: SEGMENT,
            waiting: Vec::new(),
            spread: None,
            gather: None,
            reading: None,
            is_broken: false,
        }
    }

    /// Others can join, as they come there.
    pub fn join_by(&mut self, arrivals: A) {
        self.arrivals = Some(arrivals);
    }

    /// Segments are of at most so many bytes, up to [`MAX_SEGMENT`], in place of [`SEGMENT`].
    pub fn cut_into(&mut self, bytes: usize) {
        self.segment = bytes.clamp(1, MAX_SEGMENT as usize);
    }

    /// The first connection.
    pub fn first(&self) -> &S {
        &self.parts[0].stream
    }

    /// The only connection, if the bytes that are written go out on it as they are.
    pub fn raw_out(&self) -> Option<&S> {
        self.spread.is_none().then(|| self.first())
    }

    /// The only connection, if the bytes that are read come in on it as they are.
    pub fn raw_in(&self) -> Option<&S> {
        self.gather.is_none().then(|| self.first())
    }

    /// The first connection, alone.
    pub fn into_first(mut self) -> S {
        self.parts.swap_remove(0).stream
    }

    /// Connections that could be used from now on for what is written; 0 when some are used already, or not all have come that
    /// join together.
    pub fn ready(&mut self) -> u8 {
        if self.spread.is_some() {
            return 0;
        }
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while let Some(arrivals) = &mut self.arrivals
            && let Poll::Ready(lane) = arrivals.poll_next(&mut cx)
        {
            match lane {
                Some(lane) => self.waiting.push(lane),
                None => self.arrivals = None,
            }
        }
        let all = self.waiting.first().is_some_and(|lane| self.waiting.len() >= usize::from(lane.of));
        if all { u8::try_from(self.waiting.len()).unwrap_or(u8::MAX) } else { 0 }
    }

    /// Everything written from now on goes in segments over all connections that were [`ready`](Bundle::ready).
    pub fn spread(&mut self) {
        self.parts.extend(self.waiting.drain(..).map(|lane| Part::new(lane.stream, lane.ahead)));
        self.spread.get_or_insert((0, 0));
    }

    /// Everything read from now on comes in segments over the first connection and `lanes` more, which may still have to
    /// arrive. `ahead` was read of the first one already.
    pub fn gather(&mut self, lanes: u8, ahead: Vec<u8>) {
        self.parts[0].ahead = ahead;
        self.gather.get_or_insert((0, 1 + usize::from(lanes)));
    }

    /// All connections in use.
    pub fn lanes(&self) -> impl Iterator<Item = &S> {
        self.parts.iter().map(|part| &part.stream)
    }

    fn poll_gathered(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some((at, lanes)) = &mut self.gather else { return Poll::Pending };
        while self.parts.len() < *lanes {
            let Some(arrivals) = &mut self.arrivals else { return Poll::Ready(Err(nobody_joined())) };
            let lane = ready!(arrivals.poll_next(cx)).ok_or_else(nobody_joined)?;
            self.parts.push(Part::new(lane.stream, lane.ahead));
        }
        loop {
            // A segment that has begun is read to its end, whatever else claims a place in it.
            let begun = self.reading.take().filter(|i| self.parts[*i].head.is_some());
            let turn = |part: &Part<S>| part.head.is_some_and(|head| head.offset == *at);
            if let Some(i) = begun.or_else(|| self.parts.iter().position(turn)) {
                self.reading = Some(i);
                let part = &mut self.parts[i];
                let Some(mut head) = part.head else { continue };
                let most = buf.remaining().min(head.left as usize);
                let n = ready!(part.poll_bytes(cx, buf.initialize_unfilled_to(most)))?;
                if n == 0 && most > 0 {
                    return Poll::Ready(Err(cut_short()));
                }
                buf.advance(n);
                *at += n as u64;
                head.left -= u32::try_from(n).unwrap_or(head.left);
                part.head = (head.left > 0).then_some(head);
                return Poll::Ready(Ok(()));
            }
            let (mut progress, mut waits) = (false, false);
            for part in self.parts.iter_mut().filter(|part| part.head.is_none() && !part.eof) {
                match part.poll_head(cx) {
                    Poll::Pending => waits = true,
                    Poll::Ready(result) => {
                        result?;
                        progress = true;
                    }
                }
            }
            if progress {
                continue;
            }
            // Bytes that were there already can never have their turn again.
            match self.parts.iter().filter_map(|part| part.head).map(|head| head.offset).min() {
                Some(nearest) if nearest < *at => return Poll::Ready(Err(out_of_place(*at, nearest))),
                Some(nearest) if !waits => return Poll::Ready(Err(out_of_place(*at, nearest))),
                None if !waits => return Poll::Ready(Ok(())),
                Some(_) | None => return Poll::Pending,
            }
        }
    }

    /// Gives a lane that has nothing to write the next segment.
    fn poll_spread(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Some((at, first)) = &mut self.spread else {
            return Pin::new(&mut self.parts[0].stream).poll_write_vectored(cx, slices);
        };
        let len = slices.iter().map(|slice| slice.len()).sum::<usize>().min(self.segment);
        if len == 0 {
            return Poll::Ready(Ok(0));
        }
        let (lanes, mut free) = (self.parts.len(), None);
        for i in 0..lanes {
            // All of them, so that none waits for another.
            let i = (*first + i) % lanes;
            if self.parts[i].poll_written(cx)?.is_ready() {
                free = free.or(Some(i));
            }
        }
        let Some(free) = free else { return Poll::Pending };
        let part = &mut self.parts[free];
        part.out.reserve(SEGMENT_HEADER + len);
        part.out.extend(encode(Head { offset: *at, left: u32::try_from(len).unwrap_or(0) }));
        let mut left = len;
        for slice in slices {
            let n = slice.len().min(left);
            part.out.extend_from_slice(&slice[..n]);
            left -= n;
        }
        *at += len as u64;
        *first = (free + 1) % lanes;
        // What it does not take at once is asked for again by the next write or flush.
        let _ = self.parts[free].poll_written(cx)?;
        Poll::Ready(Ok(len))
    }

    /// Ready when `each` is for every lane whose segment is written.
    fn poll_all(
        &mut self,
        cx: &mut Context<'_>,
        each: impl Fn(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        let mut all = Poll::Ready(Ok(()));
        for part in &mut self.parts {
            let done = match part.poll_written(cx) {
                Poll::Ready(Ok(())) => each(Pin::new(&mut part.stream), cx),
                other @ (Poll::Ready(Err(_)) | Poll::Pending) => other,
            };
            match done {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => all = Poll::Pending,
            }
        }
        all
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, A: Arrivals<S> + Unpin> AsyncRead for Bundle<S, A> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.gather.is_none() || this.is_broken {
            // What came ahead came with a request to gather.
            return Pin::new(&mut this.parts[0].stream).poll_read(cx, buf);
        }
        let result = this.poll_gathered(cx, buf);
        this.is_broken = matches!(result, Poll::Ready(Err(_)));
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, A: Arrivals<S> + Unpin> AsyncWrite for Bundle<S, A> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.spread {
            None => Pin::new(&mut this.parts[0].stream).poll_write(cx, bytes),
            Some(_) => this.poll_spread(cx, &[IoSlice::new(bytes)]),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_spread(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.spread.is_some() || self.first().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_all(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_all(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}

fn encode(head: Head) -> [u8; SEGMENT_HEADER] {
    let mut bytes = [0; SEGMENT_HEADER];
    bytes[..8].copy_from_slice(&head.offset.to_be_bytes());
    bytes[8..12].copy_from_slice(&head.left.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[..12]);
    bytes[12..].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn decode(bytes: [u8; SEGMENT_HEADER]) -> io::Result<Head> {
    let [o0, o1, o2, o3, o4, o5, o6, o7, l0, l1, l2, l3, c0, c1, c2, c3] = bytes;
    let offset = u64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
    let left = u32::from_be_bytes([l0, l1, l2, l3]);
    let crc = crc32c::crc32c(&bytes[..12]);
    if crc != u32::from_be_bytes([c0, c1, c2, c3]) {
        return Err(wrong(format!("a segment header whose checksum is not {crc:08x}")));
    }
    if left == 0 || left > MAX_SEGMENT || offset > MAX_FILE {
        return Err(wrong(format!("a segment of {left} bytes at {offset}")));
    }
    Ok(Head { offset, left })
}

/// What a peer did to its segments that it must not.
#[derive(Debug)]
struct Misplaced(String);

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Misplaced {}

fn wrong(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Misplaced(text))
}

/// Whether segments are what was wrong.
pub(crate) fn is_misplaced(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Misplaced>())
}

fn out_of_place(at: u64, nearest: u64) -> io::Error {
    wrong(format!("a segment at {nearest} where byte {at} has its turn"))
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "a connection ended within a segment")
}

fn nobody_joined() -> io::Error {
    wrong("content spread over connections that have not joined".into())
}
