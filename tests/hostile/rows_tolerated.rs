//! What must be skipped or tolerated: a peer of a later version, or a careless one, is served.

use crate::craft::{
    ACK1, ACK2, ALIVE, CONTENT, ERROR, FILE, Offer, PULL, PUSH, ack1, ack2, data, end, fault, frame, goodbye,
    hello_with, offer, preamble, want, whole,
};
use crate::served::{Client, Row, failed, lands, serve};
use crate::table::rows;

/// Says this HELLO, and pushes as usual.
fn greets(client: &mut Client, hello: &[u8]) {
    client
        .bare()
        .say(&[&preamble(1, 1), hello, &offer(1, &[b"new"])].concat())
        .hear(ACK1, 1)
        .say(&[whole(1), goodbye()].concat());
}

/// Pushes a file, with this before its content.
fn between(client: &mut Client, bytes: &[u8]) {
    client.push().say(&offer(1, &[b"new"])).hear(ACK1, 1).say(bytes).say(&[whole(1), goodbye()].concat());
}

rows! {
    TOLERATED, serve, "To be skipped or tolerated";
    unknown_optional_frame_is_skipped: "a frame of type 90 with 16,384 bytes" => lands(&["new"]),
        |c| between(c, &frame(0x90, 77, 99, &[7; 16_384]));
    sign_of_life_changes_nothing: "ALIVE with any stream and offset" => lands(&["new"]),
        |c| between(c, &frame(ALIVE, 4_000_000_000, 1 << 62, b""));
    longer_hello_of_a_later_version_is_read_as_far_as_it_is_known: "HELLO with fields behind the known ones" => lands(&["new"]),
        |c| greets(c, &hello_with(PUSH, 0, b"test", &[9; 100]));
    unknown_features_are_ignored: "HELLO with every feature bit" => lands(&["new"]),
        |c| greets(c, &hello_with(PUSH, u64::MAX, b"test", b""));
    agent_that_is_no_text_is_served: "an agent of escape codes and broken UTF-8" => lands(&["new"]),
        |c| greets(c, &hello_with(PUSH, 0, b"\x1b]0;owned\x07\xff\xfe", b""));
    version_range_that_reaches_further_is_served: "versions 1 to 9" => lands(&["new"]),
        |c| {
            let begin = [preamble(1, 9), crate::craft::hello(PUSH), offer(1, &[b"new"])].concat();
            c.bare().say(&begin).hear(ACK1, 1).say(&[whole(1), goodbye()].concat());
        };
    error_for_a_closed_stream_is_ignored: "ERROR for a stream that was stored" => lands(&["new"]),
        |c| {
            let late = frame(ERROR, 1, 0, &fault(42, 0, b""));
            c.push().say(&offer(1, &[b"new"])).hear(ACK1, 1).say(&whole(1)).hear(ACK2, 1).say(&[late, goodbye()].concat());
        };
    error_with_an_unknown_code_fails_its_file_alone: "ERROR 999 for stream 1, with fields of a later version, and another file"
        => lands(&["b"]),
        |c| {
            let error = frame(ERROR, 1, 0, &[&fault(999, 0, b"\xff\x1b[2J")[..], b"more"].concat());
            c.push().say(&[offer(1, &[b"new"]), offer(2, &[b"b"])].concat()).hear(ACK1, 1).hear(ACK1, 2);
            c.bare().say(&[error, whole(2), goodbye()].concat());
        };
    bytes_that_come_one_by_one_are_a_session: "every byte in a segment of its own" => lands(&["new"]),
        |c| {
            for part in [[preamble(1, 1), crate::craft::hello(PUSH), offer(1, &[b"new"])].concat(), [whole(1), goodbye()].concat()] {
                for byte in part {
                    c.bare().say(&[byte]);
                }
                c.bare().hear(ACK1, 1);
            }
        };
    empty_session_is_one: "HELLO and GOODBYE" => lands(&[]), |c| { c.push().say(&goodbye()); };
    content_behind_a_failure_is_drained: "a wrong END, and further files behind it" => failed("integrity").and_lands(&["b"]),
        |c| {
            c.push().say(&[offer(1, &[b"new"]), offer(2, &[b"b"])].concat()).hear(ACK1, 1).hear(ACK1, 2);
            c.bare().say(&[data(1, 0, b"jello"), end(1, CONTENT), whole(2), goodbye()].concat());
        };
    refused_file_does_not_end_the_session: "`..` and `new` in one session" => crate::served::refused("bad-name").and_lands(&["new"]),
        |c| {
            c.push().say(&[offer(1, &[b".."]), offer(2, &[b"new"])].concat()).hear(ACK1, 2).say(&[whole(2), goodbye()].concat());
        };
    time_before_the_clock_is_stored: "an mtime of 0 s, 999,999,999 ns" => lands(&["new"]),
        |c| {
            c.push().say(&Offer { nanos: 999_999_999, ..FILE }.frame(1)).hear(ACK1, 1).say(&[whole(1), goodbye()].concat());
        };
    want_for_what_is_not_there_is_answered: "asks for `nothing`" => lands(&[]),
        |c| { c.pull().say(&want(1, 1, &[b"nothing"])).hear(crate::craft::DONE, 1).hear(crate::craft::GOODBYE, 0).say(&goodbye()); };
    want_through_a_link_out_gives_nothing: "asks for `out/secret`, `out` being a link to a folder outside" => lands(&[]),
        |c| {
            c.bare().say(&[preamble(1, 1), crate::craft::hello(PULL), want(1, 1, &[b"out", b"secret"])].concat());
            let heard = &c.bare().hear(crate::craft::DONE, 1).heard;
            assert!(!heard.iter().any(|f| f.kind == crate::craft::OFFER), "nothing outside is offered: {heard:?}");
            c.bare().hear(crate::craft::GOODBYE, 0).say(&goodbye());
        };
    want_that_follows_links_stays_inside: "asks for everything, with links followed" => lands(&[]),
        |c| {
            let all = frame(crate::craft::WANT, 1, 0, &[1, 2, 0xff, 0xff, 0, 0]);
            c.bare().say(&[preamble(1, 1), crate::craft::hello(PULL), all].concat()).hear(crate::craft::DONE, 1);
            let offers: Vec<_> = c.bare().heard.iter().filter(|f| f.kind == crate::craft::OFFER).cloned().collect();
            assert!(offers.len() >= 4, "what is inside is offered: {offers:?}");
            let secret = offers.iter().any(|f| f.payload.windows(6).any(|w| w == b"secret"));
            assert!(!secret, "nothing outside is offered");
            for offer in &offers {
                c.bare().say(&ack1(offer.stream, 0, &[&[5][..], &fault(43, 0, b"")].concat()));
            }
            c.bare().hear(crate::craft::GOODBYE, 0).say(&goodbye());
        };
    acknowledgement_of_what_came_ends_a_pull_well: "a pull of `old`, in order" => lands(&[]),
        |c| {
            let old = b"the old content";
            c.pull().say(&want(1, 1, &[b"old"])).hear(crate::craft::OFFER, 1).say(&ack1(1, 0, &[1])).hear(crate::craft::END, 1);
            c.bare().say(&ack2(1, 2, old, &[b"old"])).hear(crate::craft::GOODBYE, 0).say(&goodbye());
        };
}
