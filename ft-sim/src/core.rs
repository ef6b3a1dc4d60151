//! The state that one run's streams, clock and executor share.
//!
//! One borrow for everything, and never held while foreign code runs: wakers are collected and woken after it has
//! ended, because waking may run code that comes back here. The executor's own wakers are known by sight and need none of
//! that: to wake a task of the run is to set its bit.

use std::cell::RefMut;
use std::sync::Arc;
use std::task::Waker;

use crate::choices::Choices;
use crate::faults::Planner;
use crate::invariant::Properties;
use crate::link::Conn;
use crate::one_thread::OneThread;
use crate::schedule::{Direction, Party, Pick, Schedule, Step};
use crate::timers::{TimerKey, Timers};
use crate::trace::{NoteKind, Trace, What};

/// A host: the tasks that live and die together.
pub type HostId = u8;

/// What a timer does when it fires.
#[derive(Debug)]
pub(crate) enum Timer {
    /// Wakes a task that sleeps.
    Wake(Sleeper),
    /// Looks again at a direction that delays or holds bytes.
    Gate(u16, Direction),
}

/// Who is to be woken.
#[derive(Clone, Debug)]
pub(crate) enum Sleeper {
    /// The run's own task of that number.
    Task(u32),
    /// Whoever is behind this waker.
    Other(Waker),
}

/// How a host ends before its tasks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The process is killed; its kernel closes its sockets.
    Kill,
    /// The host loses power; nothing more is heard of it.
    Crash,
}

