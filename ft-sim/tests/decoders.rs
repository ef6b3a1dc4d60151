//! Every decoder, proved independent of segmentation over golden transcripts; and planted mistakes that the proof finds.

#![expect(clippy::disallowed_macros, reason = "what was searched or proved is shown with --nocapture")]

mod proofs;

use std::fmt::Debug;

use ft_core::dialect::pipe::decoder::PipeDecoder;
use ft_sim::prove::{Counterexample, Proof, prove_segmentation};

use proofs::Visit;

/// Proves each decoder, and shows that the proof would have noticed the two classic mistakes in it.
struct ProvedAndPlanted;

impl Visit for ProvedAndPlanted {
    fn decoder<D: Clone + Eq + Debug, E: Eq + Debug>(
        &mut self,
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
}

#[test]
fn codec_is_proved_over_every_transcript_of_the_document() {
    proofs::codec(&mut ProvedAndPlanted);
}

#[test]
fn careful_decoders_of_lab_a_are_proved() {
    proofs::lab_a(&mut ProvedAndPlanted);
}

#[test]
fn careful_decoders_of_lab_b_are_proved() {
    proofs::lab_b(&mut ProvedAndPlanted);
}

#[test]
fn parser_of_lab_a_that_takes_a_read_for_the_header_is_refuted() {
    let refuted = prove_segmentation(&PipeDecoder::new(1 << 20), b"a|25\nthe quick", |decoder, bytes, out| {
        decoder.feed(bytes, out);
        // The end of a read is taken for the end of the text.
        if !bytes.is_empty() {
            decoder.quiet(out);
        }
    });
    println!("{}", refuted.map_or_else(|e| e.to_string(), |proof| panic!("not refuted: {proof}")));
}
