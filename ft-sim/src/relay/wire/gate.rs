//! The gate of a relay that is in one process with its parties.

use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::Wire;
use crate::ground::Time;
use crate::limits;
use crate::relay::Gate;
use crate::schedule::{Direction, Party};
use crate::trace::What;
use crate::world::HostDeath;

/// Somebody else who knows when the reader of a direction has taken every byte before an offset.
pub type Asker = Box<dyn FnMut(Direction, u64, &mut Context<'_>) -> Poll<()>>;

/// The exact gate: what the sockets counted.
pub(crate) struct WireGate<T> {
    pub(crate) wire: Wire,
    pub(crate) time: T,
    /// Who is asked instead of the sockets.
    pub(crate) asker: Option<Asker>,
}

impl<T: Time> Gate for WireGate<T> {
    type Sleep = T::Sleep;

    fn sleep(&self, span: Duration) -> T::Sleep {
        self.time.sleep(span)
    }

    fn poll_taken(&mut self, dir: Direction, offset: u64, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(asker) = &mut self.asker {
            return asker(dir, offset, cx);
        }
        let mut state = self.wire.lock();
        let way = &mut state.ways[dir.index()];
        if way.taken >= offset || way.reader_gone || std::mem::take(&mut way.forced) {
            way.forced = false;
            way.relay = None;
            return Poll::Ready(());
        }
        way.relay = Some(cx.waker().clone());
        Poll::Pending
    }

    fn reader_gone(&self, dir: Direction) -> bool {
        self.wire.lock().ways[dir.index()].reader_gone
    }

    fn written(&self, dir: Direction) -> Option<u64> {
        Some(self.wire.lock().ways[dir.index()].written)
    }

    fn activity(&self) -> u64 {
        self.wire.hub.activity()
    }

    /// The socket knows its windows, and applies them at the writer's own offset.
    fn narrow(&mut self, _: Direction, _: u64) {}

    fn widen(&mut self, dir: Direction) {
        self.wire.change(dir, |way| {
            way.is_wide = true;
            [way.writer.take(), None]
        });
    }

    fn forwarded(&mut self, dir: Direction, offset: u64) {
        self.wire.change(dir, |way| {
            way.forwarded = offset;
            [None, None]
        });
    }

    fn fin_forwarded(&mut self, dir: Direction) {
        self.wire.change(dir, |way| {
            way.fin_forwarded = true;
            [None, None]
        });
    }

    fn resets(&mut self, party: Party) {
        self.wire.hub.act();
        if self.wire.sends_resets {
            return;
        }
        let wakers = {
            let mut state = self.wire.lock();
            let fin_came = state.ways[party.reads().index()].fin_forwarded;
            let error = if fin_came { io::ErrorKind::BrokenPipe } else { io::ErrorKind::ConnectionReset };
            let writer = state.ways[party.writes().index()].writer.take();
            let reset = &mut state.resets[party.index()];
            reset.is_there = true;
            reset.error = Some(error);
            [reset.reader.take(), writer]
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn dies(&mut self, party: Party, death: HostDeath) {
        self.wire.hub.die(self.wire.hosts[party.index()], death);
    }

    fn is_dark(&self) -> bool {
        self.wire.hosts.iter().any(|host| self.wire.hub.is_dark(*host))
    }

    fn saw(&mut self, what: What) {
        self.wire.shared.lock().now = limits::nanos(self.time.now());
        self.wire.record(what);
    }
}
