//! Strangers to whom our clients of lab B bring `f`: whose confirmations and statuses are believed, and when.

use ft_core::dialect::TextEnd;
use ft_core::dialect::addfile::Command;

use super::script::{Asked, LONG, PAUSE, Script, TEXT_ENDS};

const ASKS: &str = "addfile\nf\n";
const SENDS: &str = "addfile\nf\nhello";
const ACK1: &str = "file recv\n";
const ACK2: &str = "file data recv\n";

const DONE: &str = "completed: 5 bytes sent, Fin";
const SENT: &str = "unknown: 5 bytes sent, Fin";

/// Every one of them; the first does nothing wrong.
pub(super) fn all() -> Vec<Script> {
    [confirmed(), wrong(), cut(), ends(), upload(), statuses()].into_iter().flatten().collect()
}

/// One that has heard `addfile` and the name.
fn asked(name: &'static str, says: impl Into<String>) -> Script {
    Script::new(name, says).hear(ASKS.len()).hears(ASKS)
}

/// One that confirms the name like this and, when it has the data, that.
fn taker(name: &'static str, says: impl Into<String>, first: &str, second: &str) -> Script {
    asked(name, says).say(first).hear_all().say(second).hears(SENDS)
}

fn confirmed() -> Vec<Script> {
    vec![
        taker("confirms both", DONE, ACK1, ACK2),
        taker("confirms both without line feeds", DONE, "file recv", "file data recv"),
        taker("confirms both with CR LF", DONE, "file recv\r\n", "file data recv\r\n"),
        taker("confirms in the words of the lab's text", DONE, "File name recv\n", ACK2),
        taker("confirms both before it has anything", DONE, "file recv\nfile data recv\n", ""),
        taker("confirms with empty lines between", DONE, "\nfile recv\n\n\r\n", "\nfile data recv\n"),
        taker("says more behind its confirmation", DONE, ACK1, "file data recv\nfile data recv\nand more"),
        asked("confirms in pieces", DONE)
            .say("file")
            .rest(LONG)
            .say(" recv\nfile da")
            .hear_all()
            .rest(LONG)
            .say("ta recv")
            .hears(SENDS),
        Script::new("confirms a text that ends with nothing", DONE)
            .ours(|asked| asked.end = TextEnd::Bare)
            .hear("addfilef".len())
            .say(ACK1)
            .hear_all()
            .say(ACK2)
            .hears("addfilefhello"),
        taker("confirms a file in pieces", "completed: 8 bytes sent, Fin", ACK1, ACK2)
            .ours(|asked| asked.source = vec![b"he", b"llo", b"you"])
            .hears("addfile\nf\nhelloyou"),
        taker("confirms an empty file", "completed: 0 bytes sent, Fin", ACK1, ACK2)
            .ours(|asked| asked.source = Vec::new())
            .hears(ASKS),
        Script::new(
            "is not asked with a line feed in the name",
            "failed: the name \"a\\nb\" cannot be said in this dialect (delimiter-in-name)",
        )
        .ours(|asked| asked.name = "a\nb"),
    ]
}

