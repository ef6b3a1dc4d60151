//! Lab A: `name|size`, ACK, content.

use ft_core::dialect::{Lab, Pitfall, TextEnd, Whose};
use ft_sim::Fault;
use std::time::Duration;

use super::super::plan::{Check, Input, Plan, Special, Wants, c2s, content, late, s2c};
use super::super::script::Act;
use super::super::verdict::Role;
use super::{Checks, FOREIGN, LARGE, OLD, run, text};

const NAME: &str = "data.txt";
/// Four digits, so that a size can be cut in the middle.
const LEN: usize = 1_300;
/// Bytes that a client may send beside its content where nobody knows which of them are its header.
const SLACK: usize = 64;

fn input(name: &str, len: usize) -> Input {
    Input { name: name.into(), content: content(len), stored: name.into(), old: None, down: false }
}

fn header(name: &str, size: &str, end: TextEnd) -> Vec<u8> {
    text(&format!("{name}|{size}"), end)
}

fn whose(pitfall: Pitfall, end: TextEnd) -> Option<Whose> {
    match (pitfall.whose(Lab::A), end) {
        // A line feed ends the header: what was ambiguous no longer is.
        (Some(Whose::Protocol), TextEnd::Newline) if pitfall == Pitfall::SplitDigits => Some(Whose::Implementation),
        (Some(Whose::Both), TextEnd::Newline) => Some(Whose::Implementation),
        (Some(Whose::Both), TextEnd::Bare) if pitfall == Pitfall::SplitHeader => Some(Whose::Implementation),
        (whose, _) => whose.or(Some(Whose::Implementation)),
    }
}

/// Our client: sends one file.
fn client(input: &Input, end: TextEnd) -> Vec<Act> {
    vec![
        Act::Send(header(&input.name, &input.content.len().to_string(), end)),
        Act::Expect(b"ACK".to_vec()),
        Act::Send(input.content.clone()),
        Act::HalfClose,
        Act::Drain,
    ]
}

/// Our client with a header that no file has; it goes on if it is answered.
fn odd_client(header: Vec<u8>) -> Vec<Act> {
    vec![Act::Send(header), Act::Expect(b"ACK".to_vec()), Act::Send(content(25)), Act::HalfClose, Act::Drain]
}

/// Our server: takes one file.
fn server(input: &Input, end: TextEnd) -> Vec<Act> {
    let header = Act::Expect(header(&input.name, &input.content.len().to_string(), end));
    vec![header, Act::Send(b"ACK".to_vec()), Act::Take(input.content.len()), Act::HalfClose, Act::End]
}

fn serving(name: &str, len: usize, end: TextEnd) -> Plan {
    let input = input(name, len);
    let script = client(&input, end);
    run(input, script)
}

fn sending(name: &str, len: usize, end: TextEnd) -> Plan {
    let input = input(name, len);
    let script = server(&input, end);
    run(input, script)
}

/// The plain transfer to a server.
pub(in super::super) fn server_control(end: TextEnd) -> Plan {
    serving(NAME, LEN, end)
}

/// The plain transfer from a client.
pub(in super::super) fn client_control(end: TextEnd) -> Plan {
    sending(NAME, LEN, end)
}

