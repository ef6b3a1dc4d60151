//! Strangers who ask our server of lab B: what it takes for a command and for a name, and whom it answers.

use super::script::{LONG, PAUSE, Script, TEXT_ENDS};

/// What `addfile` hears, at most.
const ACK1: &str = "file recv\n";
const BOTH: &str = "file recv\nfile data recv\n";

/// Every one of them; the first does nothing wrong.
pub(super) fn all() -> Vec<Script> {
    [readings(), pauses(), commands(), foreigners(), names(), cut(), downloads()].into_iter().flatten().collect()
}

/// One whose name is taken, and whose `hello` is stored.
fn asks(name: &'static str, stored: &str, request: &str) -> Script {
    paused(name, stored, &[request], 0)
}

/// The same, with pauses in its request.
fn paused(name: &'static str, stored: &str, request: &[&str], pause: u64) -> Script {
    let says = format!("addfile: stored {}, 5 bytes by Eof, confirmed", stored.escape_default());
    let script = Script::new(name, says).say(request[0]);
    let script = request[1..].iter().fold(script, |script, piece| script.rest(pause).say(*piece));
    script.hear(ACK1.len()).say("hello").hears(BOTH).leaves(stored, "hello")
}

/// One that says no more than this before it ends, and hears nothing.
fn refused(name: &'static str, request: impl Into<Vec<u8>>, why: impl AsRef<str>) -> Script {
    Script::new(name, format!("failed: {}", why.as_ref())).say(request)
}

fn no_command(name: &'static str, request: &str, quoted: &str) -> Script {
    let why = format!("the peer sent \"{quoted}\" as the command at byte 0, expected UPLOAD, DOWNLOAD or addfile");
    refused(name, request, why)
}

fn truncated(name: &'static str, request: &str, what: &str) -> Script {
    refused(name, request, format!("the peer ended the stream at byte {}, inside {what}", request.len()))
}

/// One that fetches `f`.
fn fetches(name: &'static str, request: &str, hears: &str) -> Script {
    Script::new(name, "sent f, 3 bytes").say(request).hears(hears)
}

/// The byte behind the command tells the reading, and how the name ends with it.
fn readings() -> Vec<Script> {
    vec![
        asks("ends its texts with line feeds", "server_f", "addfile\nf\n"),
        asks("ends its texts with CR LF", "server_f", "addfile\r\nf\r\n"),
        asks("ends its command with CR LF, its name with LF", "server_f", "addfile\r\nf\n"),
        asks("ends its command with LF, its name with CR", "server_f\r", "addfile\nf\r\n"),
        asks("ends its texts with nothing", "server_f", "addfilef"),
        asks("begins its name with CR", "server_\rf", "addfile\rf"),
        asks("begins its name with CR CR LF", "server_\r\r\nf", "addfile\r\r\nf"),
        asks("has a CR in its name", "server_a\rb", "addfile\r\na\rb\n"),
        asks("has a name like a command", "server_UPLOAD", "addfile\nUPLOAD\n"),
        Script::new("says all at once", "addfile: stored server_f, 5 bytes by Eof, confirmed")
            .say("addfile\nf\nhello")
            .hears(BOTH)
            .leaves("server_f", "hello"),
        // A bare name swallows the data.
        Script::new(
            "says all at once, with texts that end with nothing",
            "addfile: stored server_fhello, 0 bytes by Eof, confirmed",
        )
        .say("addfilefhello")
        .hear(ACK1.len())
        .hears(BOTH)
        .leaves("server_fhello", ""),
    ]
}

