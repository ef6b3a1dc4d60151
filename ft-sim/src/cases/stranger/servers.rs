//! Strangers to whom our client connects: nothing that was not asked for lands, and nothing counts as stored that is not.

use super::wire::{
    Meta, ack1, ack2, data, done, end, error, failure, frame, goodbye, hello, hello_with, kind, offer, path, preamble,
    root,
};
use super::{LONG, SECOND, Script};

const LOCAL: &[u8] = b"local";
const FIVE: &[u8] = b"hello";

/// A server that has said preamble and HELLO.
fn server(name: &'static str, rule: &'static str) -> Script {
    Script::new(name, rule).say(&[&preamble(1, 1), &hello(0, 64, 65_536)])
}

/// A server that has heard an OFFER and takes the file.
fn taker(name: &'static str, rule: &'static str) -> Script {
    server(name, rule).hear(2).say(&[&ack1(1, 0, 1, &[])]).hear(5)
}

fn raw(name: &'static str, rule: &'static str, bytes: &[u8]) -> Script {
    Script::new(name, rule).say(&[bytes])
}

fn nothing() -> Vec<u8> {
    failure(0, 0, "")
}

/// For a client that pushes `f`, `g` and `old`, and is still reading when it hears: what is given up must leave nothing
/// behind that holds the rest. The first does nothing wrong.
pub(super) fn of_a_slow_push() -> Vec<Script> {
    vec![
        stored(takes_three("stores all").hear(11), &[1, 2, 3]),
        stored(takes_three("gives up the first").say(&[&error(1, 39, "")]).told("; DATA #3 ").hear(9), &[2, 3]),
        stored(takes_three("gives up the second").say(&[&error(2, 39, "")]).told("; DATA #3 ").hear(9), &[1, 3]),
        stored(takes_three("gives up the last").say(&[&error(3, 39, "")]).told("; DATA #2 ").hear(9), &[1, 2]),
    ]
}

/// For the same client when it cannot read `g`: it says so, and goes on.
pub(super) fn of_an_unreadable_push() -> Vec<Script> {
    vec![stored(takes_three("stores what comes").told("; ERROR #2 ").hear(9), &[1, 3])]
}

/// For a client with so much to read of `f` that `g` is at hand and `old` waits for its turn meanwhile; the first does
/// nothing wrong.
pub(super) fn of_a_long_push() -> Vec<Script> {
    let long = &ack2(1, &super::long(LONG), 2, "f");
    let (second, third) = (ack2(2, &super::long(SECOND), 2, "g"), ack2(3, super::OLD, 2, "old"));
    vec![
        takes_three("stores all").hear(15).say(&[long, &second, &third, &goodbye()]),
        // However far the second has come: fifteen frames have the end of the third among them.
        takes_three("gives up the second, which is at hand")
            .giving_up(2)
            .hear(5)
            .say(&[&error(2, 39, "")])
            .told("; DATA #3 ")
            .hear(15)
            .say(&[long, &third, &goodbye()]),
    ]
}

/// For a client whose `f` is a hole from its beginning to its end.
pub(super) fn of_a_sparse_push() -> Vec<Script> {
    let took = taker("stores a hole", "").told("; HOLE #1 ");
    vec![took.say(&[&ack2(1, &super::SPARSE, 2, "f"), &goodbye()])]
}

/// A server that takes `f`, `g` and `old`.
fn takes_three(name: &'static str) -> Script {
    let acks = [ack1(1, 0, 1, &[]), ack1(2, 0, 1, &[]), ack1(3, 0, 1, &[])].concat();
    server(name, "").hear(4).say(&[&acks])
}

/// It has stored some of them.
fn stored(script: Script, streams: &[u32]) -> Script {
    let all = [(1, LOCAL, "f"), (2, FIVE, "g"), (3, super::OLD, "old")];
    let acks: Vec<u8> = all
        .iter()
        .filter(|(stream, ..)| streams.contains(stream))
        .flat_map(|(stream, content, name)| ack2(*stream, content, 2, name))
        .collect();
    script.say(&[&acks, &goodbye()])
}

