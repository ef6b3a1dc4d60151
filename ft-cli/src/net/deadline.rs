//! Time around a stream: a peer that is silent for too long ends as `TimedOut`, and a pulse tells ours when to speak.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ft_core::bundle::{Arrivals, Bundle};
use ft_core::session::{Pulse, Tick};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep};

use super::busy::Busy;
use super::pace::{Pace, Way};
use super::path::{Fit, alike, is_slow, is_unread};
use crate::limits::{COMPRESS_BELOW, PATH_LOOK};

/// A stream whose reads and writes fail with [`io::ErrorKind::TimedOut`] when nothing has moved for `idle`.
///
/// Bytes moved in either direction count: a peer that takes what we send is alive, even if it has nothing to say. Time in
/// which nobody waits for the stream (our disk is busy) does not count against the peer.
///
/// Both directions share one timer, so both must be polled by one task, as a session does.
///
/// It is also where a connection is held back (`--rate`): time in which we hold ourselves back does not count against the
/// peer either. And it is where its path is looked at while bytes flow.
pub struct Deadline<S> {
    stream: S,
    /// All of them allow what goes.
    paces: Vec<Pace>,
    /// Where bytes are counted, both ways together.
    moved: Option<Arc<AtomicU64>>,
    /// The path turned out slower than compression.
    slow: Arc<AtomicBool>,
    /// The path has room that one connection does not fill.
    roomy: Arc<AtomicBool>,
    /// What looks at the stream now and then, and when it does next.
    watch: Option<(Instant, Watch<S>)>,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    /// Since when somebody has waited without any byte moving.
    waiting: Option<Instant>,
}

/// Looks at a stream.
type Watch<S> = Box<dyn FnMut(&S) + Send>;

impl<S> Deadline<S> {
    /// Wraps `stream`; `idle` is the longest silence.
    pub fn new(stream: S, idle: Duration) -> Self {
        let slow = Arc::default();
        Self {
            stream,
            paces: Vec::new(),
            moved: None,
            slow,
            roomy: Arc::default(),
            watch: None,
            idle,
            timer: Box::pin(tokio::time::sleep(idle)),
            waiting: None,
        }
    }

    /// Holds both ways back to what `pace` allows, and what others do that were given before.
    #[must_use]
    pub fn paced(mut self, pace: Option<Pace>) -> Self {
        if pace.as_ref().is_some_and(|pace| pace.rate() < COMPRESS_BELOW) {
            self.slow.store(true, Ordering::Relaxed);
        }
        self.paces.extend(pace);
        self
    }

