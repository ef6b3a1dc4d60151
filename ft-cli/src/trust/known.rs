//! The servers that this installation knows: a file of `HOST:PORT ftk1…` lines, written by hand or after a question.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use ft_core::path::escape;

use super::fingerprint::Fingerprint;
use super::folder;
use crate::net::Endpoint;

/// The file.
#[derive(Clone, Debug)]
pub struct KnownPeers {
    path: PathBuf,
}

/// A key that is pinned to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The key.
    pub key: Fingerprint,
    /// The line of the file, from 1.
    pub line: usize,
}

impl KnownPeers {
    /// The file of this installation.
    ///
    /// # Errors
    /// There is no folder for settings: neither `XDG_CONFIG_HOME` nor `HOME` is set.
    pub fn open_default() -> io::Result<Self> {
        Ok(Self { path: folder::config()?.join("known_peers") })
    }

    /// Another file.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys that are pinned to a server, by the name under which it was asked for. Names are not resolved: who can
    /// forge an address must not choose the key.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it is nonsense: then nothing of it is believed.
    pub fn pins(&self, endpoint: &Endpoint) -> io::Result<Vec<Pin>> {
        let wanted = endpoint.to_string();
        let mut pins = Vec::new();
        for (line, name, key) in self.lines()? {
            if name.eq_ignore_ascii_case(&wanted) {
                pins.push(Pin { key, line });
            }
        }
        Ok(pins)
    }

    fn lines(&self) -> io::Result<Vec<(usize, String, Fingerprint)>> {
        let Some(text) = folder::read(&self.path).map_err(|e| self.named(&e))? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let bad = |why: String| {
                let text = format!("line {number}: {why}; expected HOST:PORT ftk1...");
                self.named(&io::Error::new(io::ErrorKind::InvalidData, text))
            };
            let (name, key) = line.split_once(char::is_whitespace).ok_or_else(|| bad("one word".into()))?;
            let endpoint = Endpoint::parse(name).map_err(|e| bad(e.to_string()))?;
            let key = key.trim().parse().map_err(|e: super::BadFingerprint| bad(e.to_string()))?;
            all.push((number, endpoint.to_string(), key));
        }
        Ok(all)
    }

    /// Pins a key to a server, for good.
    ///
    /// # Errors
    /// The file cannot be written; the text names it.
    pub fn pin(&self, endpoint: &Endpoint, key: Fingerprint) -> io::Result<()> {
        self.add(endpoint, key).map_err(|e| self.named(&e))
    }

    fn add(&self, endpoint: &Endpoint, key: Fingerprint) -> io::Result<()> {
        let parent = folder::of(&self.path);
        folder::make(parent)?;
        let mut options = fs::OpenOptions::new();
        options.append(true).read(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&self.path)?;
        // A person may have left the last line open.
        let mut last = *b"\n";
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        let open = if last == *b"\n" { "" } else { "\n" };
        // One write: lines of two programs do not mix.
        file.write_all(format!("{open}{}\n", line(endpoint, key)).as_bytes())?;
        file.sync_all()?;
        folder::sync(parent)
    }

    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", escape(self.path.as_os_str().as_encoded_bytes())))
    }
}

/// The line that pins a key to a server.
pub(super) fn line(endpoint: &Endpoint, key: Fingerprint) -> String {
    format!("{endpoint} {key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    #[test]
    fn pinned_key_is_found_under_the_name_and_port_it_was_pinned_to() {
        let home = tempfile::tempdir().unwrap();
        let known = KnownPeers::at(home.path().join("new/known_peers"));
        let [a, b] = [b"a", b"b"].map(|key| Fingerprint::of_spki(key));
        assert_eq!(known.pins(&endpoint("box")).unwrap(), []);
        known.pin(&endpoint("box"), a).unwrap();
        known.pin(&endpoint("[::1]:7"), b).unwrap();
        assert_eq!(known.pins(&endpoint("BOX:65432")).unwrap(), [Pin { key: a, line: 1 }]);
        assert_eq!(known.pins(&endpoint("[::1]:7")).unwrap(), [Pin { key: b, line: 2 }]);
        assert_eq!(known.pins(&endpoint("box:7")).unwrap(), []);
    }

    #[test]
    fn line_that_a_person_left_open_is_closed_before_another_is_added() {
        let home = tempfile::tempdir().unwrap();
        let known = KnownPeers::at(home.path().join("known_peers"));
        let [a, b] = [b"a", b"b"].map(|key| Fingerprint::of_spki(key));
        fs::write(known.path(), line(&endpoint("hand"), a)).unwrap();
        known.pin(&endpoint("box"), b).unwrap();
        assert_eq!(known.pins(&endpoint("hand")).unwrap(), [Pin { key: a, line: 1 }]);
        assert_eq!(known.pins(&endpoint("box")).unwrap(), [Pin { key: b, line: 2 }]);
    }

    #[test]
    fn file_with_one_bad_line_is_not_believed_at_all() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("known_peers");
        let good = line(&endpoint("box"), Fingerprint::of_spki(b"a"));
        for bad in ["box", "box ftk1qqqq", "box:0 ftk1", "a/b ftk1"] {
            fs::write(&path, format!("# mine\n{good} # home\n\n{bad}\n")).unwrap();
            let error = KnownPeers::at(path.clone()).pins(&endpoint("box")).unwrap_err().to_string();
            assert!(error.contains("line 4: "), "{bad}: {error}");
        }
    }
}
