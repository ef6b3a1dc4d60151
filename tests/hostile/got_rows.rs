//! Hostile servers: what they send to a client that gets, lists or puts.

use std::time::Duration;

use crate::craft::{
    ACK1, ALIVE, CONTENT, DATA, END, ERROR, FILE, FOLDER, INVITE, LINK, Offer, ack1, ack2, data, done, end, fault,
    frame, given, goodbye, header, hello, hello_with, hole, preamble, whole,
};
use crate::got::{Host, Row, fetch, get, ls, put};
use crate::table::rows;

/// Offers these in answer to the want, and ends the session in order if the client goes on with it.
fn offers(host: &mut Host, frames: &[u8]) {
    host.greet().say(frames).hear(ACK1, 1).say(&done(1, 1)).say(&goodbye());
}

/// Offers `box`, and sends this when it is accepted.
fn sends(host: &mut Host, bytes: &[u8]) {
    host.greet().say(&given(1, 1, &[b"box"])).hear(ACK1, 1).say(bytes);
}

/// The rest of a good answer.
fn rest() -> Vec<u8> {
    [done(1, 1), goodbye()].concat()
}

/// Accepts what the client puts, and says this when it has come.
fn takes(host: &mut Host, bytes: &[u8]) {
    host.receive().say(&ack1(1, 0, &[1])).hear(END, 1).say(bytes);
}

/// Says this before its offer, and all goes well then.
fn invites(host: &mut Host, payload: &[u8]) {
    host.bare().say(&[preamble(1, 1), hello_with(0, 2, b"test", b""), frame(INVITE, 0, 0, payload)].concat());
    host.bare().say(&given(1, 1, &[b"box"])).hear(ACK1, 1).say(&[whole(1), rest()].concat());
}

rows! {
    SERVER_JOINED, fetch, "A server's invitations";
    invitation_to_nowhere_is_no_harm: "says that seven more connections would help, and takes none" => get(0, "").lands(&["box"]),
        |h| invites(h, &[&[1][..], &[7; 7 * 16]].concat());
    invitation_without_tokens_is_no_harm: "says that more connections would help, and gives no token" => get(0, "").lands(&["box"]),
        |h| invites(h, &[1]);
    more_tokens_than_there_may_be_are_malformed: "gives eight tokens" => get(1, "FT-3"),
        |h| invites(h, &[&[0][..], &[7; 8 * 16]].concat());
    half_a_token_is_malformed: "gives half a token" => get(1, "FT-7"), |h| invites(h, &[0, 1, 2, 3]);
    wish_of_a_server_without_meaning_is_malformed: "says INVITE with wish 9" => get(1, "FT-5"), |h| invites(h, &[9]);
}

