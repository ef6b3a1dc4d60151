//! The codec against its specification: every frame there and back, in every segmentation, and nothing of it silently wrong.

use ft_core::codec::{Decoder, Item, encode, encode_zdata};
use ft_core::error::{CODES, Code, FileError, Retry};
use ft_core::frame::{
    Ack2, Compare, Frame, Hello, Intent, Kind, Level, Links, Meta, Mtime, Offer, Overwrite, Verdict, Want,
};
use ft_core::hash::{Root, Subtree};
use ft_core::path::RelPath;
use ft_core::preamble::Versions;

fn meta(kind: Kind) -> Meta {
    Meta {
        path: RelPath::new(vec![b"dir".to_vec(), b"na\xffme|1".to_vec()]).unwrap(),
        kind,
        size: Some(if kind == Kind::File { 5 } else { 0 }),
        mode: Some(0o640),
        mtime: Some(Mtime { secs: -2, nanos: 999_999_999 }),
        target: if kind == Kind::Link { b"../x".to_vec() } else { Vec::new() },
    }
}

fn offer(meta: Meta) -> Offer {
    Offer { want: 3, meta, overwrite: Overwrite::KeepBoth, compare: Compare::Content, level: Level::Cached }
}

/// At least one frame of every kind, with every optional part present and absent.
fn frames() -> Vec<Frame> {
    let error = FileError::new(Code::NoSpace, Retry::Later, "no röom").at(77);
    let bare = Meta { mode: None, mtime: None, size: None, ..meta(Kind::File) };
    let want = Want { path: RelPath::root(), depth: u16::MAX, links: Links::Follow, last: true };
    let hello = Hello {
        intent: Some(Intent::Pull),
        max_streams: 7,
        max_offer_bytes: 9,
        features: 1 << 40 | 1,
        agent: "x".into(),
    };
    vec![
        Frame::Hello(Hello { intent: None, ..hello.clone() }),
        Frame::Hello(hello),
        Frame::Error(0, FileError::new(Code::Other(999), Retry::Never, "")),
        Frame::Error(5, error.clone()),
        Frame::Want(1, want.clone()),
        Frame::Want(2, Want { path: meta(Kind::File).path, last: false, depth: 1, links: Links::Keep }),
        Frame::Entry(1, meta(Kind::Folder)),
        Frame::Done(1, 12, None),
        Frame::Done(2, 0, Some(FileError { offset: 0, ..error.clone() })),
        Frame::Offer(1, offer(meta(Kind::File))),
        Frame::Offer(2, offer(meta(Kind::Link))),
        Frame::Offer(3, offer(bare)),
        Frame::Ack1(1, 0, Verdict::Send),
        Frame::Ack1(2, 5 << 20, Verdict::Resume(vec![Subtree([1; 32]), Subtree([2; 32])])),
        Frame::Ack1(3, 5, Verdict::SameMeta),
        Frame::Ack1(4, 5, Verdict::SameContent(Root([3; 32]))),
        Frame::Ack1(5, 0, Verdict::Refused(FileError { offset: 0, ..error })),
        Frame::Hole { stream: 1, offset: 5, len: 16 << 20 },
        Frame::End(1, 5, Root([4; 32])),
        Frame::Ack2(1, Ack2 { size: 5, level: Level::Durable, root: Root([5; 32]), path: meta(Kind::File).path }),
        Frame::Alive(0, 0),
        Frame::Data { stream: 9, offset: 1, len: 5 },
        Frame::Zdata { stream: 9, offset: 6, len: 300, packed: 6 },
        Frame::Goodbye,
    ]
}

/// Preamble, all frames, and five bytes of content behind the DATA header.
fn session() -> Vec<u8> {
    let mut bytes = Versions { min: 1, max: 1 }.encode().to_vec();
    for frame in frames() {
        if let Frame::Zdata { stream, offset, len, .. } = frame {
            let payload = [&len.to_be_bytes()[..], b"packed"].concat();
            encode_zdata(stream, offset, &payload, &mut bytes);
            bytes.extend(payload);
            continue;
        }
        encode(&frame, &mut bytes);
        if matches!(frame, Frame::Data { .. }) {
            bytes.extend(b"hello");
        }
    }
    bytes
}

/// Everything that a decoder says, with content joined: what must not depend on segmentation.
#[derive(Clone, Debug, Default, PartialEq)]
struct Heard {
    frames: Vec<Frame>,
    content: Vec<u8>,
    error: Option<String>,
}

