//! A room: the parties and relays of one attempt on somebody else's network, and who watches over them.
//!
//! A [`Network`] is what another world has to offer: it connects, runs tasks, and has a clock. [`Away`] makes a
//! [`Ground`] of it, with a [`World`] as the ledger of promises, so that a case that was written for the simulator's link
//! is played there unchanged. The [`Room`] is asked now and then whether anybody can still run; if nobody acts and no
//! timer is pending, that is a deadlock here as there.

mod hub;

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::core::{HostId, Shared};
use crate::exec::{Ended, RunEnd};
use crate::ground::{Ground, Meeting, Time, WorldKind};
use crate::limits;
use crate::relay::wire::{Asker, Socket, Wire, WireGate};
use crate::relay::{Leg, Relay};
use crate::schedule::{Party, Schedule};
use crate::world::{HostDeath, Pair, World};
use hub::Playing;

pub use hub::{Alarm, Alarmed, Hub};

/// What another world has to offer.
pub trait Network: Sized {
    /// A party's stream.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;
    /// The relay's stream.
    type Leg: Leg + 'static;
    /// Its clock.
    type Time: Time;

    /// Which world it is.
    const KIND: WorldKind;

    /// [`Leg::abort`] sends a RST; else the party's socket has to show one.
    const SENDS_RESETS: bool;

    /// The clock of the run that begins now. Sleeps are told to the hub, which has to know of every timer.
    fn begin(&mut self, hub: &Hub) -> Self::Time;

    /// Connects everybody and lets them run, until [`Room::look`] says that it is over.
    ///
    /// # Errors
    ///
    /// What the network refused; a party's failure is not one.
    fn play(&mut self, world: &mut World, room: &mut Room<Self::Time>, calls: Vec<Call<Self>>) -> Result<(), String>;
}

/// One connection to be made: client to relay, relay to server.
pub struct Call<N: Network> {
    /// Its number in this run, from 1.
    pub conn: u16,
    /// The hosts of its client and its server.
    pub hosts: [HostId; 2],
    /// Who connects to the relay.
    pub client: Seat<N::Stream, N::Time>,
    /// What stands between.
    pub relay: Between<N::Time>,
    /// Who accepts the relay's connection.
    pub server: Seat<N::Stream, N::Time>,
}

impl<N: Network> fmt::Debug for Call<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("conn", &self.conn).field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// A party that waits for its stream.
pub struct Seat<S, T> {
    play: crate::ground::Party<Socket<S>, ()>,
    wire: Wire,
    party: Party,
    place: Place<T>,
}

/// A task's number, host and surroundings.
struct Place<T> {
    task: usize,
    host: HostId,
    hub: Hub,
    shared: Shared,
    time: T,
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static, T: Time> Seat<S, T> {
    /// Runs the party to its end, whatever that is: its return, a panic, its host's death.
    pub async fn sit(self, stream: S) {
        let Self { play, wire, party, place } = self;
        let future = play(Socket::new(stream, wire, party));
        let Place { task, host, hub, shared, time } = place;
        hub.arrived();
        Playing::new(future, task, host, (hub, shared, time)).await;
    }
}

impl<S, T> fmt::Debug for Seat<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("party", &self.party).finish_non_exhaustive()
    }
}

/// A relay that waits for its legs.
pub struct Between<T: Time> {
    conn: u16,
    schedule: Schedule,
    gate: WireGate<T>,
}

impl<T: Time> Between<T> {
    /// Plays the schedule between these two.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes both legs.
    pub fn run<L: Leg>(self, client: L, server: L) -> impl Future<Output = ()> {
        Relay::new(self.conn, &self.schedule, self.gate).run(client, server)
    }

    /// The same, and `asker` says when a reader has taken its bytes, as if the parties' sockets could not be looked into.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes both legs.
    pub fn run_asking<L: Leg>(mut self, client: L, server: L, asker: Asker) -> impl Future<Output = ()> {
        self.gate.asker = Some(asker);
        self.run(client, server)
    }
}

