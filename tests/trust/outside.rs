//! What goes over a wire: in a network namespace with an address that is not this machine's own loopback.

use std::process::{Command, Output};

use crate::harness::{Sandbox, noise};

/// Gives the namespace's only device an address as other machines have them.
const SETUP: &str = "import fcntl, os, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
name = lambda n: struct.pack('16sH2s4s8s', n, socket.AF_INET, bytes(2), socket.inet_aton('10.9.8.7'), bytes(8))
fcntl.ioctl(s, 0x8914, struct.pack('16sH14s', b'lo', 0x41, bytes(14)))
fcntl.ioctl(s, 0x8916, name(b'lo:1'))
os.execvp('sh', ['sh', '-euc', sys.argv[1]])";

/// Runs a script in a network of its own. `serve ARGS` in it starts a server at 10.9.8.7 and waits until it listens.
fn outside(sandbox: &Sandbox, script: &str) -> Output {
    let ours = sandbox.command("");
    let serve = "serve() { rm -f log; XDG_CONFIG_HOME=$PWD/theirs $FT serve \"$@\" > log 2>&1 & \
                 until grep -qs 'listening on' log; do kill -0 $! || { cat log; exit 9; }; sleep 0.05; done; }";
    let script = format!("{serve}\n{script}");
    Command::new("timeout")
        .args(["60", "unshare", "-rn", "--kill-child", "--fork", "--pid", "python3", "-c", SETUP, &script])
        .current_dir(sandbox.path(""))
        .env("FT", ours.get_program())
        .env("XDG_CONFIG_HOME", sandbox.path("config"))
        .env_remove("FT_IDENTITY")
        .output()
        .expect("unshare runs")
}

fn prepared() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.folder("inbox");
    sandbox.file("a", noise(300_000));
    sandbox
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn other_machines_are_spoken_to_over_tls_without_asking_for_it() {
    let sandbox = prepared();
    let output = outside(
        &sandbox,
        "serve inbox --anyone --listen 10.9.8.7:65432
         ! $FT put a 10.9.8.7 || exit 8
         $FT put a 10.9.8.7 --peer $(XDG_CONFIG_HOME=$PWD/theirs $FT key)",
    );
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("is not known here, and there is no terminal to ask at"), "{}", said(&output));
    assert!(sandbox.path("inbox/a").exists());
}

#[test]
fn plain_client_from_another_machine_is_told_no_in_its_own_words() {
    let sandbox = prepared();
    let output = outside(
        &sandbox,
        "serve inbox --listen 10.9.8.7:65432
         ! $FT put a 10.9.8.7 --insecure",
    );
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("WARNING: --insecure: not encrypted"), "{}", said(&output));
    assert!(said(&output).contains("forbidden: this server speaks TLS only to you"), "{}", said(&output));
    assert!(!sandbox.path("inbox/a").exists());
}

#[test]
fn insecure_on_both_sides_sends_in_the_clear_and_says_so_even_if_quiet() {
    let sandbox = prepared();
    let output = outside(
        &sandbox,
        "serve inbox --insecure --listen 10.9.8.7:65432 --metrics 10.9.8.7:0
         $FT put -q a 10.9.8.7 --insecure",
    );
    assert!(output.status.success(), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("WARNING: --insecure"), "{}", said(&output));
    assert!(sandbox.path("inbox/a").exists());
    let log = std::fs::read_to_string(sandbox.path("log")).unwrap();
    assert!(log.contains("WARNING: --metrics: whoever reaches"), "{log}");
    assert!(log.contains("WARNING: --insecure: clients on other machines come in"), "{log}");
}

#[test]
fn lab_dialects_stay_on_this_machine_unless_insecure_on_both_sides() {
    let sandbox = prepared();
    for (serve, put, stored) in [
        ("--dialect auto --listen 10.9.8.7:65432", "--insecure", false),
        ("--dialect auto --insecure --listen 10.9.8.7:65432", "", false),
        ("--dialect auto --insecure --listen 10.9.8.7:65432", "--insecure", true),
    ] {
        let output = outside(
            &sandbox,
            &format!("serve inbox {serve}\n$FT put a 10.9.8.7 --dialect addfile {put} || true; sleep 0.3"),
        );
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(sandbox.path("inbox/server_a").exists(), stored, "{serve} | {put}: {}", said(&output));
    }
    let refused = outside(&sandbox, "exec $FT serve inbox --dialect pipe --listen 10.9.8.7:0");
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("a lab dialect cannot be encrypted"), "{}", said(&refused));
    for dialect in ["pipe", "addfile"] {
        let refused = sandbox.run(&format!("serve inbox --dialect {dialect} --tls --listen 127.0.0.1:0")).expect(2);
        assert!(
            refused.stderr.contains("a lab dialect cannot be encrypted, and --tls asks for it"),
            "{}",
            refused.stderr
        );
    }
}
