//! Lab B, rows B1 to B3: UPLOAD, DOWNLOAD, addfile, and who waits for whom.

use super::*;

#[test]
fn b1_upload_and_download_carry_every_size_with_status_ok_in_both_roles_and_readings() {
    for (theirs, ours) in READINGS {
        let s = sides();
        let paths = files_of_all_sizes(&s.here);
        let copies = s.here.join("copies");
        std::fs::create_dir(&copies).expect("made");
        let server = Server::start(&s.there, ["--dialect", "addfile"]);
        for (path, size) in paths.iter().zip(SIZES) {
            let name = format!("f{size}");
            python_client("lab_b_client.py", &server.address, &["--text", theirs, "UPLOAD", path]);
            let copy = copies.join(&name);
            python_client("lab_b_client.py", &server.address, &["--text", theirs, "DOWNLOAD", &name, utf8(&copy)]);
        }
        server.stop().expect(COMPLETED);
        assert_all_sizes(&s.there, "");
        assert_all_sizes(&copies, "");

        let s = sides();
        let paths = files_of_all_sizes(&s.here);
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let copies = s.here.join("copies");
        std::fs::create_dir(&copies).expect("made");
        let server = LabServer::start("lab_b_server.py", &s.there, 2 * SIZES.len(), &["--text", theirs]);
        run(&mut put("addfile", &["--request", "upload", "--text", ours], &paths, &server.address())).expect(UNKNOWN);
        let mut get = ft_cli(["get", "--dialect", "addfile", "--text", ours]);
        get.args(SIZES.map(|size| format!("{}/f{size}", server.address()))).arg(&copies);
        run(&mut get).expect(UNKNOWN);
        server.finish();
        assert_all_sizes(&s.there, "");
        assert_all_sizes(&copies, "");
    }
}

