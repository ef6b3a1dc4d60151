//! The third world: turmoil, for what needs hosts with names, DNS, listeners, latency, crash and restart.
//!
//! It is a thousand times slower than the own link. Its own faults are those of hosts and paths; schedules by byte offset
//! are played in it by a relay on a host of its own ([`TurmoilNetwork`]). Facts about turmoil 0.7.2 that this module is
//! built around, each held by a test:
//!
//! - Its streams count capacity in segments, and a FIN that arrives when the reader's channel is full is never
//!   delivered: the reader hangs. Here streams have a window in *bytes*, and the channel one place more than that.
//! - `partition` drops segments and nothing sends them again, so that a healed stream hangs. Here a path is cut by
//!   [`TurmoilWorld::hold`], which keeps them.
//! - A crash closes the host's sockets in good order, which is a killed process. Here [`TurmoilWorld::lose_power`]
//!   cuts every path of the host first, so that its peers hear nothing.
//! - The default seed and epoch are random and now. Here both are given.
//!
//! One read never merges two segments and a write within the window is never short; the own link does both, and so do the
//! sockets that [`TurmoilNetwork`] gives to the parties of a case. A stream that is closed is never reset but for bytes
//! left unread: what a `rst` looks like to a party is those sockets' affair too.

mod play;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

use crate::limits;

pub use play::{TurmoilNetwork, TurmoilTime};

/// What a host's software returns; an error ends the run.
pub type HostResult = turmoil::Result;

/// When every run begins: the Unix epoch, a constant rather than a clock.
#[expect(clippy::disallowed_types, reason = "turmoil asks for this type; no clock is read")]
const EPOCH: std::time::SystemTime = std::time::SystemTime::UNIX_EPOCH;

/// How a world behaves; the fields that matter for a test are written out in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Seed of latencies. Not of `tokio::select!`, which draws from a source of its own unless it is `biased`.
    pub seed: u64,
    /// Longest time that a segment travels, 0 to 5 ms: each millisecond costs a tick of every host.
    pub latency: Duration,
    /// Bytes of a stream written and unread, at least 1.
    pub window: u32,
    /// Virtual time after which the run is ended with an error.
    pub limit: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let window = u32::try_from(limits::DEFAULT_WINDOW).unwrap_or(u32::MAX);
        Self { seed: 0, latency: Duration::ZERO, window, limit: Duration::from_secs(600) }
    }
}

/// A network of named hosts.
pub struct TurmoilWorld<'a> {
    sim: turmoil::Sim<'a>,
    net: Net,
    names: Vec<String>,
}

impl<'a> TurmoilWorld<'a> {
    /// An empty network.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let window = settings.window.max(1);
        let sim = turmoil::Builder::new()
            .rng_seed(settings.seed)
            .epoch(EPOCH)
            .simulation_duration(settings.limit)
            .tick_duration(Duration::from_millis(1))
            .min_message_latency(Duration::ZERO)
            .max_message_latency(settings.latency.min(Duration::from_millis(5)))
            // A segment has at least one byte, so that a full window leaves room for the FIN.
            .tcp_capacity(window as usize + 1)
            .build();
        Self {
            sim,
            net: Net { window: u64::from(window), meters: Arc::default(), losing_power: Arc::default() },
            names: Vec::new(),
        }
    }

    /// The network as hosts use it.
    #[must_use]
    pub fn net(&self) -> Net {
        self.net.clone()
    }

    /// Adds a host whose software is started again after [`TurmoilWorld::restart`].
    pub fn host<F, Fut>(&mut self, name: &str, software: F)
    where
        F: Fn() -> Fut + 'a,
        Fut: Future<Output = HostResult> + 'static,
    {
        self.names.push(name.to_owned());
        self.sim.host(name, software);
    }

    /// Adds a host that does one thing; the run ends when all of these have.
    pub fn client(&mut self, name: &str, software: impl Future<Output = HostResult> + 'static) {
        self.names.push(name.to_owned());
        self.sim.client(name, software);
    }

    /// Keeps what travels between two hosts until [`TurmoilWorld::release`]; nothing is lost.
    pub fn hold(&mut self, a: &str, b: &str) {
        self.sim.hold(a, b);
    }

    /// Delivers what was kept, and everything after it.
    pub fn release(&mut self, a: &str, b: &str) {
        self.sim.release(a, b);
    }

    /// Ends a host without a word: its peers hear nothing, not even that its sockets closed.
    pub fn lose_power(&mut self, name: &str) {
        for other in self.names.iter().filter(|other| *other != name) {
            self.sim.partition(name, other.as_str());
        }
        self.net.losing_power.store(true, Ordering::Relaxed);
        self.sim.crash(name);
        self.net.losing_power.store(false, Ordering::Relaxed);
    }

    /// Ends a host's process: its sockets are closed.
    pub fn kill(&mut self, name: &str) {
        self.sim.crash(name);
    }

    /// Starts a host's software again, with its paths healed.
    pub fn restart(&mut self, name: &str) {
        for other in self.names.iter().filter(|other| *other != name) {
            self.sim.repair(name, other.as_str());
        }
        self.sim.bounce(name);
    }

    /// One millisecond; true when every client has ended.
    ///
    /// # Errors
    ///
    /// The first error that a host's software returned.
    pub fn step(&mut self) -> turmoil::Result<bool> {
        self.sim.step()
    }

    /// Steps until `done` or until every client has ended.
    ///
    /// # Errors
    ///
    /// As [`TurmoilWorld::step`].
    pub fn step_until(&mut self, mut done: impl FnMut() -> bool) -> HostResult {
        while !done() && !self.sim.step()? {}
        Ok(())
    }

    /// Runs until every client has ended.
    ///
    /// # Errors
    ///
    /// The first error that a host's software returned, or that the run took longer than [`Settings::limit`].
    pub fn run(&mut self) -> HostResult {
        self.sim.run()
    }
}

