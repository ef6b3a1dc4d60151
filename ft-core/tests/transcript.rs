//! The specification against the code: every byte of the document's transcripts, its worked examples, its tables.

use std::collections::BTreeSet;
use std::path::Path;

use ft_core::codec::{Decoder, Item, encode, encode_zdata};
use ft_core::error::CODES;
use ft_core::frame::{Compare, Frame, Intent, Level, Verdict};
use ft_core::hash::{Root, TreeHasher};
use ft_core::limits::RESUME_UNIT;
use ft_core::preamble::Versions;

const PROTOCOL: &str = include_str!("../../docs/PROTOCOL.md");

/// The lines of the fenced block that is marked so.
fn block(mark: &str) -> Vec<&'static str> {
    let fence = format!("```{mark}");
    let lines: Vec<_> = PROTOCOL.lines().skip_while(|l| *l != fence).skip(1).take_while(|l| *l != "```").collect();
    assert!(!lines.is_empty(), "the document has a block {mark}");
    lines
}

/// Bytes of one direction of a transcript, and the names that the document gives to what they are.
fn direction(mark: &str, side: &str) -> (Vec<u8>, Vec<String>) {
    let (mut bytes, mut names, mut name) = (Vec::new(), Vec::new(), None);
    for line in block(mark) {
        if let Some(title) = line.strip_prefix("; ") {
            name = Some(title.split(':').next().unwrap_or_default().to_owned());
        } else if let Some(rest) = line.strip_prefix(side) {
            names.extend(name.take());
            let hex = rest.split(';').next().unwrap_or_default().split_whitespace();
            bytes.extend(hex.map(|h| u8::from_str_radix(h, 16).expect("two hexadecimal digits")));
        }
    }
    (bytes, names)
}

/// Frames and content of one direction; each was named by the document, and encodes to the same bytes again.
fn decode(mark: &str, side: &str) -> (Vec<Frame>, Vec<u8>) {
    let (bytes, names) = direction(mark, side);
    let (mut decoder, mut input) = (Decoder::new(), &bytes[..]);
    let (mut frames, mut content, mut again, mut found) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    while let Some(item) = decoder.next(&mut input).expect("the document's bytes are ft/1") {
        match item {
            Item::Preamble(versions) => {
                again.extend(versions.encode());
                found.push("preamble");
                assert_eq!(versions, Versions { min: 1, max: 1 });
            }
            Item::Frame(frame) => {
                encode(&frame, &mut again);
                found.push(frame.name());
                frames.push(frame);
            }
            Item::Content(piece) => {
                again.extend(piece);
                content.extend(piece);
            }
            Item::BadOffer(stream, error) => panic!("stream {stream}: {error}"),
            Item::Zdata(frame, packed) => {
                let Frame::Zdata { stream, offset, len, .. } = frame else { panic!("not ZDATA: {frame:?}") };
                let payload = [&len.to_be_bytes()[..], &packed].concat();
                encode_zdata(stream, offset, &payload, &mut again);
                again.extend(payload);
                found.push(frame.name());
                frames.push(frame);
                content.extend(packed);
            }
        }
    }
    assert!(decoder.at_boundary() && input.is_empty(), "{mark} {side} ends between two frames");
    assert_eq!(again, bytes, "{mark} {side} encodes to the same bytes");
    assert_eq!(found, names, "{mark} {side} has the frames that it names");
    (frames, content)
}

#[test]
fn push_transcript_is_what_the_codec_reads_and_writes() {
    let (client, content) = decode("transcript", "c2s");
    let [Frame::Hello(hello), Frame::Offer(1, offer), Frame::Data { .. }, Frame::End(1, 5, root), Frame::Goodbye] =
        &client[..]
    else {
        panic!("unexpected frames: {client:?}")
    };
    assert_eq!(hello.intent, Some(Intent::Push));
    assert_eq!((offer.compare, offer.level, offer.meta.size), (Compare::Quick, Level::Durable, Some(5)));
    assert_eq!((offer.meta.path.to_string().as_str(), offer.meta.mode), ("hello.txt", Some(0o644)));
    assert_eq!(content, b"hello");
    assert_eq!(*root, Root::of(b"hello"));

    let (server, content) = decode("transcript", "s2c");
    let [Frame::Hello(hello), Frame::Ack1(1, 0, Verdict::Send), Frame::Ack2(1, ack), Frame::Goodbye] = &server[..]
    else {
        panic!("unexpected frames: {server:?}")
    };
    assert_eq!(hello.intent, None);
    assert_eq!((ack.size, ack.level, ack.root), (5, Level::Durable, Root::of(b"hello")));
    assert!(content.is_empty());
}

