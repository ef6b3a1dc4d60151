//! Row B4, for both labs: both sides close safely.

use super::*;

#[test]
fn b4_server_that_refuses_reads_to_the_end_so_that_its_answer_arrives() {
    let s = sides();
    std::fs::create_dir(s.there.join("taken")).expect("made");
    let server = Server::start(&s.there, ["--dialect", "auto"]);
    // A close with unread bytes sends an RST, which destroys the status on its way.
    for request in ["UPLOAD\ntaken\n", "UPLOAD\n../x\n"] {
        let mut client = connect(&server.address);
        send(&mut client, request.as_bytes());
        send(&mut client, &content(300_000, 8));
        client.shutdown(std::net::Shutdown::Write).expect("a half-close");
        assert_eq!(take_all(&mut client), b"NOT FOUND\n", "{request:?}");
    }
    // Lab A: a body that is longer than stated is refused, and the client still sees an end in order.
    let mut client = connect(&server.address);
    send(&mut client, b"long|10\n");
    assert_eq!(take(&mut client, 3), b"ACK");
    send(&mut client, &content(300_000, 9));
    client.shutdown(std::net::Shutdown::Write).expect("a half-close");
    assert_eq!(take_all(&mut client), b"");
    assert!(!s.there.join("long").exists());
}

#[test]
fn b4_slow_peers_lose_nothing_when_the_other_side_is_done() {
    let s = sides();
    let bytes = content(1 << 20, 10);
    let path = file(&s.here, "data", &bytes);
    // More than the close waits for, and more data than socket buffers of this size take.
    let slowness = Duration::from_secs(2);
    for (dialect, request, ack, done, code) in [
        ("pipe", &b"data|1048576"[..], &b"ACK"[..], &b""[..], UNKNOWN),
        ("addfile", b"addfiledata", b"file recv\n", b"file data recv\n", COMPLETED),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = listener.local_addr().expect("an address").to_string();
        let client = Running::start(&mut put(dialect, &[], &[&path], &to));
        let mut server = deadlines(listener.accept().expect("a client").0);
        assert_eq!(take(&mut server, request.len()), request);
        send(&mut server, ack);
        std::thread::sleep(slowness);
        assert!(take_all(&mut server) == bytes, "{dialect}");
        send(&mut server, done);
        drop(server);
        client.finish().expect(code);
    }

    let server = Server::start(&s.here, ["--dialect", "addfile"]);
    let mut client = connect(&server.address);
    send(&mut client, b"DOWNLOAD\ndata\n");
    assert_eq!(take(&mut client, 3), b"OK\n");
    std::thread::sleep(slowness);
    assert!(take_all(&mut client) == bytes);
}

#[test]
fn b4_client_that_vanishes_leaves_the_old_file_and_the_server_serving() {
    let s = sides();
    let server = Server::start(&s.there, ["--dialect", "auto"]);
    file(&s.there, "data", b"the old file");
    for first in [&b"data|1000"[..], b"UPLOAD\ndata\n"] {
        let mut client = connect(&server.address);
        send(&mut client, first);
        let mut answer = [0; 3];
        std::io::Read::read_exact(&mut client, &mut answer).expect("an answer");
        send(&mut client, b"some");
        // An RST, as of a killed program: nothing ended in order, so nothing is stored.
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("an option");
        drop(client);
    }
    let path = file(&s.here, "after", b"still here");
    python_client("lab_a_client.py", &server.address, &[&path]);
    server.stop().expect(COMPLETED);
    assert_arrives(&s.there.join("after"), b"still here");
    assert_eq!(std::fs::read_to_string(s.there.join("data")).expect("there"), "the old file");
    assert!(!s.there.join(".ft-staging").exists(), "nothing is left of what was cut");
}
