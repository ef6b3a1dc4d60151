//! `serve`: receive into a folder and serve from it, until told to stop.
//!
//! ```text
//!   fence closed, then: listeners --accept--> stranger: dialect, key, wish? --> place among the sessions? --yes--> ft/1 | lab
//!                                                                                     `-------no------> "busy"
//!   signal: stop accepting, let sessions finish (bounded); second signal: end
//! ```
//!
//! Sessions share nothing but the folder: an error or a panic of one is a line in the log of the others.

mod crowd;
mod joins;
mod roots;
mod session;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::client;
use super::get::open_existing;
use super::signals::{Asked, Signals};
use crate::args::{ServeArgs, ServeDialect};
use crate::daemon::{self, Metrics, Now, Trouble, Watched};
use crate::disk::Root;
use crate::exit::{Exit, Stop};
use crate::fence::Fence;
use crate::limits::{ACCEPT_PAUSE, CROWD_LINE, DEFAULT_PORT, GRACE};
use crate::net::{Endpoint, accept, attach, detach, listen};
use crate::render::{Fact, Screen, files};
use crate::trust::{Door, Reloaded, is_local, warn};
use crowd::Crowd;
use joins::Joins;
use roots::Roots;
pub(in crate::commands) use session::Who;

/// What all sessions share.
struct Shared {
    args: ServeArgs,
    root: Arc<Root>,
    screen: Screen,
    door: Door,
    roots: Roots,
    metrics: Arc<Metrics>,
    crowd: Arc<Crowd>,
    joins: Arc<Joins>,
}

/// What a server holds before it serves: everything that it has to open outside its folder.
pub(super) struct Prepared {
    args: ServeArgs,
    root: Arc<Root>,
    listeners: Vec<std::net::TcpListener>,
    watchers: Vec<std::net::TcpListener>,
    door: Door,
}

/// Opens what a server needs, and then nothing else any more: to be called where no thread has been started that serves.
pub(super) async fn prepare(args: ServeArgs) -> Result<Prepared, Stop> {
    super::raise_descriptors();
    let root = open_existing(&args.dir)?;
    let listeners = listeners(&args).await?;
    let door = door(&args, &listeners)?;
    let watchers = match &args.metrics {
        None => Vec::new(),
        Some(endpoint) => {
            listen(endpoint).await.map_err(|e| Stop::failed(format_args!("cannot show numbers at {e}")))?
        }
    };
    if watchers.iter().any(|watcher| watcher.local_addr().is_ok_and(|address| !is_local(address.ip()))) {
        warn("--metrics: whoever reaches that address reads, unencrypted, how much moves here");
    }
    let (listeners, watchers) = (detach(listeners).map_err(unheard)?, detach(watchers).map_err(unheard)?);
    Ok(Prepared { args, root, listeners, watchers, door })
}

/// The fence of a server: its folder, and what it remembers about files. Its keys are read outside, by a thread that does only that.
pub(super) fn fence(prepared: &Prepared) -> Fence {
    Fence::around(&prepared.args.dir, prepared.args.read_only).for_sessions()
}

fn unheard(e: io::Error) -> Stop {
    Stop::failed(format_args!("cannot listen: {e}"))
}

/// Serves until a signal comes, or one connection was served.
pub(super) async fn run(prepared: Prepared, screen: Screen) -> Result<Exit, Stop> {
    let Prepared { args, root, listeners, watchers, door } = prepared;
    let deaf = |e: io::Error| Stop::failed(format_args!("cannot hear signals: {e}"));
    let mut signals = Signals::new().map_err(deaf)?;
    signals.hear_hangup().map_err(deaf)?;
    let listeners = attach(listeners).map_err(unheard)?;
    for listener in &listeners {
        let address = listener.local_addr().map_err(unheard)?;
        announce(&screen, args.dialect, address);
    }
    door.announce(&screen);
    let metrics = Arc::new(Metrics::default());
    let _watched = watched(attach(watchers).map_err(unheard)?, &metrics, &screen)?;
    let shared = Arc::new(Shared {
        crowd: Crowd::new(args.max_connections, args.per_address),
        args,
        root: Arc::clone(&root),
        screen: screen.clone(),
        door,
        roots: Roots::default(),
        joins: Arc::default(),
        metrics,
    });
    let mut server = Server { shared, sessions: JoinSet::new(), worst: Exit::Completed, count: 0, crowded: (None, 0) };
    daemon::tell(Now::Ready);
    let stopped_by_signal = server.accept(&listeners, &mut signals).await;
    daemon::tell(Now::Stopping);
    // From here on a connection is refused by the system itself.
    drop(listeners);
    let roots = Arc::clone(&server.shared);
    let exit = server.finish(stopped_by_signal, &mut signals).await;
    for beneath in roots.roots.take() {
        client::release(beneath).await;
    }
    drop(roots);
    client::release(root).await;
    exit
}

