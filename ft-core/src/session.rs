//! Sessions: the only awaits of ft/1 (PROTOCOL §7).
//!
//! [`push`], [`pull`] and [`list`] are the client's, [`accept`] the server's. Each runs one machine over one stream and
//! one storage until both sides have said goodbye or the session broke, and tells an observer every fact on the way.
//! There is no clock here: wrap the stream to give its reads and writes deadlines, and pass a [`Pulse`] to let a working
//! side say that it is alive.
//!
//! Cancel safety: dropping a session future abandons the session as a crash would: no final name is ever torn, what was
//! acknowledged stays, partials stay for a resume.

use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::carry::{Bulk, Transport};
use crate::codec::{Decoder, Item};
use crate::compress::Compress;
use crate::driver::{Driver, Files};
use crate::error::{FileError, SessionError};
use crate::event::{Event, Report};
use crate::frame::{Compare, Frame, Hello, Intent, Level, Overwrite, Want};
use crate::limits::MAX_AGENT;
use crate::machine::Machine;
use crate::outgoing::Linger;
use crate::preamble::Versions;
use crate::receiver::Receiver;
use crate::sender::{Sender, Wishes};
use crate::storage::{LandDone, LandOp, Source, SourceDone, SourceOp, Storage};

/// Wishes and limits of one side.
#[derive(Clone, Debug)]
pub struct Options {
    /// Program and version, told to the peer; what exceeds 64 bytes is cut.
    pub agent: String,
    /// Sender: wish about existing files.
    pub overwrite: Overwrite,
    /// Sender: wish about comparing.
    pub compare: Compare,
    /// Sender: least level asked for.
    pub level: Level,
    /// When content goes compressed; a receiver that says `Off` does not take it so.
    pub compress: Compress,
}

impl Default for Options {
    fn default() -> Self {
        let agent = concat!("ft-core ", env!("CARGO_PKG_VERSION")).to_owned();
        Self {
            agent,
            overwrite: Overwrite::Default,
            compare: Compare::Quick,
            level: Level::Durable,
            compress: Compress::Off,
        }
    }
}

impl Options {
    fn wishes(&self) -> Wishes {
        Wishes { overwrite: self.overwrite, compare: self.compare, level: self.level }
    }

    fn agent(&self) -> &str {
        &self.agent[..self.agent.floor_char_boundary(MAX_AGENT)]
    }
}

/// What the caller wants of a session from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// Tell the peer that work goes on, if it does (ALIVE, PROTOCOL §5.8).
    Alive,
    /// Give up: ERROR(session, `cancelled`), and a good end (PROTOCOL §7.6).
    Stop,
}

