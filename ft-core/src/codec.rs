//! Bytes to frames and back: preamble, header, bounds, checksums (PROTOCOL §4). What is inside is `payload`'s business.
//!
//! The decoder is a value: feed it bytes in any segmentation and it gives the same items. It holds at most one header
//! and one payload of a control frame or of ZDATA; the raw bytes of DATA pass by it. Nothing is allocated for a length before it is checked.

use crate::compress::{FEATURE, PREFIX};
use crate::error::{Code, FileError, Retry, SessionError};
use crate::frame::{Frame, StreamId};
use crate::join;
use crate::limits::{HEADER_LEN, MAX_CONTROL, MAX_DATA, MAX_FILE};
pub use crate::payload::want_len;
use crate::payload::{Header, encode_payload, kind, parse};
use crate::preamble::{self, Versions};
use crate::wire::Reader;

/// Appends the bytes of a frame; of DATA only the header, since the content follows from elsewhere. ZDATA has its own
/// function.
pub fn encode(frame: &Frame, out: &mut Vec<u8>) {
    debug_assert!(!matches!(frame, Frame::Zdata { .. }), "encode_zdata has the payload");
    let start = out.len();
    out.resize(start + HEADER_LEN, 0);
    let (kind, stream, offset) = encode_payload(frame, out);
    let (len, payload_crc) = if let Frame::Data { len, .. } = frame {
        (*len, 0)
    } else {
        let payload = &out[start + HEADER_LEN..];
        debug_assert!(payload.len() <= MAX_CONTROL, "our own control frames are bounded");
        (u32::try_from(payload.len()).unwrap_or(u32::MAX), crc32c::crc32c(payload))
    };
    put_header(&mut out[start..start + HEADER_LEN], kind, stream, offset, len, payload_crc);
}

/// Appends the header of a ZDATA frame whose payload follows (PROTOCOL §5.9): the length of the content, and the content
/// as a zstd frame.
pub fn encode_zdata(stream: StreamId, offset: u64, payload: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + HEADER_LEN, 0);
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    put_header(&mut out[start..], kind::ZDATA, stream, offset, len, crc32c::crc32c(payload));
}

fn put_header(header: &mut [u8], kind: u8, stream: StreamId, offset: u64, len: u32, payload_crc: u32) {
    header[0..4].copy_from_slice(&len.to_be_bytes());
    header[4] = kind;
    header[8..16].copy_from_slice(&offset.to_be_bytes());
    header[16..20].copy_from_slice(&stream.to_be_bytes());
    header[20..24].copy_from_slice(&payload_crc.to_be_bytes());
    let crc = crc32c::crc32c(&header[..24]);
    header[24..28].copy_from_slice(&crc.to_be_bytes());
}

/// Shortest payload of ZDATA: a length, and at least a byte.
const MIN_ZDATA: u32 = 5;

/// What a decoder found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item<'a> {
    /// The peer's preamble.
    Preamble(Versions),
    /// A frame. After [`Frame::Data`] its bytes follow as [`Item::Content`].
    Frame(Frame),
    /// An OFFER whose name cannot be stored (FT-15): this file is refused, the session goes on.
    BadOffer(StreamId, FileError),
    /// A ZDATA frame, and its zstd frame as it came.
    Zdata(Frame, Vec<u8>),
    /// Content of the DATA frame that came last, in order; how it is cut depends on the segmentation, its sum does not.
    Content(&'a [u8]),
}

/// Where in the byte stream the decoder stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// Collecting 16 bytes.
    Preamble,
    /// Collecting a header.
    Header,
    /// Collecting the payload of a control frame.
    Control(Header),
    /// Passing content by: bytes still to come.
    Content(u32),
    /// Skipping an optional frame: bytes still to come.
    Skip(u32),
}

/// Bytes that the payloads of most control frames fit into.
const USUAL_PAYLOAD: usize = 128;

