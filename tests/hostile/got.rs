//! One row against `ft-cli get`, `put` or `ls`: a hostile server that the test plays, the exit code, the words, and the disk.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::craft::{ANSWER, OFFER, WANT, Wire, hello, preamble};
use crate::harness::{Sandbox, finish};
use crate::table::{is_plain, only, prepared, survey};

/// A bad server, and what must come of it.
pub(crate) struct Row {
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    /// What the server does.
    pub(crate) what: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) play: fn(&mut Host),
}

/// How the command ends, and what lands in `dest`: names of files, which hold `hello`.
pub(crate) struct Outcome {
    /// The command, `HOST` being the server.
    pub(crate) command: &'static str,
    pub(crate) exit: i32,
    /// Words of its standard error.
    pub(crate) words: &'static str,
    pub(crate) lands: &'static [&'static str],
}

const GET: &str = "get HOST/box dest/";
const PUT: &str = "put good HOST";
const LS: &str = "ls HOST/box";

pub(crate) const fn get(exit: i32, words: &'static str) -> Outcome {
    Outcome { command: GET, exit, words, lands: &[] }
}

pub(crate) const fn put(exit: i32, words: &'static str) -> Outcome {
    Outcome { command: PUT, exit, words, lands: &[] }
}

pub(crate) const fn ls(exit: i32, words: &'static str) -> Outcome {
    Outcome { command: LS, exit, words, lands: &[] }
}

impl Outcome {
    pub(crate) const fn lands(self, lands: &'static [&'static str]) -> Self {
        Self { lands, ..self }
    }

    pub(crate) const fn by(self, command: &'static str) -> Self {
        Self { command, ..self }
    }

    /// For the document.
    pub(crate) fn shown(&self) -> String {
        let said = if self.words.is_empty() { String::new() } else { format!(": \"{}\"", self.words) };
        let end = format!("`{}`: exit {}{said}", self.command.replace("HOST", "…"), self.exit);
        match self.lands {
            [] => end,
            names => format!("{end}; lands: {}", names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// A server under the test's hands, with its first client.
pub(crate) struct Host {
    wire: Wire,
}

impl Host {
    /// The connection, on which nothing was said.
    pub(crate) fn bare(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Greets as it should, and has heard what the client wants or offers first.
    pub(crate) fn greet(&mut self) -> &mut Wire {
        self.wire.hear(WANT, 1).say(&[preamble(1, 1), hello(ANSWER)].concat())
    }

    /// The same for a client that puts.
    pub(crate) fn receive(&mut self) -> &mut Wire {
        self.wire.hear(OFFER, 1).say(&[preamble(1, 1), hello(ANSWER)].concat())
    }
}

/// Plays a row.
#[track_caller]
pub(crate) fn fetch(row: &Row) {
    let sandbox = prepared("dest");
    if row.outcome.command.contains("large") {
        sandbox.file("large", vec![5; 64 << 20]);
    }
    let before = survey(&sandbox.path(""));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let line = format!("{} --retries 0", row.outcome.command.replace("HOST", &address));
    let ran = run(&sandbox, &line, &listener, row.play);
    let ran = ran.expect(row.outcome.exit);
    assert!(ran.stderr.contains(row.outcome.words), "{}", ran.all());
    assert!(row.outcome.exit != 0 || row.outcome.words.is_empty() || !ran.stderr.is_empty(), "{}", ran.all());
    let lands: Vec<String> = row.outcome.lands.iter().map(|name| format!("dest/{name}")).collect();
    only(&before, &survey(&sandbox.path("")), &lands.iter().map(String::as_str).collect::<Vec<_>>());
    is_plain([&ran.stderr, &ran.text()]);
}

fn run(sandbox: &Sandbox, line: &str, listener: &TcpListener, play: fn(&mut Host)) -> crate::harness::Ran {
    let child = sandbox.command(line).spawn().expect("the program starts");
    let begun = Instant::now();
    listener.set_nonblocking(true).expect("an option");
    let stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(_) => assert!(begun.elapsed() < Duration::from_secs(30), "the client connects"),
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    stream.set_nonblocking(false).expect("an option");
    // Beside it, so that what the command says is read while the server talks.
    let server = std::thread::spawn(move || {
        let mut host = Host { wire: Wire::new(stream) };
        play(&mut host);
        host.wire.shut().hear_all();
    });
    let ran = finish(child, line);
    server.join().expect("the server plays to its end");
    ran
}
