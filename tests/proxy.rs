//! `ft-cli proxy` as its users see it: between the program's own naive lab server and clients that a test plays.
//!
//! Without `tshark` this fails: what has not been looked at has not passed.
#![cfg(target_os = "linux")]

#[path = "support/mod.rs"]
mod support;

use std::io::Read as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::{Ended, PATIENCE, Server, connect, deadlines, event, events, folder, ft_cli, run, send, take, take_all};

/// A proxy on a free port, in front of `target`.
fn proxy(target: &str, options: &[&str]) -> Server {
    Server::run(ft_cli(["proxy", ":0", target]).args(options))
}

/// The naive program of lab A, which believes that one read is one message.
fn naive_lab(folder: &Path) -> Server {
    Server::start(folder, ["--dialect", "pipe", "--lab", "naive"])
}

/// A program behind the proxy that a test plays, as an address and what accepts.
fn target() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let at = listener.local_addr().expect("bound").to_string();
    (listener, at)
}

#[track_caller]
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).expect("an option");
    let until = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).expect("an option");
                return deadlines(stream);
            }
            Err(error) => assert!(Instant::now() < until, "nobody connects: {error}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A line for people that begins with the connection's number and says that it is over.
fn closed(proxy: &mut Server, connection: u16) -> String {
    let (over, failed) = (format!("{connection}: c"), format!("{connection}: failed"));
    proxy.running.line(|line| line.starts_with(&over) || line.starts_with(&failed))
}

/// What is said by a command that is not to run at all.
fn refused(options: &[&str]) -> Ended {
    run(ft_cli(["proxy", ":0", ":1"]).args(options)).expect(2)
}

/// A capture's fields, one packet a line.
fn tshark(file: &Path, args: &[&str]) -> Vec<String> {
    let said = run(Command::new("tshark").arg("-n").arg("-r").arg(file).args(args)).expect(0);
    said.out
}

#[test]
fn split_header_crashes_the_naive_server_and_the_capture_shows_it() {
    let inbox = folder();
    let mut lab = naive_lab(inbox.path());
    let capture = inbox.path().join("seen.pcapng");
    let options = ["--schedule", "c2s@4 split", "--connections", "2", "--record"];
    let proxy = Server::run(ft_cli(["proxy", ":0", &lab.address]).args(options).arg(&capture));
    for _ in 0..2 {
        let mut client = connect(&proxy.address);
        send(&mut client, b"a.txt|3");
        // The first connection breaks; the second has no steps, and the server has not learned anything.
        if client.read_exact(&mut [0; 3]).is_ok() {
            send(&mut client, b"abc");
        }
    }
    let crash = lab.running.line(|line| line.contains("crashed"));
    assert!(crash.contains("ValueError: not enough values to unpack"), "{crash}");
    lab.running.line(|line| line.contains("says it saved a.txt: 3 bytes of 3 stated"));
    let ended = proxy.running.finish().expect(0);
    let line = |start: &str| ended.out.iter().find(|line| line.starts_with(start)).expect("it was closed").as_str();
    let (first, second) = (line("1: c"), line("2: c"));
    assert!(first.contains("boundaries: exact") && !first.contains("never reached"), "{first}");
    assert!(second.contains("2: closed; c2s 10 bytes in 2 segments, s2c 3 bytes in 1 segment"), "{second}");
    assert!(!second.contains("boundaries"), "nothing was asked for: {second}");
    assert!(ended.out.last().is_some_and(|line| line.contains("events written to")), "{}", ended.text());
    let lens = tshark(&capture, &["-Y", "tcp.stream == 0 && tcp.len > 0", "-T", "fields", "-e", "tcp.len"]);
    assert_eq!(lens.first().map(String::as_str), Some("4"), "{lens:?}");
    let comments = tshark(&capture, &["-T", "fields", "-e", "frame.comment"]);
    assert!(comments.iter().any(|line| line.contains("schedule: c2s@4 split")), "{comments:#?}");
    let check = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y"];
    let bad = "_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0";
    assert_eq!(tshark(&capture, &[&check[..], &[bad]].concat()), Vec::<String>::new());
    assert_ne!(tshark(&capture, &[&check[..], &["tcp.checksum.status == 1"]].concat()), Vec::<String>::new());
}

#[test]
fn scenario_lends_its_schedule() {
    let (listener, at) = target();
    let mut proxy = proxy(&at, &["--scenario", "pitfall-split-ack", "--connections", "1", "--json"]);
    let client = connect(&proxy.address);
    let mut server = accept(&listener);
    // The scenario's step is in the middle of the acknowledgement.
    send(&mut server, b"ACK");
    let mut client = client;
    assert_eq!(client.read(&mut [0; 3]).expect("bytes"), 1);
    assert_eq!(client.read(&mut [0; 3]).expect("bytes"), 2);
    drop((client, server));
    let line = proxy.running.line(|line| line.contains(r#""event":"closed""#));
    assert_eq!(event(&line)["boundaries"], "exact");
    let ended = proxy.running.finish().expect(0);
    assert_eq!(events(&ended.out, "listening")[0]["schedule"], "s2c@1 split");
    let said = run(&mut ft_cli(["proxy", ":0", ":1", "--scenario", "pitfall-split-ack", "--play", "9"])).expect(2);
    assert!(said.err.contains("pitfall-split-ack has no play 9: it has "), "{}", said.err);
}

#[test]
fn steps_of_the_second_connection_leave_the_first_and_the_third_alone() {
    let (listener, at) = target();
    let mut proxy = proxy(&at, &["--schedule", "2:c2s@1 split; 2:s2c@0 rst; 7:c2s@1 rst", "--json"]);
    for number in 1..=3 {
        let mut client = connect(&proxy.address);
        // `rst` at 0 ends the second before anything is passed on.
        if number == 2 {
            assert!(matches!(client.read(&mut [0]), Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset));
            drop(accept(&listener));
        } else {
            let mut server = accept(&listener);
            send(&mut client, b"ping");
            assert_eq!(take(&mut server, 4), b"ping");
        }
        drop(client);
        let line = proxy.running.line(|line| line.contains(r#""event":"closed""#));
        let closed = event(&line);
        assert_eq!(closed["connection"], number);
        // The split lies behind an end.
        assert_eq!(closed["unplayed"], u64::from(number == 2), "{line}");
        assert_eq!(closed["why"], "end");
    }
    proxy.running.interrupt();
    let ended = proxy.running.finish().expect(0);
    assert_eq!(events(&ended.out, "opened").len(), 3);
    assert_eq!(events(&ended.out, "unplayed")[0]["steps"], 1, "the seventh never came");
}

#[test]
fn slow_path_takes_its_time_in_each_direction() {
    let (listener, at) = target();
    let proxy = proxy(&at, &["--latency", "40ms"]);
    let mut client = connect(&proxy.address);
    let mut server = accept(&listener);
    let began = Instant::now();
    for _ in 0..2 {
        send(&mut client, b"ping");
        assert_eq!(take(&mut server, 4), b"ping");
        send(&mut server, b"pong");
        assert_eq!(take(&mut client, 4), b"pong");
    }
    assert!(began.elapsed() >= Duration::from_millis(160), "{:?}", began.elapsed());
}

#[test]
fn narrow_path_keeps_its_rate() {
    let (listener, at) = target();
    let proxy = proxy(&at, &["--rate", "1M"]);
    let mut client = connect(&proxy.address);
    let mut server = accept(&listener);
    let began = Instant::now();
    send(&mut client, &support::content(100_000, 1));
    client.shutdown(Shutdown::Write).expect("ended");
    assert!(take_all(&mut server) == support::content(100_000, 1), "the same bytes");
    // 800,000 bits.
    assert!(began.elapsed() >= Duration::from_millis(790), "{:?}", began.elapsed());
}

#[test]
fn reset_stays_behind_the_bytes_before_it_on_a_slow_path() {
    let (listener, at) = target();
    let proxy = proxy(&at, &["--latency", "50ms"]);
    let mut client = connect(&proxy.address);
    let mut server = accept(&listener);
    send(&mut server, b"unread");
    send(&mut client, b"last words");
    // What comes back is not read, so that the end is a RST.
    client.peek(&mut [0; 6]).expect("bytes");
    drop(client);
    assert_eq!(take(&mut server, 10), b"last words");
    assert_eq!(server.read(&mut [0]).expect_err("a reset").kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn schedules_that_no_proxy_can_play_are_refused_with_the_reason() {
    for (schedule, reason) in [
        ("c2s@4 short", "c2s@4 short: only the writer's own socket can cut a write short"),
        ("2:s2c@3 kill server", "2:s2c@3 kill server: the proxy did not start that process"),
        ("c2s@0 split", "schedule"),
    ] {
        let said = refused(&["--schedule", schedule]);
        assert!(said.err.contains(reason), "{}", said.err);
        assert_eq!(said.out, Vec::<String>::new());
    }
    for options in [
        &["--record", "seen.txt"][..],
        &["--connections", "0"],
        &["--timeout", "0"],
        &["--rate", "10"],
        &["--latency", "5"],
        &["--scenario", "no-such-scenario"],
    ] {
        refused(options);
    }
}

#[test]
fn recording_that_cannot_be_written_is_heard_of_before_anything_passes() {
    let said = run(&mut ft_cli(["proxy", ":0", ":1", "--record", "/nonexistent/seen.json"])).expect(1);
    assert!(said.err.contains("cannot write to /nonexistent/seen.json"), "{}", said.err);
    assert_eq!(said.out, Vec::<String>::new(), "it did not even listen");
}

#[test]
fn target_that_refuses_costs_its_client_the_connection_and_nobody_else() {
    let (listener, at) = target();
    drop(listener);
    let mut proxy = proxy(&at, &[]);
    let mut client = connect(&proxy.address);
    assert!(client.read(&mut [0]).is_ok_and(|n| n == 0), "an end, for nothing had been sent");
    let line = closed(&mut proxy, 1);
    assert!(line.starts_with(&format!("1: failed: cannot reach the target: {at}: Connection refused")), "{line}");
    // The program behind it starts after all.
    let listener = TcpListener::bind(&at).expect("its port is still free");
    let mut client = connect(&proxy.address);
    let mut server = accept(&listener);
    send(&mut client, b"ping");
    assert_eq!(take(&mut server, 4), b"ping");
    drop((client, server));
    closed(&mut proxy, 2);
    // One connection was not relayed.
    proxy.stop().expect(1);
}

#[test]
fn proxy_in_front_of_itself_says_so_instead_of_calling_itself_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let at = format!(":{port}");
    let mut proxy = Server::run(&mut ft_cli(["proxy", &at, &at]));
    drop(connect(&proxy.address));
    assert!(closed(&mut proxy, 1).contains("the target is this proxy itself"));
}

#[test]
fn ctrl_c_cuts_off_what_is_open_says_what_passed_and_writes_the_recording() {
    let (listener, at) = target();
    let place = folder();
    let record = place.path().join("seen.json");
    let mut command = ft_cli(["proxy", ":0", &at, "--json", "--record"]);
    let mut proxy = Server::run(command.arg(&record));
    let mut client = connect(&proxy.address);
    let mut server = accept(&listener);
    send(&mut client, b"ping");
    assert_eq!(take(&mut server, 4), b"ping");
    assert!(proxy.running.runs());
    proxy.running.interrupt();
    let ended = proxy.running.finish().expect(0);
    let closed = &events(&ended.out, "closed")[0];
    assert_eq!((closed["why"].as_str(), closed["c2s"]["bytes"].as_u64()), (Some("stopped"), Some(4)));
    assert_eq!(events(&ended.out, "recorded")[0]["lost"], 0);
    let lines: Vec<String> = std::fs::read_to_string(record).expect("a recording").lines().map(Into::into).collect();
    assert_eq!(events(&lines, "open")[0]["conn"], 1);
    assert_eq!(events(&lines, "write")[0]["data"], "ping");
    assert_eq!(events(&lines, "deliver")[0]["data"], "ping");
    assert_eq!(take_all(&mut server), b"", "an end, not a RST: it had said nothing");
}

#[test]
fn silence_that_a_stall_makes_ends_after_the_timeout() {
    let (listener, at) = target();
    let mut proxy = proxy(&at, &["--schedule", "c2s@2 stall", "--timeout", "1", "--connections", "1"]);
    let mut client = connect(&proxy.address);
    let mut server = accept(&listener);
    send(&mut client, b"ping");
    client.shutdown(Shutdown::Write).expect("ended");
    let began = Instant::now();
    assert_eq!(take_all(&mut server), b"pi");
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    let line = closed(&mut proxy, 1);
    assert!(line.contains("closed after too long a silence"), "{line}");
    proxy.running.finish().expect(0);
}

#[test]
fn client_that_writes_and_leaves_before_the_target_answers_loses_nothing() {
    let (listener, at) = target();
    let proxy = proxy(&at, &["--schedule", "c2s@3 split"]);
    let mut client = connect(&proxy.address);
    send(&mut client, b"all in one");
    drop(client);
    let mut server = accept(&listener);
    assert_eq!(server.read(&mut [0; 64]).expect("bytes"), 3);
    assert_eq!(take_all(&mut server), b" in one");
}

#[test]
fn both_loopbacks_lead_to_a_target_of_either_family() {
    for at in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(at).expect("loopback");
        let at = listener.local_addr().expect("bound").to_string();
        let proxy = proxy(&at, &["--schedule", "c2s@1 split; 2:c2s@1 split"]);
        let own = proxy.port().to_owned();
        for host in ["127.0.0.1", "[::1]"] {
            let mut client = connect(&format!("{host}:{own}"));
            let mut server = accept(&listener);
            send(&mut client, b"ping");
            assert_eq!(server.read(&mut [0; 64]).expect("bytes"), 1, "{host} to {at}");
            assert_eq!(take(&mut server, 3), b"ing");
        }
    }
}

#[test]
fn many_connections_at_once_are_relayed_side_by_side() {
    let (listener, at) = target();
    let proxy = proxy(&at, &["--connections", "100", "--schedule", "5:c2s@1 stall"]);
    let mut clients: Vec<TcpStream> = (0..100).map(|_| connect(&proxy.address)).collect();
    let mut servers: Vec<TcpStream> = (0..100).map(|_| accept(&listener)).collect();
    for (client, number) in clients.iter_mut().zip(0_u8..) {
        send(client, &[number; 9]);
        client.shutdown(Shutdown::Write).expect("ended");
    }
    // Whose connection is whose is nobody's promise: the fifth alone is cut short.
    let mut heard = Vec::new();
    for server in &mut servers {
        let mut byte = [0];
        server.read_exact(&mut byte).expect("a byte");
        heard.push(byte[0]);
    }
    heard.sort_unstable();
    assert_eq!(heard, (0..100).collect::<Vec<u8>>());
    drop((clients, servers));
    proxy.running.interrupt();
    let ended = proxy.running.finish().expect(0);
    let over = ended.out.iter().filter(|line| line.contains(": closed") || line.contains(": cut off")).count();
    assert_eq!(over, 100, "{}", ended.text());
}
