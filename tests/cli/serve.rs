//! A server's manners: what it allows, whom it turns away, and how it stops.

use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::harness::{Sandbox, finish, noise, snapshot};

#[test]
fn read_only_and_drop_only_servers_refuse_the_rest_with_exit_1() {
    let sandbox = Sandbox::new();
    sandbox.file("pub/a", "a");
    sandbox.file("b", "b");
    let mut text = String::new();
    for (mode, refused, served) in [
        ("--read-only", vec!["put b HOST"], vec!["get HOST/a got/", "ls HOST"]),
        ("--drop-only", vec!["get HOST/a got/", "ls HOST"], vec!["put b HOST"]),
    ] {
        let server = sandbox.serve(&format!("pub {mode}"));
        for line in refused {
            text += &sandbox.run(&line.replace("HOST", &server.address())).expect(1).all();
            text.push('\n');
        }
        for line in served {
            sandbox.run(&line.replace("HOST", &server.address())).expect(0);
        }
    }
    snapshot(&sandbox, "forbidden", &text);
    assert_eq!(fs::read(sandbox.path("pub/b")).unwrap(), b"b");
}

#[test]
fn once_serves_one_connection_and_exits_with_its_outcome() {
    let sandbox = Sandbox::new();
    sandbox.file("pub/a", "old");
    sandbox.file("a", "newer");
    for (overwrite, code) in [("replace", 0), ("never", 4)] {
        fs::write(sandbox.path("pub/a"), "old").unwrap();
        let server = sandbox.serve(&format!("pub --once --overwrite {overwrite}"));
        sandbox.run(&format!("put a {}", server.address())).expect(code);
        assert_eq!(server.end(), Some(code), "--overwrite {overwrite}");
    }
}

#[test]
fn connection_beyond_the_limit_is_told_that_the_server_is_busy() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    sandbox.file("a", "a");
    let mut server = sandbox.serve("pub --max-connections 1 --json");
    let host = server.address();
    let line = format!("put - --name held {host}");
    let (holder, mut pipe) = sandbox.start(&line);
    pipe.write_all(b"begun").unwrap();
    server.await_line(r#""event":"offered""#);
    let refused = sandbox.run(&format!("put a {host} --retries 0")).expect(1);
    assert!(refused.stderr.contains("busy: 1 sessions are open"), "{}", refused.stderr);
    drop(pipe);
    finish(holder, &line).expect(0);
    sandbox.run(&format!("put a {host}")).expect(0);
}

#[cfg(target_os = "linux")]
#[test]
fn first_signal_lets_a_transfer_finish_and_turns_new_ones_away() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    sandbox.file("a", "a");
    let mut server = sandbox.serve("pub");
    let host = server.address();
    let line = format!("put - --name held {host}");
    let (holder, mut pipe) = sandbox.start(&line);
    let content = noise(300_000);
    pipe.write_all(&content).unwrap();
    wait_for_partial(&sandbox);
    server.interrupt();
    server.await_line("stopping: 1 session may finish");
    sandbox.run(&format!("put a {host} --retries 0")).expect(1);
    drop(pipe);
    finish(holder, &line).expect(0);
    assert_eq!(server.end(), Some(0));
    assert_eq!(fs::read(sandbox.path("pub/held")).unwrap(), content);
}