fn feed(decoder: &mut Decoder, heard: &mut Heard, mut bytes: &[u8]) {
    while heard.error.is_none() {
        match decoder.next(&mut bytes) {
            Ok(Some(Item::Frame(frame))) => heard.frames.push(frame),
            Ok(Some(Item::Content(content))) => heard.content.extend(content),
            Ok(Some(Item::Zdata(frame, packed))) => {
                heard.frames.push(frame);
                heard.content.extend(packed);
            }
            Ok(Some(Item::Preamble(_))) => {}
            Ok(Some(Item::BadOffer(id, error))) => heard.error = Some(format!("offer {id}: {error}")),
            Ok(None) => return,
            Err(error) => heard.error = Some(error.to_string()),
        }
    }
}

fn decode(bytes: &[u8]) -> Heard {
    let mut heard = Heard::default();
    feed(&mut Decoder::new(), &mut heard, bytes);
    heard
}

#[test]
fn every_frame_survives_the_wire() {
    let heard = decode(&session());
    assert_eq!(heard.error, None);
    assert_eq!(heard.frames, frames());
    assert_eq!(heard.content, b"hellopacked");
}

#[test]
fn decoder_state_after_any_prefix_and_any_next_piece_is_that_of_the_whole() {
    let bytes = session();
    let mut states = vec![(Decoder::new(), Heard::default())];
    for byte in &bytes {
        let (mut decoder, mut heard) = states.last().unwrap().clone();
        feed(&mut decoder, &mut heard, &[*byte]);
        states.push((decoder, heard));
    }
    // If every piece i..j leads from state i to state j, every segmentation leads to the same end.
    for i in 0..bytes.len() {
        for j in (i + 1..=bytes.len()).filter(|j| j - i <= 40 || j % 7 == 0) {
            let (mut decoder, mut heard) = states[i].clone();
            feed(&mut decoder, &mut heard, &bytes[i..j]);
            assert!((decoder, heard) == states[j], "bytes {i}..{j}");
        }
    }
}

#[test]
fn every_flipped_bit_outside_content_is_noticed() {
    let bytes = session();
    let good = decode(&bytes);
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let heard = decode(&bad);
        let content = heard.frames == good.frames && heard.content != good.content;
        assert!(heard.error.is_some() || content, "bit {bit} of {} changed the meaning silently", bytes.len() * 8);
    }
}

#[test]
fn error_codes_have_unique_numbers_and_names() {
    for (code, number, name, _) in CODES {
        assert_eq!(Code::from_wire(*number), *code);
        assert_eq!(code.to_wire(), *number);
        assert_eq!(CODES.iter().filter(|row| row.1 == *number || row.2 == *name).count(), 1);
    }
    assert_eq!(Code::from_wire(777).to_wire(), 777);
}

/// A frame built by hand: any type, any payload, right checksums.
fn raw(kind: u8, stream: u32, offset: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    frame.extend([kind, 0, 0, 0]);
    frame.extend(offset.to_be_bytes());
    frame.extend(stream.to_be_bytes());
    frame.extend(if kind == 0x22 { 0 } else { crc32c::crc32c(payload) }.to_be_bytes());
    frame.extend(crc32c::crc32c(&frame).to_be_bytes());
    frame.extend(payload);
    frame
}

fn behind_preamble(frame: &[u8]) -> Heard {
    decode(&[&Versions { min: 1, max: 1 }.encode()[..], frame].concat())
}

#[test]
fn unknown_optional_frame_is_skipped_and_unknown_critical_frame_refused() {
    let mut skipped = raw(0x9f, 3, 4, b"from the future");
    encode(&Frame::Goodbye, &mut skipped);
    assert_eq!(behind_preamble(&skipped).frames, [Frame::Goodbye]);
    let refused = behind_preamble(&raw(0x30, 3, 4, b"from the future"));
    assert_eq!(
        refused.error.unwrap(),
        "peer sent malformed bytes at byte 20: expected FT-4: a frame type of this version, got 0x30"
    );
}

#[test]
fn hello_and_error_may_grow_and_other_frames_may_not() {
    let mut hello = Vec::new();
    encode(&frames()[0], &mut hello);
    let grown = raw(0x01, 0, 0, &[&hello[28..], b"more"].concat());
    assert_eq!(behind_preamble(&grown).frames, [frames()[0].clone()]);
    let grown = behind_preamble(&raw(0x03, 0, 0, b"more"));
    assert_eq!(
        grown.error.unwrap(),
        "peer sent malformed bytes at byte 44: expected FT-7: the end of the payload, got 4 more bytes"
    );
}

#[test]
fn lengths_are_refused_from_the_header_alone() {
    for (kind, len) in [(0x20u8, 16_385u32), (0x22, 0), (0x22, (1 << 20) + 1), (0x9f, u32::MAX)] {
        let mut header = len.to_be_bytes().to_vec();
        header.extend([kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        header.extend(crc32c::crc32c(&header).to_be_bytes());
        let heard = behind_preamble(&header);
        assert!(heard.error.as_ref().is_some_and(|e| e.contains("FT-3")), "{kind:#x} {len}: {heard:?}");
    }
}
