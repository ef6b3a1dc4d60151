//! The picture that all lessons share: the boundaries of the writer's calls above the boundaries of the reader's.
//!
//! Both rows have the same columns, so that equal bytes stand above each other and whatever is not aligned is a boundary that
//! only one side saw.

use ft_sim::Direction;
use ft_sim::trace::{Event, What};

/// One direction of the first connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    /// True if the server wrote it.
    pub(crate) from_server: bool,
    /// Every byte that was taken from the writer.
    pub(crate) bytes: Vec<u8>,
    /// Where each write ended, and how many bytes it had offered.
    pub(crate) writes: Vec<(usize, u64)>,
    /// Where each read ended.
    pub(crate) reads: Vec<usize>,
    /// The reader saw the end of the stream.
    pub(crate) eof: bool,
    /// A RST reached the reader.
    pub(crate) reset: bool,
}

/// Reads that are shown; a parser that reads byte by byte is told in a number instead.
const READS_SHOWN: usize = 8;

/// Both directions of the first connection, client's first. A direction without bytes is left out.
pub(crate) fn streams(events: &[Event]) -> Vec<Stream> {
    let mut both = [Stream::default(), Stream { from_server: true, ..Stream::default() }];
    let of = |dir| usize::from(dir == Direction::S2c);
    for event in events {
        match &event.what {
            What::Write { conn: 1, dir, bytes, asked, .. } => {
                let stream = &mut both[of(*dir)];
                stream.bytes.extend_from_slice(bytes);
                stream.writes.push((stream.bytes.len(), *asked));
            }
            What::Read { conn: 1, dir, offset, len } => {
                both[of(*dir)].reads.push(usize::try_from(offset + len).unwrap_or(usize::MAX));
            }
            What::Eof { conn: 1, dir, .. } => both[of(*dir)].eof = true,
            What::Rst { conn: 1, to, .. } => both[of(to.reads())].reset = true,
            What::Open { .. }
            | What::Write { .. }
            | What::Deliver { .. }
            | What::Read { .. }
            | What::Eof { .. }
            | What::Fin { .. }
            | What::Rst { .. }
            | What::Error { .. }
            | What::Fault(_)
            | What::Timer
            | What::Poll { .. }
            | What::Done { .. }
            | What::Note { .. } => {}
        }
    }
    both.into_iter().filter(|stream| !stream.bytes.is_empty()).collect()
}

/// A cell of the picture: what stands in one column range of both rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// A byte's text, its message (number of the write), and whether it was read.
    Byte { text: String, message: usize, read: bool },
    /// Bytes left out for want of room.
    Gap { message: usize, read: bool },
    /// A place between bytes at which one side, or both, had a boundary.
    Edge { write: bool, read: bool },
}

impl Stream {
    /// How far the reader came.
    pub(crate) fn reached(&self) -> usize {
        self.reads.last().copied().unwrap_or_default()
    }

    /// The pieces that the writer wrote.
    pub(crate) fn written(&self) -> impl Iterator<Item = &[u8]> {
        pieces(&self.bytes, self.writes.iter().map(|(end, _)| *end))
    }

    /// The pieces that the reader read.
    pub(crate) fn read(&self) -> impl Iterator<Item = &[u8]> {
        pieces(&self.bytes, self.reads.iter().copied())
    }

    /// Whether it can be read: a picture of binary frames shows nothing.
    pub(crate) fn is_text(&self) -> bool {
        let odd = self.bytes.iter().filter(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace()).count();
        // A name with an umlaut is text.
        odd * 4 <= self.bytes.len()
    }

    /// Whether the two sides had different boundaries, or something got lost. A parser's many small reads are no matter.
    pub(crate) fn is_uneven(&self) -> bool {
        let writes = self.writes.iter().map(|(end, _)| *end);
        let alike = self.reads.len() > READS_SHOWN || writes.eq(self.reads.iter().copied());
        !alike || self.reached() < self.bytes.len() || !self.short().is_empty()
    }

    /// Writes that took less than they were offered: how many of how many.
    pub(crate) fn short(&self) -> Vec<(usize, u64)> {
        let pieces: Vec<usize> = self.written().map(<[u8]>::len).collect();
        let offered = self.writes.iter().map(|(_, asked)| *asked);
        pieces.into_iter().zip(offered).filter(|&(taken, asked)| (taken as u64) < asked).collect()
    }

