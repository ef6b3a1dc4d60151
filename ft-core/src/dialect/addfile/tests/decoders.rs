//! The pure state machines: independent of segmentation, whole at every cut.

use super::super::decoder::{RequestDecoder, RequestEvent, join_data};
use super::super::{ConfirmationDecoder, ConfirmationEvent, StatusDecoder, StatusEvent};
use super::*;

/// For all i < j: the state after i bytes, fed the bytes i..j, is the state after j bytes, and says the same.
#[test]
fn request_state_is_independent_of_segmentation() {
    let wires: [&[u8]; 8] = [
        b"addfile\n1412412\nsome data\nand more",
        b"UPLOAD\r\nname\r\ndata",
        b"DOWNLOADname",
        b"addfile\rname",
        b"addfile\n..\nx",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"SSH-2.0-x\r\n",
        b"uploads are not a command\n",
    ];
    for wire in wires {
        for i in 0..=wire.len() {
            let mut prefix = RequestDecoder::default();
            let before = prefix.feed(&wire[..i]);
            for j in i..=wire.len() {
                let mut split = prefix.clone();
                let after = split.feed(&wire[i..j]);
                let mut whole = RequestDecoder::default();
                let expected = whole.feed(&wire[..j]);
                assert_eq!(split, whole, "{i}..{j}");
                assert_eq!(join_data([before.clone(), after].concat()), join_data(expected), "{i}..{j}");
                let (mut split_end, mut whole_end) = (split.clone(), whole.clone());
                assert_eq!(split_end.eof(), whole_end.eof(), "{i}..{j}");
                assert_eq!(split.quiet(), whole.quiet(), "{i}..{j}");
            }
        }
    }
}

#[test]
fn reading_of_send_text_is_told_by_the_byte_behind_the_command() {
    let rows: [(&[u8], TextEnd, &str); 4] = [
        (b"UPLOAD\nname\n", TextEnd::Newline, "name"),
        (b"UPLOAD\r\nname\r\n", TextEnd::Newline, "name"),
        (b"UPLOADname", TextEnd::Bare, "name"),
        (b"UPLOAD\rname", TextEnd::Bare, "\rname"),
    ];
    for (wire, reading, expected) in rows {
        let mut decoder = RequestDecoder::default();
        let mut events = decoder.feed(wire);
        events.extend(decoder.quiet());
        assert_eq!(events, [RequestEvent::Command(Command::Upload), RequestEvent::Name(name(expected))]);
        assert_eq!(decoder.text_end(), reading);
    }
}

#[test]
fn confirmations_are_read_in_both_wordings_however_they_are_cut() {
    for wire in ["file recv\nfile data recv\n", "File name recv\r\n\nfile data recv\n", "file recvfile data recv"] {
        for cut in 0..=wire.len() {
            let mut decoder = ConfirmationDecoder::default();
            let mut events = decoder.feed(&wire.as_bytes()[..cut]);
            events.extend(decoder.feed(&wire.as_bytes()[cut..]));
            assert_eq!(events, [ConfirmationEvent::Ack1, ConfirmationEvent::Ack2], "{wire:?} at {cut}");
        }
    }
}

#[test]
fn status_and_data_are_told_apart_however_they_are_cut() {
    let rows: [(TextEnd, &str, &str); 5] = [
        (TextEnd::Newline, "OK\n\nabc", "\nabc"),
        (TextEnd::Newline, "OK\r\nabc", "abc"),
        (TextEnd::Newline, "OKabc", "abc"),
        (TextEnd::Newline, "OK\rabc", "\rabc"),
        (TextEnd::Bare, "OK\nabc", "\nabc"),
    ];
    for (reading, wire, expected) in rows {
        for cut in 0..=wire.len() {
            let mut decoder = StatusDecoder::new(reading);
            let mut events = decoder.feed(&wire.as_bytes()[..cut]);
            events.extend(decoder.feed(&wire.as_bytes()[cut..]));
            events.extend(decoder.eof());
            assert_eq!((events.first(), events.last()), (Some(&StatusEvent::Ok), Some(&StatusEvent::End)));
            let mut data = Vec::new();
            for event in &events {
                if let StatusEvent::Data(piece) = event {
                    data.extend_from_slice(piece);
                }
            }
            assert_eq!(data, expected.as_bytes(), "{reading:?} {wire:?} at {cut}");
        }
    }
}

#[test]
fn addfile_cut_at_every_byte_before_its_data_keeps_the_old_file() {
    let wire = b"addfile\na\n";
    for cut in 0..wire.len() {
        for end in [Step::Fin, Step::Rst] {
            let mut files = MemoryFiles::new().with("server_a", "old");
            let steps = [Scripted::bytewise(&wire[..cut]), vec![end]].concat();
            run(serve(Scripted::new(steps), &mut files)).expect_err("no request");
            assert_eq!((files.get("server_a"), files.commits()), (Some(&b"old"[..]), 0), "cut at {cut}");
        }
    }
}
