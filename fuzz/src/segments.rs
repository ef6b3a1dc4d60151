//! Segments on several connections, right and wrong, whole and cut: what is read is what they say, in its order, and an end
//! in order only where nothing was left out.

use std::iter::Peekable;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use arbitrary::{Result, Unstructured};
use ft_core::bundle::{Arrivals, Bundle};
use ft_core::join::Lane;
use tokio::io::AsyncReadExt as _;

use super::cuts::Cuts;
use super::stream::{Script, run};

/// Connections that have joined.
struct All(Vec<Lane<Script>>);

impl Arrivals<Script> for All {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Lane<Script>>> {
        Poll::Ready(self.0.pop())
    }
}

/// One segment of an input, on its connection.
struct Segment {
    offset: u64,
    bytes: Vec<u8>,
}

/// A number of connections, ways to cut and to end, then segments: which connection, how far from the byte that is next,
/// how long, and whether its header is right.
pub fn segments(data: &[u8]) {
    let _ = read(&mut Unstructured::new(data));
}

fn read(u: &mut Unstructured<'_>) -> Result<()> {
    let lanes = usize::from(u.arbitrary::<u8>()? & 3) + 1;
    let cuts = Cuts::read(u)?;
    let mut wires = vec![Vec::new(); lanes];
    // Of each connection, what it says until its header is wrong.
    let mut said: Vec<Vec<Segment>> = (0..lanes).map(|_| Vec::new()).collect();
    let mut is_right = vec![true; lanes];
    let mut next = 0u64;
    while !u.is_empty() {
        let how: u8 = u.arbitrary()?;
        let lane = usize::from(how) % lanes;
        let len = u.arbitrary::<u8>().unwrap_or(1);
        let shift = if how & 0x40 == 0 { 0 } else { u.arbitrary::<i8>().unwrap_or(0) };
        let offset = next.wrapping_add_signed(shift.into());
        let bytes: Vec<u8> = (0..len).map(|i| i ^ how).collect();
        let mut segment = offset.to_be_bytes().to_vec();
        segment.extend(u32::from(len).to_be_bytes());
        segment.extend(crc32c::crc32c(&segment).to_be_bytes());
        if how & 0x80 != 0 {
            let at = usize::from(u.arbitrary::<u8>().unwrap_or(0)) % 16;
            segment[at] ^= u.arbitrary::<u8>().unwrap_or(1);
            // Whether that made it wrong is for the reader to find: a checksum can be flipped back.
            is_right[lane] &= segment[12..] == crc32c::crc32c(&segment[..12]).to_be_bytes();
        }
        is_right[lane] &= len > 0 && offset <= i64::MAX as u64;
        segment.extend(&bytes);
        wires[lane].extend(segment);
        if is_right[lane] {
            said[lane].push(Segment { offset, bytes });
        }
        next = offset.wrapping_add(len.into());
    }
    let mut streams = Vec::new();
    for wire in wires {
        let whole = cuts.pieces(&wire).concat();
        streams.push(Script::new(&mut Unstructured::new(&[0]), &[whole], &cuts)?);
    }
    let of = u8::try_from(lanes - 1).unwrap_or(0);
    let mut streams = streams.into_iter();
    let mut bundle = Bundle::single(streams.next().expect("at least one"));
    // The last to arrive is the first of the list.
    let joined: Vec<_> = streams.rev().map(|stream| Lane { stream, ahead: Vec::new(), of }).collect();
    bundle.join_by(All(joined));
    bundle.gather(of, Vec::new());
    let mut got = Vec::new();
    let end = run(bundle.read_to_end(&mut got));

    let all_right = is_right.iter().all(|right| *right);
    let Expected { bytes: expected, left_over, disputed } = Expected::of(said);
    // Of two that claim one place either may be taken; what is taken is wrong, and is found to be by its end.
    let judged = if disputed { got.len().min(expected.len()) } else { got.len() };
    assert!(expected.starts_with(&got[..judged]), "INTACT: {got:?} is the beginning of {expected:?}");
    match end {
        Ok(_) => {
            assert!(all_right && !left_over, "HONEST: an end in order, and something was left out");
            assert_eq!(got, expected, "everything that was said");
        }
        Err(_) => assert!(!all_right || left_over, "what is right is read to its end"),
    }
    Ok(())
}

/// What a reader may make of segments.
struct Expected {
    bytes: Vec<u8>,
    /// Something can have no turn.
    left_over: bool,
    /// Because two claim the place behind `bytes`.
    disputed: bool,
}

impl Expected {
    fn of(said: Vec<Vec<Segment>>) -> Self {
        let mut lanes: Vec<_> = said.into_iter().map(|segments| segments.into_iter().peekable()).collect();
        let mut bytes = Vec::new();
        loop {
            let at = bytes.len() as u64;
            let turn = |lane: &mut Peekable<IntoIter<Segment>>| lane.next_if(|segment| segment.offset == at);
            let mut claims: Vec<Segment> = lanes.iter_mut().filter_map(turn).collect();
            if claims.len() != 1 {
                let left_over = !claims.is_empty() || lanes.iter_mut().any(|lane| lane.peek().is_some());
                return Self { bytes, left_over, disputed: !claims.is_empty() };
            }
            let segment = claims.pop();
            bytes.extend(segment.into_iter().flat_map(|segment| segment.bytes));
        }
    }
}
