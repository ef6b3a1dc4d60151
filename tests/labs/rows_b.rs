//! Lab B, `addfile`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use crate::harness::{Sandbox, finish, noise};
use crate::student::{SIZES, StudentServer, client, content_client, text};

/// The student's word for a reading of `send_text`, and ours.
const READINGS: [(&str, &str); 2] = [("bare", "bare"), ("line", "newline")];

#[test]
fn b1_upload_and_download_with_their_status_in_both_roles_and_readings() {
    let sandbox = Sandbox::new();
    let (stored, theirs) = (sandbox.folder("stored"), sandbox.folder("theirs"));
    let server = sandbox.serve("stored --overwrite replace");
    for (reading, ours) in READINGS {
        let name = format!("up-{reading}");
        let file = sandbox.file(&name, noise(70_000));
        content_client("lab_b_client.py", server.port, &["--text", reading, "UPLOAD", text(&file)]);
        assert_eq!(fs::read(stored.join(&name)).unwrap(), noise(70_000), "{reading}");
        let back = sandbox.path(&format!("back-{reading}"));
        content_client("lab_b_client.py", server.port, &["--text", reading, "DOWNLOAD", &name, text(&back)]);
        assert_eq!(fs::read(&back).unwrap(), noise(70_000), "{reading}");
        let missing = client("lab_b_client.py", server.port, &["--text", reading, "DOWNLOAD", "nothing", "x"]);
        assert!(String::from_utf8_lossy(&missing.stderr).contains("NOT FOUND"), "{reading}: {missing:?}");

        let student = StudentServer::start("lab_b_server.py", &theirs, 3, &["--text", reading]);
        let host = format!("127.0.0.1:{}", student.port);
        sandbox.run(&format!("put {name} {host} --dialect addfile --request upload --text {ours}")).expect(3);
        sandbox.run(&format!("get {host}/{name} got-{reading} --dialect addfile --text {ours}")).expect(3);
        sandbox.run(&format!("get {host}/nothing x --dialect addfile --text {ours}")).expect(4);
        student.end();
        assert_eq!(fs::read(theirs.join(&name)).unwrap(), noise(70_000), "{reading}");
        assert_eq!(fs::read(sandbox.path(&format!("got-{reading}"))).unwrap(), noise(70_000), "{reading}");
    }
}

#[test]
fn b2_addfile_has_two_confirmations_and_the_log_of_the_lab_in_both_roles_and_readings() {
    let sandbox = Sandbox::new();
    let (stored, theirs) = (sandbox.folder("stored"), sandbox.folder("theirs"));
    let file = sandbox.file("1412412", noise(5000));
    for (reading, ours) in READINGS {
        for end in ["half-close", "wait"] {
            let mut server = sandbox.serve("stored --dialect addfile --overwrite replace");
            content_client("lab_b_client.py", server.port, &["--text", reading, "--end", end, "addfile", text(&file)]);
            assert_eq!(fs::read(stored.join("server_1412412")).unwrap(), noise(5000), "{reading} {end}");
            server.await_line("Sent: file data recv");
            let log: Vec<String> = server.stdout_lines();
            let connected = log.get(1).cloned().unwrap_or_default();
            let port: String = connected.chars().filter(char::is_ascii_digit).skip(6).collect();
            let lines = [
                format!("Server listening on 127.0.0.1 port {}", server.port),
                format!("Client connected: ('127.0.0.1', {port})"),
                "Client command: addfile".into(),
                "Creating new file: 1412412".into(),
                "Sent: file recv".into(),
                "Receiving file data for: 1412412".into(),
                "Sent: file data recv".into(),
            ];
            assert_eq!(log, lines);
        }
        let student = StudentServer::start("lab_b_server.py", &theirs, 1, &["--text", reading]);
        let line = format!("put 1412412 127.0.0.1:{} --dialect addfile --text {ours}", student.port);
        sandbox.run(&line).expect(0);
        student.end();
        assert_eq!(fs::read(theirs.join("server_1412412")).unwrap(), noise(5000), "{reading}");
    }
}

