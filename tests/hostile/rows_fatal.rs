//! What ends a session: bytes that are no frames, frames that are not allowed.

use crate::craft::{
    ACK1, ALIVE, DATA, END, FILE, GOODBYE, HELLO, OFFER, Offer, PULL, PUSH, WANT, ZDATA, ack1, ack2, data, end, frame,
    goodbye, header, hello, hello_with, hole, offer, path, preamble, want, whole,
};
use crate::served::{Client, Row, serve, silent, told};
use crate::table::rows;

/// Says this instead of a session.
fn says(client: &mut Client, bytes: &[u8]) {
    client.bare().say(bytes);
}

/// Says this in a push that has begun.
fn pushes(client: &mut Client, bytes: &[u8]) {
    client.push().say(bytes);
}

/// Says this in a push whose stream 1, of five bytes, may be sent.
fn sends(client: &mut Client, bytes: &[u8]) {
    client.push().say(&offer(1, &[b"new"])).hear(ACK1, 1).say(bytes);
}

/// Says this in a pull that has begun.
fn pulls(client: &mut Client, bytes: &[u8]) {
    client.pull().say(bytes);
}

/// A frame with one byte of its header changed and the checksum made right again.
fn changed(mut bytes: Vec<u8>, at: usize, to: u8) -> Vec<u8> {
    bytes[at] = to;
    let crc = crc32c::crc32c(&bytes[..24]).to_be_bytes();
    bytes[24..28].copy_from_slice(&crc);
    bytes
}

