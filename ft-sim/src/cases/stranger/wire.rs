//! Frames as docs/PROTOCOL.md has them, written and read without a line of `ft_core::codec`: a codec that is wrong on
//! both sides would agree with itself.

use std::fmt::Write as _;

/// Frame types (PROTOCOL §4.2).
pub(super) mod kind {
    pub(in super::super) const HELLO: u8 = 0x01;
    pub(in super::super) const ERROR: u8 = 0x02;
    pub(in super::super) const GOODBYE: u8 = 0x03;
    pub(in super::super) const WANT: u8 = 0x10;
    pub(in super::super) const DONE: u8 = 0x11;
    pub(in super::super) const ENTRY: u8 = 0x12;
    pub(in super::super) const OFFER: u8 = 0x20;
    pub(in super::super) const ACK1: u8 = 0x21;
    pub(in super::super) const DATA: u8 = 0x22;
    pub(in super::super) const HOLE: u8 = 0x23;
    pub(in super::super) const END: u8 = 0x24;
    pub(in super::super) const ACK2: u8 = 0x25;
    pub(in super::super) const ZDATA: u8 = 0x26;
    pub(in super::super) const ALIVE: u8 = 0x80;
}

/// Frames of one kind in a row that are told; of more only the number.
const ALIKE: usize = 8;

const HEADER: usize = 28;
const PREAMBLE: usize = 16;

/// The preamble with this range of versions.
pub(super) fn preamble(min: u16, max: u16) -> Vec<u8> {
    let mut out = b"\x89FT/\r\n\x1a\n".to_vec();
    out.extend(min.to_be_bytes());
    out.extend(max.to_be_bytes());
    out.extend(crc32c::crc32c(&out).to_be_bytes());
    out
}

/// A header for `len` bytes of payload with this checksum.
fn header(kind: u8, stream: u32, offset: u64, len: u32, crc: u32) -> Vec<u8> {
    let mut out = len.to_be_bytes().to_vec();
    out.extend([kind, 0, 0, 0]);
    out.extend(offset.to_be_bytes());
    out.extend(stream.to_be_bytes());
    out.extend(crc.to_be_bytes());
    out.extend(crc32c::crc32c(&out).to_be_bytes());
    out
}

/// A control frame.
pub(super) fn frame(kind: u8, stream: u32, offset: u64, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a script's payloads are short");
    let mut out = header(kind, stream, offset, len, crc32c::crc32c(payload));
    out.extend(payload);
    out
}

/// DATA with its content.
pub(super) fn data(stream: u32, offset: u64, content: &[u8]) -> Vec<u8> {
    let mut out = data_header(stream, offset, content.len());
    out.extend(content);
    out
}

/// DATA without its content.
pub(super) fn data_header(stream: u32, offset: u64, len: usize) -> Vec<u8> {
    header(kind::DATA, stream, offset, u32::try_from(len).expect("a script's lengths are 32 bits"), 0)
}

/// ZDATA: the length that it states, and a zstd frame.
pub(super) fn zdata(stream: u32, offset: u64, len: u32, zstd: &[u8]) -> Vec<u8> {
    frame(kind::ZDATA, stream, offset, &[&len.to_be_bytes(), zstd].concat())
}

/// A zstd frame of one block (RFC 8878): this byte so many times, at most 255.
pub(super) fn run_of(byte: u8, len: u8) -> Vec<u8> {
    // Magic; one segment, its length in one byte; last block, run-length, its size.
    let block = 1 | 1 << 1 | u32::from(len) << 3;
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, len];
    out.extend(&block.to_le_bytes()[..3]);
    out.push(byte);
    out
}

/// The same frame with other bytes at an offset of its header, and a checksum that agrees with them.
pub(super) fn patched(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c::crc32c(&frame[..24]);
    frame[24..HEADER].copy_from_slice(&crc.to_be_bytes());
    frame
}

/// HELLO; intent 0 is a server's.
pub(super) fn hello(intent: u8, streams: u32, offer_bytes: u32) -> Vec<u8> {
    hello_with(intent, streams, offer_bytes, 0)
}

/// The same with features.
pub(super) fn hello_with(intent: u8, streams: u32, offer_bytes: u32, features: u64) -> Vec<u8> {
    let mut p = vec![intent];
    p.extend(streams.to_be_bytes());
    p.extend(offer_bytes.to_be_bytes());
    p.extend(features.to_be_bytes());
    p.extend(b"\x08stranger");
    frame(kind::HELLO, 0, 0, &p)
}

/// A path: count, and each component with its length.
pub(super) fn path(components: &[&[u8]]) -> Vec<u8> {
    let count = u16::try_from(components.len()).expect("a script's paths are short");
    let mut out = count.to_be_bytes().to_vec();
    for component in components {
        out.extend(u16::try_from(component.len()).expect("a script's names are short").to_be_bytes());
        out.extend(*component);
    }
    out
}

