//! Grades made by hand: one with a program of every kind of verdict and a faultless one, and one whose program does not work.
//! What they print and how they name files is as nasty as bytes can be.

use std::time::Duration;

use ft_core::dialect::{Pitfall, Whose};
use ft_sim::trace::{Event, What};
use ft_sim::{CLIENT, Direction, SERVER, Schedule};

use super::super::verdict::{Control, Finding, Grade, Role, Verdict};
use crate::proxy::Certainty;

/// Clears a screen, names a window, ends a script, a comment and a CDATA section, and is no UTF-8; and a right-to-left mark.
pub(super) const NASTY: &[u8] = b"\x1b[2J\x1b]0;owned\x07Traceback (most recent call last):\r\n\
    \tFile \"server.py\", line 9\n\n</script><img src=x onerror=alert(1)>\n<!-- ]]> & \xff\xfe\0 Gr\xc3\xb6\xc3\x9fe \xe2\x80\xae {{data}}\n\
    ValueError: not enough values to unpack (expected 2, got 1)\n";

fn schedule(text: &str) -> Schedule {
    text.parse().expect("a schedule")
}

/// Events of one connection, a millisecond apart.
struct Tape(Vec<Event>);

impl Tape {
    fn new() -> Self {
        Self(Vec::new()).and(What::Open { conn: 1, hosts: [CLIENT, SERVER] })
    }

    fn and(mut self, what: What) -> Self {
        let at = self.0.len() as u64 * 1_000_000;
        self.0.push(Event { at, step: 0, what });
        self
    }

    /// Written in one call, delivered in these pieces.
    fn sent(mut self, dir: Direction, offset: u64, bytes: &[u8], pieces: &[usize]) -> Self {
        self = self.and(What::Write { conn: 1, dir, offset, bytes: bytes.to_vec(), asked: bytes.len() as u64 });
        let mut from = 0;
        for piece in pieces {
            let bytes = bytes[from..from + piece].to_vec();
            self = self.and(What::Deliver { conn: 1, dir, offset: offset + from as u64, bytes });
            from += piece;
        }
        self
    }
}

const HEADER: &[u8] = b"data.txt|1300";

fn content(len: usize) -> Vec<u8> {
    b"0123456\n".iter().copied().cycle().take(len).collect()
}

fn control_run() -> Vec<Event> {
    Tape::new()
        .sent(Direction::C2s, 0, HEADER, &[13])
        .sent(Direction::S2c, 0, b"ACK", &[3])
        .sent(Direction::C2s, 13, &content(1300), &[1300])
        .and(What::Fin { conn: 1, dir: Direction::C2s, offset: 1313 })
        .and(What::Fin { conn: 1, dir: Direction::S2c, offset: 3 })
        .0
}

fn cut_run(header: &[u8], at: usize, step: &str) -> Vec<Event> {
    let step = schedule(step).steps()[0];
    Tape::new()
        .sent(Direction::C2s, 0, header, &[at])
        .and(What::Fault(step))
        .and(What::Deliver { conn: 1, dir: Direction::C2s, offset: at as u64, bytes: header[at..].to_vec() })
        .and(What::Fin { conn: 1, dir: Direction::S2c, offset: 0 })
        .and(What::Rst { conn: 1, to: ft_sim::Party::Client, offset: 0 })
        .0
}

/// More than any report shows: 2 MiB in pieces of 4 KiB.
fn long_run() -> Vec<Event> {
    let mut tape =
        Tape::new().sent(Direction::C2s, 0, b"data.txt|2097152", &[16]).sent(Direction::S2c, 0, b"ACK", &[3]);
    for piece in 0..512 {
        tape = tape.sent(Direction::C2s, 16 + piece * 4096, &content(4096), &[4096]);
    }
    tape.and(What::Fin { conn: 1, dir: Direction::C2s, offset: 16 + 512 * 4096 }).0
}

fn finding(role: Role, pitfall: Pitfall, verdict: Verdict, whose: Whose, steps: &str) -> Finding {
    Finding {
        pitfall,
        role,
        verdict,
        whose: Some(whose),
        schedule: schedule(steps),
        input: "\"data.txt\", 1300 bytes".to_owned(),
        expected: "reads on until the whole header is there".to_owned(),
        observed: "stood".to_owned(),
        runs: 3,
        failures: if verdict == Verdict::Failed { 3 } else { 0 },
        certainty: Certainty::Exact,
        events: control_run(),
        said: Vec::new(),
        took: Duration::from_millis(1_250),
        points: 1.0,
    }
}

fn control(role: Role, command: &str) -> Control {
    Control {
        role,
        command: command.to_owned(),
        broken: None,
        said: b"listening\n".to_vec(),
        events: control_run(),
        text: None,
        notes: vec!["it left processes behind, which were ended".into()],
    }
}