fn pauses() -> Vec<Script> {
    vec![
        paused("pauses in its command", "server_f", &["addf", "ile\nf\n"], LONG),
        paused("pauses behind its command", "server_f", &["addfile", "\nf\n"], LONG),
        paused("pauses behind its bare command", "server_f", &["addfile", "f"], LONG),
        paused("pauses before its name", "server_f", &["addfile\n", "f\n"], LONG),
        paused("pauses in its name", "server_fg", &["addfile\nf", "g\n"], LONG),
        paused("pauses within CR LF", "server_f", &["addfile\r", "\nf\r", "\n"], LONG),
        paused("pauses shortly in its bare name", "server_fg", &["addfile", "f", "g"], PAUSE),
        Script::new("pauses too long in its bare name", "addfile: stored server_f, 6 bytes by Eof, confirmed")
            .say("addfile")
            .rest(TEXT_ENDS)
            .say("f")
            .rest(TEXT_ENDS)
            .say("g")
            .hear(ACK1.len())
            .say("hello")
            .hears(BOTH)
            .leaves("server_f", "ghello"),
    ]
}

fn commands() -> Vec<Script> {
    let page = "x".repeat(100);
    vec![
        no_command("has another command", "DELETE x\nand more", "DELETE x\\n"),
        no_command("has another command, in two pieces", "DEL", "DELETE x\\n").rest(PAUSE).say("ETE x\n").hear_all(),
        no_command("has another command, too slowly", "DEL", "DEL").rest(TEXT_ENDS).say("ETE x\n").hear_all(),
        no_command("has another command, and stays", "DELETE", "DELETE").hear_all(),
        no_command("has another command, and leaves", "DELETE", "DELETE"),
        no_command("writes the command small", "upload\nf\n", "upload\\n"),
        no_command("writes the command wrong at its end", "UPLOAX\nf\n", "UPLOAX\\n"),
        no_command("begins with an empty line", "\naddfile\nf\n", "\\n"),
        no_command("says a page", &page, &page[..64]),
        no_command("says a page within a quiet moment", &page[..63], &page[..64]).rest(PAUSE).say("xyz").hear_all(),
        no_command("speaks lab A", "f|5", "f|5").hear_all(),
    ]
}

fn foreigners() -> Vec<Script> {
    let foreign =
        |name, text: &[u8], what: &str| refused(name, text, format!("the peer speaks {what}, not a lab dialect"));
    vec![
        foreign("speaks HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP (a request)"),
        foreign("speaks HTTP of the first days", b"GET /\r\n", "HTTP (a request)"),
        foreign("speaks HTTP of nothing in particular", b"OPTIONS * HTTP/1.1\r\n\r\n", "HTTP (a request)"),
        foreign("speaks HTTP to a proxy", b"GET http://x\r\n", "HTTP (a request)"),
        no_command("speaks like HTTP, and asks for nothing", "GET it\nand more", "GET it\\n"),
        no_command("speaks a TLS that there is not", "\x16\x03\x05\nand more", "\\u{16}\\u{3}\\u{5}\\n"),
        foreign("speaks TLS", b"\x16\x03\x01\x02\x00\x01\x00", "TLS"),
        foreign("speaks SSH", b"SSH-2.0-OpenSSH_9.2\r\nand more", "SSH"),
        foreign("speaks SSH, without the end of a line", b"SSH-2.0-OpenSSH_9.2", "SSH"),
        foreign("greets", b"220 hello\r\nand more", "SMTP or FTP (a 220 greeting)"),
        foreign("greets, and stays", b"220 hello", "SMTP or FTP (a 220 greeting)").hear_all(),
        foreign("speaks ft/1", b"\x89FT/\r\n\x1a\n\x01\x01", "ft/1"),
    ]
}

