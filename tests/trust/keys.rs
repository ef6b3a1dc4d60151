//! Keys: made once, pinned, changed, signed for.

use std::fs;

use crate::harness::{Sandbox, Server, noise};

/// Two installations, and a file to send.
pub(crate) fn two() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.folder("inbox");
    sandbox.file("a", noise(300_000));
    sandbox
}

/// The key of an installation.
pub(crate) fn key(sandbox: &Sandbox, home: &str) -> String {
    sandbox.run_at(home, "key").expect(0).text().trim().to_owned()
}

/// A server that asks for keys on loopback too, and lets everybody in who has one.
pub(crate) fn server(sandbox: &Sandbox) -> Server {
    sandbox.serve_at("theirs", "inbox --tls --anyone")
}

#[test]
fn pinned_server_takes_a_file_and_gives_it_back_through_tls() {
    let sandbox = two();
    let server = server(&sandbox);
    let (host, theirs) = (server.address(), key(&sandbox, "theirs"));
    sandbox.run(&format!("put a {host}/in --peer {theirs}")).expect(0);
    sandbox.run(&format!("get {host}/in/a back --peer {theirs}")).expect(0);
    assert_eq!(fs::read(sandbox.path("back")).unwrap(), noise(300_000));
    let listed = sandbox.run(&format!("ls {host}/in --peer {theirs}")).expect(0).text();
    assert!(listed.contains(" a\n"), "{listed}");
}

#[test]
fn several_connections_of_one_session_are_encrypted_each() {
    let sandbox = two();
    sandbox.file("big", noise(20_000_000));
    // Slow enough that the others have joined long before the end.
    let server = sandbox.serve_at("theirs", "inbox --tls --anyone --rate 60M");
    let (host, theirs) = (server.address(), key(&sandbox, "theirs"));
    for line in [format!("put big {host}"), format!("get {host}/big back")] {
        let ran = sandbox.run(&format!("{line} --peer {theirs} --streams 3 --verbose")).expect(0);
        assert!(ran.stderr.contains("several connections") && ran.stderr.contains("lanes=3"), "{}", ran.stderr);
    }
    assert!(fs::read(sandbox.path("back")).unwrap() == noise(20_000_000));
}

#[test]
fn key_is_printed_the_same_each_time_and_two_installations_differ() {
    let sandbox = Sandbox::new();
    let mine = key(&sandbox, "mine");
    assert_eq!(mine, key(&sandbox, "mine"));
    assert_ne!(mine, key(&sandbox, "theirs"));
    let named = sandbox.run_at("mine", "key --identity elsewhere").expect(0).text();
    assert_ne!(named.trim(), mine);
}

#[test]
fn unknown_server_is_refused_without_a_terminal_and_the_line_that_would_pin_it_works() {
    let sandbox = two();
    let server = server(&sandbox);
    let host = server.address();
    let refused = sandbox.run(&format!("put a {host} --tls")).expect(1);
    assert!(refused.stderr.contains("is not known here, and there is no terminal"), "{}", refused.stderr);
    assert!(!sandbox.path("inbox/a").exists(), "nothing was sent");
    let line = refused.stderr.trim().rsplit(": ").next().unwrap().to_owned();
    assert_eq!(line, format!("{host} {}", key(&sandbox, "theirs")));
    fs::write(sandbox.path("config/ft-cli/known_peers"), line + "\n").unwrap();
    // Pinned, it is spoken to over TLS even though it is on this machine and nobody asked for it.
    sandbox.run(&format!("put a {host}")).expect(0);
    assert!(sandbox.path("inbox/a").exists());
}

#[test]
fn changed_key_is_refused_loudly_and_nothing_is_sent() {
    let sandbox = two();
    let server = server(&sandbox);
    let host = server.address();
    let other = key(&sandbox, "other");
    sandbox.file("config/ft-cli/known_peers", format!("{host} {other}\n"));
    for line in [format!("put a {host}"), format!("put a {host} --tls"), format!("ls {host}")] {
        let refused = sandbox.run(&line).expect(1);
        assert!(refused.stderr.contains("has CHANGED"), "{}", refused.stderr);
        assert!(refused.stderr.contains(&other) && refused.stderr.contains("line 1 of"), "{}", refused.stderr);
    }
    assert!(!sandbox.path("inbox/a").exists());
}

