//! Ctrl-C in the middle of a transfer.

use std::io::Write as _;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Sandbox, finish, noise};
use crate::proxy::{self, Fate};

/// By then a transfer has begun. A later start only makes the test easier.
const UNDER_WAY: Duration = Duration::from_millis(500);

fn interrupt(child: &std::process::Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process number")).expect("a process");
    kill_process(pid, Signal::INT).expect("our own child");
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
