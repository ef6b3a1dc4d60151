//! Time around a stream: a peer that is silent for too long ends as `TimedOut`, and a pulse tells ours when to speak.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ft_core::session::{Pulse, Tick};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep};

/// A stream whose reads and writes fail with [`io::ErrorKind::TimedOut`] when nothing has moved for `idle`.
///
/// Bytes moved in either direction count: a peer that takes what we send is alive, even if it has nothing to say. Time in
/// which nobody waits for the stream (our disk is busy) does not count against the peer.
///
/// Both directions share one timer, so both must be polled by one task, as a session does.
#[derive(Debug)]
pub struct Deadline<S> {
    stream: S,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    /// Since when somebody has waited without any byte moving.
    waiting: Option<Instant>,
}

impl<S> Deadline<S> {
    /// Wraps `stream`; `idle` is the longest silence.
    pub fn new(stream: S, idle: Duration) -> Self {
        Self { stream, idle, timer: Box::pin(tokio::time::sleep(idle)), waiting: None }
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Bytes moved by other means than reading and writing: `attempt` counts like these.
    ///
    /// # Errors
    /// Those of `attempt`, and [`io::ErrorKind::TimedOut`].
    pub fn poll_moving<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: impl FnOnce(&mut S, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let result = attempt(&mut self.stream, cx);
        self.judge(cx, result)
    }

    fn judge<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.waiting = None;
            return result;
        }
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let end = since + self.idle;
        if self.timer.deadline() != end {
            self.timer.as_mut().reset(end);
        }
        ready!(self.timer.as_mut().poll(cx));
        self.waiting = None;
        let text = format!("the peer was silent for {} s", self.idle.as_secs_f32());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Deadline<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.judge(cx, result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deadline<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A flush that is ready at once (TCP has nothing to flush) is no sign of life.
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.judge(cx, Poll::Pending),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.judge(cx, Poll::Pending),
        }
    }
}

/// A [`Pulse`] from tokio's clock, and from whoever may stop a session.
pub struct Beat {
    interval: Interval,
    stop: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Beat {
    /// Comes once for each `period`, the first time after one period.
    pub fn every(period: Duration) -> Self {
        let mut interval = tokio::time::interval_at(Instant::now() + period, period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, stop: None }
    }

    /// Stops the session when `stop` resolves.
    #[must_use]
    pub fn until(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        self.stop = Some(Box::pin(stop));
        self
    }
}

impl Pulse for Beat {
    fn poll_pulse(&mut self, cx: &mut Context<'_>) -> Poll<Tick> {
        if let Some(stop) = &mut self.stop
            && stop.as_mut().poll(cx).is_ready()
        {
            self.stop = None;
            return Poll::Ready(Tick::Stop);
        }
        self.interval.poll_tick(cx).map(|_| Tick::Alive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{advance, sleep};

    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn silent_peer_times_out_a_read_after_the_idle_time() {
        let (near, _far) = tokio::io::duplex(16);
        let begin = Instant::now();
        let error = Deadline::new(near, IDLE).read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begin.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn peer_that_does_not_read_times_out_a_write() {
        let (near, _far) = tokio::io::duplex(16);
        let error = Deadline::new(near, IDLE).write_all(&[0; 17]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn peer_that_speaks_now_and_then_never_times_out() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut near = Deadline::new(near, IDLE);
        let talk = async {
            for _ in 0..10 {
                sleep(Duration::from_secs(59)).await;
                far.write_u8(1).await.unwrap();
            }
        };
        let listen = async {
            for _ in 0..10 {
                near.read_u8().await.unwrap();
            }
        };
        tokio::join!(talk, listen);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_is_not_held_against_the_peer() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut near = Deadline::new(near, IDLE);
        advance(IDLE * 3).await;
        let talk = async {
            sleep(Duration::from_secs(30)).await;
            far.write_u8(7).await.unwrap();
        };
        let (_, byte) = tokio::join!(talk, near.read_u8());
        assert_eq!(byte.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn beat_comes_once_a_period_and_does_not_catch_up() {
        let mut beat = Beat::every(Duration::from_secs(10));
        let begin = Instant::now();
        std::future::poll_fn(|cx| beat.poll_pulse(cx)).await;
        assert_eq!(begin.elapsed().as_secs(), 10);
        advance(Duration::from_secs(35)).await;
        std::future::poll_fn(|cx| beat.poll_pulse(cx)).await;
        assert_eq!(begin.elapsed().as_secs(), 45);
        std::future::poll_fn(|cx| beat.poll_pulse(cx)).await;
        assert_eq!(begin.elapsed().as_secs(), 55);
    }
}
