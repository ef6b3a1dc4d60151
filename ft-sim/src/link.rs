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
//! This file holds the state and what delivery does with it; `link/ops.rs` holds read, write, shutdown and close.

mod ops;

use std::io;
use std::task::Waker;

use crate::core::{Core, Death, HostId, Timer, TimerKey};
use crate::limits;
use crate::schedule::{Direction, Fault, Party, Step};
use crate::trace::What;

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
    reader: Option<Waker>,
    writer: Option<Waker>,
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

    /// Bytes in flight are lost, and none follow.
    fn lose_undelivered(&mut self, sink: Sink) {
        let kept = limits::index(self.delivered - self.read);
        self.buf.truncate(self.head + kept);
        self.sink = sink;
        self.gate = Gate::Open;
    }

    fn wake_reader(&mut self, to_wake: &mut Vec<Waker>) {
        to_wake.extend(self.reader.take());
    }

    fn wake_writer(&mut self, to_wake: &mut Vec<Waker>) {
        to_wake.extend(self.writer.take());
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
        Self {
            pipes: [Pipe::new(), Pipe::new()],
            ends: [End::default(); 2],
        }
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
    fn reset_end(&mut self, party: Party, to_wake: &mut Vec<Waker>) {
        let fin_came = self.pipe(party.reads()).fin_delivered;
        let end = self.end_mut(party);
        if !end.closed && !end.reset {
            end.reset = true;
            end.error = Some(if fin_came {
                io::ErrorKind::BrokenPipe
            } else {
                io::ErrorKind::ConnectionReset
            });
        }
        self.pipe_mut(party.reads()).wake_reader(to_wake);
        self.pipe_mut(party.writes()).wake_writer(to_wake);
    }
}

impl Core {
    /// Opens a connection between two hosts and returns its index.
    ///
    /// # Panics
    ///
    /// Beyond [`limits::MAX_CONNECTIONS`] in one run.
    pub(crate) fn open_conn(&mut self, hosts: [HostId; 2], windows: [u64; 2]) -> u16 {
        assert!(
            self.open < limits::MAX_CONNECTIONS,
            "more than {} connections in one run",
            limits::MAX_CONNECTIONS
        );
        let index = self.open;
        self.open += 1;
        if self.conns.len() <= index {
            self.conns.push(Conn::new());
        }
        let conn = &mut self.conns[index];
        for (pipe, window) in conn.pipes.iter_mut().zip(windows) {
            pipe.recycle(window.max(1));
        }
        conn.ends = hosts.map(|host| End {
            host,
            ..End::default()
        });
        let index = u16::try_from(index).expect("bounded by MAX_CONNECTIONS");
        self.trace.fold(&[TAG_OPEN, u64::from(index)]);
        let (now, step) = (self.now, self.step);
        self.trace.keep(now, step, || What::Open {
            conn: index + 1,
            hosts,
        });
        for dir in Direction::BOTH {
            if let (Some(script), false) = (&self.script, self.calm) {
                let pipe = self.conns[usize::from(index)].pipe_mut(dir);
                for step in script.steps_of(index + 1, dir) {
                    pipe.add_step(step.at, step.fault);
                }
            } else {
                self.plan(index, dir, 0);
            }
        }
        for dir in Direction::BOTH {
            self.pump(index, dir);
        }
        index
    }

    /// Decides the faults of offsets up to `to`, once each.
    fn plan(&mut self, conn: u16, dir: Direction, to: u64) {
        if self.script.is_some() || self.calm || !self.planner.plans() {
            return;
        }
        let pipe = self.conns[usize::from(conn)].pipe_mut(dir);
        if to <= pipe.planned && to > 0 {
            return;
        }
        let from = pipe.planned;
        pipe.planned = to;
        let first = self.steps.len();
        self.planner.plan(
            &mut self.choices,
            (conn + 1, dir),
            from,
            to,
            &mut self.steps,
        );
        for step in &self.steps[first..] {
            if step.fault.is_terminal() {
                pipe.planned = u64::MAX;
            }
            pipe.add_step(step.at, step.fault);
        }
    }

