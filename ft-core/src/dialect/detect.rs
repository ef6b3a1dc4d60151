//! Which dialect a peer speaks, told by its first bytes; and the name of what is none.
//!
//! ft/1 begins with a byte that no text has. Lab A is known by the first `|` that a digit follows, lab B by its command words.
//! Since lab A's metadata may name a file `addfile|10`, a bare command word is only settled by a quiet moment
//! ([`detect_after_quiet`]); a word ended by a line feed is settled at once.
//!
//! A decision never changes when more bytes come: whoever asks after each read gets the answer that the whole would get.
//! What remains ambiguous is the protocols' fault: lab B's bare `addfile`, `x|1` in one read is, byte for byte, lab A's
//! metadata of a file `addfilex` (`split-header`).

use std::fmt;

use super::addfile::Command;
use super::limits::TEXT_MAX;

/// The first eight bytes of ft/1 (PROTOCOL, preamble).
pub const FT1_MAGIC: &[u8; 8] = b"\x89FT/\r\n\x1a\n";

/// What the first bytes of a client say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Detected {
    /// ft/1.
    Ft1,
    /// Lab A.
    Pipe,
    /// Lab B.
    Addfile,
    /// More than one is still possible. At EOF, that is the end of it.
    NeedMore,
    /// None of ours.
    Foreign(Foreign),
}

/// A protocol that is not the one expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Foreign {
    /// An HTTP request.
    HttpRequest,
    /// An HTTP response.
    HttpResponse,
    /// A TLS handshake or alert.
    Tls,
    /// An SSH banner.
    Ssh,
    /// The greeting of an SMTP or FTP server.
    Greeting220,
    /// The preamble of ft/1, where a lab dialect was expected.
    Ft1,
    /// The preamble of ft/1 after something on the way changed line endings or the eighth bit.
    MangledFt1,
    /// Lab A's ACK, where another answer was expected.
    PipeAck,
    /// Lab B's ACK1, where another answer was expected.
    AddfileAck,
    /// Nothing that has a name here.
    Unknown,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HttpRequest => "HTTP (a request)",
            Self::HttpResponse => "HTTP (a response)",
            Self::Tls => "TLS",
            Self::Ssh => "SSH",
            Self::Greeting220 => "SMTP or FTP (a 220 greeting)",
            Self::Ft1 => "ft/1",
            Self::MangledFt1 => "ft/1, changed on the way by a line-ending or 7-bit conversion",
            Self::PipeAck => "lab A (pipe)",
            Self::AddfileAck => "lab B (addfile)",
            Self::Unknown => "an unknown protocol",
        })
    }
}

/// Tells the dialects apart by the bytes that have come so far.
#[must_use]
pub fn detect(prefix: &[u8]) -> Detected {
    if prefix.starts_with(FT1_MAGIC) {
        return Detected::Ft1;
    }
    if FT1_MAGIC.starts_with(prefix) {
        return Detected::NeedMore;
    }
    if let Some(foreign) = foreign_text(prefix) {
        return Detected::Foreign(foreign);
    }
    if command_word(prefix).is_some_and(|rest| rest.starts_with(b"\n") || rest.starts_with(b"\r\n")) {
        return Detected::Addfile;
    }
    if before_metadata_size(prefix).len() < prefix.len() {
        return Detected::Pipe;
    }
    if prefix.len() >= TEXT_MAX {
        return Detected::Foreign(Foreign::Unknown);
    }
    Detected::NeedMore
}

/// As [`detect`], when nothing has come for a quiet moment: settles a bare command word.
///
/// [`Detected::NeedMore`] means that the beginning is still only a beginning; keep reading, up to a deadline.
#[must_use]
pub fn detect_after_quiet(prefix: &[u8]) -> Detected {
    match detect(prefix) {
        Detected::NeedMore if command_word(prefix).is_some() => Detected::Addfile,
        Detected::NeedMore => match foreign_after_quiet(prefix) {
            Some(foreign) => Detected::Foreign(foreign),
            None => Detected::NeedMore,
        },
        decided @ (Detected::Ft1 | Detected::Pipe | Detected::Addfile | Detected::Foreign(_)) => decided,
    }
}

