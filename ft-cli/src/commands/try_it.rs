//! `try`: one file, to yourself, through real TCP, with every step of the protocol shown when it has happened.
//!
//! Nothing is staged: the receiver is the one of `serve`, the sender the one of `put`, and between them is a kernel socket on
//! loopback. A line with an arrow is printed when the frame has *arrived*, not when it was sent.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ft_core::compress::Compress;
use ft_core::event::{Direction, Event, Report};
use ft_core::frame::{Compare, Frame, Hello, Kind, Level, Links, Overwrite, Verdict};
use ft_core::hash::Root as Hash;
use ft_core::path::{RelPath, escape};
use ft_core::session::{self, Options};
use ft_core::storage::Step;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::client;
use crate::args::{Connection, TryArgs};
use crate::disk::{DiskSource, Policy, Root, WalkOptions};
use crate::exit::{Exit, Stop};
use crate::limits::{CONNECT_TIMEOUT, IDLE_TIMEOUT};
use crate::net::{Deadline, Endpoint, listen};
use crate::render::{Mode, Screen, Tally, Watch, amount};
use crate::trust::TrustArgs;

/// Which side an event happened at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Sender,
    Receiver,
}

/// What one side saw, and when.
struct Seen {
    side: Side,
    at: Duration,
    event: Event,
}

/// Sends the file and tells about it.
pub(super) async fn run(args: TryArgs, screen: Screen) -> Result<Exit, Stop> {
    let size = check(&args.file)?;
    let into = destination(&args)?;
    let failed = |what: &str, e: &dyn std::fmt::Display| Stop::failed(format_args!("{what}: {e}"));
    let root = Root::open(&into).map_err(|e| failed("cannot use the folder", &e))?;
    let loopback = Endpoint { host: "127.0.0.1".into(), port: 0 };
    let listener = listen(&loopback).await.map_err(|e| failed("cannot listen", &e))?.remove(0);
    let address = listener.local_addr().map_err(|e| failed("cannot listen", &e))?;
    let name = file_name(&args.file);
    screen.line(&format!("Sending {name} ({size} bytes) through TCP to {address}, a receiver in this process.\n"));
    screen.line(&row("", "sender", "", "receiver"));

    let (told, facts) = unbounded_channel();
    let begun = Instant::now();
    let receiver = receive(listener, Arc::clone(&root), Teller { side: Side::Receiver, begun, told: told.clone() });
    let watch = Watch::sender(screen.clone(), Tally::default(), 1);
    let sender = send(&args, address.port(), Teller { side: Side::Sender, begun, told }, watch);
    let (received, sent, frames) = tokio::join!(receiver, sender, tell(facts, &screen));
    client::release(root).await;
    let (received, (sent, tally)) = (received?, sent?);
    for (side, report) in [("receiver", &received), ("sender", &sent)] {
        if let Err(error) = &report.end {
            return Err(Stop::failed(format_args!("the {side} ended early: {error}")));
        }
    }
    let counts = tally.counts();
    if counts.completed != 1 {
        // The reason has been told as it happened.
        return client::conclude(&screen, "sent", Ok(()), counts);
    }
    let landed = into.join(args.file.file_name().unwrap_or_default());
    verify(&args.file, &landed, &screen)?;
    screen.line(&frames.words());
    screen.line(&after(&args.file, &landed));
    if screen.mode() == Mode::Json {
        screen.summary("sent", Exit::Completed, counts);
    }
    Ok(Exit::Completed)
}

/// The size of what is to be sent, if it is a file.
fn check(file: &Path) -> Result<u64, Stop> {
    let shown = shown(file);
    let meta = std::fs::metadata(file).map_err(|e| {
        Stop::failed(format_args!("cannot read {shown}: {e}")).hint("name a file of yours: ft-cli try FILE")
    })?;
    if meta.is_file() {
        return Ok(meta.len());
    }
    let hint = "for folders, start ft-cli serve in one terminal and ft-cli put in another";
    Err(Stop::failed(format_args!("{shown} is not a file, and try shows one file")).hint(hint))
}

/// Where it lands: what was asked for, or a new folder that stays, so that the result can be looked at.
fn destination(args: &TryArgs) -> Result<PathBuf, Stop> {
    let cannot = |e: std::io::Error| Stop::failed(format_args!("cannot make a folder to land in: {e}"));
    match &args.into {
        Some(dir) => std::fs::create_dir_all(dir).map(|()| dir.clone()).map_err(cannot),
        None => tempfile::Builder::new().prefix("ft-try-").tempdir().map(tempfile::TempDir::keep).map_err(cannot),
    }
}

/// Hears the events of one side.
struct Teller {
    side: Side,
    begun: Instant,
    told: UnboundedSender<Seen>,
}

impl Teller {
    fn tell(&self, event: &Event) {
        // The other end is dropped only after both sides are.
        let _ = self.told.send(Seen { side: self.side, at: self.begun.elapsed(), event: event.clone() });
    }
}

