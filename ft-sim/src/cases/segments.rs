//! What comes of segments that somebody else has written (PROTOCOL §7.8)? One stream on two connections, right and wrong.
//!
//! Ours never writes two segments that claim the same place, a hole, or a header that is no header; a stranger does. Which
//! one comes is a decision named `writer`, and whatever becomes of the bytes on their way, the same must come of them: all
//! of the stream, or what is wrong with it, at once.

use ft_core::bundle::Bundle;
use ft_core::join::Lane;
use ft_core::limits::{MAX_FILE, MAX_SEGMENT};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::deadline::Deadline;
use super::queue::Queue;
use super::{Outcome, Tell, broken};
use crate::exec::Ended;
use crate::ground::{Ground, Meeting};
use crate::world::{CLIENT, SERVER};

/// The decision that says who writes.
const WRITER: &str = "writer";

/// What must come of it.
#[derive(Clone, Copy)]
enum Meant {
    /// All of the stream.
    Read(&'static [u8]),
    /// An error that says this.
    Wrong(&'static str),
}

/// Who writes on two connections.
#[derive(Clone)]
struct Writer {
    lanes: [Vec<u8>; 2],
    /// The second connection is not ended before the reader has ended it.
    waits: bool,
    /// The second connection comes.
    joins: bool,
    meant: Meant,
}

/// A segment's header, by the document.
fn header(offset: u64, len: u32) -> Vec<u8> {
    let mut bytes = offset.to_be_bytes().to_vec();
    bytes.extend(len.to_be_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
    bytes
}

fn segment(offset: u64, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).expect("a script's segments are short");
    [header(offset, len), content.to_vec()].concat()
}

/// Both end when all is written.
fn writer(first: &[Vec<u8>], second: &[Vec<u8>], meant: Meant) -> Writer {
    Writer { lanes: [first.concat(), second.concat()], waits: false, joins: true, meant }
}

fn writers() -> Vec<Writer> {
    use Meant::{Read, Wrong};
    let at = segment;
    let waits = |writer: Writer| Writer { waits: true, ..writer };
    let damaged = |nth: usize| {
        let mut bytes = at(0, b"abc");
        bytes[nth] ^= 1;
        bytes
    };
    vec![
        writer(&[at(0, b"abc"), at(6, b"ghi")], &[at(3, b"def"), at(9, b"j")], Read(b"abcdefghij")),
        writer(&[], &[at(0, b"abc"), at(3, b"def")], Read(b"abcdef")),
        writer(&[at(0, b"a"), at(2, b"c"), at(3, b"d")], &[at(1, b"b")], Read(b"abcd")),
        writer(&[], &[], Read(b"")),
        // What comes twice, overlaps, or leaves something out.
        waits(writer(&[at(0, b"abc"), at(0, b"abc")], &[], Wrong("a segment at 0 where byte 3 has its turn"))),
        waits(writer(&[at(0, b"abc"), at(2, b"cde")], &[], Wrong("a segment at 2 where byte 3 has its turn"))),
        writer(&[at(0, b"abcdef")], &[at(3, b"DEF")], Wrong("a segment at 3 where byte 6 has its turn")),
        writer(&[at(0, b"abc")], &[at(4, b"e")], Wrong("a segment at 4 where byte 3 has its turn")),
        writer(&[at(1, b"b")], &[], Wrong("a segment at 1 where byte 0 has its turn")),
        // Headers that are none.
        waits(writer(&[header(0, 0)], &[], Wrong("a segment of 0 bytes at 0"))),
        waits(writer(&[header(0, MAX_SEGMENT + 1)], &[], Wrong("a segment of 1048577 bytes at 0"))),
        waits(writer(&[header(MAX_FILE + 1, 1)], &[], Wrong("a segment of 1 bytes at 9223372036854775808"))),
        waits(writer(&[damaged(0)], &[], Wrong("a segment header whose checksum is not"))),
        waits(writer(&[damaged(11)], &[], Wrong("a segment header whose checksum is not"))),
        waits(writer(&[damaged(15)], &[], Wrong("a segment header whose checksum is not"))),
        // The longest and the last that there may be.
        writer(&[header(0, MAX_SEGMENT), b"abc".to_vec()], &[], Wrong("ended within a segment")),
        writer(&[at(MAX_FILE, b"a")], &[], Wrong("a segment at 9223372036854775807 where byte 0 has its turn")),
        // Ends where there is no end.
        waits(writer(&[at(0, b"abc")[..9].to_vec()], &[], Wrong("ended within a segment"))),
        waits(writer(&[at(0, b"abc")[..17].to_vec()], &[], Wrong("ended within a segment"))),
        writer(&[at(0, b"abc")], &[at(3, b"def")[..16].to_vec()], Wrong("ended within a segment")),
        Writer { joins: false, ..writer(&[at(0, b"abc")], &[], Wrong("connections that have not joined")) },
    ]
}

/// Writes, and reads to the end so that nobody is reset.
async fn write<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, bytes: Vec<u8>, waits: bool) {
    // The reader may have hung up already, and said why to somebody else.
    drop(stream.write_all(&bytes).await);
    if !waits {
        drop(stream.shutdown().await);
    }
    drop(stream.read_to_end(&mut Vec::new()).await);
}

/// Reads the stream that is put together, and says what came of it.
async fn read<S: AsyncRead + AsyncWrite + Unpin>(stream: S, queue: Queue<S>) -> Result<Vec<u8>, String> {
    let mut bundle = Bundle::single(stream);
    bundle.join_by(queue);
    bundle.gather(1, Vec::new());
    let mut read = Vec::new();
    match bundle.read_to_end(&mut read).await {
        Ok(_) => Ok(read),
        Err(error) => Err(error.to_string()),
    }
}

/// Plays writers, one a run.
pub(crate) struct Game {
    writers: Vec<Writer>,
}

impl Game {
    pub(crate) fn new() -> Self {
        Self { writers: writers() }
    }