rows! {
    BYTES, serve, "Bytes that are no frames";
    http_request_is_named_in_the_log: "`GET / HTTP/1.1`" => silent("looks like an HTTP client"),
        |c| says(c, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    tls_hello_to_a_plain_server_is_named_in_the_log: "a TLS ClientHello, where no key is" => silent("looks like TLS"),
        |c| { c.options("--dialect ft1").bare().say(&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0, 0, 0]); };
    ssh_banner_is_named_in_the_log: "`SSH-2.0-…`" => silent("looks like SSH"), |c| says(c, b"SSH-2.0-OpenSSH_9.2\r\n");
    magic_with_a_changed_byte_is_malformed: "a preamble whose fourth byte is wrong" => told("malformed", "preamble"),
        |c| says(c, b"\x89FT?\r\n\x1a\n\0\x01\0\x01....");
    preamble_with_a_wrong_checksum_is_malformed: "a preamble with a flipped bit in its checksum" => told("malformed", "byte"),
        |c| { let mut bytes = preamble(1, 1); bytes[15] ^= 1; says(c, &bytes); };
    version_range_upside_down_is_malformed: "versions 3 to 1" => told("malformed", "version range"),
        |c| says(c, &preamble(3, 1));
    versions_of_the_future_are_told_what_is_spoken: "versions 2 to 9" => told("unsupported-version", "2 to 9"),
        |c| says(c, &preamble(2, 9));
    header_with_a_wrong_checksum_is_malformed: "a flipped bit in a header" => told("malformed", "FT-2"),
        |c| { let mut bytes = offer(1, &[b"new"]); bytes[3] ^= 1; pushes(c, &bytes); };
    payload_with_a_wrong_checksum_is_malformed: "a flipped bit in an OFFER's name" => told("malformed", "FT-6"),
        |c| { let mut bytes = offer(1, &[b"new"]); *bytes.last_mut().expect("bytes") ^= 1; pushes(c, &bytes); };
    control_frame_of_4_gib_is_refused_by_its_header: "a GOODBYE that announces 4 GiB" => told("malformed", "FT-3"),
        |c| pushes(c, &header(GOODBYE, 0, 0, 0, u32::MAX, 0));
    control_frame_of_one_byte_too_much_is_refused: "an OFFER of 16,385 bytes" => told("malformed", "FT-3"),
        |c| pushes(c, &header(OFFER, 0, 1, 0, 16_385, 0));
    optional_frame_of_one_byte_too_much_is_refused: "an unknown optional frame of 16,385 bytes" => told("malformed", "FT-3"),
        |c| pushes(c, &header(0x90, 0, 0, 0, 16_385, 0));
    content_frame_of_one_byte_too_much_is_refused: "a DATA frame of 1 MiB and a byte" => told("malformed", "FT-3"),
        |c| sends(c, &header(DATA, 0, 1, 0, 1_048_577, 0));
    content_frame_of_no_bytes_is_refused: "a DATA frame without content" => told("malformed", "FT-3"),
        |c| sends(c, &header(DATA, 0, 1, 0, 0, 0));
    unknown_critical_frame_is_malformed: "a frame of type 55" => told("malformed", "FT-4"),
        |c| pushes(c, &frame(0x55, 0, 0, b""));
    flags_are_malformed: "a GOODBYE with flags" => told("malformed", "FT-5"),
        |c| pushes(c, &header(GOODBYE, 1, 0, 0, 0, 0));
    reserved_bytes_are_malformed: "a GOODBYE with reserved bytes set" => told("malformed", "FT-5"),
        |c| pushes(c, &changed(goodbye(), 7, 1));
    stream_where_none_belongs_is_malformed: "a GOODBYE for stream 5" => told("malformed", "FT-5"),
        |c| pushes(c, &frame(GOODBYE, 5, 0, b""));
    stream_zero_is_malformed: "an OFFER of stream 0" => told("malformed", "FT-5"), |c| pushes(c, &offer(0, &[b"new"]));
    offset_where_none_belongs_is_malformed: "an OFFER at offset 7" => told("malformed", "FT-5"),
        |c| pushes(c, &frame(OFFER, 1, 7, &FILE.frame(1)[28..]));
    offset_beyond_63_bits_is_malformed: "DATA at 2^63" => told("malformed", "offset"), |c| sends(c, &data(1, 1 << 63, b"x"));
    payload_that_ends_early_is_malformed: "an OFFER without its last byte" => told("malformed", "FT-7"),
        |c| { let bytes = FILE.frame(1); pushes(c, &frame(OFFER, 1, 0, &bytes[28..bytes.len() - 1])); };
    payload_with_a_byte_more_is_malformed: "an OFFER with a byte behind its last field" => told("malformed", "FT-7"),
        |c| pushes(c, &frame(OFFER, 1, 0, &[&FILE.frame(1)[28..], b"x"].concat()));
    intent_without_meaning_is_malformed: "HELLO with intent 9" => told("malformed", "intent"),
        |c| says(c, &[preamble(1, 1), hello(9)].concat());
    kind_without_meaning_is_malformed: "an OFFER of kind 7" => told("malformed", "kind"),
        |c| pushes(c, &Offer { kind: 7, ..FILE }.frame(1));
    wish_without_meaning_is_malformed: "an OFFER with overwrite 9" => told("malformed", "overwrite"),
        |c| pushes(c, &Offer { overwrite: 9, ..FILE }.frame(1));
    folder_with_a_size_is_malformed: "a folder of five bytes" => told("malformed", "size"),
        |c| pushes(c, &Offer { kind: 2, ..FILE }.frame(1));
    size_beyond_63_bits_is_malformed: "a file of 2^63 bytes" => told("malformed", "size"),
        |c| pushes(c, &Offer { size: 1 << 63, ..FILE }.frame(1));
    link_without_a_target_is_malformed: "a link to nothing" => told("malformed", "link target"),
        |c| pushes(c, &Offer { kind: 3, size: 0, ..FILE }.frame(1));
    time_of_a_second_too_many_nanoseconds_is_malformed: "an mtime with 1,000,000,000 ns" => told("malformed", "nanoseconds"),
        |c| pushes(c, &Offer { nanos: 1_000_000_000, ..FILE }.frame(1));
    hole_of_no_bytes_is_malformed: "a HOLE of length 0" => told("malformed", "FT-3"), |c| sends(c, &hole(1, 0, 0));
    hole_of_one_byte_too_much_is_malformed: "a HOLE of 16 MiB and a byte" => told("malformed", "FT-3"),
        |c| sends(c, &hole(1, 0, 16_777_217));
    want_with_a_path_upwards_is_malformed: "asks for `../outside/secret`" => told("malformed", "FT-15"),
        |c| pulls(c, &want(1, 1, &[b"..", b"outside", b"secret"]));
    want_with_an_unknown_flag_is_malformed: "a WANT with flag 2" => told("malformed", "FT-5"),
        |c| pulls(c, &want(1, 3, &[b"old"]));
}

