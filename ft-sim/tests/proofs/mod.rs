//! Every decoder over golden transcripts: what the tests and the gauntlet both prove.

use std::fmt::Debug;

use ft_core::codec::{Decoder, Item};
use ft_core::dialect::TextEnd;
use ft_core::dialect::addfile::decoder::{RequestDecoder, RequestEvent};
use ft_core::dialect::addfile::{ConfirmationDecoder, StatusDecoder, StatusEvent};
use ft_core::dialect::pipe::decoder::{AckDecoder, PipeDecoder, PipeEvent};

/// What is done with each decoder and its transcript.
pub(crate) trait Visit {
    /// `feed` hands a piece to the decoder and pushes what comes out.
    fn decoder<D: Clone + Eq + Debug, E: Eq + Debug>(
        &mut self,
        what: &str,
        start: &D,
        bytes: &[u8],
        feed: impl Fn(&mut D, &[u8], &mut Vec<E>),
    );
}

/// ft/1, over every transcript of the document.
pub(crate) fn codec(visit: &mut impl Visit) {
    for mark in ["transcript", "transcript-pull"] {
        for side in ["c2s", "s2c"] {
            let bytes = transcript(mark, side);
            assert!((64..=600).contains(&bytes.len()), "{mark} {side}: {} bytes", bytes.len());
            visit.decoder(&format!("{mark} {side}"), &Decoder::new(), &bytes, feed_codec);
        }
    }
    // The worked example of §5.9 shows one direction.
    let bytes = transcript("transcript-zdata", "c2s");
    visit.decoder("transcript-zdata c2s", &Decoder::new(), &bytes, feed_codec);
}

/// Lab A: both directions.
pub(crate) fn lab_a(visit: &mut impl Visit) {
    let wire = b"d\xc3\xa4ta|x.txt|0025\nthe quick brown fox jumps";
    visit.decoder("lab A, metadata and body", &PipeDecoder::new(1 << 20), wire, |decoder, bytes, out| {
        let mut events = Vec::new();
        decoder.feed(bytes, &mut events);
        out.extend(bytewise(events, pipe_body, PipeEvent::Body));
    });
    visit.decoder("lab A, ACK", &AckDecoder::default(), b"ACK", |decoder, bytes, out| out.extend(decoder.feed(bytes)));
}

/// Lab B: both directions of every exchange.
pub(crate) fn lab_b(visit: &mut impl Visit) {
    for wire in [&b"addfile\nd\xc3\xa4ta.txt\nfirst line\nand more"[..], b"UPLOAD\r\nname\r\ndata", b"DOWNLOAD\nname\n"]
    {
        visit.decoder("lab B, request", &RequestDecoder::default(), wire, |decoder, bytes, out| {
            out.extend(bytewise(decoder.feed(bytes), request_data, RequestEvent::Data));
        });
    }
    let wire = b"file recv\nfile data recv\n";
    visit.decoder("lab B, confirmations", &ConfirmationDecoder::default(), wire, |decoder, bytes, out| {
        out.extend(decoder.feed(bytes));
    });
    for (reading, wire) in
        [(TextEnd::Newline, &b"OK\nsome data"[..]), (TextEnd::Bare, b"OKsome data"), (TextEnd::Bare, b"NOT FOUND")]
    {
        visit.decoder("lab B, status", &StatusDecoder::new(reading), wire, |decoder, bytes, out| {
            out.extend(bytewise(decoder.feed(bytes), status_data, StatusEvent::Data));
        });
    }
}

/// One direction of a transcript of docs/PROTOCOL.md.
pub(crate) fn transcript(mark: &str, side: &str) -> Vec<u8> {
    let document = include_str!("../../../docs/PROTOCOL.md");
    let (_, block) = document.split_once(&format!("```{mark}\n")).expect("the transcript");
    let (block, _) = block.split_once("```").expect("its end");
    let lines = block.lines().filter_map(|line| line.strip_prefix(side));
    let words = lines.flat_map(|line| line.split(';').next().unwrap_or_default().split_whitespace());
    words.map(|word| u8::from_str_radix(word, 16).expect("two hexadecimal digits")).collect()
}

/// What the codec says, with content byte by byte: how it is cut is the only thing that may depend on the segmentation.
pub(crate) fn feed_codec(decoder: &mut Decoder, mut input: &[u8], out: &mut Vec<String>) {
    loop {
        match decoder.next(&mut input) {
            Ok(None) => return,
            Ok(Some(Item::Content(bytes))) => out.extend(bytes.iter().map(|byte| format!("content {byte}"))),
            Ok(Some(item)) => out.push(format!("{item:?}")),
            Err(error) => return out.push(error.to_string()),
        }
    }
}

/// One event per body byte, so that pieces of a body compare.
fn bytewise<E>(events: Vec<E>, body: impl Fn(&E) -> Option<Vec<u8>>, make: impl Fn(Vec<u8>) -> E) -> Vec<E> {
    let mut out = Vec::new();
    for event in events {
        match body(&event) {
            Some(bytes) => out.extend(bytes.into_iter().map(|byte| make(vec![byte]))),
            None => out.push(event),
        }
    }
    out
}

fn pipe_body(event: &PipeEvent) -> Option<Vec<u8>> {
    if let PipeEvent::Body(bytes) = event { Some(bytes.clone()) } else { None }
}

fn request_data(event: &RequestEvent) -> Option<Vec<u8>> {
    if let RequestEvent::Data(bytes) = event { Some(bytes.clone()) } else { None }
}

fn status_data(event: &StatusEvent) -> Option<Vec<u8>> {
    if let StatusEvent::Data(bytes) = event { Some(bytes.clone()) } else { None }
}