rows! {
    SERVER_NAMES, fetch, "A server's names";
    answer_in_order_is_taken: "sends `box`, in order" => get(0, "").lands(&["box"]),
        |h| sends(h, &[whole(1), rest()].concat());
    file_that_was_not_asked_for_is_refused: "offers `.bashrc` for the want of `box`" => get(1, "FT-16"),
        |h| { h.greet().say(&given(1, 1, &[b".bashrc"])); };
    file_beside_what_was_asked_for_is_refused: "offers `boxes/new`" => get(1, "FT-16"),
        |h| { h.greet().say(&given(1, 1, &[b"boxes", b"new"])); };
    file_for_a_want_that_was_not_made_is_refused: "offers `box` for want 2" => get(1, "FT-16"),
        |h| { h.greet().say(&given(1, 2, &[b"box"])); };
    file_for_no_want_is_refused: "offers `box` as if pushed" => get(1, "FT-16"),
        |h| { h.greet().say(&given(1, 0, &[b"box"])); };
    file_after_the_last_word_about_a_want_is_refused: "offers `box` behind DONE" => get(1, "FT-16"),
        |h| { h.greet().say(&[done(1, 0), given(1, 1, &[b"box"])].concat()); };
    name_upwards_from_a_server_lands_nowhere: "offers `box/../../outside/new`" => get(4, "bad-name"),
        |h| offers(h, &given(1, 1, &[b"box", b"..", b"..", b"outside", b"new"]));
    slash_in_a_server_s_name_lands_nowhere: "offers `box` / `/etc/cron.d/new`" => get(4, "bad-name"),
        |h| offers(h, &given(1, 1, &[b"box", b"/etc/cron.d/new"]));
    nul_in_a_server_s_name_lands_nowhere: "offers `box` / `a` NUL" => get(4, "bad-name"),
        |h| offers(h, &given(1, 1, &[b"box", b"a\0"]));
    server_cannot_write_into_the_staging_folder: "offers `.ft-staging` for a want of that name" => get(4, "bad-name").by("get HOST/.ft-staging dest/"),
        |h| offers(h, &given(1, 1, &[b".ft-staging", b"new"]));
    server_cannot_write_through_a_link_of_the_client_s: "offers `out/new`, `out` leading outside" => get(4, "unsafe-path").by("get HOST/out dest/"),
        |h| offers(h, &given(1, 1, &[b"out", b"new"]));
    link_that_nobody_asked_for_is_not_made: "offers `box` as a link to `../outside`, links left out" => get(1, "FT-78"),
        |h| offers(h, &Offer { want: 1, path: &[b"box"], target: b"../outside", ..LINK }.frame(1));
    link_that_was_asked_for_is_made_and_not_followed: "sends `box` as a link, then `box/new`"
        => get(4, "unsafe-path").by("get HOST/box dest/ --links keep").lands(&["box -> ../outside"]),
        |h| {
            let link = Offer { want: 1, path: &[b"box"], target: b"../outside", ..LINK }.frame(1);
            h.greet().say(&link).hear(ACK1, 1).say(&end(1, b"")).hear(crate::craft::ACK2, 1);
            h.bare().say(&given(2, 1, &[b"box", b"new"])).hear(ACK1, 2).say(&done(1, 2)).say(&goodbye());
        };
    file_that_is_there_is_not_replaced_unasked: "sends `old`, which is there" => get(4, "exists").by("get HOST/old dest/"),
        |h| offers(h, &given(1, 1, &[b"old"]));
    named_pipe_of_the_client_s_is_not_written_to: "sends `pipe`" => get(4, "wrong-kind").by("get HOST/pipe dest/ --overwrite replace"),
        |h| offers(h, &given(1, 1, &[b"pipe"]));
    set_id_bits_from_a_server_are_malformed: "offers mode 6755" => get(1, "permission bits"),
        |h| { h.greet().say(&Offer { want: 1, mode: 0o6755, path: &[b"box"], ..FILE }.frame(1)); };
    escape_codes_from_a_server_reach_no_terminal: "sends a refusal and names full of escape codes" => get(4, "\\u{1b}[2J"),
        |h| {
            h.greet().say(&frame(crate::craft::DONE, 1, 0, &[&0u32.to_be_bytes()[..], &fault(35, 0, b"\x1b[2J\x1b]0;owned\x07")].concat()));
            h.bare().say(&goodbye());
        };
    folder_that_was_not_asked_for_is_not_made: "offers a folder `etc`" => get(1, "FT-16"),
        |h| { h.greet().say(&Offer { want: 1, path: &[b"etc"], ..FOLDER }.frame(1)); };
}