impl<T: Time> fmt::Debug for Between<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Between").field("conn", &self.conn).finish_non_exhaustive()
    }
}

/// One attempt under way.
pub struct Room<T> {
    hub: Hub,
    time: T,
    began: Duration,
    wires: Vec<Wire>,
    crashed: Vec<HostId>,
    seen: u64,
    calm: u32,
    end: Option<RunEnd>,
}

impl<T: Time> Room<T> {
    /// Looks around, [`limits::ROOM_LOOK`] after the last time: buries who died, opens gates that nobody will open,
    /// and says whether it is over.
    pub fn look(&mut self, world: &mut World) -> bool {
        self.bury(world);
        let (activity, now) = (self.hub.activity(), self.time.now());
        if now.saturating_sub(self.began) > limits::ROOM_LIMIT {
            self.end = Some(RunEnd::Endless("time"));
            return true;
        }
        if activity != self.seen || self.hub.is_waiting(now) {
            self.seen = activity;
            self.calm = 0;
            return false;
        }
        self.calm += 1;
        if self.calm < limits::ROOM_CALM {
            return false;
        }
        self.calm = 0;
        if self.hub.all_ended() {
            self.end = Some(RunEnd::Complete);
            return true;
        }
        if self.wires.iter().any(Wire::force) {
            return false;
        }
        let lines: Vec<String> = self.wires.iter().map(Wire::explain).collect();
        self.end = Some(RunEnd::Deadlock(lines.join("; ")));
        true
    }

    /// Hosts that lost power since the last call.
    pub fn take_crashed(&mut self) -> Vec<HostId> {
        std::mem::take(&mut self.crashed)
    }

    fn bury(&mut self, world: &mut World) {
        while let Some((host, death)) = self.hub.next_death() {
            // The disk hears of it first: a dying task's destructors must not reach it.
            world.host_died(host, death);
            self.hub.kill(host, death);
            if death == HostDeath::Crashed {
                self.crashed.push(host);
            }
            self.wires.iter().for_each(Wire::rouse);
        }
    }
}

impl<T> fmt::Debug for Room<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("connections", &self.wires.len()).finish_non_exhaustive()
    }
}

/// A network as a ground for cases.
pub struct Away<N: Network> {
    network: N,
    world: World,
    hub: Hub,
    time: N::Time,
    /// Bytes written in each direction of each connection so far.
    written: Vec<[u64; 2]>,
}

impl<N: Network> Away<N> {
    /// A ground on this network.
    pub fn new(mut network: N) -> Self {
        let hub = Hub::default();
        let time = network.begin(&hub);
        Self { network, world: World::new(), hub, time, written: Vec::new() }
    }

    /// Forgets what was; the clock begins anew.
    pub(crate) fn renew(&mut self) {
        self.hub = Hub::default();
        self.time = self.network.begin(&self.hub);
        self.written.clear();
    }

    pub(crate) fn written(&self) -> Vec<[u64; 2]> {
        self.written.clone()
    }
}

impl<N: Network> fmt::Debug for Away<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Away").field("kind", &N::KIND).finish_non_exhaustive()
    }
}

/// What a client or a server of a pair returned.
enum Said<C, S> {
    Client(C),
    Server(S),
}

impl<N: Network> Ground for Away<N> {
    type Stream = Socket<N::Stream>;
    type Time = N::Time;

    const REFERENCE: bool = false;

    fn world(&mut self) -> &mut World {
        &mut self.world
    }

    fn time(&self) -> N::Time {
        self.time.clone()
    }

    fn idle(&self) -> Duration {
        limits::SHORT_IDLE
    }

