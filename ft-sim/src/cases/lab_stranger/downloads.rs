//! Strangers from whom our client of lab B fetches `f`: where the status ends, and what is kept of what follows it.

use ft_core::dialect::TextEnd;

use super::script::{LONG, PAUSE, Script};

const ASKS: &str = "DOWNLOAD\nf\n";

const SILENT: &str = "failed: the connection failed while receiving: no byte moved before the deadline";

/// Every one of them; the first does nothing wrong.
pub(super) fn all() -> Vec<Script> {
    [good(), bad()].into_iter().flatten().collect()
}

fn asked(name: &'static str, says: impl Into<String>) -> Script {
    Script::new(name, says).hear(ASKS.len()).hears(ASKS)
}

/// One whose data is stored.
fn stored(name: &'static str, answer: &str, content: &str) -> Script {
    asked(name, format!("stored f, {} bytes", content.len())).say(answer).leaves("f", content)
}

/// The same where texts end with nothing.
fn bare(name: &'static str, answer: &str, content: &str) -> Script {
    let asks = "DOWNLOADf";
    Script::new(name, format!("stored f, {} bytes", content.len()))
        .ours(|asked| asked.end = TextEnd::Bare)
        .hear(asks.len())
        .say(answer)
        .hears(asks)
        .leaves("f", content)
}

fn good() -> Vec<Script> {
    let full = "x".repeat(40);
    vec![
        stored("has it", "OK\nhello", "hello"),
        stored("has it, behind CR LF", "OK\r\nhello", "hello"),
        stored("has it, behind a bare status", "OKhello", "hello"),
        stored("has it, behind an empty line", "\nOK\nhello", "hello"),
        stored("has it, and it begins with a line feed", "OK\n\nhello", "\nhello"),
        stored("has it, and it begins with CR LF", "OK\n\r\nhello", "\r\nhello"),
        stored("has it, behind CR", "OK\rhello", "\rhello"),
        stored("has it, behind CR CR", "OK\r\rhello", "\r\rhello"),
        stored("has an empty file", "OK\n", ""),
        stored("has an empty file, behind a bare status", "OK", ""),
        stored("has a file of CR", "OK\r", "\r"),
        stored("has it in pieces", "O", "hello")
            .rest(LONG)
            .say("K")
            .rest(LONG)
            .say("\r")
            .rest(LONG)
            .say("\nhe")
            .rest(LONG)
            .say("llo"),
        stored("has a file that fills the disk", &format!("OK\n{full}"), &full),
        bare("has it, with texts that end with nothing", "OKhello", "hello"),
        bare("has it, with a line feed in front", "OK\nhello", "\nhello"),
        bare("has an empty file, with texts that end with nothing", "OK", ""),
    ]
}

fn bad() -> Vec<Script> {
    let wrong = |name, answer: &str, quoted: &str| {
        let why = format!("the peer sent \"{quoted}\" as the status at byte 0, expected \"OK\" or \"NOT FOUND\"");
        asked(name, format!("failed: {why}")).say(answer)
    };
    let refuses = "failed: the peer has no \"f\", or refuses it";
    let reset = "failed: the connection failed while receiving: connection reset";
    vec![
        asked("has it not", refuses).say("NOT FOUND\n"),
        asked("has it not, and stays", refuses).say("NOT FOUND").hear_all(),
        asked("has it not, and says more", refuses).say("NOT FOUND\nhello"),
        wrong("has another status", "KO\nhello", "KO\\n"),
        wrong("has another status, and stays", "KO", "KO").hear_all(),
        asked("has half a status", "failed: the peer ended the stream at byte 1, inside the status").say("O"),
        asked("has no status", "failed: the peer ended the stream at byte 0, inside the status"),
        asked("has it, and stays", SILENT).say("OK\nhello").hear_all(),
        asked("has more than fits", "failed: our own storage failed while writing the file: no storage space")
            .say(format!("OK\n{}", "x".repeat(41))),
        asked("has what is not kept", "failed: our own storage failed while committing: nothing can be made durable")
            .ours(|asked| asked.disk_fails = true)
            .say("OK\nhello"),
        Script::new("resets in the data", reset).rest(PAUSE).say("OK\nhel").rest(PAUSE).leave(),
        Script::new("resets behind the data", reset).rest(PAUSE).say("OK\nhello").rest(PAUSE).leave(),
        Script::new("resets instead of a status", reset).rest(PAUSE).leave(),
    ]
}