/// Time and patience, as the caller has them. A tick every ten seconds is usual; never ready is legal.
pub trait Pulse {
    /// Ready with [`Tick::Alive`] once for each period that has passed, with [`Tick::Stop`] when the session is to end.
    fn poll_pulse(&mut self, cx: &mut Context<'_>) -> Poll<Tick>;
}

/// A pulse that never comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPulse;

impl Pulse for NoPulse {
    fn poll_pulse(&mut self, _cx: &mut Context<'_>) -> Poll<Tick> {
        Poll::Pending
    }
}

/// Client: sends what `source` holds as want 0.
///
/// # Cancel safety
/// See the module.
pub async fn push<T, F, P>(transport: T, source: F, options: &Options, pulse: P, on: impl FnMut(&Event)) -> Report
where
    T: Transport,
    F: Source,
    P: Pulse,
{
    let machine = Sender::client(options.wishes(), options.agent()).with_features(options.compress.features());
    run(transport, Decoder::new(), &[], machine, FromSource(source), pulse, &options.compress, on).await
}

/// Client: asks for `wants` and lands what comes in `storage`. Their `last` flags are set here.
///
/// # Panics
/// If `wants` is empty or longer than [`crate::limits::MAX_WANTS`].
///
/// # Cancel safety
/// See the module.
pub async fn pull<T, D, P>(
    transport: T,
    wants: Vec<Want>,
    storage: D,
    options: &Options,
    pulse: P,
    on: impl FnMut(&Event),
) -> Report
where
    T: Transport,
    D: Storage,
    P: Pulse,
{
    let machine = Receiver::client(Intent::Pull, wants, options.agent()).with_features(options.compress.features(), 0);
    run(transport, Decoder::new(), &[], machine, ToStorage(storage), pulse, &options.compress, on).await
}

/// Client: asks what is there; entries come as [`Event::Listed`].
///
/// # Panics
/// As [`pull`].
///
/// # Cancel safety
/// Nothing is changed anywhere.
pub async fn list<T, P>(transport: T, wants: Vec<Want>, options: &Options, pulse: P, on: impl FnMut(&Event)) -> Report
where
    T: Transport,
    P: Pulse,
{
    let machine = Receiver::client(Intent::List, wants, options.agent());
    run(transport, Decoder::new(), &[], machine, ToStorage(NoStorage), pulse, &Compress::Off, on).await
}

/// A connection whose client has said what it wants.
#[derive(Debug)]
pub struct Accepted<T> {
    transport: T,
    decoder: Decoder,
    /// Bytes that came with the HELLO.
    rest: Vec<u8>,
    hello: Hello,
    intent: Intent,
}

/// Server: reads the client's preamble and HELLO. Bytes that the caller has read already (to tell dialects apart) come
/// as `head`. The client's silence is bounded by the caller's deadline alone.
///
/// # Errors
/// The client spoke something else, has no version in common, broke a rule or went away. It has been told, as far as
/// that was possible.
///
/// # Cancel safety
/// Not to be resumed: what was read is lost.
pub async fn accept<T: Transport>(mut transport: T, head: &[u8]) -> Result<Accepted<T>, SessionError> {
    let mut decoder = Decoder::new();
    let mut bytes = head.to_vec();
    let result = read_hello(transport.stream(), &mut decoder, &mut bytes).await;
    match result {
        Ok((hello, intent)) => Ok(Accepted { transport, decoder, rest: bytes, hello, intent }),
        Err(error) => {
            if let Some(code) = error.code() {
                let text = FileError::new(code, error.retry(), error.to_string());
                Linger::new(&mut transport, Some(text)).run().await;
            }
            Err(error)
        }
    }
}

/// Leaves in `bytes` what came behind the HELLO.
async fn read_hello<S: AsyncRead + Unpin>(
    stream: &mut S,
    decoder: &mut Decoder,
    bytes: &mut Vec<u8>,
) -> Result<(Hello, Intent), SessionError> {
    let mut chunk = [0; 4096];
    loop {
        let mut input = &bytes[..];
        while let Some(item) = decoder.next(&mut input)? {
            match item {
                Item::Preamble(theirs) => {
                    Versions::OURS.choose(theirs).ok_or(SessionError::Version { min: theirs.min, max: theirs.max })?;
                }
                Item::Frame(Frame::Hello(hello)) => {
                    let Some(intent) = hello.intent else {
                        let text = "a client's HELLO without an intent".into();
                        return Err(SessionError::PeerViolation { offset: decoder.offset(), rule: "FT-11", text });
                    };
                    *bytes = input.to_vec();
                    return Ok((hello, intent));
                }
                Item::Frame(Frame::Error(0, error)) => return Err(SessionError::PeerEnded(error)),
                Item::Frame(_) | Item::BadOffer(..) | Item::Content(_) | Item::Zdata(..) => {
                    let text = "a frame before HELLO".into();
                    return Err(SessionError::PeerViolation { offset: decoder.offset(), rule: "FT-10", text });
                }
            }
        }
        let offset = decoder.offset();
        let n = stream.read(&mut chunk).await.map_err(|e| SessionError::Io {
            kind: e.kind(),
            text: e.to_string(),
            offset,
        })?;
        if n == 0 {
            return Err(SessionError::Truncated { offset });
        }
        *bytes = chunk[..n].to_vec();
    }
}

impl<T: Transport> Accepted<T> {
    /// What the client came for.
    pub fn intent(&self) -> Intent {
        self.intent
    }

    /// The client's program and version, as it says; escape before showing.
    pub fn agent(&self) -> &str {
        &self.hello.agent
    }

    /// Serves a push: lands what comes.
    ///
    /// # Panics
    /// If the intent is another.
    ///
    /// # Cancel safety
    /// See the module.
    pub async fn receive<D: Storage, P: Pulse>(
        self,
        storage: D,
        options: &Options,
        pulse: P,
        on: impl FnMut(&Event),
    ) -> Report {
        assert_eq!(self.intent, Intent::Push, "only a push is received");
        let features = options.compress.features();
        let machine = Receiver::server(options.agent()).with_features(features, self.hello.features);
        run(self.transport, self.decoder, &self.rest, machine, ToStorage(storage), pulse, &options.compress, on).await
    }

