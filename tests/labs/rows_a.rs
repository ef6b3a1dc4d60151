//! Lab A, `pipe`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use crate::harness::{Sandbox, finish, noise};
use crate::student::{SIZES, StudentServer, content_client, text};

#[test]
fn a1_one_file_goes_from_client_to_server_over_tcp_in_both_roles() {
    let sandbox = Sandbox::new();
    let stored = sandbox.folder("stored");
    let file = sandbox.file("data.txt", noise(1024));
    let server = sandbox.serve("stored --dialect pipe");
    content_client("lab_a_client.py", server.port, &[text(&file)]);
    assert_eq!(fs::read(stored.join("data.txt")).unwrap(), noise(1024));

    let theirs = sandbox.folder("theirs");
    let student = StudentServer::start("lab_a_server.py", &theirs, 1, &[]);
    // Unknown is the truth: the lab has no final confirmation.
    sandbox.run(&format!("put data.txt 127.0.0.1:{} --dialect pipe", student.port)).expect(3);
    let log = student.end();
    assert!(log.contains("[SAVED] data.txt: 1024 of 1024 bytes"), "{log}");
    assert_eq!(fs::read(theirs.join("data.txt")).unwrap(), noise(1024));
}

#[cfg(target_os = "linux")]
#[test]
fn a2_server_accepts_in_a_loop_and_restarts_at_once_on_its_port() {
    let sandbox = Sandbox::new();
    sandbox.folder("stored");
    let file = sandbox.file("data.txt", "x");
    let mut port = 0;
    for _ in 0..3 {
        let mut server = sandbox.serve_on("stored --dialect pipe", port);
        server.await_line("[LISTENING] Waiting for connection...");
        port = server.port;
        for _ in 0..2 {
            content_client("lab_a_client.py", port, &[text(&file)]);
        }
        server.interrupt();
        assert_eq!(server.end(), Some(0));
    }
}

#[test]
fn a3_metadata_ack_and_data_are_the_bytes_of_the_listing_in_both_roles() {
    let sandbox = Sandbox::new();
    sandbox.folder("stored");
    sandbox.file("data.txt", "hello");
    for dialect in ["pipe", "auto"] {
        let server = sandbox.serve(&format!("stored --dialect {dialect}"));
        let mut conn = TcpStream::connect(server.address()).unwrap();
        conn.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        conn.write_all(b"data.txt|5").unwrap();
        let mut ack = [0; 3];
        conn.read_exact(&mut ack).unwrap();
        assert_eq!(&ack, b"ACK");
        conn.write_all(b"hello").unwrap();
        conn.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        conn.read_to_end(&mut rest).expect("an end in order");
        assert_eq!(rest, b"", "nothing follows the ACK");
        assert_eq!(fs::read(sandbox.path("stored/data.txt")).unwrap(), b"hello");
    }

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = format!("put data.txt {} --dialect pipe", listener.local_addr().unwrap());
    let client = sandbox.command(&line).spawn().unwrap();
    let (mut conn, _) = listener.accept().unwrap();
    conn.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    let mut metadata = [0; 1024];
    let n = conn.read(&mut metadata).unwrap();
    assert_eq!(&metadata[..n], b"data.txt|5");
    assert!(conn.read(&mut metadata).is_err(), "no data comes before the ACK");
    conn.write_all(b"ACK").unwrap();
    conn.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut data = Vec::new();
    conn.read_to_end(&mut data).unwrap();
    assert_eq!(data, b"hello");
    drop(conn);
    finish(client, &line).expect(3);
}

#[test]
fn a4_host_names_and_both_families_are_resolved() {
    let sandbox = Sandbox::new();
    sandbox.folder("stored");
    sandbox.file("data.txt", "x");
    let server = sandbox.serve("stored --dialect pipe --listen [::1]:0");
    sandbox.run(&format!("put data.txt localhost:{} --dialect pipe", server.port)).expect(3);
    fs::remove_file(sandbox.path("stored/data.txt")).unwrap();
    let six = server.port_of("[::1]:");
    sandbox.run(&format!("put data.txt [::1]:{six} --dialect pipe")).expect(3);
    assert!(sandbox.path("stored/data.txt").is_file());
    let help = sandbox.run("serve --help").expect(0).text();
    assert!(help.contains("127.0.0.1:65432"), "the labs' endpoint is the default");
}

#[test]
fn a5_file_of_any_size_is_rebuilt_exactly_in_both_roles() {
    let sandbox = Sandbox::new();
    let (stored, theirs) = (sandbox.folder("stored"), sandbox.folder("theirs"));
    let server = sandbox.serve("stored");
    let sizes: Vec<usize> = std::iter::once(0).chain(SIZES).collect();
    let student = StudentServer::start("lab_a_server.py", &theirs, sizes.len(), &[]);
    for size in sizes {
        let name = format!("file{size}");
        let file = sandbox.file(&name, noise(size));
        content_client("lab_a_client.py", server.port, &["--text", "line", text(&file)]);
        sandbox.run(&format!("put {name} 127.0.0.1:{} --dialect pipe", student.port)).expect(3);
        assert_eq!(fs::read(stored.join(&name)).unwrap(), noise(size), "{size} bytes received");
    }
    student.end();
    for size in SIZES {
        assert_eq!(fs::read(theirs.join(format!("file{size}"))).unwrap(), noise(size), "{size} bytes sent");
    }
}