    pub(crate) fn play<G: Ground>(&self, ground: &mut G, tell: Tell) -> Outcome {
        let count = u32::try_from(self.writers.len()).expect("a page of writers");
        let which = ground.world().branch(WRITER, count);
        let Writer { lanes: [first, second], waits, joins, meant } =
            self.writers[crate::limits::index(u64::from(which))].clone();
        let (time, idle, queue) = (ground.time(), ground.idle(), Queue::new(1));
        let near = queue.clone();
        let fitted = {
            let time = time.clone();
            move |stream| Deadline::new(stream, time.clone(), Some(idle))
        };
        let (at_first, at_second) = (fitted.clone(), fitted.clone());
        let (to_first, to_second) = (fitted.clone(), fitted);
        let meetings = vec![
            Meeting {
                hosts: [CLIENT, SERVER],
                client: Box::new(move |stream| {
                    Box::pin(async move {
                        write(to_first(stream), first, false).await;
                        None
                    })
                }),
                server: Box::new(move |stream| Box::pin(async move { Some(read(at_first(stream), near).await) })),
            },
            Meeting {
                hosts: [CLIENT, SERVER],
                client: Box::new(move |stream| {
                    Box::pin(async move {
                        write(to_second(stream), second, waits).await;
                        None
                    })
                }),
                server: Box::new(move |stream| {
                    Box::pin(async move {
                        queue.decide(joins.then(|| Lane { stream: at_second(stream), ahead: Vec::new(), of: 1 }));
                        None
                    })
                }),
            },
        ];
        let ends = ground.meet(meetings);
        let world = ground.world();
        let read = ends.into_iter().nth(1).and_then(Ended::done).flatten();
        world.sometimes("read", matches!(read, Some(Ok(_))));
        world.sometimes("refused", matches!(read, Some(Err(_))));
        let wrong = match (&read, meant) {
            (Some(Ok(read)), Meant::Read(all)) if read == all => None,
            (Some(Err(error)), Meant::Wrong(words)) if error.contains(words) => None,
            (None, _) => None,
            (Some(_), Meant::Read(all)) => Some(format!("expected {}, got {read:?}", all.escape_ascii())),
            (Some(_), Meant::Wrong(words)) => Some(format!("expected {words:?}, got {read:?}")),
        };
        broken(world, "SEGMENTS: all of a stream is read in its order, or it is said what is wrong with it", wrong);
        match tell {
            Tell::Words => Outcome { server: format!("{read:?}"), ..Outcome::default() },
            Tell::Nothing => Outcome::default(),
        }
    }
}