#[test]
fn pull_transcript_is_what_the_codec_reads_and_writes() {
    let (client, _) = decode("transcript-pull", "c2s");
    let Some(Frame::Want(1, want)) = client.get(1) else { panic!("unexpected frames: {client:?}") };
    assert_eq!((want.path.to_string().as_str(), want.depth, want.last), ("srv/box", u16::MAX, true));
    let (server, _) = decode("transcript-pull", "s2c");
    let ends = server.iter().filter(|f| matches!(f, Frame::End(_, 0, root) if *root == Root::of(b""))).count();
    assert_eq!(ends, 2, "an empty file and a folder");
    assert!(server.iter().any(|f| matches!(f, Frame::Done(1, 2, Some(error)) if error.code.name() == "permission")));
}

#[test]
fn compressed_transcript_is_what_the_codec_reads_and_writes() {
    let (client, packed) = decode("transcript-zdata", "c2s");
    let [Frame::Hello(hello), Frame::Zdata { stream: 1, offset: 0, len: 200, packed: 10 }] = &client[..] else {
        panic!("unexpected frames: {client:?}")
    };
    assert_eq!(hello.features, ft_core::compress::FEATURE);
    assert_eq!(zstd::bulk::decompress(&packed, 1000).unwrap(), [b'a'; 200]);
}

/// Byte i is i mod 251.
fn pattern(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

fn hex(bytes: [u8; 32]) -> String {
    Root(bytes).to_hex()
}

#[test]
fn resume_example_has_the_values_that_the_hasher_states() {
    let unit = usize::try_from(RESUME_UNIT).expect("a MiB");
    let content = pattern(5 * unit + 3);
    let lines = block("resume");
    let value = |name: &str| {
        let line = lines.iter().find(|l| l.split([' ', '=']).next() == Some(name)).expect("the document has the value");
        line.split_whitespace().last().expect("a value").to_owned()
    };
    let stated = |len: usize| {
        let mut hasher = TreeHasher::new();
        hasher.update(&content[..len]);
        hasher.prefix().1.into_iter().map(|s| hex(s.0)).collect::<Vec<_>>()
    };
    assert_eq!(stated(3 * unit + 100_000), [value("0..2"), value("2..3")]);
    assert_eq!(stated(5 * unit + 2), [value("0..4"), value("4..5")]);
    assert_eq!(value("root"), Root::of(&content).to_hex());
}

#[test]
fn check_values_of_blake3_and_crc32c_are_right() {
    let rows: Vec<_> = PROTOCOL
        .lines()
        .filter_map(|l| l.strip_prefix("| ")?.strip_suffix("` |")?.split_once(" | `"))
        .filter(|(_, root)| root.len() == 64)
        .collect();
    assert!(rows.len() >= 10, "the table is there");
    for (length, root) in rows {
        let len = length.replace(',', "").parse().expect("a length");
        assert_eq!(Root::of(&pattern(len)).to_hex(), root, "length {length}");
    }
    assert!(PROTOCOL.contains(&format!("`123456789` is `{:08x}`", crc32c::crc32c(b"123456789"))));
}

#[test]
fn error_codes_of_document_and_code_are_the_same() {
    let rows: Vec<_> = PROTOCOL
        .lines()
        .skip_while(|l| !l.starts_with("### 8.1"))
        .take_while(|l| !l.starts_with("### 8.2"))
        .filter(|l| l.contains(" | `"))
        .collect();
    let expected: Vec<_> =
        CODES.iter().map(|(_, n, name, meaning)| format!("| {n} | `{name}` | {meaning} |")).collect();
    assert_eq!(rows, expected);
}

/// Every `FT-n` in a text.
fn cited(text: &str) -> BTreeSet<u32> {
    let after = text.split("FT-").skip(1);
    after.filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).collect()
}

#[test]
fn every_requirement_is_stated_once_and_indexed_and_the_code_cites_no_other() {
    let stated: Vec<u32> =
        PROTOCOL.lines().filter_map(|l| l.strip_prefix("- **FT-")?.split_once("** ")?.0.parse().ok()).collect();
    let unique: BTreeSet<u32> = stated.iter().copied().collect();
    assert_eq!(unique.len(), stated.len(), "each requirement is stated once");
    let indexed = PROTOCOL.lines().filter_map(|l| l.strip_prefix("| FT-")?.split_once(" | ")?.0.parse::<u32>().ok());
    assert!(indexed.eq(unique.iter().copied()), "the index lists them all, in order");
    assert!(cited(PROTOCOL).is_subset(&unique), "not stated: {:?}", cited(PROTOCOL).difference(&unique));

    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the crate's sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let ids = cited(&std::fs::read_to_string(&path).expect("UTF-8"));
                seen += ids.len();
                assert!(ids.is_subset(&unique), "{} cites {:?}", path.display(), ids.difference(&unique));
            }
        }
    }
    assert!(seen > 20, "the sources cite requirements");
}
