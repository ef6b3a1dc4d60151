//! Connections that join a session, and what a bad client makes of them.

use crate::craft::{
    ACK1, CONTENT, ERROR, INVITE, JOIN, PULL, PUSH, SPREAD, Wire, frame, goodbye, hello_with, offer, preamble, segment,
    whole,
};
use crate::served::{Client, Row, lands, serve, silent, told};
use crate::table::rows;

/// The feature bit.
const JOINS: u64 = 2;

fn join(token: &[u8], of: u8) -> Vec<u8> {
    [preamble(1, 1), frame(JOIN, 0, 0, &[token, &[of]].concat())].concat()
}

fn spread(lanes: u8) -> Vec<u8> {
    frame(SPREAD, 0, 0, &[lanes])
}

fn hello(intent: u8) -> Vec<u8> {
    [preamble(1, 1), hello_with(intent, JOINS, b"test", b"")].concat()
}

/// The first token of an invitation.
fn token(wire: &mut Wire) -> [u8; 16] {
    let heard = &wire.hear(INVITE, 0).heard;
    let invite = heard.iter().find(|f| f.kind == INVITE).expect("an invitation");
    invite.payload[1..17].try_into().expect("a token")
}

/// Says this to join a session that is under way; the row plays on the joining connection.
fn joins(client: &mut Client, bytes: impl Fn(&[u8; 16]) -> Vec<u8>) {
    let mut session = client.connection();
    let token = token(session.say(&hello(PUSH)));
    client.bare().say(&bytes(&token)).hear(ERROR, 0);
}

/// A push of five bytes over two connections: these segments, behind SPREAD, go on the session's own and the joined one.
/// The row plays on the session's own.
fn spreads(client: &mut Client, own: &[Vec<u8>], joined: &[Vec<u8>]) {
    let mut lane = client.connection();
    let token = token(client.bare().say(&hello(PUSH)));
    lane.say(&join(&token, 1)).hear(JOIN, 0);
    client.bare().say(&offer(1, &[b"new"])).hear(ACK1, 1).say(&[spread(1), own.concat()].concat());
    lane.say(&joined.concat()).shut();
    client.bare().shut().hear_all();
}

fn part(bytes: &[u8], from: usize, to: usize) -> Vec<u8> {
    segment(from as u64, &bytes[from..to.min(bytes.len())])
}

fn rest() -> Vec<u8> {
    [whole(1), goodbye()].concat()
}

rows! {
    JOINED, serve, "Joined connections";
    content_over_two_connections_lands: "DATA, END and GOODBYE in segments of 10 bytes, in turn" => lands(&["new"]),
        |c| {
            let all = rest();
            let parts: Vec<_> = (0..all.len()).step_by(10).map(|at| part(&all, at, at + 10)).collect();
            let turn = |odd: usize| -> Vec<_> { parts.iter().skip(odd).step_by(2).cloned().collect() };
            spreads(c, &turn(0), &turn(1));
        };
    made_up_token_joins_nothing: "JOIN with a token of its own making" => told("forbidden", "no session"),
        |c| { c.bare().say(&join(&[7; 16], 1)); };
    token_is_good_once: "JOIN twice with one token" => told("forbidden", "no session"),
        |c| {
            let mut session = c.connection();
            let token = token(session.say(&hello(PUSH)));
            let mut lane = c.connection();
            lane.say(&join(&token, 1)).hear(JOIN, 0);
            c.bare().say(&join(&token, 1)).hear(ERROR, 0);
        };
    token_ends_with_its_session: "JOIN when the session is over" => told("forbidden", "no session"),
        |c| {
            let mut session = c.connection();
            let token = token(session.say(&hello(PUSH)));
            session.say(&goodbye()).shut().hear_all();
            c.bare().say(&join(&token, 1));
        };
    number_that_joins_together_is_bounded: "JOIN of 8 connections" => told("malformed", "FT-8"),
        |c| joins(c, |token| join(token, 8));
    session_of_a_joined_connection_is_a_violation: "JOIN within a session" => told("violation", "FT-80"),
        |c| { c.bare().say(&[hello(PUSH), join(&[7; 16], 1)[16..].to_vec()].concat()); };
    spread_without_a_word_of_it_is_malformed: "SPREAD, unannounced" => told("malformed", "FT-4"),
        |c| { c.push().say(&spread(1)); };
    spread_over_no_connections_is_malformed: "SPREAD over 0 connections" => told("malformed", "FT-8"),
        |c| { c.bare().say(&[hello(PUSH), spread(0)].concat()); };
    spread_of_a_receiver_is_a_violation: "SPREAD in a pull" => told("violation", "FT-11"),
        |c| { c.bare().say(&[hello(PULL), spread(1)].concat()); };
    second_spread_is_a_violation: "SPREAD behind SPREAD" => told("violation", "FT-79"),
        |c| spreads(c, &[segment(0, &spread(1))], &[]);
    spread_over_connections_that_never_come_times_out: "SPREAD over a connection that does not join" => told("timed-out", "silent"),
        |c| {
            let own = [spread(1), segment(0, &rest())].concat();
            c.options("--timeout 2").bare().say(&[hello(PUSH), offer(1, &[b"new"])].concat()).hear(ACK1, 1).say(&own).hear_all();
        };
    segments_with_a_gap_are_a_violation: "segments at 0 and at 11" => told("violation", "FT-81"),
        |c| { let all = rest(); spreads(c, &[part(&all, 0, 10)], &[part(&all, 11, 99)]); };
    segments_that_overlap_are_a_violation: "segments at 0 and at 9" => told("violation", "FT-81"),
        |c| { let all = rest(); spreads(c, &[part(&all, 0, 10)], &[part(&all, 9, 99)]); };
    segment_header_with_a_flipped_bit_is_a_violation: "a segment whose length has a flipped bit" => told("violation", "FT-81"),
        |c| { let mut bytes = segment(0, &rest()); bytes[11] ^= 1; spreads(c, &[bytes], &[]); };
    segment_of_no_bytes_is_a_violation: "a segment without bytes" => told("violation", "FT-81"),
        |c| spreads(c, &[segment(0, b"")], &[]);
    segment_out_of_place_is_told_to_whoever_still_sends: "an empty segment, and 4 MiB behind it" => told("violation", "FT-81"),
        |c| spreads(c, &[segment(0, b""), vec![7; 4 << 20]], &[]);
    joined_connection_that_ends_within_a_segment_is_a_loss: "a segment of ten bytes that ends after four"
        => silent("within a segment"),
        |c| { let all = rest(); let cut = part(&all, 0, 10)[..20].to_vec(); spreads(c, &[], &[cut]); };
    goodbye_that_never_came_is_a_loss_on_several_connections_too: "all connections end between two segments"
        => silent("without GOODBYE"),
        |c| { let all = rest(); spreads(c, &[part(&all, 0, 10)], &[part(&all, 10, 28 + CONTENT.len())]); };
}
