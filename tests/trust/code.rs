//! A one-time code between two people.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::{Sandbox, finish, noise};

fn prepared() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("a", noise(300_000));
    sandbox.file("tree/b", "b");
    sandbox
}

#[test]
fn files_go_to_whoever_shows_the_code_and_both_end_well() {
    let sandbox = prepared();
    let (mut receiver, code) = sandbox.recv_at("theirs", "inbox");
    let sent = sandbox.run(&format!("send a tree {code}@{}", receiver.address())).expect(0);
    assert_eq!(receiver.wait(), Some(0));
    assert_eq!(fs::read(sandbox.path("inbox/a")).unwrap(), noise(300_000));
    assert_eq!(fs::read(sandbox.path("inbox/tree/b")).unwrap(), b"b");
    // Each has told the other's key, so that they need no code the next time.
    receiver.await_line(&format!("the sender's key is {}", crate::keys::key(&sandbox, "config")));
    assert!(sent.stderr.contains(&crate::keys::key(&sandbox, "theirs")), "{}", sent.stderr);
}

#[test]
fn third_wrong_code_burns_it_and_the_receiver_ends() {
    let sandbox = prepared();
    let (mut receiver, code) = sandbox.recv_at("theirs", "inbox");
    let host = receiver.address();
    for wrong in ["7-one-two", "8-one-two", "9-one-two"] {
        assert_ne!(wrong, code);
        let refused = sandbox.run(&format!("send a {wrong}@{host}")).expect(1);
        assert!(refused.stderr.contains("the code is not accepted"), "{}", refused.stderr);
    }
    assert_eq!(receiver.wait(), Some(1));
    receiver.await_line("the code is burnt");
    sandbox.run(&format!("send a {code}@{host}")).expect(1);
    assert_eq!(fs::read_dir(sandbox.path("inbox")).unwrap().count(), 0);
}

#[test]
fn two_wrong_codes_do_not_hurt_the_right_one() {
    let sandbox = prepared();
    let (mut receiver, code) = sandbox.recv_at("theirs", "inbox");
    for wrong in ["7-one-two", "8-one-two"] {
        sandbox.run(&format!("send a {wrong}@{}", receiver.address())).expect(1);
    }
    sandbox.run(&format!("send a {code}@{}", receiver.address())).expect(0);
    assert_eq!(receiver.wait(), Some(0));
}

#[test]
fn code_that_nobody_used_in_time_is_over() {
    let sandbox = prepared();
    let (mut receiver, _) = sandbox.recv_at("theirs", "inbox --expires 0.3");
    assert_eq!(receiver.wait(), Some(1));
    receiver.await_line("nobody came in time; the code is over");
}

#[test]
fn file_that_is_there_stays_and_the_new_one_gets_another_name() {
    let sandbox = prepared();
    for (flag, old, new) in [("", "old", Some("new, and longer")), ("--replace", "new, and longer", None)] {
        sandbox.file("inbox/x", "old");
        sandbox.file("x", "new, and longer");
        let (mut receiver, code) = sandbox.recv_at("theirs", &format!("inbox {flag}"));
        sandbox.run(&format!("send x {code}@{}", receiver.address())).expect(0);
        assert_eq!(receiver.wait(), Some(0));
        assert_eq!(fs::read_to_string(sandbox.path("inbox/x")).unwrap(), old);
        assert_eq!(fs::read_to_string(sandbox.path("inbox/x (1)")).ok().as_deref(), new);
        let _ = fs::remove_file(sandbox.path("inbox/x (1)"));
    }
}

#[test]
fn receiver_shows_nothing_and_takes_nothing_from_others() {
    let sandbox = prepared();
    let (mut receiver, code) = sandbox.recv_at("theirs", "inbox");
    let (host, theirs) = (receiver.address(), crate::keys::key(&sandbox, "theirs"));
    for line in ["ls HOST", "put a HOST", "get HOST/x got/"] {
        let line = format!("{} --peer {theirs} --retries 0", line.replace("HOST", &host));
        sandbox.run(&line).expect(1);
    }
    sandbox.run(&format!("send a {code}@{host}")).expect(0);
    assert_eq!(receiver.wait(), Some(0));
}

#[test]
fn code_is_read_from_a_descriptor_and_missing_one_is_a_usage_error() {
    let sandbox = prepared();
    let (mut receiver, code) = sandbox.recv_at("theirs", "inbox");
    let host = receiver.address();
    sandbox.run(&format!("send a {host}")).expect(2);
    sandbox.run_with_input(&format!("send a {host} --code-fd 0"), b"not a code at all, is it").expect(2);
    sandbox.run_with_input(&format!("send a {host} --code-fd 0"), code.as_bytes()).expect(0);
    assert_eq!(receiver.wait(), Some(0));
}

#[test]
fn no_log_of_either_side_holds_the_code_however_much_it_says() {
    let sandbox = prepared();
    let (mut receiver, code) = sandbox.recv_at("theirs", "inbox");
    let wrong = "7-mistaken-secret";
    let run = |code: &str, host: &str| {
        let mut command = sandbox.command(&format!("send a {code}@{host} -vvv"));
        finish(command.env("FT_LOG", "trace").spawn().unwrap(), "send")
    };
    let refused = run(wrong, &receiver.address()).expect(1);
    let sent = run(&code, &receiver.address()).expect(0);
    assert_eq!(receiver.wait(), Some(0));
    let log = receiver.stderr_lines().join("\n");
    assert!(log.len() > 1000 && sent.stderr.len() > 1000, "there is a log");
    for secret in [&code, wrong] {
        let (_, words) = secret.split_once('-').unwrap();
        for text in [&log, &sent.stderr, &refused.stderr, &sent.text(), &refused.text()] {
            assert!(!text.contains(words), "{words}: {text}");
        }
    }
    let shown = receiver.stdout_lines();
    assert_eq!(shown.iter().filter(|line| line.contains(&code)).count(), 1, "{shown:?}");
}

/// The receiver is one that never answers, so that the sender waits with its code.
#[cfg(target_os = "linux")]
#[test]
fn command_line_and_environment_of_a_waiting_sender_do_not_hold_the_code() {
    let sandbox = prepared();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap();
    let mut sender = sandbox.command(&format!("send a 7-crossover-clockwork@{host}")).spawn().unwrap();
    let (_stream, _) = listener.accept().unwrap();
    let read = |what: &str| fs::read_to_string(format!("/proc/{}/{what}", sender.id())).unwrap_or_default();
    let end = Instant::now() + Duration::from_secs(5);
    while !read("cmdline").contains("--code-fd") && Instant::now() < end {}
    let (line, environment) = (read("cmdline"), read("environ"));
    sender.kill().unwrap();
    sender.wait().unwrap();
    assert!(line.contains(&host.to_string()) && line.contains("--code-fd"), "{line}");
    assert!(!line.contains("crossover") && !environment.contains("crossover"), "{line} {environment}");
}
