//! The pitfalls of the labs as prey: for each, how it looks from outside, so that a search can find it by itself.
//!
//! A naive program breaks in many ways, and a search that ends at the first one sees only that. A [`Hunt`] asks for one
//! pitfall: a run counts only if it ends the way this pitfall ends. The search is told the lab and its input, never an
//! offset; that the smallest schedule comes out of it is what makes the catalogue's column of schedules a fact.

use std::cell::RefCell;

use ft_core::dialect::TextEnd;
use ft_core::dialect::pitfall::{Lab, Pitfall};

use super::lab::{Confirmations, LabSetup, Style, Verb};
use super::{Game, Outcome, Setup};
use crate::explore::{explore, run};
use crate::faults::Faults;
use crate::report::{Report, Run};
use crate::schedule::{Fault, Schedule};
use crate::world::World;

/// A search for one pitfall in one lab's naive programs.
pub struct Hunt {
    /// What is looked for.
    pub pitfall: Pitfall,
    /// In whose programs.
    pub lab: Lab,
    setup: fn() -> LabSetup,
    faults: fn() -> Faults,
    shows: fn(&Seen<'_>) -> bool,
}

/// What one run looks like from outside.
struct Seen<'a> {
    /// The first promise that it broke, or nothing.
    broken: &'a str,
    said: &'a Outcome,
    schedule: &'a Schedule,
}

impl Seen<'_> {
    fn client(&self, start: &str) -> bool {
        self.said.client.starts_with(start)
    }

    fn server(&self, start: &str) -> bool {
        self.said.server.starts_with(start)
    }

    /// The client says that it sent the whole file.
    fn claims_all(&self) -> bool {
        self.client("exit 0: sent 25 of 25 bytes")
    }

    /// The client says that it has finished, and has sent a part of the file.
    fn sent_some(&self) -> bool {
        let sent = self.said.client.strip_prefix("exit 0: sent ").and_then(|rest| rest.split(' ').next());
        sent.and_then(|sent| sent.parse::<u64>().ok()).is_some_and(|sent| (1..25).contains(&sent))
    }

    /// The server believes in a file of fewer bytes than were meant, and nobody complains.
    fn keeps_too_little(&self) -> bool {
        let kept = self.said.server.split([' ', ':']).find_map(|word| word.parse::<u64>().ok());
        self.broken.starts_with("INTACT") && kept.is_some_and(|kept| (1..25).contains(&kept))
    }

    /// The schedule has an early end in it.
    fn was_cut(&self) -> bool {
        let ends = |fault| matches!(fault, Fault::HalfClose | Fault::Fin | Fault::Rst);
        self.schedule.steps().iter().any(|step| ends(step.fault))
    }

    /// The schedule does nothing but what TCP may do at any time.
    fn only_cut(&self) -> bool {
        self.schedule.steps().iter().all(|step| step.fault.is_segmentation())
    }

    /// The server waits, and would for ever.
    fn stuck(&self) -> bool {
        self.broken == "no deadlock" && self.server("gone")
    }
}

impl Hunt {
    /// Its name in reports and replay lines: `lab A, split-header`. See [`find`].
    #[must_use]
    pub fn name(&self) -> String {
        format!("lab {:?}, {}", self.lab, self.pitfall)
    }

    /// Searches: every single deviation, then random schedules, then every pair. The first hit is shrunk and ends it.
    #[must_use]
    pub fn search(&self) -> Report {
        let game = Setup::Lab((self.setup)()).into_game();
        let case = |world: &mut World| drop(self.watch(&game, world));
        let hunt = explore(&self.name(), case).faults(&(self.faults)());
        hunt.exhaustive(1).swarm(1, 3_000).exhaustive(2).report()
    }

    /// Plays a schedule once; the run is broken if it ends the way the pitfall ends.
    #[must_use]
    pub fn play(&self, schedule: &Schedule) -> (Run, Outcome) {
        let game = Setup::Lab((self.setup)()).into_game();
        let said = RefCell::new(Outcome::default());
        let run = run(|world| *said.borrow_mut() = self.watch(&game, world), schedule);
        (run, said.into_inner())
    }