/// The addresses asked for, or loopback: whoever serves strangers says so.
async fn listeners(args: &ServeArgs) -> Result<Vec<TcpListener>, Stop> {
    let failed = |e: io::Error| {
        let stop = Stop::failed(format_args!("cannot listen on {e}"));
        if e.kind() == io::ErrorKind::AddrInUse {
            stop.hint("another server has it; choose a port with --listen ADDR:PORT, 0 for any free one")
        } else {
            stop
        }
    };
    let mut all =
        daemon::handed_over().map_err(|e| Stop::failed(format_args!("cannot use the sockets handed over: {e}")))?;
    for endpoint in &args.listen {
        all.extend(listen(endpoint).await.map_err(failed)?);
    }
    if all.is_empty() {
        let loopback = |host: &str| Endpoint { host: host.into(), port: DEFAULT_PORT };
        all.extend(listen(&loopback("127.0.0.1")).await.map_err(failed)?);
        // A machine without IPv6 has no ::1; that is no reason not to serve.
        all.extend(listen(&loopback("::1")).await.unwrap_or_default());
    }
    Ok(all)
}

/// The pages with the numbers, if they are asked for.
fn watched(listeners: Vec<TcpListener>, metrics: &Arc<Metrics>, screen: &Screen) -> Result<Option<Watched>, Stop> {
    for listener in &listeners {
        let address = listener.local_addr().map_err(|e| Stop::failed(format_args!("cannot show numbers: {e}")))?;
        screen.fact(None, &Fact::Note { text: format!("numbers at http://{address}/metrics") });
    }
    Ok((!listeners.is_empty()).then(|| daemon::watch(listeners, Arc::clone(metrics))))
}

/// Whom to let in at these addresses.
fn door(args: &ServeArgs, listeners: &[TcpListener]) -> Result<Door, Stop> {
    let local = listeners.iter().all(|listener| listener.local_addr().is_ok_and(|address| is_local(address.ip())));
    let lab = matches!(args.dialect, ServeDialect::Pipe | ServeDialect::Addfile);
    if lab && !local && !args.door.insecure {
        let hint = "--insecure allows it; on this machine alone it needs no allowing";
        return Err(Stop::usage("a lab dialect cannot be encrypted, and other machines could reach it").hint(hint));
    }
    if lab && args.door.tls {
        let hint = "--dialect ft1 can; without --tls, a lab dialect serves this machine";
        return Err(Stop::usage("a lab dialect cannot be encrypted, and --tls asks for it").hint(hint));
    }
    Door::new(args.door.clone(), local).map_err(Stop::failed)
}

/// Says where we listen, in the words of the lab if one lab is all that is spoken.
fn announce(screen: &Screen, dialect: ServeDialect, address: SocketAddr) {
    let name = match dialect {
        ServeDialect::Auto => "auto",
        ServeDialect::Ft1 => "ft1",
        ServeDialect::Pipe => "pipe",
        ServeDialect::Addfile => "addfile",
    };
    screen.fact(None, &Fact::Listening { address: address.to_string(), dialect: name.into() });
    super::lab::announce(screen, dialect, address);
}

struct Server {
    shared: Arc<Shared>,
    sessions: JoinSet<Exit>,
    worst: Exit,
    count: u64,
    /// When people were last told of connections that come too often, and how many have come since.
    crowded: (Option<Instant>, u64),
}

/// The keys, while they are read again.
type Reading = Pin<Box<dyn Future<Output = Reloaded> + Send>>;