/// `a/b` as a path.
pub(super) fn named(name: &str) -> Vec<u8> {
    path(&name.split('/').map(str::as_bytes).collect::<Vec<_>>())
}

/// Name and metadata, as OFFER and ENTRY have it.
#[derive(Clone)]
pub(super) struct Meta {
    pub(super) kind: u8,
    pub(super) mode: u16,
    pub(super) secs: i64,
    pub(super) nanos: u32,
    pub(super) size: u64,
    pub(super) target: Vec<u8>,
    pub(super) path: Vec<u8>,
}

impl Meta {
    /// A file without time or mode.
    pub(super) fn file(name: &str, size: u64) -> Self {
        Self { kind: 1, mode: 0xffff, secs: 0, nanos: u32::MAX, size, target: Vec::new(), path: named(name) }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = vec![self.kind];
        out.extend(self.mode.to_be_bytes());
        out.extend(self.secs.to_be_bytes());
        out.extend(self.nanos.to_be_bytes());
        out.extend(self.size.to_be_bytes());
        out.extend(u16::try_from(self.target.len()).expect("a script's targets are short").to_be_bytes());
        out.extend(&self.target);
        out.extend(&self.path);
        out
    }

    /// ENTRY of a want.
    pub(super) fn entry(&self, want: u32) -> Vec<u8> {
        frame(kind::ENTRY, want, 0, &self.bytes())
    }

    /// OFFER with these wishes: overwrite, compare, level.
    pub(super) fn offer_with(&self, stream: u32, want: u32, wishes: [u8; 3]) -> Vec<u8> {
        let mut out = want.to_be_bytes().to_vec();
        out.extend(wishes);
        out.extend(self.bytes());
        frame(kind::OFFER, stream, 0, &out)
    }

    /// OFFER: overwrite as the receiver likes, no comparison, durable.
    pub(super) fn offer(&self, stream: u32) -> Vec<u8> {
        self.offer_with(stream, 0, [0, 0, 2])
    }
}

/// OFFER of a file.
pub(super) fn offer(stream: u32, name: &str, size: u64) -> Vec<u8> {
    Meta::file(name, size).offer(stream)
}

/// END behind this content.
pub(super) fn end(stream: u32, content: &[u8]) -> Vec<u8> {
    frame(kind::END, stream, content.len() as u64, &root(content))
}

/// The BLAKE3 root.
pub(super) fn root(content: &[u8]) -> [u8; 32] {
    ft_core::hash::Root::of(content).0
}

/// ACK2 of this content under this name.
pub(super) fn ack2(stream: u32, content: &[u8], level: u8, name: &str) -> Vec<u8> {
    let mut p = vec![level];
    p.extend(root(content));
    p.extend(named(name));
    frame(kind::ACK2, stream, content.len() as u64, &p)
}

/// ACK1 with a verdict: 1 send, 2 resume, 3 same by time, 4 same by content, 5 refused; and what follows it.
pub(super) fn ack1(stream: u32, offset: u64, verdict: u8, rest: &[u8]) -> Vec<u8> {
    frame(kind::ACK1, stream, offset, &[&[verdict], rest].concat())
}

/// Code, retry hint and text, as ERROR, refusals and DONE have them.
pub(super) fn failure(code: u16, retry: u8, text: &str) -> Vec<u8> {
    let mut out = code.to_be_bytes().to_vec();
    out.push(retry);
    out.extend(u16::try_from(text.len()).expect("a script's texts are short").to_be_bytes());
    out.extend(text.as_bytes());
    out
}

/// ERROR for a stream, or for the session (0).
pub(super) fn error(stream: u32, code: u16, text: &str) -> Vec<u8> {
    frame(kind::ERROR, stream, 0, &failure(code, 0, text))
}

/// GOODBYE.
pub(super) fn goodbye() -> Vec<u8> {
    frame(kind::GOODBYE, 0, 0, &[])
}

/// WANT with its flags, link policy and depth.
pub(super) fn want(number: u32, last: u8, links: u8, depth: u16, path: &[u8]) -> Vec<u8> {
    let mut p = vec![last, links];
    p.extend(depth.to_be_bytes());
    p.extend(path);
    frame(kind::WANT, number, 0, &p)
}

/// DONE: entries, and an error of code 0 for none.
pub(super) fn done(number: u32, count: u32, failure: &[u8]) -> Vec<u8> {
    frame(kind::DONE, number, 0, &[&count.to_be_bytes(), failure].concat())
}

