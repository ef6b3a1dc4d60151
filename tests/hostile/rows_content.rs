//! Sessions that break off, and content that is not what it says.

use crate::craft::{
    ACK1, ACK2, CONTENT, END, FILE, Offer, PUSH, ack1, data, end, frame, goodbye, hello, hole, offer, preamble, want,
    whole,
};
use crate::served::{Client, Row, failed, lands, serve, silent};
use crate::table::rows;

/// Sends this behind an offer that was accepted, and hangs up.
fn cut(client: &mut Client, bytes: &[u8]) {
    client.push().say(&offer(1, &[b"new"])).hear(ACK1, 1).say(bytes);
}

/// Sends an old file anew, with this content and END.
fn replaces(client: &mut Client, bytes: &[u8]) {
    let old = Offer { path: &[b"old"], ..FILE }.frame(1);
    client.push().say(&old).hear(ACK1, 1).say(bytes).say(&goodbye());
}

rows! {
    TRUNCATION, serve, "Truncation";
    connection_without_a_byte_is_no_session: "connects and hangs up" => silent("truncated"), |c| { c.bare(); };
    half_a_preamble_is_no_session: "nine bytes" => silent("truncated"), |c| { c.bare().say(&preamble(1, 1)[..9]); };
    preamble_without_hello_is_no_session: "a preamble" => silent("truncated"), |c| { c.bare().say(&preamble(1, 1)); };
    half_a_hello_is_no_session: "a preamble and half of HELLO" => silent("truncated"),
        |c| { c.bare().say(&[&preamble(1, 1), &hello(PUSH)[..30]].concat()); };
    end_of_stream_is_no_goodbye: "HELLO and FIN" => silent("truncated"), |c| { c.push(); };
    half_a_header_is_truncated: "13 bytes of a header" => silent("truncated"), |c| cut(c, &data(1, 0, CONTENT)[..13]);
    half_of_the_content_lands_nothing: "three bytes of five" => silent("truncated"), |c| cut(c, &data(1, 0, CONTENT)[..31]);
    whole_content_without_end_lands_nothing: "all content, no END" => silent("truncated"), |c| cut(c, &data(1, 0, CONTENT));
    half_an_end_lands_nothing: "all content and 40 bytes of END" => silent("truncated"),
        |c| cut(c, &[data(1, 0, CONTENT), end(1, CONTENT)[..40].to_vec()].concat());
    end_without_goodbye_lands_what_is_complete: "content and END, no GOODBYE" => silent("truncated").and_lands(&["new"]),
        |c| cut(c, &whole(1));
    goodbye_cut_short_is_none: "content, END, and 27 bytes of GOODBYE" => silent("truncated").and_lands(&["new"]),
        |c| cut(c, &[&whole(1), &goodbye()[..27]].concat());
    reset_within_content_lands_nothing: "RST after three bytes" => silent("connection failed"),
        |c| { cut(c, &data(1, 0, CONTENT)[..31]); c.bare().reset(); c.server().await_line("put"); };
    reset_after_the_acknowledgement_changes_nothing: "RST in place of GOODBYE" => silent("connection failed").and_lands(&["new"]),
        |c| { cut(c, &whole(1)); c.bare().hear(ACK2, 1).reset(); c.server().await_line("put"); };
    pull_that_is_cut_leaves_the_server_whole: "asks for a file and hangs up" => silent("truncated"),
        |c| { c.pull().say(&want(1, 1, &[b"old"])).hear(crate::craft::OFFER, 1); };
}

rows! {
    INTEGRITY, serve, "Integrity";
    content_with_another_root_fails: "`jello` with the root of `hello`" => failed("integrity"),
        |c| { cut(c, &[data(1, 0, b"jello"), end(1, CONTENT), goodbye()].concat()); };
    old_file_survives_content_with_another_root: "the same in place of `old`" => failed("integrity"),
        |c| replaces(c, &[data(1, 0, b"jello"), end(1, CONTENT)].concat());
    root_of_zeros_fails: "END with a root of zeros" => failed("integrity"),
        |c| cut(c, &[data(1, 0, CONTENT), frame(END, 1, 5, &[0; 32]), goodbye()].concat());
    zeros_in_place_of_content_fail: "a HOLE in place of DATA" => failed("integrity"),
        |c| cut(c, &[hole(1, 0, 5), end(1, CONTENT), goodbye()].concat());
    empty_file_with_the_root_of_another_fails: "an empty file with the root of `hello`" => failed("integrity"),
        |c| {
            let end = frame(END, 1, 0, blake3::hash(CONTENT).as_bytes());
            c.push().say(&Offer { size: 0, ..FILE }.frame(1)).hear(ACK1, 1).say(&[end, goodbye()].concat());
        };
    content_of_unknown_size_is_held_to_its_root: "a pipe's content with a wrong root" => failed("integrity"),
        |c| {
            let bytes = [data(1, 0, b"jello"), end(1, CONTENT), goodbye()].concat();
            c.push().say(&Offer { size: u64::MAX, ..FILE }.frame(1)).hear(ACK1, 1).say(&bytes);
        };
    tail_that_does_not_belong_to_the_kept_part_fails: "1 MiB, cut; then the rest of another file behind it" => failed("integrity"),
        |c| {
            let size = (1 << 20) + 5;
            let offer = Offer { size, compare: 0, ..FILE }.frame(1);
            let zeros = vec![1; 1 << 20];
            let mut first = c.connection();
            first.say(&[preamble(1, 1), hello(PUSH), offer.clone()].concat()).hear(ACK1, 1).say(&data(1, 0, &zeros)).shut().hear_all();
            let kept = c.push().say(&offer).hear(ACK1, 1).heard.iter().find(|f| f.kind == ACK1).map(|f| f.payload[0]);
            assert_eq!(kept, Some(2), "the server states what it kept");
            let root = blake3::hash(b"something else");
            let end = frame(END, 1, size, root.as_bytes());
            c.bare().say(&[data(1, 1 << 20, CONTENT), end, goodbye()].concat());
        };
    same_content_with_another_root_is_not_the_same: "compare 2, then END with a root that nobody stated" => failed("integrity"),
        |c| {
            let offer = Offer { path: &[b"old"], size: 15, compare: 2, ..FILE };
            c.push().say(&offer.frame(1)).hear(ACK1, 1);
            c.bare().say(&[data(1, 0, b"the odd content"), end(1, b"the old CONTENT"), goodbye()].concat());
        };
    replaced_file_is_the_new_one_whole: "`hello` in place of `old`, in order" => lands(&["old"]), |c| replaces(c, &whole(1));
    file_that_is_read_is_the_one_that_was_offered: "a pull that says *resume* with wrong chaining values" => lands(&[]),
        |c| {
            // Beyond what can be kept: the sender compares, and sends from 0.
            c.sandbox().file("inbox/large", vec![3; (1 << 20) + 9]);
            c.pull().say(&want(1, 1, &[b"large"])).hear(crate::craft::OFFER, 1);
            c.bare().say(&ack1(1, 1 << 20, &[&[2, 1][..], &[9; 32]].concat())).hear(END, 1);
            let sent: usize = c.bare().heard.iter().filter(|f| f.kind == crate::craft::DATA).map(|f| f.payload.len()).sum();
            assert_eq!(sent, (1 << 20) + 9);
            let content = vec![3; (1 << 20) + 9];
            c.bare().say(&crate::craft::ack2(1, 2, &content, &[b"large"])).hear(crate::craft::GOODBYE, 0).say(&goodbye());
            std::fs::remove_file(c.sandbox().path("inbox/large")).expect("its own file");
        };
}
