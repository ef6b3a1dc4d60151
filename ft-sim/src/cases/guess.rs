//! Who comes? A server for every dialect tells its clients apart by what they say first, and a client names what answers
//! it, however the bytes are cut and whatever pauses are between them.
//!
//! Each *opening* is what somebody says, piece by piece with a quiet moment between two of them, and what it must be taken
//! for. Which one comes is a decision named `opening`. The loop that reads is the program's (`ft-cli serve`): ask after each
//! read, and once more when nothing has come for a moment or nothing will.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ft_core::dialect::{Detected, Foreign, detect, detect_after_quiet, foreign_response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::{Outcome, Tell, broken};
use crate::ground::{Ground, Time};
use crate::trace::NoteKind;
use crate::world::Tracer;

/// The decision that says who comes.
const OPENING: &str = "opening";

/// A quiet moment of the one who guesses; longer than every delay of the network here.
const QUIET: Duration = Duration::from_millis(200);

/// What somebody rests between two pieces: a quiet moment for certain.
const REST: Duration = Duration::from_millis(500);

/// What somebody says first, and what it is.
struct Opening {
    pieces: Vec<Vec<u8>>,
    /// Somebody answers a client, rather than being one.
    answers: bool,
    meant: Detected,
}

/// Named, or known to have no name here.
fn named(foreign: Option<Foreign>) -> Detected {
    foreign.map_or(Detected::NeedMore, Detected::Foreign)
}

fn openings() -> Vec<Opening> {
    use Foreign::{AddfileAck, Greeting220, HttpRequest, HttpResponse, MangledFt1, PipeAck, Ssh, Tls, Unknown};
    let client = |pieces: &[&[u8]], meant| Opening {
        pieces: pieces.iter().map(|piece| piece.to_vec()).collect(),
        answers: false,
        meant,
    };
    let answer = |bytes: &[u8], meant| Opening { pieces: vec![bytes.to_vec()], answers: true, meant: named(meant) };
    let foreign = |bytes: &[u8], foreign| client(&[bytes], Detected::Foreign(foreign));
    vec![
        client(&[b"\x89FT/\r\n\x1a\n\x00\x01\x00\x01"], Detected::Ft1),
        client(&[b"\x89FT/", b"\r\n\x1a\n"], Detected::Ft1),
        client(&[b"data.txt|25"], Detected::Pipe),
        client(&[b"data.txt", b"|25"], Detected::Pipe),
        client(&[b"a|b|3\n"], Detected::Pipe),
        client(&[b"addfile|10"], Detected::Pipe),
        client(&[b"UPLOAD2|0"], Detected::Pipe),
        client(&[b"220 files|9"], Detected::Pipe),
        client(&[b"SSH-notes|9"], Detected::Pipe),
        client(&[b"GET rich|7 HTTP/"], Detected::Pipe),
        client(&[b"addfile\nname\n"], Detected::Addfile),
        client(&[b"UPLOAD\r\nname\r\n"], Detected::Addfile),
        client(&[b"DOWNLOAD", b"name"], Detected::Addfile),
        client(&[b"addfile", b"x|1"], Detected::Addfile),
        client(&[b"addfile"], Detected::Addfile),
        client(&[b"UPLO", b"AD"], Detected::Addfile),
        client(&[b"DOWNLOADx"], Detected::Addfile),
        client(&[b"addfil"], Detected::NeedMore),
        client(&[b"hello"], Detected::NeedMore),
        client(&[b""], Detected::NeedMore),
        foreign(b"GET / HTTP/1.1\r\n", HttpRequest),
        foreign(b"OPTIONS * HTTP/1.1\r\n", HttpRequest),
        foreign(b"HTTP/1.1 400 Bad Request\r\n", HttpResponse),
        foreign(b"\x16\x03\x01\x02\x00\x01", Tls),
        foreign(b"SSH-2.0-OpenSSH_9.6\r\n", Ssh),
        foreign(b"SSH-2.0-OpenSSH_9.6", Ssh),
        foreign(b"220 mail.example ready\r\n", Greeting220),
        foreign(b"220-mail.example", Greeting220),
        foreign(b"\x89FT/\n\x1a\n", MangledFt1),
        foreign(b"\tFT/\r\n", MangledFt1),
        foreign(&[b'x'; 1024], Unknown),
        client(&[&[b'x'; 1023]], Detected::NeedMore),
        answer(b"ACK", Some(PipeAck)),
        answer(b"ACK\n", Some(PipeAck)),
        answer(b"file recv\n", Some(AddfileAck)),
        answer(b"HTTP/1.1 400 Bad Request\r\n", Some(HttpResponse)),
        answer(b"\x15\x03\x03\x00\x02\x02\x28", Some(Tls)),
        answer(b"SSH-2.0-OpenSSH_9.6\r\n", Some(Ssh)),
        answer(b"220 ready\r\n", Some(Greeting220)),
        answer(b"\x89FT/\r\n\x1a\n\x00\x01", Some(Foreign::Ft1)),
        answer(b"AC", None),
        answer(b"file rec", None),
        answer(b"welcome\n", None),
        client(&[b"addfile\nname\nabc|1"], Detected::Addfile),
        client(&[b"UPLOAD\r\nname\r\nabc|1"], Detected::Addfile),
    ]
}

