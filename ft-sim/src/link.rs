//! One TCP connection as pure state: per direction, bytes are written, in flight, delivered, read.
//!
//! The benign link delivers at once. Steps of a schedule make it deviate at exact byte offsets. What a program sees of
//! errors, and in which order, is what Linux does (`tests/link_parity.rs` runs the same moves over kernel TCP):
//!
//! - bytes that had arrived before a RST stay readable; then one operation fails, and after it reads give end of
//!   stream and writes `BrokenPipe`;
//! - the failure is `ConnectionReset`, or `BrokenPipe` if the peer's FIN had arrived before (then reads give end of
//!   stream without an error);
//! - closing with unread bytes sends RST, not FIN, and destroys what is in flight towards the peer;
//! - writing to a peer that has closed succeeds once; the RST that answers it fails the next operation.
//!
//! This file holds the state; `link/delivery.rs` moves bytes and applies steps; `link/ops.rs` holds read, write, shutdown
//! and close.

mod delivery;
mod ops;

use std::io;

use crate::core::{Death, HostId, Sleeper, Woken};
use crate::limits;
use crate::schedule::{Direction, Fault, Party};
use crate::timers::TimerKey;

/// Why delivery waits although bytes may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// Until the reader has taken everything delivered; then this, if anything, befalls a party.
    Drain(Option<(Party, Death)>),
    /// Until the offset `until` has been written, the writer has closed, or the timer that the first held byte
    /// started fires.
    Hold {
        until: u64,
        quiet: Option<TimerKey>,
    },
    /// The next byte or FIN starts a timer of so many nanoseconds.
    DelayArmed(u64),
    /// Until this virtual time.
    Until(u64),
}

/// What becomes of bytes that can no longer be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sink {
    Deliver,
    /// Accepted and lost.
    Swallow,
    /// Accepted, and answered by RST.
    Refuse,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Pipe {
    /// `buf[head..]` are the bytes from `read` to `written`.
    buf: Vec<u8>,
    head: usize,
    read: u64,
    delivered: u64,
    written: u64,
    /// Bytes up to here have had their faults decided.
    planned: u64,
    window: u64,
    fin_queued: bool,
    fin_delivered: bool,
    eof_seen: bool,
    reader_gone: bool,
    stalled: bool,
    sink: Sink,
    gate: Gate,
    /// Delivery steps by offset, from `plan_next` on.
    plan: Vec<(u64, Fault)>,
    plan_next: usize,
    shorts: Vec<u64>,
    clips: Vec<u64>,
    short_next: usize,
    clip_next: usize,
    reader: Option<Sleeper>,
    writer: Option<Sleeper>,
}

impl Pipe {
    fn new() -> Self {
        Self {
            buf: Vec::new(),
            head: 0,
            read: 0,
            delivered: 0,
            written: 0,
            planned: 0,
            window: limits::DEFAULT_WINDOW,
            fin_queued: false,
            fin_delivered: false,
            eof_seen: false,
            reader_gone: false,
            stalled: false,
            sink: Sink::Deliver,
            gate: Gate::Open,
            plan: Vec::new(),
            plan_next: 0,
            shorts: Vec::new(),
            clips: Vec::new(),
            short_next: 0,
            clip_next: 0,
            reader: None,
            writer: None,
        }
    }

    /// A fresh direction in the old one's buffers.
    fn recycle(&mut self, window: u64) {
        let old = std::mem::replace(self, Self::new());
        self.buf = old.buf;
        self.plan = old.plan;
        self.shorts = old.shorts;
        self.clips = old.clips;
        self.buf.clear();
        self.plan.clear();
        self.shorts.clear();
        self.clips.clear();
        self.window = window;
    }

    pub(crate) fn has_reader_waiting(&self) -> bool {
        self.reader.is_some()
    }

    pub(crate) fn has_writer_waiting(&self) -> bool {
        self.writer.is_some()
    }

    pub(crate) fn read_offset(&self) -> u64 {
        self.read
    }

    pub(crate) fn written_offset(&self) -> u64 {
        self.written
    }