#[test]
fn server_with_another_key_than_peer_names_is_refused_whatever_is_pinned() {
    let sandbox = two();
    let server = server(&sandbox);
    let host = server.address();
    sandbox.file("config/ft-cli/known_peers", format!("{host} {}\n", key(&sandbox, "theirs")));
    let refused = sandbox.run(&format!("put a {host} --peer {}", key(&sandbox, "other"))).expect(1);
    assert!(refused.stderr.contains("has another key than --peer asks for"), "{}", refused.stderr);
    assert!(!sandbox.path("inbox/a").exists());
}

#[test]
fn known_peers_that_cannot_be_read_as_a_whole_lets_nobody_be_trusted() {
    let sandbox = two();
    let server = server(&sandbox);
    let host = server.address();
    sandbox.file("config/ft-cli/known_peers", format!("{host} {}\nnonsense\n", key(&sandbox, "theirs")));
    let refused = sandbox.run(&format!("put a {host}")).expect(1);
    assert!(refused.stderr.contains("line 2: one word"), "{}", refused.stderr);
}

/// The answer is typed at a terminal of its own: Python's, as it has one ready.
#[cfg(target_os = "linux")]
#[test]
fn person_at_a_terminal_is_asked_once_and_a_no_sends_nothing() {
    let sandbox = two();
    let server = server(&sandbox);
    let host = server.address();
    let ask = |answer: &str, after: &str| {
        let script = "import os, pty, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
said = b''
while b'(y/n) ' not in said:
    said += os.read(terminal, 4096)
time.sleep(float(os.environ['AFTER']))
os.write(terminal, sys.argv[1].encode() + b'\\n')
while True:
    try:
        more = os.read(terminal, 4096)
    except OSError:
        break
    if not more:
        break
    said += more
sys.stdout.write(said.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
        let line = format!("put a {host} --tls --retries 0");
        let ours = sandbox.command(&line);
        let mut command = std::process::Command::new("timeout");
        command.args(["30", "python3", "-c", script, answer]).arg(ours.get_program()).args(ours.get_args());
        command.current_dir(sandbox.path("")).env("XDG_CONFIG_HOME", sandbox.path("config")).env_remove("FT_IDENTITY");
        command.env("AFTER", after).output().expect("python3 runs")
    };
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    for no in ["n", "yes please", ""] {
        let output = ask(no, "0");
        assert_eq!(output.status.code(), Some(1), "{no}: {}", said(&output));
        assert!(said(&output).contains(&key(&sandbox, "theirs")), "the fingerprint is shown: {}", said(&output));
    }
    assert!(!sandbox.path("inbox/a").exists());
    // Longer than the server waits for a word.
    let output = ask("y", "11");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(sandbox.path("inbox/a").exists());
    sandbox.run(&format!("ls {host}")).expect(0);
}

#[test]
fn server_that_asks_for_tls_tells_a_plain_client_so_and_takes_nothing() {
    let sandbox = two();
    let server = server(&sandbox);
    let refused = sandbox.run(&format!("put a {}", server.address())).expect(1);
    assert!(refused.stderr.contains("forbidden: this server speaks TLS only to you"), "{}", refused.stderr);
    assert!(!sandbox.path("inbox/a").exists());
}

#[test]
fn plain_server_tells_a_client_that_wants_tls_that_it_cannot() {
    let sandbox = two();
    let server = sandbox.serve("inbox");
    let refused = sandbox.run(&format!("put a {} --tls", server.address())).expect(1);
    assert!(refused.stderr.contains("no encrypted connection to"), "{}", refused.stderr);
    assert!(!sandbox.path("inbox/a").exists());
}

#[test]
fn insecure_goes_with_nothing_that_asks_for_a_key() {
    let sandbox = two();
    for other in ["--tls", "--ca system", &format!("--peer {}", key(&sandbox, "theirs"))] {
        sandbox.run(&format!("put a localhost --insecure {other}")).expect(2);
    }
}
