//! Schedules in turmoil: client, relay and server are named hosts that find each other by DNS; power is lost for real.
//!
//! Every attempt is a network of its own, so that hosts that died are simply started again in the next one. turmoil
//! sends no RST for a stream that is merely dropped: the party's socket shows one instead ([`crate::relay::wire`]).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use super::{HostResult, Net, Settings, Stream, TurmoilWorld};
use crate::core::HostId;
use crate::ground::{Time, WorldKind};
use crate::limits;
use crate::relay::Leg;
use crate::room::{Alarmed, Away, Call, Hub, Network, Room};
use crate::world::{SERVER, World};

/// The host of the relay.
const RELAY: &str = "relay";

/// Port of connection 1's listeners; each connection has its own, so that none can be mistaken for another.
const PORT: u16 = 1000;

/// turmoil as a network for cases.
#[derive(Clone, Debug, Default)]
pub struct TurmoilNetwork {
    settings: Settings,
    /// Virtual time at the end of the last attempt, and within the present one.
    clock: Rc<Cell<Duration>>,
    hub: Hub,
}

impl TurmoilNetwork {
    /// A network with this seed and latency; its time limit is [`limits::ROOM_LIMIT`] for each attempt.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        // A little more than the room allows, which knows better what to say.
        let limit = limits::ROOM_LIMIT + Duration::from_secs(10);
        Self { settings: Settings { limit, ..settings }, clock: Rc::default(), hub: Hub::default() }
    }

    /// A ground for cases.
    #[must_use]
    pub fn ground(settings: Settings) -> Away<Self> {
        Away::new(Self::new(settings))
    }
}

/// turmoil's virtual time, which the room walks tick by tick.
#[derive(Clone, Debug)]
pub struct TurmoilTime {
    clock: Rc<Cell<Duration>>,
    hub: Hub,
}

impl Time for TurmoilTime {
    type Sleep = Alarmed<tokio::time::Sleep>;

    fn now(&self) -> Duration {
        self.clock.get()
    }

    fn sleep(&self, span: Duration) -> Self::Sleep {
        self.hub.alarmed(self.now() + span, tokio::time::sleep(span))
    }
}

impl Leg for Stream {
    fn abort(self) {}
}

fn name(host: HostId) -> String {
    match host {
        crate::world::CLIENT => "client".to_owned(),
        SERVER => "server".to_owned(),
        other => format!("client-{other}"),
    }
}

/// Software of a host: several tasks, until all have ended.
type Software = Vec<Pin<Box<dyn Future<Output = io::Result<()>>>>>;

/// Starts a host whose software is never started twice.
fn start(world: &mut TurmoilWorld<'_>, name: &str, software: Software, refused: &Rc<RefCell<Option<String>>>) {
    let (once, refused) = (RefCell::new(Some(software)), Rc::clone(refused));
    world.host(name, move || {
        let (software, refused) = (once.take().unwrap_or_default(), Rc::clone(&refused));
        async move {
            let tasks: Vec<_> = software.into_iter().map(tokio::task::spawn_local).collect();
            for task in tasks {
                let text = match task.await {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                refused.borrow_mut().get_or_insert(text);
            }
            HostResult::Ok(())
        }
    });
}

impl Network for TurmoilNetwork {
    type Stream = Stream;
    type Leg = Stream;
    type Time = TurmoilTime;

    const KIND: WorldKind = WorldKind::Turmoil;
    const SENDS_RESETS: bool = false;

    fn begin(&mut self, hub: &Hub) -> TurmoilTime {
        self.clock.set(Duration::ZERO);
        self.hub = hub.clone();
        TurmoilTime { clock: Rc::clone(&self.clock), hub: hub.clone() }
    }

    fn play(&mut self, world: &mut World, room: &mut Room<TurmoilTime>, calls: Vec<Call<Self>>) -> Result<(), String> {
        let mut network = TurmoilWorld::new(self.settings);
        let net = network.net();
        let mut hosts: BTreeMap<HostId, Software> = BTreeMap::new();
        let mut relays: Software = Vec::new();
        for Call { conn, hosts: [here, there], client, relay, server } in calls {
            let port = PORT + conn;
            let at = net.clone();
            hosts.entry(there).or_default().push(Box::pin(async move {
                let (stream, _) = at.listen(port).await?.accept().await?;
                server.sit(stream).await;
                Ok(())
            }));
            let at = net.clone();
            relays.push(Box::pin(async move {
                let (client, _) = at.listen(port).await?.accept().await?;
                let server = at.connect(&name(there), port).await?;
                relay.run(client, server).await;
                Ok(())
            }));
            let at: Net = net.clone();
            hosts.entry(here).or_default().push(Box::pin(async move {
                client.sit(at.connect(RELAY, port).await?).await;
                Ok(())
            }));
        }
        // Who listens is started before who connects.
        let refused = Rc::new(RefCell::new(None));
        if let Some(server) = hosts.remove(&SERVER) {
            start(&mut network, &name(SERVER), server, &refused);
        }
        start(&mut network, RELAY, relays, &refused);
        for (host, software) in hosts {
            start(&mut network, &name(host), software, &refused);
        }
        let began = self.clock.get();
        let mut ticks = 0;
        loop {
            network.step().map_err(|error| error.to_string())?;
            ticks += 1;
            self.clock.set(began + Duration::from_millis(ticks));
            if let Some(text) = refused.take() {
                return Err(text);
            }
            let is_over = room.look(world);
            for host in room.take_crashed() {
                network.lose_power(&name(host));
            }
            if is_over {
                return Ok(());
            }
        }
    }
}