    /// Why a waiting reader gets nothing, for the report of a deadlock.
    pub(crate) fn explain_silence(&self) -> String {
        match (self.stalled, self.written - self.delivered) {
            (true, 0) => format!(" (stalled at {})", self.delivered),
            (true, lost) => format!(" (stalled at {}, {lost} bytes behind it)", self.delivered),
            (false, 0) => " (nothing more was written)".to_owned(),
            (false, held) => format!(" ({held} bytes held back)"),
        }
    }

    /// Adds one step, which must not lie before those already there.
    fn add_step(&mut self, at: u64, fault: Fault) {
        match fault {
            Fault::Short => self.shorts.push(at),
            Fault::Clip => self.clips.push(at),
            Fault::Window(_)
            | Fault::Hold { .. }
            | Fault::Delay(_)
            | Fault::Split
            | Fault::Kill(_)
            | Fault::Crash(_)
            | Fault::Stall
            | Fault::HalfClose
            | Fault::Fin
            | Fault::Rst => self.plan.push((at, fault)),
        }
    }

    /// Whether the stream has come to where this step was put, and the step was for it.
    pub(crate) fn has_met(&self, at: u64, fault: Fault) -> bool {
        match fault {
            Fault::Short => self.written >= at && self.shorts.contains(&at),
            Fault::Clip => self.read >= at && self.clips.contains(&at),
            Fault::Window(_)
            | Fault::Hold { .. }
            | Fault::Delay(_)
            | Fault::Split
            | Fault::Kill(_)
            | Fault::Crash(_)
            | Fault::Stall
            | Fault::HalfClose
            | Fault::Fin
            | Fault::Rst => self.plan[..self.plan_next].contains(&(at, fault)),
        }
    }

    /// Bytes in flight are lost, and none follow.
    fn lose_undelivered(&mut self, sink: Sink) {
        let kept = limits::index(self.delivered - self.read);
        self.buf.truncate(self.head + kept);
        self.sink = sink;
        self.gate = Gate::Open;
    }

    fn wake_reader(&mut self, woken: &mut Woken) {
        if let Some(sleeper) = self.reader.take() {
            woken.add(sleeper);
        }
    }

    fn wake_writer(&mut self, woken: &mut Woken) {
        if let Some(sleeper) = self.writer.take() {
            woken.add(sleeper);
        }
    }
}

/// One party's socket.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    host: HostId,
    /// The error that the next operation reports.
    error: Option<io::ErrorKind>,
    /// A RST has arrived.
    reset: bool,
    /// shutdown(WR) was called.
    shut: bool,
    /// The socket was closed.
    closed: bool,
    /// The host crashed: closing says nothing to anyone.
    dark: bool,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pipes: [Pipe; 2],
    ends: [End; 2],
}

impl Conn {
    fn new() -> Self {
        Self { pipes: [Pipe::new(), Pipe::new()], ends: [End::default(); 2] }
    }

    pub(crate) fn pipe(&self, dir: Direction) -> &Pipe {
        &self.pipes[dir.index()]
    }

    fn pipe_mut(&mut self, dir: Direction) -> &mut Pipe {
        &mut self.pipes[dir.index()]
    }

    fn end_mut(&mut self, party: Party) -> &mut End {
        &mut self.ends[party.index()]
    }

    pub(crate) fn host(&self, party: Party) -> HostId {
        self.ends[party.index()].host
    }

    /// The party's host lost power: nothing leaves it and nothing reaches it.
    pub(crate) fn darken(&mut self, party: Party) {
        self.end_mut(party).dark = true;
        for pipe in &mut self.pipes {
            pipe.stalled = true;
        }
    }

    /// A RST arrives at `party`.
    fn reset_end(&mut self, party: Party, woken: &mut Woken) {
        let fin_came = self.pipe(party.reads()).fin_delivered;
        let end = self.end_mut(party);
        if !end.closed && !end.reset {
            end.reset = true;
            end.error = Some(if fin_came { io::ErrorKind::BrokenPipe } else { io::ErrorKind::ConnectionReset });
        }
        self.pipe_mut(party.reads()).wake_reader(woken);
        self.pipe_mut(party.writes()).wake_writer(woken);
    }
}