/// The header is cut, and the program dies of it, saying [`NASTY`].
pub(super) fn split_header() -> Finding {
    Finding {
        observed: "it died: exit code 1".to_owned(),
        events: cut_run(HEADER, 4, "c2s@4 split"),
        said: NASTY.to_vec(),
        ..finding(Role::Server, Pitfall::SplitHeader, Verdict::Failed, Whose::Implementation, "c2s@4 split")
    }
}

fn bad_server() -> Vec<Finding> {
    let of = |pitfall, verdict, whose, steps| finding(Role::Server, pitfall, verdict, whose, steps);
    vec![
        split_header(),
        Finding {
            expected: "takes no size for whole before it is sure of it".to_owned(),
            observed: "13 of 1300 bytes are there under its name".to_owned(),
            events: cut_run(HEADER, 11, "c2s@11 split"),
            runs: 5,
            ..of(Pitfall::SplitDigits, Verdict::Failed, Whose::Protocol, "c2s@11 split")
        },
        Finding {
            observed:
                "the header has no terminator: nobody can tell its end from the first byte of the content, and an \
                       honest client waits for the ACK"
                    .to_owned(),
            runs: 0,
            events: Vec::new(),
            points: 0.0,
            ..of(Pitfall::HeaderBodyMerge, Verdict::NotApplicable, Whose::Both, "benign")
        },
        Finding {
            expected: "stores nothing outside its folder, and serves the next client".to_owned(),
            observed: "it wrote outside its folder: ../\x1b[31mx</script>\u{202e}".to_owned(),
            input: "\"../x\", 25 bytes".to_owned(),
            events: long_run(),
            points: 2.5,
            ..of(Pitfall::PathTraversal, Verdict::Failed, Whose::Implementation, "benign")
        },
        Finding {
            expected: "decodes a name when all its bytes are there".to_owned(),
            observed: "it died: exit code 1".to_owned(),
            input: "\"d\u{e4}t\u{e4}.txt\", 1300 bytes".to_owned(),
            events: cut_run("d\u{e4}t\u{e4}.txt|1300".as_bytes(), 2, "c2s@2 split"),
            failures: 1,
            certainty: Certainty::Missed,
            ..of(Pitfall::Utf8Split, Verdict::Inconclusive, Whose::Implementation, "c2s@2 split")
        },
        of(Pitfall::EofIsSuccess, Verdict::Passed, Whose::Implementation, "c2s@663 fin"),
        of(Pitfall::NoTimeout, Verdict::Passed, Whose::Implementation, "benign"),
    ]
}

fn good_client() -> Vec<Finding> {
    let of = |pitfall, steps| finding(Role::Client, pitfall, Verdict::Passed, Whose::Implementation, steps);
    vec![
        of(Pitfall::SplitAck, "s2c@2 split"),
        of(Pitfall::EofIsSuccess, "c2s@5013 rst"),
        Finding { events: long_run(), ..of(Pitfall::ShortSend, "c2s@16 delay 1s") },
    ]
}

fn grade(controls: Vec<Control>, findings: Vec<Finding>) -> Grade {
    Grade {
        dialect: "pipe",
        controls,
        findings,
        isolation: "namespaces of its own (user, mount, pid, net), 512 MiB, 64 processes".to_owned(),
        took: Duration::from_millis(41_234),
        for_students: false,
    }
}

/// A server with every kind of verdict, and a client that stands everything.
pub(super) fn both() -> Grade {
    let findings = bad_server().into_iter().chain(good_client()).collect();
    grade(vec![control(Role::Server, "python3 server.py"), control(Role::Client, "./client data.txt")], findings)
}

/// A server with one fall.
pub(super) fn small() -> Grade {
    let findings = bad_server()
        .into_iter()
        .filter(|one| [Pitfall::SplitHeader, Pitfall::HeaderBodyMerge, Pitfall::NoTimeout].contains(&one.pitfall));
    grade(vec![control(Role::Server, "python3 server.py")], findings.collect())
}

/// A client that cannot do its work, after a server that was graded.
pub(super) fn broken() -> Grade {
    let mut client = control(Role::Client, "./client \u{1b}[31m --to </testsuite>\n");
    client.broken = Some("it did not connect within 10 s; it printed: \u{7}</error>]]>".to_owned());
    client.said = NASTY.to_vec();
    client.events = Vec::new();
    grade(vec![control(Role::Server, "python3 server.py"), client], vec![bad_server().remove(6)])
}

/// The same for students.
pub(super) fn for_students(grade: Grade) -> Grade {
    Grade { for_students: true, ..grade }
}