/// For a client that pushes `f`; the first does nothing wrong.
pub(super) fn of_a_push() -> Vec<Script> {
    let good = &ack2(1, LOCAL, 2, "f");
    let verdict = |name, rule, ack: &[u8]| server(name, rule).hear(2).say(&[ack]);
    vec![
        taker("stores it", "").say(&[good, &goodbye()]),
        taker("stores it, alive", "").say(&[
            &frame(kind::ALIVE, 0, 0, &[]),
            good,
            &frame(0xaa, 3, 3, b"skip"),
            &goodbye(),
        ]),
        taker("stores it under another name", "").say(&[&ack2(1, LOCAL, 2, "d/f (1)"), &goodbye()]),
        raw("speaks HTTP", "HTTP server", b"HTTP/1.1 400 Bad Request\r\n"),
        raw("speaks SSH", "SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
        raw("speaks lab A", "lab A", b"ACK"),
        raw("says nothing", "truncated", b""),
        raw("speaks a later version", "2 to 3", &preamble(2, 3)),
        raw("does not choose", "1 to 2", &preamble(1, 2)),
        raw("says a client's HELLO", "FT-11", &[preamble(1, 1), hello(1, 1, 1)].concat()),
        raw("is busy", "busy", &[preamble(1, 1), error(0, 6, "")].concat()),
        server("says HELLO twice", "FT-10").say(&[&hello(0, 1, 1)]),
        raw("acknowledges before HELLO", "FT-10", &[preamble(1, 1), ack1(1, 0, 1, &[])].concat()),
        verdict("has it by its time", "truncated", &ack1(1, 5, 3, &[])),
        verdict("refuses it", "", &ack1(1, 0, 5, &failure(35, 1, "\x1b[2J no"))).hear(3).say(&[&goodbye()]),
        verdict("has the same with another length", "FT-40", &ack1(1, 4, 3, &[])),
        verdict("has the same content, unasked", "FT-48", &ack1(1, 5, 4, &root(LOCAL))),
        verdict("has the same content, compared", "", &ack1(1, 5, 4, &root(LOCAL)))
            .compared()
            .hear(4)
            .say(&[good, &goodbye()]),
        verdict("has other content, compared", "", &ack1(1, 5, 4, &root(b"x")))
            .compared()
            .told("; DATA #1 ")
            .hear(5)
            .say(&[good, &goodbye()]),
        verdict("has the same time, compared", "FT-48", &ack1(1, 5, 3, &[])).compared(),
        verdict("stores before END", "FT-28", good),
        verdict("acknowledges another", "FT-20", &ack1(2, 0, 1, &[])),
        taker("goes after ACK1", "truncated"),
        taker("stores it with another root", "FT-50").say(&[&ack2(1, b"lokal", 2, "f")]),
        taker("stores it with another size", "FT-50").say(&[&ack2(1, b"loca", 2, "f")]),
        taker("stores it in the cache alone", "FT-50").say(&[&ack2(1, LOCAL, 1, "f")]),
        taker("stores it twice", "FT-20").say(&[good, good]),
        taker("acknowledges twice", "FT-20").say(&[&ack1(1, 0, 1, &[])]),
        taker("fails with it", "").say(&[&error(1, 39, "disk \x1b[31mbroken"), &goodbye()]),
        taker("fails with it when it is stored", "").say(&[good, &error(1, 39, ""), &goodbye()]),
        taker("fails with what was never offered", "FT-20").say(&[&error(2, 39, "")]),
        taker("leaves without storing it", "FT-72").say(&[&goodbye()]),
        taker("speaks after GOODBYE", "FT-31").say(&[good, &goodbye(), &goodbye()]),
        taker("offers a file", "FT-11").say(&[&offer(1, "x", 5)]),
        taker("sends HOLE", "FT-11").say(&[&frame(kind::HOLE, 1, 0, &5_u64.to_be_bytes())]),
    ]
}

/// For a client that pulls `dir/w`; the first does nothing wrong.
pub(super) fn of_a_pull() -> Vec<Script> {
    let wanted = |name: &str| Meta::file(name, 5).offer_with(1, 1, [0, 0, 2]);
    let offered = |name, rule| server(name, rule).hear(2).say(&[&wanted("w")]).hear(3);
    let done_none = &done(1, 1, &nothing());
    let content = &[data(1, 0, FIVE), end(1, FIVE)].concat();
    let below = Meta::file("w/x", 5).offer_with(1, 1, [0, 0, 1]);
    let folder = Meta { kind: 2, ..Meta::file("w", 0) }.offer_with(2, 1, [0, 0, 2]);
    let nameless = Meta { path: path(&[]), ..Meta::file("", 5) }.offer_with(1, 1, [0, 0, 2]);
    let link = |target: &[u8]| {
        let meta = Meta { kind: 3, target: target.to_vec(), ..Meta::file("w", 0) };
        server("links", "").hear(2).say(&[&meta.offer_with(1, 1, [0, 0, 2])])
    };
    vec![
        offered("sends it", "").say(&[content, done_none, &goodbye()]),
        server("sends a folder", "").hear(2).say(&[&below, &folder]).hear(4).say(&[
            content,
            &end(2, b""),
            &done(1, 2, &nothing()),
            &goodbye(),
        ]),
        server("has nothing", "").hear(2).say(&[&done(1, 0, &failure(35, 0, "dir/w")), &goodbye()]),
        offered("sends not all", "").say(&[content, &done(1, 1, &failure(36, 1, "w/\x1b[2Jy")), &goodbye()]),
        offered("fails with it", "").say(&[&data(1, 0, b"h"), &error(1, 39, "disk"), done_none, &goodbye()]),
        offered("sends other content", "").say(&[&data(1, 0, b"hallo"), &end(1, FIVE), done_none, &goodbye()]),
        server("sends what was not wanted", "FT-16").hear(2).say(&[&wanted(".bashrc")]),
        server("sends beside it", "FT-16").hear(2).say(&[&wanted("dir/w")]),
        server("climbs", "").hear(2).say(&[&wanted("../w")]).hear(3).say(&[done_none, &goodbye()]),
        server("sends the root", "").hear(2).say(&[&nameless]).hear(3).say(&[done_none, &goodbye()]),
        server("answers want 2", "FT-16").hear(2).say(&[&Meta::file("w", 5).offer_with(1, 2, [0, 0, 2])]),
        server("pushes", "FT-16").hear(2).say(&[&offer(1, "w", 5)]),
        server("offers behind DONE", "FT-16").hear(2).say(&[done_none, &wanted("w")]),
        server("is done twice", "FT-36").hear(2).say(&[done_none, done_none]),
        server("is done with want 2", "FT-36").hear(2).say(&[&done(2, 1, &nothing())]),
        server("leaves before DONE", "FT-36").hear(2).say(&[&goodbye()]),
        offered("leaves before END", "FT-32").say(&[done_none, &goodbye()]),
        server("wants", "FT-11").hear(2).say(&[&super::wire::want(1, 1, 0, 0, &path(&[]))]),
        server("lists", "FT-11").hear(2).say(&[&Meta::file("w", 5).entry(1)]),
        server("acknowledges", "FT-11").hear(2).say(&[&ack1(1, 0, 1, &[])]),
        raw("says a client's HELLO", "FT-11", &[preamble(1, 1), hello(2, 1, 1)].concat()),
        raw("offers before HELLO", "FT-10", &[preamble(1, 1), wanted("w")].concat()),
        raw("offers a bad name before HELLO", "FT-31", &[preamble(1, 1), wanted("../w")].concat()),
        server("says HELLO twice", "FT-10").say(&[&hello(0, 1, 1)]),
        offered("goes within the content", "truncated").say(&[&data(1, 0, FIVE)[..30]]),
        offered("goes behind DONE", "truncated").say(&[content, done_none]),
        server("is shutting down", "shutting-down").hear(2).say(&[&error(0, 7, "")]),
        server("goes", "truncated"),
        raw(
            "spreads, which was not agreed on",
            "FT-79",
            &[preamble(1, 1), hello_with(0, 1, 1, 2), frame(5, 0, 0, &[1])].concat(),
        ),
        // Where a link leads is its own affair: nothing is ever written through it.
        Script { name: "makes a link", ..link(b"../../etc/passwd") }.hear(3).say(&[
            &end(1, b""),
            done_none,
            &goodbye(),
        ]),
        Script { name: "makes a link that has content", rule: "FT-25", ..link(b"old") }
            .hear(3)
            .say(&[&data(1, 0, FIVE)]),
        Script { name: "makes a link, unasked", rule: "FT-78", ..link(b"old") }.without_links(),
    ]
}

/// For a client that lists `dir/w`; the first does nothing wrong.
pub(super) fn of_a_listing() -> Vec<Script> {
    let entry = |name: &str| Meta { secs: 9, nanos: 1, mode: 0o600, ..Meta::file(name, 5) }.entry(1);
    let done_two = &done(1, 2, &nothing());
    vec![
        server("lists it", "").hear(2).say(&[&entry("w"), &entry("w/x"), done_two, &goodbye()]),
        server("lists not all", "").hear(2).say(&[&entry("w"), &done(1, 1, &failure(36, 0, "w/y")), &goodbye()]),
        server("lists something else", "FT-16").hear(2).say(&[&entry("x")]),
        server("lists the root", "FT-15").hear(2).say(&[&Meta { path: path(&[]), ..Meta::file("", 5) }.entry(1)]),
        server("lists behind DONE", "FT-16").hear(2).say(&[done_two, &entry("w")]),
        server("offers", "FT-11").hear(2).say(&[&Meta::file("w", 5).offer_with(1, 1, [0, 0, 2])]),
        server("offers a bad name", "FT-11").hear(2).say(&[&Meta::file("..", 5).offer_with(1, 1, [0, 0, 2])]),
        server("leaves before DONE", "FT-36").hear(2).say(&[&entry("w"), &goodbye()]),
        server("goes before DONE", "truncated").hear(2).say(&[&entry("w")]),
    ]
}
