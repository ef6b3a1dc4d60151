//! Bytes as an arbitrary peer writes them: checksums are made right, or nothing would get past the first header.
//!
//! An input is a list of records, each an operation and its operands; the seeds are the document's transcripts in this
//! form (`seeds`), so that a mutation of a byte is a mutation of a field.

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use ft_core::hash::TreeHasher;
use ft_core::preamble::Versions;

/// Bytes of one stream at most: beyond what the driver reads ahead, and short enough for thousands of runs a second.
const WIRE_MAX: usize = 160 * 1024;

/// Content of one frame at most, bytes, where the input states a length and not the content itself.
const FILL_MAX: u64 = 80 * 1024;

/// Frame types, as PROTOCOL §4.2 has them.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0x22;
    pub(crate) const HOLE: u8 = 0x23;
    pub(crate) const END: u8 = 0x24;
    pub(crate) const ZDATA: u8 = 0x26;
}

/// Operations of a record.
pub(crate) mod op {
    pub(crate) const PREAMBLE: u8 = 0;
    pub(crate) const RAW: u8 = 1;
    pub(crate) const FRAME: u8 = 2;
    pub(crate) const DATA: u8 = 3;
    pub(crate) const ZDATA: u8 = 4;
    pub(crate) const END: u8 = 5;
    pub(crate) const HOLE: u8 = 6;
    pub(crate) const FLIGHT: u8 = 7;
    pub(crate) const COUNT: u8 = 8;
}

/// A number: most in a byte, any in nine.
pub(crate) fn number(u: &mut Unstructured<'_>) -> Result<u64> {
    match u.arbitrary::<u8>()? {
        0xff => u.arbitrary(),
        small => Ok(u64::from(small)),
    }
}

/// The same, backwards.
pub(crate) fn put_number(n: u64, out: &mut Vec<u8>) {
    match u8::try_from(n) {
        Ok(small) if small < 0xff => out.push(small),
        _ => {
            out.push(0xff);
            out.extend(n.to_le_bytes());
        }
    }
}

/// Some bytes: their count, then as many of them as are there.
pub(crate) fn bytes<'a>(u: &mut Unstructured<'a>) -> Result<&'a [u8]> {
    let count = usize::try_from(number(u)?).unwrap_or(usize::MAX).min(u.len());
    u.bytes(count)
}

/// The low half: streams and counts are 32 bits wide.
#[allow(clippy::cast_possible_truncation, reason = "meant")]
pub(crate) fn low(n: u64) -> u32 {
    n as u32
}

/// A frame with right checksums, whatever is in it.
pub(crate) fn frame(kind: u8, stream: u32, offset: u64, payload: &[u8], out: &mut Vec<u8>) {
    let crc = if kind == kind::DATA { 0 } else { crc32c::crc32c(payload) };
    header(kind, stream, offset, low(payload.len() as u64), crc, out);
    out.extend(payload);
}

/// The header of one.
pub(crate) fn header(kind: u8, stream: u32, offset: u64, len: u32, payload_crc: u32, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend(len.to_be_bytes());
    out.extend([kind, 0, 0, 0]);
    out.extend(offset.to_be_bytes());
    out.extend(stream.to_be_bytes());
    out.extend(payload_crc.to_be_bytes());
    let crc = crc32c::crc32c(&out[start..]);
    out.extend(crc.to_be_bytes());
}

/// A zstd frame of `len` equal bytes (RFC 8878: one segment, blocks of one repeated byte).
pub(crate) fn repeated(byte: u8, len: u32, out: &mut Vec<u8>) {
    const BLOCK: u32 = 64 * 1024;
    out.extend([0x28, 0xb5, 0x2f, 0xfd, 0xa0]);
    out.extend(len.to_le_bytes());
    let mut left = len;
    loop {
        let size = left.min(BLOCK);
        left -= size;
        let block = size << 3 | 1 << 1 | u32::from(left == 0);
        out.extend(&block.to_le_bytes()[..3]);
        out.push(byte);
        if left == 0 {
            return;
        }
    }
}

/// One direction of a connection in the making.
#[derive(Default)]
pub(crate) struct Wire {
    /// Bytes of the flight that is being made.
    pub(crate) bytes: Vec<u8>,
    /// Flights before it: a peer that waits for an answer.
    pub(crate) flights: Vec<Vec<u8>>,
    written: usize,
    /// What was sent of each stream, so that an END can be right.
    content: BTreeMap<u32, TreeHasher>,
}

impl Wire {
    /// Everything that an input says.
    pub(crate) fn read(u: &mut Unstructured<'_>) -> Result<Self> {
        let mut wire = Self::default();
        while !u.is_empty() && wire.written + wire.bytes.len() < WIRE_MAX {
            wire.record(u)?;
        }
        wire.flight();
        Ok(wire)
    }

    fn flight(&mut self) {
        self.written += self.bytes.len();
        self.flights.push(std::mem::take(&mut self.bytes));
    }

    fn record(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.arbitrary::<u8>()? % op::COUNT {
            op::PREAMBLE => self.bytes.extend(Versions::OURS.encode()),
            op::RAW => self.bytes.extend(bytes(u)?),
            op::FRAME => {
                let (kind, stream, offset) = (u.arbitrary()?, low(number(u)?), number(u)?);
                let mut payload = bytes(u)?.to_vec();
                if kind == kind::HOLE && payload.len() == 8 {
                    // 64 KiB and not 16 MiB: zeros cost time, and teach nothing.
                    payload[..6].fill(0);
                }
                if kind == kind::DATA {
                    self.hasher(stream).update(&payload);
                }
                frame(kind, stream, offset, &payload, &mut self.bytes);
            }
            op::DATA => {
                let (stream, len, fill) = (low(number(u)?), number(u)? % FILL_MAX, u.arbitrary()?);
                let content = vec![fill; usize::try_from(len).unwrap_or(0)];
                let offset = self.hasher(stream).len();
                self.hasher(stream).update(&content);
                frame(kind::DATA, stream, offset, &content, &mut self.bytes);
            }
            op::ZDATA => {
                let (stream, len, fill) = (low(number(u)?), low(number(u)? % FILL_MAX), u.arbitrary()?);
                let said = len.wrapping_add(u32::from(u.arbitrary::<u8>()? == 1));
                let offset = self.hasher(stream).len();
                self.hasher(stream).update(&vec![fill; len as usize]);
                let mut payload = said.to_be_bytes().to_vec();
                repeated(fill, len, &mut payload);
                frame(kind::ZDATA, stream, offset, &payload, &mut self.bytes);
            }
            op::END => {
                let stream = low(number(u)?);
                let (size, root) = (self.hasher(stream).len(), self.hasher(stream).root());
                frame(kind::END, stream, size, &root.0, &mut self.bytes);
            }
            op::HOLE => {
                let (stream, len) = (low(number(u)?), number(u)? % FILL_MAX);
                let offset = self.hasher(stream).len();
                self.hasher(stream).update_zeros(len);
                frame(kind::HOLE, stream, offset, &len.to_be_bytes(), &mut self.bytes);
            }
            _ => self.flight(),
        }
        Ok(())
    }

    fn hasher(&mut self, stream: u32) -> &mut TreeHasher {
        self.content.entry(stream).or_default()
    }
}
