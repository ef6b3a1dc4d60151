//! More than a server gives: space, streams, wants, places, patience.

use std::time::Duration;

use crate::craft::{
    ACK1, ALIVE, DONE, ERROR, FILE, GOODBYE, OFFER, Offer, PULL, PUSH, Wire, ack1, data, frame, goodbye, hello, offer,
    preamble, want, whole,
};
use crate::served::{Client, Row, failed, lands, refused, serve, silent, told};
use crate::table::rows;

/// Offers so many files with names of that length, and answers nothing.
fn crowd(client: &mut Client, count: u32, length: usize) {
    let offers: Vec<u8> = (1..=count).flat_map(|n| offer(n, &[&format!("{n:0>length$}").into_bytes()])).collect();
    client.push().say(&offers);
}

rows! {
    LIMITS, serve, "Limits and storage";
    file_larger_than_the_disk_is_refused_before_it_comes: "offers 2^60 bytes" => refused("no-space"),
        |c| { c.push().say(&Offer { size: 1 << 60, ..FILE }.frame(1)).hear(ACK1, 1).say(&goodbye()); };
    file_larger_than_any_file_is_refused: "offers 2^63 - 1 bytes" => refused("no-space"),
        |c| { c.push().say(&Offer { size: (1 << 63) - 1, ..FILE }.frame(1)).hear(ACK1, 1).say(&goodbye()); };
    more_streams_than_the_window_end_the_session: "12,289 offers at once" => told("violation", "FT-13"),
        |c| crowd(c, 12_289, 8);
    more_bytes_of_offers_than_the_window_end_the_session: "2 MiB and more of long names" => told("violation", "FT-14"),
        |c| {
            let long = [b'n'; 250];
            let offers: Vec<u8> = (1..=560).flat_map(|n: u32| {
                let last = n.to_string().into_bytes();
                offer(n, &[&[&long[..]; 15][..], &[&last]].concat())
            }).collect();
            c.push().say(&offers);
        };
    more_wants_than_a_session_has_end_it: "4,097 WANTs" => told("violation", "FT-35"),
        |c| {
            let wants: Vec<u8> = (1..=4_097).flat_map(|n| want(n, 0, &[b"nothing"])).collect();
            c.pull().say(&wants);
        };
    more_bytes_of_wants_than_a_session_has_end_it: "1 MiB and more of WANTs" => told("violation", "FT-35"),
        |c| {
            let long = [b'n'; 250];
            let wants: Vec<u8> = (1..=300).flat_map(|n| want(n, 0, &[&long[..]; 15])).collect();
            c.pull().say(&wants);
        };
    file_that_is_there_is_kept_where_nothing_is_replaced: "offers `old` with *replace*, `--overwrite never`" => refused("exists"),
        |c| { c.options("--overwrite never").push().say(&offer(1, &[b"old"])).hear(ACK1, 1).say(&goodbye()); };
    push_to_a_read_only_server_is_forbidden: "a push, `--read-only`" => told("forbidden", "read-only"),
        |c| { c.options("--read-only").push().say(&offer(1, &[b"new"])); };
    pull_from_a_drop_only_server_is_forbidden: "a pull, `--drop-only`" => told("forbidden", "shows none"),
        |c| { c.options("--drop-only").pull().say(&want(1, 1, &[b"old"])); };
    listing_of_a_drop_only_server_is_forbidden: "a listing, `--drop-only`" => told("forbidden", "shows none"),
        |c| { c.options("--drop-only").bare().say(&[preamble(1, 1), hello(3)].concat()); };
    name_that_another_session_writes_is_refused: "offers what another connection is sending" => refused("name-busy").and_lands(&["new"]),
        |c| {
            let mut first = c.connection();
            first.say(&[preamble(1, 1), hello(PUSH), offer(1, &[b"new"])].concat()).hear(ACK1, 1);
            c.push().say(&offer(1, &[b"new"])).hear(ACK1, 1).say(&goodbye()).hear(GOODBYE, 0);
            first.say(&[whole(1), goodbye()].concat()).shut().hear_all();
        };
    connection_beyond_the_limit_hears_that_it_is_one: "a second session, `--max-connections 1`" => told("busy", "1 sessions are open"),
        |c| {
            let mut first = c.options("--max-connections 1").connection();
            first.say(&[preamble(1, 1), hello(PUSH), offer(1, &[b"new"])].concat()).hear(ACK1, 1);
            c.push().hear(ERROR, 0);
            first.reset();
            c.server().await_line("put");
        };
    client_that_says_nothing_is_given_up: "connects and waits, `--timeout 0.5`" => told("timed-out", "silent for 0.5 s"),
        |c| { c.options("--timeout 0.5 --dialect ft1").bare().hear_all(); };
    client_that_stops_within_hello_is_given_up: "half of HELLO, then nothing, `--timeout 0.5`" => told("timed-out", "silent for 0.5 s"),
        |c| { c.options("--timeout 0.5").bare().say(&[&preamble(1, 1), &hello(PUSH)[..20]].concat()).hear_all(); };
    client_that_stops_within_content_is_given_up: "three bytes, then nothing, `--timeout 0.5`" => told("timed-out", "silent for 0.5 s"),
        |c| { c.options("--timeout 0.5").push().say(&offer(1, &[b"new"])).hear(ACK1, 1).say(&data(1, 0, b"hello")[..31]).hear_all(); };
    client_that_never_reads_is_given_up: "asks for 64 MiB and reads none, `--timeout 0.5`" => silent("silent for 0.5 s"),
        |c| {
            let large = c.sandbox().path("inbox/large");
            std::fs::File::create(&large).and_then(|file| file.set_len(64 << 20)).expect("a file");
            // No holes: they would be a frame each.
            std::fs::write(&large, vec![5; 64 << 20]).expect("a file");
            c.options("--timeout 0.5").pull().say(&want(1, 1, &[b"large"])).hear(OFFER, 1).say(&ack1(1, 0, &[1]));
            c.server().await_line("silent for 0.5 s");
            c.bare().reset();
            std::fs::remove_file(large).expect("its own file");
        };
    client_that_drips_before_hello_is_cut: "a byte of HELLO every half second" => silent("did not say what it wants"),
        |c| drip(c, |wire, n| { let bytes = [preamble(1, 1), hello(PUSH)].concat(); wire.say(&bytes[n..=n]); });
    thousand_empty_folders_cost_what_they_are: "a want of everything, answered with refusals" => lands(&[]),
        |c| {
            for n in 0..50 {
                c.sandbox().folder(&format!("inbox/many/{n}"));
            }
            c.bare().say(&[preamble(1, 1), hello(PULL), want(1, 1, &[b"many"])].concat()).hear(DONE, 1);
            for n in 1..=51 {
                c.bare().say(&ack1(n, 0, &[&[5][..], &crate::craft::fault(43, 0, b"")].concat()));
            }
            c.bare().hear(GOODBYE, 0).say(&goodbye());
            std::fs::remove_dir_all(c.sandbox().path("inbox/many")).expect("its own folder");
        };
    flood_of_signs_of_life_costs_nothing: "100,000 times ALIVE, then a file" => lands(&["new"]),
        |c| {
            let alive = frame(ALIVE, 1, 0, b"").repeat(100_000);
            c.push().say(&alive).say(&offer(1, &[b"new"])).hear(ACK1, 1).say(&[whole(1), goodbye()].concat());
        };
    flood_of_frames_of_one_byte_is_content: "20,000 DATA frames of a byte" => failed("integrity"),
        |c| {
            let bytes: Vec<u8> = (0..20_000).flat_map(|n| data(1, n, b"x")).collect();
            let end = frame(crate::craft::END, 1, 20_000, &[0; 32]);
            c.push().say(&Offer { size: 20_000, ..FILE }.frame(1)).hear(ACK1, 1).say(&bytes).say(&[end, goodbye()].concat());
        };
}

/// Says something now and then until the server hangs up, which it must within some time.
fn drip(client: &mut Client, say: impl Fn(&mut Wire, usize)) {
    let begun = std::time::Instant::now();
    client.bare();
    for n in 0..60 {
        say(client.bare(), n.min(40));
        std::thread::sleep(Duration::from_millis(500));
        if client
            .server()
            .stderr_lines()
            .iter()
            .chain(&client.server().stdout_lines())
            .any(|l| l.contains("did not say"))
        {
            break;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}
