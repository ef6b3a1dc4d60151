//! Strangers who connect to our server: what it must bear, and which rule it must name.

use super::OLD;
use super::Script;
use super::wire::{
    Meta, ack1, ack2, data, data_header, done, end, error, failure, frame, goodbye, hello, hello_with, kind, named,
    offer, patched, path, preamble, root, run_of, want, zdata,
};

const FIVE: &[u8] = b"hello";

/// A client that has said preamble and HELLO.
fn client(name: &'static str, rule: &'static str, intent: u8) -> Script {
    Script::new(name, rule).say(&[&preamble(1, 1), &hello(intent, 64, 65_536)])
}

fn pusher(name: &'static str, rule: &'static str) -> Script {
    client(name, rule, 1)
}

/// A client that has offered 5 bytes as `new` and heard that they may come.
fn offerer(name: &'static str, rule: &'static str) -> Script {
    pusher(name, rule).say(&[&offer(1, "new", 5)]).hear(2)
}

/// A client that pulls `old` and has heard the offer.
fn puller(name: &'static str, rule: &'static str) -> Script {
    client(name, rule, 2).say(&[&want(1, 1, 0, 9, &named("old"))]).hear(3)
}

/// Every one of them; the first does nothing wrong.
pub(super) fn all() -> Vec<Script> {
    // Replay lines know them by their number: new ones come last.
    let pushes = [openings(), good_pushes(), bad_headers(), bad_payloads(), bad_names(), bad_pushes()];
    let others = [compressed(), good_pulls(), bad_pulls(), at_the_bounds()];
    pushes.into_iter().chain(others).flatten().collect()
}

fn openings() -> Vec<Script> {
    let good = offerer("pushes 5 bytes", "").say(&[&data(1, 0, FIVE), &end(1, FIVE), &goodbye()]);
    let spoilt = {
        let mut bytes = preamble(1, 1);
        bytes[15] ^= 1;
        bytes
    };
    let raw = |name, rule, bytes: &[u8]| Script::new(name, rule).say(&[bytes]);
    vec![
        good,
        raw("says nothing", "truncated", b""),
        raw("speaks HTTP", "HTTP client", b"GET / HTTP/1.1\r\n\r\n"),
        raw("speaks TLS", "TLS", b"\x16\x03\x01\x02\x00\x01"),
        raw("speaks lab B", "lab B", b"UPLOAD\nname\n"),
        raw("has another magic", "ft/1 preamble", b"\x89FT?1234567890ab"),
        raw("lost the eighth bit", "eighth bit", b"\x09FT/\r\n\x1a\n"),
        raw("had its line endings changed", "line endings", b"\x89FT/\n\x1a\n"),
        raw("has a spoilt preamble", "checksum", &spoilt),
        raw("speaks later versions only", "2 to 9", &preamble(2, 9)),
        raw("offers version 0", "range from 1", &preamble(0, 1)),
        raw("offers an impossible range", "range from 1", &preamble(3, 1)),
        raw("stops in its preamble", "truncated", &preamble(1, 1)[..9]),
        raw("says no HELLO", "FT-10", &[preamble(1, 1), goodbye()].concat()),
        raw("says a server's HELLO", "FT-11", &[preamble(1, 1), hello(0, 1, 1)].concat()),
        raw("has an unknown intent", "intent from 0 to 3", &[preamble(1, 1), hello(4, 1, 1)].concat()),
        raw("gives up before HELLO", "busy", &[preamble(1, 1), error(0, 6, "no time")].concat()),
        Script::new("speaks more versions, and more in HELLO", "").say(&[
            &preamble(1, 7),
            &frame(kind::HELLO, 0, 0, &long_hello()),
            &goodbye(),
        ]),
        pusher("leaves at once", "").say(&[&goodbye()]),
        pusher("goes without a word", "truncated"),
        pusher("says HELLO twice", "FT-10").say(&[&hello(1, 1, 1)]),
        pusher("ends the session", "busy").say(&[&error(0, 6, "no time\x1b[2J")]),
    ]
}

/// An agent that needs escaping, unknown features, and bytes that only a later version knows.
fn long_hello() -> Vec<u8> {
    let mut p = vec![1, 0, 0, 0, 1, 0, 0, 0, 1];
    p.extend([0xff; 8]);
    p.extend(b"\x03a\xffb");
    p.extend([7; 40]);
    p
}

