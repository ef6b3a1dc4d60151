//! Lab B: `addfile`, UPLOAD and DOWNLOAD.

use std::time::Duration;

use clap::ValueEnum;
use ft_core::dialect::addfile::{ACK1, ACK2, NOT_FOUND, OK};
use ft_core::dialect::{Lab, Pitfall, TextEnd, Whose};
use ft_sim::Fault;
use serde::Deserialize;

use super::super::plan::{Check, Input, Plan, Special, Wants, c2s, content, late, s2c, together};
use super::super::script::Act;
use super::super::verdict::Role;
use super::{Checks, FOREIGN, LARGE, OLD, SMALL, run, text};

const NAME: &str = "data.txt";
/// More than one `recv(4096)`.
const LONG: usize = 5_000;

/// What lab B's programs are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// A file to the server, confirmed twice
    #[default]
    Addfile,
    /// A file to the server
    Upload,
    /// A file from the server
    Download,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Addfile => "addfile",
            Self::Upload => "UPLOAD",
            Self::Download => "DOWNLOAD",
        }
    }
}

/// One conversation's fixed parts.
#[derive(Clone, Copy)]
pub(in super::super) struct Talk {
    pub(in super::super) verb: Verb,
    pub(in super::super) end: TextEnd,
}

impl Talk {
    fn input(self, name: &str, len: usize) -> Input {
        let stored = if self.verb == Verb::Addfile { format!("server_{name}") } else { name.to_owned() };
        Input { name: name.into(), content: content(len), stored, old: None, down: self.verb == Verb::Download }
    }

    /// Bytes of the command, as it is written.
    fn command(self) -> usize {
        text(self.verb.word(), self.end).len()
    }

    /// Bytes of the request.
    fn request(self, name: &str) -> usize {
        self.command() + text(name, self.end).len()
    }

    fn whose(self, pitfall: Pitfall) -> Option<Whose> {
        use Pitfall as P;
        match pitfall.whose(Lab::B) {
            // In lines every text has its end.
            Some(Whose::Both) if self.end == TextEnd::Newline && !matches!(pitfall, P::EofIsSuccess) => {
                Some(Whose::Implementation)
            }
            // A command is one of three words, wherever it is cut.
            Some(Whose::Both) if pitfall == P::SplitHeader => Some(Whose::Implementation),
            Some(Whose::Both) if matches!(pitfall, P::CoalescedMessages | P::HeaderBodyMerge | P::StatusDataMerge) => {
                Some(Whose::Protocol)
            }
            Some(Whose::Both) => Some(Whose::Implementation),
            whose => whose.or(Some(Whose::Implementation)),
        }
    }

    /// Our client. Its two texts are kept apart by the schedule, not by a pause.
    fn client(self, input: &Input) -> Vec<Act> {
        let mut acts = vec![Act::Send(text(self.verb.word(), self.end)), Act::Send(text(&input.name, self.end))];
        let body = [Act::Send(input.content.clone()), Act::HalfClose];
        match self.verb {
            Verb::Addfile => {
                acts.push(Act::Expect(ACK1.into()));
                acts.extend(body);
                acts.extend([Act::Expect(ACK2.into()), Act::Drain]);
            }
            Verb::Upload => {
                acts.push(Act::ExpectLine(OK.into()));
                acts.extend(body);
                acts.push(Act::Drain);
            }
            Verb::Download => {
                acts.extend([Act::HalfClose, Act::ExpectLine(OK.into()), Act::TakeToEnd(input.content.len())])
            }
        }
        acts
    }

    /// Our server.
    fn server(self, input: &Input) -> Vec<Act> {
        let mut acts = vec![Act::Expect(text(self.verb.word(), self.end)), Act::Expect(text(&input.name, self.end))];
        let len = input.content.len();
        match self.verb {
            Verb::Addfile => {
                acts.extend([Act::Send(ACK1.into()), Act::Take(len), Act::Send(ACK2.into()), Act::HalfClose, Act::End])
            }
            Verb::Upload => acts.extend([Act::Send(text(OK, self.end)), Act::Take(len), Act::HalfClose, Act::End]),
            Verb::Download => {
                acts.extend([
                    Act::Send(text(OK, self.end)),
                    Act::Send(input.content.clone()),
                    Act::HalfClose,
                    Act::Drain,
                ]);
            }
        }
        acts
    }

