//! Our side of a session with a stranger, and how it puts what came of it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use ft_core::dialect::addfile::careful_server::Served;
use ft_core::dialect::addfile::{self, careful_client, careful_server};
use ft_core::dialect::event::{LabEvent, Observer};
use ft_core::dialect::{LabError, LabName, Outcome as Known, PeerClose, TextEnd, pipe};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::lab::Times;
use super::super::shared_files::SharedFiles;
use super::script::Asked;
use crate::ground::Time;

/// Largest size that our receiver of lab A accepts, bytes: more than the disk takes, so that each refuses for itself.
pub(super) const SIZE_MAX: u64 = 60;

/// What is ours, and so whom the stranger plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ours {
    /// Lab A's server: strangers send.
    PipeReceiver,
    /// The same: strangers whose metadata is as long as may be, or longer. It costs more than all others together.
    LongMetadata,
    /// Lab A's client, which sends `f`: strangers receive.
    PipeSender,
    /// The same, to strangers who go on and on.
    Flooded,
    /// Lab B's server: strangers ask, and most do not get far.
    Server,
    /// Lab B's server: strangers bring data, or fetch it.
    Store,
    /// Lab B's clients that send `f`, by `addfile` or UPLOAD.
    Upload,
    /// Lab B's client that fetches `f`.
    Download,
}

/// What our side said.
pub(super) struct Said {
    pub(super) words: String,
    /// What it reported on the way.
    pub(super) log: String,
    /// It says that a file is stored, or has arrived.
    pub(super) success: bool,
}

/// Our side's report, in one line: of the bytes moved, the last count before something else is said.
#[derive(Default)]
struct Log {
    lines: Vec<String>,
    counting: bool,
}

impl Observer for Log {
    fn event(&mut self, event: &LabEvent) {
        let counts = matches!(event, LabEvent::Progress(_));
        if counts {
            self.forget_count();
        }
        self.counting = counts;
        self.lines.push(event.to_string());
    }
}

impl Log {
    /// How far it had come by the last count: where it fails, that is for the network to say.
    fn forget_count(&mut self) {
        if std::mem::take(&mut self.counting) {
            self.lines.pop();
        }
    }
}

/// A file of ours that is read in pieces.
struct Source(VecDeque<&'static [u8]>);

impl AsyncRead for Source {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, free: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if let Some(piece) = self.0.pop_front() {
            let count = piece.len().min(free.remaining());
            free.put_slice(&piece[..count]);
            if count < piece.len() {
                self.0.push_front(&piece[count..]);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Ours {
    /// Our side of the session, and how it went.
    pub(super) async fn play<S, T>(self, stream: S, clock: T, mut files: SharedFiles, asked: Asked) -> Said
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: Time,
    {
        let (mut quiet, mut log) = (Times { clock, patient: false }, Log::default());
        let (quiet, notes, files) = (&mut quiet, &mut log, &mut files);
        let Asked { verb, end, data_end, source, size, name, .. } = asked;
        let name = LabName::new(name).expect("a name");
        let mut source = Source(source.into());
        let lab_a = pipe::Options { text_end: end, size_max: SIZE_MAX };
        let lab_b = addfile::Options { text_end: end, pause: end == TextEnd::Bare, data_end };
        let result = match self {
            Self::PipeReceiver | Self::LongMetadata => pipe::careful::receive(stream, files, quiet, notes, lab_a)
                .await
                .map(|got| (format!("stored {}, {} bytes", got.stored_as, got.metadata.size), true)),
            Self::PipeSender | Self::Flooded => {
                pipe::careful::send(stream, &name, size, &mut source, quiet, notes, lab_a)
                    .await
                    .map(|sent| words_of_sent(sent.outcome(), sent.body, sent.peer_close))
            }
            Self::Server | Self::Store => {
                careful_server::serve(stream, files, quiet, notes, lab_b).await.map(words_of_served)
            }
            Self::Upload if verb == addfile::Command::Upload => {
                careful_client::upload(stream, &name, &mut source, quiet, notes, lab_b)
                    .await
                    .map(|sent| words_of_sent(sent.outcome(), sent.body, sent.peer_close))
            }
            Self::Upload => careful_client::addfile(stream, &name, &mut source, quiet, notes, lab_b)
                .await
                .map(|sent| words_of_sent(sent.outcome(), sent.body, sent.peer_close)),
            Self::Download => careful_client::download(stream, &name, &name, files, quiet, notes, lab_b)
                .await
                .map(|got| (format!("stored {}, {} bytes", got.stored_as, got.len), true)),
        };
        let (words, success) = result.unwrap_or_else(|error| {
            log.forget_count();
            (words_of_error(&error), false)
        });
        Said { words, log: log.lines.join("; "), success }
    }

    /// Whether it receives data that nothing but an end of stream ends.
    pub(super) fn believes_an_end(self) -> bool {
        match self {
            Self::Server | Self::Store | Self::Download => true,
            Self::PipeReceiver | Self::LongMetadata | Self::PipeSender | Self::Flooded | Self::Upload => false,
        }
    }

    /// Whether the stranger is the client.
    pub(super) fn serves(self) -> bool {
        match self {
            Self::PipeReceiver | Self::LongMetadata | Self::Server | Self::Store => true,
            Self::PipeSender | Self::Flooded | Self::Upload | Self::Download => false,
        }
    }
}

fn words_of_sent(outcome: Known, sent: u64, close: PeerClose) -> (String, bool) {
    let known = match outcome {
        Known::Completed => "completed",
        Known::Unknown => "unknown",
        Known::Failed => "failed",
    };
    (format!("{known}: {sent} bytes sent, {close:?}"), outcome == Known::Completed)
}

fn words_of_served(served: Served) -> (String, bool) {
    match served {
        Served::Stored { command, stored_as, len, ended_by, confirmed } => {
            let confirmed = if confirmed { "confirmed" } else { "not confirmed" };
            (format!("{}: stored {stored_as}, {len} bytes by {ended_by:?}, {confirmed}", command.word()), true)
        }
        Served::Sent { name, len } => (format!("sent {name}, {len} bytes"), false),
        Served::NotFound { name } => (format!("has no {name}"), false),
    }
}

fn words_of_error(error: &LabError) -> String {
    let known = match error.outcome() {
        Known::Unknown => "unknown",
        Known::Completed | Known::Failed if pipe::careful::is_refusal(error) => "refused",
        Known::Completed | Known::Failed => "failed",
    };
    format!("{known}: {error}")
}
