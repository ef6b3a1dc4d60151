//! Connections that are made beside a session and join it, in the order in which they come.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use ft_core::bundle::Arrivals;
use ft_core::join::Lane;

/// Connections on their way to the stream that they carry, on one side.
pub(super) struct Queue<S>(Rc<RefCell<Waiting<S>>>);

struct Waiting<S> {
    lanes: VecDeque<Lane<S>>,
    /// Those of which it is not known yet whether they join.
    open: u8,
    wakers: Vec<Waker>,
}

impl<S> Clone for Queue<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S> Queue<S> {
    /// So many are on their way.
    pub(super) fn new(open: u8) -> Self {
        Self(Rc::new(RefCell::new(Waiting { lanes: VecDeque::new(), open, wakers: Vec::new() })))
    }

    /// One has joined, or is lost.
    pub(super) fn decide(&self, lane: Option<Lane<S>>) {
        let mut waiting = self.0.borrow_mut();
        waiting.lanes.extend(lane);
        waiting.open -= 1;
        waiting.wakers.drain(..).for_each(Waker::wake);
    }

    /// Ready when all have joined or are lost.
    pub(super) fn poll_decided(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.0.borrow_mut();
        if waiting.open == 0 {
            return Poll::Ready(());
        }
        waiting.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

impl<S> Arrivals<S> for Queue<S> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Lane<S>>> {
        let next = self.0.borrow_mut().lanes.pop_front();
        match next {
            Some(lane) => Poll::Ready(Some(lane)),
            None => self.poll_decided(cx).map(|()| None),
        }
    }
}
