//! A cell that its own thread alone may open: a `Mutex` without the atomics.
//!
//! A run lives on one thread, because threads would make it depend on the operating system's scheduler. Its streams
//! must nevertheless be `Send`, or code under test that hands them to `tokio::spawn` would not compile. A mutex gives
//! that, and cost a third of a run's time (some thirty lock and unlock pairs at 10 ns each, of 900 ns). Here the price
//! is one comparison; a stream that does reach another thread panics there with the reason instead of making the run
//! irreproducible.

#![expect(unsafe_code, reason = "two marker traits, argued below")]

use std::cell::{Cell, RefCell, RefMut};
use std::sync::atomic::{AtomicU64, Ordering};

/// A value that the thread on which it was made may borrow; others may carry and drop it.
pub(crate) struct OneThread<T> {
    owner: u64,
    value: RefCell<T>,
}

// SAFETY: carrying it elsewhere moves the value, which is `Send` itself. Every borrow goes through `borrow_mut`, which
// panics on any thread but the one that made it.
unsafe impl<T: Send> Send for OneThread<T> {}
// SAFETY: a shared reference gives access through `borrow_mut` and `is_here` alone. The first hands out the value, and
// touches the borrow flag, on the owning thread only, so that no two threads ever do; its guard is not `Send`. The
// second reads a number that never changes. Thread numbers are never given twice.
unsafe impl<T: Send> Sync for OneThread<T> {}

impl<T> OneThread<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { owner: this_thread(), value: RefCell::new(value) }
    }

    /// True on the thread that made it.
    pub(crate) fn is_here(&self) -> bool {
        self.owner == this_thread()
    }

    /// Borrows the value.
    ///
    /// # Panics
    ///
    /// On another thread, or while it is borrowed.
    pub(crate) fn borrow_mut(&self) -> RefMut<'_, T> {
        assert!(self.is_here(), "a stream, clock or tracer of a simulated world was used on another thread");
        self.value.borrow_mut()
    }
}

/// A number for this thread, from 1, never given to another.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    NUMBER.with(|number| match number.get() {
        0 => {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
            number.get()
        }
        known => known,
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "threads are what this is about")]
mod tests {
    use super::*;

    #[test]
    fn another_thread_may_hold_and_drop_the_cell_but_not_open_it() {
        let cell = std::sync::Arc::new(OneThread::new(5));
        *cell.borrow_mut() += 1;
        let carried = std::sync::Arc::clone(&cell);
        let opened = std::thread::spawn(move || {
            assert!(!carried.is_here());
            *carried.borrow_mut()
        });
        assert!(opened.join().is_err());
        assert_eq!(*cell.borrow_mut(), 6);
    }

    #[test]
    fn opening_it_twice_panics_instead_of_aliasing() {
        let cell = OneThread::new(());
        let _first = cell.borrow_mut();
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(cell.borrow_mut()))).is_err());
    }
}
