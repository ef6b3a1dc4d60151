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

use crate::carry::{Bulk, Transport};
use crate::codec::Decoder;
use crate::compress::Compress;
use crate::driver::{Driver, Files};
use crate::error::{Code, FileError, Retry, SessionError};
use crate::event::{Event, Report};
use crate::frame::{Compare, Frame, Hello, Intent, Level, Overwrite, Want};
use crate::join::{self, Join, Lane, first_frame};
use crate::limits::MAX_AGENT;
use crate::machine::Machine;
use crate::outgoing::Linger;
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
    /// Whether other connections may join (PROTOCOL §7.8), if the transport and the peer know how.
    pub joins: bool,
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
            joins: false,
        }
    }
}

impl Options {
    fn wishes(&self) -> Wishes {
        Wishes { overwrite: self.overwrite, compare: self.compare, level: self.level }
    }

    /// What HELLO announces.
    fn features(&self) -> u64 {
        self.compress.features() | if self.joins { join::FEATURE } else { 0 }
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
    let machine = Sender::client(options.wishes(), options.agent()).with_features(options.features());
    run(transport, Decoder::new(), &[], machine, FromSource(source), pulse, options, on).await
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
    let machine = Receiver::client(Intent::Pull, wants, options.agent()).with_features(options.features(), 0);
    run(transport, Decoder::new(), &[], machine, ToStorage(storage), pulse, options, on).await
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
    let options = Options { compress: Compress::Off, joins: false, ..options.clone() };
    run(transport, Decoder::new(), &[], machine, ToStorage(NoStorage), pulse, &options, on).await
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

/// A connection that belongs to a session which is under way, as it says.
#[derive(Debug)]
pub struct Joining<T> {
    transport: T,
    rest: Vec<u8>,
    join: Join,
}

/// What a connection came for.
#[derive(Debug)]
pub enum Call<T> {
    /// A session.
    Session(Accepted<T>),
    /// To join one.
    Join(Joining<T>),
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
pub async fn accept<T: Transport>(transport: T, head: &[u8]) -> Result<Accepted<T>, SessionError> {
    match answer(transport, head).await? {
        Call::Session(accepted) => Ok(accepted),
        Call::Join(joining) => {
            let refusal = FileError::new(Code::Forbidden, Retry::Never, "no session here can be joined");
            joining.refuse(refusal.clone()).await;
            Err(SessionError::Local(refusal))
        }
    }
}

/// Server: the same for a client that may also want to join a session.
///
/// # Errors
/// As [`accept`].
///
/// # Cancel safety
/// As [`accept`].
pub async fn answer<T: Transport>(mut transport: T, head: &[u8]) -> Result<Call<T>, SessionError> {
    let mut decoder = Decoder::new();
    let mut rest = head.to_vec();
    let first = match first_frame(transport.stream(), &mut decoder, &mut rest).await {
        Ok(Frame::Error(0, error)) => Err(SessionError::PeerEnded(error)),
        Ok(frame @ (Frame::Hello(_) | Frame::Join(_))) => Ok(frame),
        Ok(_) => {
            let text = "a frame before HELLO".into();
            Err(SessionError::PeerViolation { offset: decoder.offset(), rule: "FT-10", text })
        }
        Err(error) => Err(error),
    };
    let error = match first {
        Ok(Frame::Join(join)) => return Ok(Call::Join(Joining { transport, rest, join })),
        Ok(Frame::Hello(hello)) => match hello.intent {
            Some(intent) => return Ok(Call::Session(Accepted { transport, decoder, rest, hello, intent })),
            None => {
                let text = "a client's HELLO without an intent".into();
                SessionError::PeerViolation { offset: decoder.offset(), rule: "FT-11", text }
            }
        },
        Ok(_) => unreachable!("nothing else was let through"),
        Err(error) => error,
    };
    if let Some(code) = error.code() {
        let text = FileError::new(code, error.retry(), error.to_string());
        Linger::new(&mut transport, Some(text)).run().await;
    }
    Err(error)
}

impl<T: Transport> Joining<T> {
    /// What it says.
    pub fn join(&self) -> Join {
        self.join
    }

    /// Lets it in. The caller brings it to its session.
    ///
    /// # Errors
    /// The client went away.
    ///
    /// # Cancel safety
    /// Not to be resumed.
    pub async fn welcome(mut self) -> Result<Lane<T>, SessionError> {
        join::say(self.transport.stream(), self.join).await?;
        Ok(Lane { stream: self.transport, ahead: self.rest, of: self.join.of })
    }

    /// Tells the client why not.
    pub async fn refuse(mut self, error: FileError) {
        Linger::new(&mut self.transport, Some(error)).run().await;
    }
}

impl<T: Transport> Accepted<T> {
    /// What the client came for.
    pub fn intent(&self) -> Intent {
        self.intent
    }

    /// What the session will run over.
    pub fn transport(&mut self) -> &mut T {
        &mut self.transport
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
        let machine = Receiver::server(options.agent()).with_features(options.features(), self.hello.features);
        run(self.transport, self.decoder, &self.rest, machine, ToStorage(storage), pulse, options, on).await
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
            .with_features(options.features());
        run(self.transport, self.decoder, &self.rest, machine, FromSource(source), pulse, options, on).await
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
    options: &Options,
    on: impl FnMut(&Event),
) -> Report
where
    T: Transport,
    M: Machine,
    F: Files<Op = M::Op, Done = M::Done>,
    P: Pulse,
{
    let (compress, joins) = (options.compress.clone(), options.joins);
    Driver::new(transport, decoder, head, machine, files, pulse, compress, joins, on).run().await
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