    /// Serves a pull or a listing.
    ///
    /// # Panics
    /// If the intent is a push.
    ///
    /// # Cancel safety
    /// See the module.
    pub async fn send<F: Source, P: Pulse>(
        self,
        source: F,
        options: &Options,
        pulse: P,
        on: impl FnMut(&Event),
    ) -> Report {
        assert_ne!(self.intent, Intent::Push, "a push is received, not sent");
        let machine = Sender::server(&self.hello, self.intent, options.wishes(), options.agent())
            .with_features(options.compress.features());
        run(self.transport, self.decoder, &self.rest, machine, FromSource(source), pulse, &options.compress, on).await
    }

    /// Ends the session with an error (forbidden, busy, shutting down), so that the client is told.
    pub async fn refuse(mut self, error: FileError) {
        Linger::new(&mut self.transport, Some(error)).run().await;
    }
}

#[allow(clippy::too_many_arguments, reason = "each is one thing that a session consists of")]
async fn run<T, M, F, P>(
    transport: T,
    decoder: Decoder,
    head: &[u8],
    machine: M,
    files: F,
    pulse: P,
    compress: &Compress,
    on: impl FnMut(&Event),
) -> Report
where
    T: Transport,
    M: Machine,
    F: Files<Op = M::Op, Done = M::Done>,
    P: Pulse,
{
    Driver::new(transport, decoder, head, machine, files, pulse, compress.clone(), on).run().await
}

/// Sender's files, as the driver wants them.
struct FromSource<F>(F);

impl<F: Source> Files for FromSource<F> {
    type Op = SourceOp;
    type Done = SourceDone;

    fn submit(&mut self, op: SourceOp, spare: Option<Bulk>) {
        self.0.submit(op, spare.and_then(Bulk::into_bytes));
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(SourceDone, Option<Bulk>)> {
        self.0.poll_done(cx)
    }

    fn content_of(done: &SourceDone) -> Option<(u64, u64)> {
        match done {
            SourceDone::Content { item, offset, len, .. } if *len > 0 => Some((*item, *offset)),
            SourceDone::Content { .. }
            | SourceDone::Entries { .. }
            | SourceDone::Checked(..)
            | SourceDone::Hashed(..)
            | SourceDone::Hole { .. }
            | SourceDone::Failed(..) => None,
        }
    }

    fn closes(op: &SourceOp) -> Option<u64> {
        match op {
            SourceOp::Close(item) => Some(*item),
            SourceOp::Open { .. }
            | SourceOp::Next { .. }
            | SourceOp::Check { .. }
            | SourceOp::Hash(_)
            | SourceOp::Read { .. } => None,
        }
    }

    fn wants_buffer(op: &SourceOp) -> Option<usize> {
        match op {
            SourceOp::Read { max, .. } => Some(*max),
            SourceOp::Open { .. }
            | SourceOp::Next { .. }
            | SourceOp::Check { .. }
            | SourceOp::Hash(_)
            | SourceOp::Close(_) => None,
        }
    }
}

/// Receiver's files, as the driver wants them.
struct ToStorage<D>(D);

impl<D: Storage> Files for ToStorage<D> {
    type Op = LandOp;
    type Done = LandDone;

    fn submit(&mut self, op: LandOp, content: Option<Bulk>) {
        self.0.submit(op, content);
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(LandDone, Option<Bulk>)> {
        self.0.poll_done(cx)
    }

    fn content_of(_: &LandDone) -> Option<(u64, u64)> {
        None
    }

    fn closes(_: &LandOp) -> Option<u64> {
        None
    }

    fn wants_buffer(_: &LandOp) -> Option<usize> {
        None
    }
}

/// A listing lands nothing, and its machine submits nothing.
struct NoStorage;

impl Storage for NoStorage {
    fn submit(&mut self, op: LandOp, _: Option<Bulk>) {
        debug_assert!(false, "a listing submitted {op:?}");
    }

    fn poll_done(&mut self, _: &mut Context<'_>) -> Poll<(LandDone, Option<Bulk>)> {
        Poll::Pending
    }
}
