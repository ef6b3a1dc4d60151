//! How a stream is cut into pieces: read from the front of an input, then repeated to the stream's end.

use arbitrary::{Result, Unstructured};

/// Sizes of pieces, bytes; none for a stream in one piece.
pub(crate) struct Cuts(Vec<usize>);

impl Cuts {
    /// A count up to 7, then so many sizes of a byte each.
    pub(crate) fn read(u: &mut Unstructured<'_>) -> Result<Self> {
        let count = u.arbitrary::<u8>()? & 7;
        (0..count).map(|_| Ok(usize::from(u.arbitrary::<u8>()?) + 1)).collect::<Result<_>>().map(Self)
    }

    /// The pieces of `bytes`.
    pub(crate) fn pieces<'a>(&self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        for size in self.0.iter().cycle() {
            let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
            if piece.is_empty() {
                break;
            }
            pieces.push(piece);
            bytes = rest;
        }
        if !bytes.is_empty() {
            pieces.push(bytes);
        }
        pieces
    }
}