    /// Keeps the command and the name apart, as the server reads them.
    fn apart(self) -> [ft_sim::Step; 1] {
        [c2s(self.command(), Fault::Split)]
    }

    fn serving(self, name: &str, len: usize) -> Plan {
        let input = self.input(name, len);
        let script = self.client(&input);
        let plan = run(input, script).under(&self.apart());
        if self.verb == Verb::Download { plan.under(&[s2c(text(OK, self.end).len(), Fault::Split)]) } else { plan }
    }

    fn sending(self, name: &str, len: usize) -> Plan {
        let input = self.input(name, len);
        let script = self.server(&input);
        let plan = run(input, script);
        // As a naive client must have it: status and confirmations in reads of their own.
        match self.verb {
            Verb::Addfile => plan.under(&[s2c(ACK1.len(), Fault::Split)]),
            Verb::Upload => plan,
            Verb::Download => plan.under(&[s2c(text(OK, self.end).len(), Fault::Split)]),
        }
    }
}

/// The plain transfer to or from a server.
pub(in super::super) fn server_control(talk: Talk) -> Plan {
    talk.serving(NAME, SMALL)
}

/// The plain transfer of a client.
pub(in super::super) fn client_control(talk: Talk) -> Plan {
    talk.sending(NAME, SMALL)
}

/// What is looked for in a server.
pub(in super::super) fn server_checks(talk: Talk) -> Checks {
    let Talk { verb, end } = talk;
    let check = |pitfall, expected| Check::new(Role::Server, pitfall, talk.whose(pitfall), expected);
    let plain = || talk.serving(NAME, SMALL);
    let (command, request) = (talk.command(), talk.request(NAME));
    let bare = end == TextEnd::Bare;
    let foreign = || talk.serving(FOREIGN, SMALL);
    let odd = |name: &str, wants| {
        let plan = talk.serving(name, SMALL);
        plan.wants(wants)
    };
    let mut checks = vec![
        check(Pitfall::CoalescedMessages, "takes its command, and keeps the rest for what comes next")
            .plans([plain().only_under(&[c2s(0, together(request))])]),
        check(Pitfall::SplitHeader, "reads on until the whole text is there")
            .plans([3, command - 1].map(|at| plain().under(&[c2s(at, Fault::Split)]))),
        check(Pitfall::DelimiterInName, "serves the next client after a name that is two lines")
            .plans([odd("a\nb", Wants::NextServed)]),
        check(Pitfall::PathTraversal, "touches nothing outside its folder, and serves the next client")
            .plans([odd("../x", Wants::Survived), odd("../../x", Wants::Survived)]),
        check(Pitfall::Utf8Split, "decodes a name when all its bytes are there")
            .before(foreign())
            .plans([foreign().under(&[c2s(command + 2, Fault::Split)])]),
    ];
    if verb != Verb::Download {
        let cut = |at: usize, fault| plain().under(&[c2s(at, fault)]).wants(Wants::Untouched);
        let merged = {
            let input = talk.input(NAME, SMALL);
            let mut script = talk.client(&input);
            // The content right behind the name, without waiting.
            let body = script.iter().position(|act| *act == Act::Send(input.content.clone())).unwrap_or_default();
            let body = script.remove(body);
            script.insert(2, body);
            run(input, script).under(&talk.apart()).under(&[c2s(command, together(request + SMALL))])
        };
        let merge = check(Pitfall::HeaderBodyMerge, "keeps what came behind the name");
        checks.extend([
            check(Pitfall::RecvIsNotMessage, "reads to the end of the stream")
                .plans([plain().under(&[c2s(request + 10, Fault::Split)]), talk.serving(NAME, LONG)]),
            if bare {
                merge.nothing(
                    "texts have no terminator: nobody can tell the end of the name from the first byte of the content",
                )
            } else {
                merge.plans([merged])
            },
            check(Pitfall::EofIsSuccess, "does not keep what came before a reset, and serves the next client")
                .plans([cut(request + SMALL / 2, Fault::Rst)]),
            check(Pitfall::TruncateFirst, "keeps the old file until the new one is whole").plans([cut(
                request,
                Fault::Rst,
            )
            .over(OLD)
            .wants(Wants::KeptOld)]),
            check(Pitfall::ZeroBytePayload, "stores an empty file as empty").plans([talk.serving(NAME, 0)]),
            check(Pitfall::CloseUnreadRst, "reads everything before it closes, so that its last words arrive").plans([
                talk.serving(NAME, LONG).under(&[c2s(request, together(request + LONG))]).wants(Wants::NoReset),
            ]),
        ]);
    }
    if verb == Verb::Addfile {
        let acks = (ACK1.len() + ACK2.len()) as u64;
        checks.push(
            check(Pitfall::AckBeforeDurable, "says that it has the file when it has it")
                .tries(4)
                .plans([plain().with(Special::KillAt(acks)).wants(Wants::Honest)]),
        );
    } else if verb == Verb::Upload {
        checks.push(
            check(Pitfall::NoFinalAck, "").nothing("UPLOAD has no final ACK: no server can tell its client anything"),
        );
    }
    let leaves = if verb == Verb::Download {
        // A server that sends has to write more than once to be killed for it.
        let at = text(OK, end).len() + 1_000;
        talk.serving(NAME, LARGE).under(&[s2c(at, Fault::Rst)]).wants(Wants::Unharmed)
    } else {
        let input = talk.input(NAME, SMALL);
        let mut script = talk.client(&input);
        script.truncate(2);
        script.push(Act::Send(input.content.clone()));
        run(input, script).under(&talk.apart()).wants(Wants::Unharmed)
    };
    checks.extend([
        check(Pitfall::NoTimeout, "does not let a silent client keep others out").plans([run(
            talk.input(NAME, SMALL),
            vec![Act::Stay],
        )
        .with(Special::Meanwhile)
        .wants(Wants::NextServed)]),
        check(Pitfall::EmptyConnection, "serves the next client after one that said nothing").plans([run(
            talk.input(NAME, SMALL),
            vec![],
        )
        .wants(Wants::NextServed)]),
        check(Pitfall::Sigpipe, "is told by an error, not killed by a signal, when its client has closed").plans([
            // Behind a reset the first write is told; the second one is killed, unless it is asked for otherwise.
            plain().under(&[c2s(request, Fault::Rst)]).wants(Wants::Unharmed),
            leaves,
        ]),
        check(Pitfall::TimeWait, "sets SO_REUSEADDR, so that it can be started again at once")
            .plans([plain().with(Special::Restart).wants(Wants::Restarted)]),
    ]);
    checks
}

