//! Every decoder, proved independent of segmentation over golden transcripts; and planted mistakes that the proof finds.

#![expect(clippy::disallowed_macros, reason = "what was searched or proved is shown with --nocapture")]

use std::fmt::Debug;

use ft_core::codec::{Decoder, Item};
use ft_core::dialect::TextEnd;
use ft_core::dialect::addfile::decoder::{RequestDecoder, RequestEvent};
use ft_core::dialect::addfile::{ConfirmationDecoder, StatusDecoder, StatusEvent};
use ft_core::dialect::pipe::decoder::{AckDecoder, PipeDecoder, PipeEvent};
use ft_sim::prove::{Counterexample, Proof, prove_segmentation};

/// One direction of a transcript of docs/PROTOCOL.md.
fn transcript(mark: &str, side: &str) -> Vec<u8> {
    let document = include_str!("../../docs/PROTOCOL.md");
    let (_, block) = document.split_once(&format!("```{mark}\n")).expect("the transcript");
    let (block, _) = block.split_once("```").expect("its end");
    let lines = block.lines().filter_map(|line| line.strip_prefix(side));
    let words = lines.flat_map(|line| line.split(';').next().unwrap_or_default().split_whitespace());
    words.map(|word| u8::from_str_radix(word, 16).expect("two hexadecimal digits")).collect()
}

/// What the codec says, with content byte by byte: how it is cut is the only thing that may depend on the segmentation.
fn feed_codec(decoder: &mut Decoder, mut input: &[u8], out: &mut Vec<String>) {
    loop {
        match decoder.next(&mut input) {
            Ok(None) => return,
            Ok(Some(Item::Content(bytes))) => out.extend(bytes.iter().map(|byte| format!("content {byte}"))),
            Ok(Some(item)) => out.push(format!("{item:?}")),
            Err(error) => return out.push(error.to_string()),
        }
    }
}

/// Proves a decoder over a transcript, and shows that the proof would have noticed the two classic mistakes.
fn proved<D: Clone + Eq + Debug, E: Eq + Debug>(
    what: &str,
    start: &D,
    bytes: &[u8],
    feed: impl Fn(&mut D, &[u8], &mut Vec<E>),
) {
    let proof = prove_segmentation(start, bytes, &feed).unwrap_or_else(|e| panic!("{what}: {e}"));
    println!("{what}: {proof}");
    assert!(proof.events > 0, "{what}: a transcript without events proves nothing");
    let refuted = |mistake: &str, result: Result<Proof, Counterexample>| match result {
        Err(counterexample) => println!("    {mistake}: {counterexample}"),
        Ok(proof) => panic!("{what}, {mistake}: not refuted: {proof}"),
    };
    // A piece that holds no whole message is forgotten.
    let forgets_the_beginning = |decoder: &mut D, piece: &[u8], out: &mut Vec<E>| {
        let (before, said) = (decoder.clone(), out.len());
        feed(decoder, piece, out);
        if out.len() == said {
            *decoder = before;
        }
    };
    refuted("a partial message dropped", prove_segmentation(start, bytes, forgets_the_beginning));
    // What follows the first message of a piece is forgotten.
    let forgets_the_rest = |decoder: &mut D, piece: &[u8], out: &mut Vec<E>| {
        let said = out.len();
        for byte in piece.chunks(1) {
            if out.len() == said {
                feed(decoder, byte, out);
            }
        }
    };
    if proof.events > 1 {
        refuted("a coalesced rest dropped", prove_segmentation(start, bytes, forgets_the_rest));
    }
}

#[test]
fn codec_is_proved_over_every_transcript_of_the_document() {
    for mark in ["transcript", "transcript-pull"] {
        for side in ["c2s", "s2c"] {
            let bytes = transcript(mark, side);
            assert!((64..=600).contains(&bytes.len()), "{mark} {side}: {} bytes", bytes.len());
            proved(&format!("{mark} {side}"), &Decoder::new(), &bytes, feed_codec);
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

#[test]
fn careful_decoders_of_lab_a_are_proved() {
    let wire = b"d\xc3\xa4ta|x.txt|0025\nthe quick brown fox jumps";
    proved("lab A, metadata and body", &PipeDecoder::new(1 << 20), wire, |decoder, bytes, out| {
        out.extend(bytewise(decoder.feed(bytes), pipe_body, PipeEvent::Body));
    });
    proved("lab A, ACK", &AckDecoder::default(), b"ACK", |decoder, bytes, out| out.extend(decoder.feed(bytes)));
}

#[test]
fn careful_decoders_of_lab_b_are_proved() {
    for wire in [&b"addfile\nd\xc3\xa4ta.txt\nfirst line\nand more"[..], b"UPLOAD\r\nname\r\ndata", b"DOWNLOAD\nname\n"]
    {
        proved("lab B, request", &RequestDecoder::default(), wire, |decoder, bytes, out| {
            out.extend(bytewise(decoder.feed(bytes), request_data, RequestEvent::Data));
        });
    }
    let wire = b"file recv\nfile data recv\n";
    proved("lab B, confirmations", &ConfirmationDecoder::default(), wire, |decoder, bytes, out| {
        out.extend(decoder.feed(bytes));
    });
    for (reading, wire) in
        [(TextEnd::Newline, &b"OK\nsome data"[..]), (TextEnd::Bare, b"OKsome data"), (TextEnd::Bare, b"NOT FOUND")]
    {
        proved("lab B, status", &StatusDecoder::new(reading), wire, |decoder, bytes, out| {
            out.extend(bytewise(decoder.feed(bytes), status_data, StatusEvent::Data));
        });
    }
}

#[test]
fn parser_of_lab_a_that_takes_a_read_for_the_header_is_refuted() {
    let refuted = prove_segmentation(&PipeDecoder::new(1 << 20), b"a|25\nthe quick", |decoder, bytes, out| {
        out.extend(decoder.feed(bytes));
        // The end of a read is taken for the end of the text.
        if !bytes.is_empty() {
            out.extend(decoder.quiet());
        }
    });
    println!("{}", refuted.map_or_else(|e| e.to_string(), |proof| panic!("not refuted: {proof}")));
}
