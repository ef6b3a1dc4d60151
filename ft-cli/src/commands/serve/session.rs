//! One connection of a server: which dialect, what is allowed, and a line about it when it is over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ft_core::bundle::Bundle;
use ft_core::dialect::{Detected, detect, detect_after_quiet};
use ft_core::error::{Code, FileError, Retry, SessionError};
use ft_core::event::{Direction, Event};
use ft_core::frame::{Compare, Frame, Intent, Level, Offer, Overwrite};
use ft_core::join::Lane;
use ft_core::path::escape;
use ft_core::session::{self, Accepted, Call, Joining, Options};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use super::Shared;
use super::crowd::Place;
use super::joins::{Open, Party};
use crate::args::ServeDialect;
use crate::carry;
use crate::commands::client::{self, Stream};
use crate::commands::lab;
use crate::daemon::Trouble;
use crate::disk::{Policy, Root, WalkOptions};
use crate::exit::Exit;
use crate::limits::{BUSY_TIMEOUT, HEAD_MAX, HELLO_TIMEOUT, OPEN_SERVED, QUIET};
use crate::net::{Deadline, Meter};
use crate::render::{Fact, Tally, Watch, sentence};
use crate::trust::{Bounded, Fingerprint, Ledger, Rights};

/// Serves one connection to its end.
pub(super) async fn run(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, number: u64, place: Place) -> Exit {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    let begun = Instant::now();
    let _open = shared.metrics.opened();
    shared.screen.fact(Some(number), &Fact::Connected { peer: peer.to_string() });
    let who = Who { peer, number, begun, key: None, rights: Ok(Rights::all()) };
    tokio::select! {
        exit = meet(stream, &shared, who.clone(), &place) => exit,
        // As if the connection had been cut: what has come is kept, and the client may come again.
        () = place.gives_way() => turned_away(&shared, &who, Trouble::Busy, "gave way to another client"),
    }
}

/// From the first byte to the last.
async fn meet(stream: TcpStream, shared: &Arc<Shared>, mut who: Who, place: &Place) -> Exit {
    let peer = who.peer;
    let plain_only = matches!(shared.args.dialect, ServeDialect::Pipe | ServeDialect::Addfile);
    let visitor = match shared.door.enter(stream, peer, plain_only, shared.args.timeout).await {
        Ok(visitor) => visitor,
        Err(why) => return turned_away(shared, &who, Trouble::Handshake, &why),
    };
    who.key = visitor.key;
    who.rights = shared.door.admit(&visitor);
    let pace = shared.args.rate.as_ref().map(Meter::pace);
    let own = who.rights.as_ref().ok().and_then(|rights| shared.door.meter(who.key, rights));
    let stream = Deadline::fitted(Bundle::single(visitor.conn), shared.args.timeout).counted(Arc::clone(&place.moved));
    let mut stream = stream.paced(pace).paced(own.as_ref().map(Meter::pace));
    match shared.args.dialect {
        // Inside TLS only ft/1 is spoken: both sides have said so in the handshake.
        _ if who.key.is_some() => ft1(stream, &[], shared, &who, place).await,
        ServeDialect::Ft1 => ft1(stream, &[], shared, &who, place).await,
        ServeDialect::Pipe => lab(stream, Vec::new(), Lab::A, shared, &who, place).await,
        ServeDialect::Addfile => lab(stream, Vec::new(), Lab::B, shared, &who, place).await,
        ServeDialect::Auto => {
            let mut head = Vec::with_capacity(HEAD_MAX);
            match sniff(&mut stream, &mut head).await {
                Detected::Pipe => lab(stream, head, Lab::A, shared, &who, place).await,
                Detected::Addfile => lab(stream, head, Lab::B, shared, &who, place).await,
                // What is none of ours gets the answer of ft/1, which names what it looks like.
                Detected::Ft1 | Detected::NeedMore | Detected::Foreign(_) => {
                    ft1(stream, &head, shared, &who, place).await
                }
            }
        }
    }
}

/// Whom a session serves.
#[derive(Clone)]
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
            names: client::names(self.args.names),
            notes: Some(client::notes(&self.screen)),
            ..Policy::default()
        }
    }
}

