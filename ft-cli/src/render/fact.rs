//! The events of `--json`: one object a line. Names and fields are documented in docs/CLI.md and stay; new ones may come.
//!
//! Paths and texts are escaped as on a terminal ([`ft_core::path::escape`]): JSON cannot carry bytes that are not UTF-8,
//! and the escape loses nothing, since the backslash itself is doubled.

use ft_core::error::{FileError, Retry};
use ft_core::frame::{Ack2, Kind, Level, Meta};
use ft_core::path::escape;
use ft_core::storage::Step;
use serde::Serialize;

use super::mtime_text;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Fact {
    /// The server accepts connections at an address.
    Listening {
        /// With the real port.
        address: String,
        /// What it speaks there.
        dialect: String,
    },
    /// A one-time code that a sender needs, for the person who asked for it.
    Code {
        /// The code.
        code: String,
    },
    /// A connection was accepted (server) or made (client).
    Connected {
        /// Address of the peer.
        peer: String,
    },
    /// A file was offered.
    Offered {
        /// Number of the file in its session.
        stream: u32,
        /// Its name.
        path: String,
        /// `file`, `folder` or `link`.
        kind: &'static str,
        /// Bytes, if known.
        size: Option<u64>,
    },
    /// The receiver takes the file; content goes from `offset` on.
    Started {
        /// Number of the file in its session.
        stream: u32,
        /// Its name.
        path: String,
        /// Bytes that need not be sent.
        offset: u64,
        /// Bytes in all, if known.
        size: Option<u64>,
    },
    /// The receiver has the file already.
    Same {
        /// Number of the file in its session.
        stream: u32,
        /// Its name.
        path: String,
    },
    /// Content moved so far, over all files and connections of the command; a few a second at most.
    Progress {
        /// Bytes moved.
        bytes: u64,
        /// Bytes offered so far that are not known to be there already.
        total: u64,
    },
    /// Every byte was hashed to the stated root (receiver).
    Verified {
        /// Number of the file in its session.
        stream: u32,
        /// Its name.
        path: String,
    },
    /// A step of landing is done (receiver).
    Landing {
        /// Number of the file in its session.
        stream: u32,
        /// Its name.
        path: String,
        /// `synced`, `renamed` or `folder-synced`.
        step: &'static str,
    },
    /// The file is stored.
    Stored {
        /// Number of the file in its session.
        stream: u32,
        /// Its name.
        path: String,
        /// The name that it has at the receiver.
        name: String,
        /// Bytes.
        size: u64,
        /// `cached` or `durable`.
        level: &'static str,
        /// BLAKE3, 64 digits; absent when size and time were trusted.
        #[serde(skip_serializing_if = "Option::is_none")]
        blake3: Option<String>,
    },
    /// The file was refused or failed.
    Failed {
        /// Number of the file in its session; 0 for something that was asked for and not found.
        stream: u32,
        /// Its name.
        path: String,
        /// Why.
        #[serde(flatten)]
        problem: Problem,
    },
    /// One line of a listing, or what a dry run would move.
    Entry {
        /// Its name.
        path: String,
        /// `file`, `folder` or `link`.
        kind: &'static str,
        /// Bytes, if known.
        size: Option<u64>,
        /// Permissions as four octal digits, if known.
        mode: Option<String>,
        /// RFC 3339, UTC, if known.
        mtime: Option<String>,
        /// Where a link points to.
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
    /// Something that was left out or done otherwise than one might expect.
    Note {
        /// For a person.
        text: String,
    },
    /// A line of a lab's own log, or a fact of a lab session.
    Lab {
        /// The line.
        text: String,
    },
    /// The connection broke; it will be made again.
    Retry {
        /// 1 for the first retry.
        attempt: u32,
        /// Milliseconds until then.
        wait_ms: u64,
        /// What broke.
        reason: String,
    },
    /// A session ended.
    Closed {
        /// What ended it before its time.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// What came of its files.
        #[serde(flatten)]
        counts: Counts,
    },
    /// The command could not go on.
    Error {
        /// What happened.
        text: String,
        /// What to do about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// The last line of every command that moved or asked for something.
    Summary {
        /// `completed`, `failed`, `unknown` or `refused`.
        outcome: &'static str,
        /// The exit code.
        exit: u8,
        /// What came of the files.
        #[serde(flatten)]
        counts: Counts,
        /// Wall time.
        seconds: f64,
    },
}

/// Why a file failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Name of the error code.
    pub code: String,
    /// `never`, `later` or `now`.
    pub retry: &'static str,
    /// Byte of the file at which it was noticed.
    pub offset: u64,
    /// For a person.
    pub text: String,
}

/// What came of the files of a session or a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Stored, or there already.
    pub completed: u64,
    /// Of those, how many are folders.
    pub folders: u64,
    /// Of those, how many files were there already.
    pub same: u64,
    /// Refused, missing, or failed.
    pub failed: u64,
    /// Left out by our own choice: by a filter, a dry run, or because an earlier connection dealt with it.
    pub skipped: u64,
    /// Sent, without an answer.
    pub unknown: u64,
    /// Content bytes that went over the network.
    pub bytes: u64,
    /// Content bytes that need not, because the receiver had them.
    pub kept: u64,
}

