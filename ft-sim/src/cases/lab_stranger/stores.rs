//! Strangers who bring data to our server of lab B: where it has no length, what ends it, and what is promised then.

use ft_core::dialect::addfile::DataEnd;

use super::script::{LONG, PAUSE, Script};

const ACK1: &str = "file recv\n";
const BOTH: &str = "file recv\nfile data recv\n";

/// Long enough for data to end, and too short for the peer to have left.
const DATA_ENDS: u64 = 1_500;

const RESET: &str = "failed: the connection failed while receiving: connection reset";

const SILENT: &str = "failed: the connection failed while receiving: no byte moved before the deadline";

/// Every one of them; the first does nothing wrong.
pub(super) fn all() -> Vec<Script> {
    [addfile(), late(), resets(), uploads()].into_iter().flatten().collect()
}

/// One that has heard ACK1.
fn ready(name: &'static str, says: impl Into<String>) -> Script {
    Script::new(name, says).say("addfile\nf\n").hear(ACK1.len()).hears(ACK1)
}

/// One whose data is stored.
fn stored(name: &'static str, content: &str, ended_by: &str) -> Script {
    ready(name, format!("addfile: stored server_f, {} bytes by {ended_by}, confirmed", content.len()))
        .hears(BOTH)
        .leaves("server_f", content)
}

fn addfile() -> Vec<Script> {
    let full = "x".repeat(40);
    vec![
        stored("sends 5 bytes", "hello", "Eof").say("hello"),
        stored("sends nothing", "", "Eof"),
        stored("awaits ACK2", "hello", "Quiet").say("hello").hear_all(),
        stored("awaits ACK2, and stays", "hello", "Quiet").say("hello").hear_all().rest(LONG),
        stored("awaits ACK2, and leaves", "hello", "Quiet").say("hello").hear(BOTH.len()),
        stored("is slow to begin", "hello", "Eof").rest(LONG).say("hello"),
        stored("pauses shortly in its data", "hello", "Eof").say("he").rest(700).say("llo"),
        stored("pauses before it half-closes", "hello", "Eof").say("hello").rest(700),
        stored("fills the disk", &full, "Eof").say(full.as_str()),
        ready("sends more than fits", "failed: our own storage failed while writing the file: no storage space")
            .say(full.clone() + "x"),
        ready("sends what is not kept", "failed: our own storage failed while committing: nothing can be made durable")
            .ours(|asked| asked.disk_fails = true)
            .say("hello"),
        ready("sends nothing, and stays", SILENT).hear_all(),
        stored("waits for a server that believes no silence", "hello", "Eof")
            .ours(|asked| asked.data_end = DataEnd::EofOnly)
            .say("he")
            .rest(LONG)
            .say("llo"),
        ready("stays with a server that believes no silence", SILENT)
            .ours(|asked| asked.data_end = DataEnd::EofOnly)
            .say("hello")
            .hear_all(),
    ]
}

/// Data that comes behind a quiet moment: the file is stored again with it.
fn late() -> Vec<Script> {
    // One guess, and then so many pieces that prove it wrong.
    let pieces = |name, says: &str, pieces: usize, stored: usize| {
        let script = ready(name, says).hears(BOTH).leaves("server_f", "x".repeat(stored)).say("x");
        let script = (0..pieces).fold(script, |script, _| script.rest(DATA_ENDS).say("x"));
        script.meanwhile(&["x", "xx", "xxx", "xxxx", "xxxxx", "xxxxxx", "xxxxxxx", "xxxxxxxx"])
    };
    vec![
        stored("sends late data", "hello", "LateData").say("he").rest(DATA_ENDS).say("llo").meanwhile(&["he"]),
        stored("sends late data, and stays", "hello", "LateData")
            .say("he")
            .rest(DATA_ENDS)
            .say("llo")
            .hear_all()
            .meanwhile(&["he"]),
        stored("sends late data twice", "hello", "LateData")
            .say("h")
            .rest(DATA_ENDS)
            .say("e")
            .rest(DATA_ENDS)
            .say("llo")
            .meanwhile(&["h", "he"]),
        stored("sends data too late", "hello", "Quiet").say("hello").rest(3_500).say("!"),
        stored("half-closes late", "hello", "Quiet").say("hello").rest(DATA_ENDS),
        pieces("sends late data seven times", "addfile: stored server_f, 8 bytes by LateData, confirmed", 7, 8)
            .hear_all(),
        // From the eighth on only the half-close is believed.
        pieces("sends late data eight times", "addfile: stored server_f, 9 bytes by LateData, confirmed", 8, 9),
        pieces("sends late data eight times, and stays", SILENT, 8, 8).hear_all(),
        pieces("sends late data nine times", "addfile: stored server_f, 10 bytes by LateData, confirmed", 9, 10),
        ready(
            "sends more late data than fits",
            "failed: our own storage failed while writing the file: no storage space",
        )
        .hears(BOTH)
        .leaves("server_f", "he")
        .say("he")
        .rest(DATA_ENDS)
        .say("x".repeat(39)),
    ]
}

