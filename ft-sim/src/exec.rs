//! The wake-faithful executor: polls only what was woken, in a chosen order.
//!
//! A task that returns `Pending` without having arranged to be woken stays where it is, as under any real executor; if
//! then nobody can run and no timer is pending, that is a deadlock, and it is reported with who waits for what. There
//! is no runtime inside, which is what makes hundreds of thousands of schedules a second possible. Code that needs
//! `tokio::spawn` or `tokio::time` runs the same tasks inside a tokio runtime with a paused clock: `exec/hosted.rs`.

#[cfg(feature = "tokio-world")]
mod hosted;

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::core::{Death, HostId, Shared, TAG_DONE, TAG_POLL};
use crate::limits;
use crate::trace::What;

#[cfg(feature = "tokio-world")]
pub(crate) use hosted::run_hosted;

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// It returned this.
    Done(T),
    /// It panicked with this message. Its sockets were closed as the kernel closes those of a dead process.
    Panicked(String),
    /// Its process was killed.
    Killed,
    /// Its host lost power.
    Crashed,
    /// It still waits: deadlock, or the run's bounds ended it.
    Waiting,
}

impl<T> Ended<T> {
    /// What the task returned, if it did.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(output) => Some(output),
            Self::Panicked(_) | Self::Killed | Self::Crashed | Self::Waiting => None,
        }
    }

    /// What the task returned, if it did, by reference.
    pub fn as_done(&self) -> Option<&T> {
        match self {
            Self::Done(output) => Some(output),
            Self::Panicked(_) | Self::Killed | Self::Crashed | Self::Waiting => None,
        }
    }

    /// What the task panicked with, if it did; escaped.
    pub fn panic(&self) -> Option<&str> {
        match self {
            Self::Panicked(message) => Some(message),
            Self::Done(_) | Self::Killed | Self::Crashed | Self::Waiting => None,
        }
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Done(_) => "done".to_owned(),
            Self::Panicked(message) => format!("panicked: {message}"),
            Self::Killed => "killed".to_owned(),
            Self::Crashed => "crashed".to_owned(),
            Self::Waiting => "waiting".to_owned(),
        }
    }
}

/// A task as the executor sees it. The hosts' numbers are the case's.
pub(crate) trait Task {
    fn host(&self) -> HostId;
    /// Polls; at the end the future is dropped, so that what it owned is closed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    /// Ends it from outside.
    fn kill(&mut self, death: Death);
    /// How it ended, in words, for the trace.
    fn describe(&self) -> String;
    /// What it panicked with, if it did.
    fn panic(&self) -> Option<&str>;
}

/// A task whose future lives on the caller's stack.
pub(crate) struct Slot<'a, F: Future> {
    pub(crate) host: HostId,
    pub(crate) future: Pin<&'a mut Option<F>>,
    pub(crate) ended: Ended<F::Output>,
}

impl<F: Future> Task for Slot<'_, F> {
    fn host(&self) -> HostId {
        self.host
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(future) = self.future.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        // A panicking party is a process that died: the others go on and see its sockets close.
        self.ended = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ended::Done(output),
            Err(payload) => Ended::Panicked(panic_message(payload.as_ref())),
        };
        self.future.set(None);
        Poll::Ready(())
    }

    fn kill(&mut self, death: Death) {
        self.ended = match death {
            Death::Kill => Ended::Killed,
            Death::Crash => Ended::Crashed,
        };
        self.future.set(None);
    }

    fn describe(&self) -> String {
        self.ended.describe()
    }

    fn panic(&self) -> Option<&str> {
        self.ended.panic()
    }
}

/// The text of a panic, escaped: it may be anything that a party got from its peer.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.map_or_else(|| "a panic without a text".to_owned(), |text| crate::trace::escape(text.as_bytes()))
}

/// Which tasks have been woken, and whom to tell when the executor itself is a guest.
#[derive(Debug, Default)]
struct Wakes {
    bits: AtomicU64,
    host: Mutex<Option<Waker>>,
    hosted: std::sync::atomic::AtomicBool,
}

