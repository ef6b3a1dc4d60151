//! The proof that a decoder does not depend on how its stream was segmented.
//!
//! Let state(i) be the decoder after bytes `0..i`, fed one at a time. If for all i < j feeding bytes `i..j` at once to
//! a copy of state(i) gives state(j), and the events in between, then by induction *every* way of cutting the stream
//! gives the same states and events: O(n²) checks stand for all 2^(n-1) segmentations. This holds for the bytes at
//! hand, so the transcript should hold every frame and every error that matters.

use std::fmt::{self, Debug};

/// What was proved, by how many checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Length of the transcript, bytes.
    pub bytes: usize,
    /// Events that the decoder gave.
    pub events: usize,
    /// Comparisons made.
    pub checks: u64,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, events, checks } = self;
        let cuts = bytes.saturating_sub(1);
        write!(f, "{checks} checks stand for all 2^{cuts} segmentations of {bytes} bytes ({events} events)")
    }
}

/// Two segmentations that a decoder tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// Bytes `0..from` came one at a time.
    pub from: usize,
    /// Bytes `from..to` came at once, instead of one at a time.
    pub to: usize,
    /// What differs, in words.
    pub difference: String,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, difference } = self;
        write!(f, "bytes {from}..{to} in one piece are not the same as one at a time: {difference}")
    }
}

impl std::error::Error for Counterexample {}

/// Proves that `feed` gives the same states and events however `bytes` are cut, or finds the shortest piece that
/// shows otherwise.
///
/// `feed` hands a piece to the decoder and pushes what comes out; errors are events too, so that they are compared.
///
/// # Errors
///
/// The counterexample with the shortest piece at the earliest offset.
pub fn prove_segmentation<D, E>(
    start: &D,
    bytes: &[u8],
    mut feed: impl FnMut(&mut D, &[u8], &mut Vec<E>),
) -> Result<Proof, Counterexample>
where
    D: Clone + Eq + Debug,
    E: Eq + Debug,
{
    // states[i] after i bytes; marks[i] events before them.
    let mut states = vec![start.clone()];
    let mut marks = vec![0];
    let mut events: Vec<E> = Vec::new();
    for byte in bytes.chunks(1) {
        let mut state = states.last().unwrap_or(start).clone();
        feed(&mut state, byte, &mut events);
        states.push(state);
        marks.push(events.len());
    }
    let mut checks = 0;
    let mut produced = Vec::new();
    // By length of the piece: the first difference found has the shortest piece. Length 0 asks that nothing comes of
    // nothing; length 1 that the decoder is a function of its state.
    for len in 0..=bytes.len() {
        for from in 0..=bytes.len() - len {
            let to = from + len;
            let mut state = states[from].clone();
            produced.clear();
            feed(&mut state, &bytes[from..to], &mut produced);
            checks += 1;
            let expected = &events[marks[from]..marks[to]];
            let difference = if produced != expected {
                format!("events {produced:?} instead of {expected:?}")
            } else if state != states[to] {
                format!("the decoder is left as {state:?} instead of {:?}", states[to])
            } else {
                continue;
            };
            return Err(Counterexample { from, to, difference });
        }
    }
    Ok(Proof { bytes: bytes.len(), events: events.len(), checks })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One length byte, then so many bytes.
    #[derive(Clone, Debug, PartialEq, Eq, Default)]
    struct Frames {
        buffer: Vec<u8>,
    }

    impl Frames {
        fn next(&mut self) -> Option<Vec<u8>> {
            let len = usize::from(*self.buffer.first()?);
            let frame = self.buffer.get(1..=len)?.to_vec();
            self.buffer.drain(..=len);
            Some(frame)
        }
    }

    const WIRE: &[u8] = b"\x03abc\x00\x05hello\x01x\x02y";

    #[test]
    fn buffering_decoder_is_proved_for_every_segmentation() {
        let proof = prove_segmentation(&Frames::default(), WIRE, |decoder, bytes, out| {
            decoder.buffer.extend(bytes);
            while let Some(frame) = decoder.next() {
                out.push(frame);
            }
        })
        .unwrap();
        assert_eq!(proof.to_string(), "136 checks stand for all 2^14 segmentations of 15 bytes (4 events)");
    }

    #[test]
    fn decoder_that_takes_one_frame_per_read_is_refuted_by_two_frames_in_one() {
        let refuted = prove_segmentation(&Frames::default(), WIRE, |decoder, bytes, out| {
            decoder.buffer.extend(bytes);
            out.extend(decoder.next());
        })
        .unwrap_err();
        assert_eq!((refuted.from, refuted.to), (3, 5), "{refuted}");
    }

    #[test]
    fn decoder_that_drops_what_follows_a_frame_is_refuted() {
        let refuted = prove_segmentation(&Frames::default(), WIRE, |decoder, bytes, out| {
            decoder.buffer.extend(bytes);
            if let Some(frame) = decoder.next() {
                out.push(frame);
                decoder.buffer.clear();
            }
        });
        assert!(refuted.is_err());
    }

    #[test]
    fn decoder_that_drops_a_partial_header_is_refuted() {
        // Two length bytes, thrown away if they do not come together.
        let refuted =
            prove_segmentation(&Vec::new(), b"\x00\x01a", |buffer: &mut Vec<u8>, bytes, out: &mut Vec<u8>| {
                if buffer.is_empty() && bytes.len() < 2 {
                    return;
                }
                buffer.extend(bytes);
                out.extend_from_slice(buffer.get(2..).unwrap_or_default());
            });
        assert!(refuted.is_err());
    }
}