rows! {
    ORDER, serve, "Frames that are not allowed";
    frame_before_hello_is_a_violation: "GOODBYE first" => told("violation", "FT-10"),
        |c| says(c, &[preamble(1, 1), goodbye()].concat());
    hello_of_a_server_is_a_violation: "HELLO without an intent" => told("violation", "FT-11"),
        |c| says(c, &[preamble(1, 1), hello(0)].concat());
    second_hello_is_a_violation: "HELLO twice" => told("violation", "FT-10"), |c| pushes(c, &hello(PUSH));
    change_of_mind_is_a_violation: "HELLO for a pull behind HELLO for a push" => told("violation", "FT-10"),
        |c| pushes(c, &hello(PULL));
    offer_out_of_number_is_a_violation: "OFFER 7 first" => told("violation", "FT-12"), |c| pushes(c, &offer(7, &[b"new"]));
    offer_for_a_want_in_a_push_is_a_violation: "OFFER for want 4" => told("violation", "FT-16"),
        |c| pushes(c, &Offer { want: 4, ..FILE }.frame(1));
    content_without_an_offer_is_a_violation: "DATA of stream 1, never offered" => told("violation", "FT-21"),
        |c| pushes(c, &data(1, 0, b"hello"));
    content_with_a_gap_is_a_violation: "DATA at 3" => told("violation", "FT-24"), |c| sends(c, &data(1, 3, b"lo"));
    content_that_overlaps_is_a_violation: "DATA at 0, then at 2" => told("violation", "FT-23"),
        |c| sends(c, &[data(1, 0, b"hel"), data(1, 2, b"llo")].concat());
    content_past_the_size_is_a_violation: "six bytes of a file of five" => told("violation", "FT-25"),
        |c| sends(c, &data(1, 0, b"hello!"));
    hole_past_the_size_is_a_violation: "a HOLE of 16 MiB in a file of five bytes" => told("violation", "FT-25"),
        |c| sends(c, &hole(1, 0, 1 << 24));
    content_within_other_content_is_a_violation: "DATA of stream 2 in the middle of stream 1" => told("violation", "FT-22"),
        |c| {
            let both = [offer(1, &[b"new"]), offer(2, &[b"b"])].concat();
            c.push().say(&both).hear(ACK1, 1).hear(ACK1, 2).say(&[data(1, 0, b"hel"), data(2, 0, b"x")].concat());
        };
    end_short_of_the_size_is_a_violation: "END after three of five bytes" => told("violation", "FT-26"),
        |c| sends(c, &[data(1, 0, b"hel"), end(1, b"hel")].concat());
    end_with_another_size_is_a_violation: "END that states six bytes" => told("violation", "FT-26"),
        |c| sends(c, &[data(1, 0, b"hello"), end(1, b"hello!")].concat());
    goodbye_with_a_file_unfinished_is_a_violation: "GOODBYE in place of content" => told("violation", "FT-32"),
        |c| sends(c, &goodbye());
    acknowledgement_from_a_sender_is_a_violation: "ACK2 in a push" => told("violation", "FT-11"),
        |c| pushes(c, &ack2(1, 2, b"hello", &[b"new"]));
    want_in_a_push_is_a_violation: "WANT in a push" => told("violation", "FT-11"), |c| pushes(c, &want(1, 1, &[b"old"]));
    offer_in_a_pull_is_a_violation: "OFFER in a pull" => told("violation", "FT-11"),
        |c| pulls(c, &[want(1, 1, &[b"old"]), offer(1, &[b"new"])].concat());
    want_out_of_number_is_a_violation: "WANT 2 first" => told("violation", "FT-35"), |c| pulls(c, &want(2, 1, &[b"old"]));
    want_after_the_last_is_a_violation: "WANT 2 behind the one that was the last" => told("violation", "FT-35"),
        |c| pulls(c, &[want(1, 1, &[b"old"]), want(2, 1, &[b"old"])].concat());
    answer_to_no_offer_is_a_violation: "ACK1 for stream 4" => told("violation", "FT-20"),
        |c| pulls(c, &[want(1, 1, &[b"old"]), ack1(4, 0, &[1])].concat());
    second_answer_to_an_offer_is_a_violation: "ACK1 twice" => told("violation", "FT-20"),
        |c| { c.pull().say(&want(1, 1, &[b"old"])).hear(OFFER, 1).say(&[ack1(1, 0, &[1]), ack1(1, 0, &[1])].concat()); };
    acknowledgement_before_the_end_is_a_violation: "ACK2 before ACK1" => told("violation", "FT-28"),
        |c| { c.pull().say(&want(1, 1, &[b"old"])).hear(OFFER, 1).say(&ack2(1, 2, b"the old content", &[b"old"])); };
    acknowledgement_of_other_content_is_not_believed: "ACK2 with another root" => silent("FT-50"),
        |c| { c.pull().say(&want(1, 1, &[b"old"])).hear(OFFER, 1).say(&ack1(1, 0, &[1])).hear(END, 1).say(&ack2(1, 2, b"the odd content", &[b"old"])); };
    kept_prefix_longer_than_the_file_is_a_violation: "ACK1 *resume* at 1 MiB of a file of 15 bytes" => told("violation", "FT-57"),
        |c| { c.pull().say(&want(1, 1, &[b"old"])).hear(OFFER, 1).say(&ack1(1, 1 << 20, &[&[2, 1][..], &[0; 32]].concat())); };
    goodbye_before_the_sender_s_is_a_violation: "GOODBYE in the middle of a pull" => told("violation", "FT-72"),
        |c| { c.pull().say(&want(1, 1, &[b"old"])).hear(OFFER, 1).say(&goodbye()); };
    compressed_content_that_nobody_announced_is_malformed: "ZDATA without its bit in HELLO" => told("malformed", "FT-4"),
        |c| sends(c, &frame(ZDATA, 1, 0, &[&5u32.to_be_bytes()[..], b"x"].concat()));
    compressed_content_that_is_none_is_malformed: "ZDATA of bytes that are not zstd" => told("malformed", "FT-76"),
        |c| squeezed(c, 200, b"not zstd");
    bomb_is_malformed_before_it_unpacks: "ZDATA of 100 stated bytes that unpacks to 200" => told("malformed", "FT-76"),
        |c| squeezed(c, 100, BOMB);
    compressed_content_longer_than_a_frame_is_malformed: "ZDATA that states 2 MiB" => told("malformed", "FT-76"),
        |c| squeezed(c, 2 << 20, BOMB);
    bytes_after_goodbye_are_not_answered: "a frame behind GOODBYE" => silent("FT-31"),
        |c| { c.push().say(&[goodbye(), goodbye()].concat()); };
    error_ends_the_session_without_an_answer: "ERROR for the session" => silent("peer ended the session"),
        |c| pushes(c, &frame(crate::craft::ERROR, 0, 0, &crate::craft::fault(42, 0, b"\x1b[31menough")));
}

/// 200 times the letter `a`, as zstd packs it.
const BOMB: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd, 0x20, 0xc8, 0x43, 0x06, 0x00, b'a'];

/// Sends this as ZDATA of so many bytes, having announced that it could.
fn squeezed(client: &mut Client, stated: u32, packed: &[u8]) {
    let begin = [preamble(1, 1), hello_with(PUSH, 1, b"test", b"")].concat();
    let offer = Offer { size: 4 << 20, ..FILE }.frame(1);
    let zdata = frame(ZDATA, 1, 0, &[&stated.to_be_bytes()[..], packed].concat());
    client.bare().say(&begin).say(&offer).hear(ACK1, 1).say(&zdata);
}

#[test]
fn vocabulary_of_these_tables_makes_a_session_that_is_served() {
    // If this fails, every row that expects a refusal proves nothing.
    assert_eq!((HELLO, WANT, ALIVE, path(&[]).len()), (1, 0x10, 0x80, 2));
    const ROW: Row = Row {
        group: "",
        name: "",
        what: "",
        outcome: crate::served::lands(&["new"]),
        play: |c| sends(c, &[whole(1), goodbye()].concat()),
    };
    serve(&ROW);
}
