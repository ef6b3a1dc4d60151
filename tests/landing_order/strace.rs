//! Reads what strace wrote: calls with their spans, and the frames in what went through the socket.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ft_core::codec::{Decoder, Item};
use ft_core::frame::Frame;

/// Calls that move bytes, names, or what is durable.
pub(super) const CALLS: &str = "trace=write,writev,sendto,sendmsg,recvfrom,recvmsg,read,readv,splice,pwrite64,pwritev,fallocate,\
                     fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,mkdir,mkdirat";

/// More than any single read or write has.
pub(super) const STRING_MAX: &str = "2000000";

/// From the entry of a call to its return, in lines of the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Span {
    #[track_caller]
    pub(super) fn before(self, later: Self, what: &str) {
        assert!(self.to < later.from, "{what}: lines {self:?} and {later:?} of the record");
    }
}

/// One call of the record that succeeded.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) span: Span,
    pub(super) name: String,
    /// Paths of descriptors and quoted strings, in the order of the arguments, decoded.
    pub(super) texts: Vec<Vec<u8>>,
    pub(super) result: u64,
}

impl Call {
    /// The path that a path argument means: beneath the folder whose descriptor stands before it.
    pub(super) fn path(&self, folder: usize) -> PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        let at = |n: usize| Path::new(std::ffi::OsStr::from_bytes(&self.texts[n]));
        at(folder).join(at(folder + 1))
    }

    pub(super) fn descriptor(&self) -> &Path {
        self.nth_descriptor(0)
    }

    /// Where bytes went that no memory of the program held.
    pub(super) fn spliced_into(&self) -> &Path {
        self.nth_descriptor(1)
    }

    fn nth_descriptor(&self, n: usize) -> &Path {
        use std::os::unix::ffi::OsStrExt as _;
        Path::new(std::ffi::OsStr::from_bytes(&self.texts[n]))
    }
}

/// All that `<...>` and `"..."` enclose; with `-xx` every byte in them is `\xNN` but in names that strace makes itself.
fn texts(args: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut rest = args;
    while let Some(at) = rest.find(['<', '"']) {
        let end = if rest.as_bytes()[at] == b'<' { '>' } else { '"' };
        // `<TCP:[1->2]>` has a bracket of its own inside.
        let inner = &rest[at + 1..];
        let len = if inner.starts_with("TCP") { inner.find("]>").map(|n| n + 1) } else { inner.find(end) };
        let Some(len) = len else { break };
        all.push(unescape(&inner[..len]));
        assert!(!inner[len + 1..].starts_with("..."), "strace cut a string short: {}", &args[..args.len().min(100)]);
        rest = &inner[len + 1..];
    }
    all
}

fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len() / 4);
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes[at..].strip_prefix(b"\\x").and_then(|rest| rest.get(..2));
        match hex {
            Some(hex) => {
                let hex = std::str::from_utf8(hex).expect("two digits");
                out.push(u8::from_str_radix(hex, 16).expect("two digits"));
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// Reads a record, joins calls that strace had to interrupt, and leaves out those that failed.
pub(super) fn parse(record: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut begun: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for (number, line) in record.lines().enumerate() {
        // Short thread numbers are filled up with spaces.
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((_time, rest)) = rest.trim_start().split_once(' ') else { continue };
        if rest.starts_with("---") || rest.starts_with("+++") {
            continue;
        }
        if let Some(first) = rest.strip_suffix("<unfinished ...>") {
            begun.insert(thread, (number, first));
            continue;
        }
        let (from, text) = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let (_, second) = resumed.split_once(" resumed>").expect("a resumed call");
                let (from, first) = begun.remove(thread).expect("it was begun");
                (from, format!("{first}{second}"))
            }
            None => (number, rest.to_owned()),
        };
        let Some((call, result)) = text.rsplit_once(" = ") else { continue };
        let digits: String = result.chars().take_while(char::is_ascii_digit).collect();
        // A negative result has none: the call failed.
        let Ok(result) = digits.parse() else { continue };
        let Some((name, args)) = call.split_once('(') else { continue };
        // What is only looked at comes once more. (Strings are all digits here.)
        if args.contains("MSG_PEEK") {
            continue;
        }
        calls.push(Call { span: Span { from, to: number }, name: name.to_owned(), texts: texts(args), result });
    }
    calls
}

/// One direction of the socket, decoded: each frame with the call that brought its last byte (or, of DATA, its header).
pub(super) fn frames(calls: &[Call], names: &[&str]) -> Vec<(Span, Frame)> {
    let mut decoder = Decoder::new();
    let mut found = Vec::new();
    for call in calls.iter().filter(|call| names.contains(&call.name.as_str())) {
        if !call.texts[0].starts_with(b"TCP") {
            continue;
        }
        if call.name == "splice" {
            // Content that the program never saw: of a DATA frame, or the decoder would not have it.
            decoder.content_taken(u32::try_from(call.result).expect("a count"));
            continue;
        }
        let bytes = call.texts[1..].concat();
        // A short write took only so many of the bytes that it was given.
        let count = usize::try_from(call.result).expect("a count");
        let mut input = &bytes[..count];
        while !input.is_empty() {
            match decoder.next(&mut input).expect("ft/1") {
                Some(Item::Frame(frame) | Item::Zdata(frame, _)) => found.push((call.span, frame)),
                Some(Item::Preamble(_) | Item::Content(_)) | None => {}
                Some(Item::BadOffer(..)) => panic!("every name was legal"),
            }
        }
    }
    found
}
