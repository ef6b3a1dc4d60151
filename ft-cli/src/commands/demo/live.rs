//! What only a kernel can show: lab A's programs over real loopback TCP, and how long write, write, read takes.
//!
//! Every wait has a deadline, and nothing leaves 127.0.0.1.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use ft_core::dialect::{MemoryFiles, TextEnd, pipe};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::limits::{DEMO_TCP_TIMEOUT, DEMO_TRANSFER_TIMEOUT};

/// Sends a small file so many times from lab A's naive client to its naive server, through the kernel; says how often it
/// arrived whole.
///
/// # Errors
///
/// There is no loopback to listen on.
pub(crate) fn naive_transfers(times: u64) -> Result<u64, String> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| format!("cannot start: {e}"))?;
    let result = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let mut whole = 0;
        for _ in 0..times {
            // One that takes too long has not arrived; the others go on.
            let arrived = timeout(DEMO_TRANSFER_TIMEOUT, transfer(&listener)).await;
            whole += u64::from(matches!(arrived, Ok(Ok(true))));
        }
        Ok::<_, io::Error>(whole)
    });
    result.map_err(|e| format!("cannot use 127.0.0.1: {e}"))
}

/// One transfer; whether the file is what was sent.
async fn transfer(listener: &tokio::net::TcpListener) -> io::Result<bool> {
    const BODY: &[u8] = b"the quick brown fox jumps";
    let client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    let mut files = MemoryFiles::new();
    let sent = pipe::naive::send(client, b"data.txt", BODY, TextEnd::Bare);
    let received = pipe::naive::receive(server, &mut files);
    let (sent, received) = tokio::join!(sent, received);
    Ok(sent.is_ok() && received.is_ok() && files.get("data.txt") == Some(BODY))
}

/// How long one round of write, write, read takes, and where the time goes.
#[derive(Clone, Debug)]
pub(crate) struct Timed {
    /// Two writes, as a program makes them that has not heard of the matter.
    pub(crate) plain: Round,
    /// Two writes with TCP_NODELAY.
    pub(crate) nodelay: Round,
    /// Head and body in one write.
    pub(crate) one_write: Round,
}

/// Medians over all rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Until the peer had the first piece.
    pub(crate) first: Duration,
    /// Until it had the second.
    pub(crate) second: Duration,
    /// Until the answer was there.
    pub(crate) answer: Duration,
}

impl Round {
    /// Whole milliseconds until the answer.
    pub(crate) fn whole_millis(&self) -> u64 {
        u64::try_from(self.answer.as_millis()).unwrap_or(u64::MAX)
    }
}

/// What the client writes first in a round, and second.
const HEAD: &[u8] = b"addfile\n";
const BODY: &[u8] = b"data.txt\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Plain,
    NoDelay,
    OneWrite,
}

/// Times all three ways of saying two things and waiting for an answer, on real TCP over loopback.
///
/// # Errors
///
/// There is no loopback to use, or a round did not end in time.
pub(crate) fn write_write_read(rounds: usize) -> Result<Timed, String> {
    let time = |how| rounds_of(how, rounds).map_err(|e| format!("cannot use 127.0.0.1: {e}"));
    Ok(Timed { plain: time(How::Plain)?, nodelay: time(How::NoDelay)?, one_write: time(How::OneWrite)? })
}

fn rounds_of(how: How, rounds: usize) -> io::Result<Round> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(DEMO_TCP_TIMEOUT))?;
        stream.set_write_timeout(Some(DEMO_TCP_TIMEOUT))?;
    }
    client.set_nodelay(how == How::NoDelay)?;
    let peer = thread::spawn(move || answer(server, rounds));
    let mut begun = Vec::with_capacity(rounds);
    let mut answers = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        begun.push(Instant::now());
        match how {
            How::Plain | How::NoDelay => {
                client.write_all(HEAD)?;
                client.write_all(BODY)?;
            }
            How::OneWrite => client.write_all(&[HEAD, BODY].concat())?,
        }
        client.read_exact(&mut [0])?;
        answers.push(Instant::now());
    }
    let arrived = peer.join().map_err(|_| io::Error::other("the peer's thread panicked"))??;
    let since = |times: &mut dyn Iterator<Item = Instant>| {
        median(begun.iter().zip(times).map(|(begun, at)| at.saturating_duration_since(*begun)).collect())
    };
    Ok(Round {
        first: since(&mut arrived.iter().map(|at| at[0])),
        second: since(&mut arrived.iter().map(|at| at[1])),
        answer: since(&mut answers.iter().copied()),
    })
}

/// The server: answers with a byte when it has both pieces; says when it had each.
fn answer(mut stream: TcpStream, rounds: usize) -> io::Result<Vec<[Instant; 2]>> {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        stream.read_exact(&mut [0; HEAD.len()])?;
        let first = Instant::now();
        stream.read_exact(&mut [0; BODY.len()])?;
        times.push([first, Instant::now()]);
        stream.write_all(b"!")?;
    }
    Ok(times)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_arrive_over_loopback_which_is_why_nobody_notices() {
        assert_eq!(naive_transfers(20), Ok(20));
    }

    #[test]
    fn one_write_is_never_slower_than_two_by_a_delayed_ack() {
        let timed = write_write_read(7).expect("loopback");
        assert!(timed.one_write.answer < Duration::from_millis(30), "{timed:?}");
        assert!(timed.nodelay.answer < Duration::from_millis(30), "{timed:?}");
        assert!(timed.plain.first <= timed.plain.second && timed.plain.second <= timed.plain.answer, "{timed:?}");
    }

    #[test]
    fn median_is_the_middle_one() {
        let times = [9, 1, 5].map(Duration::from_millis).to_vec();
        assert_eq!(median(times), Duration::from_millis(5));
        assert_eq!(median(Vec::new()), Duration::ZERO);
    }
}