#[cfg(target_os = "linux")]
#[test]
fn second_signal_ends_transfers_and_leaves_no_torn_file() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    let mut server = sandbox.serve("pub");
    let line = format!("put - --name held {}", server.address());
    let (holder, mut pipe) = sandbox.start(&line);
    pipe.write_all(&noise(300_000)).unwrap();
    wait_for_partial(&sandbox);
    server.interrupt();
    server.await_line("stopping");
    server.interrupt();
    assert_eq!(server.end(), Some(1));
    // Whoever reads standard input notices a lost server when there is something to send.
    let _ = pipe.write_all(&noise(1_000_000));
    drop(pipe);
    finish(holder, &line).expect(1);
    assert!(!sandbox.path("pub/held").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn idle_server_stops_at_once_and_its_port_is_free_again() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    sandbox.file("a", "a");
    let server = sandbox.serve("pub");
    let port = server.port;
    sandbox.run(&format!("put a {}", server.address())).expect(0);
    server.interrupt();
    assert_eq!(server.end(), Some(0));
    let mut again = sandbox.command(&format!("serve pub --listen 127.0.0.1:{port} --once")).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while sandbox.run(&format!("put a 127.0.0.1:{port} --retries 0")).code != Some(0) {
        assert!(Instant::now() < end && again.try_wait().unwrap().is_none(), "the port is taken at once");
    }
    assert_eq!(again.wait().unwrap().code(), Some(0));
}

#[test]
fn silent_client_is_given_up_after_the_time_out() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    let mut server = sandbox.serve("pub --dialect ft1 --timeout 0.3");
    let silent = std::net::TcpStream::connect(server.address()).unwrap();
    let line = server.await_line("silent for 0.3 s");
    assert!(line.contains("connection failed after 0 bytes"), "{line}");
    drop(silent);
}

#[test]
fn stranger_who_speaks_http_is_named_and_serving_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    sandbox.file("a", "a");
    let mut server = sandbox.serve("pub");
    let mut stranger = std::net::TcpStream::connect(server.address()).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let line = server.await_line("the peer does not speak ft/1");
    assert!(line.contains("HTTP"), "{line}");
    sandbox.run(&format!("put a {}", server.address())).expect(0);
}

#[cfg(target_os = "linux")]
#[test]
fn server_that_runs_out_of_descriptors_goes_on_when_there_are_some_again() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    sandbox.file("a", "a");
    let mut server = sandbox.serve_with_descriptors("pub -v --dialect ft1", 40);
    let crowd: Vec<_> = (0..60).map(|_| std::net::TcpStream::connect(server.address()).unwrap()).collect();
    server.await_line("accept failed");
    drop(crowd);
    sandbox.run(&format!("put a {}", server.address())).expect(0);
}

#[test]
fn json_log_of_a_server_numbers_its_sessions() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    sandbox.file("a", "a");
    let mut server = sandbox.serve("pub --json");
    for _ in 0..2 {
        sandbox.run(&format!("put a {}", server.address())).expect(0);
    }
    server.await_line(r#"{"event":"landing","stream":1,"path":"a","step":"folder-synced","session":1}"#);
    let closed = server.await_line(r#""session":2}"#);
    assert!(closed.contains(r#""event":"#), "{closed}");
}

#[test]
fn server_whose_folder_or_address_cannot_be_used_says_so() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    let server = sandbox.serve("pub");
    let missing = sandbox.run("serve nothing --listen 127.0.0.1:0").expect(1).all();
    let taken = sandbox.run(&format!("serve pub --listen {}", server.address())).expect(1).all();
    snapshot(&sandbox, "serve-errors", &format!("{missing}\n{taken}"));
}

/// Waits until the server has taken bytes that are not a file yet.
#[cfg(target_os = "linux")]
fn wait_for_partial(sandbox: &Sandbox) {
    fn bytes(path: &std::path::Path) -> u64 {
        let Ok(entries) = fs::read_dir(path) else { return 0 };
        entries
            .flatten()
            .map(|e| match e.metadata() {
                Ok(meta) if meta.is_dir() => bytes(&e.path()),
                Ok(meta) => meta.len(),
                Err(_) => 0,
            })
            .sum()
    }
    let end = Instant::now() + Duration::from_secs(20);
    while bytes(&sandbox.path("pub/.ft-staging")) == 0 {
        assert!(Instant::now() < end, "the server takes bytes");
        std::thread::sleep(Duration::from_millis(5));
    }
}