impl From<&FileError> for Problem {
    fn from(error: &FileError) -> Self {
        let retry = match error.retry {
            Retry::Never => "never",
            Retry::Later => "later",
            Retry::Now => "now",
        };
        let text = if error.text.is_empty() { error.code.meaning().into() } else { escape(error.text.as_bytes()) };
        Self { code: error.code.name().into(), retry, offset: error.offset, text }
    }
}

impl Fact {
    /// A listing's line for an entry that is shown as `path`.
    pub fn entry(path: String, meta: &Meta) -> Self {
        Self::Entry {
            path,
            kind: kind_name(meta.kind),
            size: meta.size,
            mode: meta.mode.map(|mode| format!("{mode:04o}")),
            mtime: meta.mtime.map(mtime_text),
            target: (meta.kind == Kind::Link).then(|| escape(&meta.target)),
        }
    }

    /// The promise for a file that was offered as `path`.
    pub fn stored(stream: u32, path: String, ack: &Ack2) -> Self {
        Self::Stored {
            stream,
            path,
            name: ack.path.to_string(),
            size: ack.size,
            level: level_name(ack.level),
            blake3: (ack.root.0 != [0; 32]).then(|| ack.root.to_hex()),
        }
    }
}

/// `file`, `folder` or `link`.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Link => "link",
    }
}

/// `cached` or `durable`.
pub(super) fn level_name(level: Level) -> &'static str {
    match level {
        Level::Cached => "cached",
        Level::Durable => "durable",
    }
}

/// `synced`, `renamed` or `folder-synced`.
pub(super) fn step_name(step: Step) -> &'static str {
    match step {
        Step::Synced => "synced",
        Step::Renamed => "renamed",
        Step::DirSynced => "folder-synced",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ft_core::error::Code;
    use ft_core::hash::Root;
    use ft_core::path::RelPath;

    /// One of each, with every optional field there.
    fn one_of_each() -> Vec<Fact> {
        let text = || "text".to_owned();
        let (stream, path) = (1, text());
        let problem = Problem::from(&FileError::new(Code::Exists, Retry::Never, ""));
        let (size, counts) = (Some(1), Counts::default());
        let ack = Ack2 { size: 1, level: Level::Durable, root: Root([1; 32]), path: RelPath::root() };
        let mode = Some(text());
        vec![
            Fact::Listening { address: text(), dialect: text() },
            Fact::Code { code: text() },
            Fact::Connected { peer: text() },
            Fact::Offered { stream, path: path.clone(), kind: "file", size },
            Fact::Started { stream, path: path.clone(), offset: 0, size },
            Fact::Same { stream, path: path.clone() },
            Fact::Progress { bytes: 1, total: 2 },
            Fact::Verified { stream, path: path.clone() },
            Fact::Landing { stream, path: path.clone(), step: "synced" },
            Fact::stored(stream, path.clone(), &ack),
            Fact::Failed { stream, path: path.clone(), problem },
            Fact::Entry { path, kind: "link", size, mode: mode.clone(), mtime: mode, target: Some(text()) },
            Fact::Note { text: text() },
            Fact::Lab { text: text() },
            Fact::Retry { attempt: 1, wait_ms: 1, reason: text() },
            Fact::Closed { error: Some(text()), counts },
            Fact::Error { text: text(), hint: Some(text()) },
            Fact::Summary { outcome: "completed", exit: 0, counts, seconds: 0.1 },
        ]
    }

    #[test]
    fn every_event_and_every_field_is_in_the_document() {
        let document = include_str!("../../../docs/CLI.md");
        let counts = serde_json::to_value(Counts::default()).unwrap();
        let counts: Vec<&String> = counts.as_object().unwrap().keys().collect();
        let mut rows = 0;
        for fact in one_of_each() {
            let value = serde_json::to_value(&fact).unwrap();
            let event = value["event"].as_str().unwrap();
            let row = document.lines().find(|line| line.starts_with(&format!("| `{event}` |")));
            let row = row.unwrap_or_else(|| panic!("{event} has a row"));
            rows += 1;
            for field in value.as_object().unwrap().keys().filter(|field| *field != "event") {
                let documented = row.contains(&format!("`{field}`"));
                assert!(documented || counts.contains(&field), "{event}: {field} is documented");
            }
        }
        for count in counts {
            assert!(document.contains(&format!("`{count}`")), "{count} is documented");
        }
        let all = document.lines().skip_while(|line| !line.starts_with("| event |")).skip(2);
        assert_eq!(all.take_while(|line| line.starts_with('|')).count(), rows, "no row is about nothing");
    }
}