pub(crate) struct Core {
    /// Counts runs; a stream left over from an earlier run is dead.
    pub(crate) epoch: u64,
    /// Virtual time, nanoseconds.
    pub(crate) now: u64,
    /// Polls so far.
    pub(crate) step: u64,
    /// The host whose task is being polled, for notes.
    pub(crate) host: Option<HostId>,
    pub(crate) timers: Timers,
    pub(crate) conns: Vec<Conn>,
    /// Connections of this run; `conns` behind it are spare buffers.
    pub(crate) open: usize,
    pub(crate) choices: Choices,
    pub(crate) planner: Planner,
    /// What the run was told to do; steps on connections are looked up when they open.
    pub(crate) script: Option<Schedule>,
    /// What the run decided.
    pub(crate) steps: Vec<Step>,
    pub(crate) picks: Vec<Pick>,
    /// How often each name was asked for: a handful, found by looking.
    pub(crate) pick_counts: Vec<(&'static str, u32)>,
    pub(crate) order_count: u32,
    /// Decisions for which the script has more than there is, with the largest value.
    pub(crate) clamped: Vec<(&'static str, u32, u32)>,
    /// True once faults have been lifted.
    pub(crate) calm: bool,
    /// What the last operation made ready.
    pub(crate) woken: Woken,
    pub(crate) deaths: Vec<(HostId, Death)>,
    pub(crate) trace: Trace,
    /// Where notes become text; taken out meanwhile.
    pub(crate) scratch: String,
    pub(crate) properties: Properties,
}

/// The name under which the executor's choice of the next task is recorded.
pub(crate) const ORDER: &str = "order";

impl Core {
    pub(crate) fn new() -> Self {
        Self {
            epoch: 0,
            now: 0,
            step: 0,
            host: None,
            timers: Timers::default(),
            conns: Vec::new(),
            open: 0,
            choices: Choices::Benign,
            planner: Planner::default(),
            script: None,
            steps: Vec::new(),
            picks: Vec::new(),
            pick_counts: Vec::new(),
            order_count: 0,
            clamped: Vec::new(),
            calm: false,
            woken: Woken::default(),
            deaths: Vec::new(),
            trace: Trace::default(),
            scratch: String::new(),
            properties: Properties::default(),
        }
    }

    /// Forgets the last run, keeping its buffers.
    pub(crate) fn reset(&mut self, keep_events: bool) {
        self.epoch += 1;
        self.now = 0;
        self.step = 0;
        self.host = None;
        self.timers.clear();
        self.open = 0;
        self.script = None;
        self.steps.clear();
        self.picks.clear();
        self.pick_counts.clear();
        self.order_count = 0;
        self.clamped.clear();
        self.calm = false;
        self.woken.clear();
        self.deaths.clear();
        self.trace.reset(keep_events);
        self.properties.clear();
    }

    /// Everything in which this run differed from the benign one.
    pub(crate) fn recorded(&self) -> Schedule {
        match &self.script {
            Some(script) => script.clone(),
            None => Schedule::from_valid(self.steps.clone(), self.picks.clone()),
        }
    }

    pub(crate) fn add_timer(&mut self, at: u64, timer: Timer) -> TimerKey {
        self.timers.add(at, timer)
    }

    /// Fires the earliest timer and moves the clock there; false if there is none.
    pub(crate) fn fire_next_timer(&mut self) -> bool {
        let Some((at, timer)) = self.timers.pop() else {
            return false;
        };
        self.now = self.now.max(at);
        let now = self.now;
        self.trace.fold([TAG_TIMER, now]);
        self.trace.keep(now, self.step, || What::Timer);
        match timer {
            Timer::Wake(sleeper) => self.woken.add(sleeper),
            Timer::Gate(conn, dir) => self.pump(conn, dir),
        }
        true
    }

    /// Which of `n` woken tasks is polled next, counted in the fair order.
    pub(crate) fn pick_order(&mut self, n: u32) -> u32 {
        let nth = self.order_count;
        self.order_count += 1;
        let value = match &self.script {
            Some(script) => script.picked(ORDER, nth),
            None if self.calm || !self.planner.reorders() => 0,
            None => self.choices.pick(n),
        };
        let value = self.clamp(ORDER, nth, value, n);
        self.record_pick(ORDER, nth, value);
        value
    }

    /// A case's own decision.
    pub(crate) fn pick_named(&mut self, name: &'static str, n: u32, free: bool) -> u32 {
        let nth = match self.pick_counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => {
                *count += 1;
                *count - 1
            }
            None => {
                self.pick_counts.push((name, 1));
                0
            }
        };
        let value = match &self.script {
            Some(script) => script.picked(name, nth),
            None if free => self.choices.branch(n),
            None => self.choices.pick(n),
        };
        let value = self.clamp(name, nth, value, n);
        self.record_pick(name, nth, value);
        value
    }

    /// One of `n` values: a script may have been written for more.
    fn clamp(&mut self, name: &'static str, nth: u32, value: u32, n: u32) -> u32 {
        let most = n.saturating_sub(1);
        if value > most {
            self.clamped.push((name, nth, most));
        }
        value.min(most)
    }

    fn record_pick(&mut self, name: &'static str, nth: u32, value: u32) {
        if value > 0 && self.script.is_none() {
            self.picks.push(Pick { name: name.into(), nth, value });
        }
    }

    pub(crate) fn note(&mut self, kind: NoteKind, text: &str) {
        self.trace.fold([TAG_NOTE, kind as u64]);
        self.trace.fold_bytes(text.as_bytes());
        self.keep_note(kind, text);
    }

    /// Folds what a note's text follows from.
    pub(crate) fn fold_fact(&mut self, kind: NoteKind, numbers: [u64; 3], name: &[u8]) {
        let [a, b, c] = numbers;
        self.trace.fold([TAG_FACT | (kind as u64) << 8, a, b, c]);
        if !name.is_empty() {
            self.trace.fold_bytes(name);
        }
    }

    /// Keeps a note, if events are kept.
    pub(crate) fn keep_note(&mut self, kind: NoteKind, text: &str) {
        let (now, step, host) = (self.now, self.step, self.host);
        self.trace.keep(now, step, || What::Note { host, kind, text: text.escape_debug().to_string() });
    }

    /// Says who waits for what; empty if nobody does.
    pub(crate) fn waiting(&self) -> String {
        let mut parts = Vec::new();
        for (number, conn) in (1_u32..).zip(&self.conns[..self.open]) {
            for dir in Direction::BOTH {
                let pipe = conn.pipe(dir);
                let prefix = if number == 1 { String::new() } else { format!("{number}:") };
                if pipe.has_reader_waiting() {
                    parts.push(format!(
                        "{} waits to read {prefix}{dir}@{}{}",
                        dir.reader(),
                        pipe.read_offset(),
                        pipe.explain_silence()
                    ));
                }
                if pipe.has_writer_waiting() {
                    parts.push(format!(
                        "{} waits to write {prefix}{dir}@{} (window full)",
                        dir.writer(),
                        pipe.written_offset()
                    ));
                }
            }
        }
        if parts.is_empty() {
            parts.push("a task waits for something that is neither a stream nor a timer of this world".to_owned());
        }
        parts.join("; ")
    }

    /// Marks both directions of a crashed host's connections silent.
    pub(crate) fn darken(&mut self, host: HostId) {
        for number in 0..self.open {
            for party in [Party::Client, Party::Server] {
                if self.conns[number].host(party) == host {
                    self.conns[number].darken(party);
                }
            }
        }
    }
}

pub(crate) const TAG_TIMER: u64 = 1;
pub(crate) const TAG_NOTE: u64 = 2;
pub(crate) const TAG_POLL: u64 = 3;
pub(crate) const TAG_DONE: u64 = 4;
pub(crate) const TAG_FACT: u64 = 5;

/// Tasks that have been woken and not yet polled, and strangers that have not yet been told.
#[derive(Debug, Default)]
pub(crate) struct Woken {
    /// The run's own tasks, by number.
    pub(crate) tasks: u64,
    /// Others, told by [`Shared::unlock_and_wake`].
    others: Vec<Waker>,
    /// The wakers of the run's own tasks, by number; empty where the executor itself must be woken.
    own: Vec<Waker>,
}

impl Woken {
    /// The wakers that mean the run's own tasks.
    pub(crate) fn know(&mut self, own: &[Waker]) {
        if self.own.len() != own.len() || self.own.iter().zip(own).any(|(old, new)| !old.will_wake(new)) {
            self.own = own.to_vec();
        }
    }

