//! The fourth world: cases and schedules over the kernel's TCP on loopback, in real time.
//!
//! Client and server are the parties of the case, each with a real socket; between them a relay ([`ft_sim::relay`]) has
//! one connection to either and plays the schedule. Everything of one attempt runs on one thread, so that what is
//! starved of time is starved together; [`Loopback::ground`] may be made on as many threads as there are scenarios.
//!
//! Nothing leaves 127.0.0.1, every port is the kernel's choice, and every wait ends with the room's limit
//! ([`ft_sim::limits::ROOM_LIMIT`]).

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use ft_sim::ground::{Time, WorldKind};
use ft_sim::relay::StreamLeg;
use ft_sim::room::{Alarmed, Away, Call, Hub, Network, Room};
use ft_sim::{World, limits};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use crate::limits::CONNECT_TIMEOUT;
use crate::proxy;

/// Loopback as a network for cases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loopback {
    /// The relay asks the kernel what has been read, as a proxy before strangers must.
    asks: bool,
}

impl Loopback {
    /// A ground for cases.
    #[must_use]
    pub fn ground() -> Away<Self> {
        Away::new(Self { asks: false })
    }

    /// The same through the gate of the proxy ([`crate::proxy`]): the relay is not told what the parties read, it asks the
    /// kernel.
    #[must_use]
    pub fn proxied() -> Away<Self> {
        Away::new(Self { asks: true })
    }
}

/// Real time since the run began.
#[derive(Clone, Debug)]
pub struct RealTime {
    began: Instant,
    hub: Hub,
}

impl Time for RealTime {
    type Sleep = Alarmed<tokio::time::Sleep>;

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn sleep(&self, span: Duration) -> Self::Sleep {
        self.hub.alarmed(self.now() + span, sleep(span))
    }
}

/// The relay's connection to a party.
fn leg(stream: TcpStream) -> StreamLeg<TcpStream> {
    StreamLeg::new(stream, |stream| {
        // With a linger time of zero, closing sends RST and forgets what was not sent. Where the option is refused the
        // socket is closed all the same, and the peer reads an end instead.
        let _ = stream.set_zero_linger();
    })
}

/// A listener on a port of the kernel's choice.
async fn listen() -> io::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

async fn connect(port: u16) -> io::Result<TcpStream> {
    ready(timeout(CONNECT_TIMEOUT, TcpStream::connect((Ipv4Addr::LOCALHOST, port))).await)
}

async fn accept(listener: TcpListener) -> io::Result<TcpStream> {
    ready(timeout(CONNECT_TIMEOUT, async { listener.accept().await.map(|(stream, _)| stream) }).await)
}

fn ready(result: Result<io::Result<TcpStream>, tokio::time::error::Elapsed>) -> io::Result<TcpStream> {
    let stream = result.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    // A write is a segment, now: a schedule says where segments end, Nagle's algorithm does not.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What the kernel refused, if anything.
type Refused = Rc<RefCell<Option<String>>>;

fn spawn(refused: &Refused, what: &'static str, task: impl Future<Output = io::Result<()>> + 'static) {
    let refused = Rc::clone(refused);
    spawn_local(async move {
        if let Err(error) = task.await {
            refused.borrow_mut().get_or_insert(format!("{what}: {error}"));
        }
    });
}

impl Network for Loopback {
    type Stream = TcpStream;
    type Leg = StreamLeg<TcpStream>;
    type Time = RealTime;

    const KIND: WorldKind = WorldKind::Tcp;
    const SENDS_RESETS: bool = true;

    fn begin(&mut self, hub: &Hub) -> RealTime {
        RealTime { began: Instant::now(), hub: hub.clone() }
    }

    fn play(&mut self, world: &mut World, room: &mut Room<RealTime>, calls: Vec<Call<Self>>) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        // Dropped at the end, with every task and socket that is left.
        let tasks = LocalSet::new();
        let refused = Refused::default();
        let asks = self.asks;
        runtime.block_on(tasks.run_until(async {
            for Call { client, relay, server, .. } in calls {
                let (for_server, server_port) = listen().await.map_err(|e| format!("listening: {e}"))?;
                let (for_relay, relay_port) = listen().await.map_err(|e| format!("listening: {e}"))?;
                spawn(&refused, "the server", async move {
                    server.sit(accept(for_server).await?).await;
                    Ok(())
                });
                spawn(&refused, "the relay", async move {
                    let client = accept(for_relay).await?;
                    let server = connect(server_port).await?;
                    if asks {
                        let asker = proxy::asker([&client, &server])?;
                        relay.run_asking(leg(client), leg(server), asker).await;
                    } else {
                        relay.run(leg(client), leg(server)).await;
                    }
                    Ok(())
                });
                spawn(&refused, "the client", async move {
                    client.sit(connect(relay_port).await?).await;
                    Ok(())
                });
            }
            loop {
                sleep(limits::ROOM_LOOK).await;
                if let Some(text) = refused.take() {
                    return Err(text);
                }
                let is_over = room.look(world);
                // The relay keeps a crashed host's connections open and silent: there is no cable to pull here.
                room.take_crashed();
                if is_over {
                    return Ok(());
                }
            }
        }))
    }
}
