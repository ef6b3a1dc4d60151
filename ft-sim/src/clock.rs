//! Virtual time: it stands still while anyone can run, and jumps to the next timer when nobody can.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::core::{Shared, Timer};
use crate::limits;
use crate::timers::TimerKey;

/// The clock of a world, for deadlines in code under test. Works in every executor.
#[derive(Clone)]
pub struct Clock {
    shared: Shared,
}

impl Clock {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Virtual time since the run began.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.shared.lock().now)
    }

    /// Waits for a span of virtual time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes its timer back.
    pub fn sleep(&self, span: Duration) -> Sleep {
        let (deadline, epoch) = {
            let core = self.shared.lock();
            (core.now.saturating_add(limits::nanos(span)), core.epoch)
        };
        Sleep { shared: self.shared.clone(), epoch, deadline, key: None }
    }

    /// Runs `future` for at most a span of virtual time.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] if it was not ready by then. At the very deadline the future is asked once more.
    ///
    /// # Cancel safety
    ///
    /// As that of `future`.
    pub async fn timeout<F: Future>(&self, span: Duration, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        let mut sleep = pin!(self.sleep(span));
        poll_fn(move |cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => sleep.as_mut().poll(cx).map(|()| Err(Elapsed)),
        })
        .await
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

/// A deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline passed")
    }
}

impl std::error::Error for Elapsed {}

/// The future of [`Clock::sleep`].
pub struct Sleep {
    shared: Shared,
    epoch: u64,
    deadline: u64,
    key: Option<TimerKey>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut core = this.shared.lock();
        if core.epoch != this.epoch || core.now >= this.deadline {
            if let Some(key) = this.key.take().filter(|_| core.epoch == this.epoch) {
                core.timers.remove(key);
            }
            return Poll::Ready(());
        }
        let sleeper = core.woken.sleeper(cx.waker());
        match this.key.and_then(|key| core.timers.get_mut(key)) {
            Some(Timer::Wake(old)) => *old = sleeper,
            Some(Timer::Gate(..)) | None => this.key = Some(core.add_timer(this.deadline, Timer::Wake(sleeper))),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        if std::thread::panicking() && !self.shared.is_here() {
            return;
        }
        let mut core = self.shared.lock();
        // The waker may own code: it is dropped after the borrow.
        let timer = (core.epoch == self.epoch).then(|| core.timers.remove(key));
        drop(core);
        drop(timer);
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sleep until {:?}", Duration::from_nanos(self.deadline))
    }
}
