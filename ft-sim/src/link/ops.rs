//! What a socket's owner does: read, write, shut down, close.

use std::io;
use std::task::{Poll, Waker};

use super::{Gate, Pipe, Sink};
use crate::core::Core;
use crate::limits;
use crate::schedule::{Direction, Party};
use crate::trace::What;

/// Spare bytes in front of a pipe's buffer beyond which they are given back by moving the rest down.
const COMPACT: usize = 16 * 1024;

impl Pipe {
    /// Bytes that a write of `asked` may take now: the window, and no further than a `short` step.
    fn acceptable(&mut self, asked: u64) -> u64 {
        let room = match self.sink {
            Sink::Deliver => self.window.saturating_sub(self.written - self.read),
            Sink::Swallow | Sink::Refuse => u64::MAX,
        };
        asked.min(room).min(up_to_next(&self.shorts, &mut self.short_next, self.written))
    }

    /// Bytes that a read may return now: what has been delivered, and no further than a `clip` step.
    fn readable(&mut self) -> u64 {
        (self.delivered - self.read).min(up_to_next(&self.clips, &mut self.clip_next, self.read))
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.sink == Sink::Deliver {
            if self.head == self.buf.len() {
                self.buf.clear();
                self.head = 0;
            } else if self.head > COMPACT {
                self.buf.drain(..self.head);
                self.head = 0;
            }
            self.buf.extend_from_slice(bytes);
        }
        self.written += bytes.len() as u64;
    }
}

/// Distance from `position` to the next boundary behind it.
fn up_to_next(boundaries: &[u64], next: &mut usize, position: u64) -> u64 {
    while let Some(&boundary) = boundaries.get(*next) {
        if boundary > position {
            return boundary - position;
        }
        *next += 1;
    }
    u64::MAX
}

impl Core {
    pub(super) fn place(conn: u16, dir: Direction, tag: u64) -> u64 {
        tag | u64::from(conn) << 8 | (dir as u64) << 32
    }

    /// write(2) on a non-blocking socket.
    pub(crate) fn write(&mut self, conn: u16, party: Party, bytes: &[u8], waker: &Waker) -> Poll<io::Result<usize>> {
        let dir = party.writes();
        let state = &mut self.conns[usize::from(conn)];
        let end = state.end_mut(party);
        if end.reset || end.shut {
            let error = end.error.take().unwrap_or(io::ErrorKind::BrokenPipe);
            return Poll::Ready(Err(self.failed(conn, dir, party, error)));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let asked = bytes.len() as u64;
        let end_offset = state.pipe(dir).written + asked;
        self.plan(conn, dir, end_offset);
        let pipe = self.conns[usize::from(conn)].pipe_mut(dir);
        let taken = pipe.acceptable(asked);
        if taken == 0 {
            pipe.writer = Some(self.woken.sleeper(waker));
            return Poll::Pending;
        }
        pipe.writer = None;
        let offset = pipe.written;
        let accepted = &bytes[..limits::index(taken)];
        pipe.push(accepted);
        self.trace.fold([Self::place(conn, dir, TAG_WRITE), offset, asked, self.now]);
        self.trace.fold_bytes(accepted);
        let (now, step) = (self.now, self.step);
        self.trace.keep(now, step, || What::Write { conn: conn + 1, dir, offset, bytes: accepted.to_vec(), asked });
        if pipe.sink == Sink::Refuse {
            self.rst_arrives(conn, party);
        } else {
            self.pump(conn, dir);
        }
        Poll::Ready(Ok(accepted.len()))
    }

    /// read(2) on a non-blocking socket; `fill` is given the bytes, at most two slices' worth, and must take all.
    pub(crate) fn read(
        &mut self,
        conn: u16,
        party: Party,
        room: usize,
        waker: &Waker,
        fill: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        let dir = party.reads();
        let state = &mut self.conns[usize::from(conn)];
        let pipe = state.pipe_mut(dir);
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        let len = pipe.readable().min(room as u64);
        if len > 0 {
            let offset = pipe.read;
            let end = pipe.head + limits::index(len);
            fill(&pipe.buf[pipe.head..end]);
            pipe.head = end;
            pipe.read += len;
            pipe.reader = None;
            pipe.wake_writer(&mut self.woken);
            self.trace.fold([Self::place(conn, dir, TAG_READ), offset, len, self.now]);
            let (now, step) = (self.now, self.step);
            self.trace.keep(now, step, || What::Read { conn: conn + 1, dir, offset, len });
            return Poll::Ready(Ok(()));
        }
        let offset = pipe.read;
        let fin = pipe.fin_delivered;
        let end = state.end_mut(party);
        if !fin && let Some(error) = end.error.take() {
            return Poll::Ready(Err(self.failed(conn, dir, party, error)));
        }
        if fin || end.reset {
            let pipe = state.pipe_mut(dir);
            if !std::mem::replace(&mut pipe.eof_seen, true) {
                self.trace.fold([Self::place(conn, dir, TAG_EOF), offset, self.now]);
                let (now, step) = (self.now, self.step);
                self.trace.keep(now, step, || What::Eof { conn: conn + 1, dir, offset });
            }
            return Poll::Ready(Ok(()));
        }
        state.pipe_mut(dir).reader = Some(self.woken.sleeper(waker));
        Poll::Pending
    }

    /// shutdown(2) of the writing half. Of a reset connection it does nothing, as tokio's streams have it.
    pub(crate) fn shutdown(&mut self, conn: u16, party: Party) {
        let state = &mut self.conns[usize::from(conn)];
        let end = state.end_mut(party);
        if end.reset || std::mem::replace(&mut end.shut, true) {
            return;
        }
        state.pipe_mut(party.writes()).fin_queued = true;
        self.pump(conn, party.writes());
    }

    /// close(2): FIN, or RST if bytes were left unread.
    pub(crate) fn close(&mut self, conn: u16, party: Party) {
        let state = &mut self.conns[usize::from(conn)];
        let end = state.end_mut(party);
        let (was_reset, dark) = (end.reset, end.dark);
        end.closed = true;
        let incoming = state.pipe_mut(party.reads());
        incoming.reader_gone = true;
        incoming.reader = None;
        // Nobody will take what a split waits for.
        if incoming.gate == Gate::Drain(None) {
            incoming.gate = Gate::Open;
        }
        let unread = incoming.delivered > incoming.read;
        state.pipe_mut(party.writes()).writer = None;
        if dark {
            return;
        }
        if unread && !was_reset {
            let outgoing = state.pipe(party.writes());
            // What the schedule already ended or silenced cannot carry a RST.
            if !outgoing.stalled && outgoing.sink == Sink::Deliver {
                self.rst_arrives(conn, party.reads().writer());
            }
            return;
        }
        self.shutdown(conn, party);
        self.pump(conn, party.reads());
    }

    fn failed(&mut self, conn: u16, dir: Direction, by: Party, error: io::ErrorKind) -> io::Error {
        let pipe = self.conns[usize::from(conn)].pipe(dir);
        let offset = if error == io::ErrorKind::BrokenPipe { pipe.written } else { pipe.read };
        self.trace.fold([Self::place(conn, dir, TAG_ERROR), offset, self.now]);
        let (now, step) = (self.now, self.step);
        self.trace.keep(now, step, || What::Error { conn: conn + 1, dir, offset, by, error: error.to_string() });
        io::Error::from(error)
    }
}

const TAG_WRITE: u64 = 20;
const TAG_READ: u64 = 21;
const TAG_EOF: u64 = 22;
const TAG_ERROR: u64 = 23;
