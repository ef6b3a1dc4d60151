//! Every decoder over golden transcripts: what the tests and the gauntlet both prove.

use ft_core::codec::{Decoder, Item};
use ft_core::dialect::TextEnd;
use ft_core::dialect::addfile::decoder::{RequestDecoder, RequestEvent};
use ft_core::dialect::addfile::{ConfirmationDecoder, StatusDecoder, StatusEvent};
use ft_core::dialect::pipe::decoder::{AckDecoder, PipeDecoder, PipeEvent};
use ft_sim::prove::{Counterexample, Proof, prove_segmentation};

/// A proof by name, held or refuted.
pub(crate) type Named = (String, Result<Proof, Counterexample>);

/// ft/1, over every transcript of the document.
pub(crate) fn codec() -> Vec<Named> {
    let mut proofs = Vec::new();
    for mark in ["transcript", "transcript-pull"] {
        for side in ["c2s", "s2c"] {
            let bytes = transcript(mark, side);
            assert!((64..=600).contains(&bytes.len()), "{mark} {side}: {} bytes", bytes.len());
            proofs.push((format!("{mark} {side}"), prove_segmentation(&Decoder::new(), &bytes, feed_codec)));
        }
    }
    proofs
}

/// Lab A: both directions.
pub(crate) fn lab_a() -> Vec<Named> {
    let wire = b"d\xc3\xa4ta|x.txt|0025\nthe quick brown fox jumps";
    let request = prove_segmentation(&PipeDecoder::new(1 << 20), wire, |decoder, bytes, out| {
        out.extend(bytewise(decoder.feed(bytes), pipe_body, PipeEvent::Body));
    });
    let ack = prove_segmentation(&AckDecoder::default(), b"ACK", |decoder, bytes, out| out.extend(decoder.feed(bytes)));
    vec![("lab A, metadata and body".to_owned(), request), ("lab A, ACK".to_owned(), ack)]
}

/// Lab B: both directions of every exchange.
pub(crate) fn lab_b() -> Vec<Named> {
    let mut proofs = Vec::new();
    for wire in [&b"addfile\nd\xc3\xa4ta.txt\nfirst line\nand more"[..], b"UPLOAD\r\nname\r\ndata", b"DOWNLOAD\nname\n"]
    {
        let proof = prove_segmentation(&RequestDecoder::default(), wire, |decoder, bytes, out| {
            out.extend(bytewise(decoder.feed(bytes), request_data, RequestEvent::Data));
        });
        proofs.push(("lab B, request".to_owned(), proof));
    }
    let wire = b"file recv\nfile data recv\n";
    let proof = prove_segmentation(&ConfirmationDecoder::default(), wire, |decoder, bytes, out| {
        out.extend(decoder.feed(bytes));
    });
    proofs.push(("lab B, confirmations".to_owned(), proof));
    for (reading, wire) in
        [(TextEnd::Newline, &b"OK\nsome data"[..]), (TextEnd::Bare, b"OKsome data"), (TextEnd::Bare, b"NOT FOUND")]
    {
        let proof = prove_segmentation(&StatusDecoder::new(reading), wire, |decoder, bytes, out| {
            out.extend(bytewise(decoder.feed(bytes), status_data, StatusEvent::Data));
        });
        proofs.push(("lab B, status".to_owned(), proof));
    }
    proofs
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