/// Anything else, where a confirmation belongs.
fn wrong() -> Vec<Script> {
    let first = |name, answer: &str, quoted: &str, at: usize| {
        let why = format!("failed: the peer sent \"{quoted}\" as ACK1 at byte {at}, expected \"file recv\"");
        asked(name, why).say(answer)
    };
    let second = |name, answer: &str, quoted: &str, at: usize| {
        let why = format!("the peer sent \"{quoted}\" as ACK2 at byte {at}, expected \"file data recv\"");
        taker(name, format!("unknown: all was sent, but not confirmed: {why}"), ACK1, answer)
    };
    let foreign = |name, answer: &[u8], what: &str| {
        asked(name, format!("failed: the peer speaks {what}, not a lab dialect")).say(answer)
    };
    let page = "x".repeat(100);
    vec![
        first("confirms the data first", ACK2, "file data recv\\n", 0),
        first("says something else", "sorry\nno room", "sorry\\n", 0),
        first("says something else, and stays", "sorry", "sorry", 0).hear_all(),
        first("says something else, in two pieces", "so", "sorry\\n", 0).rest(PAUSE).say("rry\n").hear_all(),
        first("says something else, too slowly", "so", "so", 0).rest(TEXT_ENDS).say("rry\n").hear_all(),
        first("says something else behind empty lines", "\r\n\nsorry\n", "sorry\\n", 3),
        first("says something else, and leaves", "sorry", "sorry", 0),
        first("says a page", &page, &page[..64], 0),
        first("answers as if to UPLOAD", "NOT FOUND\n", "NOT FOUND\\n", 0),
        first("speaks lab A", "ACK", "ACK", 0).hear_all(),
        foreign("speaks HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP (a response)"),
        foreign("speaks TLS", b"\x15\x03\x01\x00\x02\x02\x0a", "TLS"),
        foreign("speaks SSH", b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        foreign("greets", b"220 hello\r\n", "SMTP or FTP (a 220 greeting)"),
        second("confirms the name twice", ACK1, "file recv\\n", 10),
        second("confirms something else", "sorry\nno room", "sorry\\n", 10),
        second("confirms something else, and leaves", "sorry", "sorry", 10),
        second("confirms something else, and stays", "sorry", "sorry", 10).hear_all().rest(PAUSE),
    ]
}

fn cut() -> Vec<Script> {
    let silent = "the connection failed while waiting for a confirmation: no byte moved before the deadline";
    let unconfirmed = |why: &str| format!("unknown: all was sent, but not confirmed: {why}");
    let inside = |at: usize, what: &str| format!("the peer ended the stream at byte {at}, inside {what}");
    vec![
        asked("confirms nothing", format!("failed: {}", inside(0, "ACK1"))),
        asked("confirms half", format!("failed: {}", inside(7, "ACK1"))).say("file re"),
        asked("confirms nothing, and stays", format!("failed: {silent}")).hear_all(),
        taker("does not confirm the data", unconfirmed(&inside(10, "ACK2")), ACK1, ""),
        taker("confirms half of the data", unconfirmed(&inside(18, "ACK2")), ACK1, "file dat"),
        asked("does not confirm the data, and stays", unconfirmed(silent))
            .say(ACK1)
            .hear_all()
            .rest(70_000)
            .hears(SENDS),
    ]
}

/// A server that confirms and then resets has not read it all.
fn ends() -> Vec<Script> {
    let reset = "the connection failed while waiting for a confirmation: connection reset";
    vec![
        Script::new("resets instead of confirming", format!("failed: {reset}")).rest(PAUSE).leave(),
        asked("resets on the data", format!("unknown: all was sent, but not confirmed: {reset}"))
            .say(ACK1)
            .rest(PAUSE)
            .leave(),
        asked("confirms, and resets", "unknown: 5 bytes sent, Reset")
            .say(ACK1)
            .rest(PAUSE)
            .say(ACK2)
            .rest(PAUSE)
            .leave(),
        taker("confirms, and stays", "completed: 5 bytes sent, StillOpen", ACK1, ACK2).rest(LONG),
    ]
}

/// To whom our client speaks UPLOAD.
fn uploads(asked: &mut Asked) {
    asked.verb = Command::Upload;
}

fn upload() -> Vec<Script> {
    let taker = |name, says: &str, status: &str| {
        Script::new(name, says).ours(uploads).hear(9).say(status).hear_all().hears("UPLOAD\nf\nhello")
    };
    vec![
        // Nothing confirms an UPLOAD, however the server leaves.
        taker("takes an upload", SENT, "OK\n"),
        taker("takes an upload, with a bare status", SENT, "OK"),
        taker("takes an upload, with CR LF", SENT, "OK\r\n"),
        taker("takes an upload behind an empty line", SENT, "\nOK\n"),
        taker("takes an upload, and says more", SENT, "OK\n").say("thanks"),
        taker("takes an upload, and stays", "unknown: 5 bytes sent, StillOpen", "OK\n").rest(LONG),
        Script::new("takes an upload of texts that end with nothing", SENT)
            .ours(uploads)
            .ours(|asked| asked.end = TextEnd::Bare)
            .hear(7)
            .say("OK")
            .hear_all()
            .hears("UPLOADfhello"),
        Script::new("takes an upload, and resets", "unknown: 5 bytes sent, Reset")
            .ours(uploads)
            .hear(9)
            .say("OK\n")
            .rest(PAUSE)
            .leave()
            .hears("UPLOAD\nf\n"),
    ]
}

fn statuses() -> Vec<Script> {
    let asked = |name, says: String| Script::new(name, says).ours(uploads).hear(9).hears("UPLOAD\nf\n");
    let wrong = |name, answer: &str, quoted: &str, at: usize| {
        let why = format!("the peer sent \"{quoted}\" as the status at byte {at}, expected \"OK\" or \"NOT FOUND\"");
        asked(name, format!("failed: {why}")).say(answer)
    };
    let inside = |at: usize| format!("failed: the peer ended the stream at byte {at}, inside the status");
    let refuses = || "failed: the peer has no \"f\", or refuses it".to_owned();
    let silent = "failed: the connection failed while receiving: no byte moved before the deadline";
    let page = "x".repeat(100);
    vec![
        asked("refuses an upload", refuses()).say("NOT FOUND\n"),
        asked("refuses an upload, with a bare status", refuses()).say("NOT FOUND").hear_all(),
        asked("refuses an upload in pieces", refuses()).say("NO").rest(LONG).say("T FOUND\nand more"),
        wrong("has another status", "KO\nand more", "KO\\n", 0),
        wrong("has another status, and stays", "KO", "KO", 0).hear_all(),
        wrong("has another status, and leaves", "KO", "KO", 0),
        wrong("has another status, in two pieces", "K", "KO\\n", 0).rest(PAUSE).say("O\n").hear_all(),
        wrong("has another status, too slowly", "K", "K", 0).rest(TEXT_ENDS).say("O\n").hear_all(),
        wrong("has another status behind an empty line", "\nKO\n", "KO\\n", 1),
        wrong("has a status that begins well", "NOT HERE\n", "NOT HERE\\n", 0),
        wrong("writes its status small", "ok\n", "ok\\n", 0),
        wrong("has a page for a status", &page, &page[..64], 0),
        wrong("confirms as if asked by addfile", ACK1, "file recv\\n", 0),
        asked("speaks HTTP to an upload", "failed: the peer speaks HTTP (a response), not a lab dialect".to_owned())
            .say("HTTP/1.1 400 Bad Request\r\n\r\n"),
        asked("has no status", inside(0)),
        asked("has half a status", inside(1)).say("O"),
        asked("has half a refusal", inside(3)).say("NOT"),
        asked("has half a status, and stays", silent.to_owned()).say("O").hear_all(),
        asked("has no status, and stays", silent.to_owned()).hear_all(),
        Script::new("resets instead of a status", "failed: the connection failed while receiving: connection reset")
            .ours(uploads)
            .rest(PAUSE)
            .leave(),
    ]
}