async fn receive(listener: tokio::net::TcpListener, root: Arc<Root>, teller: Teller) -> Result<Report, Stop> {
    let failed = |e: &dyn std::fmt::Display| Stop::failed(format_args!("the receiver could not begin: {e}"));
    let accepted = tokio::time::timeout(CONNECT_TIMEOUT, listener.accept()).await.map_err(|e| failed(&e))?;
    let (stream, _) = accepted.map_err(|e| failed(&e))?;
    let accepted = session::accept(Deadline::new(stream, IDLE_TIMEOUT), &[]).await.map_err(|e| failed(&e))?;
    // `accept` has heard the sender's HELLO before there was anybody to tell.
    let hello = Hello {
        intent: Some(accepted.intent()),
        max_streams: 0,
        max_offer_bytes: 0,
        features: 0,
        agent: String::new(),
    };
    teller.tell(&Event::Frame(Direction::Received, Frame::Hello(hello)));
    let policy = Policy { least: Level::Durable, ..Policy::default() };
    let pulse = client::pulse(IDLE_TIMEOUT);
    let options = Options { agent: client::AGENT.into(), ..Options::default() };
    Ok(accepted.receive(root.storage(policy), &options, pulse, |event| teller.tell(event)).await)
}

async fn send(args: &TryArgs, port: u16, teller: Teller, mut watch: Watch) -> Result<(Report, Tally), Stop> {
    let endpoint = Endpoint { host: "127.0.0.1".into(), port };
    let connection =
        Connection { timeout: IDLE_TIMEOUT, connect_timeout: CONNECT_TIMEOUT, retries: 0, trust: TrustArgs::default() };
    let stream = client::dial(&endpoint, &connection, None).await.map_err(Stop::failed)?;
    // A link is followed: whoever names one means the file.
    let walk = WalkOptions { links: Links::Follow, ..WalkOptions::default() };
    let source = DiskSource::push(vec![args.file.clone()], RelPath::root(), walk, |_| false);
    let options = Options {
        agent: client::AGENT.into(),
        overwrite: Overwrite::Replace,
        compare: Compare::None,
        level: Level::Durable,
        compress: Compress::Off,
        joins: false,
    };
    let pulse = client::pulse(IDLE_TIMEOUT);
    let report = session::push(stream, source, &options, pulse, |event| {
        teller.tell(event);
        watch.event(event);
    })
    .await;
    let tally = watch.tally();
    watch.closed(&report);
    Ok((report, tally))
}

/// What went over the wire.
#[derive(Default)]
struct Frames {
    data: u64,
    bytes: u64,
    control: u64,
}

impl Frames {
    fn words(&self) -> String {
        format!(
            "\n{} frames: {} with content ({}), {} to agree about it.",
            self.data + self.control,
            self.data,
            amount(self.bytes),
            self.control
        )
    }
}

/// Prints every step when it has happened, until both sides are done. The channel keeps cause before effect: whatever
/// made a frame come was told before the frame was sent.
async fn tell(mut facts: UnboundedReceiver<Seen>, screen: &Screen) -> Frames {
    let mut frames = Frames::default();
    let mut content = (0, 0);
    while let Some(Seen { side, at, event }) = facts.recv().await {
        let time = format!("{:.1} ms", at.as_secs_f64() * 1000.0);
        if let Event::Frame(Direction::Received, frame) = &event {
            match frame {
                Frame::Data { len, .. } => {
                    frames.data += 1;
                    frames.bytes += u64::from(*len);
                    content = (content.0 + 1, content.1 + u64::from(*len));
                    continue;
                }
                Frame::Zdata { len, packed, .. } => {
                    frames.data += 1;
                    frames.bytes += u64::from(*packed);
                    content = (content.0 + 1, content.1 + u64::from(*len));
                    continue;
                }
                Frame::Hole { len, .. } => {
                    frames.control += 1;
                    content = (content.0 + 1, content.1 + len);
                    continue;
                }
                Frame::End(..) if content.0 > 0 => {
                    let text = format!("DATA x {}, {} bytes in all", content.0, content.1);
                    screen.line(&row(&time, &text, arrow(side), ""));
                }
                Frame::Hello(_)
                | Frame::Error(..)
                | Frame::Goodbye
                | Frame::Join(_)
                | Frame::Spread(_)
                | Frame::Invite(_)
                | Frame::Want(..)
                | Frame::Done(..)
                | Frame::Entry(..)
                | Frame::Offer(..)
                | Frame::Ack1(..)
                | Frame::End(..)
                | Frame::Ack2(..)
                | Frame::Alive(..) => {}
            }
            frames.control += 1;
            let text = frame_words(frame);
            let (left, right) = if side == Side::Receiver { (text.as_str(), "") } else { ("", text.as_str()) };
            screen.line(&row(&time, left, arrow(side), right));
        } else if let (Side::Receiver, Some(text)) = (side, step_words(&event)) {
            screen.line(&row(&time, "", "", &text));
        }
    }
    frames
}

