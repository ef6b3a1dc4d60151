//! Content buffers to use again: fresh memory costs more than filling it with a small file.

use crate::limits::CHUNK;
use crate::storage::Buf;

/// Buffers of [`CHUNK`] kept: as many as can be in flight.
const LARGE: usize = 16;

/// Room of the smallest buffer that is kept, bytes. Smaller ones are cheap to make.
const SMALLEST: usize = 4 * 1024;

/// Sizes of small buffers, each twice the one before: 4 KiB to 64 KiB.
const SIZES: usize = 5;

/// Bytes of small buffers kept of each size.
const SMALL_BYTES: usize = 512 * 1024;

/// Buffers that came back. The last to come is the first to go: it is the one that a cache still holds.
#[derive(Default)]
pub(crate) struct Spares {
    large: Vec<Buf>,
    small: [Vec<Buf>; SIZES],
}

impl Spares {
    /// An empty buffer for exactly `len` bytes, [`CHUNK`] at most: where content is cut into writes must not depend on
    /// which buffer came back.
    pub(crate) fn take(&mut self, len: usize) -> Buf {
        self.find(len).unwrap_or_else(|| Buf::with_capacity(len.min(CHUNK)))
    }

    /// The same, if one came back.
    pub(crate) fn find(&mut self, len: usize) -> Option<Buf> {
        let found = if len >= CHUNK { self.large.pop() } else { self.small.get_mut(size_for(len)?)?.pop() };
        found.and_then(|buf| buf.reuse(len.min(CHUNK)))
    }

    /// Keeps a buffer if there is use for it.
    pub(crate) fn give(&mut self, buf: Buf) {
        let room = buf.room();
        let (place, most) = match size_for(room) {
            _ if room == CHUNK => (&mut self.large, LARGE),
            Some(size) if room == SMALLEST << size => (&mut self.small[size], SMALL_BYTES / room),
            Some(_) | None => return,
        };
        if place.len() < most {
            place.push(buf);
        }
    }
}

/// Which of the small sizes serves `len` bytes.
fn size_for(len: usize) -> Option<usize> {
    let fits = |size: &usize| len <= SMALLEST << size;
    if len > SMALLEST / 2 { (0..SIZES).find(fits) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_has_room_for_what_was_asked_whatever_came_back() {
        let mut spares = Spares::default();
        for len in [1, 2048, 2049, 4096, 4097, 20_000, 65_536, 65_537, CHUNK - 1, CHUNK] {
            for _ in 0..3 {
                let mut buf = spares.take(len);
                assert_eq!((buf.len(), buf.spare().len()), (0, len));
                buf.advance(len);
                spares.give(buf);
            }
        }
    }

    #[test]
    fn memory_of_a_small_buffer_comes_back() {
        let mut spares = Spares::default();
        let mut buf = spares.take(4000);
        let at = buf.spare().as_ptr();
        spares.give(buf);
        // Held on to: what is let go may be given out by the system again.
        let mut again = spares.take(3000);
        assert_eq!(again.spare().as_ptr(), at);
        assert_ne!(spares.take(5000).spare().as_ptr(), at);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut spares = Spares::default();
        for _ in 0..1000 {
            spares.give(Buf::with_capacity(SMALLEST));
            spares.give(Buf::with_capacity(CHUNK));
            spares.give(Buf::with_capacity(100));
        }
        let kept: usize = spares.small.iter().map(Vec::len).sum();
        assert_eq!((kept, spares.large.len()), (SMALL_BYTES / SMALLEST, LARGE));
    }
}
