//! What the network does: opens connections, decides faults, moves bytes from written to delivered, applies steps.

use super::{Conn, End, Gate, Sink};
use crate::core::{Core, Death, HostId, Timer};
use crate::limits;
use crate::schedule::{Direction, Fault, Party, Step};
use crate::trace::What;

impl Core {
    /// Opens a connection between two hosts and returns its index.
    ///
    /// # Panics
    ///
    /// Beyond [`limits::MAX_CONNECTIONS`] in one run.
    pub(crate) fn open_conn(&mut self, hosts: [HostId; 2], windows: [u64; 2]) -> u16 {
        assert!(self.open < limits::MAX_CONNECTIONS, "more than {} connections in one run", limits::MAX_CONNECTIONS);
        let index = self.open;
        self.open += 1;
        if self.conns.len() <= index {
            self.conns.push(Conn::new());
        }
        let conn = &mut self.conns[index];
        for (pipe, window) in conn.pipes.iter_mut().zip(windows) {
            pipe.recycle(window.max(1));
        }
        conn.ends = hosts.map(|host| End { host, ..End::default() });
        let index = u16::try_from(index).expect("bounded by MAX_CONNECTIONS");
        self.trace.fold([TAG_OPEN, u64::from(index)]);
        let (now, step) = (self.now, self.step);
        self.trace.keep(now, step, || What::Open { conn: index + 1, hosts });
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
    pub(super) fn plan(&mut self, conn: u16, dir: Direction, to: u64) {
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
        self.planner.plan(&mut self.choices, (conn + 1, dir), from, to, &mut self.steps);
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
                        quiet.map(|key| self.timers.remove(key));
                    } else {
                        if quiet.is_none() && pipe.written > pipe.delivered {
                            let time = self.now.saturating_add(limits::nanos(limits::HOLD_QUIET));
                            let key = self.add_timer(time, Timer::Gate(conn, dir));
                            self.conns[usize::from(conn)].pipe_mut(dir).gate = Gate::Hold { until, quiet: Some(key) };
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
                self.apply(Step { conn: conn + 1, dir, at, fault });
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
        self.trace.fold([TAG_DELIVER | u64::from(conn) << 8 | (dir as u64) << 32, offset, upto, self.now]);
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
        pipe.wake_reader(&mut self.woken);
        true
    }

    fn deliver_fin(&mut self, conn: u16, dir: Direction) {
        let pipe = self.conns[usize::from(conn)].pipe_mut(dir);
        pipe.fin_delivered = true;
        let offset = pipe.delivered;
        self.trace.fold([TAG_FIN | u64::from(conn) << 8 | (dir as u64) << 32, offset, self.now]);
        self.trace.keep(self.now, self.step, || What::Fin { conn: conn + 1, dir, offset });
        pipe.wake_reader(&mut self.woken);
    }

    /// A RST arrives at `party`: what is in flight in either direction is lost.
    pub(super) fn rst_arrives(&mut self, conn: u16, party: Party) {
        let state = &mut self.conns[usize::from(conn)];
        let offset = state.pipe(party.reads()).delivered;
        for pipe in &mut state.pipes {
            // Where the connection was closed towards both, each learns of it by its own write.
            let sink = if pipe.sink == Sink::Refuse { Sink::Refuse } else { Sink::Swallow };
            pipe.lose_undelivered(sink);
        }
        self.trace.fold([TAG_RST | u64::from(conn) << 8 | (party as u64) << 32, offset, self.now]);
        self.trace.keep(self.now, self.step, || What::Rst { conn: conn + 1, to: party, offset });
        state.reset_end(party, &mut self.woken);
    }

    /// A step takes effect.
    fn apply(&mut self, step: Step) {
        let Step { conn: number, dir, at, fault } = step;
        let conn = number - 1;
        let now = self.now;
        self.trace.fold([TAG_FAULT | u64::from(conn) << 8 | (dir as u64) << 32, at, now]);
        self.trace.keep(now, self.step, || What::Fault(step));
        let pipe = self.conns[usize::from(conn)].pipe_mut(dir);
        match fault {
            // Kept in their own lists and applied by the write or read that meets them.
            Fault::Short | Fault::Clip => {}
            Fault::Window(bytes) => {
                pipe.window = bytes;
                pipe.wake_writer(&mut self.woken);
            }
            Fault::Hold { until } => {
                pipe.gate = Gate::Hold { until: until.unwrap_or(u64::MAX), quiet: None };
            }
            Fault::Delay(span) => pipe.gate = Gate::DelayArmed(limits::nanos(span)),
            Fault::Split => pipe.gate = Gate::Drain(None),
            Fault::Kill(party) => pipe.gate = Gate::Drain(Some((party, Death::Kill))),
            Fault::Crash(party) => pipe.gate = Gate::Drain(Some((party, Death::Crash))),
            Fault::Stall => pipe.stalled = true,
            Fault::HalfClose => {
                pipe.lose_undelivered(Sink::Swallow);
                pipe.wake_writer(&mut self.woken);
                self.deliver_fin(conn, dir);
            }
            Fault::Fin => {
                for dir in [dir, dir.reverse()] {
                    let pipe = self.conns[usize::from(conn)].pipe_mut(dir);
                    pipe.lose_undelivered(Sink::Refuse);
                    pipe.wake_writer(&mut self.woken);
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

    /// Once every task has ended: deaths whose offset was read in a task's last step still come, so that a disk hears
    /// of a power cut right after the last word.
    pub(crate) fn last_deaths(&mut self) {
        for index in 0..self.open {
            for dir in Direction::BOTH {
                let pipe = self.conns[index].pipe_mut(dir);
                if let Gate::Drain(Some((party, death))) = pipe.gate
                    && !pipe.stalled
                    && pipe.read == pipe.delivered
                {
                    pipe.gate = Gate::Open;
                    let host = self.conns[index].host(party);
                    self.deaths.push((host, death));
                }
            }
        }
    }
}

const TAG_OPEN: u64 = 10;
const TAG_DELIVER: u64 = 11;
const TAG_FIN: u64 = 12;
const TAG_RST: u64 = 13;
const TAG_FAULT: u64 = 14;