/// Frames point to the side where they arrived.
fn arrow(arrived_at: Side) -> &'static str {
    match arrived_at {
        Side::Receiver => "-->",
        Side::Sender => "<--",
    }
}

fn row(time: &str, sender: &str, arrow: &str, receiver: &str) -> String {
    format!("{time:>10}  {sender:<38} {arrow:^3}  {receiver}").trim_end().to_string()
}

fn frame_words(frame: &Frame) -> String {
    match frame {
        Frame::Hello(hello) if hello.intent.is_some() => "HELLO: I have files for you".into(),
        Frame::Hello(_) => "HELLO: go ahead".into(),
        Frame::Offer(_, offer) => {
            let kind = if offer.meta.kind == Kind::File { "" } else { " (no file)" };
            format!("OFFER {}, {} bytes{kind}", offer.meta.path, offer.meta.size.unwrap_or(0))
        }
        Frame::Ack1(_, offset, verdict) => match verdict {
            Verdict::Send => "ACK1: name, policy, space are fine; send".into(),
            Verdict::Resume(_) => format!("ACK1: I kept {offset} bytes; continue"),
            Verdict::SameMeta | Verdict::SameContent(_) => "ACK1: I have that file".into(),
            Verdict::Refused(error) => format!("ACK1: refused, {error}"),
        },
        Frame::Data { .. } => "DATA".into(),
        Frame::Zdata { .. } => "ZDATA".into(),
        Frame::Join(_) | Frame::Spread(_) | Frame::Invite(_) => frame.name().into(),
        Frame::Hole { .. } => "HOLE".into(),
        Frame::End(_, size, root) => format!("END: {size} bytes, BLAKE3 {}", short(root)),
        Frame::Ack2(_, ack) => {
            let level = if ack.level == Level::Durable { "durable" } else { "cached" };
            format!("ACK2: {} is stored, {level}", ack.path)
        }
        Frame::Goodbye => "GOODBYE".into(),
        Frame::Error(_, error) => format!("ERROR: {error}"),
        Frame::Want(..) => "WANT".into(),
        Frame::Done(..) => "DONE".into(),
        Frame::Entry(..) => "ENTRY".into(),
        Frame::Alive(..) => "ALIVE".into(),
    }
}

fn step_words(event: &Event) -> Option<String> {
    match event {
        Event::Verified(_) => Some("verified: every byte hashed, same BLAKE3".into()),
        Event::Landing(_, Step::Synced) => Some("synced: the content is on the disk".into()),
        Event::Landing(_, Step::Renamed) => Some("renamed: it has its final name".into()),
        Event::Landing(_, Step::DirSynced) => Some("folder synced: so is the name".into()),
        Event::Failed(_, error) => Some(format!("failed: {error}")),
        Event::Frame(..)
        | Event::Offered(..)
        | Event::Started(..)
        | Event::Same(_)
        | Event::Progress(..)
        | Event::Stored(..)
        | Event::Unknown(_)
        | Event::Listed(_)
        | Event::WantDone(..)
        | Event::Closed(_) => None,
    }
}

fn short(hash: &Hash) -> String {
    format!("{}...", &hash.to_hex()[..8])
}

/// Reads both files again, independently of everything that the session said, and compares.
fn verify(source: &Path, landed: &Path, screen: &Screen) -> Result<(), Stop> {
    let (sent, kept) = (hash_file(source)?, hash_file(landed)?);
    if sent != kept {
        let hint = "did the file change in the meantime? if not, this is a bug worth reporting";
        return Err(Stop::failed(format_args!("{} differs from {}", shown(landed), shown(source))).hint(hint));
    }
    screen.line("\nRead again from both places, the two files have the same BLAKE3 hash:");
    for path in [source, landed] {
        screen.line(&format!("  {}  {}", kept.to_hex(), shown(path)));
    }
    Ok(())
}

fn hash_file(path: &Path) -> Result<Hash, Stop> {
    let failed = |e: std::io::Error| Stop::failed(format_args!("cannot read {} again: {e}", shown(path)));
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; ft_core::limits::CHUNK];
    loop {
        match file.read(&mut chunk).map_err(failed)? {
            0 => return Ok(Hash(*hasher.finalize().as_bytes())),
            n => hasher.update(&chunk[..n]),
        };
    }
}

/// Where it is, how to check, and what to try next, in words that work as they stand.
fn after(sent: &Path, landed: &Path) -> String {
    let (sent, landed, ft_cli) = (shown(sent), shown(landed), program());
    format!(
        "\
It stays at {landed}
Check it yourself, if you have b3sum:  b3sum {landed}

Next, with two terminals:
  mkdir inbox && {ft_cli} serve inbox
  {ft_cli} put {sent} localhost
  {ft_cli} ls localhost"
    )
}

/// This program, as it was called: a copy that is not installed is named by its path.
fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if called.components().count() > 1 { shown(&called) } else { env!("CARGO_PKG_NAME").into() }
}

fn file_name(path: &Path) -> String {
    escape(path.file_name().unwrap_or_default().as_encoded_bytes())
}

fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}