    /// Whom a waker wakes.
    pub(crate) fn sleeper(&self, waker: &Waker) -> Sleeper {
        match (0..).zip(&self.own).find(|(_, own)| own.will_wake(waker)) {
            Some((task, _)) => Sleeper::Task(task),
            None => Sleeper::Other(waker.clone()),
        }
    }

    pub(crate) fn add(&mut self, sleeper: Sleeper) {
        match sleeper {
            Sleeper::Task(task) => self.tasks |= 1 << task,
            Sleeper::Other(waker) => self.others.push(waker),
        }
    }

    fn clear(&mut self) {
        self.tasks = 0;
        self.others.clear();
    }
}

/// The shared core.
#[derive(Clone)]
pub(crate) struct Shared(Arc<OneThread<Core>>);

impl Shared {
    pub(crate) fn new() -> Self {
        Self(Arc::new(OneThread::new(Core::new())))
    }

    /// Borrows the core.
    ///
    /// # Panics
    ///
    /// On another thread than the run's.
    pub(crate) fn lock(&self) -> RefMut<'_, Core> {
        self.0.borrow_mut()
    }

    /// False on a thread that may not borrow the core.
    pub(crate) fn is_here(&self) -> bool {
        self.0.is_here()
    }

    /// Wakes whatever the last operation made ready, with the borrow ended.
    pub(crate) fn unlock_and_wake<'a>(&'a self, mut core: RefMut<'a, Core>) {
        while let Some(waker) = core.woken.others.pop() {
            drop(core);
            waker.wake();
            core = self.lock();
        }
    }
}