/// Decodes one direction of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decoder {
    phase: Phase,
    held: Vec<u8>,
    /// Bytes consumed of the stream.
    offset: u64,
    /// The features that the peer's HELLO announced.
    features: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Expects a preamble first.
    pub fn new() -> Self {
        Self { phase: Phase::Preamble, held: Vec::with_capacity(USUAL_PAYLOAD), offset: 0, features: 0 }
    }

    /// Bytes of the stream consumed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The features that the peer's HELLO announced; none before it.
    pub(crate) fn features(&self) -> u64 {
        self.features
    }

    /// Memory that it holds, bytes.
    pub(crate) fn held(&self) -> usize {
        self.held.capacity()
    }

    /// True between two frames: the only place where a stream may end, and only after GOODBYE.
    pub fn at_boundary(&self) -> bool {
        self.phase == Phase::Header && self.held.is_empty()
    }

    /// Content bytes of the current DATA frame that are still to come: a caller may read that many straight into a
    /// buffer of its own and tell [`Decoder::content_taken`].
    pub fn content_left(&self) -> u32 {
        match self.phase {
            Phase::Content(left) => left,
            Phase::Preamble | Phase::Header | Phase::Control(_) | Phase::Skip(_) => 0,
        }
    }

    /// Bytes missing to a whole header, between 1 and [`HEADER_LEN`]; 0 when the stream is within something else.
    pub fn header_left(&self) -> usize {
        match self.phase {
            Phase::Header => HEADER_LEN - self.held.len(),
            Phase::Preamble | Phase::Control(_) | Phase::Content(_) | Phase::Skip(_) => 0,
        }
    }

    /// Counts `n` content bytes as read past the decoder.
    ///
    /// # Panics
    /// If `n` is more than [`Decoder::content_left`].
    pub fn content_taken(&mut self, n: u32) {
        let left = self.content_left().checked_sub(n).expect("no more content than the header announced");
        self.offset += u64::from(n);
        self.phase = if left == 0 { Phase::Header } else { Phase::Content(left) };
    }

    /// Takes bytes from the front of `input` until an item is complete; `None` when more bytes are needed.
    ///
    /// # Errors
    /// The bytes are not ft/1 (FT-1 to FT-7, FT-15). The decoder is of no use afterwards.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Item<'a>>, SessionError> {
        loop {
            match self.phase {
                Phase::Preamble => {
                    let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
                    *input = rest;
                    self.offset += 1;
                    self.held.push(byte);
                    if let Some(versions) = preamble::check(&self.held)? {
                        self.held.clear();
                        self.phase = Phase::Header;
                        return Ok(Some(Item::Preamble(versions)));
                    }
                }
                Phase::Header => {
                    if !self.collect(input, HEADER_LEN) {
                        return Ok(None);
                    }
                    let header = self.parse_header()?;
                    self.held.clear();
                    match header.kind {
                        kind::DATA => {
                            self.phase = Phase::Content(header.len);
                            let Header { stream, offset, len, .. } = header;
                            return Ok(Some(Item::Frame(Frame::Data { stream, offset, len })));
                        }
                        kind if kind >= kind::OPTIONAL && !self.knows_optional(kind) => {
                            self.phase = Phase::Skip(header.len)
                        }
                        _ => self.phase = Phase::Control(header),
                    }
                }
                Phase::Control(header) => {
                    if !self.collect(input, header.len as usize) {
                        return Ok(None);
                    }
                    let item = self.parse_control(header)?;
                    // What a large frame took is given back: a session lasts longer.
                    self.held = Vec::new();
                    self.phase = Phase::Header;
                    return Ok(Some(item));
                }
                Phase::Content(left) => {
                    let content = take(input, left);
                    if content.is_empty() {
                        return Ok(None);
                    }
                    self.content_taken(u32::try_from(content.len()).unwrap_or(left));
                    return Ok(Some(Item::Content(content)));
                }
                Phase::Skip(left) => {
                    let skipped = take(input, left).len();
                    self.offset += skipped as u64;
                    let left = left - u32::try_from(skipped).unwrap_or(left);
                    self.phase = if left == 0 { Phase::Header } else { Phase::Skip(left) };
                    if left > 0 {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Moves bytes to `held` until it has `want`; true when it has.
    fn collect(&mut self, input: &mut &[u8], want: usize) -> bool {
        let missing = want - self.held.len();
        self.held.reserve_exact(missing);
        let got = take(input, u32::try_from(missing).unwrap_or(u32::MAX));
        self.held.extend_from_slice(got);
        self.offset += got.len() as u64;
        self.held.len() == want
    }

    fn parse_header(&self) -> Result<Header, SessionError> {
        let h = &self.held;
        let u32_at = |i: usize| u32::from_be_bytes([h[i], h[i + 1], h[i + 2], h[i + 3]]);
        let crc = crc32c::crc32c(&h[..24]);
        let start = self.offset - HEADER_LEN as u64;
        let bad =
            |at: u64, expected: String, got: String| SessionError::Malformed { offset: start + at, expected, got };
        if u32_at(24) != crc {
            return Err(bad(24, format!("FT-2: header checksum {crc:08x}"), format!("{:08x}", u32_at(24))));
        }
        let header = Header {
            len: u32_at(0),
            kind: h[4],
            stream: u32_at(16),
            offset: u64::from_be_bytes([h[8], h[9], h[10], h[11], h[12], h[13], h[14], h[15]]),
            payload_crc: u32_at(20),
        };
        if h[5] != 0 || h[6] != 0 || h[7] != 0 {
            return Err(bad(5, "FT-5: flags and reserved bytes of zero".into(), format!("{:02x?}", &h[5..8])));
        }
        let (min, max) = match header.kind {
            kind::DATA => (1, MAX_DATA),
            // Until the peer has announced it, it is unknown: who says little yet must cost little.
            kind::ZDATA if self.reads_zdata() => (MIN_ZDATA, MAX_DATA),
            _ => (0, u32::try_from(MAX_CONTROL).unwrap_or(u32::MAX)),
        };
        if header.len < min || header.len > max {
            return Err(bad(0, format!("FT-3: a length from {min} to {max}"), header.len.to_string()));
        }
        let known = matches!(
            header.kind,
            kind::HELLO..=kind::JOIN | kind::WANT..=kind::ENTRY | kind::OFFER..=kind::ACK2 | kind::OPTIONAL..
        ) || (header.kind == kind::ZDATA && self.reads_zdata())
            || (header.kind == kind::SPREAD && self.knows_joining());
        if !known {
            return Err(bad(4, "FT-4: a frame type of this version".into(), format!("0x{:02x}", header.kind)));
        }
        if header.kind == kind::DATA && (header.stream == 0 || header.payload_crc != 0) {
            return Err(bad(
                16,
                "FT-5: DATA with a stream and no payload checksum".into(),
                format!("stream {}", header.stream),
            ));
        }
        if header.offset > MAX_FILE {
            return Err(bad(8, format!("an offset up to {MAX_FILE}"), header.offset.to_string()));
        }
        Ok(header)
    }

    /// The peer knows it too, and does not mean something of its own.
    fn knows_optional(&self, kind: u8) -> bool {
        kind == kind::ALIVE || (kind == kind::INVITE && self.knows_joining())
    }

    fn knows_joining(&self) -> bool {
        self.features & join::FEATURE != 0
    }

    fn reads_zdata(&self) -> bool {
        self.features & FEATURE != 0
    }

    fn parse_control(&mut self, header: Header) -> Result<Item<'static>, SessionError> {
        let start = self.offset - u64::from(header.len);
        let crc = crc32c::crc32c(&self.held);
        if crc != header.payload_crc {
            return Err(SessionError::Malformed {
                offset: start,
                expected: format!("FT-6: payload checksum {:08x}", header.payload_crc),
                got: format!("{crc:08x}"),
            });
        }
        let mut r = Reader::new(&self.held);
        let result = parse(&mut r, header).and_then(|frame| {
            let open_ended = matches!(header.kind, kind::HELLO | kind::ERROR);
            if open_ended { Ok(frame) } else { r.finish().map(|()| frame) }
        });
        match result {
            Ok(frame @ Frame::Zdata { .. }) => {
                let mut packed = std::mem::take(&mut self.held);
                packed.drain(..PREFIX);
                Ok(Item::Zdata(frame, packed))
            }
            Ok(frame) => {
                if let Frame::Hello(hello) = &frame {
                    self.features = hello.features;
                }
                Ok(Item::Frame(frame))
            }
            Err(wrong) if wrong.bad_name && header.kind == kind::OFFER => {
                let text = format!("{}, got {}", wrong.expected, wrong.got);
                Ok(Item::BadOffer(header.stream, FileError::new(Code::BadName, Retry::Never, text)))
            }
            Err(w) => Err(SessionError::Malformed { offset: start + w.at, expected: w.expected, got: w.got }),
        }
    }
}

fn take<'a>(input: &mut &'a [u8], most: u32) -> &'a [u8] {
    let n = input.len().min(most as usize);
    let (taken, rest) = input.split_at(n);
    *input = rest;
    taken
}