#[test]
fn b1_what_cannot_be_served_is_not_found_in_both_roles_and_readings() {
    for (theirs, ours) in READINGS {
        let s = sides();
        let path = file(&s.here, "taken", b"x");
        std::fs::create_dir(s.there.join("taken")).expect("made");
        let copy = s.here.join("copy");
        let not_found = |ended: Ended| {
            assert_eq!((ended.code(), ended.err.as_str()), (Some(1), "[ERROR] status 'NOT FOUND'\n"));
        };
        let server = Server::start(&s.there, ["--dialect", "addfile"]);
        let client = |args: &[&str]| {
            let to = ["--host", "127.0.0.1", "--port", server.port(), "--text", theirs];
            run(python("lab_b_client.py").args(to).args(args))
        };
        not_found(client(&["DOWNLOAD", "none", utf8(&copy)]));
        not_found(client(&["DOWNLOAD", "taken", utf8(&copy)]));
        not_found(client(&["UPLOAD", &path]));

        let server = LabServer::start("lab_b_server.py", &s.there, 2, &["--text", theirs]);
        let mut get = ft_cli(["get", "--dialect", "addfile", "--text", ours]);
        get.arg(format!("{}/none", server.address())).arg(&copy);
        let ended = run(&mut get).expect(REFUSED);
        assert!(ended.err.contains(r#"the peer has no "none", or refuses it"#), "{}", ended.text());
        let options = ["--request", "upload", "--text", ours];
        let ended = run(&mut put("addfile", &options, &[&path], &server.address())).expect(FAILED);
        assert!(ended.err.contains(r#"the peer has no "taken", or refuses it"#), "{}", ended.text());
        server.finish();
        assert!(!copy.exists() && s.there.join("taken").is_dir());
    }
}

/// The log of one `addfile`, with the addresses that the lab's text has replaced by ours.
fn addfile_log(name: &str) -> [String; 5] {
    [
        "Client command: addfile".to_owned(),
        format!("Creating new file: {name}"),
        "Sent: file recv".to_owned(),
        format!("Receiving file data for: {name}"),
        "Sent: file data recv".to_owned(),
    ]
}

#[track_caller]
fn assert_connected(line: &str) {
    let port = line.strip_prefix("Client connected: ('127.0.0.1', ").and_then(|rest| rest.strip_suffix(')'));
    assert!(port.is_some_and(|port| port.parse::<u16>().is_ok()), "{line}");
}

#[test]
fn b2_addfile_confirms_twice_stores_under_the_servers_name_and_logs_the_listings_lines() {
    for (theirs, ours) in READINGS {
        let s = sides();
        let path = file(&s.here, "1412412", &content(4000, 4));
        let server = Server::start(&s.there, ["--dialect", "addfile"]);
        let port = server.port().to_owned();
        python_client("lab_b_client.py", &server.address, &["--text", theirs, "addfile", &path]);
        let log = server.stop().expect(COMPLETED).out;
        assert_eq!(log[0], format!("Server listening on 127.0.0.1 port {port}"));
        assert_connected(&log[1]);
        assert_eq!(log[2..], addfile_log("1412412"));
        assert!(std::fs::read(s.there.join("server_1412412")).expect("stored") == content(4000, 4));
        assert!(!s.there.join("1412412").exists());

        let s = sides();
        let path = file(&s.here, "1412412", &content(4000, 5));
        let server = LabServer::start("lab_b_server.py", &s.there, 1, &["--text", theirs]);
        run(&mut put("addfile", &["--text", ours], &[&path], &server.address())).expect(COMPLETED);
        let log = server.finish();
        assert_connected(&log[2]);
        assert_eq!(log[3..], addfile_log("1412412"));
        assert!(std::fs::read(s.there.join("server_1412412")).expect("stored") == content(4000, 5));
    }
}

#[test]
fn b2_addfile_carries_every_size_in_both_roles_and_readings() {
    for (theirs, ours) in READINGS {
        let s = sides();
        let paths = files_of_all_sizes(&s.here);
        let server = Server::start(&s.there, ["--dialect", "addfile"]);
        for path in &paths {
            python_client("lab_b_client.py", &server.address, &["--text", theirs, "addfile", path]);
        }
        server.stop().expect(COMPLETED);
        assert_all_sizes(&s.there, "server_");

        let s = sides();
        let paths = files_of_all_sizes(&s.here);
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let server = LabServer::start("lab_b_server.py", &s.there, SIZES.len(), &["--text", theirs]);
        run(&mut put("addfile", &["--text", ours], &paths, &server.address())).expect(COMPLETED);
        server.finish();
        assert_all_sizes(&s.there, "server_");
    }
}

#[test]
fn b2_listings_client_that_waits_without_a_half_close_gets_its_second_confirmation() {
    let s = sides();
    // An empty file is missing here: without a half-close it can never be told from a slow one (docs/LABS.md).
    for (theirs, size) in [("bare", 1), ("line", 1), ("bare", 70_000), ("line", 70_000)] {
        let path = file(&s.here, "data", &content(size, 6));
        let server = Server::start(&s.there, ["--dialect", "addfile"]);
        python_client("lab_b_client.py", &server.address, &["--text", theirs, "--end", "wait", "addfile", &path]);
        assert!(std::fs::read(s.there.join("server_data")).expect("stored") == content(size, 6), "{theirs} {size}");
    }
}

#[test]
fn b2_listings_client_that_reads_no_confirmation_loses_nothing_in_the_line_reading() {
    let s = sides();
    let path = file(&s.here, "data", &content(70_000, 7));
    let server = Server::start(&s.there, ["--dialect", "addfile"]);
    // Everything at once and a full close: data and name may arrive in one piece, and only a line feed parts them.
    let args = ["--text", "line", "--confirmations", "ignore", "addfile", &path];
    python_client("lab_b_client.py", &server.address, &args);
    let until = Instant::now() + support::PATIENCE;
    while !s.there.join("server_data").exists() {
        assert!(Instant::now() < until, "never stored");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(std::fs::read(s.there.join("server_data")).expect("stored") == content(70_000, 7));
}

#[test]
fn b3_client_waits_for_each_confirmation_before_the_next_stage() {
    let s = sides();
    let path = file(&s.here, "data", b"the data");
    for (reading, end) in [("bare", ""), ("newline", "\n")] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = listener.local_addr().expect("an address").to_string();
        let mut client = Running::start(&mut put("addfile", &["--text", reading], &[&path], &to));
        let mut server = deadlines(listener.accept().expect("a client").0);
        let request = format!("addfile{end}data{end}");
        assert_eq!(take(&mut server, request.len()), request.as_bytes());
        expect_silence(&mut server, HOLD);
        // In pieces, as TCP may deliver it.
        send(&mut server, b"file re");
        expect_silence(&mut server, HOLD);
        send(&mut server, b"cv\n");
        assert_eq!(take_all(&mut server), b"the data");
        std::thread::sleep(HOLD);
        assert!(client.runs(), "it waits for the second confirmation");
        send(&mut server, b"file data recv\n");
        drop(server);
        client.finish().expect(COMPLETED);
    }
}

#[test]
fn b3_client_without_its_second_confirmation_does_not_say_that_the_file_arrived() {
    let s = sides();
    let path = file(&s.here, "data", b"the data");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = listener.local_addr().expect("an address").to_string();
    let client = Running::start(&mut put("addfile", &[], &[&path], &to));
    let mut server = deadlines(listener.accept().expect("a client").0);
    take(&mut server, "addfiledata".len());
    send(&mut server, b"file recv\n");
    assert_eq!(take_all(&mut server), b"the data");
    drop(server);
    client.finish().expect(UNKNOWN);
}

#[test]
fn b3_server_touches_the_old_file_only_when_all_data_has_come_and_confirms_after_that() {
    let s = sides();
    file(&s.there, "server_data", b"the old file");
    let now = || std::fs::read_to_string(s.there.join("server_data")).expect("there, always");
    let server = Server::start(&s.there, ["--dialect", "addfile"]);
    let mut client = connect(&server.address);
    send(&mut client, b"addfile\ndata\n");
    assert_eq!(take(&mut client, 10), b"file recv\n");
    assert_eq!(now(), "the old file");
    send(&mut client, b"the new ");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(now(), "the old file");
    send(&mut client, b"file");
    client.shutdown(std::net::Shutdown::Write).expect("a half-close");
    assert_eq!(take(&mut client, 15), b"file data recv\n");
    assert_eq!(now(), "the new file");
    assert_eq!(take_all(&mut client), b"");
}