    fn watch(&self, game: &Game, world: &mut World) -> Outcome {
        let said = game.play(world);
        let broken = world.take_violation();
        let seen = Seen {
            broken: broken.as_ref().map_or("", |violation| &violation.name),
            said: &said,
            schedule: &world.schedule(),
        };
        world.always(self.pitfall.id(), !(self.shows)(&seen));
        said
    }
}

/// The hunt of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Hunt> {
    hunts().iter().find(|hunt| hunt.name() == name)
}

/// Every pitfall that the labs' programs have and a simulator can show. Not here: `nagle-delayed-ack` (the kernel's
/// timing), `sigpipe` and `time-wait` (the kernel's bookkeeping of processes and ports), and those that neither lab has.
#[must_use]
pub fn hunts() -> &'static [Hunt] {
    HUNTS
}

fn naive(verb: Verb) -> LabSetup {
    LabSetup { retry: false, ..LabSetup::new(verb, Style::Naive) }
}

fn pipe() -> LabSetup {
    naive(Verb::Pipe)
}

fn addfile() -> LabSetup {
    naive(Verb::Addfile)
}

/// The listing's client, which reads no confirmation at all.
fn deaf() -> LabSetup {
    LabSetup { confirmations: Confirmations::Ignored, ..addfile() }
}

fn late() -> LabSetup {
    LabSetup { confirmations: Confirmations::ReadAtTheEnd, ..addfile() }
}

fn named(name: &str, setup: LabSetup) -> LabSetup {
    LabSetup { name: name.to_owned(), old: None, ..setup }
}

fn raw(text: &str, setup: LabSetup) -> LabSetup {
    LabSetup { raw: Some(text.as_bytes().to_vec()), ..setup }
}

fn any() -> Faults {
    Faults::all().headers(&[3, 8, 11])
}

/// Without early ends, so that an RST that is seen is the programs' own.
fn only_cut() -> Faults {
    Faults::segmentation().headers(&[7, 8])
}

