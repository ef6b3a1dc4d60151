//! Ctrl-C, SIGTERM and SIGHUP in the middle of a transfer.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Sandbox, finish, noise, tree};
use crate::proxy::{self, Fate};

/// By then a transfer has begun. A later start only makes the test easier.
const UNDER_WAY: Duration = Duration::from_millis(500);

fn interrupt(child: &Child) {
    signal(child, Signal::INT);
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process number")).expect("a process");
    kill_process(pid, signal).expect("our own child");
}

#[test]
fn interrupted_put_tells_both_sides_and_the_next_one_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    let content = noise(6 << 20);
    let mut server = sandbox.serve("pub --overwrite replace");
    let line = format!("put - 127.0.0.1:{} --name slow", server.port);
    let (child, mut input) = sandbox.start(&line);
    input.write_all(&content[..5 << 20]).expect("the program reads");
    input.flush().expect("the program reads");
    std::thread::sleep(UNDER_WAY);
    interrupt(&child);
    let ran = finish(child, &line).expect(130);
    drop(input);
    assert!(ran.all().contains("interrupted; what has arrived is kept"), "{}", ran.all());
    let heard = server.await_line("stopped by the one who asked for it");
    assert!(heard.contains("cancelled") || heard.contains("stopped"), "{heard}");
    assert!(!sandbox.path("pub/slow").exists(), "nothing half-done under the final name");
    sandbox.file("slow", &content);
    sandbox.run(&format!("put slow 127.0.0.1:{}", server.port)).expect(0);
    assert_eq!(std::fs::read(sandbox.path("pub/slow")).expect("it landed"), content);
}

#[test]
fn interrupted_get_exits_with_130_though_its_server_is_silent() {
    let sandbox = Sandbox::new();
    sandbox.file("pub/big", noise(8 << 20));
    let server = sandbox.serve("pub");
    // Silent from the first answer on: the client waits with nothing to do.
    let port = proxy::start(server.port, vec![Fate::SilenceAfter(1)]);
    let line = format!("get 127.0.0.1:{port}/big -v");
    let (child, _input) = sandbox.start(&line);
    std::thread::sleep(UNDER_WAY);
    interrupt(&child);
    let ran = finish(child, &line).expect(130);
    assert!(ran.all().contains("interrupted; what has arrived is kept"), "{}", ran.all());
}

/// The same, started by another program, which becomes it.
fn through(program: &str, args: &[&str], ours: &Command) -> Command {
    let mut command = Command::new(program);
    command.args(args).arg(ours.get_program()).args(ours.get_args());
    for (name, value) in ours.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = ours.get_current_dir() {
        command.current_dir(folder);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The same, though whoever runs the tests may ignore hangups (`nohup`): what is ignored is inherited, and respected.
fn hearing_hangups(ours: Command) -> Command {
    if cfg!(target_os = "linux") { through("env", &["--default-signal=HUP"], &ours) } else { ours }
}

#[test]
fn terminated_or_hung_up_get_to_standard_output_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    sandbox.file("pub/big", noise(8 << 20));
    let server = sandbox.serve("pub");
    for asked in [Signal::INT, Signal::TERM, Signal::HUP] {
        let port = proxy::start(server.port, vec![Fate::SilenceAfter(1)]);
        let line = format!("get 127.0.0.1:{port}/big -");
        let mut command = hearing_hangups(sandbox.command(&line));
        let child = command.stdin(Stdio::piped()).spawn().expect("the program starts");
        await_spool(&sandbox);
        std::thread::sleep(UNDER_WAY);
        signal(&child, asked);
        let ran = finish(child, &line).expect(130);
        assert!(ran.all().contains("interrupted; what has arrived is kept"), "{asked:?}: {}", ran.all());
        assert_eq!(tree(&sandbox.path("tmp")), [], "{asked:?}");
    }
}

#[test]
fn hangup_is_no_matter_to_a_command_that_was_told_to_ignore_it() {
    let sandbox = Sandbox::new();
    sandbox.folder("pub");
    let server = sandbox.serve("pub");
    let ours = sandbox.command(&format!("put - 127.0.0.1:{} --name slow", server.port));
    let mut command = through("sh", &["-c", "trap '' HUP; exec \"$@\"", "sh"], &ours);
    let mut child = command.spawn().expect("a shell");
    let mut input = child.stdin.take().expect("a pipe");
    std::thread::sleep(UNDER_WAY);
    signal(&child, Signal::HUP);
    input.write_all(b"all of it").expect("the program reads");
    drop(input);
    finish(child, "put - --name slow").expect(0);
    assert_eq!(std::fs::read(sandbox.path("pub/slow")).expect("it landed"), b"all of it");
}

#[test]
fn spool_is_gone_while_standard_output_is_written_and_after_a_second_signal() {
    let sandbox = Sandbox::new();
    sandbox.file("pub/big", noise(4 << 20));
    let server = sandbox.serve("pub");
    let line = format!("get 127.0.0.1:{}/big -", server.port);
    let (mut child, _input) = sandbox.start(&line);
    // After the first byte nobody reads, and a pipe holds far less than the rest.
    let mut output = child.stdout.take().expect("a pipe");
    output.read_exact(&mut [0]).expect("something is written");
    assert_eq!(tree(&sandbox.path("tmp")), []);
    interrupt(&child);
    std::thread::sleep(UNDER_WAY);
    interrupt(&child);
    finish(child, &line).expect(130);
    assert_eq!(tree(&sandbox.path("tmp")), []);
}

/// Waits until the temporary folder has something in it.
fn await_spool(sandbox: &Sandbox) {
    let end = Instant::now() + Duration::from_secs(30);
    while std::fs::read_dir(sandbox.path("tmp")).expect("a folder").next().is_none() {
        assert!(Instant::now() < end, "the temporary folder is used");
        std::thread::sleep(Duration::from_millis(5));
    }
}
