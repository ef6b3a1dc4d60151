//! One connection of a server: which dialect, what is allowed, and a line about it when it is over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ft_core::dialect::{Detected, detect, detect_after_quiet};
use ft_core::error::{Code, FileError, Retry, SessionError};
use ft_core::frame::{Compare, Intent, Level, Overwrite};
use ft_core::path::escape;
use ft_core::session::{self, Accepted, Options};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use super::Shared;
use crate::args::ServeDialect;
use crate::carry;
use crate::commands::client::{self, Stream};
use crate::commands::lab;
use crate::daemon::Trouble;
use crate::disk::{Policy, Root, WalkOptions};
use crate::exit::Exit;
use crate::limits::{BUSY_TIMEOUT, HEAD_MAX, HELLO_TIMEOUT, QUIET};
use crate::net::{Deadline, Meter};
use crate::render::{Fact, Tally, Watch, sentence};
use crate::trust::{Bounded, Fingerprint, Ledger, Rights};

/// Serves one connection to its end.
pub(super) async fn run(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, number: u64) -> Exit {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    let begun = Instant::now();
    let _open = shared.metrics.opened();
    shared.screen.fact(Some(number), &Fact::Connected { peer: peer.to_string() });
    let mut who = Who { peer, number, begun, key: None, rights: Ok(Rights::all()) };
    let lab = matches!(shared.args.dialect, ServeDialect::Pipe | ServeDialect::Addfile);
    let visitor = match shared.door.enter(stream, peer, lab, shared.args.timeout).await {
        Ok(visitor) => visitor,
        Err(why) => return turned_away(&shared, &who, Trouble::Handshake, &why),
    };
    who.key = visitor.key;
    who.rights = shared.door.admit(&visitor);
    let pace = shared.args.rate.as_ref().map(Meter::pace);
    let mut stream = Deadline::fitted(visitor.conn, shared.args.timeout).paced(pace);
    match shared.args.dialect {
        // Inside TLS only ft/1 is spoken: both sides have said so in the handshake.
        _ if who.key.is_some() => ft1(stream, &[], &shared, &who).await,
        ServeDialect::Ft1 => ft1(stream, &[], &shared, &who).await,
        ServeDialect::Pipe => lab::serve_pipe(stream, Vec::new(), &shared.lab(), &who).await,
        ServeDialect::Addfile => lab::serve_addfile(stream, Vec::new(), &shared.lab(), &who).await,
        ServeDialect::Auto => {
            let mut head = Vec::with_capacity(HEAD_MAX);
            match sniff(&mut stream, &mut head).await {
                // A lab's program has no words for it, and sees the end of the stream.
                Detected::Pipe | Detected::Addfile if who.rights.is_err() => turned_away(
                    &shared,
                    &who,
                    Trouble::Forbidden,
                    "a lab's program on another machine: --insecure would let it in",
                ),
                Detected::Pipe => lab::serve_pipe(stream, head, &shared.lab(), &who).await,
                Detected::Addfile => lab::serve_addfile(stream, head, &shared.lab(), &who).await,
                // What is none of ours gets the answer of ft/1, which names what it looks like.
                Detected::Ft1 | Detected::NeedMore | Detected::Foreign(_) => ft1(stream, &head, &shared, &who).await,
            }
        }
    }
}

/// Whom a session serves.
pub(in crate::commands) struct Who {
    /// The client's address.
    pub(in crate::commands) peer: SocketAddr,
    /// The session's number.
    pub(in crate::commands) number: u64,
    /// When it connected.
    pub(in crate::commands) begun: Instant,
    /// Its key, if it has shown one.
    pub(in crate::commands) key: Option<Fingerprint>,
    /// What it may do, or why it is only heard to be told no.
    pub(in crate::commands) rights: Result<Rights, FileError>,
}

impl Shared {
    fn lab(&self) -> lab::Serving {
        lab::Serving {
            root: Arc::clone(&self.root),
            policy: self.policy(),
            screen: self.screen.clone(),
            style: self.args.lab,
            text: self.args.text,
            may_put: !self.args.read_only,
            may_get: !self.args.drop_only,
            dir: self.args.dir.clone(),
        }
    }