const fn a(pitfall: Pitfall, setup: fn() -> LabSetup, shows: fn(&Seen<'_>) -> bool) -> Hunt {
    Hunt { pitfall, lab: Lab::A, setup, faults: any, shows }
}

const fn b(pitfall: Pitfall, setup: fn() -> LabSetup, shows: fn(&Seen<'_>) -> bool) -> Hunt {
    Hunt { pitfall, lab: Lab::B, setup, faults: any, shows }
}

const HUNTS: &[Hunt] = &[
    a(Pitfall::SplitHeader, pipe, |seen| seen.server("dies: ValueError: not enough values to unpack")),
    a(Pitfall::SplitDigits, pipe, |seen| seen.server("saved") && seen.said.server.ends_with(" of 2 bytes")),
    a(
        Pitfall::HeaderBodyMerge,
        || raw("data.txt|25the quick brown fox jumps", pipe()),
        |seen| seen.server("dies: ValueError: invalid literal for int()"),
    ),
    a(
        Pitfall::DelimiterInName,
        || named("a|b", pipe()),
        |seen| seen.server("dies: ValueError: too many values to unpack"),
    ),
    a(Pitfall::PathTraversal, || named("../x", pipe()), |seen| seen.broken.starts_with("INSIDE")),
    a(Pitfall::Utf8Split, || named("d\u{e4}ta.txt", pipe()), |seen| seen.server("dies: UnicodeDecodeError")),
    a(Pitfall::EofIsSuccess, pipe, |seen| seen.claims_all() && seen.keeps_too_little() && seen.was_cut()),
    a(Pitfall::NoFinalAck, pipe, |seen| seen.claims_all() && seen.server("gone") && !seen.broken.is_empty()),
    a(Pitfall::SplitAck, pipe, |seen| {
        seen.client("exit 0: no \"ACK\" in one read") && seen.said.server.ends_with(": 0 of 25 bytes")
    }),
    a(Pitfall::TruncateFirst, pipe, |seen| {
        seen.claims_all() && seen.said.server.ends_with(": 0 of 25 bytes") && seen.broken.starts_with("INTACT")
    }),
    a(Pitfall::ShortSend, pipe, |seen| seen.sent_some() && seen.server("saved") && seen.only_cut()),
    a(Pitfall::NoTimeout, pipe, |seen| seen.stuck()),
    a(Pitfall::EmptyConnection, || raw("", pipe()), |seen| seen.server("dies: ValueError")),
    a(
        Pitfall::SizeOverflow,
        || raw("data.txt|999999999999999999999999999", pipe()),
        |seen| seen.broken.starts_with("INTACT"),
    ),
    b(Pitfall::CoalescedMessages, addfile, |seen| seen.said.server == "dies: KeyError: 'addfiledata.txt'"),
    b(Pitfall::SplitHeader, addfile, |seen| {
        let command = seen.said.server.strip_prefix("dies: KeyError: '").and_then(|rest| rest.strip_suffix('\''));
        command.is_some_and(|it| !it.is_empty() && it.len() < 7 && "addfile".starts_with(it)) && !seen.was_cut()
    }),
    b(Pitfall::RecvIsNotMessage, addfile, |seen| {
        seen.claims_all()
            && seen.keeps_too_little()
            && !seen.was_cut()
            && seen.said.files.starts_with("server_data.txt:")
    }),
    b(Pitfall::HeaderBodyMerge, deaf, |seen| seen.said.files.contains("server_data.txtthe quick brown fox jumps:")),
    b(Pitfall::StatusDataMerge, || naive(Verb::Download), |seen| seen.client("exit 0: status \"OKthe")),
    // The listing's server strips what it reads and would not notice; a server that reads lines is misled.
    b(
        Pitfall::DelimiterInName,
        || LabSetup { end: TextEnd::Newline, server: Style::Careful, ..named("a\nb", addfile()) },
        |seen| seen.said.files.contains("server_a: "),
    ),
    b(Pitfall::PathTraversal, || named("../x", naive(Verb::Upload)), |seen| seen.broken.starts_with("INSIDE")),
    b(Pitfall::Utf8Split, || named("d\u{e4}ta.txt", addfile()), |seen| seen.server("dies: UnicodeDecodeError")),
    b(Pitfall::EofIsSuccess, addfile, |seen| {
        seen.claims_all()
            && seen.keeps_too_little()
            && seen.was_cut()
            && seen.said.files.starts_with("server_data.txt:")
    }),
    b(
        Pitfall::NoFinalAck,
        || naive(Verb::Upload),
        |seen| seen.claims_all() && seen.server("gone") && !seen.broken.is_empty(),
    ),
    b(Pitfall::SplitAck, addfile, |seen| {
        let read = seen.said.client.strip_prefix("exit 0: sent 0 of 25 bytes, read \"");
        let read = read.and_then(|rest| rest.strip_suffix('"'));
        read.is_some_and(|it| !it.is_empty() && "file recv".starts_with(it)) && !seen.was_cut()
    }),
    b(Pitfall::MergedAcks, late, |seen| {
        seen.said.client.ends_with(r#"read "file recv\nfile data recv\n", read """#) && !seen.was_cut()
    }),
    b(Pitfall::AckBeforeDurable, addfile, |seen| {
        seen.said.client.ends_with(r#"read "file data recv\n""#)
            && !seen.said.files.contains("new")
            && seen.said.files != "server_data.txt: old"
            && seen.said.server == "served addfile: 25 bytes"
    }),
    b(Pitfall::TruncateFirst, addfile, |seen| {
        seen.claims_all() && seen.said.files.starts_with("server_data.txt: 0 bytes") && seen.was_cut()
    }),
    b(Pitfall::ShortSend, addfile, |seen| seen.sent_some() && seen.server("served addfile") && seen.only_cut()),
    Hunt {
        pitfall: Pitfall::CloseUnreadRst,
        lab: Lab::B,
        setup: || LabSetup { body: vec![b'x'; 4_200], ..addfile() },
        faults: only_cut,
        shows: |seen| seen.server("served addfile: 4096 bytes") && seen.client("dies: ConnectionResetError"),
    },
    b(
        Pitfall::ZeroBytePayload,
        || LabSetup { body: Vec::new(), ..addfile() },
        |seen| seen.stuck() && seen.said.files == "server_data.txt: new" && seen.only_cut(),
    ),
    Hunt {
        pitfall: Pitfall::HalfCloseMisuse,
        lab: Lab::B,
        setup: deaf,
        faults: only_cut,
        shows: |seen| seen.claims_all() && seen.server("dies: ConnectionResetError"),
    },
    b(Pitfall::NoTimeout, addfile, |seen| seen.stuck()),
    b(Pitfall::EmptyConnection, || raw("", addfile()), |seen| seen.server("dies: KeyError: ''")),
];
