//! Streams and peers for the tests of both dialects.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use super::{Moment, Quiet};

/// Runs one future to its end on a paused clock: no test waits for real time.
pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let deadline = std::time::Duration::from_secs(3600);
        tokio::time::timeout(deadline, future).await.expect("both sides come to an end")
    })
}

/// A quiet of the paused clock.
pub(super) struct Ticks;

impl Quiet for Ticks {
    async fn quiet(&mut self, moment: Moment) {
        let millis = match moment {
            Moment::TextEnd | Moment::Separate => 100,
            Moment::DataEnd => 1000,
            Moment::Close => 2000,
        };
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
    }
}

/// One step of a scripted peer.
#[derive(Clone)]
pub(super) enum Step {
    /// Our side can read these bytes, in one read.
    Say(Vec<u8>),
    /// Nothing can be read for so long.
    Pause(u64),
    /// The peer ends its direction.
    Fin,
    /// The peer resets the connection.
    Rst,
    /// The script waits until our side has written so many bytes in all.
    Hear(usize),
}

/// A stream whose other end follows a script, boundaries kept: one `Say` is one read. Writes take at most `per_write` bytes.
pub(super) struct Scripted {
    steps: VecDeque<Step>,
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
    per_write: usize,
    pub(super) written: Vec<u8>,
    /// What each call of `write` took.
    pub(super) writes: Vec<Vec<u8>>,
    pub(super) shut_down: bool,
}

impl Scripted {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            pause: None,
            per_write: usize::MAX,
            written: Vec::new(),
            writes: Vec::new(),
            shut_down: false,
        }
    }

    pub(super) fn per_write(mut self, bytes: usize) -> Self {
        self.per_write = bytes;
        self
    }

    /// Every byte in a read of its own.
    pub(super) fn bytewise(bytes: &[u8]) -> Vec<Step> {
        bytes.iter().map(|&byte| Step::Say(vec![byte])).collect()
    }
}

pub(super) fn say(bytes: impl AsRef<[u8]>) -> Step {
    Step::Say(bytes.as_ref().to_vec())
}

impl AsyncRead for Scripted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, free: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let heard = self.written.len();
        loop {
            match self.steps.front_mut() {
                Some(Step::Say(bytes)) => {
                    let count = bytes.len().min(free.remaining());
                    free.put_slice(&bytes[..count]);
                    bytes.drain(..count);
                    if bytes.is_empty() {
                        self.steps.pop_front();
                    }
                    return Poll::Ready(Ok(()));
                }
                Some(Step::Pause(millis)) => {
                    let length = std::time::Duration::from_millis(*millis);
                    let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(length)));
                    std::task::ready!(pause.as_mut().poll(context));
                    self.pause = None;
                    self.steps.pop_front();
                }
                Some(Step::Hear(bytes)) => {
                    if heard < *bytes {
                        return Poll::Pending;
                    }
                    self.steps.pop_front();
                }
                Some(Step::Fin) => return Poll::Ready(Ok(())),
                Some(Step::Rst) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                None => return Poll::Pending,
            }
        }
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if matches!(self.steps.front(), Some(Step::Rst)) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(self.per_write);
        self.written.extend_from_slice(&bytes[..count]);
        self.writes.push(bytes[..count].to_vec());
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down = true;
        Poll::Ready(Ok(()))
    }
}

/// Carries both directions between two streams one byte at a time, half-closes included.
pub(super) async fn carry_bytewise(near: DuplexStream, far: DuplexStream) {
    async fn one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let mut byte = [0];
        while let Ok(1) = from.read(&mut byte).await {
            if to.write_all(&byte).await.is_err() {
                return;
            }
        }
        to.shutdown().await.ok();
    }
    let (near_read, near_write) = tokio::io::split(near);
    let (far_read, far_write) = tokio::io::split(far);
    tokio::join!(one_way(near_read, far_write), one_way(far_read, near_write));
}