    /// Delivers whatever may be delivered now, and applies the steps that lie on the way.
    pub(crate) fn pump(&mut self, conn: u16, dir: Direction) {
        loop {
            let pipe = self.conns[usize::from(conn)].pipe_mut(dir);
            if pipe.stalled || pipe.fin_delivered || pipe.sink != Sink::Deliver {
                return;
            }
            match pipe.gate {
                Gate::Open => {}
                Gate::Hold { until, quiet } => {
                    let due = quiet.is_some_and(|(time, _)| self.now >= time);
                    if due || pipe.written >= until || pipe.fin_queued {
                        pipe.gate = Gate::Open;
                        quiet.map(|key| self.timers.remove(&key));
                    } else {
                        if quiet.is_none() && pipe.written > pipe.delivered {
                            let time = self.now.saturating_add(limits::nanos(limits::HOLD_QUIET));
                            let key = self.add_timer(time, Timer::Gate(conn, dir));
                            self.conns[usize::from(conn)].pipe_mut(dir).gate = Gate::Hold {
                                until,
                                quiet: Some(key),
                            };
                        }
                        return;
                    }
                }
                Gate::Until(time) if self.now >= time => pipe.gate = Gate::Open,
                Gate::Drain(_) | Gate::Until(_) => return,
                Gate::DelayArmed(span) => {
                    if pipe.written > pipe.delivered || pipe.fin_queued {
                        let time = self.now.saturating_add(span);
                        pipe.gate = Gate::Until(time);
                        self.add_timer(time, Timer::Gate(conn, dir));
                    }
                    return;
                }
            }
            let next = pipe.plan.get(pipe.plan_next).copied();
            let stop = next.map_or(u64::MAX, |(at, _)| at).max(pipe.delivered);
            let upto = pipe.written.min(stop);
            if upto > pipe.delivered {
                if !self.deliver(conn, dir, upto) {
                    return;
                }
                continue;
            }
            if let (Some((at, fault)), true) = (next, stop == pipe.delivered) {
                pipe.plan_next += 1;
                self.apply(Step {
                    conn: conn + 1,
                    dir,
                    at,
                    fault,
                });
                continue;
            }
            if pipe.fin_queued && pipe.delivered == pipe.written {
                self.deliver_fin(conn, dir);
            }
            return;
        }
    }

    /// Moves bytes up to `upto` to the reader's side; false if there is no one to take them.
    fn deliver(&mut self, conn: u16, dir: Direction, upto: u64) -> bool {
        let state = &mut self.conns[usize::from(conn)];
        let pipe = state.pipe_mut(dir);
        let offset = pipe.delivered;
        pipe.delivered = upto;
        self.trace.fold(&[
            TAG_DELIVER | u64::from(conn) << 8 | (dir as u64) << 32,
            offset,
            upto,
            self.now,
        ]);
        let start = pipe.head + limits::index(offset - pipe.read);
        let end = pipe.head + limits::index(upto - pipe.read);
        self.trace.keep(self.now, self.step, || What::Deliver {
            conn: conn + 1,
            dir,
            offset,
            bytes: pipe.buf[start..end].to_vec(),
        });
        if pipe.reader_gone {
            // Nobody holds the socket any more: the kernel answers with RST, unless the way back is silent.
            if !state.pipe(dir.reverse()).stalled {
                self.rst_arrives(conn, dir.writer());
            }
            return false;
        }
        pipe.wake_reader(&mut self.to_wake);
        true
    }

    fn deliver_fin(&mut self, conn: u16, dir: Direction) {
        let pipe = self.conns[usize::from(conn)].pipe_mut(dir);
        pipe.fin_delivered = true;
        let offset = pipe.delivered;
        self.trace.fold(&[
            TAG_FIN | u64::from(conn) << 8 | (dir as u64) << 32,
            offset,
            self.now,
        ]);
        self.trace.keep(self.now, self.step, || What::Fin {
            conn: conn + 1,
            dir,
            offset,
        });
        pipe.wake_reader(&mut self.to_wake);
    }

