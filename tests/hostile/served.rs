//! One row against `ft-cli serve`: what it answers, what is on the disk then, and that the next client is served.

use std::net::TcpStream;

use crate::craft::{ACK1, ERROR, GOODBYE, PULL, PUSH, Wire, hello, preamble};
use crate::harness::{Sandbox, Server};
use crate::table::{is_plain, only, prepared, survey};

/// A bad client, and what must come of it.
pub(crate) struct Row {
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    /// What the client does.
    pub(crate) what: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) play: fn(&mut Client),
}

/// How it ends, and what lands: names of files, which hold `hello`, and links as `NAME -> TARGET`.
pub(crate) struct Outcome {
    pub(crate) end: End,
    pub(crate) lands: &'static [&'static str],
}

/// How a session ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// ACK1 *refused* with this code; the session goes on and ends well.
    Refused(&'static str),
    /// ERROR for the stream with this code; the session goes on and ends well.
    Failed(&'static str),
    /// ERROR for the session with this code, and these words in its text.
    Told(&'static str, &'static str),
    /// Nothing is told; the server's own line has these words.
    Silent(&'static str),
    /// The session ends well.
    Well,
}

pub(crate) const fn refused(code: &'static str) -> Outcome {
    Outcome { end: End::Refused(code), lands: &[] }
}

pub(crate) const fn failed(code: &'static str) -> Outcome {
    Outcome { end: End::Failed(code), lands: &[] }
}

pub(crate) const fn told(code: &'static str, words: &'static str) -> Outcome {
    Outcome { end: End::Told(code, words), lands: &[] }
}

pub(crate) const fn silent(words: &'static str) -> Outcome {
    Outcome { end: End::Silent(words), lands: &[] }
}

pub(crate) const fn lands(lands: &'static [&'static str]) -> Outcome {
    Outcome { end: End::Well, lands }
}

impl Outcome {
    pub(crate) const fn and_lands(self, lands: &'static [&'static str]) -> Self {
        Self { end: self.end, lands }
    }

    /// For the document.
    pub(crate) fn shown(&self) -> String {
        let end = match self.end {
            End::Refused(code) => format!("refused: `{code}`"),
            End::Failed(code) => format!("the file fails: `{code}`"),
            End::Told(code, words) => format!("the session ends: `{code}`, {words}"),
            End::Silent(words) => format!("closed without an answer; the log says \"{words}\""),
            End::Well => "the session ends well".into(),
        };
        match self.lands {
            [] => end,
            names => format!("{end}; lands: {}", names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// A client under the test's hands.
pub(crate) struct Client {
    sandbox: Sandbox,
    server: Option<Server>,
    wire: Option<Wire>,
    /// The next client lists: it may not put here.
    lists: bool,
}

impl Client {
    /// Starts the server with these options; otherwise it has none.
    pub(crate) fn options(&mut self, options: &str) -> &mut Self {
        self.lists = options.contains("--read-only");
        self.server = Some(self.sandbox.serve(&format!("inbox {options}")));
        self
    }

    pub(crate) fn server(&mut self) -> &mut Server {
        if self.server.is_none() {
            self.options("");
        }
        self.server.as_mut().expect("it was started")
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Another connection, on which nothing was said.
    pub(crate) fn connection(&mut self) -> Wire {
        Wire::new(TcpStream::connect(self.server().address()).expect("a connection"))
    }

    /// The connection on which the row plays.
    pub(crate) fn bare(&mut self) -> &mut Wire {
        if self.wire.is_none() {
            self.wire = Some(self.connection());
        }
        self.wire.as_mut().expect("it was made")
    }

    fn begin(&mut self, intent: u8) -> &mut Wire {
        self.bare().say(&[preamble(1, 1), hello(intent)].concat())
    }

    /// A push that has begun as it should.
    pub(crate) fn push(&mut self) -> &mut Wire {
        self.begin(PUSH)
    }

    /// A pull that has begun as it should.
    pub(crate) fn pull(&mut self) -> &mut Wire {
        self.begin(PULL)
    }
}

/// Plays a row.
#[track_caller]
pub(crate) fn serve(row: &Row) {
    let sandbox = prepared("inbox");
    let mut client = Client { sandbox, server: None, wire: None, lists: false };
    client.server();
    client.server = None;
    let before = survey(&client.sandbox.path(""));
    (row.play)(&mut client);
    let mut wire = client.wire.take().expect("the row plays on a connection");
    wire.shut().hear_all();
    let fault = |kind: u8, session: bool| {
        let of = wire.heard.iter().filter(|f| f.kind == kind && (f.stream == 0) == session);
        of.filter_map(|f| f.fault()).next()
    };
    let well = wire.heard.iter().any(|f| f.kind == GOODBYE);
    let said = || format!("{:?}", wire.heard);
    match row.outcome.end {
        End::Refused(code) => {
            assert_eq!(fault(ACK1, false).map(|f| f.0), Some(code), "{}", said());
            assert!(well, "{}", said());
        }
        End::Failed(code) => {
            assert_eq!(fault(ERROR, false).map(|f| f.0), Some(code), "{}", said());
            assert!(well, "{}", said());
        }
        End::Told(code, words) => {
            let (told, text) = fault(ERROR, true).unwrap_or_else(|| panic!("no error was told: {}", said()));
            assert!(told == code && text.contains(words), "{told}: {text}");
            assert!(!well, "{}", said());
        }
        End::Silent(words) => {
            client.server().await_line(words);
            // What was said before may be GOODBYE: a sender says it before the last acknowledgement.
            assert!(fault(ERROR, true).is_none(), "{}", said());
        }
        End::Well => assert!(well && fault(ERROR, true).is_none(), "{}", said()),
    }
    next_client(client, row, before);
}

/// The next client is served as if nothing had been, and nothing else has changed.
#[track_caller]
fn next_client(mut client: Client, row: &Row, mut before: std::collections::BTreeMap<String, String>) {
    let address = client.server().address();
    match client.lists {
        true => {
            let listed = client.sandbox.run(&format!("ls {address} --retries 0")).expect(0).text();
            assert!(listed.contains("old"), "{listed}");
        }
        false => {
            client.sandbox.run(&format!("put good {address} --retries 0")).expect(0);
            before.insert("inbox/good".into(), "\"good\"".into());
        }
    }
    let lands: Vec<String> = row.outcome.lands.iter().map(|name| format!("inbox/{name}")).collect();
    let lands: Vec<&str> = lands.iter().map(String::as_str).collect();
    only(&before, &survey(&client.sandbox.path("")), &lands);
    let server = client.server();
    is_plain(server.stdout_lines().iter().chain(&server.stderr_lines()));
}
