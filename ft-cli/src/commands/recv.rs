//! `recv`: show a one-time code, and receive from whoever knows it.
//!
//! ```text
//!   code shown -> somebody knows it -> sessions of that key -> one ends in order: done
//!        |                                   `- none for a while: failed
//!        `- three wrong tries, or its time is over: failed
//! ```

use std::sync::Arc;

use ft_core::error::{Code as ErrorCode, FileError, Retry};
use ft_core::event::Report;
use ft_core::frame::{Compare, Intent, Overwrite};
use ft_core::session::{self, Options};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::client;
use super::get::open;
use super::signals::Signals;
use crate::disk::{Names, Policy, Root};
use crate::exit::{Exit, Stop};
use crate::fence::Fence;
use crate::limits::{
    ACCEPT_PAUSE, BUSY_TIMEOUT, DEFAULT_PORT, HELLO_TIMEOUT, IDLE_TIMEOUT, OPEN_FETCHED, PAIRED_PATIENCE,
    PAIRED_SESSIONS,
};
use crate::net::{Deadline, Endpoint, accept, attach, detach, listen};
use crate::render::{Fact, Screen, Tally, Watch};
use crate::trust::{Caller, Code, Conn, Gate, Identity, Reception, RecvArgs};

/// What a receiver holds before it receives: everything that it has to open outside its folder.
pub(super) struct Prepared {
    args: RecvArgs,
    identity: Identity,
    root: Arc<Root>,
    listeners: Vec<std::net::TcpListener>,
}

/// Opens it.
pub(super) async fn prepare(args: RecvArgs) -> Result<Prepared, Stop> {
    let identity = Identity::open(args.identity.as_deref()).map_err(Stop::failed)?;
    let root = open(&args.dir)?;
    super::raise_descriptors();
    let listeners = detach(listeners(&args).await?).map_err(unheard)?;
    Ok(Prepared { args, identity, root, listeners })
}

/// The fence of a receiver: its folder, and what it remembers about files.
pub(super) fn fence(prepared: &Prepared) -> Fence {
    Fence::around(&prepared.args.dir, false).for_sessions()
}

fn unheard(e: std::io::Error) -> Stop {
    Stop::failed(format_args!("cannot listen: {e}"))
}

/// Receives once.
pub(super) async fn run(prepared: Prepared, screen: Screen) -> Result<Exit, Stop> {
    let Prepared { args, identity, root, listeners } = prepared;
    let mut signals = Signals::new().map_err(|e| Stop::failed(format_args!("cannot hear signals: {e}")))?;
    let listeners = attach(listeners).map_err(unheard)?;
    let code = Code::new().ok_or_else(|| Stop::failed("the system has no random numbers"))?;
    for listener in &listeners {
        let address = listener.local_addr().map_err(unheard)?;
        screen.fact(None, &Fact::Listening { address: address.to_string(), dialect: "code".into() });
    }
    let text = "the sender says: ft-cli send FILE CODE@HOST[:PORT], with this machine as HOST and this as CODE:";
    screen.fact(None, &Fact::Note { text: text.into() });
    screen.fact(None, &Fact::Code { code: code.show().to_owned() });
    let gate = Gate::new(code, args.expires);
    let reception = Reception::new(&identity, Arc::clone(&gate)).map_err(Stop::failed)?;
    let receiving = Arc::new(Receiving {
        root: Arc::clone(&root),
        screen,
        tally: Tally::of_peer(OPEN_FETCHED),
        replace: args.replace,
        names: client::names(args.names),
    });
    let ended = receiving.all(&listeners, reception, &gate, &mut signals).await;
    let (screen, tally) = (receiving.screen.clone(), receiving.tally.clone());
    // Nothing of ours may hold the folder while it is released.
    drop(receiving);
    client::release(root).await;
    let (ended, stopped) = match ended {
        Some(ended) => (ended, false),
        None => (Err("interrupted".to_owned()), true),
    };
    let counts = tally.counts();
    let exit = client::conclude(&screen, "received", ended, counts)?;
    Ok(if stopped && exit == Exit::Failed { Exit::Interrupted } else { exit })
}

async fn listeners(args: &RecvArgs) -> Result<Vec<TcpListener>, Stop> {
    let failed = |e: std::io::Error| {
        Stop::failed(format_args!("cannot listen on {e}"))
            .hint("choose a port with --listen [::]:PORT, 0 for any free one")
    };
    let mut all = Vec::new();
    for endpoint in &args.listen {
        all.extend(listen(endpoint).await.map_err(failed)?);
    }
    if args.listen.is_empty() {
        let every = |host: &str| Endpoint { host: host.into(), port: DEFAULT_PORT };
        // Both families where the system has them; a machine without IPv6 has IPv4 alone.
        all = match listen(&every("::")).await {
            Ok(both) => both,
            Err(_) => listen(&every("0.0.0.0")).await.map_err(failed)?,
        };
    }
    Ok(all)
}

