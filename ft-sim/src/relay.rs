//! A relay that plays one connection's schedule between two byte streams: client leg, relay, server leg.
//!
//! It is how a schedule is played where the network is not the simulator's: turmoil, the kernel, a proxy in front of a
//! program. It follows `link/delivery.rs` step by step, with the same names, so that one schedule means one thing. It
//! is generic over the two streams ([`Leg`]) and over what it knows of the parties and may do to them ([`Gate`]); it
//! reads no clock, spawns nothing, and polls its two lanes in a fixed order.
//!
//! What a relay cannot do is said in docs/SCHEDULE.md, step by step: it sees bytes only after the writer's kernel took
//! them, so that `short`, `clip` and an exact `window` need the party's own socket ([`wire::Socket`]).

mod lane;
pub mod wire;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits;
use crate::schedule::{Direction, Fault, Party, Schedule, Step};
use crate::trace::What;
use crate::world::HostDeath;
use lane::{Lane, Sink, Wait};

/// A connection between the relay and one party.
pub trait Leg: AsyncRead + AsyncWrite + Unpin {
    /// Ends the connection with a RST, if this kind of stream can; else it is merely closed, and
    /// [`Gate::resets`] has to make a reset of it.
    fn abort(self);
}

/// Any stream as a leg, with what makes a RST of its end.
#[derive(Debug)]
pub struct StreamLeg<S> {
    stream: S,
    abort: fn(S),
}

