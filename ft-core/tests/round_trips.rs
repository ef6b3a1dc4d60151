//! Round trips, counted: over a stream with nothing but delay, the time that a session takes is its number of flights.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ft_core::event::Event;
use ft_core::frame::{Intent, Links, Want};
use ft_core::memory::{Entry, Memory};
use ft_core::path::RelPath;
use ft_core::session::{self, NoPulse, Options};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

const ONE_WAY: Duration = Duration::from_millis(50);

/// What is written arrives 50 ms later; there is no other limit.
#[derive(Default)]
struct Wire {
    queues: [VecDeque<(Instant, Vec<u8>)>; 2],
    shut: [Option<Instant>; 2],
    waker: [Option<Waker>; 2],
}

struct End {
    wire: Arc<Mutex<Wire>>,
    me: usize,
    sleep: Option<Pin<Box<Sleep>>>,
}

fn pair() -> (End, End) {
    let wire = Arc::new(Mutex::new(Wire::default()));
    (End { wire: wire.clone(), me: 0, sleep: None }, End { wire, me: 1, sleep: None })
}

impl AsyncRead for End {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.wire.clone();
        let mut wire = wire.lock().unwrap();
        let peer = 1 - self.me;
        let now = Instant::now();
        while let Some((due, bytes)) = wire.queues[peer].front_mut() {
            if *due > now || buf.remaining() == 0 {
                break;
            }
            let n = buf.remaining().min(bytes.len());
            buf.put_slice(&bytes.drain(..n).collect::<Vec<_>>());
            if bytes.is_empty() {
                wire.queues[peer].pop_front();
            }
        }
        if !buf.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
        let due = wire.queues[peer].front().map(|(due, _)| *due).or(wire.shut[peer]);
        match due {
            Some(due) if due <= now => Poll::Ready(Ok(())),
            Some(due) => {
                let mut sleep = Box::pin(tokio::time::sleep_until(due));
                let ready = sleep.as_mut().poll(cx).is_ready();
                self.sleep = Some(sleep);
                if ready {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
            None => {
                wire.waker[self.me] = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire.lock().unwrap();
        wire.queues[self.me].push_back((Instant::now() + ONE_WAY, bytes.to_vec()));
        wire.waker[1 - self.me].take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.wire.lock().unwrap();
        wire.shut[self.me] = Some(Instant::now() + ONE_WAY);
        wire.waker[1 - self.me].take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

/// Round trips from the client's first byte until it knows that everything is stored, and until its session is over.
async fn count(files: usize, push: bool) -> (f64, f64) {
    let (from, to) = (Memory::new(), Memory::new());
    for i in 0..files {
        from.put(Entry::file(&format!("folder/file-{i}.txt"), format!("content of file {i}").as_bytes()));
    }
    let (a, b) = pair();
    let options = Options::default();
    let begin = Instant::now();
    let mut stored = begin;
    let on = |e: &Event| {
        if matches!(e, Event::Stored(..)) {
            stored = Instant::now();
        }
    };
    let client = async {
        if push {
            session::push(a, from.source(), &options, NoPulse, on).await
        } else {
            let want = Want { path: RelPath::root(), depth: u16::MAX, links: Links::Skip, last: false };
            session::pull(a, vec![want], to.storage(), &options, NoPulse, on).await
        }
    };
    let server = async {
        let accepted = session::accept(b, &[]).await.unwrap();
        match accepted.intent() {
            Intent::Push => accepted.receive(to.storage(), &options, NoPulse, |_| {}).await,
            Intent::Pull | Intent::List => accepted.send(from.source(), &options, NoPulse, |_| {}).await,
        }
    };
    let (client, server) = tokio::join!(client, server);
    assert_eq!((client.end, client.completed), (Ok(()), files as u64));
    assert_eq!(server.end, Ok(()));
    let rtt = 2.0 * ONE_WAY.as_secs_f64();
    let trips = |t: Instant| ((t - begin).as_secs_f64() / rtt * 10.0).round() / 10.0;
    (trips(stored), trips(Instant::now()))
}

#[tokio::test(start_paused = true)]
async fn round_trips_do_not_grow_with_the_number_of_files() {
    let mut rows = String::from("files  push: stored, closed  pull: stored, closed");
    for files in [1, 100, 250, 1000, 5000] {
        let (push, pull) = (count(files, true).await, count(files, false).await);
        rows += &format!("\n{files:<7}{:<14}{:<14}{:<14}{}", push.0, push.1, pull.0, pull.1);
    }
    insta::assert_snapshot!(rows, @r"
    files  push: stored, closed  pull: stored, closed
    1      2             2             2             2.5
    100    2             2             2             2.5
    250    2             2             2             2.5
    1000   3             3             2             2.5
    5000   3             3             2             2.5
    ");
}
