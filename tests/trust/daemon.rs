//! A server that is left alone: settings read again, numbers, sockets handed over, logs for machines, the unit file.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Sandbox, finish, noise};
use crate::keys::key;

#[test]
fn hangup_reads_the_list_of_keys_again_and_a_broken_one_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.file("inbox/there", "there");
    let mine = key(&sandbox, "config");
    fs::write(sandbox.path("friends"), "").unwrap();
    let mut server = sandbox.serve_at("theirs", "inbox --tls --authorized friends");
    let line = format!("ls {} --peer {}", server.address(), key(&sandbox, "theirs"));
    sandbox.run(&line).expect(1);
    fs::write(sandbox.path("friends"), format!("{mine} read\n")).unwrap();
    sandbox.run(&line).expect(1);
    server.hang_up();
    server.await_line("the list of keys was read again; it has 1");
    sandbox.run(&line).expect(0);
    fs::write(sandbox.path("friends"), "nonsense\n").unwrap();
    server.hang_up();
    server.await_line("the list of keys stays as it was: friends: line 1");
    sandbox.run(&line).expect(0);
    fs::write(sandbox.path("friends"), "# nobody\n").unwrap();
    server.hang_up();
    server.await_line("it has 0");
    sandbox.run(&line).expect(1);
}

/// One page of a server's numbers.
fn page(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn numbers_count_what_came_what_went_and_what_was_refused() {
    let sandbox = Sandbox::new();
    sandbox.folder("inbox");
    sandbox.file("a", noise(300_000));
    let mut server = sandbox.serve_at("theirs", "inbox --drop-only --metrics 127.0.0.1:0");
    server.await_line("numbers at");
    let port = server.port_of("numbers at http://127.0.0.1:");
    sandbox.run(&format!("put a {}", server.address())).expect(0);
    sandbox.run(&format!("ls {}", server.address())).expect(1);
    server.await_line("takes files and shows none");
    let text = page(port, "GET /metrics");
    for line in [
        "HTTP/1.1 200 OK",
        "ftcli_connections_total 2",
        "ftcli_failures_total{kind=\"forbidden\"} 1",
        "ftcli_files_total{direction=\"received\"} 1",
        "ftcli_bytes_total{direction=\"received\"} 300000",
        "ftcli_bytes_total{direction=\"sent\"} 0",
    ] {
        assert!(text.lines().any(|said| said == line), "{line}: {text}");
    }
    assert!(page(port, "GET /health").ends_with("serving\n"));
    assert!(page(port, "GET /etc/passwd").starts_with("HTTP/1.1 404"));
    assert!(page(port, "POST /metrics").starts_with("HTTP/1.1 405"));
}

/// As systemd does it: the socket is descriptor 3, `LISTEN_PID` and `LISTEN_FDS` say so, and it wants to be told.
#[test]
fn socket_that_was_handed_over_is_served_and_systemd_hears_when() {
    let sandbox = Sandbox::new();
    sandbox.folder("inbox");
    sandbox.file("a", "a");
    let script = "import os, socket, subprocess, sys
program = sys.argv[1]
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); told.bind('notify'); told.settimeout(20)
pid = os.fork()
if pid == 0:
    os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', NOTIFY_SOCKET=os.path.abspath('notify'))
    os.execv(program, [program, 'serve', 'inbox'])
assert told.recv(999) == b'READY=1\\n', 'ready'
subprocess.run([program, 'put', 'a', '127.0.0.1:%d' % s.getsockname()[1]], check=True)
os.kill(pid, 1)
assert told.recv(999).startswith(b'RELOADING=1\\nMONOTONIC_USEC='), 'reloading'
assert told.recv(999) == b'READY=1\\n', 'ready again'
os.kill(pid, 15)
assert told.recv(999) == b'STOPPING=1\\n', 'stopping'
assert os.waitpid(pid, 0)[1] == 0, 'ended well'";
    let ours = sandbox.command("");
    let output = Command::new("timeout")
        .args(["60", "python3", "-c", script])
        .arg(ours.get_program())
        .current_dir(sandbox.path(""))
        .env("XDG_CONFIG_HOME", sandbox.path("config"))
        .output()
        .expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read(sandbox.path("inbox/a")).unwrap(), b"a");
}

#[test]
fn list_that_does_not_come_keeps_neither_clients_nor_a_signal_waiting() {
    let sandbox = Sandbox::new();
    sandbox.file("inbox/there", "there");
    let mine = key(&sandbox, "config");
    fs::write(sandbox.path("friends"), format!("{mine} read\n")).unwrap();
    let mut server = sandbox.serve_at("theirs", "inbox --tls --authorized friends");
    let line = format!("ls {} --peer {}", server.address(), key(&sandbox, "theirs"));
    // A name at which opening waits until somebody writes: as on a disk that does not answer.
    fs::remove_file(sandbox.path("friends")).unwrap();
    assert!(Command::new("mkfifo").args(["-m", "600"]).arg(sandbox.path("friends")).status().unwrap().success());
    server.hang_up();
    for _ in 0..3 {
        sandbox.run(&line).expect(0);
    }
    server.interrupt();
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn log_for_machines_is_one_object_a_line_and_names_who_did_what() {
    let sandbox = Sandbox::new();
    sandbox.folder("inbox");
    sandbox.file("a", "content");
    let line = "serve inbox --once --listen 127.0.0.1:0";
    let mut command = sandbox.command(line);
    command.env("FT_LOG", "ft_cli=info").env("FT_LOG_FORMAT", "json");
    let mut child = command.spawn().unwrap();
    let mut told = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    std::io::BufRead::read_line(&mut told, &mut first).unwrap();
    let port = first.split(':').nth(1).and_then(|rest| rest.split(' ').next()).expect("a port").to_owned();
    sandbox.run(&format!("put a 127.0.0.1:{port}")).expect(0);
    let ran = finish(child, line).expect(0);
    let objects: Vec<serde_json::Value> =
        ran.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let over = objects.iter().find(|object| object["message"] == "session over").expect("a line about the session");
    assert_eq!((&over["files"], &over["bytes"], &over["level"]), (&1.into(), &7.into(), &"INFO".into()), "{over}");
    assert!(over["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{over}");
}

/// What `systemd-analyze` says about the files of `deploy/`, with the program where the test has it.
#[test]
fn unit_files_are_understood_by_systemd_and_leave_little_exposed() {
    let sandbox = Sandbox::new();
    let ours = sandbox.command("");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for name in ["ft-cli.service", "ft-cli.socket"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        sandbox.file(name, text.replace("/usr/local/bin/ft-cli", &ours.get_program().to_string_lossy()));
    }
    let analyze = |args: &[&str]| {
        let output =
            Command::new("systemd-analyze").args(args).current_dir(sandbox.path("")).stdin(Stdio::null()).output();
        let output = output.expect("systemd-analyze runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{args:?}: {text}");
        text
    };
    let said = analyze(&["verify", "--man=no", "./ft-cli.service", "./ft-cli.socket"]);
    assert!(!said.contains("ft-cli."), "{said}");
    // Tenths of ten: 100 is everything open.
    analyze(&["security", "--offline=yes", "--threshold=20", "./ft-cli.service"]);
}
