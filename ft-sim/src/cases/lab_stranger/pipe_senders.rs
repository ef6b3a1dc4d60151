//! Strangers who send to our receiver of lab A: what it takes for metadata, for the body, and for the end of both.

use super::ours::SIZE_MAX;
use super::script::{LONG, PAUSE, Script, TEXT_ENDS};

const STORED: &str = "stored f, 5 bytes";

/// Every one of them; the first does nothing wrong.
pub(super) fn all() -> Vec<Script> {
    [good(), texts(), names(), sizes(), bodies(), ends(), others()].into_iter().flatten().collect()
}

/// One whose metadata is taken, and whose `f` is stored.
fn stored(name: &'static str, metadata: &str, content: &str) -> Script {
    let says = format!("stored f, {} bytes", content.len());
    Script::new(name, says).say(metadata).hear(3).say(content).hears("ACK").leaves("f", content)
}

/// One that says no more than this before it ends, and hears nothing.
fn refused(name: &'static str, text: impl Into<Vec<u8>>, why: impl AsRef<str>) -> Script {
    Script::new(name, format!("failed: {}", why.as_ref())).say(text)
}

/// The same, with the text as it came.
fn malformed(name: &'static str, text: &str, pitfall: &str) -> Script {
    let quoted = text.escape_default();
    refused(name, text, format!("the peer sent \"{quoted}\" as the metadata at byte 0, expected name|size{pitfall}"))
}

fn truncated(name: &'static str, text: &str) -> Script {
    refused(name, text, format!("the peer ended the stream at byte {}, inside the metadata", text.len()))
}

fn foreign(name: &'static str, text: &[u8], what: &str) -> Script {
    refused(name, text, format!("the peer speaks {what}, not a lab dialect"))
}

fn good() -> Vec<Script> {
    vec![
        stored("sends 5 bytes", "f|5\n", "hello"),
        stored("ends its text with nothing", "f|5", "hello"),
        stored("ends its text with CR LF", "f|5\r\n", "hello"),
        Script::new("says all at once", STORED).say("f|5\nhello").hears("ACK").leaves("f", "hello"),
        stored("sends nothing", "f|0\n", ""),
        stored("sends nothing, and ends its text so", "f|0", ""),
        stored("begins its body with a line feed", "f|5\n", "\nhell"),
        Script::new("has the delimiter in its name", "stored a|9|b, 5 bytes")
            .say("a|9|b|5\nhello")
            .hears("ACK")
            .leaves("a|9|b", "hello"),
        Script::new("has a line feed in its name", "stored a\\nb, 5 bytes")
            .say("a\nb|5\nhello")
            .hears("ACK")
            .leaves("a\nb", "hello"),
        Script::new("has a name like a request", "stored GET it, 5 bytes")
            .say("GET it|5\nhello")
            .hears("ACK")
            .leaves("GET it", "hello"),
    ]
}

/// Where a pause ends the metadata, and where it does not.
fn texts() -> Vec<Script> {
    let waits = |name, pieces: [&str; 2], pause| {
        let first = Script::new(name, STORED).say(pieces[0]).rest(pause).say(pieces[1]);
        first.hear(3).say("hello").hears("ACK").leaves("f", "hello")
    };
    vec![
        Script::new("pauses in its name", "stored fg, 5 bytes")
            .say("f")
            .rest(LONG)
            .say("g|5\nhello")
            .hears("ACK")
            .leaves("fg", "hello"),
        waits("pauses before the delimiter", ["f", "|5\n"], LONG),
        waits("pauses behind the delimiter", ["f|", "5"], LONG),
        waits("pauses shortly in the size", ["f|0", "5"], PAUSE),
        waits("pauses within CR LF", ["f|5\r", "\n"], LONG),
        // Cut as well, they are the whole body.
        Script::new("sends digits late", "failed: the peer sent more than the 1 bytes that it had stated")
            .say("f|1")
            .rest(TEXT_ENDS)
            .say("2")
            .hear(3)
            .say("hello, world")
            .hears("ACK")
            .meanwhile(&["2"]),
        malformed("does not wait for the ACK", "f|5hello", " (header-body-merge)"),
        malformed("does not wait, and has a delimiter in its body", "f|5he|lo", ""),
        Script::new(
            "does not wait, and stays",
            "failed: the connection failed while receiving: no byte moved before the deadline",
        )
        .say("f|5hello")
        .hear_all(),
        Script::new(
            "stops in its name",
            "failed: the connection failed while receiving: no byte moved before the deadline",
        )
        .say("f")
        .hear_all(),
        truncated("says nothing", ""),
        truncated("ends in its name", "f"),
        truncated("ends behind the delimiter", "f|"),
        truncated("ends in its size, for all one knows", "f|5"),
        truncated("ends within CR LF, for all one knows", "f|5\r"),
        malformed("states no size", "f|\n", ""),
    ]
}

fn names() -> Vec<Script> {
    let named = |name, refused_name: &str, text: &str, why: &str| {
        refused(name, text, format!("the peer sent the name \"{refused_name}\": {why}"))
    };
    vec![
        named("has no name", "", "|5\n", "the name is empty"),
        named("names the folder", ".", ".|5\n", "the name means a folder"),
        named("names the folder above", "..", "..|5\n", "the name means a folder"),
        named("climbs", "../f", "../f|5\n", "the name has a / at byte 2"),
        named("has a NUL in its name", "f\\u{0}", "f\0|5\n", "the name has a NUL at byte 1"),
    ]
}

