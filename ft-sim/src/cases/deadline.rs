//! A stream with an idle deadline: the time that a session leaves to its caller (FT-73, `no-timeout`).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::ground::Time;

/// A stream whose operations fail with `TimedOut` when no byte has moved in either direction for a while, if a while
/// is given.
pub(super) struct Deadline<S, T: Time> {
    inner: S,
    clock: T,
    idle: Option<Duration>,
    moved: Duration,
    sleep: Option<T::Sleep>,
}

impl<S, T: Time> Deadline<S, T> {
    pub(super) fn new(inner: S, clock: T, idle: Option<Duration>) -> Self {
        let moved = clock.now();
        Self { inner, clock, idle, moved, sleep: None }
    }

    /// Books progress, or waits for it until the deadline. A deadline that has passed starts anew, so that what a
    /// session does to say goodbye is bounded as well.
    fn check<R>(&mut self, result: Poll<io::Result<R>>, cx: &mut Context<'_>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.moved = self.clock.now();
            return result;
        }
        let Some(idle) = self.idle else { return Poll::Pending };
        loop {
            let left = (self.moved + idle).saturating_sub(self.clock.now());
            if left.is_zero() {
                self.moved = self.clock.now();
                self.sleep = None;
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no byte moved before the deadline")));
            }
            // Progress does not touch the timer: it fires early then, and is set again for what is left.
            let clock = &self.clock;
            let sleep = self.sleep.get_or_insert_with(|| clock.sleep(left));
            if Pin::new(sleep).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
    }
}

impl<S: AsyncRead + Unpin, T: Time> AsyncRead for Deadline<S, T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.check(result, cx)
    }
}

impl<S: AsyncWrite + Unpin, T: Time> AsyncWrite for Deadline<S, T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.check(result, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