rows! {
    SERVER_CONTENT, fetch, "A server's content";
    content_with_another_root_does_not_land: "sends `jello` with the root of `hello`" => get(4, "integrity"),
        |h| sends(h, &[data(1, 0, b"jello"), end(1, CONTENT), rest()].concat());
    standard_output_sees_nothing_of_content_with_another_root: "the same, to standard output" => get(4, "integrity").by("get HOST/box -"),
        |h| sends(h, &[data(1, 0, b"jello"), end(1, CONTENT), rest()].concat());
    more_content_than_was_offered_is_refused: "six bytes of five" => get(1, "FT-25"), |h| sends(h, &data(1, 0, b"hello!"));
    content_before_it_is_accepted_is_refused: "DATA in one piece with its OFFER" => get(1, "FT-21"),
        |h| { h.greet().say(&[given(1, 1, &[b"box"]), data(1, 0, CONTENT)].concat()); };
    content_with_a_gap_is_refused: "DATA at 3" => get(1, "FT-24"), |h| sends(h, &data(1, 3, b"lo"));
    content_out_of_order_is_refused: "bytes 0 to 2, then 4" => get(1, "FT-23"), |h| sends(h, &[data(1, 0, b"hel"), data(1, 4, b"o")].concat());
    zeros_without_end_are_refused: "HOLEs of 16 MiB in a file of five bytes" => get(1, "FT-25"), |h| sends(h, &hole(1, 0, 1 << 24));
    size_that_no_disk_has_is_refused: "offers 2^62 bytes" => get(4, "no-space"),
        |h| offers(h, &Offer { want: 1, size: 1 << 62, path: &[b"box"], ..FILE }.frame(1));
    content_frame_of_4_gib_is_refused: "DATA that announces 4 GiB" => get(1, "FT-3"), |h| sends(h, &header(DATA, 0, 1, 0, u32::MAX, 0));
    control_frame_of_4_gib_from_a_server_is_refused: "DONE that announces 4 GiB" => get(1, "FT-3"),
        |h| { h.greet().say(&header(crate::craft::DONE, 0, 1, 0, u32::MAX, 0)); };
    cut_within_content_leaves_no_file: "FIN after three bytes" => get(1, "truncated"), |h| sends(h, &data(1, 0, CONTENT)[..31]);
    cut_behind_the_end_keeps_what_is_whole_and_is_no_success: "content and END, no DONE" => get(1, "truncated").lands(&["box"]),
        |h| sends(h, &whole(1));
    reset_within_content_leaves_no_file: "RST after three bytes" => get(1, "connection failed"),
        |h| { sends(h, &data(1, 0, CONTENT)[..31]); h.bare().reset(); };
    goodbye_without_an_answer_is_refused: "GOODBYE in place of DONE" => get(1, "FT-36"), |h| { h.greet().say(&goodbye()); };
    want_that_is_answered_twice_is_refused: "DONE twice" => get(1, "FT-36"), |h| { h.greet().say(&[done(1, 0), done(1, 0)].concat()); };
    nothing_at_all_is_no_success: "says that the folder is empty, having offered nothing" => get(0, ""),
        |h| { h.greet().say(&rest()); };
    error_with_escape_codes_ends_the_command_with_plain_words: "ERROR for the session, full of escape codes" => get(1, "forbidden: \\u{1b}[31mno"),
        |h| { h.greet().say(&frame(ERROR, 0, 0, &fault(5, 0, b"\x1b[31mno\xff"))); };
    server_of_another_kind_is_named: "`HTTP/1.1 400 Bad Request`" => get(1, "looks like an HTTP server"),
        |h| { h.bare().say(b"HTTP/1.1 400 Bad Request\r\n\r\n"); };
    server_of_another_version_is_named: "versions 2 to 3" => get(1, "no version in common"), |h| { h.bare().say(&preamble(2, 3)); };
    silent_server_is_given_up: "accepts the connection and waits" => get(1, "silent for 0.5 s").by("get HOST/box dest/ --timeout 0.5"),
        |h| h.bare().hear_all();
    server_that_stops_within_content_is_given_up: "three bytes, then nothing" => get(1, "silent for 0.5 s").by("get HOST/box dest/ --timeout 0.5"),
        |h| { sends(h, &data(1, 0, CONTENT)[..31]); h.bare().hear_all(); };
    more_files_than_the_window_are_refused: "12,289 offers at once" => get(1, "FT-13"),
        |h| {
            let offers: Vec<u8> = (1..=12_289).flat_map(|n: u32| given(n, 1, &[b"box", n.to_string().as_bytes()])).collect();
            h.greet().say(&offers);
        };
    compressed_bomb_from_a_server_is_malformed: "ZDATA of 100 stated bytes that unpacks to 200" => get(1, "FT-76"),
        |h| {
            let greeting = [preamble(1, 1), hello_with(crate::craft::ANSWER, 1, b"test", b"")].concat();
            let packed = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0xc8, 0x43, 0x06, 0x00, b'a'];
            let bomb = frame(crate::craft::ZDATA, 1, 0, &[&100u32.to_be_bytes()[..], &packed].concat());
            let offer = Offer { want: 1, size: 4 << 20, path: &[b"box"], ..FILE }.frame(1);
            h.bare().hear(crate::craft::WANT, 1).say(&greeting).say(&offer).hear(ACK1, 1).say(&bomb);
        };
    flood_of_signs_of_life_ends_with_its_server: "100,000 times ALIVE, then FIN" => get(1, "truncated"),
        |h| { h.greet().say(&frame(ALIVE, 1, 0, b"").repeat(100_000)); };
    server_that_offers_and_then_does_not_want_is_no_choice_of_ours: "ERROR not-wanted for `box`, which it offered" => get(4, "not-wanted"),
        |h| sends(h, &[frame(ERROR, 1, 0, &fault(43, 0, b"no")), rest()].concat());
}

