//! Every decoder, proved independent of segmentation over golden transcripts; and planted mistakes that the proof finds.

#![expect(clippy::disallowed_macros, reason = "what was searched or proved is shown with --nocapture")]

mod proofs;

use ft_core::codec::Decoder;
use ft_core::dialect::addfile::decoder::{RequestDecoder, join_data};
use ft_core::dialect::pipe::decoder::PipeDecoder;
use ft_sim::prove::prove_segmentation;

use proofs::{feed_codec, transcript};

fn held(proofs: Vec<proofs::Named>) {
    for (what, proof) in proofs {
        let proof = proof.unwrap_or_else(|refuted| panic!("{what}: {refuted}"));
        println!("{what}: {proof}");
        assert!(proof.events > 0, "{what}: a transcript without events proves nothing");
    }
}

#[test]
fn codec_is_proved_over_every_transcript_of_the_document() {
    held(proofs::codec());
}

#[test]
fn careful_decoders_of_lab_a_are_proved() {
    held(proofs::lab_a());
}

#[test]
fn careful_decoders_of_lab_b_are_proved() {
    held(proofs::lab_b());
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
