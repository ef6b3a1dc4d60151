//! The few shapes that payloads are made of (PROTOCOL §5): fixed integers, counted bytes, paths.

use crate::limits::MAX_DEPTH;
use crate::path::{RelPath, escape};

/// Bytes of a bad name that an error quotes.
const SHOWN: usize = 60;

/// What was wrong at which byte of a payload.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) at: u64,
    pub(crate) expected: String,
    pub(crate) got: String,
    /// The bytes are in order, but no name is to be made of them (FT-15).
    pub(crate) bad_name: bool,
}

/// Reads a payload from its beginning.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    at: u64,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload, at: 0 }
    }

    /// An error at this place.
    pub(crate) fn wrong(&self, expected: &str, got: &str) -> Wrong {
        Wrong { at: self.at, expected: expected.into(), got: got.into(), bad_name: false }
    }

    /// An error about a name.
    pub(crate) fn bad_name(&self, expected: &str, got: &str) -> Wrong {
        Wrong { bad_name: true, ..self.wrong(&format!("FT-15: {expected}"), got) }
    }

    /// # Errors
    /// Bytes are left over (FT-7).
    pub(crate) fn finish(&self) -> Result<(), Wrong> {
        match self.rest.len() {
            0 => Ok(()),
            n => Err(self.wrong("FT-7: the end of the payload", &format!("{n} more bytes"))),
        }
    }

    /// Whether anything is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Counts what is left and passes it by.
    pub(crate) fn rest(&mut self) -> u32 {
        let n = self.rest.len();
        self.rest = &[];
        self.at += n as u64;
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Wrong> {
        let Some((taken, rest)) = self.rest.split_at_checked(n) else {
            return Err(self.wrong(&format!("FT-7: {n} more bytes of payload"), &self.rest.len().to_string()));
        };
        self.rest = rest;
        self.at += n as u64;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Wrong> {
        self.array::<1>().map(|[b]| b)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Wrong> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Wrong> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Wrong> {
        self.array().map(u64::from_be_bytes)
    }

    /// A u16 count and that many bytes.
    pub(crate) fn bytes16(&mut self, most: usize) -> Result<&'a [u8], Wrong> {
        let len = usize::from(self.u16()?);
        self.counted(len, most)
    }

    /// `len` bytes that are read as UTF-8, faults replaced.
    pub(crate) fn text(&mut self, len: usize, most: usize) -> Result<String, Wrong> {
        self.counted(len, most).map(|b| String::from_utf8_lossy(b).into_owned())
    }

    fn counted(&mut self, len: usize, most: usize) -> Result<&'a [u8], Wrong> {
        if len > most {
            return Err(self.wrong(&format!("FT-3: at most {most} bytes"), &len.to_string()));
        }
        self.take(len)
    }

    pub(crate) fn path(&mut self) -> Result<RelPath, Wrong> {
        let count = usize::from(self.u16()?);
        if count > MAX_DEPTH {
            return Err(self.bad_name(&format!("at most {MAX_DEPTH} path components"), &count.to_string()));
        }
        let start = self.clone();
        let components = (0..count).map(|_| self.bytes16(usize::from(u16::MAX)).map(<[u8]>::to_vec));
        let components = components.collect::<Result<Vec<_>, _>>()?;
        let mut shown = components.iter().map(|c| escape(c)).collect::<Vec<_>>().join("/");
        if shown.len() > SHOWN {
            shown.truncate(shown.floor_char_boundary(SHOWN));
            shown.push('…');
        }
        RelPath::new(components).map_err(|e| start.bad_name(&format!("a safe path ({e})"), &format!("\"{shown}\"")))
    }
}

/// A u16 count and the bytes; callers keep within their limits.
pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    let len = u16::try_from(bytes.len()).expect("bounded by limits far below 64 KiB");
    out.extend(len.to_be_bytes());
    out.extend(bytes);
}

pub(crate) fn put_path(path: &RelPath, out: &mut Vec<u8>) {
    let count = u16::try_from(path.components().len()).expect("bounded by MAX_DEPTH");
    out.extend(count.to_be_bytes());
    path.components().iter().for_each(|c| put_bytes(c, out));
}