    /// A RST arrives at `party`: what is in flight in either direction is lost.
    fn rst_arrives(&mut self, conn: u16, party: Party) {
        let state = &mut self.conns[usize::from(conn)];
        let offset = state.pipe(party.reads()).delivered;
        for pipe in &mut state.pipes {
            pipe.lose_undelivered(Sink::Swallow);
        }
        self.trace.fold(&[
            TAG_RST | u64::from(conn) << 8 | (party as u64) << 32,
            offset,
            self.now,
        ]);
        self.trace.keep(self.now, self.step, || What::Rst {
            conn: conn + 1,
            to: party,
            offset,
        });
        state.reset_end(party, &mut self.to_wake);
    }

    /// A step takes effect.
    fn apply(&mut self, step: Step) {
        let Step {
            conn: number,
            dir,
            at,
            fault,
        } = step;
        let conn = number - 1;
        let now = self.now;
        self.trace.fold(&[
            TAG_FAULT | u64::from(conn) << 8 | (dir as u64) << 32,
            at,
            now,
        ]);
        self.trace.keep(now, self.step, || What::Fault(step));
        let pipe = self.conns[usize::from(conn)].pipe_mut(dir);
        match fault {
            // Kept in their own lists and applied by the write or read that meets them.
            Fault::Short | Fault::Clip => {}
            Fault::Window(bytes) => {
                pipe.window = bytes;
                pipe.wake_writer(&mut self.to_wake);
            }
            Fault::Hold { until } => {
                pipe.gate = Gate::Hold {
                    until: until.unwrap_or(u64::MAX),
                    quiet: None,
                };
            }
            Fault::Delay(span) => pipe.gate = Gate::DelayArmed(limits::nanos(span)),
            Fault::Split => pipe.gate = Gate::Drain(None),
            Fault::Kill(party) => pipe.gate = Gate::Drain(Some((party, Death::Kill))),
            Fault::Crash(party) => pipe.gate = Gate::Drain(Some((party, Death::Crash))),
            Fault::Stall => pipe.stalled = true,
            Fault::HalfClose => {
                pipe.lose_undelivered(Sink::Swallow);
                pipe.wake_writer(&mut self.to_wake);
                self.deliver_fin(conn, dir);
            }
            Fault::Fin => {
                for dir in [dir, dir.reverse()] {
                    let pipe = self.conns[usize::from(conn)].pipe_mut(dir);
                    pipe.lose_undelivered(Sink::Refuse);
                    pipe.wake_writer(&mut self.to_wake);
                    if !pipe.fin_delivered {
                        self.deliver_fin(conn, dir);
                    }
                }
            }
            Fault::Rst => {
                self.rst_arrives(conn, dir.reader());
                self.rst_arrives(conn, dir.writer());
            }
        }
    }

    /// Nobody can run: opens the first gate that only waits for the reader; false if there is none.
    ///
    /// With `force`, also gates whose reader has not taken everything: the network does not wait for ever for a
    /// reader that does something else.
    pub(crate) fn open_drained_gate(&mut self, force: bool) -> bool {
        for index in 0..self.open {
            for dir in Direction::BOTH {
                let pipe = self.conns[index].pipe_mut(dir);
                let Gate::Drain(then) = pipe.gate else {
                    continue;
                };
                if pipe.stalled || !(force || pipe.read == pipe.delivered) {
                    continue;
                }
                pipe.gate = Gate::Open;
                let conn = u16::try_from(index).expect("bounded by MAX_CONNECTIONS");
                if let Some((party, death)) = then {
                    let host = self.conns[index].host(party);
                    self.deaths.push((host, death));
                    return true;
                }
                self.pump(conn, dir);
                return true;
            }
        }
        false
    }
}

const TAG_OPEN: u64 = 10;
const TAG_DELIVER: u64 = 11;
const TAG_FIN: u64 = 12;
const TAG_RST: u64 = 13;
const TAG_FAULT: u64 = 14;
