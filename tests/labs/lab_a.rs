//! Lab A, rows A1 to A5: name and size, ACK, data.

use super::*;

#[test]
fn a1_one_to_one_transfer_client_sends_server_receives() {
    for (theirs, ours) in READINGS {
        let s = sides();
        let path = file(&s.here, "data.bin", &content(10_000, 1));
        let server = Server::start(&s.there, ["--dialect", "pipe"]);
        python_client("lab_a_client.py", &server.address, &["--text", theirs, &path]);
        assert_arrives(&s.there.join("data.bin"), &content(10_000, 1));
        server.stop().expect(COMPLETED);

        let path = file(&s.here, "back.bin", &content(10_000, 2));
        let server = LabServer::start("lab_a_server.py", &s.there, 1, &[]);
        // Lab A has no word for "it arrived", so neither has the exit code.
        run(&mut put("pipe", &["--text", ours], &[&path], &server.address())).expect(UNKNOWN);
        let log = server.finish();
        assert!(log.contains(&"[SAVED] back.bin: 10000 of 10000 bytes".to_owned()), "{log:?}");
        assert_arrives(&s.there.join("back.bin"), &content(10_000, 2));
    }
}

/// Whether the kernel keeps a connection of this local port in TIME_WAIT (state 6).
fn lingers(port: &str) -> bool {
    let port = format!("0100007F:{:04X}", port.parse::<u16>().expect("a port"));
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux's table of connections");
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some(port.as_str()) && fields.nth(1) == Some("06")
    })
}

#[test]
fn a2_server_takes_one_client_after_another_and_starts_again_at_once_on_the_same_port() {
    let s = sides();
    let path = file(&s.here, "data.txt", b"first");
    let mut server = Server::start(&s.there, ["--dialect", "pipe"]);
    for text in ["first", "second"] {
        file(&s.here, "data.txt", text.as_bytes());
        python_client("lab_a_client.py", &server.address, &[&path]);
        assert_arrives(&s.there.join("data.txt"), text.as_bytes());
    }
    // The side that closes first keeps the connection for a minute: killed in the middle of one, that is the server.
    let mut client = connect(&server.address);
    send(&mut client, b"data.txt|1024");
    assert_eq!(take(&mut client, 3), b"ACK");
    let (port, address) = (server.port().to_owned(), server.address.clone());
    server.running.kill();
    let log = server.running.finish().out;
    assert!(log.contains(&"[LISTENING] Waiting for connection...".to_owned()), "{log:?}");
    assert_eq!(take_all(&mut client), b"");
    drop(client);
    let until = Instant::now() + support::PATIENCE;
    while !lingers(&port) {
        assert!(Instant::now() < until, "no connection lingers, so this would prove nothing");
        std::thread::sleep(Duration::from_millis(5));
    }

    let server = Server::at(&address, &s.there, ["--dialect", "pipe"]);
    assert_eq!(server.port(), port);
    assert_eq!(std::fs::read_to_string(s.there.join("data.txt")).expect("the old file"), "second");
    file(&s.here, "data.txt", b"third");
    python_client("lab_a_client.py", &server.address, &[&path]);
    assert_arrives(&s.there.join("data.txt"), b"third");
}

#[test]
fn a3_metadata_ack_and_data_are_the_listings_bytes_in_both_roles() {
    let s = sides();
    let bytes = content(1024, 3);
    for (metadata, name) in [("data.txt|1024", "data.txt"), ("line.txt|1024\n", "line.txt")] {
        let server = Server::start(&s.there, ["--dialect", "pipe"]);
        let mut client = connect(&server.address);
        send(&mut client, metadata.as_bytes());
        assert_eq!(take(&mut client, 3), b"ACK");
        assert!(!s.there.join(name).exists(), "nothing has come yet");
        expect_silence(&mut client, HOLD);
        send(&mut client, &bytes);
        client.shutdown(std::net::Shutdown::Write).expect("a half-close");
        assert_eq!(take_all(&mut client), b"", "the listing's server says nothing but ACK");
        server.stop().expect(COMPLETED);
        assert_arrives(&s.there.join(name), &bytes);
    }

    let path = file(&s.here, "data.txt", &bytes);
    for (reading, metadata) in [("bare", "data.txt|1024"), ("newline", "data.txt|1024\n")] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = listener.local_addr().expect("an address").to_string();
        let client = Running::start(&mut put("pipe", &["--text", reading], &[&path], &to));
        let mut server = deadlines(listener.accept().expect("a client").0);
        assert_eq!(take(&mut server, metadata.len()), metadata.as_bytes());
        // No terminator and no data: it waits for the ACK.
        expect_silence(&mut server, HOLD);
        send(&mut server, b"ACK");
        assert!(take_all(&mut server) == bytes);
        drop(server);
        client.finish().expect(UNKNOWN);
    }
}

#[test]
fn a3_anything_but_ack_stops_the_sender() {
    let s = sides();
    let path = file(&s.here, "data.txt", b"0123456789");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = listener.local_addr().expect("an address").to_string();
    let client = Running::start(&mut put("pipe", &[], &[&path], &to));
    let mut server = deadlines(listener.accept().expect("a client").0);
    take(&mut server, "data.txt|10".len());
    send(&mut server, b"NAK");
    assert_eq!(take_all(&mut server), b"", "no data without ACK");
    drop(server);
    let ended = client.finish().expect(FAILED);
    assert!(ended.err.contains("NAK"), "{}", ended.text());
}