impl Server {
    /// Accepts until a signal (true) or, with `--once`, a first connection (false).
    async fn accept(&mut self, listeners: &[TcpListener], signals: &mut Signals) -> bool {
        let mut reading: Option<Reading> = None;
        // Asked for while they were being read: what changed in between may have been missed.
        let mut once_more = false;
        loop {
            let read = async {
                match &mut reading {
                    Some(reading) => reading.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                asked = signals.any() => match asked {
                    Asked::Stop => return true,
                    Asked::Reload if reading.is_some() => once_more = true,
                    Asked::Reload => reading = Some(self.reload()),
                },
                reloaded = read => {
                    self.reloaded(reloaded);
                    reading = std::mem::take(&mut once_more).then(|| self.reload());
                }
                Some(done) = self.sessions.join_next() => self.over(done),
                accepted = accept(listeners) => match accepted {
                    Ok((stream, peer)) => {
                        self.start(stream, peer);
                        if self.shared.args.once {
                            return false;
                        }
                    }
                    Err(error) => {
                        // Out of descriptors, or a connection that was gone before it was accepted: neither is a reason
                        // to stop serving, but trying again at once would only spin.
                        tracing::warn!(%error, "accept failed");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    /// Reads again what each key may do, and the certificate. Clients come and go meanwhile.
    fn reload(&self) -> Reading {
        daemon::tell(Now::Reloading);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.door.reload().await })
    }

    fn reloaded(&self, Reloaded { list, chain }: Reloaded) {
        let list = match list {
            Ok(keys) => format!("the list of keys was read again; it has {keys}"),
            Err(error) => format!("the list of keys stays as it was: {error}"),
        };
        let chain = match chain {
            Ok(true) => Some("the certificate was read again".to_owned()),
            Ok(false) => None,
            Err(error) => Some(format!("the certificate stays as it was: {error}")),
        };
        for text in [Some(list), chain].into_iter().flatten() {
            self.shared.screen.fact(None, &Fact::Note { text });
        }
        daemon::tell(Now::Ready);
    }

    fn start(&mut self, stream: TcpStream, peer: SocketAddr) {
        let shared = Arc::clone(&self.shared);
        let Some(place) = shared.crowd.arrive(peer.ip(), Instant::now()) else {
            shared.metrics.trouble(Trouble::Busy);
            return self.crowded(peer);
        };
        self.count += 1;
        self.sessions.spawn(session::run(stream, peer, shared, self.count, place));
    }

    /// Says that connections come too often: now and then, and how many did.
    fn crowded(&mut self, peer: SocketAddr) {
        let (last, untold) = &mut self.crowded;
        *untold += 1;
        if last.is_none_or(|last| last.elapsed() >= CROWD_LINE) {
            tracing::warn!(%peer, turned_away = *untold, "comes too often");
            (*last, *untold) = (Some(Instant::now()), 0);
        }
    }

    fn over(&mut self, done: Result<Exit, JoinError>) {
        let exit = done.unwrap_or_else(|error| {
            // Only our own bug leads here; it has been told on standard error where it happened.
            let text = format!("internal error in a session: {error}");
            self.shared.screen.fact(None, &Fact::Note { text });
            Exit::Failed
        });
        self.worst = self.worst.and(exit);
    }

    /// Lets sessions finish: all of them after `--once`, for a bounded time after a signal. A second signal ends them.
    async fn finish(mut self, stopping: bool, signals: &mut Signals) -> Result<Exit, Stop> {
        let mut end = stopping.then(|| Instant::now() + GRACE);
        if stopping && !self.sessions.is_empty() {
            let open = self.sessions.len() as u64;
            let text = format!("stopping: {} may finish; another signal ends them", plural(open));
            self.shared.screen.fact(None, &Fact::Note { text });
        }
        while !self.sessions.is_empty() {
            tokio::select! {
                Some(done) = self.sessions.join_next() => self.over(done),
                () = signals.next() => {
                    if end.is_some() {
                        break;
                    }
                    end = Some(Instant::now() + GRACE);
                }
                () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => break,
            }
        }
        let cut = self.sessions.len() as u64;
        self.sessions.shutdown().await;
        if cut > 0 {
            let text = format!("{} cut short; what had arrived is kept for a retry", plural(cut));
            self.shared.screen.fact(None, &Fact::Note { text });
            return Ok(Exit::Failed);
        }
        // A server that served and was told to stop has done what it was asked; `--once` answers for its one session.
        Ok(if self.shared.args.once { self.worst } else { Exit::Completed })
    }
}

fn plural(sessions: u64) -> String {
    files(sessions).replace("file", "session")
}