impl<S> StreamLeg<S> {
    /// `abort` is given the stream instead of its being closed: it closes it with a RST, if it can.
    pub fn new(stream: S, abort: fn(S)) -> Self {
        Self { stream, abort }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Leg for StreamLeg<S> {
    fn abort(self) {
        (self.abort)(self.stream);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StreamLeg<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StreamLeg<S> {
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

/// What a relay knows of the parties, and what it may do to them.
///
/// In one process with them it is exact: [`wire`] counts what each read returned. In front of a stranger's program it
/// asks the kernel, and is as exact as the kernel's answer.
pub trait Gate {
    /// The future of [`Gate::sleep`].
    type Sleep: Future<Output = ()> + Unpin;

    /// Waits.
    fn sleep(&self, span: Duration) -> Self::Sleep;

    /// Ready once the reader of `dir` has taken every byte before `offset`, all of which were forwarded; or has closed
    /// its socket; or when nothing else can happen any more. An implementation that cannot know the last has a deadline.
    fn poll_taken(&mut self, dir: Direction, offset: u64, cx: &mut Context<'_>) -> Poll<()>;

    /// The reader of `dir` has closed its socket. False if that cannot be known: the leg's errors tell it then.
    fn reader_gone(&self, dir: Direction) -> bool;

    /// Bytes that the writer of `dir` has given to its socket, where that is known.
    fn written(&self, dir: Direction) -> Option<u64>;

    /// A number that changes whenever a party reads, writes or closes, or another gate opens.
    fn activity(&self) -> u64;

    /// From now on at most `bytes` of `dir` may be written and not taken. Sockets that hold their windows by
    /// themselves, at the writer's own offset, ignore it.
    fn narrow(&mut self, dir: Direction, bytes: u64);

    /// Bytes of `dir` that the relay may hold now. One that says fewer because of [`Gate::narrow`] wakes the task when there
    /// is room again.
    fn poll_room(&mut self, _dir: Direction, _cx: &mut Context<'_>) -> usize {
        limits::RELAY_BUFFER
    }

    /// What is written to `dir` from now on goes nowhere, and no window holds it up.
    fn widen(&mut self, dir: Direction);

    /// Bytes of `dir` before `offset` have been given to the reader's leg.
    fn forwarded(&mut self, dir: Direction, offset: u64);

    /// End of stream has been given to the reader's leg.
    fn fin_forwarded(&mut self, dir: Direction);

    /// The leg of `party` is about to be aborted.
    fn resets(&mut self, party: Party);

    /// The step that ends `party` has come.
    fn dies(&mut self, party: Party, death: HostDeath);

    /// A party of this connection has lost power: nothing passes any more.
    fn is_dark(&self) -> bool;

    /// Something happened on the way.
    fn saw(&mut self, what: What);
}

/// A relay under way: a future that ends when nothing can pass any more.
pub struct Relay<L, G: Gate> {
    conn: u16,
    /// By party.
    legs: [Option<L>; 2],
    /// Legs whose kernel sent a RST that has yet to be acted upon.
    broken: [bool; 2],
    /// By direction.
    lanes: [Lane<G::Sleep>; 2],
    gate: G,
    /// What came in two pieces is passed on in two pieces that the reader sees.
    preserves: bool,
    scratch: Box<[u8]>,
}

impl<L, G: Gate> fmt::Debug for Relay<L, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("conn", &self.conn).finish_non_exhaustive()
    }
}

impl<L: Leg, G: Gate> Relay<L, G> {
    /// A relay that plays the steps of connection `conn`, counted from 1.
    pub fn new(conn: u16, schedule: &Schedule, gate: G) -> Self {
        let lanes = Direction::BOTH.map(|dir| Lane::new(schedule.steps_of(conn, dir)));
        let scratch = vec![0; limits::RELAY_READ].into();
        Self { conn, legs: [None, None], broken: [false; 2], lanes, gate, preserves: false, scratch }
    }

    /// Keeps the boundaries that the relay itself saw: each piece is passed on when the reader has taken the one before.
    ///
    /// Without it a slow reader may find two messages in one read that it would have found apart without a relay.
    #[must_use]
    pub fn preserving(mut self) -> Self {
        self.preserves = true;
        self
    }

    /// Plays between these two until nothing can pass any more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes both legs.
    pub async fn run(mut self, client: L, server: L) {
        self.legs = [Some(client), Some(server)];
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.gate.is_dark() {
                self.darken();
            }
            let mut moved = false;
            // First of all the steps at offset 0, before anything has been read.
            for dir in Direction::BOTH {
                moved |= self.pass_on(dir, cx);
            }
            for dir in Direction::BOTH {
                while self.take_in(dir, cx) {
                    moved = true;
                }
            }
            // What had come before a RST has been passed on by now, as far as the schedule lets it.
            if !moved && !self.act_on_resets() {
                break;
            }
        }
        if self.is_over() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Silence is kept up by open sockets: with a stalled lane the relay is never over by itself.
    fn is_over(&self) -> bool {
        Direction::BOTH.into_iter().all(|dir| {
            let lane = &self.lanes[dir.index()];
            let heard = lane.fin_received || self.legs[dir.writer().index()].is_none();
            heard && !lane.stalled && (lane.fin_forwarded || lane.sink != Sink::Deliver)
        })
    }

    fn darken(&mut self) {
        for lane in &mut self.lanes {
            lane.stalled = true;
        }
    }

    /// Reads what a writer has written; true if there was anything.
    fn take_in(&mut self, dir: Direction, cx: &mut Context<'_>) -> bool {
        let (writer, lane) = (dir.writer(), &mut self.lanes[dir.index()]);
        let Some(leg) = &mut self.legs[writer.index()] else { return false };
        let room = limits::RELAY_BUFFER.min(self.gate.poll_room(dir, cx)).saturating_sub(lane.held.len());
        if lane.fin_received || room == 0 {
            return false;
        }
        let len = room.min(self.scratch.len());
        let mut buf = ReadBuf::new(&mut self.scratch[..len]);
        match Pin::new(leg).poll_read(cx, &mut buf) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) if buf.filled().is_empty() => {
                lane.fin_received = true;
                true
            }
            Poll::Ready(Ok(())) => {
                let bytes = buf.filled();
                lane.received += bytes.len() as u64;
                match lane.sink {
                    Sink::Deliver => lane.held.extend_from_slice(bytes),
                    Sink::Swallow => {}
                    Sink::Refuse { from } if lane.received > from => self.reset(writer),
                    Sink::Refuse { .. } => {}
                }
                true
            }
            Poll::Ready(Err(_)) => {
                self.broken[writer.index()] = true;
                false
            }
        }
    }

    /// Gives the reader whatever may pass now, and applies the steps on the way; true if anything happened.
    fn pass_on(&mut self, dir: Direction, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        loop {
            let other_settles = self.lanes[dir.reverse().index()].is_settling();
            let lane = &mut self.lanes[dir.index()];
            if lane.stalled || lane.fin_forwarded || lane.sink != Sink::Deliver {
                return moved;
            }
            let settled = lane.is_settling();
            let waited = lane.poll_wait(&mut self.gate, dir, other_settles, cx);
            // The other lane's time stood still meanwhile, and nothing else would wake it.
            moved |= settled && !lane.is_settling();
            match waited {
                Poll::Pending => return moved,
                Poll::Ready(Some((party, death))) => {
                    moved = true;
                    if death == HostDeath::Crashed {
                        self.darken();
                    }
                    self.gate.dies(party, death);
                    // Its kernel closes its sockets before anything else reaches them.
                    self.lanes[dir.index()].settle(&self.gate);
                    continue;
                }
                Poll::Ready(None) => {}
            }
            let next = lane.plan.get(lane.next).copied();
            let stop = next.map_or(u64::MAX, |(at, _)| at).max(lane.forwarded);
            let upto = lane.received.min(stop);
            if upto > lane.forwarded {
                if !self.forward(dir, upto, cx) {
                    return moved;
                }
                moved = true;
                continue;
            }
            if let (Some((at, fault)), true) = (next, stop == lane.forwarded) {
                lane.next += 1;
                moved = true;
                self.apply(Step { conn: self.conn, dir, at, fault }, cx);
                continue;
            }
            if lane.fin_received && lane.forwarded == lane.received {
                self.forward_fin(dir, cx);
                moved = true;
            }
            return moved;
        }
    }

    /// One write of everything up to `upto`; false if the reader's leg takes nothing now.
    fn forward(&mut self, dir: Direction, upto: u64, cx: &mut Context<'_>) -> bool {
        let lane = &mut self.lanes[dir.index()];
        let Some(leg) = &mut self.legs[dir.reader().index()] else { return false };
        let len = limits::index(upto - lane.forwarded);
        match Pin::new(leg).poll_write(cx, &lane.held[..len]) {
            Poll::Pending => return false,
            Poll::Ready(Ok(written)) => {
                let offset = lane.forwarded;
                let bytes: Vec<u8> = lane.held.drain(..written).collect();
                lane.forwarded += bytes.len() as u64;
                self.gate.forwarded(dir, lane.forwarded);
                self.gate.saw(What::Deliver { conn: self.conn, dir, offset, bytes });
                if self.preserves {
                    self.lanes[dir.index()].wait = Wait::Read;
                }
                // Nobody holds the socket any more: its kernel answers with RST, unless the way back is silent.
                if self.gate.reader_gone(dir) && !self.lanes[dir.reverse().index()].stalled {
                    self.reset(dir.writer());
                }
            }
            Poll::Ready(Err(_)) => {
                self.broken[dir.reader().index()] = true;
                return false;
            }
        }
        true
    }

    fn forward_fin(&mut self, dir: Direction, cx: &mut Context<'_>) {
        let lane = &mut self.lanes[dir.index()];
        lane.fin_forwarded = true;
        let offset = lane.forwarded;
        self.gate.fin_forwarded(dir);
        if let Some(leg) = &mut self.legs[dir.reader().index()] {
            // A leg that is gone already has nothing to be told. Neither kernel nor turmoil makes a shutdown wait.
            let _ = Pin::new(leg).poll_shutdown(cx);
        }
        self.gate.saw(What::Fin { conn: self.conn, dir, offset });
    }

    /// Passes on the RST of a party whose kernel sent one, if the schedule lets it; true if there was any.
    fn act_on_resets(&mut self) -> bool {
        let mut acted = false;
        for party in [Party::Client, Party::Server] {
            if std::mem::take(&mut self.broken[party.index()]) && self.legs[party.index()].take().is_some() {
                acted = true;
                let outgoing = &self.lanes[party.writes().index()];
                if !outgoing.stalled && outgoing.sink == Sink::Deliver {
                    self.reset(party.reads().writer());
                }
            }
        }
        acted
    }

    /// A RST goes to `party`: what is in flight in either direction is lost.
    fn reset(&mut self, party: Party) {
        for (dir, lane) in Direction::BOTH.into_iter().zip(&mut self.lanes) {
            // Where the connection was closed towards both, each learns of it by its own write.
            let sink = if let Sink::Refuse { from } = lane.sink { Sink::Refuse { from } } else { Sink::Swallow };
            lane.lose_held(sink);
            self.gate.widen(dir);
        }
        if let Some(leg) = self.legs[party.index()].take() {
            let offset = self.lanes[party.reads().index()].forwarded;
            self.gate.resets(party);
            leg.abort();
            self.gate.saw(What::Rst { conn: self.conn, to: party, offset });
        }
    }

    /// A step takes effect.
    fn apply(&mut self, step: Step, cx: &mut Context<'_>) {
        let Step { dir, fault, .. } = step;
        self.gate.saw(What::Fault(step));
        let lane = &mut self.lanes[dir.index()];
        match fault {
            // The parties' own sockets see to these.
            Fault::Short | Fault::Clip => {}
            Fault::Window(bytes) => self.gate.narrow(dir, bytes),
            Fault::Hold { until } => lane.wait = Wait::Hold { until: until.unwrap_or(u64::MAX), quiet: None, looks: 0 },
            Fault::Delay(span) => lane.wait = Wait::Armed(span),
            Fault::Split => lane.wait = Wait::Taken(None),
            Fault::Kill(party) => lane.wait = Wait::Taken(Some((party, HostDeath::Killed))),
            Fault::Crash(party) => lane.wait = Wait::Taken(Some((party, HostDeath::Crashed))),
            Fault::Stall => lane.stalled = true,
            Fault::HalfClose => {
                lane.lose_held(Sink::Swallow);
                self.gate.widen(dir);
                self.forward_fin(dir, cx);
            }
            Fault::Fin => {
                for dir in [dir, dir.reverse()] {
                    let lane = &mut self.lanes[dir.index()];
                    // What was written before is lost in silence; what is written from now on is refused.
                    let from = self.gate.written(dir).unwrap_or(lane.received);
                    lane.lose_held(Sink::Refuse { from });
                    self.gate.widen(dir);
                    if !lane.fin_forwarded {
                        self.forward_fin(dir, cx);
                    }
                }
            }
            Fault::Rst => {
                self.reset(dir.reader());
                self.reset(dir.writer());
            }
        }
    }
}