/// What a stranger has read, taken apart as far as it is whole.
#[derive(Default)]
pub(super) struct Heard {
    bytes: Vec<u8>,
    at: usize,
    greeted: bool,
    /// Roots of what was acknowledged as stored.
    pub(super) stored: Vec<[u8; 32]>,
    /// The kind of the last frame, and how many of it have come one after the other.
    alike: (u8, usize),
    /// Frames that have come.
    pub(super) frames: usize,
    /// What has come, in words.
    pub(super) text: String,
}

impl Heard {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        while self.next().is_some() {}
    }

    fn next(&mut self) -> Option<()> {
        if !self.greeted {
            let preamble = self.bytes.get(..PREAMBLE)?;
            let good = preamble == self::preamble(1, 1);
            self.text += if good { "version 1" } else { "A WRONG PREAMBLE" };
            self.greeted = true;
            self.at = PREAMBLE;
            return Some(());
        }
        let bytes = std::mem::take(&mut self.bytes);
        let told = self.tell(&bytes);
        self.bytes = bytes;
        told
    }

    fn tell(&mut self, bytes: &[u8]) -> Option<()> {
        let header = bytes.get(self.at..self.at + HEADER)?;
        let u32_at = |i: usize| u32::from_be_bytes(header[i..i + 4].try_into().expect("four bytes"));
        let len = u32_at(0) as usize;
        let payload = bytes.get(self.at + HEADER..self.at + HEADER + len)?;
        let offset = u64::from_be_bytes(header[8..16].try_into().expect("eight bytes"));
        let (kind, stream, sum, crc) = (header[4], u32_at(16), u32_at(20), u32_at(24));
        let name = match kind {
            kind::HELLO => "HELLO",
            kind::ERROR => "ERROR",
            kind::GOODBYE => "GOODBYE",
            kind::WANT => "WANT",
            kind::DONE => "DONE",
            kind::ENTRY => "ENTRY",
            kind::OFFER => "OFFER",
            kind::ACK1 => "ACK1",
            kind::DATA => "DATA",
            kind::HOLE => "HOLE",
            kind::END => "END",
            kind::ACK2 => "ACK2",
            kind::ZDATA => "ZDATA",
            kind::ALIVE => "ALIVE",
            _ => "SOMETHING UNKNOWN",
        };
        self.at += HEADER + len;
        self.frames += 1;
        if kind == kind::ACK2 {
            self.stored.extend(payload.get(1..33).and_then(|root| <[u8; 32]>::try_from(root).ok()));
        }
        if self.alike.0 != kind {
            self.tell_more();
            self.alike = (kind, 0);
        }
        self.alike.1 += 1;
        if self.alike.1 > ALIKE {
            return Some(());
        }
        let _ = write!(self.text, "; {name}");
        if stream > 0 || offset > 0 {
            let _ = write!(self.text, " #{stream} @{offset}");
        }
        if !payload.is_empty() {
            self.text += &shown(payload);
        }
        let expected = if kind == kind::DATA { 0 } else { crc32c::crc32c(payload) };
        if crc != crc32c::crc32c(&header[..24]) || sum != expected || header[5..8] != [0; 3] {
            self.text += " WITH A WRONG HEADER";
        }
        Some(())
    }

    fn tell_more(&mut self) {
        if let Some(more) = self.alike.1.checked_sub(ALIKE).filter(|more| *more > 0) {
            let _ = write!(self.text, "; {more} more");
        }
    }

    /// All of it, and whether it stopped inside a frame.
    pub(super) fn into_text(mut self) -> String {
        self.tell_more();
        let left = self.bytes.len() - self.at;
        if left > 0 {
            let _ = write!(self.text, "; {left} bytes of another");
        }
        if self.text.is_empty() { "nothing".to_owned() } else { self.text }
    }
}

/// Every byte of a payload, in few characters: text as it is, the rest in hexadecimal, long ones by their root.
fn shown(payload: &[u8]) -> String {
    const SHOWN: usize = 72;
    if payload.len() > SHOWN {
        let root = ft_core::hash::Root(root(payload)).to_hex();
        return format!("{} … {} bytes, root {}", shown(&payload[..5]), payload.len(), &root[..8]);
    }
    let mut out = String::new();
    let mut rest = payload;
    while let Some(&first) = rest.first() {
        let run = |is: fn(&u8) -> bool| rest.iter().take_while(|byte| is(byte)).count();
        let (text, zeros) = (run(|byte| (b' '..=b'~').contains(byte)), run(|byte| *byte == 0));
        // A letter or two among numbers is no text.
        let taken = if text >= 3 {
            let _ = write!(out, " '{}'", rest[..text].escape_ascii());
            text
        } else if zeros > 4 {
            let _ = write!(out, " 00*{zeros}");
            zeros
        } else {
            let _ = write!(out, " {first:02x}");
            1
        };
        rest = &rest[taken..];
    }
    out
}