rows! {
    SERVER_WORDS, fetch, "A server's listings and acknowledgements";
    listing_of_something_else_is_refused: "an ENTRY for `etc/shadow`" => ls(1, "FT-16"),
        |h| { h.greet().say(&Offer { path: &[b"etc", b"shadow"], ..FILE }.entry(1)); };
    listing_with_a_name_upwards_is_malformed: "an ENTRY for `box/..`" => ls(1, "FT-15"),
        |h| { h.greet().say(&Offer { path: &[b"box", b".."], ..FILE }.entry(1)); };
    listing_without_an_end_is_cut_with_its_connection: "100,000 ENTRYs, then FIN" => ls(1, "truncated"),
        |h| { h.greet().say(&Offer { path: &[b"box", b"x"], ..FILE }.entry(1).repeat(100_000)); };
    listing_with_escape_codes_is_shown_plain: "an ENTRY named ESC `[2J`" => ls(0, ""),
        |h| { h.greet().say(&[Offer { path: &[b"box", b"\x1b[2J\xe2\x80\xae"], ..FILE }.entry(1), rest()].concat()); };
    offer_in_a_listing_is_refused: "OFFER in a listing" => ls(1, "FT-11"), |h| { h.greet().say(&given(1, 1, &[b"box"])); };
    entry_in_a_pull_is_refused: "ENTRY in a pull" => get(1, "FT-11"), |h| { h.greet().say(&FILE.entry(1)); };
    acknowledgement_in_order_is_believed: "ACK2 as it should be" => put(0, ""),
        |h| takes(h, &[ack2(1, 2, b"good", &[b"good"]), goodbye()].concat());
    acknowledgement_of_another_root_is_not_believed: "ACK2 with another root" => put(3, "FT-50"),
        |h| takes(h, &ack2(1, 2, b"evil", &[b"good"]));
    acknowledgement_of_another_size_is_not_believed: "ACK2 with another size" => put(3, "FT-50"),
        |h| takes(h, &ack2(1, 2, b"goo", &[b"good"]));
    acknowledgement_of_less_than_was_asked_for_is_not_believed: "ACK2 *cached* where *durable* was asked for" => put(3, "FT-50"),
        |h| takes(h, &ack2(1, 1, b"good", &[b"good"]));
    acknowledgement_before_the_content_is_not_believed: "ACK2 in place of ACK1" => put(1, "FT-28"),
        |h| { h.receive().say(&ack2(1, 2, b"good", &[b"good"])); };
    acknowledgement_of_a_file_never_offered_is_not_believed: "ACK2 for stream 9" => put(3, "FT-20"),
        |h| takes(h, &ack2(9, 2, b"good", &[b"good"]));
    lost_acknowledgement_is_unknown: "FIN in place of ACK2" => put(3, "truncated"), |h| takes(h, b"");
    goodbye_in_place_of_an_acknowledgement_is_unknown: "GOODBYE in place of ACK2" => put(3, "FT-72"), |h| takes(h, &goodbye());
    same_file_that_has_another_size_is_not_believed: "ACK1 *same-meta* with another size" => put(1, "FT-40"),
        |h| { h.receive().say(&ack1(1, 9, &[3])); };
    same_content_that_nobody_asked_about_is_not_believed: "ACK1 *same-content* where compare was quick" => put(1, "FT-48"),
        |h| { h.receive().say(&ack1(1, 4, &[&[4][..], &[7; 32]].concat())); };
    kept_prefix_of_more_than_the_file_is_not_believed: "ACK1 *resume* at 1 MiB of four bytes" => put(1, "FT-57"),
        |h| { h.receive().say(&ack1(1, 1 << 20, &[&[2, 1][..], &[0; 32]].concat())); };
    want_from_a_server_is_refused: "WANT from the server: asks for a file of the client's" => put(1, "FT-11"),
        |h| { h.receive().say(&crate::craft::want(1, 1, &[b"outside", b"secret"])); };
    offer_from_a_server_that_receives_is_refused: "OFFER from the server of a push" => put(1, "FT-11"),
        |h| { h.receive().say(&given(1, 0, &[b"new"])); };
    hello_with_an_intent_is_refused: "a client's HELLO" => put(1, "FT-11"),
        |h| { h.bare().hear(crate::craft::OFFER, 1).say(&[preamble(1, 1), hello(1)].concat()); };
    server_that_is_busy_is_said_to_be: "ERROR busy in place of HELLO" => put(1, "busy"),
        |h| { h.bare().hear(crate::craft::OFFER, 1).say(&[preamble(1, 1), frame(ERROR, 0, 0, &fault(6, 1, b""))].concat()); };
    server_that_never_reads_is_given_up: "accepts a file of 64 MiB and reads none of it" => put(1, "silent for 0.5 s").by("put large HOST --timeout 0.5"),
        |h| { h.receive().say(&ack1(1, 0, &[1])); std::thread::sleep(Duration::from_secs(2)); };
}
