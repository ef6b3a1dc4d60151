//! Names as the labs send them: checked before use, escaped before display.

use std::fmt;
use std::sync::Arc;

use super::limits::{NAME_MAX, QUOTE_MAX};
use super::pitfall::Pitfall;
use crate::path::is_invisible;

/// A name that is safe as one component of a path: not empty, no `/`, no NUL, not `.` or `..`, at most 255 bytes.
///
/// Bytes, not text: decoding happens for display only, so that half a character cannot end anything (`utf8-split`). Clones
/// share the bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabName(Arc<[u8]>);

/// Why a name is refused (`path-traversal`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameError {
    /// No bytes at all.
    Empty,
    /// `.` or `..`.
    Dots,
    /// A `/` at this byte.
    Separator(usize),
    /// A NUL at this byte.
    Nul(usize),
    /// This many bytes, where at most [`NAME_MAX`] fit.
    TooLong(usize),
}

impl LabName {
    /// Checks `name` and takes it.
    ///
    /// # Errors
    ///
    /// The first rule that `name` breaks.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Self, NameError> {
        let name = name.as_ref();
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name == b"." || name == b".." {
            return Err(NameError::Dots);
        }
        if let Some(at) = name.iter().position(|&byte| byte == b'/') {
            return Err(NameError::Separator(at));
        }
        if let Some(at) = name.iter().position(|&byte| byte == 0) {
            return Err(NameError::Nul(at));
        }
        if name.len() > NAME_MAX {
            return Err(NameError::TooLong(name.len()));
        }
        Ok(Self(name.into()))
    }

    /// The name under which lab B's server stores what `addfile` sends: `server_` and the name.
    ///
    /// # Errors
    ///
    /// [`NameError::TooLong`] when the prefix makes it so.
    pub fn stored_by_addfile(&self) -> Result<Self, NameError> {
        Self::new([b"server_", self.as_bytes()].concat())
    }

    /// The bytes of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes of the name, owned.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0).fmt(f)
    }
}

impl fmt::Debug for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LabName({self})")
    }
}

impl NameError {
    /// The pitfall that the refused name stands for.
    #[must_use]
    pub fn pitfall(self) -> Option<Pitfall> {
        match self {
            Self::Dots | Self::Separator(_) | Self::Nul(_) => Some(Pitfall::PathTraversal),
            Self::Empty | Self::TooLong(_) => None,
        }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::Dots => f.write_str("the name means a folder"),
            Self::Separator(at) => write!(f, "the name has a / at byte {at}"),
            Self::Nul(at) => write!(f, "the name has a NUL at byte {at}"),
            Self::TooLong(len) => write!(f, "the name has {len} bytes, at most {NAME_MAX} are allowed"),
        }
    }
}

impl std::error::Error for NameError {}

/// Shows bytes of a peer so that they cannot move a cursor, reorder a line or forge one.
///
/// Printable UTF-8 stays; control and direction characters become `\u{…}`, bytes that are not UTF-8 `\xNN`, and a backslash is
/// doubled. At most [`NAME_MAX`] bytes are shown.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl Escaped<'_> {
    /// The first bytes of `bytes`, as many as an error quotes.
    #[must_use]
    pub fn quote(bytes: &[u8]) -> Vec<u8> {
        bytes[..bytes.len().min(QUOTE_MAX)].to_vec()
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let shown = &self.0[..self.0.len().min(NAME_MAX)];
        for chunk in shown.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\n' => f.write_str("\\n")?,
                    '\r' => f.write_str("\\r")?,
                    '\t' => f.write_str("\\t")?,
                    '\\' => f.write_str("\\\\")?,
                    _ if character.is_control() || is_invisible(character) => {
                        write!(f, "{}", character.escape_unicode())?;
                    }
                    _ => f.write_char(character)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        if shown.len() < self.0.len() {
            f.write_str("…")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_hostile_peer_is_refused_with_its_reason() {
        let rows: [(&[u8], NameError); 7] = [
            (b"", NameError::Empty),
            (b".", NameError::Dots),
            (b"..", NameError::Dots),
            (b"../x", NameError::Separator(2)),
            (b"/etc/passwd", NameError::Separator(0)),
            (b"a\0b", NameError::Nul(1)),
            (&[b'n'; 256], NameError::TooLong(256)),
        ];
        for (name, reason) in rows {
            assert_eq!(LabName::new(name), Err(reason), "{}", Escaped(name));
        }
    }

    #[test]
    fn name_with_control_characters_is_legal_and_shown_escaped() {
        let name = LabName::new("a\n\x1b[31m\u{202e}\u{61c}é\\".as_bytes()).expect("legal");
        assert_eq!(name.to_string(), "a\\n\\u{1b}[31m\\u{202e}\\u{61c}é\\\\");
        assert_eq!(Escaped(b"half \xc3").to_string(), "half \\xc3");
        assert_eq!(LabName::new([b'n'; 255]).expect("legal").as_bytes().len(), 255);
    }

    #[test]
    fn name_stored_by_addfile_counts_its_prefix_towards_the_limit() {
        let stored = |len| LabName::new(vec![b'n'; len]).expect("legal").stored_by_addfile();
        assert_eq!(stored(248).expect("fits").as_bytes().len(), 255);
        assert_eq!(stored(249), Err(NameError::TooLong(256)));
    }
}
