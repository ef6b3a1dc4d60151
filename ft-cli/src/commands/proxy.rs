//! `proxy`: a schedule, or a slow path, between any two programs.

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ft_sim::Direction;
use ft_sim::schedule::Schedule;
use ft_sim::trace::{json_lines, pcapng};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, LocalSet};

use super::sim;
use crate::args::ProxyArgs;
use crate::exit::{Exit, Stop};
use crate::limits::{ACCEPT_PAUSE, CONNECT_TIMEOUT};
use crate::net;
use crate::proxy::{self, Conduct, Diag, Pace, Record};
use crate::render::{Mode, Screen};

/// What `--json` says.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line {
    Listening { address: String, target: String, schedule: String },
    Opened { connection: u16, peer: String },
    Closed { connection: u16, c2s: Way, s2c: Way, boundaries: &'static str, unplayed: usize },
    Failed { connection: u16, error: String },
}

/// One direction of a connection.
#[derive(Serialize)]
struct Way {
    bytes: u64,
    segments: u64,
}

/// Listens, and relays until enough connections have come or somebody presses Ctrl-C.
pub(super) async fn run(args: ProxyArgs, screen: Screen) -> Result<Exit, Stop> {
    LocalSet::new().run_until(serve(args, &screen)).await
}

async fn serve(args: ProxyArgs, screen: &Screen) -> Result<Exit, Stop> {
    let schedule = proxy::playable(&schedule(&args)?, false).map_err(|why| {
        Stop::usage(format_args!("a proxy cannot play this schedule: {why}"))
            .hint("docs/SCHEDULE.md has the table of who plays what")
    })?;
    if let Some(path) = &args.record {
        format_of(path)?;
    }
    let listeners = net::listen(&args.listen).await.map_err(|e| Stop::failed(format_args!("cannot listen: {e}")))?;
    let Some(listener) = listeners.into_iter().next() else {
        return Err(Stop::failed("there is no address to listen on"));
    };
    let address = listener.local_addr().map_err(|e| Stop::failed(format_args!("cannot listen: {e}")))?;
    say(
        screen,
        &Line::Listening {
            address: address.to_string(),
            target: args.target.to_string(),
            schedule: schedule.to_string(),
        },
    );
    let pace = Pace { latency: args.latency, rate: args.rate };
    let diag = Diag::here().ok().map(Rc::new);
    let conduct =
        Rc::new(Conduct { schedule, preserve: args.preserve, pace, diags: [diag.clone(), diag], killer: None });
    let record = Record::default();
    let mut sessions = JoinSet::new();
    let mut conn = 0_u16;
    let stop = tokio::signal::ctrl_c();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            _ = &mut stop => break,
            Some(_) = sessions.join_next() => {}
            accepted = accept(&listener), if args.connections.is_none_or(|most| conn < most) => {
                let Some((client, peer)) = accepted else { continue };
                conn = conn.checked_add(1).ok_or_else(|| Stop::failed("more connections than a schedule can number"))?;
                say(screen, &Line::Opened { connection: conn, peer: peer.to_string() });
                let (target, conduct, record) = (args.target.clone(), Rc::clone(&conduct), record.clone());
                let (screen, idle) = (screen.clone(), Duration::from_secs(args.timeout));
                sessions.spawn_local(async move {
                    let ended = session(conn, client, &target, &conduct, &record, idle).await;
                    say(&screen, &ended.unwrap_or_else(|error| Line::Failed { connection: conn, error }));
                });
            }
            // Everybody has come, and everybody has gone.
            else => break,
        }
        if args.connections.is_some_and(|most| conn >= most) && sessions.is_empty() {
            break;
        }
    }
    if let Some(path) = &args.record {
        let events = record.events();
        let bytes = if format_of(path)? { pcapng(&events) } else { json_lines(&events).into_bytes() };
        sim::put(&bytes, Some(path))?;
        let lost = if record.lost() > 0 {
            format!("; {} bytes more passed and were not kept", record.lost())
        } else {
            String::new()
        };
        screen.line(&format!("{} events written to {}{lost}", events.len(), path.display()));
    }
    Ok(Exit::Completed)
}

/// One connection, and what is to be said of it.
async fn session(
    conn: u16,
    client: TcpStream,
    target: &net::Endpoint,
    conduct: &Conduct,
    all: &Record,
    idle: Duration,
) -> Result<Line, String> {
    let server = net::connect(target, CONNECT_TIMEOUT).await.map_err(|e| format!("cannot reach {target}: {e}"))?;
    let record = all.of_connection();
    tokio::select! {
        result = proxy::relay(conn, [client, server], conduct, &record) => result.map_err(|e| e.to_string())?,
        () = record.silent_for(idle) => {}
    }
    let way = |dir| {
        let seen = record.segments(dir);
        Way { bytes: seen.1, segments: seen.0 }
    };
    let (played, meant) = (record.played(), conduct.schedule.steps().iter().filter(|step| step.conn == conn).count());
    Ok(Line::Closed {
        connection: conn,
        c2s: way(Direction::C2s),
        s2c: way(Direction::S2c),
        boundaries: record.certainty().as_str(),
        unplayed: meant.saturating_sub(played),
    })
}

async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(_) => {
            // Mostly no more descriptors: others have to end first.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn schedule(args: &ProxyArgs) -> Result<Schedule, Stop> {
    let Some(scenario) = &args.scenario else { return Ok(args.schedule.clone().unwrap_or_default()) };
    let (name, scenario) = sim::find(scenario)?;
    scenario
        .schedule(args.play - 1)
        .cloned()
        .ok_or_else(|| Stop::usage(format_args!("{name} has no play {}", args.play)))
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

fn say(screen: &Screen, line: &Line) {
    if screen.mode() == Mode::Json {
        return sim::print_json(screen, line);
    }
    let bytes = |way: &Way| format!("{} bytes in {} segments", way.bytes, way.segments);
    screen.line(&match line {
        Line::Listening { address, target, schedule } => {
            format!("listening on {address} for {target}; schedule: {schedule}")
        }
        Line::Opened { connection, peer } => format!("{connection}: opened by {peer}"),
        Line::Closed { connection, c2s, s2c, boundaries, unplayed } => {
            let rest = match unplayed {
                0 => String::new(),
                n => format!("; {} never reached", sim::count(*n as u64, "step")),
            };
            format!("{connection}: closed; c2s {}, s2c {}; boundaries: {boundaries}{rest}", bytes(c2s), bytes(s2c))
        }
        Line::Failed { connection, error } => format!("{connection}: failed: {error}"),
    });
}