/// What is looked for in a client.
pub(in super::super) fn client_checks(talk: Talk) -> Checks {
    let Talk { verb, end } = talk;
    let check = |pitfall, expected| Check::new(Role::Client, pitfall, talk.whose(pitfall), expected);
    let plain = || talk.sending(NAME, SMALL);
    let large = || talk.sending(NAME, LARGE);
    let request = talk.request(NAME);
    let status = text(OK, end).len();
    let silent = check(Pitfall::NoTimeout, "gives up when the server says nothing for 4 s")
        .plans([plain().under(&[s2c(0, Fault::Stall)]).wants(Wants::Ends)]);
    let two_lines = {
        let input = talk.input("a\nb", SMALL);
        let script = vec![
            Act::Expect(text(verb.word(), end)),
            Act::Pause(Duration::from_millis(50)),
            Act::Send(if verb == Verb::Addfile { format!("{ACK1}{ACK2}").into_bytes() } else { text(OK, end) }),
            Act::Drain,
        ];
        run(input, script).wants(Wants::Admitted)
    };
    let delimiter = check(Pitfall::DelimiterInName, "refuses a name with a line feed, which no server can read");
    let mut checks = match verb {
        Verb::Addfile => {
            let zero = {
                let input = talk.input(NAME, 0);
                // The end of the stream is the only thing that says "empty".
                let script = talk
                    .server(&input)
                    .into_iter()
                    .map(|act| if act == Act::Take(0) { Act::TakeToEnd(0) } else { act })
                    .collect();
                run(input, script)
            };
            let patient = {
                let input = talk.input(NAME, SMALL);
                let mut script = talk.server(&input);
                script.insert(2, Act::Calm(Duration::from_millis(150)));
                run(input, script).under(&[s2c(ACK1.len(), Fault::Split)])
            };
            vec![
                check(Pitfall::SplitAck, "reads on until the whole confirmation is there")
                    .plans([1, 5, ACK1.len() + 3].map(|at| plain().under(&[s2c(at, Fault::Split)]))),
                check(Pitfall::MergedAcks, "reads confirmations by their words, however they come")
                    .plans([plain().only_under(&[s2c(0, together(ACK1.len() + ACK2.len()))])]),
                check(Pitfall::HeaderBodyMerge, "sends no content before the first confirmation has come")
                    .plans([patient]),
                check(Pitfall::EofIsSuccess, "reports an error when the server leaves without the last confirmation")
                    .plans([
                        plain().under(&[s2c(ACK1.len(), Fault::Fin)]).wants(Wants::Admitted),
                        plain().under(&[s2c(0, Fault::Rst)]).wants(Wants::Admitted),
                    ]),
                check(Pitfall::HalfCloseMisuse, "keeps its reading half open until the last confirmation has come")
                    .plans([plain().under(&[s2c(ACK1.len(), late(400))]).wants(Wants::Waited)]),
                check(Pitfall::ZeroBytePayload, "ends its half of the stream, so that an empty file has an end")
                    .plans([zero.wants(Wants::Honest)]),
                check(Pitfall::NagleDelayedAck, "writes command and name in one go, or sets TCP_NODELAY")
                    .tries(3)
                    // A pause that is there anyway is its own.
                    .before(plain().wants(Wants::NoStall))
                    .plans([plain().with(Special::LateAcks).wants(Wants::NoStall)]),
            ]
        }
        Verb::Upload => {
            let refused = {
                let input = talk.input(NAME, SMALL);
                let mut script = talk.server(&input);
                script.truncate(2);
                script.extend([Act::Send(text(NOT_FOUND, end)), Act::HalfClose, Act::Drain]);
                run(input, script).wants(Wants::Admitted)
            };
            vec![
                check(Pitfall::SplitAck, "reads on until the whole status is there")
                    .plans([plain().under(&[s2c(1, Fault::Split)])]),
                check(Pitfall::EofIsSuccess, "reports an error when the server leaves, or refuses").plans([
                    plain().under(&[s2c(0, Fault::HalfClose)]).wants(Wants::Admitted),
                    plain().under(&[s2c(0, Fault::Fin)]).wants(Wants::Admitted),
                    refused,
                    large().under(&[c2s(request + 5_000, Fault::Rst)]).wants(Wants::Admitted),
                ]),
                check(Pitfall::NoFinalAck, "")
                    .nothing("UPLOAD has no final ACK: no client can know that the file arrived"),
                check(Pitfall::NagleDelayedAck, "writes command and name in one go, or sets TCP_NODELAY")
                    .tries(3)
                    // A pause that is there anyway is its own.
                    .before(plain().wants(Wants::NoStall))
                    .plans([plain().with(Special::LateAcks).wants(Wants::NoStall)]),
            ]
        }
        Verb::Download => {
            let body = status + SMALL / 2;
            vec![
                check(Pitfall::SplitAck, "reads on until the whole status is there")
                    .plans([plain().under(&[s2c(1, Fault::Split)])]),
                check(Pitfall::StatusDataMerge, "keeps the content that came behind the status")
                    .plans([plain().only_under(&[s2c(0, together(status + SMALL))])]),
                check(Pitfall::RecvIsNotMessage, "reads to the end of the stream")
                    .plans([plain().under(&[s2c(body, Fault::Split)]), talk.sending(NAME, LONG)]),
                check(Pitfall::EofIsSuccess, "reports an error when the stream is reset")
                    .plans([plain().under(&[s2c(body, Fault::Rst)]).wants(Wants::Admitted)]),
                check(Pitfall::TruncateFirst, "keeps the old file until the new one is whole")
                    .plans([plain().under(&[s2c(status, Fault::Rst)]).over(OLD).wants(Wants::KeptOld)]),
                check(Pitfall::ZeroBytePayload, "stores an empty file as empty").plans([talk.sending(NAME, 0)]),
            ]
        }
    };
    checks.push(silent);
    if verb != Verb::Download {
        checks.extend([
            delimiter.plans([two_lines]),
            check(Pitfall::ShortSend, "sends what a short write left")
                .plans([large().under(&[c2s(request, late(500))]).with(Special::Interrupted).wants(Wants::AllSent)]),
            check(Pitfall::Sigpipe, "is told by an error, not killed by a signal, when the server has closed")
                .plans([large().under(&[c2s(request + 1_000, Fault::Fin)]).wants(Wants::Unharmed)]),
        ]);
    }
    checks
}