    /// Whether what goes this way is worth compressing, as far as is known; it changes while bytes flow.
    pub fn slow(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.slow)
    }

    /// Whether another connection would help, as far as is known; once it would, that stays.
    pub fn roomy(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.roomy)
    }

    /// Lets `look` see the stream every [`PATH_LOOK`] while it is used.
    #[must_use]
    pub fn watched(mut self, look: impl FnMut(&S) + Send + 'static) -> Self {
        self.watch = Some((Instant::now() + PATH_LOOK, Box::new(look)));
        self
    }

    /// Bytes that may go that way now, at least 1. What is booked stays so for the next question.
    fn poll_allowed(&mut self, way: Way, cx: &mut Context<'_>) -> Poll<usize> {
        self.look();
        let mut allowed = usize::MAX;
        for pace in &mut self.paces {
            match pace.poll_allowed(way, cx) {
                Poll::Ready(some) => allowed = allowed.min(some),
                Poll::Pending => {
                    self.waiting = None;
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(allowed)
    }

    /// Counts all bytes that move from now on.
    #[must_use]
    pub fn counted(mut self, moved: Arc<AtomicU64>) -> Self {
        self.moved = Some(moved);
        self
    }

    /// `n` bytes, no more than were allowed, went that way.
    fn went(&mut self, way: Way, n: usize) {
        if let Some(moved) = &self.moved {
            moved.fetch_add(n as u64, Ordering::Relaxed);
        }
        self.paces.iter_mut().for_each(|pace| pace.went(way, n));
    }

    fn look(&mut self) {
        if let Some((next, look)) = &mut self.watch
            && Instant::now() >= *next
        {
            look(&self.stream);
            *next = Instant::now() + PATH_LOOK;
        }
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream without its time-out.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Bytes moved by other means than reading and writing: `attempt` hears how many may go, and counts like these.
    /// `moved` tells how many went.
    ///
    /// # Errors
    /// Those of `attempt`, and [`io::ErrorKind::TimedOut`].
    ///
    /// # Cancel safety
    /// That of `attempt`.
    pub fn poll_moving<T>(
        &mut self,
        way: Way,
        cx: &mut Context<'_>,
        attempt: impl FnOnce(&mut S, &mut Context<'_>, usize) -> Poll<io::Result<T>>,
        moved: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        let allowed = ready!(self.poll_allowed(way, cx));
        let result = attempt(&mut self.stream, cx, allowed);
        if let Poll::Ready(Ok(what)) = &result {
            self.went(way, moved(what));
        }
        self.judge(cx, result)
    }

    /// Tells the pace what was written.
    fn count(&mut self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(n)) = result {
            self.went(Way::Out, *n);
        }
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

/// What goes through a TCP socket, as it is or wrapped in something.
pub trait OnTcp {
    /// The socket underneath, to ask it things and to set its options.
    fn socket(&self) -> &TcpStream;

    /// Whatever else carries the same stream is set up as that socket is.
    fn agree(&self) {}
}

impl OnTcp for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl<S: OnTcp + AsyncRead + AsyncWrite + Unpin, A: Arrivals<S>> OnTcp for Bundle<S, A> {
    /// That of the first connection.
    fn socket(&self) -> &TcpStream {
        self.first().socket()
    }

    fn agree(&self) {
        if self.raw_out().is_none() {
            self.lanes().for_each(|lane| alike(self.socket(), lane.socket()));
        }
    }
}

impl<S: OnTcp> Deadline<S> {
    /// A connection that suits its path, now and while it is used; `idle` as in [`Deadline::new`].
    pub fn fitted(stream: S, idle: Duration) -> Self {
        let mut fit = Fit::new(stream.socket());
        let connection = Self::new(stream, idle);
        let (slow, mut busy, mut was_slow) = (connection.slow(), Busy::new(), false);
        let roomy = connection.roomy();
        connection.watched(move |stream| {
            let before = fit.measured();
            fit.look(stream.socket());
            stream.agree();
            if let Some(measured) = fit.measured() {
                let is_busy = busy.look();
                let is_unread = before.is_some_and(|before| is_unread(&measured, &before));
                let slow_path = !is_unread && is_slow(&measured, slow.load(Ordering::Relaxed));
                // Once is chance: a peer that was busy for a moment has a slow path for that moment.
                slow.store(slow_path && was_slow && !is_busy, Ordering::Relaxed);
                was_slow = slow_path;
                if fit.is_roomy() && !is_busy {
                    roomy.store(true, Ordering::Relaxed);
                }
            }
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Deadline<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let allowed = ready!(self.poll_allowed(Way::In, cx));
        let before = buf.filled().len();
        let result = if buf.remaining() <= allowed {
            Pin::new(&mut self.stream).poll_read(cx, buf)
        } else {
            let mut part = ReadBuf::new(buf.initialize_unfilled_to(allowed));
            let result = Pin::new(&mut self.stream).poll_read(cx, &mut part);
            let n = part.filled().len();
            buf.advance(n);
            result
        };
        self.went(Way::In, buf.filled().len() - before);
        self.judge(cx, result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deadline<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let allowed = ready!(self.poll_allowed(Way::Out, cx));
        let result = Pin::new(&mut self.stream).poll_write(cx, &bytes[..bytes.len().min(allowed)]);
        self.count(&result);
        self.judge(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let allowed = ready!(self.poll_allowed(Way::Out, cx));
        let result = if slices.iter().map(|slice| slice.len()).sum::<usize>() <= allowed {
            Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
        } else {
            let mut left = allowed;
            let some: Vec<io::IoSlice<'_>> = slices
                .iter()
                .map_while(|slice| {
                    let len = slice.len().min(left);
                    left -= len;
                    (len > 0).then(|| io::IoSlice::new(&slice[..len]))
                })
                .collect();
            Pin::new(&mut self.stream).poll_write_vectored(cx, &some)
        };
        self.count(&result);
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
    use crate::net::Meter;
    use std::sync::atomic::AtomicUsize;
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
    async fn paced_stream_moves_at_its_rate_both_ways_and_never_times_out() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        // So slow that a slice takes longer than the peer may be silent.
        let idle = Duration::from_millis(300);
        let mut near = Deadline::new(near, idle).paced(Some(Meter::new(1_000).pace()));
        let begin = Instant::now();
        near.write_all(&[1; 20_000]).await.unwrap();
        assert_eq!(begin.elapsed().as_secs(), 19, "the last slice is the twentieth second");
        far.write_all(&[2; 20_000]).await.unwrap();
        let begin = Instant::now();
        near.read_exact(&mut [0; 20_000]).await.unwrap();
        assert_eq!(begin.elapsed().as_secs(), 19);
        let slices: Vec<Vec<u8>> = (0..50).map(|_| vec![3; 100]).collect();
        let slices: Vec<io::IoSlice<'_>> = slices.iter().map(|s| io::IoSlice::new(s)).collect();
        let n = near.write_vectored(&slices).await.unwrap();
        assert!((1..=512).contains(&n), "{n}: at most a slice");
        assert_eq!(near.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut, "a silent peer still does");
    }

    #[tokio::test(start_paused = true)]
    async fn stream_with_two_paces_keeps_to_the_slower_and_counts_what_moves() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let moved = Arc::new(AtomicU64::new(0));
        let [fast, slow] = [50_000, 1_000].map(|rate| Some(Meter::new(rate).pace()));
        let mut near = Deadline::new(near, IDLE).paced(fast).paced(slow).counted(Arc::clone(&moved));
        let begin = Instant::now();
        near.write_all(&[1; 20_000]).await.unwrap();
        assert_eq!(begin.elapsed().as_secs(), 19);
        far.write_all(&[2; 100]).await.unwrap();
        near.read_exact(&mut [0; 100]).await.unwrap();
        assert_eq!(moved.load(Ordering::Relaxed), 20_100);
    }

    #[tokio::test(start_paused = true)]
    async fn watched_stream_is_looked_at_now_and_then_and_not_each_time() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let looks = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&looks);
        let mut near = Deadline::new(near, IDLE).watched(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        for _ in 0..100 {
            far.write_u8(1).await.unwrap();
            near.read_u8().await.unwrap();
            advance(Duration::from_millis(10)).await;
        }
        assert!((8..=10).contains(&looks.load(Ordering::Relaxed)), "{looks:?}");
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
