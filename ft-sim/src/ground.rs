//! What a case stands on: somewhere to meet, a clock, and a ledger of promises. The same parties run on every ground.
//!
//! There are four worlds. In two of them ([`World`], on its own executor or inside tokio) the ground is the simulator's
//! link. In the other two it is a network of someone else's, turmoil's hosts or the kernel's loopback, and a
//! [`crate::relay`] between client and server plays the schedule; [`crate::room`] makes a ground of such a network.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::clock::{Clock, Sleep};
use crate::core::HostId;
use crate::endpoint::Endpoint;
use crate::exec::Ended;
use crate::limits;
use crate::schedule::{Fault, Schedule};
use crate::world::{HostTask, Pair, World};

/// The four worlds, fastest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorldKind {
    /// The simulator's link on its own executor.
    Own,
    /// The same link inside a tokio runtime with a paused clock.
    Tokio,
    /// turmoil's named hosts in virtual time, with a relay between them.
    Turmoil,
    /// The kernel's TCP over loopback in real time, with a relay between.
    Tcp,
}

impl WorldKind {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Own, Self::Tokio, Self::Turmoil, Self::Tcp];

    /// Its name in lists and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Tokio => "tokio",
            Self::Turmoil => "turmoil",
            Self::Tcp => "tcp",
        }
    }

    /// Why this world cannot hold a schedule; `None` if it can. `docs/SCHEDULE.md` has the table.
    #[must_use]
    pub fn cannot_hold(self, schedule: &Schedule) -> Option<String> {
        match self {
            Self::Own | Self::Tokio => None,
            Self::Turmoil | Self::Tcp => {
                if schedule.picks().iter().any(|pick| pick.name == crate::core::ORDER) {
                    return Some("\"order\" chooses between tasks of the simulator's own executor".to_owned());
                }
                let late = |fault| matches!(fault, Fault::Delay(span) if span >= limits::SHORT_IDLE);
                let late = schedule.steps().iter().find(|step| late(step.fault))?;
                let idle = limits::SHORT_IDLE;
                Some(format!("\"{late}\" is not shorter than the {idle:?} after which parties give up there"))
            }
        }
    }
}

impl fmt::Display for WorldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Time as a party has it: virtual, or real where the ground is.
pub trait Time: Clone + Unpin + 'static {
    /// The future of [`Time::sleep`].
    type Sleep: Future<Output = ()> + Unpin;

    /// Since the run began.
    fn now(&self) -> Duration;

    /// Waits; dropping the future takes its timer back.
    fn sleep(&self, span: Duration) -> Self::Sleep;
}

impl Time for Clock {
    type Sleep = Sleep;

    fn now(&self) -> Duration {
        Self::now(self)
    }

    fn sleep(&self, span: Duration) -> Sleep {
        Self::sleep(self, span)
    }
}

/// A party that has yet to be given its stream.
pub type Party<S, T> = Box<dyn FnOnce(S) -> Pin<Box<dyn Future<Output = T>>>>;

/// One connection, and who meets over it.
pub struct Meeting<S, T> {
    /// The hosts of its client and its server.
    pub hosts: [HostId; 2],
    /// Who connects.
    pub client: Party<S, T>,
    /// Who accepts.
    pub server: Party<S, T>,
}

impl<S, T> fmt::Debug for Meeting<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meeting").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// Somewhere that a case can be played.
pub trait Ground {
    /// A party's end of a connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;
    /// What parties take their deadlines from.
    type Time: Time;

    /// The simulator's own link: what the other worlds are held against.
    const REFERENCE: bool;

    /// The ledger: schedule, promises, notes.
    fn world(&mut self) -> &mut World;

    /// The clock.
    fn time(&self) -> Self::Time;

    /// Silence that a party with a deadline bears here. Longer than every quiet moment of the parties and every delay
    /// of the schedules that are held here.
    fn idle(&self) -> Duration;

    /// Plays a client and a server over one connection until both have ended.
    fn pair<FC, FS>(
        &mut self,
        client: impl FnOnce(Self::Stream) -> FC + 'static,
        server: impl FnOnce(Self::Stream) -> FS + 'static,
    ) -> Pair<FC::Output, FS::Output>
    where
        FC: Future + 'static,
        FS: Future + 'static;

    /// Plays several connections at once, and says how each client and server ended, in turn.
    fn meet<T: 'static>(&mut self, meetings: Vec<Meeting<Self::Stream, T>>) -> Vec<Ended<T>>;
}

impl Ground for World {
    type Stream = Endpoint;
    type Time = Clock;

    const REFERENCE: bool = true;

    fn world(&mut self) -> &mut World {
        self
    }

    fn time(&self) -> Clock {
        self.clock()
    }

    fn idle(&self) -> Duration {
        limits::IDLE
    }

    fn pair<FC, FS>(
        &mut self,
        client: impl FnOnce(Endpoint) -> FC + 'static,
        server: impl FnOnce(Endpoint) -> FS + 'static,
    ) -> Pair<FC::Output, FS::Output>
    where
        FC: Future + 'static,
        FS: Future + 'static,
    {
        Self::pair(self, client, server)
    }

    fn meet<T: 'static>(&mut self, meetings: Vec<Meeting<Endpoint, T>>) -> Vec<Ended<T>> {
        let mut tasks: Vec<HostTask<'_, T>> = Vec::new();
        for Meeting { hosts, client, server } in meetings {
            let (here, there) = self.connect_hosts(hosts[0], hosts[1]);
            tasks.push((hosts[0], client(here)));
            tasks.push((hosts[1], server(there)));
        }
        self.run(tasks)
    }
}
