//! What everybody in a room shares: who acted, which timers are pending, who died; and the tasks of the parties.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::core::{HostId, Shared};
use crate::exec::{Ended, panic_message};
use crate::ground::Time;
use crate::limits;
use crate::trace::What;
use crate::world::HostDeath;

#[derive(Debug)]
struct Seated {
    host: HostId,
    ended: Ended<()>,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct State {
    activity: u64,
    /// How many timers fire at a time.
    alarms: BTreeMap<Duration, u32>,
    deaths: Vec<(HostId, HostDeath)>,
    dead: BTreeMap<HostId, HostDeath>,
    dark: BTreeSet<HostId>,
    tasks: Vec<Seated>,
    /// Parties that have no stream yet.
    missing: usize,
}

/// The hub of a room. One for each run of a case.
#[derive(Clone, Default)]
pub struct Hub(Arc<Mutex<State>>);

impl Hub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a timer that fires at `deadline`, until the alarm is dropped.
    #[must_use]
    pub fn alarm(&self, deadline: Duration) -> Alarm {
        *self.lock().alarms.entry(deadline).or_default() += 1;
        Alarm { hub: self.clone(), deadline }
    }

    /// A network's own sleep, of which the hub knows until it is over.
    #[must_use]
    pub fn alarmed<F>(&self, deadline: Duration, sleep: F) -> Alarmed<F> {
        Alarmed { sleep: Box::pin(sleep), alarm: Some(self.alarm(deadline)) }
    }

    /// Somebody did something.
    pub(crate) fn act(&self) {
        self.lock().activity += 1;
    }

    pub(crate) fn activity(&self) -> u64 {
        self.lock().activity
    }

    /// Makes it ready for another attempt: hosts that died have been started again.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.deaths.clear();
        state.dead.clear();
        state.dark.clear();
        state.tasks.clear();
        state.missing = 0;
    }

    /// Expects one party more, the next by number.
    pub(super) fn seat(&self, host: HostId) {
        let mut state = self.lock();
        state.tasks.push(Seated { host, ended: Ended::Waiting, waker: None });
        state.missing += 1;
    }

    pub(super) fn arrived(&self) {
        let mut state = self.lock();
        state.missing -= 1;
        state.activity += 1;
    }

    /// A party is still being connected, or a timer is pending.
    pub(super) fn is_waiting(&self, now: Duration) -> bool {
        let state = self.lock();
        state.missing > 0 || state.alarms.last_key_value().is_some_and(|(deadline, _)| *deadline > now)
    }

    pub(super) fn all_ended(&self) -> bool {
        self.lock().tasks.iter().all(|task| task.ended != Ended::Waiting)
    }

    pub(crate) fn die(&self, host: HostId, death: HostDeath) {
        let mut state = self.lock();
        state.activity += 1;
        if death == HostDeath::Crashed {
            state.dark.insert(host);
        }
        state.deaths.push((host, death));
    }

    pub(crate) fn is_dark(&self, host: HostId) -> bool {
        self.lock().dark.contains(&host)
    }

    pub(super) fn next_death(&self) -> Option<(HostId, HostDeath)> {
        self.lock().deaths.pop()
    }

    /// Ends the tasks of a host: each drops what it owns when it is polled next.
    pub(super) fn kill(&self, host: HostId, death: HostDeath) {
        let mut state = self.lock();
        state.dead.insert(host, death);
        state.activity += 1;
        let mut wakers: Vec<Waker> = Vec::new();
        for task in state.tasks.iter_mut().filter(|task| task.host == host && task.ended == Ended::Waiting) {
            // Said here, for a network may cancel the task before it is polled again.
            task.ended = match death {
                HostDeath::Killed => Ended::Killed,
                HostDeath::Crashed => Ended::Crashed,
            };
            wakers.extend(task.waker.take());
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn end(&self, task: usize, ended: Ended<()>) {
        let mut state = self.lock();
        state.activity += 1;
        state.tasks[task].ended = ended;
    }

    /// How each task ended, in order.
    pub(super) fn take_ended(&self) -> Vec<Ended<()>> {
        std::mem::take(&mut self.lock().tasks).into_iter().map(|task| task.ended).collect()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

/// A pending timer, as the hub knows it.
pub struct Alarm {
    hub: Hub,
    deadline: Duration,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        if let Some(count) = state.alarms.get_mut(&self.deadline) {
            *count -= 1;
            if *count == 0 {
                state.alarms.remove(&self.deadline);
            }
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// The future of [`Hub::alarmed`].
#[derive(Debug)]
pub struct Alarmed<F> {
    sleep: Pin<Box<F>>,
    alarm: Option<Alarm>,
}

impl<F: Future<Output = ()>> Future for Alarmed<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let result = self.sleep.as_mut().poll(cx);
        if result.is_ready() {
            self.alarm = None;
        }
        result
    }
}

/// A party at play.
pub(super) struct Playing<T> {
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    task: usize,
    host: HostId,
    hub: Hub,
    shared: Shared,
    time: T,
}

impl<T: Time> Playing<T> {
    pub(super) fn new(
        future: Pin<Box<dyn Future<Output = ()>>>,
        task: usize,
        host: HostId,
        (hub, shared, time): (Hub, Shared, T),
    ) -> Self {
        Self { future: Some(future), task, host, hub, shared, time }
    }

    fn end(&mut self, ended: Ended<()>) -> Poll<()> {
        // What the party owned is closed before anybody hears of its end.
        self.future = None;
        let task = u8::try_from(self.task).expect("few parties in a room");
        let mut core = self.shared.lock();
        let (now, step, how) = (core.now, core.step, ended.describe());
        core.trace.keep(now, step, || What::Done { host: self.host, task, how });
        drop(core);
        self.hub.end(self.task, ended);
        Poll::Ready(())
    }
}

impl<T: Time> Future for Playing<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        {
            let mut core = this.shared.lock();
            core.now = limits::nanos(this.time.now());
            core.step += 1;
            core.host = Some(this.host);
        }
        let dead = {
            let mut state = this.hub.lock();
            state.tasks[this.task].waker = Some(cx.waker().clone());
            state.dead.get(&this.host).copied()
        };
        let Some(future) = &mut this.future else { return Poll::Ready(()) };
        let result = match dead {
            Some(HostDeath::Killed) => this.end(Ended::Killed),
            Some(HostDeath::Crashed) => this.end(Ended::Crashed),
            // A panicking party is a process that died: the others go on and see its sockets close.
            None => match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(())) => this.end(Ended::Done(())),
                Err(payload) => this.end(Ended::Panicked(panic_message(payload.as_ref()))),
            },
        };
        this.shared.lock().host = None;
        result
    }
}