/// The command with names of our own for the loopback addresses, whatever this machine calls them: in a mount namespace
/// in which another file is bound over /etc/hosts.
fn with_hosts(s: &Sides, command: &Command) -> Command {
    let hosts = file(&s.here, "hosts", b"127.0.0.1 localhost four-only either\n::1 six-only either\n");
    let bind = r#"mount --bind "$1" /etc/hosts && shift && exec "$@""#;
    let mut inside = Command::new("unshare");
    inside.args(["--map-root-user", "--mount", "sh", "-c", bind, "sh", &hosts]);
    inside.arg(command.get_program()).args(command.get_args());
    inside
}

#[test]
fn a4_host_names_lead_to_ipv4_and_ipv6() {
    let s = sides();
    let path = file(&s.here, "data.txt", b"by name");
    let arrived = |name: &str| {
        assert_arrives(&s.there.join(name), b"by name");
        std::fs::remove_file(s.there.join(name)).expect("removed");
    };
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("this test needs ::1, the loopback address of IPv6");

    // Our client: a name that has both addresses leads to whichever listens.
    let names =
        ["four-only 127.0.0.1", "six-only ::1", "either 127.0.0.1", "either ::1"].map(|pair| pair.split_once(' '));
    let addresses = [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("localhost", "127.0.0.1")].map(Some);
    for (host, listen) in names.into_iter().chain(addresses).flatten() {
        let server = LabServer::start("lab_a_server.py", &s.there, 1, &["--host", listen]);
        let to = format!("{host}:{}", server.port);
        run(&mut with_hosts(&s, &put("pipe", &[], &[&path], &to))).expect(UNKNOWN);
        server.finish();
        arrived("data.txt");
    }
    // Our server: at a name, and at either kind of address.
    for listen in ["four-only:0", "six-only:0", "127.0.0.1:0", "[::1]:0"] {
        let serve = ft_cli(["serve", "--dialect", "pipe", "--listen", listen, utf8(&s.there)]);
        let server = Server::run(&mut with_hosts(&s, &serve));
        python_client("lab_a_client.py", &server.address, &[&path]);
        arrived("data.txt");
    }
    // The lab's client resolves the name itself.
    let server = Server::start(&s.there, ["--dialect", "pipe"]);
    run(python("lab_a_client.py").args(["--host", "localhost", "--port", server.port(), &path])).expect(0);
    arrived("data.txt");
    let ended = run(&mut put("pipe", &[], &[&path], "no-such-host.invalid")).expect(FAILED);
    assert!(ended.err.contains("no-such-host.invalid"), "{}", ended.text());
}

#[test]
fn a4_default_endpoint_is_port_65432_of_this_machine() {
    let s = sides();
    let path = file(&s.here, "data.txt", b"by default");
    // A loopback address that nobody else uses, so that the fixed port is free there.
    let process = std::process::id();
    let own = format!("127.{}.{}.{}", 1 + process % 250, 1 + (process >> 8) % 250, 1 + (process >> 16) % 250);
    let server = Server::at(&own, &s.there, ["--dialect", "pipe"]);
    assert_eq!(server.address, format!("{own}:65432"));
    run(python("lab_a_client.py").args(["--host", &own, &path])).expect(0);
    assert_arrives(&s.there.join("data.txt"), b"by default");
    let path = file(&s.here, "ours.txt", b"by default");
    run(&mut put("pipe", &[], &[&path], &own)).expect(UNKNOWN);
    assert_arrives(&s.there.join("ours.txt"), b"by default");

    // Without an address: it listens there, or says that somebody else does.
    let mut command = ft_cli(["serve", "--dialect", "pipe", utf8(&s.there)]);
    let mut plain = Running::start(&mut command);
    std::thread::sleep(HOLD);
    if plain.runs() {
        let line = plain.line(|line| line.starts_with("listening on "));
        assert!(line.starts_with("listening on 127.0.0.1:65432 "), "{line}");
    } else {
        let ended = plain.finish();
        assert!(ended.err.contains("127.0.0.1:65432: "), "{}", ended.text());
    }
}

#[test]
fn a5_file_of_every_size_is_rebuilt_exactly_in_both_roles_and_readings() {
    for (theirs, ours) in READINGS {
        let s = sides();
        let paths = files_of_all_sizes(&s.here);
        let server = Server::start(&s.there, ["--dialect", "pipe"]);
        for path in &paths {
            python_client("lab_a_client.py", &server.address, &["--text", theirs, path]);
        }
        server.stop().expect(COMPLETED);
        assert_all_sizes(&s.there, "");

        let s = sides();
        let paths = files_of_all_sizes(&s.here);
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let server = LabServer::start("lab_a_server.py", &s.there, SIZES.len(), &[]);
        run(&mut put("pipe", &["--text", ours], &paths, &server.address())).expect(UNKNOWN);
        server.finish();
        assert_all_sizes(&s.there, "");
    }
}
