//! The other side of a graded program: a peer that knows what is to be said, word by word.
//!
//! A careful peer of the labs has to guess where a text without a terminator ends, and so waits for quiet moments. A grader
//! knows name, size and content beforehand: its peer needs no pause, so that a run takes as long as the graded program does.

use std::fmt;
use std::io;
use std::time::Duration;

use ft_sim::trace::escape;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::limits::GRADE_READ;

/// One thing that the peer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Writes this in one call.
    Send(Vec<u8>),
    /// The graded program says exactly this next.
    Expect(Vec<u8>),
    /// As [`Act::Expect`], and a line feed behind it belongs to it.
    ExpectLine(Vec<u8>),
    /// So many bytes of content, kept.
    Take(usize),
    /// Content to the end of the stream, kept, of at most so many bytes: who sends for ever must not fill the memory.
    TakeToEnd(usize),
    /// For so long nothing may come.
    Calm(Duration),
    /// The next thing happens so much later.
    Pause(Duration),
    /// No more will be written.
    HalfClose,
    /// Reads and throws away to the end of the stream.
    Drain,
    /// The other side ends the stream, and says nothing more before.
    End,
    /// Says nothing, and waits until the other side closes.
    Stay,
}

impl Act {
    /// Puts other words of the same length in the place of some.
    pub(super) fn replace(&mut self, old: &[u8], new: &[u8]) {
        if let Self::Send(bytes) | Self::Expect(bytes) | Self::ExpectLine(bytes) = self
            && let Some(at) = bytes.windows(old.len().max(1)).position(|part| part == old)
            && old.len() == new.len()
        {
            bytes[at..at + old.len()].copy_from_slice(new);
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The content.
    pub(super) kept: Vec<u8>,
    /// What was not as expected, if anything; nothing was done after it.
    pub(super) broken: Option<Broken>,
}

/// Where the talk broke off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Other bytes than expected.
    Other { expected: Vec<u8>, came: Vec<u8> },
    /// The stream ended.
    Ended { expected: Vec<u8>, after: usize },
    /// The stream failed.
    Failed(String),
    /// Something came where nothing may.
    Early { came: Vec<u8> },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |bytes: &[u8]| {
            let more = if bytes.len() > 40 { "…" } else { "" };
            format!("\"{}\"{more}", escape(&bytes[..bytes.len().min(40)]))
        };
        match self {
            Self::Other { expected, came } => write!(f, "expected {}, got {}", cut(expected), cut(came)),
            Self::Ended { expected, after: 0 } if expected.is_empty() => f.write_str("the stream ended at once"),
            Self::Ended { expected, after } if expected.is_empty() => {
                write!(f, "the stream ended after {after} bytes of content")
            }
            Self::Ended { expected, after } => {
                write!(f, "the stream ended after {after} of the {} bytes of {}", expected.len(), cut(expected))
            }
            Self::Failed(error) => f.write_str(error),
            Self::Early { came } => write!(f, "{} came where nothing may", cut(came)),
        }
    }
}

/// Plays a script over a stream, then closes it. The caller has the deadline.
pub(super) async fn play(stream: TcpStream, acts: &[Act]) -> Heard {
    let mut talk = Talk { stream, ahead: Vec::new(), heard: Heard::default() };
    for act in acts {
        if let Err(broken) = talk.act(act).await {
            talk.heard.broken = Some(broken);
            break;
        }
    }
    talk.heard
}

struct Talk {
    stream: TcpStream,
    /// What has been read and not been used.
    ahead: Vec<u8>,
    heard: Heard,
}

