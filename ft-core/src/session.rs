//! The driver: the only awaits of ft/1. One machine, one stream, one storage; work in progress.

use crate::error::{FileError, SessionError};
use crate::event::{Event, Report};
use crate::frame::{Compare, Intent, Level, Overwrite, Want};
use crate::storage::{Source, Storage};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// Wishes and limits of one side.
#[derive(Clone, Debug)]
pub struct Options {
    /// Program and version, told to the peer; at most 64 bytes.
    pub agent: String,
    /// Sender: wish about existing files.
    pub overwrite: Overwrite,
    /// Sender: wish about comparing.
    pub compare: Compare,
    /// Sender: level asked for. Receiver: least level given.
    pub level: Level,
}

/// Time, as the caller has it: becomes ready again and again, whenever a side that is working should tell its peer so
/// (ALIVE). Ten seconds are usual; never ready is legal.
pub trait Pulse {
    /// Ready once for each period that has passed.
    fn poll_pulse(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A pulse that never comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPulse;

impl Pulse for NoPulse {
    fn poll_pulse(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// Client: sends what `source` offers.
pub async fn push<S, F, P>(stream: S, source: F, options: &Options, pulse: P, on: impl FnMut(&Event)) -> Report
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Source,
    P: Pulse,
{
    unimplemented!()
}

/// Client: asks for `wants` (at least one; `last` is set by this function) and lands what comes in `storage`.
pub async fn pull<S, D, P>(stream: S, wants: Vec<Want>, storage: D, options: &Options, pulse: P, on: impl FnMut(&Event)) -> Report
where
    S: AsyncRead + AsyncWrite + Unpin,
    D: Storage,
    P: Pulse,
{
    unimplemented!()
}

/// Client: asks what is there; entries come as [`Event::Listed`].
pub async fn list<S, P>(stream: S, wants: Vec<Want>, options: &Options, pulse: P, on: impl FnMut(&Event)) -> Report
where
    S: AsyncRead + AsyncWrite + Unpin,
    P: Pulse,
{
    unimplemented!()
}

/// A connection whose client has said what it wants.
pub struct Accepted<S> {
    stream: S,
    intent: Intent,
}

/// Server: reads the client's preamble and HELLO. Bytes that the caller has read already (to tell dialects apart) come
/// as `head`.
///
/// # Errors
/// The client spoke something else, no common version, or went away; it has been told as far as that was possible.
pub async fn accept<S>(stream: S, head: &[u8]) -> Result<Accepted<S>, SessionError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    unimplemented!()
}

impl<S: AsyncRead + AsyncWrite + Unpin> Accepted<S> {
    /// What the client came for.
    pub fn intent(&self) -> Intent {
        self.intent
    }

    /// Serves a push: lands what comes.
    pub async fn receive<D: Storage, P: Pulse>(self, storage: D, options: &Options, pulse: P, on: impl FnMut(&Event)) -> Report {
        unimplemented!()
    }

    /// Serves a pull or a listing.
    pub async fn send<F: Source, P: Pulse>(self, source: F, options: &Options, pulse: P, on: impl FnMut(&Event)) -> Report {
        unimplemented!()
    }

    /// Ends the session with an error (forbidden, busy, shutting down), so that the client is told.
    pub async fn refuse(self, error: FileError) {
        unimplemented!()
    }
}
