//! One stream over several connections: whatever each of them does to its bytes, what is read is what was written, or an end
//! that is none in order.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use ft_core::bundle::{Arrivals, Bundle};
use ft_core::join::Lane;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One direction of a connection.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    read: usize,
    ended: bool,
    /// Bytes that it holds unread at most.
    room: usize,
    /// Bytes after which it ends by itself.
    cut: Option<usize>,
}

/// A small generator: the same seed gives the same numbers for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % n
    }
}

/// A connection that takes and gives as few bytes as it likes, or none, each time. What goes in one way comes out the other:
/// one side writes and the other reads.
#[derive(Clone)]
struct Wire {
    pipe: Arc<Mutex<Pipe>>,
    random: Arc<Mutex<Random>>,
}

impl Wire {
    fn new(seed: u64, room: usize, cut: Option<usize>) -> Self {
        let pipe = Pipe { room, cut, ..Pipe::default() };
        Self { pipe: Arc::new(Mutex::new(pipe)), random: Arc::new(Mutex::new(Random(seed))) }
    }

    fn some(&self, most: usize) -> usize {
        self.random.lock().unwrap().below(most.min(700) + 1)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut pipe = self.pipe.lock().unwrap();
        let here = pipe.bytes.len() - pipe.read;
        if here == 0 && pipe.ended {
            return Poll::Ready(Ok(()));
        }
        let n = self.some(here.min(buf.remaining()));
        if n == 0 {
            return Poll::Pending;
        }
        let from = pipe.read;
        buf.put_slice(&pipe.bytes[from..from + n]);
        pipe.read += n;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipe = self.pipe.lock().unwrap();
        if pipe.cut.is_some_and(|cut| pipe.bytes.len() >= cut) {
            pipe.ended = true;
            // What is written behind a cut goes nowhere.
            return Poll::Ready(Ok(bytes.len()));
        }
        let most = pipe.room.saturating_sub(pipe.bytes.len() - pipe.read).min(bytes.len());
        let n = self.some(most.min(pipe.cut.map_or(usize::MAX, |cut| cut - pipe.bytes.len())));
        if n == 0 {
            return Poll::Pending;
        }
        pipe.bytes.extend_from_slice(&bytes[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.lock().unwrap().ended = true;
        Poll::Ready(Ok(()))
    }
}

/// All that will ever join.
struct All(Vec<Lane<Wire>>);

impl Arrivals<Wire> for All {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Lane<Wire>>> {
        Poll::Ready(self.0.pop())
    }
}

fn bundle(wires: &[Wire]) -> Bundle<Wire, All> {
    let of = u8::try_from(wires.len() - 1).expect("few");
    let lanes = wires[1..].iter().map(|wire| Lane { stream: wire.clone(), ahead: Vec::new(), of }).collect();
    let mut bundle = Bundle::single(wires[0].clone());
    bundle.join_by(All(lanes));
    bundle
}

/// Both ends of a stream over these connections, which is spread already.
fn ends(wires: &[Wire]) -> (Bundle<Wire, All>, Bundle<Wire, All>) {
    let (mut near, mut far) = (bundle(wires), bundle(wires));
    let joined = near.ready();
    assert_eq!(usize::from(joined), wires.len() - 1, "all have come");
    near.spread();
    far.gather(joined, Vec::new());
    (near, far)
}

/// Turns without any progress after which nothing more will come.
const IDLE: u32 = 2_000;

/// Writes all of `content` and ends; what the other end read, and how it ended (`None`: it waits for ever).
fn carry(
    near: &mut Bundle<Wire, All>,
    far: &mut Bundle<Wire, All>,
    content: &[u8],
) -> (Vec<u8>, Option<io::Result<()>>) {
    let mut cx = Context::from_waker(Waker::noop());
    let (mut written, mut read, mut shut, mut idle) = (0, Vec::new(), false, 0);
    let mut scratch = [0; 500];
    while idle < IDLE {
        idle += 1;
        if written < content.len() {
            let (one, two) = content[written..].split_at((content.len() - written) / 3);
            let slices = [IoSlice::new(one), IoSlice::new(two)];
            if let Poll::Ready(n) = Pin::new(&mut *near).poll_write_vectored(&mut cx, &slices) {
                written += n.expect("no error");
                idle = 0;
            }
        } else if !shut {
            shut = matches!(Pin::new(&mut *near).poll_shutdown(&mut cx), Poll::Ready(Ok(())));
        }
        let mut buf = ReadBuf::new(&mut scratch);
        match Pin::new(&mut *far).poll_read(&mut cx, &mut buf) {
            Poll::Pending => {}
            Poll::Ready(Err(e)) => return (read, Some(Err(e))),
            Poll::Ready(Ok(())) if buf.filled().is_empty() => return (read, Some(Ok(()))),
            Poll::Ready(Ok(())) => {
                read.extend_from_slice(buf.filled());
                idle = 0;
            }
        }
    }
    (read, None)
}

fn content(len: usize) -> Vec<u8> {
    let mut random = Random(7);
    (0..len).map(|_| u8::try_from(random.below(256)).expect("a byte")).collect()
}

fn wires(seed: u64, lanes: usize, room: usize) -> Vec<Wire> {
    (0..lanes).map(|i| Wire::new(seed * 100 + i as u64, room, None)).collect()
}

#[test]
fn what_is_read_is_what_was_written_however_each_connection_cuts_and_delays_it() {
    let content = content(40_000);
    for seed in 0..300 {
        let lanes = 1 + usize::try_from(seed).expect("small") % 8;
        for room in [1, 17, 3_000] {
            // A byte at a time takes its time.
            let content = if room == 1 { &content[..300] } else { &content[..] };
            let wires = wires(seed, lanes, room);
            let (mut near, mut far) = ends(&wires);
            let (read, end) = carry(&mut near, &mut far, content);
            assert!(matches!(end, Some(Ok(()))), "seed {seed}, {lanes} lanes, room {room}: {end:?}");
            assert_eq!(read, content, "seed {seed}, {lanes} lanes, room {room}");
        }
    }
}

#[test]
fn every_connection_carries_its_part() {
    let content = content(2_000_000);
    let wires = wires(3, 4, 400_000);
    let (mut near, mut far) = ends(&wires);
    let (read, end) = carry(&mut near, &mut far, &content);
    assert!(matches!(end, Some(Ok(()))) && read == content);
    for wire in &wires {
        let share = wire.pipe.lock().unwrap().bytes.len();
        assert!(share > content.len() / 8, "{share} of {} bytes", content.len());
    }
}

#[test]
fn connection_that_takes_nothing_does_not_keep_the_others_from_being_written() {
    let mut wires = wires(5, 3, 1 << 20);
    // Room for a segment's header, and nothing else, ever.
    wires[1] = Wire::new(1, 16, None);
    let (mut near, _) = ends(&wires);
    let content = content(1_000_000);
    let mut cx = Context::from_waker(Waker::noop());
    let mut written = 0;
    for _ in 0..100_000 {
        let left = &content[written..];
        if !left.is_empty()
            && let Poll::Ready(n) = Pin::new(&mut near).poll_write(&mut cx, left)
        {
            written += n.expect("no error");
        }
    }
    assert_eq!(written, content.len(), "only one segment waits");
}

#[test]
fn any_connection_that_ends_after_any_byte_gives_a_beginning_of_the_content_and_no_wrong_byte() {
    let content = content(2_000);
    let mut orderly = 0;
    for lanes in 1..=3 {
        for cut_lane in 0..lanes {
            for cut in 0..2_200 {
                let mut wires = wires(11, lanes, 300);
                wires[cut_lane] = Wire::new(12, 300, Some(cut));
                let (mut near, mut far) = ends(&wires);
                let (read, end) = carry(&mut near, &mut far, &content);
                assert_eq!(read, content[..read.len()], "{lanes} lanes, lane {cut_lane} cut at {cut}");
                let ended = matches!(end, Some(Ok(())));
                orderly += u32::from(ended && read.len() == content.len());
                // Only between two segments may an end look like one in order: ft/1 itself sees that GOODBYE is missing.
                if ended && read.len() < content.len() {
                    let pipe = wires[cut_lane].pipe.lock().unwrap();
                    assert!(at_boundary(&pipe.bytes), "{lanes} lanes, lane {cut_lane} cut at {cut}");
                }
            }
        }
    }
    assert!(orderly > 0, "cuts behind the last byte change nothing");
}

/// Whether the bytes are whole segments.
fn at_boundary(mut bytes: &[u8]) -> bool {
    while let Some((header, rest)) = bytes.split_at_checked(16) {
        let len = u32::from_be_bytes(header[8..12].try_into().expect("4 bytes")) as usize;
        let Some(rest) = rest.get(len..) else { return false };
        bytes = rest;
    }
    bytes.is_empty()
}

fn segment(offset: u64, len: u32, bytes: &[u8]) -> Vec<u8> {
    let mut all = [&offset.to_be_bytes()[..], &len.to_be_bytes()].concat();
    all.extend(crc32c::crc32c(&all).to_be_bytes());
    all.extend(bytes);
    all
}

/// What a reader makes of these bytes on each connection, all of which then end.
fn gathered(lanes: &[&[u8]]) -> (Vec<u8>, Option<io::Result<()>>) {
    let wires = wires(9, lanes.len(), usize::MAX);
    for (wire, bytes) in wires.iter().zip(lanes) {
        let mut pipe = wire.pipe.lock().unwrap();
        pipe.bytes = bytes.to_vec();
        pipe.ended = true;
    }
    let mut far = bundle(&wires);
    far.gather(u8::try_from(lanes.len() - 1).expect("few"), Vec::new());
    carry(&mut bundle(&wires), &mut far, b"")
}

#[test]
fn segments_that_can_have_no_turn_are_refused() {
    let [a, b, c] = [segment(0, 4, b"abcd"), segment(4, 4, b"efgh"), segment(8, 2, b"ij")];
    // The lanes that are not first come in the opposite order: it is all the same.
    for lanes in [&[&a[..], &b, &c][..], &[&c, &b, &a], &[&[&a[..], &c].concat(), &b], &[&[&a[..], &b, &c].concat()]] {
        let (read, end) = gathered(lanes);
        assert!(read == b"abcdefghij" && matches!(end, Some(Ok(()))), "{read:?} {end:?}");
    }
    let mut flipped = a.clone();
    flipped[9] ^= 1;
    for (what, lanes) in [
        ("a gap", &[&a[..], &c][..]),
        ("a gap at the beginning", &[&b[..], &c]),
        ("the same twice", &[&a[..], &a]),
        ("the same twice, later", &[&[&a[..], &b].concat(), &[&c[..], &a].concat()]),
        ("an overlap", &[&a[..], &segment(3, 4, b"defg")]),
        ("a step back", &[&[&b[..], &a].concat()]),
        ("a flipped bit", &[&flipped[..]]),
        ("an empty segment", &[&segment(0, 0, b"")]),
        ("one that is too long", &[&segment(0, 1_048_577, b"abc")]),
        ("one beyond every file", &[&segment(u64::MAX, 1, b"a")]),
    ] {
        let (_, end) = gathered(lanes);
        let error = end.expect("it does not wait").expect_err(what);
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{what}: {error}");
    }
    for (what, lanes) in [("a header", &a[..9]), ("a segment", &a[..18])] {
        let error = gathered(&[lanes]).1.expect("it does not wait").expect_err(what);
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "an end within {what}: {error}");
    }
}

#[test]
fn nothing_is_ready_to_be_used_before_all_have_come_that_join_together() {
    let wires = wires(4, 3, 100);
    let lane = |wire: &Wire| Lane { stream: wire.clone(), ahead: Vec::new(), of: 2 };
    for (come, ready) in [(1, 0), (2, 2)] {
        let mut near = Bundle::single(wires[0].clone());
        near.join_by(All(wires[1..=come].iter().map(lane).collect()));
        assert_eq!(near.ready(), ready, "{come} of 2 have come");
    }
}

#[test]
fn bytes_go_as_they_are_until_they_are_spread() {
    let wires = wires(2, 2, 1 << 20);
    let (mut near, mut far) = (bundle(&wires[..1]), bundle(&wires[..1]));
    let (read, end) = carry(&mut near, &mut far, b"as they are");
    assert!(matches!(end, Some(Ok(()))));
    assert_eq!(read, b"as they are");
    assert_eq!(wires[0].pipe.lock().unwrap().bytes, b"as they are");
}