/// Reads until the first bytes tell the dialect, the client has gone, or its time is over.
async fn sniff(stream: &mut Stream, head: &mut Vec<u8>) -> Detected {
    let now = tokio::time::Instant::now;
    let end = now() + HELLO_TIMEOUT;
    loop {
        let decided = detect(head);
        if decided != Detected::NeedMore || head.len() >= HEAD_MAX {
            return decided;
        }
        // Whoever goes on saying a little has no longer than whoever says nothing.
        if now() >= end {
            return detect_after_quiet(head);
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
                    if decided != Detected::NeedMore {
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

/// Whose protocol it is.
#[derive(Clone, Copy)]
enum Lab {
    A,
    B,
}

/// A lab's session. Its client has no words for being busy or unwelcome, and sees the end of the stream.
async fn lab(stream: Stream, head: Vec<u8>, lab: Lab, shared: &Shared, who: &Who, place: &Place) -> Exit {
    if who.rights.is_err() {
        let why = "a lab's program where only TLS comes in: --insecure would let it in from other machines";
        return turned_away(shared, who, Trouble::Forbidden, why);
    }
    if let Err(busy) = place.sit(None, tokio::time::Instant::now()) {
        return turned_away(shared, who, Trouble::Busy, &busy);
    }
    match lab {
        Lab::A => lab::serve_pipe(stream, head, &shared.lab(), who).await,
        Lab::B => lab::serve_addfile(stream, head, &shared.lab(), who).await,
    }
}

/// An ft/1 session.
async fn ft1(stream: Stream, head: &[u8], shared: &Shared, who: &Who, place: &Place) -> Exit {
    let compress = client::compress(shared.args.compress, &stream);
    let carried = carry::carries(&stream, shared.args.copy);
    let walk = WalkOptions { carried, compress, ..WalkOptions::default() };
    let mut accepted = match timeout(HELLO_TIMEOUT, session::answer(carry::over(stream, shared.args.copy), head)).await
    {
        Ok(Ok(Call::Session(accepted))) => accepted,
        Ok(Ok(Call::Join(joining))) => return join(joining, shared, who).await,
        Ok(Err(error)) => return turned_away(shared, who, Trouble::Handshake, &error.to_string()),
        Err(_) => return turned_away(shared, who, Trouble::Handshake, "the client did not say what it wants"),
    };
    let intent = accepted.intent();
    tracing::info!(peer = %who.peer, agent = %escape(accepted.agent().as_bytes()), ?intent, "session");
    let busy = |text| (FileError::new(Code::Busy, Retry::Later, text), Trouble::Busy);
    let may = allowed(shared, who, intent)
        .map_err(|refusal| (refusal, Trouble::Forbidden))
        .and_then(|()| place.sit(who.key, tokio::time::Instant::now()).map_err(busy));
    if let Err((refusal, trouble)) = may {
        let text = refusal.to_string();
        // Telling it is bounded as a whole: the client may be slow to hear it.
        let _ = timeout(BUSY_TIMEOUT, accepted.refuse(refusal)).await;
        return turned_away(shared, who, trouble, &text);
    }
    // Whoever serves one connection has no ear for others.
    let offer = (!shared.args.once).then(|| shared.joins.offer(Party::new(who.key, who.peer.ip()))).flatten();
    let open = offer.map(|offer| {
        carry::join_by(accepted.transport(), offer.tokens, offer.lanes);
        offer.open
    });
    transfer(accepted, walk, shared, who, open).await
}

/// A connection that belongs to a session: it is brought there, and that session answers for it from then on.
async fn join(joining: Joining<carry::Carried>, shared: &Shared, who: &Who) -> Exit {
    let told = joining.join();
    let Some(lanes) = shared.joins.claim(told.token, Party::new(who.key, who.peer.ip())) else {
        let refusal = FileError::new(Code::Forbidden, Retry::Never, "no session waits for this connection");
        let text = refusal.to_string();
        let _ = timeout(BUSY_TIMEOUT, joining.refuse(refusal)).await;
        return turned_away(shared, who, Trouble::Forbidden, &text);
    };
    match timeout(BUSY_TIMEOUT, joining.welcome()).await {
        Ok(Ok(Lane { stream, ahead, of })) => {
            let stream = carry::into_conn(stream);
            tracing::debug!(peer = %who.peer, of, "joins a session");
            let _ = lanes.send(Lane { stream, ahead, of });
            shared.screen.fact(Some(who.number), &Fact::Closed { error: None, counts: Default::default() });
            Exit::Completed
        }
        Ok(Err(error)) => turned_away(shared, who, Trouble::Handshake, &error.to_string()),
        Err(_) => turned_away(shared, who, Trouble::Handshake, "it took no answer"),
    }
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
struct Home {
    root: Arc<Root>,
    policy: Policy,
    ledger: Option<Arc<Ledger>>,
}

async fn home(shared: &Shared, who: &Who) -> Result<Home, FileError> {
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
    let ledger = shared.door.ledger(who.key, rights, &root).await.map_err(failed)?;
    Ok(Home { root, policy, ledger })
}

/// Others may join for as long as `open` is held, until GOODBYE.
async fn transfer(
    accepted: Accepted<carry::Carried>,
    walk: WalkOptions,
    shared: &Shared,
    who: &Who,
    mut open: Option<Open>,
) -> Exit {
    let tally = Tally::of_peer(OPEN_SERVED);
    let options = Options {
        agent: client::AGENT.into(),
        compare: Compare::Quick,
        // How well what is fetched must be stored is for the one to say who fetches it.
        level: Level::Cached,
        compress: walk.compress.clone(),
        joins: open.is_some(),
        ..Options::default()
    };
    let pulse = client::pulse(shared.args.timeout);
    let intent = accepted.intent();
    let home = match home(shared, who).await {
        Ok(home) => home,
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
    let heard = |event: &Event| {
        // Whoever has heard that the session is over must not be able to join it any more.
        if let Event::Frame(Direction::Sent, Frame::Goodbye) = event {
            open = None;
        }
        watch.event(event);
    };
    let report = match intent {
        Intent::Push => {
            let (there, policy) = (Arc::clone(&home.root), home.policy.overwrite);
            let replaces = move |offer: &Offer| {
                let keeps_both = [policy, offer.overwrite].into_iter().find(|wish| *wish != Overwrite::Default)
                    == Some(Overwrite::KeepBoth);
                !keeps_both && there.has(&offer.meta.path)
            };
            let unpaid = home.policy.unpaid.clone();
            let storage = Bounded::new(home.root.storage(home.policy), home.ledger, unpaid, replaces);
            accepted.receive(storage, &options, pulse, heard).await
        }
        Intent::Pull | Intent::List => accepted.send(home.root.source(walk), &options, pulse, heard).await,
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
