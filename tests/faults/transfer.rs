//! One transfer between two programs, either of them traced, and what its sender and receiver said.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::ground::{DEADLINE, Ground, Place, TIMEOUT, TREE};
use crate::support::{event, events, ft_cli};
use crate::tracer::{Plan, Record, Traced};

/// Which way the files go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Put,
    Get,
}

/// Which program is meddled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// A kind of transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) verb: Verb,
    pub(crate) side: Side,
    pub(crate) durable: bool,
}

impl Way {
    /// All eight.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for verb in [Verb::Put, Verb::Get] {
            for side in [Side::Server, Side::Client] {
                all.extend([true, false].map(|durable| Self { verb, side, durable }));
            }
        }
        all
    }

    pub(crate) fn shown(self) -> String {
        let Self { verb, side, durable } = self;
        let receives = (verb == Verb::Put) == (side == Side::Server);
        let (verb, side) = (format!("{verb:?}").to_lowercase(), format!("{side:?}").to_lowercase());
        let role = if receives { "receives" } else { "sends" };
        format!("{verb}, {}, {side} that {role}", if durable { "durable" } else { "cached" })
    }

    fn durability(self) -> &'static str {
        if self.durable { "durable" } else { "cached" }
    }

    pub(crate) fn server(self, ground: &Ground, place: &Place, address: &str) -> Command {
        let mut command = ft_cli(["serve", "--json", "--timeout", TIMEOUT, "--listen", address]);
        match self.verb {
            Verb::Put => command.arg(&place.folder),
            Verb::Get => command.arg(&ground.source),
        };
        command.env("FT_ROOTS", &place.roots);
        command
    }

    pub(crate) fn client(self, ground: &Ground, place: &Place, address: &str) -> Command {
        let mut command = match self.verb {
            Verb::Put => {
                let mut command = ft_cli(["put"]);
                command.arg(ground.source.join(TREE)).arg(address);
                command
            }
            Verb::Get => {
                let mut command = ft_cli(["get", "--overwrite", "replace"]);
                command.arg(format!("{address}/{TREE}")).arg(place.folder.join(""));
                command
            }
        };
        command.args(["--json", "--retries", "0", "--links", "keep", "--timeout", TIMEOUT]);
        command.args(["--durability", self.durability()]).env("FT_ROOTS", &place.roots);
        command
    }

    /// Folders of which calls count.
    pub(crate) fn grounds(self, ground: &Ground, place: &Place) -> Vec<PathBuf> {
        let roots = place.roots.parent().expect("a folder").to_owned();
        vec![ground.source.clone(), place.folder.clone(), roots]
    }
}

/// Where a server that was started listens; `None` if it ended before.
pub(crate) fn listens(server: &mut Traced) -> Option<String> {
    let line = server.line(DEADLINE, |line| line.contains(r#""event":"listening""#))?;
    event(&line)["address"].as_str().map(str::to_owned)
}

/// Both sides of one transfer.
pub(crate) struct Outcome {
    /// Absent if there was no server to talk to.
    pub(crate) client: Option<Record>,
    /// A server that may still run, and where; or how it ended before it listened.
    pub(crate) server: Result<(Traced, String), Record>,
}

/// Runs one transfer. The server goes on afterwards, if it can.
pub(crate) fn transfer(way: Way, ground: &Ground, place: &Place, plan: Option<Plan>) -> Outcome {
    let of = |side| plan.filter(|_| way.side == side);
    let grounds = way.grounds(ground, place);
    let mut server = Traced::start(&way.server(ground, place, "127.0.0.1:0"), grounds, of(Side::Server));
    let Some(address) = listens(&mut server) else {
        return Outcome { client: None, server: Err(server.finish(DEADLINE)) };
    };
    let client = Some(client(way, ground, place, &address, of(Side::Client)));
    Outcome { client, server: Ok((server, address)) }
}

/// Runs one client to its end.
pub(crate) fn client(way: Way, ground: &Ground, place: &Place, address: &str, plan: Option<Plan>) -> Record {
    let command = way.client(ground, place, address);
    Traced::start(&command, way.grounds(ground, place), plan).finish(DEADLINE)
}

/// Asks a server to stop, and waits for it.
pub(crate) fn stop(server: Traced) -> Record {
    server.signal(Signal::SIGTERM);
    server.finish(DEADLINE)
}

/// Names that a client was told are stored, or the same already.
pub(crate) fn stored(record: &Record) -> BTreeSet<PathBuf> {
    let stored = events(&record.out, "stored");
    stored.iter().filter_map(|event| event["name"].as_str().map(PathBuf::from)).collect()
}

/// A number of the last line of `--json`.
pub(crate) fn summary(record: &Record, field: &str) -> Option<u64> {
    events(&record.out, "summary").last().and_then(|event| event[field].as_u64())
}