fn good_pushes() -> Vec<Script> {
    let three = Meta { secs: -1, nanos: 999_999_999, mode: 0o777, ..Meta::file("d/x", 3) };
    let folder = Meta { kind: 2, secs: 1 << 40, nanos: 0, ..Meta::file("d", 0) };
    let link = Meta { kind: 3, target: b"../else\xff".to_vec(), ..Meta::file("d/l", 0) };
    let dated = Meta { secs: 5, nanos: 7, ..Meta::file("old", OLD.len() as u64) };
    let holed = [&b"abc"[..], &[0; 5]].concat();
    vec![
        offerer("pushes in small frames", "").say(&[
            &data(1, 0, b"h"),
            &data(1, 1, b"el"),
            &frame(kind::ALIVE, 0, 0, &[]),
            &data(1, 3, b"lo"),
            &end(1, FIVE),
            &goodbye(),
        ]),
        pusher("pushes an empty file", "").say(&[&offer(1, "empty", 0)]).hear(2).say(&[&end(1, b""), &goodbye()]),
        pusher("does not know the size", "").say(&[&offer(1, "pipe", u64::MAX)]).hear(2).say(&[
            &data(1, 0, FIVE),
            &end(1, FIVE),
            &goodbye(),
        ]),
        pusher("pushes a file, a link and their folder", "")
            .say(&[&three.offer(1), &link.offer(2), &folder.offer(3)])
            .hear(4)
            .say(&[&data(1, 0, b"abc"), &end(1, b"abc"), &end(2, b""), &end(3, b""), &goodbye()]),
        pusher("pushes a hole", "").say(&[&offer(1, "holed", 8)]).hear(2).say(&[
            &data(1, 0, b"abc"),
            &frame(kind::HOLE, 1, 3, &5_u64.to_be_bytes()),
            &end(1, &holed),
            &goodbye(),
        ]),
        pusher("pushes a hole longer than what it costs", "").say(&[&offer(1, "holed", 100_000)]).hear(2).say(&[
            &frame(kind::HOLE, 1, 0, &100_000_u64.to_be_bytes()),
            &end(1, &[0; 100_000]),
            &goodbye(),
        ]),
        pusher("says what may be skipped", "")
            .say(&[&frame(0x90, 7, 9, &[3; 40]), &offer(1, "new", 5), &frame(0xff, 0, 0, &[])])
            .hear(2)
            .say(&[&data(1, 0, FIVE), &frame(0x81, 0, 0, &[9; 16 * 1024]), &end(1, FIVE), &goodbye()]),
        pusher("has the same file by its time", "")
            .say(&[&dated.offer_with(1, 0, [0, 1, 2])])
            .hear(2)
            .say(&[&goodbye()]),
        pusher("has another time", "")
            .say(&[&Meta { secs: 6, ..dated.clone() }.offer_with(1, 0, [3, 1, 2])])
            .hear(2)
            .say(&[&data(1, 0, OLD), &end(1, OLD), &goodbye()]),
        pusher("has the same file by its content", "")
            .say(&[&Meta::file("old", OLD.len() as u64).offer_with(1, 0, [0, 2, 1])])
            .hear(2)
            .say(&[&end(1, OLD), &goodbye()]),
        pusher("compared, and sends it all the same", "")
            .say(&[&Meta::file("old", OLD.len() as u64).offer_with(1, 0, [2, 2, 2])])
            .hear(2)
            .say(&[&data(1, 0, OLD), &end(1, OLD), &goodbye()]),
        pusher("must not replace", "")
            .say(&[&Meta::file("old", 3).offer_with(1, 0, [1, 0, 2])])
            .hear(2)
            .say(&[&goodbye()]),
        pusher("keeps both", "").say(&[&Meta::file("old", 3).offer_with(1, 0, [3, 0, 1])]).hear(2).say(&[
            &data(1, 0, b"abc"),
            &end(1, b"abc"),
            &goodbye(),
        ]),
        pusher("finds no room, and pushes a smaller one", "")
            .say(&[&offer(1, "huge", super::ROOM + 1), &offer(2, "new", 5)])
            .hear(3)
            .say(&[&data(2, 0, FIVE), &end(2, FIVE), &error(1, 42, "crossed"), &goodbye()]),
        pusher("offers below a file", "").say(&[&offer(1, "old/below", 5)]).hear(2).say(&[&goodbye()]),
        offerer("gives up within the content", "").say(&[&data(1, 0, b"h"), &error(1, 42, "enough"), &goodbye()]),
        offerer("gives up before the content", "").say(&[&error(1, 40, "changed"), &goodbye()]),
        offerer("breaks its content", "").told("; ERROR #1 ").say(&[&data(1, 0, b"hallo"), &end(1, FIVE), &goodbye()]),
        pusher("pushes two, one after the other", "").say(&[&offer(1, "a", 5), &offer(2, "b", 3)]).hear(3).say(&[
            &data(2, 0, b"abc"),
            &end(2, b"abc"),
            &data(1, 0, FIVE),
            &end(1, FIVE),
            &goodbye(),
        ]),
        pusher("pushes two, one behind the other's ACK2", "")
            .say(&[&offer(1, "a", 5)])
            .hear(2)
            .say(&[&data(1, 0, FIVE), &end(1, FIVE)])
            .hear(3)
            .say(&[&error(1, 42, "late"), &offer(2, "b", 3)])
            .hear(4)
            .say(&[&data(2, 0, b"abc"), &end(2, b"abc"), &goodbye()]),
        pusher("gives one of three up within another's content", "FT-22")
            .say(&[&offer(1, "a", 5), &offer(2, "b", 5), &offer(3, "c", 5)])
            .hear(4)
            .say(&[&data(1, 0, b"h"), &error(3, 42, "enough"), &data(2, 0, b"x")]),
        pusher("gives one up within its content, and sends the other", "")
            .say(&[&offer(1, "a", 5), &offer(2, "b", 3)])
            .hear(3)
            .say(&[&data(1, 0, b"h"), &error(1, 42, "enough"), &data(2, 0, b"abc"), &end(2, b"abc"), &goodbye()]),
        pusher("ends a folder before a long file in it", "")
            .say(&[&offer(1, "d/x", 9 << 20), &folder.offer(2), &offer(3, "y", 3)])
            .hear(4)
            .say(&[&end(2, b""), &data(3, 0, b"abc"), &end(3, b"abc"), &data(1, 0, FIVE)])
            .hear(5)
            .say(&[&error(1, 42, "enough")])
            .hear(6)
            .say(&[&goodbye()]),
        pusher("skips in two halves", "")
            .say(&[&frame(0x90, 0, 0, &[3; 400])[..200]])
            .hear(1)
            .say(&[&frame(0x90, 0, 0, &[3; 400])[200..], &goodbye()]),
        Script::new("skips before HELLO", "").say(&[
            &preamble(1, 1),
            &frame(0x90, 0, 0, &[3; 40]),
            &hello(1, 64, 65_536),
            &goodbye(),
        ]),
        pusher("skips, and breaks a rule", "FT-32")
            .say(&[&frame(0x90, 0, 0, &[3; 400]), &offer(1, "new", 5)])
            .hear(2)
            .say(&[&goodbye()]),
        pusher("says half a frame behind GOODBYE", "truncated").say(&[&goodbye(), &goodbye()[..9]]),
        offerer("goes between content and END", "truncated").say(&[&data(1, 0, FIVE)]),
        offerer("goes within the content", "truncated").say(&[&data(1, 0, FIVE)[..30]]),
        offerer("goes without GOODBYE", "truncated").say(&[&data(1, 0, FIVE), &end(1, FIVE)]),
    ]
}

