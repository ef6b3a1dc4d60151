//! Strangers who receive from our sender of lab A: what it takes for the ACK, and what it says when there is none.

use ft_core::dialect::TextEnd;

use super::script::{LONG, PAUSE, Script, TEXT_ENDS};

/// What our sender says of itself before the ACK.
const ASKS: &str = "f|5\n";
const SENDS: &str = "f|5\nhello";

const SENT: &str = "unknown: 5 bytes sent, Fin";

const SILENT: &str = "failed: the connection failed while waiting for the ACK: no byte moved before the deadline";

/// Every one of them; the first does nothing wrong.
pub(super) fn all() -> Vec<Script> {
    [good(), wrong(), ends(), ours()].into_iter().flatten().collect()
}

/// One that has heard the metadata.
fn asked(name: &'static str, says: impl Into<String>) -> Script {
    Script::new(name, says).hear(ASKS.len()).hears(ASKS)
}

/// One that takes the file.
fn taker(name: &'static str, ack: &str) -> Script {
    asked(name, SENT).say(ack).hear_all().hears(SENDS)
}

fn malformed(name: &'static str, answer: &str, quoted: &str) -> Script {
    asked(name, format!("failed: the peer sent \"{quoted}\" as ACK at byte 0, expected \"ACK\"")).say(answer)
}

fn foreign(name: &'static str, answer: &[u8], what: &str) -> Script {
    asked(name, format!("failed: the peer speaks {what}, not a lab dialect")).say(answer)
}

fn good() -> Vec<Script> {
    vec![
        taker("takes it", "ACK"),
        taker("ends its ACK with a line feed", "ACK\n"),
        taker("says more behind the ACK", "ACK and more"),
        asked("says half an ACK, and the rest later", SENT).say("A").rest(LONG).say("CK").hear_all().hears(SENDS),
        asked("takes its time", SENT).rest(LONG).say("ACK").hear_all().hears(SENDS),
        Script::new("says ACK at once", SENT).say("ACK").hear_all().hears(SENDS),
        taker("says more when it has everything", "ACK").say("thanks"),
    ]
}

fn wrong() -> Vec<Script> {
    let page = "x".repeat(100);
    vec![
        malformed("says NAK", "NAK", "NAK"),
        malformed("says NAK, and stays", "NAK", "NAK").hear_all(),
        malformed("says NAK, and more in the next line", "NAK\nno such luck", "NAK\\n"),
        malformed("says NAK in two pieces", "N", "NAK\\n").rest(PAUSE).say("AK\n").hear_all(),
        malformed("says NAK too slowly", "N", "N").rest(TEXT_ENDS).say("AK\n").hear_all(),
        malformed("says ack", "ack\n", "ack\\n"),
        malformed("says ACT", "ACT\n", "ACT\\n"),
        malformed("says an empty line first", "\nACK", "\\n"),
        malformed("says a page", &page, &page[..64]),
        malformed("speaks lab B", "file recv\n", "file recv\\n"),
        malformed("answers as lab B's server", "OK", "OK"),
        foreign("speaks HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP (a response)"),
        foreign("speaks SSH", b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        foreign("greets", b"220 hello\r\n", "SMTP or FTP (a 220 greeting)"),
        foreign("speaks TLS", b"\x15\x03\x01\x00\x02\x02\x0a", "TLS"),
        foreign("speaks ft/1", b"\x89FT/\r\n\x1a\n", "ft/1"),
        asked("says half an ACK", "failed: the peer ended the stream at byte 2, inside ACK").say("AC"),
        asked("refuses", "refused: the peer ended the stream at byte 0, inside ACK"),
        Script::new("says half an ACK, and stays", SILENT).say("AC").hear_all().hears(ASKS),
        Script::new("says nothing, and stays", SILENT).hear_all().hears(ASKS),
    ]
}

/// How it leaves: a hint, which never makes more of it than unknown.
fn ends() -> Vec<Script> {
    let reset = "failed: the connection failed while waiting for the ACK: connection reset";
    vec![
        Script::new("resets instead of the ACK", reset).rest(PAUSE).leave(),
        asked("resets on the body", "unknown: 5 bytes sent, Reset").say("ACK").rest(PAUSE).leave(),
        asked("stays", "unknown: 5 bytes sent, StillOpen").say("ACK").hear_all().rest(LONG).hears(SENDS),
    ]
}

/// Where our own side has something to say.
fn ours() -> Vec<Script> {
    let taker = |name, says: &str| Script::new(name, says).say("ACK").hear_all();
    vec![
        taker("takes a text that ends with nothing", SENT).ours(|asked| asked.end = TextEnd::Bare).hears("f|5hello"),
        taker("takes nothing", "unknown: 0 bytes sent, Fin").ours(|asked| asked.size = 0).hears("f|0\n"),
        taker("takes a file that has grown", SENT)
            .ours(|asked| asked.source = vec![b"he", b"llo, and more", b"and more"])
            .hears(SENDS),
        taker("takes a file that has shrunk", "failed: our own file ended after 3 bytes, 5 were announced")
            .ours(|asked| asked.source = vec![b"he", b"l"])
            .hears("f|5\nhel"),
        Script::new(
            "is not asked with a delimiter in the name",
            "failed: the name \"a|b\" cannot be said in this dialect (delimiter-in-name)",
        )
        .ours(|asked| asked.name = "a|b"),
    ]
}
