//! `proxy`: a schedule, or a slow path, between any two programs.

mod line;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ft_core::path::escape;
use ft_sim::Direction;
use ft_sim::schedule::{Fault, Schedule};
use ft_sim::trace::{json_lines, pcapng};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use super::signals::Signals;
use super::sim;
use crate::args::{Listen, ProxyArgs};
use crate::exit::{Exit, Stop};
use crate::limits::{ACCEPT_PAUSE, CONNECT_TIMEOUT};
use crate::net::{self, Endpoint};
use crate::proxy::{self, Conduct, Diag, Pace, Record};
use crate::render::{Fact, Screen};
use line::{Line, Way, Why};

/// Listens, and relays until enough connections have come, or somebody presses Ctrl-C.
pub(super) async fn run(args: ProxyArgs, screen: Screen) -> Result<Exit, Stop> {
    let asked = schedule(&args)?;
    let schedule = proxy::playable(&asked).map_err(|why| {
        Stop::usage(format_args!("a proxy cannot play this schedule: {why}"))
            .hint("docs/SCHEDULE.md has the table of who plays what")
    })?;
    if asked.steps().iter().any(|step| step.fault == Fault::Clip) {
        note(&screen, "clip is played as split: a proxy cannot cut a read short, but it can keep the rest back");
    }
    if !asked.picks().is_empty() {
        note(&screen, "the schedule's decisions (NAME#NTH=VALUE) are left out: they are a simulator's");
    }
    if let Some(path) = &args.record {
        format_of(path)?;
        // What cannot be written is to be heard of before anything has passed.
        sim::put(b"", Some(path))?;
    }
    let mut signals = Signals::new().map_err(|e| Stop::failed(format_args!("cannot hear signals: {e}")))?;
    let listeners = listen(&args.listen).await.map_err(|e| {
        let stop = Stop::failed(format_args!("cannot listen on {e}"));
        if e.kind() == io::ErrorKind::AddrInUse {
            stop.hint("another program has it; port 0 is any free one")
        } else {
            stop
        }
    })?;
    let addresses: Vec<SocketAddr> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    let pace = Pace { latency: args.latency, rate: args.rate };
    for address in &addresses {
        Line::listening(address.to_string(), args.target.to_string(), schedule.to_string(), pace).say(&screen);
    }
    let diag = Diag::here().ok().map(Rc::new);
    let conduct = Conduct { schedule, preserve: args.preserve, pace, diags: [diag.clone(), diag] };
    let record = if args.record.is_some() { Record::default() } else { Record::counting() };
    let (stop, stopped) = watch::channel(false);
    let shared = Rc::new(Shared { conduct, record, addresses, args, screen, stopped });
    let exit = LocalSet::new().run_until(serve(&shared, listeners, &mut signals, &stop)).await;
    if let Some(path) = &shared.args.record {
        save(&shared.record, path, &shared.screen)?;
    }
    Ok(exit)
}

/// What all connections share.
struct Shared {
    conduct: Conduct,
    record: Record,
    /// The proxy's own.
    addresses: Vec<SocketAddr>,
    args: ProxyArgs,
    screen: Screen,
    /// True once the proxy is to end.
    stopped: watch::Receiver<bool>,
}