/// Exactly as much as a bound allows.
fn at_the_bounds() -> Vec<Script> {
    let deepest = Meta { path: path(&[&b"x"[..]; 128]), ..Meta::file("", 5) };
    let hole = |offset, len: u64| frame(kind::HOLE, 1, offset, &len.to_be_bytes());
    vec![
        pusher("pushes as deep as may be", "").say(&[&deepest.offer(1)]).hear(2).say(&[
            &data(1, 0, FIVE),
            &end(1, FIVE),
            &goodbye(),
        ]),
        // Legal as frames, and refused for where they stand.
        offerer("announces the longest hole", "FT-24").say(&[&hole(9, 16 << 20)]),
        offerer("announces a hole up to the largest offset", "FT-24").say(&[&hole(i64::MAX as u64 - 5, 5)]),
    ]
}

/// For a server whose disk cannot land the first file of a session, and cannot write the third: who gives them up is
/// told, and what comes between and behind them is stored.
pub(super) fn of_a_bad_disk() -> Vec<Script> {
    let one = |stream, name| offer(stream, name, 5);
    let whole = |stream| [data(stream, 0, FIVE), end(stream, FIVE)].concat();
    vec![
        pusher("pushes four, one behind the other", "")
            .say(&[&one(1, "a")])
            .hear(2)
            .say(&[&whole(1)])
            .told("; ACK2 #4 ")
            .hear(3)
            .say(&[&one(2, "b")])
            .hear(4)
            .say(&[&whole(2)])
            .hear(5)
            .say(&[&one(3, "c")])
            .hear(6)
            .say(&[&data(3, 0, FIVE)])
            .hear(7)
            .say(&[&error(3, 42, "gives up"), &one(4, "d")])
            .hear(8)
            .say(&[&whole(4), &goodbye()]),
        pusher("pushes one that cannot land", "")
            .told("; ERROR #1 ")
            .say(&[&one(1, "a")])
            .hear(2)
            .say(&[&whole(1), &goodbye()]),
    ]
}

