//! Content in fewer bytes, chunk by chunk, where both sides know how (PROTOCOL §5.9): ZDATA instead of DATA.
//!
//! Each chunk is a zstd frame of its own, so nothing is remembered from one to the next: a cut costs what it always costs,
//! memory is bounded by one chunk, and what does not shrink goes as DATA. The root is that of the plain content, so that
//! resume, sameness and landing know nothing of this.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::frame::StreamId;
use crate::limits::{COMPRESS_LEAST, COMPRESS_LEVEL, COMPRESS_PATIENCE, COMPRESS_SHARE, MAX_DATA};
use crate::storage::Buf;

/// The bit of HELLO's features that says: I read ZDATA.
pub const FEATURE: u64 = 1;

/// Bytes of a ZDATA payload before the zstd frame.
pub(crate) const PREFIX: usize = 4;

/// When a side sends content compressed. A side that receives announces the feature unless it is `Off`.
#[derive(Clone, Debug, Default)]
pub enum Compress {
    /// Never, and the peer must not either.
    #[default]
    Off,
    /// Wherever a chunk shrinks.
    On,
    /// The same, while the caller, who has a clock, finds the path slower than compression.
    While(Arc<AtomicBool>),
}

impl Compress {
    /// What HELLO announces.
    pub(crate) fn features(&self) -> u64 {
        match self {
            Self::Off => 0,
            Self::On | Self::While(_) => FEATURE,
        }
    }

    /// Whether content that is ready now would be tried: whoever can hand it over without its bytes should not.
    pub fn is_wanted(&self) -> bool {
        match self {
            Self::Off => false,
            Self::On => true,
            Self::While(wanted) => wanted.load(Ordering::Relaxed),
        }
    }
}

/// Compresses what pays. A value that depends on nothing but the contents that it saw, in their order.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    wish: Compress,
    /// The file that the next two are about: another may shrink well.
    stream: StreamId,
    /// Chunks in a row that did not shrink, up to [`COMPRESS_PATIENCE`].
    vain: u32,
    /// Chunks to let pass before the next is tried.
    pass: u32,
}

impl Packer {
    /// Compresses as `wish` says, if the peer announced that it can read it.
    pub(crate) fn new(wish: &Compress, peer: u64) -> Self {
        let wish = if peer & FEATURE == 0 { Compress::Off } else { wish.clone() };
        Self { wish, ..Self::default() }
    }

    /// The payload of ZDATA for a piece of a stream; `None` where DATA is the better.
    pub(crate) fn pack(&mut self, stream: StreamId, content: &[u8]) -> Option<Vec<u8>> {
        if stream != self.stream {
            (self.stream, self.vain, self.pass) = (stream, 0, 0);
        }
        if content.len() < COMPRESS_LEAST || !self.wish.is_wanted() {
            return None;
        }
        if let Some(left) = self.pass.checked_sub(1) {
            self.pass = left;
            return None;
        }
        let plain = u32::try_from(content.len()).ok().filter(|len| *len <= MAX_DATA)?;
        // Room for what pays and no more: zstd stops where it does not fit.
        let mut out = vec![0; PREFIX + content.len() - content.len() / COMPRESS_SHARE];
        out[..PREFIX].copy_from_slice(&plain.to_be_bytes());
        match zstd::bulk::compress_to_buffer(content, &mut out[PREFIX..], COMPRESS_LEVEL) {
            Ok(n) => {
                self.vain = 0;
                out.truncate(PREFIX + n);
                Some(out)
            }
            Err(_) => {
                self.vain = (self.vain + 1).min(COMPRESS_PATIENCE);
                self.pass = (1 << self.vain) - 1;
                None
            }
        }
    }
}

/// The content of a ZDATA frame of `len` bytes, which came as this zstd frame.
///
/// # Errors
/// Not one whole zstd frame, or one of another length: what was found. No more than `len` bytes are ever written.
pub(crate) fn unpack(frame: &[u8], len: u32) -> Result<Buf, String> {
    let len = len as usize;
    let whole = zstd::zstd_safe::find_frame_compressed_size(frame);
    if whole.ok() != Some(frame.len()) {
        return Err("other bytes".into());
    }
    let mut content = Buf::with_capacity(len);
    match zstd::bulk::decompress_to_buffer(frame, &mut content.spare()[..len]) {
        Ok(n) if n == len => {
            content.advance(n);
            Ok(content)
        }
        Ok(n) => Err(format!("{n} bytes")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(len: usize) -> Vec<u8> {
        b"the same words again and again, ".iter().copied().cycle().take(len).collect()
    }

    /// Bytes without any pattern: a multiplicative generator's.
    fn noise(len: usize) -> Vec<u8> {
        let mut x = 1_u64;
        let next = |_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            x.to_le_bytes()[7]
        };
        (0..len).map(next).collect()
    }

    fn packed(content: &[u8]) -> Vec<u8> {
        Packer::new(&Compress::On, FEATURE).pack(1, content).expect("it shrinks")
    }

    #[test]
    fn content_comes_back_as_it_was_and_took_less() {
        for len in [COMPRESS_LEAST, 4096, MAX_DATA as usize] {
            let content = text(len);
            let payload = packed(&content);
            assert!(payload.len() < len, "{} for {len}", payload.len());
            assert_eq!(payload[..PREFIX], u32::try_from(len).unwrap().to_be_bytes());
            assert_eq!(unpack(&payload[PREFIX..], u32::try_from(len).unwrap()).unwrap().bytes(), content);
        }
    }

    #[test]
    fn what_does_not_shrink_is_tried_less_and_less_often_and_again_after_all() {
        let mut packer = Packer::new(&Compress::On, FEATURE);
        let (bad, good) = (noise(4096), text(4096));
        assert!((0..100).all(|_| packer.pack(1, &bad).is_none()));
        assert!(packer.pack(2, &good).is_some(), "another file is another matter");
        assert!((0..100).all(|_| packer.pack(3, &bad).is_none()));
        let until = (0..).position(|_| packer.pack(3, &good).is_some()).unwrap();
        assert!(until < 1 << COMPRESS_PATIENCE, "{until}");
        assert!(packer.pack(3, &good).is_some(), "it pays again");
    }

    #[test]
    fn nothing_is_packed_for_a_peer_that_cannot_read_it_nor_against_the_wish() {
        let content = text(4096);
        assert!(Packer::new(&Compress::On, !FEATURE).pack(1, &content).is_none());
        assert!(Packer::new(&Compress::Off, FEATURE).pack(1, &content).is_none());
        let wanted = Arc::new(AtomicBool::new(false));
        let mut packer = Packer::new(&Compress::While(Arc::clone(&wanted)), FEATURE);
        assert!(packer.pack(1, &content).is_none());
        wanted.store(true, Ordering::Relaxed);
        assert!(packer.pack(1, &content).is_some());
    }

    #[test]
    fn frame_that_lies_about_its_content_is_refused() {
        let payload = packed(&text(100_000));
        let frame = &payload[PREFIX..];
        assert!(unpack(frame, 99_999).is_err(), "a bomb: more than was said");
        assert_eq!(unpack(frame, 100_001).unwrap_err(), "100000 bytes");
        assert!(unpack(&frame[..frame.len() - 1], 100_000).is_err());
        assert!(unpack(&[frame, b"x"].concat(), 100_000).is_err(), "something behind it");
        assert!(unpack(&[frame, frame].concat(), 200_000).is_err(), "two frames");
        assert!(unpack(b"", 1).is_err());
        assert!(unpack(b"no zstd at all", 5).is_err());
    }
}
