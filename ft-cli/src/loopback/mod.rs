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
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use ft_sim::ground::{Time, WorldKind};
use ft_sim::relay::Leg;
use ft_sim::room::{Alarm, Away, Call, Hub, Network, Room};
use ft_sim::{World, limits};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use crate::limits::CONNECT_TIMEOUT;

/// Loopback as a network for cases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loopback;

impl Loopback {
    /// A ground for cases.
    #[must_use]
    pub fn ground() -> Away<Self> {
        Away::new(Self)
    }
}

/// Real time since the run began.
#[derive(Clone, Debug)]
pub struct RealTime {
    began: Instant,
    hub: Hub,
}

impl Time for RealTime {
    type Sleep = RealSleep;

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn sleep(&self, span: Duration) -> RealSleep {
        RealSleep { sleep: Box::pin(sleep(span)), alarm: Some(self.hub.alarm(self.now() + span)) }
    }
}

/// The future of [`RealTime`]'s sleep.
#[derive(Debug)]
pub struct RealSleep {
    sleep: Pin<Box<tokio::time::Sleep>>,
    alarm: Option<Alarm>,
}

impl Future for RealSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let result = self.sleep.as_mut().poll(cx);
        if result.is_ready() {
            self.alarm = None;
        }
        result
    }
}

/// The relay's connection to a party.
#[derive(Debug)]
pub struct TcpLeg(pub TcpStream);

impl Leg for TcpLeg {
    fn abort(self) {
        // With a linger time of zero, closing sends RST and forgets what was not sent. Where the option is refused the
        // socket is closed all the same, and the peer reads an end instead.
        let _ = self.0.set_zero_linger();
    }
}

impl AsyncRead for TcpLeg {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for TcpLeg {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
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
    type Leg = TcpLeg;
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
                    relay.run(TcpLeg(client), TcpLeg(server)).await;
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
