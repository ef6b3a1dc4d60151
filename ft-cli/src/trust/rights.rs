//! What each key may do: a file of `ftk1… RIGHT…` lines, written by hand.
//!
//! ```text
//! ftk1…  read write                      # may put, list and get
//! ftk1…  read rate=10M                   # may list and get, 10 MB a second at most
//! ftk1…  drop-only folder=in quota=10G   # may put, never sees and never replaces, beneath in/, 10 GiB at most
//! ftk1…  write folder=of/bo files=1000   # may put and replace beneath of/bo/, where a thousand files and folders may be
//! ```

use std::collections::BTreeMap;

use ft_core::frame::Intent;
use ft_core::path::{RelPath, escape};

use super::fingerprint::Fingerprint;

/// What somebody may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// List and get.
    pub read: bool,
    /// Put, and replace what is there.
    pub write: bool,
    /// Put, but never replace what is there, nor see it.
    pub drop_only: bool,
    /// Only beneath this folder, which is all that they see.
    pub folder: RelPath,
    /// Bytes a second, each way, over all its sessions together.
    pub rate: Option<u64>,
    /// Most bytes that files beneath their folder may have after a put.
    pub quota: Option<u64>,
    /// Most files, folders and links that may be beneath their folder after a put.
    pub files: Option<u64>,
}

impl Rights {
    /// Everything that the server allows anybody.
    pub fn all() -> Self {
        Self {
            read: true,
            write: true,
            drop_only: false,
            folder: RelPath::root(),
            rate: None,
            quota: None,
            files: None,
        }
    }

    /// Why an intent is not theirs; `None` if it is.
    pub fn refuses(&self, intent: Intent) -> Option<&'static str> {
        match intent {
            Intent::Push if self.write || self.drop_only => None,
            Intent::Push => Some("this key may not put"),
            Intent::Pull | Intent::List if self.read => None,
            Intent::Pull | Intent::List => Some("this key may not list or get"),
        }
    }

    fn parse(words: &str) -> Result<Self, String> {
        let mut rights = Self { read: false, write: false, ..Self::all() };
        for word in words.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()) {
            match word.split_once('=') {
                None if word == "read" => rights.read = true,
                None if word == "write" => rights.write = true,
                None if word == "drop-only" => rights.drop_only = true,
                Some(("folder", path)) => {
                    rights.folder = RelPath::parse(path.as_bytes()).map_err(|e| format!("folder: {e}"))?;
                }
                Some(("quota", size)) => rights.quota = Some(bytes(size)?),
                Some(("files", number)) => {
                    let bad = |_| format!("files: expected a number such as 10000, not {}", escape(number.as_bytes()));
                    rights.files = Some(number.parse().map_err(bad)?);
                }
                Some(("rate", speed)) => {
                    rights.rate = Some(crate::args::bytes_a_second(speed).map_err(|e| format!("rate: {e}"))?)
                }
                _ => {
                    let word = escape(word.as_bytes());
                    return Err(format!(
                        "{word}: expected read, write, drop-only, folder=PATH, quota=SIZE, files=NUMBER or rate=SPEED"
                    ));
                }
            }
        }
        if rights.drop_only && (rights.read || rights.write) {
            return Err("drop-only goes without read and write".into());
        }
        if !(rights.read || rights.write || rights.drop_only) {
            return Err("it may do nothing: expected read, write or drop-only".into());
        }
        Ok(rights)
    }
}

/// `10G`: a number of bytes, with K, M, G or T for powers of 1024.
fn bytes(text: &str) -> Result<u64, String> {
    let bad = || format!("quota: expected a size such as 500M or 10G, not {}", escape(text.as_bytes()));
    let (digits, shift) = match text.char_indices().last().ok_or_else(bad)? {
        (at, 'K') => (&text[..at], 10),
        (at, 'M') => (&text[..at], 20),
        (at, 'G') => (&text[..at], 30),
        (at, 'T') => (&text[..at], 40),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| bad())?;
    number.checked_mul(1 << shift).ok_or_else(bad)
}

/// All keys that may come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    rights: BTreeMap<Fingerprint, Rights>,
}

impl Book {
    /// Reads a file's text. One bad line spoils it: half a list of rights is nobody's intent.
    ///
    /// # Errors
    /// Which line, and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rights = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let bad = |why: String| format!("line {number}: {why}");
            let (key, words) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let key: Fingerprint = key.parse().map_err(|e: super::BadFingerprint| bad(e.to_string()))?;
            if rights.insert(key, Rights::parse(words).map_err(bad)?).is_some() {
                return Err(bad("this key has a line already".into()));
            }
        }
        Ok(Self { rights })
    }

    /// What a key may do; `None`: it is not in the book.
    pub fn of(&self, key: &Fingerprint) -> Option<&Rights> {
        self.rights.get(key)
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.rights.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rights.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Fingerprint {
        Fingerprint::of_spki(name.as_bytes())
    }

    #[test]
    fn lines_give_each_key_its_rights_and_others_none() {
        let (a, b, c) = (key("a"), key("b"), key("c"));
        let text = format!(
            "# friends\n{a} read,write # Ann\n\n{b}\tdrop-only folder=in/b quota=3K files=70 rate=2M\n{c} read"
        );
        let book = Book::parse(&text).unwrap();
        assert_eq!(book.of(&a), Some(&Rights::all()));
        let drops = book.of(&b).unwrap();
        assert_eq!((drops.folder.to_string().as_str(), drops.quota, drops.rate), ("in/b", Some(3072), Some(2_000_000)));
        assert_eq!(drops.files, Some(70));
        assert_eq!(drops.refuses(Intent::Push), None);
        assert_eq!(drops.refuses(Intent::List), Some("this key may not list or get"));
        assert_eq!(book.of(&c).unwrap().refuses(Intent::Push), Some("this key may not put"));
        assert_eq!(book.of(&key("d")), None);
    }

    #[test]
    fn line_that_is_not_understood_spoils_the_book_and_is_named() {
        let a = key("a");
        for (line, want) in [
            (format!("{a}"), "line 2: it may do nothing"),
            (format!("{a} raed"), "line 2: raed: expected read"),
            (format!("{a} read drop-only"), "line 2: drop-only goes without"),
            (format!("{a} read folder=../x"), "line 2: folder: "),
            (format!("{a} write quota=lots"), "line 2: quota: expected a size"),
            (format!("{a} write quota=-1"), "line 2: quota: expected a size"),
            (format!("{a} write quota=99999999999T"), "line 2: quota: expected a size"),
            (format!("{a} write quota=5é"), "line 2: quota: expected a size"),
            (format!("{a} write files=1k"), "line 2: files: expected a number"),
            (format!("{a} write files=-1"), "line 2: files: expected a number"),
            (format!("{a} write rate=fast"), "line 2: rate: expected bytes a second"),
            (format!("{a} write rate=10"), "line 2: rate: less than 1k"),
            ("ftk1x read".into(), "line 2: not the fingerprint of a key"),
            (format!("{a} read\n{a} write"), "line 3: this key has a line already"),
        ] {
            let error = Book::parse(&format!("# first\n{line}\n")).unwrap_err();
            assert!(error.starts_with(want), "{line}: {error}");
        }
    }
}