/// Names what answered a client, when it is not what the client hoped for. `None` while nothing can be said.
///
/// The confirmations of both labs are named too; a client of a lab dialect asks its own decoder first.
#[must_use]
pub fn foreign_response(prefix: &[u8]) -> Option<Foreign> {
    if prefix == b"ACK" || prefix.starts_with(b"ACK\n") {
        return Some(Foreign::PipeAck);
    }
    if prefix.starts_with(b"file recv") {
        return Some(Foreign::AddfileAck);
    }
    foreign_answer(prefix)
}

/// As [`foreign_response`], without the labs' own confirmations.
pub(super) fn foreign_answer(prefix: &[u8]) -> Option<Foreign> {
    if prefix.starts_with(b"\x15\x03") {
        return Some(Foreign::Tls);
    }
    foreign_text(prefix)
}

/// Names what a text of a lab dialect cannot be, as soon as it is certain.
pub(super) fn foreign_text(prefix: &[u8]) -> Option<Foreign> {
    // All that follows begins with one of these. Most names do not, and this is asked at every byte of them.
    if !matches!(prefix.first(), Some(0x16 | 0x89 | b'\t' | b'2' | b'A'..=b'Z')) {
        return None;
    }
    let head = before_metadata_size(prefix);
    if head.starts_with(b"\x16\x03") && head.get(2).is_some_and(|minor| *minor <= 4) {
        return Some(Foreign::Tls);
    }
    if prefix.starts_with(FT1_MAGIC) {
        return Some(Foreign::Ft1);
    }
    // A cleared eighth bit turns 0x89 into a tab; a changed line ending shows behind the first four bytes. They have a `/`,
    // so no size behind them makes a name of them.
    let changed = prefix.starts_with(&FT1_MAGIC[..4]) && !FT1_MAGIC.starts_with(prefix);
    if changed || prefix.starts_with(b"\tFT/") {
        return Some(Foreign::MangledFt1);
    }
    // No name has a `/`, so these are certain before their line ends.
    if head.starts_with(b"HTTP/") {
        return Some(Foreign::HttpResponse);
    }
    if let Some(target) = http_target(head)
        && (target.starts_with(b"/") || contains(target, b" HTTP/") || contains(target, b"://"))
    {
        return Some(Foreign::HttpRequest);
    }
    // These could begin a file name, until their line ends without a size.
    if head.contains(&b'\n') { greeting(head) } else { None }
}

/// As [`foreign_text`], when the line will not go on.
pub(super) fn foreign_after_quiet(prefix: &[u8]) -> Option<Foreign> {
    foreign_text(prefix).or_else(|| greeting(before_metadata_size(prefix)))
}

/// Whether the line of a text that nobody awaits has ended, so that it can be named. The preamble of ft/1 has a line feed
/// before its end.
pub(super) fn line_ended(text: &[u8]) -> bool {
    text.ends_with(b"\n") && !FT1_MAGIC.starts_with(text)
}

fn greeting(line: &[u8]) -> Option<Foreign> {
    if line.starts_with(b"SSH-") {
        Some(Foreign::Ssh)
    } else if line.starts_with(b"220 ") || line.starts_with(b"220-") {
        Some(Foreign::Greeting220)
    } else {
        None
    }
}

fn http_target(line: &[u8]) -> Option<&[u8]> {
    const METHODS: [&[u8]; 10] =
        [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"TRACE ", b"PATCH ", b"PRI "];
    METHODS.iter().find_map(|method| line.strip_prefix(*method))
}

fn command_word(prefix: &[u8]) -> Option<&[u8]> {
    Command::ALL.iter().find_map(|command| prefix.strip_prefix(command.word().as_bytes()))
}

