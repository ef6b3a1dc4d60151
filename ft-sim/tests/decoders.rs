//! Every decoder, proved independent of segmentation over golden transcripts; and planted mistakes that the proof finds.

#![expect(clippy::disallowed_macros, reason = "what was searched or proved is shown with --nocapture")]

use ft_core::codec::{Decoder, Item};
use ft_core::dialect::TextEnd;
use ft_core::dialect::addfile::decoder::{RequestDecoder, RequestEvent, join_data};
use ft_core::dialect::addfile::{ConfirmationDecoder, StatusDecoder, StatusEvent};
use ft_core::dialect::pipe::decoder::{AckDecoder, PipeDecoder, PipeEvent};
use ft_sim::prove::{Proof, prove_segmentation};

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

fn show(what: &str, proof: Proof) {
    println!("{what}: {proof}");
    assert!(proof.events > 0, "{what}: a transcript without events proves nothing");
}

#[test]
fn codec_is_proved_over_every_transcript_of_the_document() {
    for mark in ["transcript", "transcript-pull"] {
        for side in ["c2s", "s2c"] {
            let bytes = transcript(mark, side);
            assert!((64..=600).contains(&bytes.len()), "{mark} {side}: {} bytes", bytes.len());
            let proof = prove_segmentation(&Decoder::new(), &bytes, feed_codec).unwrap_or_else(|e| panic!("{e}"));
            show(&format!("{mark} {side}"), proof);
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
    let proof = prove_segmentation(&PipeDecoder::new(1 << 20), wire, |decoder, bytes, out| {
        out.extend(bytewise(decoder.feed(bytes), pipe_body, PipeEvent::Body));
    });
    show("lab A, metadata and body", proof.unwrap_or_else(|e| panic!("{e}")));
    let proof =
        prove_segmentation(&AckDecoder::default(), b"ACK", |decoder, bytes, out| out.extend(decoder.feed(bytes)));
    show("lab A, ACK", proof.unwrap_or_else(|e| panic!("{e}")));
}

#[test]
fn careful_decoders_of_lab_b_are_proved() {
    for wire in [&b"addfile\nd\xc3\xa4ta.txt\nfirst line\nand more"[..], b"UPLOAD\r\nname\r\ndata", b"DOWNLOAD\nname\n"]
    {
        let proof = prove_segmentation(&RequestDecoder::default(), wire, |decoder, bytes, out| {
            out.extend(bytewise(decoder.feed(bytes), request_data, RequestEvent::Data));
        });
        show("lab B, request", proof.unwrap_or_else(|e| panic!("{e}")));
    }
    let wire = b"file recv\nfile data recv\n";
    let proof = prove_segmentation(&ConfirmationDecoder::default(), wire, |decoder, bytes, out| {
        out.extend(decoder.feed(bytes));
    });
    show("lab B, confirmations", proof.unwrap_or_else(|e| panic!("{e}")));
    for (reading, wire) in
        [(TextEnd::Newline, &b"OK\nsome data"[..]), (TextEnd::Bare, b"OKsome data"), (TextEnd::Bare, b"NOT FOUND")]
    {
        let proof = prove_segmentation(&StatusDecoder::new(reading), wire, |decoder, bytes, out| {
            out.extend(bytewise(decoder.feed(bytes), status_data, StatusEvent::Data));
        });
        show("lab B, status", proof.unwrap_or_else(|e| panic!("{e}")));
    }
}

#[test]
fn codec_that_drops_what_follows_a_frame_is_refuted() {
    let refuted = prove_segmentation(&Decoder::new(), &transcript("transcript", "c2s"), |decoder, mut bytes, out| {
        if let Ok(Some(item)) = decoder.next(&mut bytes) {
            out.push(format!("{item:?}"));
        }
    });
    println!("{}", refuted.expect_err("the coalesced tail is gone"));
}

#[test]
fn codec_that_drops_a_partial_header_is_refuted() {
    let refuted = prove_segmentation(&Decoder::new(), &transcript("transcript", "s2c"), |decoder, bytes, out| {
        let before = decoder.clone();
        let said = out.len();
        feed_codec(decoder, bytes, out);
        if out.len() == said && bytes.len() < 4 {
            *decoder = before;
        }
    });
    println!("{}", refuted.map_or_else(|e| e.to_string(), |proof| panic!("not refuted: {proof}")));
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

#[test]
fn parser_of_lab_b_that_forgets_a_coalesced_name_is_refuted() {
    let refuted = prove_segmentation(&RequestDecoder::default(), b"addfile\nname\ndata", |decoder, bytes, out| {
        out.extend(join_data(decoder.feed(bytes)).into_iter().take(1));
    });
    println!("{}", refuted.map_or_else(|e| e.to_string(), |proof| panic!("not refuted: {proof}")));
}