/// A reset is a failure, wherever it comes: only a half-close ends data.
fn resets() -> Vec<Script> {
    vec![
        Script::new("resets in its data", RESET).say("addfile\nf\n").rest(PAUSE).say("hel").rest(PAUSE).leave(),
        Script::new("resets instead of its data", RESET).say("addfile\nf\n").rest(PAUSE).leave(),
        Script::new("half-closes, and resets", "addfile: stored server_f, 5 bytes by Eof, confirmed")
            .say("addfile\nf\n")
            .rest(PAUSE)
            .say("hello")
            .half_close()
            .rest(PAUSE)
            .leave()
            .leaves("server_f", "hello"),
        // It ended its data in order, and cannot take it back.
        Script::new("leaves before it is answered", "addfile: stored server_f, 5 bytes by Eof, not confirmed")
            .say("addfile\nf\nhello")
            .leave()
            .races()
            .leaves("server_f", "hello"),
        Script::new("resets in late data", RESET)
            .say("addfile\nf\n")
            .rest(PAUSE)
            .say("he")
            .rest(DATA_ENDS)
            .say("l")
            .rest(PAUSE)
            .leave()
            .leaves("server_f", "he"),
        Script::new("resets behind ACK2", "addfile: stored server_f, 5 bytes by Quiet, confirmed")
            .say("addfile\nf\n")
            .rest(PAUSE)
            .say("hello")
            .rest(DATA_ENDS)
            .leave()
            .leaves("server_f", "hello"),
    ]
}

/// UPLOAD's data ends with the half-close only.
fn uploads() -> Vec<Script> {
    let ready = |name, says: &str| Script::new(name, says).say("UPLOAD\nf\n").hear(3).hears("OK\n");
    let stored = |name| ready(name, "UPLOAD: stored f, 5 bytes by Eof, not confirmed").leaves("f", "hello");
    vec![
        stored("uploads 5 bytes").say("hello"),
        stored("uploads with pauses").rest(LONG).say("he").rest(LONG).say("llo").rest(LONG),
        Script::new("uploads all at once", "UPLOAD: stored f, 5 bytes by Eof, not confirmed")
            .say("UPLOAD\r\nf\r\nhello")
            .hears("OK\n")
            .leaves("f", "hello"),
        Script::new("uploads, with texts that end with nothing", "UPLOAD: stored f, 5 bytes by Eof, not confirmed")
            .say("UPLOADf")
            .hear(2)
            .say("hello")
            .hears("OK")
            .leaves("f", "hello"),
        ready("uploads nothing", "UPLOAD: stored f, 0 bytes by Eof, not confirmed").leaves("f", ""),
        ready("uploads, and stays", SILENT).say("hello").hear_all(),
        ready(
            "uploads what is not kept",
            "failed: our own storage failed while committing: nothing can be made durable",
        )
        .ours(|asked| asked.disk_fails = true)
        .say("hello"),
        ready("uploads more than fits", "failed: our own storage failed while writing the file: no storage space")
            .say("x".repeat(41)),
        Script::new("resets in what it uploads", RESET).say("UPLOAD\nf\n").rest(PAUSE).say("hel").rest(PAUSE).leave(),
    ]
}
