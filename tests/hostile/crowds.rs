//! Many at once: peers that say nothing, or a byte now and then, before and after a HELLO, in hundreds. The full flood, with
//! its figures, is benches/flood.py.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::craft::{ACK1, ALIVE, PUSH, Wire, data, frame, hello, offer, preamble};
use crate::harness::{Sandbox, Server, noise};

/// A connection from another address of this machine.
fn from(last: u8, server: &Server) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into()).expect("an address");
    let to: SocketAddr = server.address().parse().expect("an address");
    socket.connect(&to.into()).expect("a connection");
    socket.into()
}

/// Resident memory of the one server of this sandbox, MiB: the most that it ever had.
fn most_memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

#[test]
fn hundreds_that_say_nothing_or_next_to_nothing_neither_fill_a_server_nor_keep_others_out() {
    let sandbox = Sandbox::new();
    sandbox.folder("inbox");
    sandbox.file("good", noise(1 << 20));
    let server = sandbox.serve("inbox");
    let begin = [preamble(1, 1), hello(PUSH)].concat();
    let mut silent = Vec::new();
    let mut dripping = Vec::new();
    let mut sitting = Vec::new();
    for n in 0..150 {
        silent.push(from(2, &server));
        dripping.push((from(3, &server), begin.clone()));
        // Behind a HELLO, an OFFER, and a little of its content.
        let mut stream = from(4 + n % 3, &server);
        let said = [&begin[..], &offer(1, &[format!("bad-{n}").as_bytes()])].concat();
        let _ = stream.write_all(&said);
        sitting.push(stream);
    }
    let begun = Instant::now();
    for round in 0.. {
        for (stream, bytes) in &mut dripping {
            let _ = stream.write_all(&bytes[round % 40..=round % 40]);
        }
        for stream in &mut sitting {
            let _ = stream.write_all(&frame(ALIVE, 1, 0, b"")[round % 28..=round % 28]);
        }
        if begun.elapsed() > Duration::from_secs(6) {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    sandbox.run(&format!("put good {}", server.address())).expect(0);
    let most = most_memory(&server);
    assert!(most <= 64, "{most} MiB");
    drop((silent, dripping, sitting));
}

#[test]
fn session_that_drips_content_gives_way_and_what_it_sent_is_kept_for_a_retry() {
    let sandbox = Sandbox::new();
    sandbox.folder("inbox");
    sandbox.file("good", "good");
    let mut server = sandbox.serve("inbox --max-connections 1");
    let mut slow = Wire::new(from(2, &server));
    slow.say(&[preamble(1, 1), hello(PUSH), offer(1, &[b"slow"])].concat()).hear(ACK1, 1);
    let begun = Instant::now();
    for byte in data(1, 0, b"hello") {
        slow.say(&[byte]);
        std::thread::sleep(Duration::from_millis(200));
        if begun.elapsed() > Duration::from_secs(6) {
            break;
        }
    }
    // From an address that has no session, while the other has one, it is "fewer"; but one for one is no reason.
    let refused = sandbox.run(&format!("put good {} --retries 0", server.address())).expect(1);
    assert!(refused.stderr.contains("busy: 1 sessions are open"), "{}", refused.stderr);
    std::thread::sleep(Duration::from_secs(15));
    sandbox.run(&format!("put good {} --retries 0", server.address())).expect(0);
    server.await_line("gave way to another client");
}

#[test]
fn address_has_no_more_sessions_than_it_may() {
    let sandbox = Sandbox::new();
    sandbox.folder("inbox");
    sandbox.file("good", "good");
    let server = sandbox.serve("inbox --per-address 2");
    let mut held = Vec::new();
    for n in 0..3 {
        let mut wire = Wire::new(from(2, &server));
        let name = format!("held-{n}");
        wire.say(&[preamble(1, 1), hello(PUSH), offer(1, &[name.as_bytes()])].concat());
        if n < 2 {
            wire.hear(ACK1, 1);
        } else {
            wire.hear(crate::craft::ERROR, 0);
            let told = wire.heard.iter().find_map(crate::craft::Heard::fault).expect("it is told");
            assert!(told.0 == "busy" && told.1.contains("2 sessions of your address are open"), "{told:?}");
        }
        held.push(wire);
    }
    sandbox.run(&format!("put good {} --retries 0", server.address())).expect(0);
}

#[test]
fn key_with_a_rate_moves_no_faster_however_many_connections_it_opens() {
    let sandbox = Sandbox::new();
    sandbox.folder("inbox");
    for name in ["a", "b"] {
        sandbox.file(name, noise(200_000));
    }
    let [mine, theirs] =
        ["config", "theirs"].map(|home| sandbox.run_at(home, "key").expect(0).text().trim().to_owned());
    sandbox.file("friends", format!("{mine} read write rate=200k\n"));
    let server = sandbox.serve_at("theirs", "inbox --tls --authorized friends");
    let begun = Instant::now();
    sandbox.run(&format!("put -j2 a b {} --peer {theirs} --durability cached", server.address())).expect(0);
    let took = begun.elapsed().as_secs_f64();
    // 400,000 bytes and what goes around them; what may be made good after a stall is a twentieth of a second.
    assert!((1.9..15.0).contains(&took), "{took} s");
}

/// As for one that says nothing: what it says now and then tells nobody whom it is for. It has as long again to hear that.
#[test]
fn stranger_who_never_comes_to_the_point_is_cut_after_the_time_for_a_greeting() {
    let sandbox = Sandbox::new();
    sandbox.folder("inbox");
    let server = sandbox.serve("inbox");
    let mut stream = from(2, &server);
    let begun = Instant::now();
    while stream.write_all(b"a").is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is still listened to");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(begun.elapsed() > Duration::from_secs(5), "it was cut at once");
}
