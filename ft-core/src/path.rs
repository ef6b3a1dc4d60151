//! Paths as the wire has them: a list of raw components, checked once, safe to join beneath a root.
//!
//! Bytes are not text: a name that is not UTF-8 is legal and kept. What is shown to a person goes through [`escape`].

use std::fmt;
use std::sync::Arc;

use crate::limits::{MAX_COMPONENT, MAX_DEPTH, MAX_PATH};

/// A relative path of valid components; empty means the root itself (PROTOCOL §6.1). Clones share it: an offer, its
/// stream, its events and what remembers it are one path, ten thousand times over.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct RelPath(Arc<[Vec<u8>]>);

/// Why a path was refused (pitfalls `path-traversal`, `delimiter-in-name`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BadPath {
    /// A component of no bytes.
    EmptyComponent,
    /// `.` or `..`.
    DotComponent,
    /// `/` or NUL inside a component.
    ForbiddenByte(u8),
    /// A component longer than [`MAX_COMPONENT`] bytes.
    ComponentTooLong(usize),
    /// A path longer than [`MAX_PATH`] bytes.
    PathTooLong(usize),
    /// More than [`MAX_DEPTH`] components.
    TooDeep(usize),
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyComponent => write!(f, "a path component is empty"),
            Self::DotComponent => write!(f, "a path component is '.' or '..'"),
            Self::ForbiddenByte(0) => write!(f, "a path component holds a NUL byte"),
            Self::ForbiddenByte(b) => write!(f, "a path component holds the byte {:?}", char::from(*b)),
            Self::ComponentTooLong(n) => {
                write!(f, "a path component has {n} bytes, at most {MAX_COMPONENT} are allowed")
            }
            Self::PathTooLong(n) => write!(f, "the path has {n} bytes, at most {MAX_PATH} are allowed"),
            Self::TooDeep(n) => write!(f, "the path has {n} components, at most {MAX_DEPTH} are allowed"),
        }
    }
}

impl std::error::Error for BadPath {}

impl RelPath {
    /// The root itself: no components.
    pub fn root() -> Self {
        Self::default()
    }

    /// Checks every component and the whole.
    ///
    /// # Errors
    /// [`BadPath`] names the first rule that is broken.
    pub fn new(components: Vec<Vec<u8>>) -> Result<Self, BadPath> {
        if components.len() > MAX_DEPTH {
            return Err(BadPath::TooDeep(components.len()));
        }
        components.iter().try_for_each(|c| check_component(c))?;
        let path = Self(components.into());
        match path.byte_len() {
            n if n > MAX_PATH => Err(BadPath::PathTooLong(n)),
            _ => Ok(path),
        }
    }

    /// Parses `a/b/c`; leading, trailing and doubled slashes are forgiven, because people type them.
    ///
    /// # Errors
    /// As [`RelPath::new`].
    pub fn parse(text: &[u8]) -> Result<Self, BadPath> {
        Self::new(text.split(|&b| b == b'/').filter(|c| !c.is_empty()).map(<[u8]>::to_vec).collect())
    }

    /// The components, outermost first.
    pub fn components(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// The last component; `None` for the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.0.last().map(Vec::as_slice)
    }

    /// All but the last component; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, rest)| Self(rest.into()))
    }

    /// True for the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// This path with one more component.
    ///
    /// # Errors
    /// As [`RelPath::new`].
    pub fn join(&self, component: &[u8]) -> Result<Self, BadPath> {
        let mut all = Vec::with_capacity(self.0.len() + 1);
        all.extend_from_slice(&self.0);
        all.push(component.to_vec());
        Self::new(all)
    }

    /// This path followed by all of `tail`.
    ///
    /// # Errors
    /// As [`RelPath::new`].
    pub fn concat(&self, tail: &Self) -> Result<Self, BadPath> {
        Self::new(self.0.iter().chain(tail.0.iter()).cloned().collect())
    }

    /// Length in bytes with one separator between components.
    pub fn byte_len(&self) -> usize {
        self.0.iter().map(Vec::len).sum::<usize>() + self.0.len().saturating_sub(1)
    }

    /// The raw bytes, joined by `/`.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.join(&b'/')
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, component) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "/" })?;
            write_escaped(component, f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

fn check_component(c: &[u8]) -> Result<(), BadPath> {
    if c.is_empty() {
        return Err(BadPath::EmptyComponent);
    }
    if c == b"." || c == b".." {
        return Err(BadPath::DotComponent);
    }
    if c.len() > MAX_COMPONENT {
        return Err(BadPath::ComponentTooLong(c.len()));
    }
    match c.iter().find(|b| matches!(b, 0 | b'/')) {
        Some(&b) => Err(BadPath::ForbiddenByte(b)),
        None => Ok(()),
    }
}

/// Bytes from a peer as text that is safe for a terminal and a log: control characters, invalid UTF-8, bidirectional
/// overrides and the backslash itself become `\xNN` or `\u{…}`; everything else stays.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    write_escaped(bytes, &mut out).expect("a string takes everything");
    out
}

fn write_escaped(bytes: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                out.write_str("\\\\")?;
            } else if c.is_control() || is_invisible(c) {
                write!(out, "{}", c.escape_unicode())?;
            } else {
                out.write_char(c)?;
            }
        }
        for b in chunk.invalid() {
            write!(out, "\\x{b:02x}")?;
        }
    }
    Ok(())
}

/// Characters that reorder or hide the text around them: a peer could make one name look like another.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{061c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_with_traversal_nul_slash_or_nothing_is_refused() {
        for (component, want) in [
            (&b".."[..], BadPath::DotComponent),
            (b".", BadPath::DotComponent),
            (b"", BadPath::EmptyComponent),
            (b"a/b", BadPath::ForbiddenByte(b'/')),
            (b"a\0b", BadPath::ForbiddenByte(0)),
            (&[b'x'; 256], BadPath::ComponentTooLong(256)),
        ] {
            assert_eq!(RelPath::new(vec![b"ok".to_vec(), component.to_vec()]), Err(want));
        }
        assert_eq!(RelPath::new(vec![vec![b'x'; 255]; 17]), Err(BadPath::PathTooLong(17 * 255 + 16)));
        assert_eq!(RelPath::new(vec![vec![b'x']; 129]), Err(BadPath::TooDeep(129)));
    }

    #[test]
    fn escape_shows_control_bidi_and_broken_utf8_and_keeps_the_rest() {
        assert_eq!(escape("naïve 文.txt".as_bytes()), "naïve 文.txt");
        assert_eq!(escape(b"a\x1b[31mb\nc"), "a\\u{1b}[31mb\\u{a}c");
        assert_eq!(escape(b"\xff\\"), "\\xff\\\\");
        assert_eq!(escape("\u{202e}txt.exe".as_bytes()), "\\u{202e}txt.exe");
    }
}