struct Receiving {
    root: Arc<Root>,
    screen: Screen,
    tally: Tally,
    replace: bool,
    names: Names,
}

/// What a connection came to.
enum Came {
    Caller(Result<Caller, String>),
    Over(Option<Report>),
}

impl Receiving {
    /// How it ended; `None` if somebody asked to stop.
    async fn all(
        self: &Arc<Self>,
        listeners: &[TcpListener],
        reception: Reception,
        gate: &Gate,
        signals: &mut Signals,
    ) -> Option<Result<(), String>> {
        let reception = Arc::new(reception);
        let mut work: JoinSet<Came> = JoinSet::new();
        let mut sessions = 0u32;
        let (mut end, mut paired) = (gate.until(), false);
        let mut broken = None;
        loop {
            tokio::select! {
                () = signals.next() => return None,
                () = sleep_until(end), if sessions == 0 => {
                    let nobody = if paired { "the sender did not come back" } else { "nobody came in time; the code is over" };
                    return Some(Err(broken.unwrap_or_else(|| nobody.into())));
                }
                accepted = accept(listeners) => match accepted {
                    Ok((stream, _)) => self.enter(&mut work, &reception, stream),
                    Err(error) => {
                        tracing::warn!(%error, "accept failed");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(came) = work.join_next() => match came {
                    Ok(Came::Caller(Ok(Caller::Paired(key)))) => {
                        (end, paired) = (Instant::now() + PAIRED_PATIENCE, true);
                        self.note(format!("the code was right; the sender's key is {key}"));
                    }
                    Ok(Came::Caller(Ok(Caller::Wrong))) if gate.is_burnt() => {
                        return Some(Err("the code is burnt: somebody tried three wrong ones; run it again for a new one".into()));
                    }
                    Ok(Came::Caller(Ok(Caller::Wrong))) => self.note("somebody tried a code that is not good".into()),
                    // Its client comes back one at a time; more have no end to the memory that they ask for.
                    Ok(Came::Caller(Ok(Caller::Session(_)))) if sessions >= PAIRED_SESSIONS => {
                        tracing::info!(sessions, "one session more than the sender may have");
                    }
                    Ok(Came::Caller(Ok(Caller::Session(conn)))) => {
                        sessions += 1;
                        let this = Arc::clone(self);
                        work.spawn(async move { Came::Over(this.session(conn).await) });
                    }
                    Ok(Came::Caller(Err(error))) => tracing::info!(%error, "a connection that was not for us"),
                    Ok(Came::Over(report)) => {
                        sessions = sessions.saturating_sub(1);
                        match report.map(|report| report.end) {
                            Some(Ok(())) => return Some(Ok(())),
                            Some(Err(error)) => broken = Some(error.to_string()),
                            None => {}
                        }
                        end = Instant::now() + PAIRED_PATIENCE;
                    }
                    Err(panic) => return Some(Err(format!("internal error: {panic}"))),
                },
            }
        }
    }

    fn enter(&self, work: &mut JoinSet<Came>, reception: &Arc<Reception>, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let reception = Arc::clone(reception);
        work.spawn(async move { Came::Caller(reception.enter(stream).await) });
    }

    fn note(&self, text: String) {
        self.screen.fact(None, &Fact::Note { text });
    }

    /// One session of the sender; `None` if it wanted something else than to send.
    async fn session(&self, conn: Conn) -> Option<Report> {
        let stream = Deadline::new(conn, IDLE_TIMEOUT);
        let accepted = timeout(HELLO_TIMEOUT, session::accept(stream, &[])).await.ok()?.ok()?;
        if accepted.intent() != Intent::Push {
            let refusal = FileError::new(ErrorCode::Forbidden, Retry::Never, "this one receives, and shows nothing");
            let _ = timeout(BUSY_TIMEOUT, accepted.refuse(refusal)).await;
            return None;
        }
        let overwrite = if self.replace { Overwrite::Replace } else { Overwrite::KeepBoth };
        let policy =
            Policy { overwrite, names: self.names, notes: Some(client::notes(&self.screen)), ..Policy::default() };
        let options = Options { agent: client::AGENT.into(), compare: Compare::Quick, ..Options::default() };
        let mut watch = Watch::receiver(self.screen.clone(), self.tally.clone(), 1);
        let storage = self.root.storage(policy);
        let report = accepted.receive(storage, &options, client::pulse(IDLE_TIMEOUT), |event| watch.event(event)).await;
        watch.closed(&report);
        Some(report)
    }
}