#[test]
fn b2_addfile_carries_every_size_in_both_roles() {
    let sandbox = Sandbox::new();
    let (stored, theirs) = (sandbox.folder("stored"), sandbox.folder("theirs"));
    let server = sandbox.serve("stored");
    let sizes: Vec<usize> = std::iter::once(0).chain(SIZES).collect();
    let student = StudentServer::start("lab_b_server.py", &theirs, sizes.len(), &["--text", "line"]);
    for size in sizes {
        let name = format!("file{size}");
        let file = sandbox.file(&name, noise(size));
        content_client("lab_b_client.py", server.port, &["--text", "line", "addfile", text(&file)]);
        sandbox.run(&format!("put {name} 127.0.0.1:{} --dialect addfile --text newline", student.port)).expect(0);
        assert_eq!(fs::read(stored.join(format!("server_{name}"))).unwrap(), noise(size), "{size} bytes received");
        assert_eq!(fs::read(theirs.join(format!("server_{name}"))).unwrap(), noise(size), "{size} bytes sent");
    }
    student.end();
}

#[test]
fn b3_client_waits_for_each_confirmation_and_an_old_file_survives_until_the_data_is_whole() {
    let sandbox = Sandbox::new();
    sandbox.file("a", "data of a");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = format!("put a {} --dialect addfile --text newline", listener.local_addr().unwrap());
    let client = sandbox.command(&line).spawn().unwrap();
    let (mut conn, _) = listener.accept().unwrap();
    conn.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let mut request = Vec::new();
    assert!(conn.read_to_end(&mut request).is_err(), "the client waits, with the connection open");
    assert_eq!(request, b"addfile\na\n", "no data comes before ACK1");
    conn.write_all(b"file recv\n").unwrap();
    let mut data = Vec::new();
    conn.read_to_end(&mut data).expect("data, then a half-close");
    assert_eq!(data, b"data of a");
    conn.write_all(b"file data recv\n").unwrap();
    drop(conn);
    finish(client, &line).expect(0);

    sandbox.file("stored/server_a", "old");
    let server = sandbox.serve("stored");
    let mut conn = TcpStream::connect(server.address()).unwrap();
    conn.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    conn.write_all(b"addfile\na\n").unwrap();
    let mut ack = [0; 10];
    conn.read_exact(&mut ack).unwrap();
    assert_eq!(&ack, b"file recv\n");
    assert_eq!(fs::read(sandbox.path("stored/server_a")).unwrap(), b"old");
    conn.write_all(b"new").unwrap();
    conn.shutdown(Shutdown::Write).unwrap();
    let mut ack = Vec::new();
    conn.read_to_end(&mut ack).unwrap();
    assert_eq!(ack, b"file data recv\n");
    assert_eq!(fs::read(sandbox.path("stored/server_a")).unwrap(), b"new");
}

#[test]
fn b4_both_sides_close_without_a_reset_and_a_broken_client_costs_only_itself() {
    let sandbox = Sandbox::new();
    sandbox.folder("stored");
    let file = sandbox.file("a", "a");
    let server = sandbox.serve("stored --overwrite replace");
    // A request that is refused, with data on its way: the client reads the answer and an end in order.
    let mut conn = TcpStream::connect(server.address()).unwrap();
    conn.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    conn.write_all(b"UPLOAD\n../a\n").unwrap();
    conn.write_all(&noise(20_000)).unwrap();
    let mut answer = Vec::new();
    conn.read_to_end(&mut answer).expect("no reset");
    assert_eq!(answer, b"NOT FOUND\n");
    drop(conn);
    // Nobody at all, half a command, a name and nothing more.
    for said in [&b""[..], b"UPL", b"addfile\nx\n"] {
        let mut conn = TcpStream::connect(server.address()).unwrap();
        conn.write_all(said).unwrap();
        drop(conn);
    }
    content_client("lab_b_client.py", server.port, &["--text", "line", "addfile", text(&file)]);
    assert_eq!(fs::read(sandbox.path("stored/server_a")).unwrap(), b"a");
}