/// What one wait brought.
enum Came {
    Bytes(usize),
    End,
    Quiet,
}

/// Reads on, or hears the quiet.
async fn wait<S, T>(stream: &mut S, time: &T, buffer: &mut [u8]) -> Came
where
    S: AsyncRead + Unpin,
    T: Time,
{
    let mut quiet = time.sleep(QUIET);
    poll_fn(|cx| {
        let mut read = ReadBuf::new(buffer);
        match Pin::new(&mut *stream).poll_read(cx, &mut read) {
            Poll::Ready(Ok(())) if !read.filled().is_empty() => Poll::Ready(Came::Bytes(read.filled().len())),
            Poll::Ready(_) => Poll::Ready(Came::End),
            Poll::Pending => Pin::new(&mut quiet).poll(cx).map(|()| Came::Quiet),
        }
    })
    .await
}

/// What somebody is taken for, and what was decided before more bytes came. Reads to the end, so that nobody is reset.
async fn guess<S, T>(mut stream: S, time: T, answers: bool, tracer: Tracer) -> Detected
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: Time,
{
    let (mut head, mut buffer, mut decided) = (Vec::new(), [0; 4096], Detected::NeedMore);
    loop {
        let came = wait(&mut stream, &time, &mut buffer).await;
        if let Came::Bytes(count) = came {
            head.extend_from_slice(&buffer[..count]);
        }
        if decided == Detected::NeedMore {
            decided = match came {
                _ if answers => named(foreign_response(&head)),
                Came::Bytes(_) => detect(&head),
                Came::End | Came::Quiet => detect_after_quiet(&head),
            };
            if decided != Detected::NeedMore {
                tracer.note(NoteKind::Verdict, format_args!("{decided:?}"));
            }
        }
        if matches!(came, Came::End) {
            drop(stream.shutdown().await);
            return decided;
        }
    }
}

/// Says its pieces, and waits for the end.
async fn say<S, T>(mut stream: S, time: T, opening: Rc<Opening>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: Time,
{
    for (nth, piece) in opening.pieces.iter().enumerate() {
        if nth > 0 {
            time.sleep(REST).await;
        }
        drop(stream.write_all(piece).await);
    }
    drop(stream.shutdown().await);
    drop(stream.read_to_end(&mut Vec::new()).await);
}

/// Plays openings, one a run.
pub(crate) struct Game {
    openings: Vec<Rc<Opening>>,
}

impl Game {
    pub(crate) fn new() -> Self {
        Self { openings: openings().into_iter().map(Rc::new).collect() }
    }

    pub(crate) fn play<G: Ground>(&self, ground: &mut G, tell: Tell) -> Outcome {
        let count = u32::try_from(self.openings.len()).expect("a page of openings");
        let which = ground.world().branch(OPENING, count);
        let opening = &self.openings[crate::limits::index(u64::from(which))];
        let (time, tracer) = (ground.time(), ground.world().tracer());
        let (time_there, said, answers) = (time.clone(), Rc::clone(opening), opening.answers);
        let pair = ground
            .pair(move |stream| say(stream, time_there, said), move |stream| guess(stream, time, answers, tracer));
        let world = ground.world();
        let decided = pair.server.done();
        world.sometimes("decided", decided.is_some_and(|decided| decided != Detected::NeedMore));
        let wrong = decided.filter(|decided| *decided != opening.meant).map(|decided| {
            let said = opening.pieces.iter().map(|piece| piece.escape_ascii().to_string()).collect::<Vec<_>>();
            format!("{:?}: expected {:?}, got {decided:?}", said.join(" … "), opening.meant)
        });
        broken(world, "GUESS: everybody is taken for what they are", wrong);
        match tell {
            Tell::Words => Outcome { server: format!("{decided:?}"), ..Outcome::default() },
            Tell::Nothing => Outcome::default(),
        }
    }
}