struct TaskWaker {
    bit: u64,
    wakes: Arc<Wakes>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wakes.bits.fetch_or(self.bit, Ordering::AcqRel);
        if self.wakes.hosted.load(Ordering::Acquire) {
            let host = self.wakes.host.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(waker) = host {
                waker.wake();
            }
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunEnd {
    /// Every task ended.
    Complete,
    /// Nobody can run and no timer is pending; who waits for what.
    Deadlock(String),
    /// A bound of [`limits`] was reached; which.
    Endless(&'static str),
}

/// What the world does between polls: watches that look after every step, hooks that hear of deaths.
pub(crate) trait Observer {
    fn after_step(&mut self);
    fn on_death(&mut self, host: HostId, death: Death);
}

/// The executor; kept between runs for its wakers.
pub(crate) struct Exec {
    wakes: Arc<Wakes>,
    wakers: Vec<Waker>,
    live: u64,
    last: u32,
}

enum Turn {
    Polled,
    NobodyWoken,
    Complete,
    Endless(&'static str),
}

impl Exec {
    pub(crate) fn new() -> Self {
        Self { wakes: Arc::default(), wakers: Vec::new(), live: 0, last: 0 }
    }

    /// Runs the tasks to the end.
    ///
    /// # Panics
    ///
    /// With more than [`limits::MAX_TASKS`] tasks.
    pub(crate) fn run(&mut self, shared: &Shared, tasks: &mut [&mut dyn Task], observer: &mut dyn Observer) -> RunEnd {
        self.start(shared, tasks.len(), false);
        loop {
            match self.turn(shared, tasks, observer) {
                Turn::Polled => {}
                Turn::Complete => return RunEnd::Complete,
                Turn::Endless(bound) => return RunEnd::Endless(bound),
                Turn::NobodyWoken => {
                    let mut core = shared.lock();
                    let moved = core.open_drained_gate(false) || core.fire_next_timer() || core.open_drained_gate(true);
                    if !moved {
                        return RunEnd::Deadlock(core.waiting());
                    }
                    if core.now > limits::nanos(limits::MAX_VIRTUAL_TIME) {
                        return RunEnd::Endless("virtual time");
                    }
                    shared.unlock_and_wake(core);
                }
            }
        }
    }

    fn start(&mut self, shared: &Shared, tasks: usize, hosted: bool) {
        let mut core = shared.lock();
        assert!(tasks <= limits::MAX_TASKS, "{tasks} tasks, at most {} in one run", limits::MAX_TASKS);
        while self.wakers.len() < tasks {
            let bit = 1 << self.wakers.len();
            self.wakers.push(Waker::from(Arc::new(TaskWaker { bit, wakes: Arc::clone(&self.wakes) })));
        }
        // A guest must hear of every wake, so that it takes none for its own.
        core.woken.know(if hosted { &[] } else { &self.wakers[..tasks] });
        self.live = if tasks == 64 { u64::MAX } else { (1 << tasks) - 1 };
        self.wakes.bits.store(0, Ordering::Release);
        core.woken.tasks = self.live;
        // So that the first turn begins with the first task.
        self.last = 63;
    }

    /// Polls one woken task.
    fn turn(&mut self, shared: &Shared, tasks: &mut [&mut dyn Task], observer: &mut dyn Observer) -> Turn {
        let mut core = shared.lock();
        if !core.deaths.is_empty() {
            drop(core);
            self.bury(shared, tasks, observer);
            core = shared.lock();
        }
        if self.live == 0 {
            core.last_deaths();
            drop(core);
            self.bury(shared, tasks, observer);
            return Turn::Complete;
        }
        // What was woken through a waker joins what was woken by sight.
        if self.wakes.bits.load(Ordering::Relaxed) != 0 {
            core.woken.tasks |= self.wakes.bits.swap(0, Ordering::AcqRel);
        }
        let woken = core.woken.tasks & self.live;
        if woken == 0 {
            return Turn::NobodyWoken;
        }
        let count = woken.count_ones();
        let nth = if count > 1 { core.pick_order(count) } else { 0 };
        let task = self.choose(woken, nth);
        self.last = task;
        let number = u8::try_from(task).expect("at most 64 tasks");
        core.step += 1;
        let host = tasks[task as usize].host();
        core.host = Some(host);
        let (now, step) = (core.now, core.step);
        core.trace.fold([TAG_POLL | u64::from(task) << 8]);
        core.trace.keep(now, step, || What::Poll { host, task: number });
        core.woken.tasks &= !(1 << task);
        drop(core);
        if step > limits::MAX_STEPS {
            return Turn::Endless("polls");
        }
        let mut context = Context::from_waker(&self.wakers[task as usize]);
        if tasks[task as usize].poll(&mut context).is_ready() {
            self.mark_done(shared, task, &*tasks[task as usize]);
        }
        observer.after_step();
        Turn::Polled
    }

    /// The `nth` woken task in the fair order: round from the one after the last that ran.
    fn choose(&self, woken: u64, nth: u32) -> u32 {
        let first = (self.last + 1) % 64;
        let mut rotated = woken.rotate_right(first);
        for _ in 0..nth {
            rotated &= rotated - 1;
        }
        (rotated.trailing_zeros() + first) % 64
    }

    fn mark_done(&mut self, shared: &Shared, task: u32, state: &dyn Task) {
        self.live &= !(1 << task);
        let mut core = shared.lock();
        core.trace.fold([TAG_DONE | u64::from(task) << 8]);
        let (now, step) = (core.now, core.step);
        let number = u8::try_from(task).expect("at most 64 tasks");
        core.trace.keep(now, step, || What::Done { host: state.host(), task: number, how: state.describe() });
    }

    /// Ends the tasks of hosts that died since the last turn.
    fn bury(&mut self, shared: &Shared, tasks: &mut [&mut dyn Task], observer: &mut dyn Observer) {
        loop {
            let (host, death) = {
                let mut core = shared.lock();
                let Some(dead) = core.deaths.pop() else {
                    return;
                };
                if dead.1 == Death::Crash {
                    core.darken(dead.0);
                }
                dead
            };
            // The disk hears of it first: a dying task's destructors must not reach it.
            observer.on_death(host, death);
            for (number, task) in (0_u32..).zip(tasks.iter_mut()) {
                if task.host() == host && self.live >> number & 1 == 1 {
                    task.kill(death);
                    self.mark_done(shared, number, &**task);
                }
            }
            let mut core = shared.lock();
            // A gate stood open while its owner died: what it held moves on.
            for conn in 0..core.open {
                let conn = u16::try_from(conn).expect("bounded by MAX_CONNECTIONS");
                for dir in crate::schedule::Direction::BOTH {
                    core.pump(conn, dir);
                }
            }
            shared.unlock_and_wake(core);
        }
    }
}
