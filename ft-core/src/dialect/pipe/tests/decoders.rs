//! The pure state machines: independent of segmentation, whole at every cut.

use super::*;

#[test]
fn wrong_answer_is_quoted_or_named_to_the_sender() {
    let answer = |text: &str, end: fn(&mut AckDecoder) -> Option<AckEvent>| {
        let mut decoder = AckDecoder::default();
        let events = (decoder.feed(text.as_bytes()), end(&mut decoder));
        match &events {
            (Some(AckEvent::Failed(fault)), None) | (None, Some(AckEvent::Failed(fault))) => fault.to_string(),
            other => panic!("expected one fault, got {other:?}"),
        }
    };
    assert_eq!(answer("NAK", AckDecoder::quiet), "the peer sent \"NAK\" as ACK at byte 0, expected \"ACK\"");
    assert_eq!(answer("AC", AckDecoder::eof), "the peer ended the stream at byte 2, inside ACK");
    assert_eq!(answer("HTTP/1.1 400 Bad", AckDecoder::eof), "the peer speaks HTTP (a response), not a lab dialect");
    assert_eq!(
        answer("220 hi\r\n", AckDecoder::eof),
        "the peer speaks SMTP or FTP (a 220 greeting), not a lab dialect"
    );
}

/// For all i < j: the state after i bytes, fed the bytes i..j, is the state after j bytes, and says the same.
#[test]
fn decoder_state_is_independent_of_segmentation() {
    let wires: [&[u8]; 6] = [
        b"data.txt|12\nhello, world",
        b"a|b|3\r\nxyzw",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"..|3\nabc",
        b"no size at all\n\x89FT/|1\n!",
    ];
    for wire in wires {
        for i in 0..=wire.len() {
            let mut prefix = PipeDecoder::default();
            let mut before = Vec::new();
            prefix.feed(&wire[..i], &mut before);
            for j in i..=wire.len() {
                let mut split = prefix.clone();
                let mut pieces = before.clone();
                split.feed(&wire[i..j], &mut pieces);
                let mut whole = PipeDecoder::default();
                let mut expected = Vec::new();
                whole.feed(&wire[..j], &mut expected);
                assert_eq!(split, whole, "{i}..{j}");
                split.quiet(&mut pieces);
                whole.quiet(&mut expected);
                assert_eq!(join_bodies(pieces), join_bodies(expected), "{i}..{j}");
            }
        }
    }
    let mut whole = PipeDecoder::default();
    let mut events = Vec::new();
    whole.feed(b"data.txt|12\nhello, world", &mut events);
    assert!(matches!(events.as_slice(), [PipeEvent::Metadata(_), PipeEvent::Body(_), PipeEvent::Whole]));
}

#[test]
fn stream_cut_at_every_byte_keeps_the_old_file_or_stores_the_whole_new_one() {
    let wire = b"data.txt|12\nhello, world";
    for cut in 0..=wire.len() {
        for end in [Step::Fin, Step::Rst] {
            let mut steps = Scripted::bytewise(&wire[..cut]);
            steps.push(end);
            let (result, files, _) = careful_receives(steps);
            let (expected, whole): (&[u8], _) =
                if cut == wire.len() { (b"hello, world", true) } else { (b"old", false) };
            assert_eq!((files.get("data.txt"), result.is_ok()), (Some(expected), whole), "cut at {cut}");
        }
    }
}
