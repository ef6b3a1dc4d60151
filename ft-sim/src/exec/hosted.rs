//! The same executor as a guest of tokio: one task of a current-thread runtime with a paused clock.
//!
//! Parties may call `tokio::spawn` and `tokio::time`. The link's own timers become tokio timers, so that both kinds
//! fire in one order. Whether anyone can still run is known to tokio alone; so a deadlock is what nothing interrupts
//! for an hour of virtual time, to which a paused clock jumps at once.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use super::{Exec, Observer, RunEnd, Task, Turn};
use crate::core::Shared;
use crate::limits;

/// Virtual time without anything happening that is taken for a deadlock. Not more, because a task that ticks is run through all
/// of it.
const IDLE: Duration = Duration::from_secs(3600);

/// How long drained gates wait before they open: the least that lets every runnable tokio task run first.
const SETTLE: Duration = Duration::from_millis(1);

/// Runs the tasks inside the current tokio runtime, whose clock is paused.
pub(crate) async fn run_hosted(
    exec: &mut Exec,
    shared: &Shared,
    tasks: &mut [&mut dyn Task],
    observer: &mut dyn Observer,
) -> RunEnd {
    exec.start(shared, tasks.len(), true);
    let began = tokio::time::Instant::now();
    exec.wakes.hosted.store(true, Ordering::Release);
    let end = drive(exec, shared, tasks, observer, began).await;
    exec.wakes.hosted.store(false, Ordering::Release);
    *exec.wakes.host.lock().unwrap_or_else(PoisonError::into_inner) = None;
    end
}

async fn drive(
    exec: &mut Exec,
    shared: &Shared,
    tasks: &mut [&mut dyn Task],
    observer: &mut dyn Observer,
    began: tokio::time::Instant,
) -> RunEnd {
    let mut settled = false;
    // A case may drive several pairs, one after the other, and its clock goes on from one to the next.
    let base = Duration::from_nanos(shared.lock().now);
    let now = || base + began.elapsed();
    loop {
        let looked = limits::nanos(now());
        shared.lock().now = looked;
        match exec.turn(shared, tasks, observer) {
            Turn::Polled => {
                settled = false;
                continue;
            }
            Turn::Complete => return RunEnd::Complete,
            Turn::Endless(bound) => return RunEnd::Endless(bound),
            Turn::NobodyWoken => {}
        }
        let next = shared.lock().timers.next_time().map(Duration::from_nanos);
        let wait = match (settled, next) {
            (false, Some(at)) => at.saturating_sub(now()).min(SETTLE),
            (false, None) => SETTLE,
            (true, Some(at)) => at.saturating_sub(now()),
            (true, None) => IDLE,
        };
        if sleep_or_wake(exec, wait).await {
            settled = false;
            continue;
        }
        let mut core = shared.lock();
        core.now = limits::nanos(now());
        let due = core.timers.next_time().is_some_and(|at| at <= core.now);
        let moved = core.open_drained_gate(false)
            || due && core.fire_next_timer()
            || settled && next.is_none() && core.open_drained_gate(true);
        if settled && !moved && next.is_none() {
            // The hour in which nothing happened is no time of the case's.
            core.now = looked;
            return RunEnd::Deadlock(core.waiting());
        }
        if next.is_some() && core.now > limits::nanos(limits::MAX_VIRTUAL_TIME) {
            return RunEnd::Endless("virtual time");
        }
        shared.unlock_and_wake(core);
        settled = !moved;
    }
}

/// Waits for a wake (true) or for the time to pass (false).
async fn sleep_or_wake(exec: &Exec, wait: Duration) -> bool {
    let mut sleep = pin!(tokio::time::sleep(wait));
    poll_fn(|cx| {
        *exec.wakes.host.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        if exec.wakes.bits.load(Ordering::Acquire) & exec.live != 0 {
            return Poll::Ready(true);
        }
        sleep.as_mut().poll(cx).map(|()| false)
    })
    .await
}
