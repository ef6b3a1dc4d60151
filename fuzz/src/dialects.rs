//! The labs' decoders and the guess about who speaks: the same from every segmentation, and a guess never changes.

use std::fmt::Debug;

use arbitrary::Unstructured;
use ft_core::dialect::addfile::decoder::{RequestDecoder, RequestEvent, join_data};
use ft_core::dialect::addfile::{ConfirmationDecoder, StatusDecoder, StatusEvent};
use ft_core::dialect::detect::FT1_MAGIC;
use ft_core::dialect::pipe::decoder::{AckDecoder, PipeDecoder, PipeEvent, join_bodies};
use ft_core::dialect::{Detected, TextEnd, detect, detect_after_quiet, foreign_response};
use ft_core::preamble;

use super::cuts::Cuts;

/// Most decoders give what can be iterated over.
macro_rules! feed {
    ($join:expr, $failed:expr) => {
        Feed {
            feed: |decoder, piece, out| out.extend(decoder.feed(piece)),
            eof: |decoder, out| out.extend(decoder.eof()),
            quiet: |decoder, out| out.extend(decoder.quiet()),
            join: $join,
            failed: $failed,
        }
    };
}

/// Bytes of which every prefix is asked about.
const PREFIXES: usize = 64;

/// Whose decoder, how cut, then the stream.
pub fn dialects(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let (Ok(choice), Ok(cuts)) = (u.arbitrary::<u8>(), Cuts::read(&mut u)) else { return };
    let bytes = u.take_rest();
    guesses(&bytes[..bytes.len().min(PREFIXES)]);
    let quiet = choice & 0x80 != 0;
    match choice % 6 {
        0 => split(
            &cuts,
            bytes,
            PipeDecoder::new(1 << 20),
            quiet,
            &Feed {
                feed: |decoder, piece, out| decoder.feed(piece, out),
                eof: |decoder, out| out.extend(decoder.eof()),
                quiet: |decoder, out| decoder.quiet(out),
                join: join_bodies,
                failed: |event| matches!(event, PipeEvent::Failed(_)),
            },
        ),
        1 => split(&cuts, bytes, AckDecoder::default(), quiet, &feed!(|events| events, |_| false)),
        2 => split(
            &cuts,
            bytes,
            RequestDecoder::default(),
            quiet,
            &feed!(join_data, |event| matches!(event, RequestEvent::Failed(_))),
        ),
        3 => split(&cuts, bytes, ConfirmationDecoder::default(), quiet, &feed!(|events| events, |_| false)),
        reading => {
            let reading = if reading == 4 { TextEnd::Bare } else { TextEnd::Newline };
            split(
                &cuts,
                bytes,
                StatusDecoder::new(reading),
                quiet,
                &feed!(join_status, |event| matches!(event, StatusEvent::Failed(_))),
            );
        }
    }
}

/// How a decoder is fed and what it says.
struct Feed<D, E> {
    feed: fn(&mut D, &[u8], &mut Vec<E>),
    eof: fn(&mut D, &mut Vec<E>),
    quiet: fn(&mut D, &mut Vec<E>),
    join: fn(Vec<E>) -> Vec<E>,
    failed: fn(&E) -> bool,
}

/// SPLIT: cut, whole and byte by byte it ends in the same state with the same events, and so do silence and the end.
fn split<D: Clone + Eq + Debug, E: Eq + Debug>(cuts: &Cuts, bytes: &[u8], start: D, quiet: bool, how: &Feed<D, E>) {
    let run = |pieces: Vec<&[u8]>| {
        let (mut decoder, mut events) = (start.clone(), Vec::new());
        for piece in pieces {
            (how.feed)(&mut decoder, piece, &mut events);
        }
        let before = decoder.clone();
        if quiet {
            (how.quiet)(&mut decoder, &mut events);
        }
        (how.eof)(&mut decoder, &mut events);
        let over = events.len();
        (how.eof)(&mut decoder, &mut events);
        (how.quiet)(&mut decoder, &mut events);
        assert_eq!(events.len(), over, "after its end a stream says nothing");
        let failures = events.iter().position(|event| (how.failed)(event));
        assert!(failures.is_none_or(|at| at + 1 == events.len()), "nothing follows a failure: {events:?}");
        (before, (how.join)(events))
    };
    let whole = run(vec![bytes]);
    assert_eq!(run(cuts.pieces(bytes)), whole, "SPLIT: how a stream is cut changes what is heard");
    assert_eq!(run(bytes.chunks(1).collect()), whole, "SPLIT: a byte at a time changes what is heard");
}

fn join_status(events: Vec<StatusEvent>) -> Vec<StatusEvent> {
    let mut joined: Vec<StatusEvent> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(StatusEvent::Data(whole)), StatusEvent::Data(more)) => whole.extend(more),
            (_, event) => joined.push(event),
        }
    }
    joined
}

/// A decision does not change when more comes, and ft/1's own first bytes are judged alike wherever they are read.
fn guesses(bytes: &[u8]) {
    let mut decided = Detected::NeedMore;
    for len in 0..=bytes.len() {
        let prefix = &bytes[..len];
        let now = detect(prefix);
        assert!(decided == Detected::NeedMore || now == decided, "{decided:?} became {now:?} at {len} of {bytes:?}");
        decided = now;
        let after_quiet = detect_after_quiet(prefix);
        assert!(now == Detected::NeedMore || after_quiet == now, "silence changes {now:?} to {after_quiet:?}");
        assert_eq!(now == Detected::Ft1, prefix.starts_with(FT1_MAGIC));
        let _ = foreign_response(prefix);
        if len > 0 && FT1_MAGIC.starts_with(prefix) {
            assert!(matches!(preamble::check(prefix), Ok(None)), "a beginning of the preamble is one");
        }
    }
}