    fn policy(&self) -> Policy {
        Policy {
            overwrite: self.args.overwrite.map_or(Overwrite::Default, client::overwrite),
            least: client::level(self.args.durability),
            notes: Some(client::notes(&self.screen)),
            ..Policy::default()
        }
    }
}

/// Reads until the first bytes tell the dialect, the client has gone, or its time is over.
async fn sniff(stream: &mut Stream, head: &mut Vec<u8>) -> Detected {
    let end = tokio::time::Instant::now() + HELLO_TIMEOUT;
    loop {
        let decided = detect(head);
        if decided != Detected::NeedMore || head.len() >= HEAD_MAX {
            return decided;
        }
        // Room for what is asked for and no more: whatever follows belongs to the session.
        let mut chunk = [0; HEAD_MAX];
        let room = HEAD_MAX - head.len();
        let read = stream.read(&mut chunk[..room]);
        let quiet = (!head.is_empty()).then_some(QUIET);
        let result = match quiet {
            Some(quiet) => match timeout(quiet, read).await {
                Ok(result) => result,
                Err(_) => {
                    let decided = detect_after_quiet(head);
                    if decided != Detected::NeedMore || tokio::time::Instant::now() >= end {
                        return decided;
                    }
                    continue;
                }
            },
            None => match timeout_at(end, read).await {
                Ok(result) => result,
                Err(_) => return Detected::NeedMore,
            },
        };
        match result {
            Ok(n) if n > 0 => head.extend_from_slice(&chunk[..n]),
            Ok(_) | Err(_) => return detect_after_quiet(head),
        }
    }
}

/// An ft/1 session.
async fn ft1(stream: Stream, head: &[u8], shared: &Shared, who: &Who) -> Exit {
    let compress = client::compress(shared.args.compress, &stream);
    let carried = carry::carries(&stream, shared.args.copy);
    let walk = WalkOptions { carried, compress, ..WalkOptions::default() };
    let accepted = match timeout(HELLO_TIMEOUT, session::accept(carry::over(stream, shared.args.copy), head)).await {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(error)) => return turned_away(shared, who, Trouble::Handshake, &error.to_string()),
        Err(_) => return turned_away(shared, who, Trouble::Handshake, "the client did not say what it wants"),
    };
    let intent = accepted.intent();
    tracing::info!(peer = %who.peer, agent = %escape(accepted.agent().as_bytes()), ?intent, "session");
    if let Err(refusal) = allowed(shared, who, intent) {
        let text = refusal.to_string();
        // Telling it is bounded as a whole: the client may be slow to hear it.
        let _ = timeout(BUSY_TIMEOUT, accepted.refuse(refusal)).await;
        return turned_away(shared, who, Trouble::Forbidden, &text);
    }
    transfer(accepted, walk, shared, who).await
}

/// A client that never got as far as a session.
fn turned_away(shared: &Shared, who: &Who, trouble: Trouble, why: &str) -> Exit {
    shared.metrics.trouble(trouble);
    tracing::info!(peer = %who.peer, key = ?who.key, session = who.number, why, "turned away");
    shared.screen.fact(Some(who.number), &Fact::Closed { error: Some(why.into()), counts: Default::default() });
    shared.screen.line(&format!("{} {why}", who.peer));
    Exit::Failed
}

/// What the server allows anybody, and what it allows this client.
fn allowed(shared: &Shared, who: &Who, intent: Intent) -> Result<(), FileError> {
    let rights = who.rights.as_ref().map_err(Clone::clone)?;
    let text = match intent {
        Intent::Push if shared.args.read_only => "this server is read-only",
        Intent::Pull | Intent::List if shared.args.drop_only => "this server takes files and shows none",
        Intent::Push | Intent::Pull | Intent::List => match rights.refuses(intent) {
            Some(text) => text,
            None => return Ok(()),
        },
    };
    Err(FileError::new(Code::Forbidden, Retry::Never, text))
}

/// Where a client's files are, and on what terms.
struct Place {
    root: Arc<Root>,
    policy: Policy,
    ledger: Option<Arc<Ledger>>,
}