/// Accepts until it is enough; then waits for the last connections, or cuts them off if somebody wants the end now.
async fn serve(
    shared: &Rc<Shared>,
    listeners: Vec<TcpListener>,
    signals: &mut Signals,
    stop: &watch::Sender<bool>,
) -> Exit {
    let Shared { conduct, args, screen, .. } = &**shared;
    let mut sessions = JoinSet::new();
    let mut failed = false;
    let mut count = 0_u16;
    // A schedule numbers no more.
    let most = args.connections.unwrap_or(u16::MAX);
    while count < most || !sessions.is_empty() {
        tokio::select! {
            biased;
            () = signals.next() => break,
            Some(done) = sessions.join_next() => failed |= !matches!(done, Ok(true)),
            accepted = net::accept(&listeners), if count < most => match accepted {
                Ok((client, peer)) => {
                    count += 1;
                    Line::Opened { connection: count, peer: peer.to_string() }.say(screen);
                    let shared = Rc::clone(shared);
                    sessions.spawn_local(async move { shared.session(count, client).await });
                }
                Err(error) => {
                    // Out of descriptors, mostly: others have to end first.
                    tracing::warn!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listeners);
    stop.send_replace(true);
    while let Some(done) = sessions.join_next().await {
        failed |= !matches!(done, Ok(true));
    }
    if count == u16::MAX && args.connections.is_none() {
        note(screen, "the proxy ends: a schedule numbers no more connections than these");
    }
    let steps = conduct.schedule.steps().iter().filter(|step| step.conn > count).count();
    if steps > 0 {
        Line::Unplayed { steps }.say(screen);
    }
    if failed { Exit::Failed } else { Exit::Completed }
}

impl Shared {
    /// One connection, and what is to be said of it; false if it was not relayed.
    async fn session(&self, conn: u16, client: TcpStream) -> bool {
        let mut stopped = self.stopped.clone();
        let stopped = async move {
            // The other end is kept as long as there are connections.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let record = self.record.of_connection();
        let ended = tokio::select! {
            ended = self.relay(conn, client, &record) => ended,
            () = stopped => Ok(Why::Stopped),
        };
        let is_relayed = ended.is_ok();
        let line = match ended {
            Ok(why) => self.closed(conn, why, &record),
            Err(error) => Line::Failed { connection: conn, error },
        };
        line.say(&self.screen);
        is_relayed
    }

    async fn relay(&self, conn: u16, client: TcpStream, record: &Record) -> Result<Why, String> {
        // What the client writes meanwhile waits in its socket.
        let server = net::connect(&self.args.target, CONNECT_TIMEOUT).await;
        let server = server.map_err(|e| format!("cannot reach the target: {e}"))?;
        if server.peer_addr().is_ok_and(|at| self.addresses.contains(&at)) {
            return Err("the target is this proxy itself".into());
        }
        tokio::select! {
            result = proxy::relay(conn, [client, server], &self.conduct, record) => {
                result.map(|()| Why::End).map_err(|e| e.to_string())
            }
            () = record.silent_for(Duration::from_secs(self.args.timeout)) => Ok(Why::Silence),
        }
    }

    fn closed(&self, connection: u16, why: Why, record: &Record) -> Line {
        let way = |dir| {
            let (segments, bytes) = record.segments(dir);
            Way { bytes, segments }
        };
        let steps = || self.conduct.schedule.steps().iter().filter(|step| step.conn == connection);
        let is_boundary = |fault| matches!(fault, Fault::Split | Fault::Kill(_) | Fault::Crash(_));
        Line::Closed {
            connection,
            why,
            c2s: way(Direction::C2s),
            s2c: way(Direction::S2c),
            boundaries: record.certainty().as_str(),
            unplayed: steps().count().saturating_sub(record.played()),
            has_boundaries: self.conduct.preserve || steps().any(|step| is_boundary(step.fault)),
        }
    }
}

async fn listen(at: &Listen) -> io::Result<Vec<TcpListener>> {
    let port = match at {
        Listen::At(endpoint) => return net::listen(endpoint).await,
        Listen::Loopback(port) => *port,
    };
    let mut all = net::listen(&Endpoint { host: "127.0.0.1".into(), port }).await?;
    // The same port of ::1, if there is IPv6 and nobody has it.
    let port = all.first().and_then(|listener| listener.local_addr().ok()).map_or(port, |at| at.port());
    all.extend(net::listen(&Endpoint { host: "::1".into(), port }).await.unwrap_or_default());
    Ok(all)
}

fn schedule(args: &ProxyArgs) -> Result<Schedule, Stop> {
    let Some(scenario) = &args.scenario else { return Ok(args.schedule.clone().unwrap_or_default()) };
    let (name, scenario) = sim::find(scenario)?;
    scenario.schedule(args.play - 1).cloned().ok_or_else(|| {
        let plays = (0..).take_while(|play| scenario.schedule(*play).is_some()).count();
        Stop::usage(format_args!("{name} has no play {}: it has {}", args.play, sim::count(plays as u64, "play")))
    })
}

/// True for pcapng, false for JSON.
fn format_of(path: &Path) -> Result<bool, Stop> {
    match path.extension().and_then(|ext| ext.to_str()) {
        Some("pcapng") => Ok(true),
        Some("json" | "jsonl") => Ok(false),
        _ => Err(Stop::usage(format_args!(
            "--record {}: expected a name that ends with .json or .pcapng",
            path.display()
        ))),
    }
}

fn save(record: &Record, path: &Path, screen: &Screen) -> Result<(), Stop> {
    let events = record.events();
    let bytes = if format_of(path)? { pcapng(&events) } else { json_lines(&events).into_bytes() };
    sim::put(&bytes, Some(path))?;
    let file = escape(path.as_os_str().as_encoded_bytes()).to_string();
    Line::Recorded { file, events: events.len(), lost: record.lost() }.say(screen);
    Ok(())
}

fn note(screen: &Screen, text: &str) {
    screen.fact(None, &Fact::Note { text: text.into() });
}