fn too_long(name: &'static str, len: usize, text: String) -> Script {
    let shown = "n".repeat(255);
    refused(
        name,
        text,
        format!("the peer sent the name \"{shown}…\": the name has {len} bytes, at most 255 are allowed"),
    )
}

/// At the bound of a name and of the metadata, and behind it; the first does nothing wrong.
pub(super) fn long() -> Vec<Script> {
    let longest = "n".repeat(255);
    vec![
        Script::new("has the longest name", format!("stored {longest}, 5 bytes"))
            .say(format!("{longest}|5\nhello"))
            .hears("ACK")
            .leaves(longest.as_bytes(), "hello"),
        too_long("has a name that is too long", 256, "n".repeat(256) + "|5\n"),
        too_long("has the longest text", 1022, "n".repeat(1022) + "|5").hear_all(),
        refused(
            "has a text that is too long",
            "n".repeat(1023) + "|5",
            "the peer sent more than 1024 bytes as the metadata",
        )
        .hear_all(),
    ]
}

fn sizes() -> Vec<Script> {
    let too_large = |name, digits: &str| {
        let why = format!("the peer stated a size of {digits} bytes, the limit is {SIZE_MAX}");
        refused(name, format!("f|{digits}\n"), why)
    };
    let no_room = "our own storage failed while creating the file: no storage space";
    let as_large = "x".repeat(40);
    vec![
        stored("states twenty digits", "f|00000000000000000005\n", "hello"),
        too_large("states twenty-one digits", "000000000000000000005"),
        too_large("states more than a number holds", "99999999999999999999"),
        too_large("states a byte too much", "61"),
        refused("states as much as is accepted, and more than fits", "f|60\n", no_room),
        refused("states a byte more than fits", "f|41\n", no_room),
        stored("fills the disk", "f|40\n", &as_large),
        malformed("states less than nothing", "f|-5\n", ""),
        malformed("states a word", "f|five\n", ""),
        malformed("states letters behind digits", "f|5x\n", " (header-body-merge)"),
        malformed("states a fraction", "f|5.0\n", " (header-body-merge)"),
    ]
}

fn bodies() -> Vec<Script> {
    let excess = "failed: the peer sent more than the 5 bytes that it had stated";
    let ready = |name, says: &str| Script::new(name, says).say("f|5\n").hear(3).hears("ACK");
    vec![
        ready("sends a byte too few", "failed: the peer ended the stream at byte 8, inside the body, 1 bytes short")
            .say("hell"),
        ready("sends no body", "failed: the peer ended the stream at byte 4, inside the body, 5 bytes short"),
        ready("sends a byte too many", excess).say("hello!").meanwhile(&["hello"]),
        ready("sends another byte within a quiet moment", excess)
            .say("hello")
            .rest(1_000)
            .say("!")
            .meanwhile(&["hello"]),
        ready("sends another byte when the file is stored", STORED)
            .say("hello")
            .rest(LONG)
            .say("!")
            .leaves("f", "hello"),
        Script::new("sends a byte of nothing", "failed: the peer sent more than the 0 bytes that it had stated")
            .say("f|0\n")
            .hear(3)
            .say("!")
            .hears("ACK")
            .meanwhile(&[""]),
        ready("pauses in its body", STORED).say("he").rest(LONG).say("llo").leaves("f", "hello"),
        ready("stops in its body", "failed: the connection failed while receiving: no byte moved before the deadline")
            .say("hell")
            .hear_all(),
        ready("sends what is not kept", "failed: our own storage failed while committing: nothing can be made durable")
            .ours(|asked| asked.disk_fails = true)
            .say("hello"),
    ]
}

/// How it leaves.
fn ends() -> Vec<Script> {
    let reset = "failed: the connection failed while receiving: connection reset";
    let ready = |name, says: &str| Script::new(name, says).say("f|5\n").rest(PAUSE);
    vec![
        ready("stays", STORED).hear(3).say("hello").hear_all().hears("ACK").leaves("f", "hello"),
        ready("stays for longer", STORED).hear(3).say("hello").hear_all().rest(LONG).hears("ACK").leaves("f", "hello"),
        ready("leaves in order", STORED).hear(3).say("hello").leave().hears("ACK").leaves("f", "hello"),
        ready("resets behind the last byte", STORED).say("hello").rest(PAUSE).leave().leaves("f", "hello"),
        ready("resets in its body", reset).say("hell").rest(PAUSE).leave(),
        ready("resets instead of its body", reset).leave(),
        Script::new("half-closes behind its body, and resets", STORED)
            .say("f|5\nhello")
            .half_close()
            .rest(PAUSE)
            .leave()
            .leaves("f", "hello"),
    ]
}

/// Those who speak something else.
fn others() -> Vec<Script> {
    vec![
        foreign("speaks HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP (a request)"),
        foreign("speaks TLS", b"\x16\x03\x01\x02\x00\x01\x00", "TLS"),
        foreign("speaks SSH", b"SSH-2.0-OpenSSH_9.2\r\nand more", "SSH"),
        foreign("speaks SSH, without the end of a line", b"SSH-2.0-OpenSSH_9.2", "SSH"),
        foreign("greets", b"220 hello\r\nand more", "SMTP or FTP (a 220 greeting)"),
        foreign("speaks ft/1", b"\x89FT/\r\n\x1a\n\x01\x01", "ft/1"),
        foreign(
            "speaks ft/1 with other line ends",
            b"\x89FT/\n\x1a\n\x01\x01",
            "ft/1, changed on the way by a line-ending or 7-bit conversion",
        ),
        truncated("speaks lab B", "addfile\nf\nhello"),
    ]
}
