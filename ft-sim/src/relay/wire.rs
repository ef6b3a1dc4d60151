//! One connection's two sockets in one process with their relay: they count what was written and taken, exactly.
//!
//! A [`Socket`] wraps a party's stream. It does what only the party's own socket can do: `short`, `clip`, an exact
//! window; and it tells the relay's [`Gate`](super::Gate) what each read returned, so that a `split` needs no guess and no time.
//! Where the network has no RST to send (turmoil has none for an open stream), the socket shows one as Linux does.

mod gate;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::core::{HostId, Shared};
use crate::limits;
use crate::room::Hub;
use crate::schedule::{Direction, Fault, Party, Schedule};
use crate::trace::What;

pub use gate::Asker;
pub(crate) use gate::WireGate;

/// One direction, as both parties and the relay see it. `taken <= forwarded <= written`.
#[derive(Debug, Default)]
struct Way {
    written: u64,
    forwarded: u64,
    taken: u64,
    /// From which offset of the writer which window holds.
    windows: Vec<(u64, u64)>,
    /// Bytes are taken and lost: no window holds them up.
    is_wide: bool,
    shorts: Vec<u64>,
    clips: Vec<u64>,
    fin_forwarded: bool,
    reader_gone: bool,
    /// The relay must not wait for the reader any longer.
    forced: bool,
    writer: Option<Waker>,
    relay: Option<Waker>,
}

impl Way {
    /// Bytes that the writer may give its socket now.
    fn acceptable(&self) -> u64 {
        let holds = self.windows.partition_point(|(at, _)| *at <= self.written);
        let window = if self.is_wide { u64::MAX } else { self.windows[holds - 1].1 };
        window.saturating_sub(self.written - self.taken).min(up_to_next(&self.shorts, self.written))
    }
}

/// A RST that the network could not send.
#[derive(Debug, Default)]
struct Reset {
    is_there: bool,
    /// What the next operation reports.
    error: Option<io::ErrorKind>,
    reader: Option<Waker>,
}

#[derive(Debug)]
struct State {
    ways: [Way; 2],
    /// By party.
    resets: [Reset; 2],
}

/// What a connection's sockets and relay share.
#[derive(Clone)]
pub(crate) struct Wire {
    conn: u16,
    hosts: [HostId; 2],
    hub: Hub,
    shared: Shared,
    state: Arc<Mutex<State>>,
    /// The network sends a RST when a leg is aborted.
    sends_resets: bool,
}