/// The part before the first `|` that a digit follows; all of it when there is none.
fn before_metadata_size(prefix: &[u8]) -> &[u8] {
    match prefix.windows(2).position(|pair| pair[0] == b'|' && pair[1].is_ascii_digit()) {
        Some(at) => &prefix[..at],
        None => prefix,
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [(&[u8], Detected); 22] = [
        (b"\x89FT/\r\n\x1a\n\x01\x01", Detected::Ft1),
        (b"\x89FT/\n\x1a\n", Detected::Foreign(Foreign::MangledFt1)),
        (b"\x09FT/\r\n", Detected::Foreign(Foreign::MangledFt1)),
        (b"data.txt|1024", Detected::Pipe),
        (b"addfile|10", Detected::Pipe),
        (b"addfile2|10", Detected::Pipe),
        (b"UPLOAD|0", Detected::Pipe),
        (b"220 files|9", Detected::Pipe),
        (b"SSH-notes|9\n", Detected::Pipe),
        (b"GET rich|7 HTTP/", Detected::Pipe),
        (b"dir/x|1", Detected::Pipe),
        (b"addfile\n1412412\nabc|1", Detected::Addfile),
        (b"UPLOAD\r\nx\r\n", Detected::Addfile),
        (b"DOWNLOAD\nx\n", Detected::Addfile),
        (b"GET / HTTP/1.1\r\n", Detected::Foreign(Foreign::HttpRequest)),
        (b"OPTIONS * HTTP/1.1\r\n", Detected::Foreign(Foreign::HttpRequest)),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Detected::Foreign(Foreign::HttpRequest)),
        (b"HTTP/1.1 400 Bad Request\r\n", Detected::Foreign(Foreign::HttpResponse)),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", Detected::Foreign(Foreign::Tls)),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Detected::Foreign(Foreign::Ssh)),
        (b"220 mail.example.org ESMTP\r\n", Detected::Foreign(Foreign::Greeting220)),
        (&[b'x'; TEXT_MAX], Detected::Foreign(Foreign::Unknown)),
    ];

    #[test]
    fn first_bytes_name_their_dialect() {
        for (bytes, expected) in ROWS {
            assert_eq!(detect(bytes), expected, "{}", super::super::Escaped(bytes));
        }
    }

    #[test]
    fn decision_once_made_never_changes_with_more_bytes() {
        for (bytes, expected) in ROWS {
            let undecided = (0..=bytes.len()).take_while(|&n| detect(&bytes[..n]) == Detected::NeedMore).count();
            assert!(undecided > 0, "nothing is decided by no bytes");
            for n in undecided..=bytes.len() {
                assert_eq!(detect(&bytes[..n]), expected, "{} of {}", n, super::super::Escaped(bytes));
            }
        }
    }

    #[test]
    fn prefix_that_could_still_be_several_needs_more() {
        for bytes in [
            &b""[..],
            b"\x89",
            b"\x89FT/\r\n\x1a",
            b"a",
            b"a|",
            b"addfile",
            b"addfile|",
            b"addfile1412412",
            b"SSH-2.0-x",
            b"220 x",
        ] {
            assert_eq!(detect(bytes), Detected::NeedMore, "{}", super::super::Escaped(bytes));
        }
    }

    #[test]
    fn quiet_moment_settles_a_bare_command_word_and_a_banner() {
        let rows: [(&[u8], Detected); 7] = [
            (b"addfile", Detected::Addfile),
            (b"DOWNLOADx", Detected::Addfile),
            (b"SSH-2.0-x", Detected::Foreign(Foreign::Ssh)),
            (b"220 x", Detected::Foreign(Foreign::Greeting220)),
            (b"UPL", Detected::NeedMore),
            (b"name|", Detected::NeedMore),
            (b"", Detected::NeedMore),
        ];
        for (bytes, expected) in rows {
            assert_eq!(detect_after_quiet(bytes), expected, "{}", super::super::Escaped(bytes));
        }
    }

    #[test]
    fn answer_of_a_foreign_server_is_named_to_the_client() {
        let rows: [(&[u8], Option<Foreign>); 9] = [
            (b"HTTP/1.1 400 Bad Request\r\n", Some(Foreign::HttpResponse)),
            (b"SSH-2.0-OpenSSH_9.6\r\n", Some(Foreign::Ssh)),
            (b"220 ftp ready\r\n", Some(Foreign::Greeting220)),
            (b"\x15\x03\x01\x00\x02\x02\x0a", Some(Foreign::Tls)),
            (FT1_MAGIC, Some(Foreign::Ft1)),
            (b"ACK", Some(Foreign::PipeAck)),
            (b"file recv\n", Some(Foreign::AddfileAck)),
            (b"", None),
            (b"OK\n", None),
        ];
        for (bytes, expected) in rows {
            assert_eq!(foreign_response(bytes), expected, "{}", super::super::Escaped(bytes));
        }
    }
}