/// What is looked for in a server.
pub(in super::super) fn server_checks(end: TextEnd) -> Checks {
    let check = |pitfall, expected| Check::new(Role::Server, pitfall, whose(pitfall, end), expected);
    let plain = || serving(NAME, LEN, end);
    let bare = end == TextEnd::Bare;
    let head = header(NAME, &LEN.to_string(), end).len();
    let name = NAME.len();
    let foreign = || serving(FOREIGN, LEN, end);
    let odd = |name: &str, header: Vec<u8>| {
        let input = Input { name: name.into(), content: content(25), stored: name.into(), old: None, down: false };
        run(input, odd_client(header)).wants(Wants::Survived)
    };
    let merged = || {
        let input = input(NAME, LEN);
        let sends = [header(NAME, &LEN.to_string(), end), input.content.clone()].concat();
        let script = vec![Act::Send(sends), Act::Expect(b"ACK".to_vec()), Act::HalfClose, Act::Drain];
        run(input, script)
    };
    let cut = |at: usize, fault| plain().under(&[c2s(at, fault)]).wants(Wants::Untouched);
    vec![
        check(Pitfall::SplitHeader, "reads on until the whole header is there")
            .plans([4, name, name + 1].map(|at| plain().under(&[c2s(at, Fault::Split)]))),
        check(Pitfall::SplitDigits, "takes no size for whole before it is sure of it")
            .plans([name + 2, name + 3, name + 4].map(|at| plain().under(&[c2s(at, Fault::Split)]))),
        if bare {
            check(Pitfall::HeaderBodyMerge, "keeps what came behind the header").nothing(
                "the header has no terminator: nobody can tell its end from the first byte of the content, and an honest \
                 client waits for the ACK",
            )
        } else {
            check(Pitfall::HeaderBodyMerge, "keeps what came behind the header").plans([merged()])
        },
        check(Pitfall::DelimiterInName, "takes the last | for the delimiter, or refuses, and serves the next client")
            .plans([odd("a|b", header("a|b", "25", end))]),
        check(Pitfall::PathTraversal, "stores nothing outside its folder, and serves the next client")
            .plans([odd("../x", header("../x", "25", end)), odd("../../x", header("../../x", "25", end))]),
        check(Pitfall::Utf8Split, "decodes a name when all its bytes are there")
            .before(foreign())
            .plans([foreign().under(&[c2s(2, Fault::Split)])]),
        check(Pitfall::EofIsSuccess, "counts: a short file is not kept under its name, and the next client is served")
            .plans([cut(head + LEN / 2, Fault::Fin), cut(head + LEN / 2, Fault::Rst)]),
        check(Pitfall::NoFinalAck, "").nothing("the dialect has no final ACK: no server can tell its client anything"),
        check(Pitfall::TruncateFirst, "keeps the old file until the new one is whole")
            .plans([head, head + 1].map(|at| cut(at, Fault::Fin).over(OLD).wants(Wants::KeptOld))),
        check(Pitfall::ZeroBytePayload, "stores an empty file as empty").plans([serving(NAME, 0, end)]),
        check(Pitfall::NoTimeout, "does not let a silent client keep others out").plans([run(
            input(NAME, LEN),
            vec![Act::Stay],
        )
        .with(Special::Meanwhile)
        .wants(Wants::NextServed)]),
        check(Pitfall::EmptyConnection, "serves the next client after one that said nothing").plans([run(
            input(NAME, LEN),
            vec![],
        )
        .wants(Wants::NextServed)]),
        check(Pitfall::TimeWait, "sets SO_REUSEADDR, so that it can be started again at once")
            .plans([plain().with(Special::Restart).wants(Wants::Restarted)]),
        check(Pitfall::SizeOverflow, "refuses a size that cannot be, and serves the next client").plans(
            ["-5", "99999999999999999999999999"].map(|size| odd(NAME, header(NAME, size, end)).wants(Wants::Refused)),
        ),
    ]
}

/// What is looked for in a client.
pub(in super::super) fn client_checks(end: TextEnd) -> Checks {
    let check = |pitfall, expected| Check::new(Role::Client, pitfall, whose(pitfall, end), expected);
    let plain = || sending(NAME, LEN, end);
    let large = || sending(NAME, LARGE, end);
    let head = |len: usize| header(NAME, &len.to_string(), end).len();
    let patient = {
        let input = input(NAME, LEN);
        let mut script = server(&input, end);
        script.insert(1, Act::Calm(Duration::from_millis(150)));
        run(input, script)
    };
    let delimited = {
        let input = input("a|b", LEN);
        // Whatever it says: nobody can know which | ends the name.
        let script = vec![
            Act::Expect(b"a".to_vec()),
            Act::Pause(Duration::from_millis(50)),
            Act::Send(b"ACK".to_vec()),
            Act::TakeToEnd(LEN + SLACK),
        ];
        run(input, script).wants(Wants::Admitted)
    };
    let large_head = head(LARGE);
    vec![
        check(Pitfall::SplitAck, "reads until all three bytes of the ACK are there")
            .plans([1, 2].map(|at| plain().under(&[s2c(at, Fault::Split)]))),
        check(Pitfall::HeaderBodyMerge, "sends no content before the ACK has come").plans([patient]),
        check(Pitfall::DelimiterInName, "refuses a name with a |, which no server can read").plans([delimited]),
        check(Pitfall::EofIsSuccess, "reports an error when the server leaves before the file is sent").plans([
            plain().under(&[s2c(0, Fault::HalfClose)]).wants(Wants::Admitted),
            plain().under(&[s2c(0, Fault::Fin)]).wants(Wants::Admitted),
            plain().under(&[s2c(0, Fault::Rst)]).wants(Wants::Admitted),
            large().under(&[c2s(large_head + 5_000, Fault::Rst)]).wants(Wants::Admitted),
        ]),
        check(Pitfall::NoFinalAck, "")
            .nothing("the dialect has no final ACK: no client can know that the file arrived"),
        check(Pitfall::ShortSend, "sends what a short write left")
            .plans([large().under(&[c2s(large_head, late(500))]).with(Special::Interrupted).wants(Wants::AllSent)]),
        check(Pitfall::NoTimeout, "gives up when the server says nothing")
            .plans([plain().under(&[s2c(0, Fault::Stall)]).wants(Wants::Ends)]),
        check(Pitfall::Sigpipe, "is told by an error, not killed by a signal, when the server has closed")
            .plans([large().under(&[c2s(large_head + 1_000, Fault::Fin)]).wants(Wants::Unharmed)]),
        check(Pitfall::ZeroBytePayload, "sends an empty file, too").plans([sending(NAME, 0, end).wants(Wants::Honest)]),
    ]
    .into_iter()
    .chain([Check::new(
        Role::Client,
        Pitfall::Utf8Split,
        Some(Whose::Implementation),
        "sends a name with characters of several bytes, and states the size in bytes",
    )
    .plans([sending(FOREIGN, LEN, end)])])
    .collect()
}