impl Wire {
    pub(crate) fn new(
        conn: u16,
        hosts: [HostId; 2],
        schedule: &Schedule,
        windows: [u64; 2],
        (hub, shared): (Hub, Shared),
        sends_resets: bool,
    ) -> Self {
        let ways = Direction::BOTH.map(|dir| {
            let steps = |kind| schedule.steps_of(conn, dir).filter(move |step| step.fault == kind).map(|step| step.at);
            let (shorts, clips) = (steps(Fault::Short).collect(), steps(Fault::Clip).collect());
            let mut windows = vec![(0, windows[dir.index()])];
            windows.extend(schedule.steps_of(conn, dir).filter_map(|step| match step.fault {
                Fault::Window(bytes) => Some((step.at, bytes)),
                Fault::Short
                | Fault::Clip
                | Fault::Hold { .. }
                | Fault::Delay(_)
                | Fault::Split
                | Fault::Kill(_)
                | Fault::Crash(_)
                | Fault::Stall
                | Fault::HalfClose
                | Fault::Fin
                | Fault::Rst => None,
            }));
            Way { windows, shorts, clips, ..Way::default() }
        });
        let state = Arc::new(Mutex::new(State { ways, resets: Default::default() }));
        Self { conn, hosts, hub, shared, state, sends_resets }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a direction, tells the hub, and wakes whom `change` returns, with the lock released.
    fn change(&self, dir: Direction, change: impl FnOnce(&mut Way) -> [Option<Waker>; 2]) {
        let wakers = change(&mut self.lock().ways[dir.index()]);
        self.hub.act();
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn record(&self, what: What) {
        let mut core = self.shared.lock();
        core.trace.fold_bytes(format!("{what:?}").as_bytes());
        let (now, step) = (core.now, core.step);
        core.trace.keep(now, step, || what);
    }

    /// Bytes written in each direction.
    pub(crate) fn written(&self) -> [u64; 2] {
        let state = self.lock();
        Direction::BOTH.map(|dir| state.ways[dir.index()].written)
    }

    /// Lets the relay go on, if it waits for a reader; false if it does not.
    pub(crate) fn force(&self) -> bool {
        for dir in Direction::BOTH {
            let mut state = self.lock();
            let way = &mut state.ways[dir.index()];
            if let Some(relay) = way.relay.take() {
                way.forced = true;
                drop(state);
                relay.wake();
                return true;
            }
        }
        false
    }

    /// Wakes the relay, which may have to fall silent.
    pub(crate) fn rouse(&self) {
        let wakers = Direction::BOTH.map(|dir| self.lock().ways[dir.index()].relay.take());
        wakers.into_iter().flatten().for_each(Waker::wake);
        self.hub.act();
    }

    /// How far each direction came, for the report of a deadlock.
    pub(crate) fn explain(&self) -> String {
        let state = self.lock();
        let way = |dir: Direction| {
            let Way { written, forwarded, taken, .. } = state.ways[dir.index()];
            format!("{}:{dir} {written} written, {forwarded} passed on, {taken} taken", self.conn)
        };
        format!("{}; {}", way(Direction::C2s), way(Direction::S2c))
    }
}

/// Distance from `position` to the next boundary behind it.
fn up_to_next(boundaries: &[u64], position: u64) -> u64 {
    let next = boundaries.partition_point(|at| *at <= position);
    boundaries.get(next).map_or(u64::MAX, |at| at - position)
}

/// A party's end of a connection through a relay.
pub struct Socket<S> {
    inner: S,
    wire: Wire,
    party: Party,
    scratch: Box<[u8]>,
    /// End of stream was read.
    ended: bool,
    /// It was told.
    told: bool,
    failed: Option<io::Error>,
    shut: bool,
}

impl<S> Socket<S> {
    pub(crate) fn new(inner: S, wire: Wire, party: Party) -> Self {
        let scratch = vec![0; limits::RELAY_READ].into();
        Self { inner, wire, party, scratch, ended: false, told: false, failed: None, shut: false }
    }

    fn end(&mut self) -> Poll<io::Result<()>> {
        let dir = self.party.reads();
        if !std::mem::replace(&mut self.told, true) {
            let offset = self.wire.lock().ways[dir.index()].taken;
            self.wire.record(What::Eof { conn: self.wire.conn, dir, offset });
        }
        Poll::Ready(Ok(()))
    }

    /// Books an error, which keeps its kind alone: every network has words of its own for it.
    fn fail(&self, dir: Direction, kind: io::ErrorKind) -> io::Error {
        let offset = {
            let state = self.wire.lock();
            let way = &state.ways[dir.index()];
            if kind == io::ErrorKind::BrokenPipe { way.written } else { way.taken }
        };
        let error = kind.to_string();
        self.wire.record(What::Error { conn: self.wire.conn, dir, offset, by: self.party, error });
        kind.into()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let dir = this.party.reads();
        let (offset, clip) = {
            let state = this.wire.lock();
            let way = &state.ways[dir.index()];
            (way.taken, up_to_next(&way.clips, way.taken))
        };
        let limit = buf.remaining().min(this.scratch.len()).min(usize::try_from(clip).unwrap_or(usize::MAX));
        let mut got = 0;
        // One read returns whatever has arrived, as the kernel's does: turmoil gives one segment at a time.
        while got < limit && !this.ended && this.failed.is_none() {
            let mut part = ReadBuf::new(&mut this.scratch[got..limit]);
            match Pin::new(&mut this.inner).poll_read(cx, &mut part) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if part.filled().is_empty() => this.ended = true,
                Poll::Ready(Ok(())) => got += part.filled().len(),
                Poll::Ready(Err(error)) => this.failed = Some(error),
            }
        }
        if got > 0 {
            buf.put_slice(&this.scratch[..got]);
            let len = got as u64;
            this.wire.record(What::Read { conn: this.wire.conn, dir, offset, len });
            this.wire.change(dir, |way| {
                way.taken += len;
                [way.writer.take(), way.relay.take()]
            });
            return Poll::Ready(Ok(()));
        }
        let reset = {
            let mut state = this.wire.lock();
            let way = &state.ways[dir.index()];
            // What was sent before the reset may still be on its way.
            let has_come = this.ended || way.taken >= way.forwarded;
            let fin = way.fin_forwarded;
            let reset = &mut state.resets[this.party.index()];
            if reset.is_there && has_come {
                Some(if fin { None } else { reset.error.take() })
            } else {
                reset.reader = Some(cx.waker().clone());
                None
            }
        };
        match reset {
            Some(Some(error)) => return Poll::Ready(Err(this.fail(dir, error))),
            Some(None) => return this.end(),
            None => {}
        }
        if let Some(error) = this.failed.take() {
            this.ended = true;
            return Poll::Ready(Err(this.fail(dir, error.kind())));
        }
        if this.ended { this.end() } else { Poll::Pending }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let dir = this.party.writes();
        let (offset, limit, reset) = {
            let mut state = this.wire.lock();
            let reset = &mut state.resets[this.party.index()];
            let reset = reset.is_there.then(|| reset.error.take().unwrap_or(io::ErrorKind::BrokenPipe));
            let way = &mut state.ways[dir.index()];
            let limit = way.acceptable();
            if limit == 0 && reset.is_none() && !bytes.is_empty() {
                way.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            (way.written, usize::try_from(limit).unwrap_or(usize::MAX).min(bytes.len()), reset)
        };
        if let Some(error) = reset {
            return Poll::Ready(Err(this.fail(dir, error)));
        }
        match Pin::new(&mut this.inner).poll_write(cx, &bytes[..limit]) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(n)) => {
                let asked = bytes.len() as u64;
                this.wire.record(What::Write { conn: this.wire.conn, dir, offset, bytes: bytes[..n].to_vec(), asked });
                this.wire.change(dir, |way| {
                    way.written += n as u64;
                    [None, None]
                });
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(this.fail(dir, error.kind()))),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_reset = self.wire.lock().resets[self.party.index()].is_there;
        if is_reset || std::mem::replace(&mut self.shut, true) {
            return Poll::Ready(Ok(()));
        }
        self.wire.hub.act();
        match Pin::new(&mut self.inner).poll_shutdown(cx) {
            // Of a connection that was reset there is nothing to shut down, as tokio's streams have it.
            Poll::Ready(Err(error))
                if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::BrokenPipe) =>
            {
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                self.shut = false;
                Poll::Pending
            }
            result @ Poll::Ready(_) => result,
        }
    }
}

impl<S> Drop for Socket<S> {
    fn drop(&mut self) {
        self.wire.change(self.party.reads(), |way| {
            way.reader_gone = true;
            [way.writer.take(), way.relay.take()]
        });
    }
}

impl<S> std::fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Socket({} of connection {})", self.party, self.wire.conn)
    }
}