/// The network as a host sees it: connect and listen.
#[derive(Clone)]
pub struct Net {
    window: u64,
    meters: Arc<Mutex<BTreeMap<Route, Arc<Mutex<Meter>>>>>,
    /// The host that is being ended says nothing to anybody.
    losing_power: Arc<AtomicBool>,
}

/// Writer's address, then reader's.
type Route = (SocketAddr, SocketAddr);

impl Net {
    /// Connects to a host by name.
    ///
    /// # Errors
    ///
    /// If nobody listens there.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<Stream> {
        self.meter(TcpStream::connect((host, port)).await?)
    }

    /// Listens on a port of this host.
    ///
    /// # Errors
    ///
    /// If the port is taken.
    pub async fn listen(&self, port: u16) -> io::Result<Listener> {
        let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)).await?;
        Ok(Listener { listener, net: self.clone() })
    }

    fn meter(&self, inner: TcpStream) -> io::Result<Stream> {
        let (here, there) = (inner.local_addr()?, inner.peer_addr()?);
        let mut meters = lock(&self.meters);
        // Routes come back when ports are used again; what nobody holds any more has no say.
        meters.retain(|_, meter| Arc::strong_count(meter) > 1);
        let mut of = |route| Arc::clone(meters.entry(route).or_default());
        let (outgoing, incoming) = (of((here, there)), of((there, here)));
        Ok(Stream { outgoing, incoming, inner, window: self.window, losing_power: Arc::clone(&self.losing_power) })
    }
}

/// A listening socket.
pub struct Listener {
    listener: TcpListener,
    net: Net,
}

impl Listener {
    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// As turmoil's listener.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a connection that was not returned stays queued.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        let (stream, peer) = self.listener.accept().await?;
        Ok((self.net.meter(stream)?, peer))
    }
}

/// Bytes of one direction that were written and not yet read.
#[derive(Debug, Default)]
struct Meter {
    unread: u64,
    /// Nobody will read any more: what is written goes out, so that the answer to it is heard.
    gone: bool,
    writer: Option<Waker>,
}

/// turmoil's stream with a window in bytes.
pub struct Stream {
    inner: TcpStream,
    window: u64,
    outgoing: Arc<Mutex<Meter>>,
    incoming: Arc<Mutex<Meter>>,
    losing_power: Arc<AtomicBool>,
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = (buf.filled().len() - before) as u64;
        if read > 0 {
            let mut meter = lock(&self.incoming);
            meter.unread = meter.unread.saturating_sub(read);
            let writer = meter.writer.take();
            drop(meter);
            if let Some(writer) = writer {
                writer.wake();
            }
        }
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let room = {
            let mut meter = lock(&self.outgoing);
            let room = self.window.saturating_sub(meter.unread);
            let room = if meter.gone { u64::MAX } else { room };
            if room == 0 {
                meter.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            usize::try_from(room).unwrap_or(usize::MAX)
        };
        let result = Pin::new(&mut self.inner).poll_write(cx, &bytes[..bytes.len().min(room)]);
        if let Poll::Ready(Ok(written)) = &result {
            lock(&self.outgoing).unread += *written as u64;
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A writer that waits for a reader which is gone must learn of it: what nobody will read no longer fills the window.
impl Drop for Stream {
    fn drop(&mut self) {
        if self.losing_power.load(Ordering::Relaxed) {
            return;
        }
        let mut meter = lock(&self.incoming);
        meter.gone = true;
        let writer = meter.writer.take();
        drop(meter);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for TurmoilWorld<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurmoilWorld").field("hosts", &self.names).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net").field("window", &self.window).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("window", &self.window).finish_non_exhaustive()
    }
}