async fn place(shared: &Shared, who: &Who) -> Result<Place, FileError> {
    let rights = who.rights.as_ref().map_err(Clone::clone)?;
    let failed = |e: std::io::Error| {
        tracing::warn!(peer = %who.peer, error = %e, "no place for this key");
        FileError::new(Code::Internal, Retry::Later, "the folder of this key cannot be used")
    };
    let root = match rights.folder.is_root() {
        true => Arc::clone(&shared.root),
        false => shared.roots.beneath(&shared.root, &rights.folder).map_err(failed)?,
    };
    let mut policy = shared.policy();
    if rights.drop_only {
        // What others dropped is not theirs to replace.
        policy.overwrite = Overwrite::KeepBoth;
    }
    let ledger = shared.door.ledger(who.key, rights, root.path()).await.map_err(failed)?;
    Ok(Place { root, policy, ledger })
}

async fn transfer(accepted: Accepted<carry::Carried>, walk: WalkOptions, shared: &Shared, who: &Who) -> Exit {
    let tally = Tally::default();
    let options = Options {
        agent: client::AGENT.into(),
        compare: Compare::Quick,
        // How well what is fetched must be stored is for the one to say who fetches it.
        level: Level::Cached,
        compress: walk.compress.clone(),
        ..Options::default()
    };
    let pulse = client::pulse(shared.args.timeout);
    let intent = accepted.intent();
    let place = match place(shared, who).await {
        Ok(place) => place,
        Err(refusal) => {
            let text = refusal.to_string();
            let _ = timeout(BUSY_TIMEOUT, accepted.refuse(refusal)).await;
            return turned_away(shared, who, Trouble::Forbidden, &text);
        }
    };
    let mut watch = match intent {
        Intent::Push => Watch::receiver(shared.screen.clone(), tally.clone(), who.number),
        Intent::Pull | Intent::List => Watch::server(shared.screen.clone(), tally.clone(), who.number),
    };
    let report = match intent {
        Intent::Push => {
            let storage = Bounded::new(place.root.storage(place.policy), place.ledger);
            accepted.receive(storage, &options, pulse, |event| watch.event(event)).await
        }
        Intent::Pull | Intent::List => {
            let source = place.root.source(walk);
            accepted.send(source, &options, pulse, |event| watch.event(event)).await
        }
    };
    watch.closed(&report);
    let counts = tally.counts();
    let time = who.begun.elapsed();
    shared.metrics.session(intent == Intent::Push, counts.completed, counts.bytes, counts.failed);
    if report.end.is_err() {
        shared.metrics.trouble(Trouble::Broken);
    }
    tracing::info!(
        peer = %who.peer, key = ?who.key, session = who.number, ?intent, files = counts.completed, failed = counts.failed,
        bytes = counts.bytes, seconds = time.as_secs_f64(), error = report.end.as_ref().err().map(tracing::field::display),
        "session over"
    );
    let mut line = match intent {
        Intent::Push => format!("{} put {}", who.peer, sentence(counts, time)),
        Intent::Pull => format!("{} got {}", who.peer, sentence(counts, time)),
        Intent::List => format!("{} listed", who.peer),
    };
    if let Err(error) = &report.end {
        line += &format!("; {error}");
    }
    shared.screen.line(&line);
    client::exit_for(&report.end.map_err(|e: SessionError| e.to_string()), counts)
}

/// Tells an ft/1 client that there is no room for it. A lab client has no word for that and sees the end of the stream.
pub(super) async fn refuse_busy(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    match shared.args.dialect {
        ServeDialect::Pipe | ServeDialect::Addfile => return,
        ServeDialect::Auto | ServeDialect::Ft1 => {}
    }
    let _ = timeout(BUSY_TIMEOUT, async {
        let Ok(visitor) = shared.door.enter(stream, peer, false, BUSY_TIMEOUT).await else { return };
        let stream = Deadline::new(visitor.conn, BUSY_TIMEOUT);
        if let Ok(accepted) = session::accept(stream, &[]).await {
            let text = format!("{} sessions are open", shared.args.max_connections);
            accepted.refuse(FileError::new(Code::Busy, Retry::Later, text)).await;
        }
    })
    .await;
}