impl Talk {
    async fn act(&mut self, act: &Act) -> Result<(), Broken> {
        match act {
            Act::Send(bytes) => self.stream.write_all(bytes).await.map_err(failed),
            Act::Expect(expected) => self.expect(expected).await,
            Act::ExpectLine(expected) => {
                self.expect(expected).await?;
                // A line feed is there at once or not at all: nobody sends it on its own.
                if self.ahead.is_empty() {
                    let _ = timeout(Duration::from_millis(20), self.more()).await;
                }
                if self.ahead.first() == Some(&b'\n') {
                    self.ahead.remove(0);
                }
                Ok(())
            }
            Act::Take(count) => {
                while self.ahead.len() < *count {
                    if !self.more().await? {
                        let after = self.ahead.len();
                        self.heard.kept = std::mem::take(&mut self.ahead);
                        return Err(Broken::Ended { expected: Vec::new(), after });
                    }
                }
                self.heard.kept = self.ahead.drain(..*count).collect();
                Ok(())
            }
            Act::TakeToEnd(most) => {
                let result = loop {
                    if self.ahead.len() > *most {
                        break Err(Broken::Early { came: self.ahead.split_off(*most) });
                    }
                    match self.more().await {
                        Ok(true) => {}
                        Ok(false) => break Ok(()),
                        Err(broken) => break Err(broken),
                    }
                };
                self.heard.kept = std::mem::take(&mut self.ahead);
                result
            }
            Act::Calm(span) => {
                if self.ahead.is_empty() {
                    let _ = timeout(*span, self.more()).await;
                }
                if self.ahead.is_empty() { Ok(()) } else { Err(Broken::Early { came: self.ahead.clone() }) }
            }
            Act::Pause(span) => {
                sleep(*span).await;
                Ok(())
            }
            Act::HalfClose => self.stream.shutdown().await.map_err(failed),
            Act::End => match self.ahead.is_empty() && !self.more().await? {
                true => Ok(()),
                false => Err(Broken::Early { came: std::mem::take(&mut self.ahead) }),
            },
            Act::Drain | Act::Stay => {
                while self.more().await? {
                    self.ahead.clear();
                }
                Ok(())
            }
        }
    }

    async fn expect(&mut self, expected: &[u8]) -> Result<(), Broken> {
        loop {
            let len = self.ahead.len().min(expected.len());
            if self.ahead[..len] != expected[..len] {
                return Err(Broken::Other { expected: expected.to_vec(), came: self.ahead.clone() });
            }
            if len == expected.len() {
                self.ahead.drain(..len);
                return Ok(());
            }
            if !self.more().await? {
                return Err(Broken::Ended { expected: expected.to_vec(), after: len });
            }
        }
    }

    /// Reads once; false at the end of the stream.
    async fn more(&mut self) -> Result<bool, Broken> {
        let mut part = vec![0; GRADE_READ];
        let count = self.stream.read(&mut part).await.map_err(failed)?;
        self.ahead.extend_from_slice(&part[..count]);
        Ok(count > 0)
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: io::Error) -> Broken {
    let is = |kind| error.kind() == kind;
    Broken::Failed(match () {
        () if is(io::ErrorKind::ConnectionReset) => "the connection was reset".to_owned(),
        () if is(io::ErrorKind::BrokenPipe) => "the other side had closed".to_owned(),
        () => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn against(bytes: &'static [u8], acts: &[Act]) -> Heard {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let mut peer = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
        peer.write_all(bytes).await.expect("sent");
        peer.shutdown().await.expect("half-closed");
        let (stream, _) = listener.accept().await.expect("accepted");
        play(stream, acts).await
    }

    #[tokio::test]
    async fn words_that_come_together_are_told_apart() {
        let acts = [Act::ExpectLine(b"addfile".to_vec()), Act::ExpectLine(b"a.txt".to_vec()), Act::TakeToEnd(4)];
        assert_eq!(against(b"addfile\na.txtrest", &acts).await, Heard { kept: b"rest".to_vec(), broken: None });
    }

    #[tokio::test]
    async fn stream_that_does_not_end_where_it_should_is_read_no_further() {
        let heard = against(b"rest and more", &[Act::TakeToEnd(4), Act::Drain]).await;
        let broken = Some(Broken::Early { came: b" and more".to_vec() });
        assert_eq!(heard, Heard { kept: b"rest".to_vec(), broken });
    }

    #[tokio::test]
    async fn other_words_end_the_talk_and_are_named() {
        let heard = against(b"a.txt 3", &[Act::Expect(b"a.txt|3".to_vec()), Act::TakeToEnd(3)]).await;
        assert_eq!(heard.broken.map(|b| b.to_string()).as_deref(), Some("expected \"a.txt|3\", got \"a.txt 3\""));
        let heard = against(b"AC", &[Act::Expect(b"ACK".to_vec())]).await;
        assert_eq!(
            heard.broken.map(|b| b.to_string()).as_deref(),
            Some("the stream ended after 2 of the 3 bytes of \"ACK\"")
        );
    }

    #[tokio::test]
    async fn what_comes_without_waiting_is_early() {
        let acts = [Act::Expect(b"a|1".to_vec()), Act::Calm(Duration::from_millis(50))];
        let heard = against(b"a|1x", &acts).await;
        assert_eq!(heard.broken, Some(Broken::Early { came: b"x".to_vec() }));
    }
}