fn bad_headers() -> Vec<Script> {
    let header = |name, rule, at, bytes: &[u8]| pusher(name, rule).say(&[&patched(goodbye(), at, bytes)]);
    let torn = |i: usize| {
        let mut bytes = goodbye();
        bytes[i] ^= 1;
        bytes
    };
    let unsummed = patched(data_header(1, 0, 5), 20, &[0, 0, 0, 1]);
    vec![
        pusher("tears a header's length", "FT-2").say(&[&torn(3)]),
        pusher("tears a header's type", "FT-2").say(&[&torn(4)]),
        pusher("tears a header's checksum", "FT-2").say(&[&torn(27)]),
        header("announces 4 GiB", "FT-3", 0, &[0xff; 4]),
        header("announces one byte too many", "FT-3", 0, &16_385_u32.to_be_bytes()),
        pusher("sends the longest control frame", "busy").say(&[&error_of(16 * 1024)]),
        offerer("sends empty DATA", "FT-3").say(&[&data_header(1, 0, 0)]),
        offerer("sends too much DATA", "FT-3").say(&[&data_header(1, 0, (1 << 20) + 1)]),
        offerer("announces the longest DATA", "FT-25").say(&[&data_header(1, 0, 1 << 20)]),
        header("has a flag", "FT-5", 5, &[1]),
        header("has a reserved bit", "FT-5", 6, &[0x80]),
        header("has another reserved bit", "FT-5", 7, &[1]),
        header("has the type 0", "FT-4", 4, &[0]),
        header("has the type 5, unannounced", "FT-4", 4, &[5]),
        header("has the type 0x0f", "FT-4", 4, &[0x0f]),
        header("has the type 0x13", "FT-4", 4, &[0x13]),
        header("has the type 0x1f", "FT-4", 4, &[0x1f]),
        header("has the type 0x26", "FT-4", 4, &[0x26]),
        header("has the type 0x7f", "FT-4", 4, &[0x7f]),
        header("has an offset for nothing", "FT-5", 8, &[0, 0, 0, 0, 0, 0, 0, 1]),
        header("has an offset past every file", "an offset up to", 8, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
        header("has a stream for the session", "FT-5", 16, &[0, 0, 0, 1]),
        header("has a checksum of nothing", "FT-6", 20, &[0, 0, 0, 1]),
        offerer("sends DATA of stream 0", "FT-5").say(&[&data_header(0, 0, 5)]),
        offerer("sends DATA with a checksum", "FT-5").say(&[&unsummed]),
        pusher("offers stream 0", "FT-5").say(&[&offer(0, "new", 5)]),
        pusher("offers at an offset", "FT-5").say(&[&patched(offer(1, "new", 5), 15, &[1])]),
        offerer("is optional at the last offset", "").say(&[
            &patched(frame(0x80, 1, 0, &[]), 8, &i64::MAX.to_be_bytes()),
            &error(1, 42, ""),
            &goodbye(),
        ]),
    ]
}

/// An ERROR for the session whose payload has so many bytes: what is behind the text is for later versions.
fn error_of(len: usize) -> Vec<u8> {
    let mut p = failure(6, 1, "no time");
    p.resize(len, 0xee);
    frame(kind::ERROR, 0, 0, &p)
}

fn bad_payloads() -> Vec<Script> {
    let offered = |name, rule, meta: Meta| pusher(name, rule).say(&[&meta.offer(1)]);
    let wished = |name, rule, wishes| pusher(name, rule).say(&[&Meta::file("new", 5).offer_with(1, 0, wishes)]);
    let file = || Meta::file("new", 5);
    let text = |len: usize| failure(42, 0, &"x".repeat(len));
    let mut unsummed = end(1, FIVE);
    unsummed[30] ^= 1;
    vec![
        offerer("tears a payload", "FT-6").say(&[&data(1, 0, FIVE), &unsummed]),
        offerer("says more than END has", "FT-7").say(&[&frame(kind::END, 1, 5, &[0; 33])]),
        offerer("says less than END has", "FT-7").say(&[&frame(kind::END, 1, 5, &[0; 31])]),
        wished("has a wrong overwrite", "overwrite policy", [4, 0, 2]),
        wished("has a wrong comparison", "a comparison", [0, 3, 2]),
        wished("has the level 0", "a level", [0, 0, 0]),
        wished("has the level 3", "a level", [0, 0, 3]),
        offered("has the kind 0", "a kind", Meta { kind: 0, ..file() }),
        offered("has the kind 4", "a kind", Meta { kind: 4, ..file() }),
        offered("has a set-user-id bit", "permission bits", Meta { mode: 0o4755, ..file() }),
        offered("has one permission bit too many", "permission bits", Meta { mode: 0o1000, ..file() }),
        offered("has too many nanoseconds", "nanoseconds", Meta { nanos: 1_000_000_000, ..file() }),
        offered("has seconds without a time", "nanoseconds", Meta { secs: 1, ..file() }),
        offered("is larger than every file", "a size", Meta { size: 1 << 63, ..file() }),
        offered("has content in a folder", "a size", Meta { kind: 2, ..file() }),
        offered("has a folder of unknown size", "a size", Meta { kind: 2, size: u64::MAX, ..file() }),
        offered("has a target for a file", "link target", Meta { target: b"x".to_vec(), ..file() }),
        offered("has a link to nothing", "link target", Meta { kind: 3, size: 0, ..file() }),
        offered("has too long a target", "FT-3", Meta { kind: 3, size: 0, target: vec![b'x'; 4097], ..file() }),
        offerer("says too much in an ERROR", "FT-3").say(&[&frame(kind::ERROR, 1, 0, &text(513))]),
        offerer("says all that an ERROR holds", "").say(&[&frame(kind::ERROR, 1, 3, &text(512)), &goodbye()]),
        offerer("has a wrong retry hint", "retry hint").say(&[&frame(kind::ERROR, 1, 0, &failure(42, 3, ""))]),
        offerer("sends a hole of nothing", "FT-3").say(&[&frame(kind::HOLE, 1, 0, &[0; 8])]),
        pusher("sends a hole too long", "FT-3").say(&[&offer(1, "pipe", u64::MAX)]).hear(2).say(&[&frame(
            kind::HOLE,
            1,
            0,
            &(16 * 1024 * 1024 + 1_u64).to_be_bytes(),
        )]),
        pusher("sends a hole past every file", "FT-3").say(&[&offer(1, "pipe", u64::MAX)]).hear(2).say(&[&frame(
            kind::HOLE,
            1,
            i64::MAX.cast_unsigned() - 4,
            &5_u64.to_be_bytes(),
        )]),
        offered("has the largest size", "", Meta { size: i64::MAX.cast_unsigned(), ..file() })
            .hear(2)
            .say(&[&goodbye()]),
    ]
}

fn bad_names() -> Vec<Script> {
    let called = |name, components: &[&[u8]]| {
        pusher(name, "")
            .told("ACK1 #1 @0 05 00 20")
            .say(&[&Meta { path: path(components), ..Meta::file("", 5) }.offer(1)])
            .hear(2)
            .say(&[&goodbye()])
    };
    let deep: Vec<&[u8]> = vec![b"d"; 129];
    // With a separator between any two of them.
    let long: Vec<&[u8]> = vec![&[b'x'; 255]; 16];
    let longest: Vec<&[u8]> = [&long[..15], &[&[b'x'; 254], b"y"]].concat();
    vec![
        called("climbs", &[b"..", b"x"]),
        called("has a slash in a name", &[b"a/b"]),
        called("has NUL in a name", &[b"a\0b"]),
        called("has an empty name", &[b""]),
        called("has no name", &[]),
        called("has a name of 256 bytes", &[&[b'x'; 256]]),
        called("is 129 folders deep", &deep),
        pusher("has a path of 4,096 bytes", "")
            .told("ACK1 #1 @0 01")
            .say(&[&Meta { path: path(&longest), ..Meta::file("", 5) }.offer(1)])
            .hear(2)
            .say(&[&error(1, 42, ""), &goodbye()]),
        called("has a path of 4,097 bytes", &[&long[..], &[b"y"]].concat()),
        pusher("climbs, and pushes another", "")
            .told("ACK1 #1 @0 05 00 20")
            .say(&[&offer(1, "../x", 5), &offer(2, "\u{202e}ok", 5)])
            .hear(3)
            .say(&[&data(2, 0, FIVE), &end(2, FIVE), &goodbye()]),
        pusher("has a path that ends early", "FT-7").say(&[&Meta {
            path: vec![0, 2, 0, 1, b'a', 0, 9],
            ..Meta::file("", 5)
        }
        .offer(1)]),
    ]
}

fn bad_pushes() -> Vec<Script> {
    let two = |name, rule| pusher(name, rule).say(&[&offer(1, "new", 5), &offer(2, "b", 5)]).hear(3);
    let finished =
        |name, rule, more: &[u8]| offerer(name, rule).say(&[&data(1, 0, FIVE), &end(1, FIVE)]).hear(3).say(&[more]);
    vec![
        pusher("sends DATA before any OFFER", "FT-21").say(&[&data(1, 0, FIVE)]),
        pusher("sends END before any OFFER", "FT-21").say(&[&end(1, FIVE)]),
        pusher("fails a stream before any OFFER", "FT-21").say(&[&error(1, 42, "")]),
        offerer("leaves a gap at the beginning", "FT-24").say(&[&data(1, 3, b"lo")]),
        offerer("leaves a gap", "FT-23").say(&[&data(1, 0, b"h"), &data(1, 2, b"lo")]),
        offerer("overlaps", "FT-23").say(&[&data(1, 0, b"hel"), &data(1, 2, b"llo")]),
        offerer("passes the size", "FT-25").say(&[&data(1, 0, b"hello!")]),
        offerer("passes the size in two", "FT-25").say(&[&data(1, 0, b"hel"), &data(1, 3, b"lo!")]),
        offerer("ends short", "FT-26").say(&[&data(1, 0, b"hel"), &end(1, b"hel")]),
        offerer("ends before it began", "FT-26").say(&[&end(1, b"")]),
        offerer("ends beyond", "FT-26").say(&[&data(1, 0, FIVE), &end(1, b"hello!")]),
        offerer("ends short of what it sent", "FT-26").say(&[&data(1, 0, FIVE), &end(1, b"hell")]),
        finished("sends DATA after END", "FT-21", &data(1, 5, b"!")),
        finished("ends twice", "FT-21", &end(1, FIVE)),
        two("mixes content", "FT-22").say(&[&data(1, 0, b"hel"), &data(2, 0, b"x")]),
        two("ends within other content", "FT-22").say(&[&data(1, 0, b"hel"), &end(2, b"")]),
        pusher("counts from 7", "FT-12").say(&[&offer(7, "new", 5)]),
        offerer("counts 1 twice", "FT-12").say(&[&offer(1, "b", 5)]),
        offerer("leaves 2 out", "FT-12").say(&[&offer(3, "b", 5)]),
        pusher("answers a want in a push", "FT-16").say(&[&Meta::file("new", 5).offer_with(1, 4, [0, 0, 2])]),
        pusher("sends ACK1 as a sender", "FT-11").say(&[&ack1(1, 0, 1, &[])]),
        pusher("sends ACK2 as a sender", "FT-11").say(&[&ack2(1, FIVE, 2, "new")]),
        pusher("wants in a push", "FT-11").say(&[&want(1, 1, 0, 0, &path(&[]))]),
        pusher("lists in a push", "FT-11").say(&[&Meta::file("x", 5).entry(1)]),
        pusher("is done with a want in a push", "FT-36").say(&[&done(1, 0, &failure(0, 0, ""))]),
        offerer("leaves a file unfinished", "FT-32").say(&[&goodbye()]),
        offerer("leaves within content", "FT-32").say(&[&data(1, 0, b"h"), &goodbye()]),
        pusher("speaks after GOODBYE", "FT-31").say(&[&goodbye(), &goodbye()]),
        pusher("offers after GOODBYE", "FT-31").say(&[&goodbye(), &offer(1, "new", 5)]),
        pusher("offers a bad name after GOODBYE", "FT-31").say(&[&goodbye(), &offer(1, "../x", 5)]),
    ]
}

/// Who announces that it reads ZDATA, and what it makes of that.
fn compressed() -> Vec<Script> {
    let pusher = |name, rule| {
        Script::new(name, rule).say(&[&preamble(1, 1), &hello_with(1, 64, 65_536, 1), &offer(1, "new", 200)]).hear(2)
    };
    let (all, run) = ([b'a'; 200], run_of(b'a', 200));
    let with = |name, rule, bytes: &[u8]| pusher(name, rule).say(&[bytes]);
    let tail = [&end(1, &all)[..], &goodbye()].concat();
    let mut torn = zdata(1, 0, 200, &run);
    torn[40] ^= 1;
    vec![
        with("pushes compressed", "", &[zdata(1, 0, 200, &run), tail.clone()].concat()),
        pusher("pushes both ways", "").say(&[
            &data(1, 0, &all[..50]),
            &zdata(1, 50, 100, &run_of(b'a', 100)),
            &data(1, 150, &all[150..]),
            &tail,
        ]),
        offerer("compresses without a word", "FT-4").say(&[&zdata(1, 0, 200, &run)]),
        with("unpacks to more than it said", "FT-76", &zdata(1, 0, 199, &run)),
        with("unpacks to less than it said", "FT-76", &zdata(1, 0, 200, &run_of(b'a', 199))),
        with("is longer than its content", "FT-76", &zdata(1, 0, 14, &run)),
        with("says more than a frame unpacks to", "FT-76", &zdata(1, 0, (1 << 20) + 1, &run)),
        with("says nothing but a length", "FT-3", &frame(kind::ZDATA, 1, 0, &[0, 0, 0, 200])),
        with(
            "says too much",
            "FT-3",
            &patched(frame(kind::ZDATA, 1, 0, &[0; 9]), 0, &((1 << 20) + 1_u32).to_be_bytes()),
        ),
        with("packs what is no zstd", "FT-76", &zdata(1, 0, 200, b"no zstd at all")),
        with("packs two frames", "FT-76", &zdata(1, 0, 200, &[run_of(b'a', 100), run_of(b'a', 100)].concat())),
        with("packs half a frame", "FT-76", &zdata(1, 0, 200, &run[..9])),
        with("tears what it packed", "FT-6", &torn),
        with("passes the size compressed", "FT-25", &zdata(1, 0, 201, &run_of(b'a', 201))),
        with("leaves a gap compressed", "FT-24", &zdata(1, 3, 197, &run_of(b'a', 197))),
        with("packs for stream 0", "FT-5", &zdata(0, 0, 200, &run)),
        with("packs other content", "", &[zdata(1, 0, 200, &run_of(b'b', 200)), tail].concat()).told("ERROR #1"),
        Script::new("sends ZDATA to a sender", "FT-11")
            .say(&[&preamble(1, 1), &hello_with(2, 64, 65_536, 1), &want(1, 1, 0, 9, &named("old"))])
            .hear(3)
            .say(&[&zdata(1, 0, 200, &run)]),
        with(
            "packs what gains next to nothing",
            "",
            &[zdata(1, 0, 20, &run_of(b'a', 20)), data(1, 20, &all[20..]), end(1, &all), goodbye()].concat(),
        ),
    ]
}

fn good_pulls() -> Vec<Script> {
    let all = &want(1, 1, 0, 9, &path(&[]));
    let stored = |script: Script| script.say(&[&ack2(1, OLD, 2, "old")]).hear(5).say(&[&goodbye()]);
    let boxed = |script: Script, ids: [u32; 3]| {
        let [a, b, folder] = ids;
        script.say(&[&ack2(a, b"abc", 2, "box/a"), &ack2(b, b"", 2, "box/b"), &ack2(folder, b"", 2, "box"), &goodbye()])
    };
    // A window of one stream, or of no bytes of offers: one offer at a time is all the same.
    let narrow = |name, streams, offer_bytes| {
        Script::new(name, "")
            .told("32 62; OFFER #2 ")
            .say(&[&preamble(1, 1), &hello(2, streams, offer_bytes), &want(1, 1, 0, 9, &named("box"))])
            .hear(2)
            .say(&[&ack1(1, 0, 1, &[])])
            .hear(3)
            .say(&[&ack2(1, b"", 2, "box")])
            .hear(4)
            .say(&[&ack1(2, 0, 1, &[])])
            .hear(6)
            .say(&[&ack2(2, b"abc", 2, "box/a")])
            .hear(8)
            .say(&[&ack1(3, 0, 1, &[])])
            .hear(9)
            .say(&[&ack2(3, b"", 2, "box/b"), &goodbye()])
    };
    vec![
        stored(puller("pulls a file", "").say(&[&ack1(1, 0, 1, &[])]).hear(5)),
        puller("has it by its time", "")
            .say(&[&ack1(1, 15, 3, &[])])
            .hear(4)
            .say(&[&frame(kind::ACK2, 1, 15, &[&[2][..], &[0; 32], &named("old")].concat()), &goodbye()]),
        stored(puller("has it by its content", "").say(&[&ack1(1, 15, 4, &root(OLD))]).hear(4)),
        stored(
            puller("has another of that length", "").told("; DATA #1 ").say(&[&ack1(1, 15, 4, &root(b"x"))]).hear(5),
        ),
        puller("refuses it", "")
            .say(&[&ack1(1, 0, 5, &failure(43, 0, "no \x1b[2J thanks"))])
            .hear(4)
            .say(&[&goodbye()]),
        puller("fails with it", "").say(&[&ack1(1, 0, 1, &[])]).hear(5).say(&[&error(1, 39, "disk"), &goodbye()]),
        boxed(
            client("pulls a folder", "", 2)
                .say(&[&want(1, 1, 0, 9, &named("box"))])
                .hear(5)
                .say(&[&ack1(1, 0, 1, &[]), &ack1(2, 0, 1, &[]), &ack1(3, 0, 1, &[])])
                .hear(10),
            [2, 3, 1],
        ),
        narrow("pulls a folder one by one", 1, 65_536),
        narrow("pulls a folder and bears no offers", 64, 0),
        client("pulls what is not there", "", 2)
            .say(&[&want(1, 1, 0, 9, &named("nothing"))])
            .hear(3)
            .say(&[&goodbye()]),
        client("pulls two wants", "", 2)
            .say(&[&want(1, 0, 0, 9, &named("nothing")), &want(2, 1, 1, 0, &named("box"))])
            .hear(4)
            .say(&[&ack1(1, 0, 5, &failure(43, 1, ""))])
            .hear(5)
            .say(&[&goodbye()]),
        client("lists", "", 3).say(&[all]).hear(7).say(&[&goodbye()]),
        client("lists the top alone", "", 3).say(&[&want(1, 1, 2, 1, &path(&[]))]).hear(5).say(&[&goodbye()]),
        client("wants nothing yet, and goes", "truncated", 2),
    ]
}

fn bad_pulls() -> Vec<Script> {
    let acked = |name, rule| puller(name, rule).say(&[&ack1(1, 0, 1, &[])]).hear(5);
    let listing = |name, rule, bytes: &[u8]| client(name, rule, 3).say(&[bytes]);
    let (root_want, old) = (path(&[]), named("old"));
    vec![
        listing("counts wants from 2", "FT-35", &want(2, 1, 0, 9, &root_want)),
        puller("wants more after the last", "FT-35").say(&[&want(2, 1, 0, 0, &old)]),
        client("counts a want twice", "FT-35", 2)
            .say(&[&want(1, 0, 0, 0, &old)])
            .hear(3)
            .say(&[&want(1, 1, 0, 0, &old)]),
        listing("wants number 0", "FT-5", &want(0, 1, 0, 9, &root_want)),
        listing("has a wrong link policy", "link policy", &want(1, 1, 3, 9, &root_want)),
        listing("has an unknown flag", "WANT flags", &want(1, 2, 0, 9, &root_want)),
        listing("wants what climbs", "FT-15", &want(1, 1, 0, 9, &named(".."))),
        client("offers to a sender", "FT-11", 2).say(&[&offer(1, "new", 5)]),
        client("offers a bad name to a sender", "FT-11", 2).say(&[&offer(1, "..", 5)]),
        client("sends DATA to a sender", "FT-11", 2).say(&[&data(1, 0, FIVE)]),
        client("ends to a sender", "FT-11", 2).say(&[&end(1, FIVE)]),
        client("lists to a sender", "FT-11", 2).say(&[&Meta::file("x", 5).entry(1)]),
        client("is done towards a sender", "FT-11", 2).say(&[&done(1, 0, &failure(0, 0, ""))]),
        puller("acknowledges what was not offered", "FT-20").say(&[&ack1(2, 0, 1, &[])]),
        puller("acknowledges number 0", "FT-5").say(&[&ack1(0, 0, 1, &[])]),
        acked("acknowledges twice", "FT-20").say(&[&ack1(1, 0, 1, &[])]),
        puller("stores before anything was sent", "FT-28").say(&[&ack2(1, OLD, 2, "old")]),
        acked("stores with another root", "FT-50").say(&[&ack2(1, b"the OLD content", 2, "old")]),
        acked("stores another size", "FT-50").say(&[&ack2(1, b"the old", 2, "old")]),
        acked("stores in the cache alone", "FT-50").say(&[&ack2(1, OLD, 1, "old")]),
        acked("stores without a name", "FT-15").say(&[&frame(
            kind::ACK2,
            1,
            15,
            &[&[2][..], &root(OLD), &path(&[])].concat(),
        )]),
        acked("stores twice", "FT-20").say(&[&ack2(1, OLD, 2, "old"), &ack2(1, OLD, 2, "old")]),
        puller("has a prefix of no MiB", "FT-57").say(&[&ack1(1, 5, 2, &[0])]),
        puller("has a prefix of nothing", "FT-57").say(&[&ack1(1, 0, 2, &[0])]),
        puller("has too few hashes", "FT-57").say(&[&ack1(1, 3 << 20, 2, &[&[1][..], &[0; 32]].concat())]),
        puller("has a prefix past the file, without hashes", "FT-57").say(&[&ack1(1, 1 << 20, 2, &[0])]),
        puller("has a prefix past the file", "FT-57").say(&[&ack1(1, 1 << 20, 2, &[&[1][..], &[0; 32]].concat())]),
        puller("has the same with another length", "FT-40").say(&[&ack1(1, 14, 3, &[])]),
        puller("has the same content with another length", "FT-40").say(&[&ack1(1, 14, 4, &root(OLD))]),
        puller("has a verdict 0", "a verdict").say(&[&ack1(1, 0, 0, &[])]),
        puller("has a verdict 6", "a verdict").say(&[&ack1(1, 0, 6, &[])]),
        puller("sends from an offset", "FT-5").say(&[&ack1(1, 5, 1, &[])]),
        puller("refuses at an offset", "FT-5").say(&[&ack1(1, 5, 5, &failure(43, 0, ""))]),
        puller("fails what it has not acknowledged", "FT-68").say(&[&error(1, 39, "")]),
        puller("fails what was never offered", "FT-20").say(&[&error(2, 39, "")]),
        puller("leaves before the sender", "FT-72").say(&[&goodbye()]),
        acked("leaves before it has stored", "FT-72").say(&[&goodbye()]),
        acked("goes before it has stored", "truncated"),
    ]
}
