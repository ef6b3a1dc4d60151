//! The decoder: the same items from every segmentation, and back to the same bytes.

use arbitrary::Unstructured;
use ft_core::codec::{Decoder, Item, encode, encode_zdata};
use ft_core::compress;
use ft_core::error::FileError;
use ft_core::frame::{Frame, Hello, Verdict};
use ft_core::join;
use ft_core::preamble::Versions;

use super::cuts::Cuts;
use super::wire::Wire;

/// Bytes up to which a stream is also fed one at a time.
const BYTEWISE: usize = 600;

/// Whatever the bytes are.
pub fn codec(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(cuts) = Cuts::read(&mut u) else { return };
    let Ok(wire) = Wire::read(&mut u) else { return };
    let bytes = wire.flights.concat();
    let whole = Heard::of([&bytes[..]]);
    assert_eq!(Heard::of(cuts.pieces(&bytes)), whole, "SPLIT: how a stream is cut changes what is heard");
    if bytes.len() <= BYTEWISE {
        assert_eq!(Heard::of(bytes.chunks(1)), whole, "SPLIT: a byte at a time changes what is heard");
    }
    round_trips(&bytes);
}

/// What a decoder says, with content joined.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    said: Vec<Said>,
    error: Option<String>,
    /// The decoder itself, unless it has failed.
    left: Option<Decoder>,
}

#[derive(Debug, PartialEq)]
enum Said {
    Preamble(Versions),
    Frame(Frame),
    BadOffer(u32, FileError),
    Zdata(Frame, Vec<u8>),
    Content(Vec<u8>),
}

impl Heard {
    fn of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let (mut decoder, mut heard) = (Decoder::new(), Self::default());
        let mut fed = 0;
        for mut piece in pieces {
            fed += piece.len() as u64;
            loop {
                match decoder.next(&mut piece) {
                    Ok(Some(item)) => heard.say(item),
                    Ok(None) => break,
                    Err(error) => {
                        heard.error = Some(error.to_string());
                        return heard;
                    }
                }
            }
            assert!(piece.is_empty(), "a decoder that waits has taken everything");
            assert_eq!(decoder.offset(), fed, "every byte is counted once");
        }
        heard.left = Some(decoder);
        heard
    }

    fn say(&mut self, item: Item<'_>) {
        match (self.said.last_mut(), item) {
            (Some(Said::Content(whole)), Item::Content(more)) => whole.extend(more),
            (_, Item::Content(bytes)) => self.said.push(Said::Content(bytes.to_vec())),
            (_, Item::Preamble(versions)) => self.said.push(Said::Preamble(versions)),
            (_, Item::Frame(frame)) => self.said.push(Said::Frame(frame)),
            (_, Item::BadOffer(stream, error)) => self.said.push(Said::BadOffer(stream, error)),
            (_, Item::Zdata(frame, packed)) => self.said.push(Said::Zdata(frame, packed)),
        }
    }
}

/// Every frame that was read is written as it was, or reads back as the same one where the document lets bytes go.
fn round_trips(bytes: &[u8]) {
    let (mut decoder, mut input) = (Decoder::new(), bytes);
    while let Ok(Some(item)) = decoder.next(&mut input) {
        let end = bytes.len() - input.len();
        let mut again = Vec::new();
        match &item {
            Item::Frame(frame) => encode(frame, &mut again),
            Item::Zdata(Frame::Zdata { stream, offset, len, .. }, packed) => {
                let payload = [&len.to_be_bytes()[..], packed].concat();
                encode_zdata(*stream, *offset, &payload, &mut again);
                again.extend(payload);
            }
            _ => continue,
        }
        // Optional frames that were skipped lie before it.
        let exact = bytes[..end].ends_with(&again);
        let Item::Frame(frame) = item else {
            assert!(exact, "ZDATA is written as it was read");
            continue;
        };
        assert!(exact || is_lossy(&frame), "written as it was read: {frame:?}");
        if !has_replaced_text(&frame) {
            let mut alone = Decoder::new();
            let again = [&Versions::OURS.encode()[..], &knows_all(), &again].concat();
            let mut input = &again[..];
            assert!(matches!(alone.next(&mut input), Ok(Some(Item::Preamble(_)))));
            assert!(matches!(alone.next(&mut input), Ok(Some(Item::Frame(Frame::Hello(_))))));
            assert_eq!(alone.next(&mut input), Ok(Some(Item::Frame(frame))), "what we write, we read");
        }
    }
}

/// HELLO of a side that knows every frame: some are unknown from another.
fn knows_all() -> Vec<u8> {
    let features = compress::FEATURE | join::FEATURE;
    let hello = Hello { intent: None, max_streams: 1, max_offer_bytes: 1, features, agent: String::new() };
    let mut bytes = Vec::new();
    encode(&Frame::Hello(hello), &mut bytes);
    bytes
}

/// Frames whose bytes may say more than is kept: they may grow (FT-7), or their text was not UTF-8.
fn is_lossy(frame: &Frame) -> bool {
    matches!(frame, Frame::Hello(_) | Frame::Error(..) | Frame::Done(_, _, None)) || has_replaced_text(frame)
}

fn has_replaced_text(frame: &Frame) -> bool {
    let replaced = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
    match frame {
        Frame::Hello(hello) => replaced(&hello.agent),
        Frame::Error(_, error) | Frame::Done(_, _, Some(error)) | Frame::Ack1(_, _, Verdict::Refused(error)) => {
            replaced(&error.text)
        }
        _ => false,
    }
}