/// A bad name is refused in each command's own way: `addfile` has no answer for it.
fn names() -> Vec<Script> {
    let bad = |name, request: &str, shown: &str, why: &str| {
        refused(name, request, format!("the peer sent the name \"{shown}\": {why}"))
    };
    let (folder, climbs) = ("the name means a folder", "the name has a / at byte 2");
    let longest = "n".repeat(255);
    let long = |len: usize| format!("the name has {len} bytes, at most 255 are allowed");
    vec![
        bad("has no name", "addfile\n\n", "", "the name is empty"),
        bad("names the folder", "addfile\n.\n", ".", folder),
        bad("climbs", "addfile\n../f\n", "../f", climbs),
        bad("climbs, with texts that end with nothing", "addfile../f", "../f", climbs).hear_all(),
        bad("has a NUL in its name", "addfile\nf\0\n", "f\\u{0}", "the name has a NUL at byte 1"),
        asks(
            "has the longest name",
            &format!("server_{}", &longest[..248]),
            &format!("addfile\n{}\n", &longest[..248]),
        ),
        bad(
            "has a name that is too long with its prefix",
            &format!("addfile\n{}\n", &longest[..249]),
            &longest[..249],
            &long(256),
        ),
        bad("has a name that is too long", &format!("addfile\n{longest}n\n"), &format!("{longest}…"), &long(256)),
        bad("has the longest text", &format!("addfile\n{}\n", "n".repeat(1024)), &format!("{longest}…"), &long(1024)),
        // That is no name any more, so that UPLOAD has no answer for it either.
        refused(
            "has a text that is too long",
            format!("UPLOAD\n{}", "n".repeat(1025)),
            "the peer sent more than 1024 bytes as the file name",
        )
        .hear_all(),
        bad("uploads upwards", "UPLOAD\n../f\n", "../f", climbs).hears("NOT FOUND\n"),
        bad("uploads upwards, with CR LF", "UPLOAD\r\n../f\r\n", "../f", climbs).hears("NOT FOUND\n"),
        bad("uploads upwards, with texts that end with nothing", "UPLOAD../f", "../f", climbs)
            .hear_all()
            .hears("NOT FOUND"),
        bad("uploads a name that is too long", &format!("UPLOAD\n{longest}n\n"), &format!("{longest}…"), &long(256))
            .hears("NOT FOUND\n"),
        bad("fetches from above", "DOWNLOAD\n../f\n", "../f", climbs).hears("NOT FOUND\n"),
        bad("fetches from above, and half-closes", "DOWNLOAD../f", "../f", climbs).hears("NOT FOUND"),
        bad("fetches the folder", "DOWNLOAD\n..\n", "..", folder).hears("NOT FOUND\n"),
    ]
}

/// Half a name is the name of another file.
fn cut() -> Vec<Script> {
    vec![
        truncated("says nothing", "", "the command"),
        truncated("ends in its command", "addf", "the command"),
        truncated("ends behind its command", "addfile", "the file name"),
        truncated("ends within CR LF", "addfile\r", "the file name"),
        truncated("ends before its name", "addfile\n", "the file name"),
        truncated("ends in its name", "addfile\nf", "the file name"),
        truncated("ends in its bare name", "addfilef", "the file name"),
        truncated("uploads half a name", "UPLOADf", "the file name"),
        truncated("fetches half a name", "DOWNLOAD\nf", "the file name"),
        truncated("fetches half a name, with CR LF", "DOWNLOAD\r\nf\r", "the file name"),
        truncated("fetches nothing", "DOWNLOAD", "the file name"),
        Script::new(
            "stops in its command",
            "failed: the connection failed while receiving: no byte moved before the deadline",
        )
        .say("addf")
        .hear_all(),
        Script::new(
            "stops in its name",
            "failed: the connection failed while receiving: no byte moved before the deadline",
        )
        .say("UPLOAD\nf")
        .hear_all(),
    ]
}

fn downloads() -> Vec<Script> {
    let without = |name, request: &str| Script::new(name, "has no g").say(request);
    vec![
        fetches("fetches a file", "DOWNLOAD\nf\n", "OK\nold"),
        fetches("fetches a file, with CR LF", "DOWNLOAD\r\nf\r\n", "OK\nold"),
        fetches("fetches a file, and stays", "DOWNLOADf", "OKold").hear_all(),
        // A cut name can only fetch the wrong file.
        fetches("fetches a file, and half-closes behind its bare name", "DOWNLOADf", "OKold"),
        fetches("fetches a file, and says more", "DOWNLOAD\nf\nplease", "OK\nold"),
        without("fetches what is not there", "DOWNLOAD\ng\n").hears("NOT FOUND\n"),
        without("fetches what is not there, and stays", "DOWNLOADg").hear_all().hears("NOT FOUND"),
    ]
}
