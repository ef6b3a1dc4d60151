//! A TCP connection that carries content.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use ft_core::bundle::Bundle;
use ft_core::carry::{Parcel, Taken, Transport};
use ft_core::join::{Invite, Token};
use tokio::io::{AsyncWrite, Interest};

use super::pipe::{Filled, Pipe};
use super::range::{FileRange, Sent};
use super::{Lanes, Stream, plain_in, plain_out};
use crate::limits::{CARRY_LEAST, PIPE_LEAST, PIPES};
use crate::net::{OnTcp, Way, together};
use crate::trust::Conn;

/// A connection whose large content the kernel moves. Small content and frames go through memory.
pub struct Carried {
    stream: Stream,
    filling: Option<Pipe>,
    idle: Vec<Pipe>,
    /// Content that comes is read into memory: it was asked for, or the system has no pipes for us.
    no_pipes: bool,
    /// For content that the kernel cannot send from its file.
    scratch: Vec<u8>,
    /// What lets connections join, until it is told; a server's.
    tokens: Vec<Token>,
    /// Whether the other side is told when more of them would help: yes, until it was.
    urges: bool,
}

impl Carried {
    /// Content of `stream` is carried from now on; with `copy`, or through TLS, none is that comes in.
    pub fn over(stream: Stream, copy: bool) -> Self {
        let encrypted = plain_in(stream.get_ref()).is_none();
        Self {
            stream,
            filling: None,
            idle: Vec::new(),
            no_pipes: copy || encrypted,
            scratch: Vec::new(),
            tokens: Vec::new(),
            urges: false,
        }
    }

    /// Whoever has one of these may join.
    pub fn inviting(&mut self, tokens: Vec<Token>) {
        self.urges = !tokens.is_empty();
        self.tokens = tokens;
    }

    /// The connection itself, of which nothing was taken out yet.
    pub fn into_stream(self) -> Stream {
        self.stream
    }

    /// Sends what the kernel cannot send from its file, through memory; zeros where the file has nothing any more.
    fn poll_send_copy(
        &mut self,
        cx: &mut Context<'_>,
        range: &FileRange,
        from: u64,
        left: u64,
    ) -> Poll<io::Result<u64>> {
        let want = usize::try_from(left).map_or(PIPE_LEAST, |left| left.min(PIPE_LEAST));
        self.scratch.clear();
        self.scratch.resize(want, 0);
        // What cannot be read is sent as zeros too: the receiver will find that the root does not fit.
        let read = match range.file.read_at(&mut self.scratch, range.offset + from) {
            Ok(n) if n > 0 => n,
            Ok(_) | Err(_) => want,
        };
        let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.scratch[..read]))?;
        Poll::Ready(Ok(sent as u64))
    }
}

impl Transport for Carried {
    type Stream = Stream;

    fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    fn least_carried(&self) -> u64 {
        if self.no_pipes { u64::MAX } else { CARRY_LEAST }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, parcel: &Parcel, from: u64) -> Poll<io::Result<u64>> {
        let Some(range) = parcel.what.downcast_ref::<FileRange>() else {
            return Poll::Ready(Err(io::Error::other("a parcel that is no range of a file")));
        };
        let left = parcel.len - from;
        let attempt = |bundle: &mut Bundle<Conn, Lanes>, cx: &mut Context<'_>, allowed: usize| {
            // What was to be carried before there were segments.
            let Some(tcp) = plain_out(bundle) else { return Poll::Ready(Ok(Sent::NotFromHere)) };
            loop {
                ready!(tcp.poll_write_ready(cx))?;
                match tcp.try_io(Interest::WRITABLE, || range.send(tcp, from, left.min(allowed as u64))) {
                    Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                    other => return Poll::Ready(other),
                }
            }
        };
        let moved = |sent: &Sent| match *sent {
            Sent::Bytes(n) => usize::try_from(n).unwrap_or(usize::MAX),
            Sent::NotFromHere => 0,
        };
        let sent = self.stream.poll_moving(Way::Out, cx, attempt, moved);
        match ready!(sent)? {
            Sent::Bytes(n) => Poll::Ready(Ok(n)),
            Sent::NotFromHere => self.poll_send_copy(cx, range, from, left),
        }
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, max: u64) -> Poll<io::Result<Taken>> {
        let pipe = match self.filling.take().or_else(|| self.idle.pop()).map_or_else(Pipe::new, Ok) {
            Ok(pipe) => self.filling.insert(pipe),
            Err(error) => {
                tracing::debug!(%error, "no pipe: content goes through memory");
                self.no_pipes = true;
                return Poll::Ready(Ok(Taken::Full));
            }
        };
        let attempt = |bundle: &mut Bundle<Conn, Lanes>, cx: &mut Context<'_>, allowed: usize| {
            let tcp = plain_in(bundle).ok_or_else(|| io::Error::other("nothing is carried through TLS or segments"))?;
            loop {
                ready!(tcp.poll_read_ready(cx))?;
                match tcp.try_io(Interest::READABLE, || pipe.fill(tcp, max.min(allowed as u64))) {
                    Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                    Err(e) => return Poll::Ready(Err(e)),
                    Ok(Filled::Bytes(n)) => return Poll::Ready(Ok(Taken::Bytes(n))),
                    Ok(Filled::Full) => return Poll::Ready(Ok(Taken::Full)),
                }
            }
        };
        self.stream.poll_moving(Way::In, cx, attempt, |taken| match *taken {
            Taken::Bytes(n) => usize::try_from(n).unwrap_or(usize::MAX),
            Taken::Full => 0,
        })
    }

    fn take_parcel(&mut self) -> Option<Parcel> {
        let pipe = self.filling.take_if(|pipe| pipe.held() > 0)?;
        Some(Parcel { len: pipe.held() as u64, what: Box::new(pipe) })
    }

    fn give_back(&mut self, parcel: Parcel) {
        if let Ok(pipe) = parcel.what.downcast::<Pipe>()
            && pipe.held() == 0
            && self.idle.len() < PIPES
        {
            self.idle.push(*pipe);
        }
    }

    fn invitation(&mut self) -> Option<Invite> {
        let tokens = std::mem::take(&mut self.tokens);
        let is_urgent = self.urges && self.stream.roomy().load(Ordering::Relaxed);
        self.urges &= !is_urgent;
        (is_urgent || !tokens.is_empty()).then_some(Invite { is_urgent, tokens })
    }

    fn joined(&mut self) -> u8 {
        self.stream.get_mut().ready()
    }

    fn spread(&mut self) {
        let bundle = self.stream.get_mut();
        bundle.spread();
        tracing::info!(lanes = bundle.lanes().count(), "content goes over several connections");
        together(bundle.lanes().map(OnTcp::socket));
        bundle.agree();
    }

    fn gather(&mut self, lanes: u8, ahead: Vec<u8>) {
        tracing::info!(lanes = lanes + 1, "content comes over several connections");
        self.no_pipes = true;
        self.stream.get_mut().gather(lanes, ahead);
    }
}