    /// The picture, at most `room` columns wide if any shortening can make it so.
    pub(crate) fn cells(&self, room: usize) -> Vec<Cell> {
        let mut shown = usize::MAX;
        loop {
            let cells = self.cells_with(shown);
            let width: usize = cells.iter().map(Cell::width).sum();
            if width <= room || shown == 1 {
                return cells;
            }
            shown = if shown == usize::MAX { 24 } else { shown - 1 };
        }
    }

    /// The picture with at most `shown` bytes at either end of a stretch without boundaries.
    fn cells_with(&self, shown: usize) -> Vec<Cell> {
        let mut reads = self.reads.clone();
        if reads.len() > READS_SHOWN {
            // Byte by byte, as parsers do: the last one tells how far it came.
            reads = vec![self.reached()];
        }
        let mut edges: Vec<usize> = self.writes.iter().map(|(end, _)| *end).chain(reads.iter().copied()).collect();
        edges.push(0);
        edges.sort_unstable();
        edges.dedup();
        let mut cells = Vec::new();
        for (i, &edge) in edges.iter().enumerate() {
            let write = edge == 0 || self.writes.iter().any(|(end, _)| *end == edge);
            let read = edge == 0 || reads.contains(&edge);
            cells.push(Cell::Edge { write, read });
            let Some(&next) = edges.get(i + 1) else { break };
            let message = self.writes.iter().take_while(|(end, _)| *end <= edge).count();
            let read = edge < self.reached();
            let byte = |at: usize| Cell::Byte { text: self.bytes[at].escape_ascii().to_string(), message, read };
            if next - edge <= shown.saturating_mul(2) {
                cells.extend((edge..next).map(byte));
            } else {
                cells.extend((edge..edge + shown).map(byte));
                cells.push(Cell::Gap { message, read });
                cells.extend((next - shown..next).map(byte));
            }
        }
        cells
    }
}

impl Cell {
    /// Columns.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Byte { text, .. } => text.len(),
            Self::Gap { .. } | Self::Edge { .. } => 1,
        }
    }
}

fn pieces(bytes: &[u8], ends: impl Iterator<Item = usize>) -> impl Iterator<Item = &[u8]> {
    let mut from = 0;
    ends.map(move |end| {
        let piece = &bytes[from.min(end)..end.min(bytes.len())];
        from = end;
        piece
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(bytes: &str, writes: &[usize], reads: &[usize]) -> Stream {
        let writes = writes.iter().map(|&end| (end, 0)).collect();
        Stream { bytes: bytes.into(), writes, reads: reads.to_vec(), ..Stream::default() }
    }

    fn row(stream: &Stream, room: usize) -> String {
        let mark = |cell| match cell {
            Cell::Byte { text, .. } => text,
            Cell::Gap { .. } => "…".to_owned(),
            Cell::Edge { write: true, read: true } => "#".to_owned(),
            Cell::Edge { write: true, read: false } => "w".to_owned(),
            Cell::Edge { .. } => "r".to_owned(),
        };
        stream.cells(room).into_iter().map(mark).collect()
    }

    #[test]
    fn boundaries_of_both_sides_share_columns() {
        assert_eq!(row(&stream("ab|10xyz", &[5, 8], &[4, 8]), 80), "#ab|1r0wxyz#");
        assert_eq!(row(&stream("a\nb", &[3], &[3]), 80), "#a\\nb#");
    }

    #[test]
    fn picture_of_many_bytes_keeps_their_beginning_and_end() {
        let long = "x".repeat(5000);
        let text = row(&stream(&long, &[5000], &[4096]), 40);
        assert!(text.starts_with("#xx") && text.ends_with("xw") && text.contains("…xx"), "{text}");
        assert!(text.chars().count() <= 40, "{text}");
    }

    #[test]
    fn many_small_reads_are_one() {
        let reads: Vec<usize> = (1..=10).collect();
        assert_eq!(row(&stream("0123456789", &[10], &reads), 80), "#0123456789#");
    }
}