    fn pair<FC, FS>(
        &mut self,
        client: impl FnOnce(Self::Stream) -> FC + 'static,
        server: impl FnOnce(Self::Stream) -> FS + 'static,
    ) -> Pair<FC::Output, FS::Output>
    where
        FC: Future + 'static,
        FS: Future + 'static,
    {
        let meeting: Meeting<Self::Stream, Said<FC::Output, FS::Output>> = Meeting {
            hosts: [crate::world::CLIENT, crate::world::SERVER],
            client: Box::new(|stream| {
                let party = client(stream);
                Box::pin(async { Said::Client(party.await) })
            }),
            server: Box::new(|stream| {
                let party = server(stream);
                Box::pin(async { Said::Server(party.await) })
            }),
        };
        let mut ended = self.meet(vec![meeting]).into_iter();
        let (client, server) = (ended.next().unwrap_or(Ended::Waiting), ended.next().unwrap_or(Ended::Waiting));
        Pair {
            client: map(client, |said| match said {
                Said::Client(said) => said,
                Said::Server(_) => unreachable!("the first of two is the client"),
            }),
            server: map(server, |said| match said {
                Said::Server(said) => said,
                Said::Client(_) => unreachable!("the second of two is the server"),
            }),
        }
    }

    fn meet<T: 'static>(&mut self, meetings: Vec<Meeting<Self::Stream, T>>) -> Vec<Ended<T>> {
        let schedule = if self.world.is_calm() { Schedule::benign() } else { self.world.schedule() };
        let (hub, shared) = (self.hub.clone(), self.world.shared());
        hub.clear();
        let mut calls: Vec<Call<N>> = Vec::new();
        let (mut wires, mut slots) = (Vec::new(), Vec::new());
        for (nth, Meeting { hosts, client, server }) in meetings.into_iter().enumerate() {
            let conn = u16::try_from(self.written.len() + nth + 1).expect("a case opens few connections");
            let around = (hub.clone(), shared.clone());
            let wire = Wire::new(conn, hosts, &schedule, self.world.windows(), around, N::SENDS_RESETS);
            self.world.opened(conn, hosts);
            let mut seat = |party: Party, play: crate::ground::Party<Self::Stream, T>| {
                let slot = Rc::new(RefCell::new(None));
                slots.push(Rc::clone(&slot));
                let (task, host) = (2 * nth + party.index(), hosts[party.index()]);
                hub.seat(host);
                let (hub, shared, time) = (hub.clone(), shared.clone(), self.time.clone());
                let play = move |stream| -> Pin<Box<dyn Future<Output = ()>>> {
                    let party = play(stream);
                    Box::pin(async move {
                        let said = party.await;
                        *slot.borrow_mut() = Some(said);
                    })
                };
                let place = Place { task, host, hub, shared, time };
                Seat { play: Box::new(play), wire: wire.clone(), party, place }
            };
            let (client, server) = (seat(Party::Client, client), seat(Party::Server, server));
            let gate = WireGate { wire: wire.clone(), time: self.time.clone(), asker: None };
            let relay = Between { conn, schedule: schedule.clone(), gate };
            wires.push(wire);
            calls.push(Call { conn, hosts, client, relay, server });
        }
        let began = self.time.now();
        let (time, seen) = (self.time.clone(), hub.activity());
        let mut room = Room { hub: hub.clone(), time, began, wires, crashed: Vec::new(), seen, calm: 0, end: None };
        if let Err(text) = self.network.play(&mut self.world, &mut room, calls) {
            panic!("the network of world {} broke: {text}", N::KIND);
        }
        room.bury(&mut self.world);
        self.written.extend(room.wires.iter().map(Wire::written));
        let ended = hub.take_ended();
        let panic = ended.iter().find_map(Ended::panic).map(str::to_owned);
        self.world.ended(room.end.unwrap_or(RunEnd::Complete), panic);
        let slots = slots.into_iter().map(|slot: Rc<RefCell<Option<T>>>| slot.take());
        ended.into_iter().zip(slots).map(|(ended, said)| map(ended, |()| said.expect("it was done"))).collect()
    }
}

/// The same end with another output.
fn map<T, U>(ended: Ended<T>, work: impl FnOnce(T) -> U) -> Ended<U> {
    match ended {
        Ended::Done(output) => Ended::Done(work(output)),
        Ended::Panicked(message) => Ended::Panicked(message),
        Ended::Killed => Ended::Killed,
        Ended::Crashed => Ended::Crashed,
        Ended::Waiting => Ended::Waiting,
    }
}
