//! Lab A as well as its wire allows.
//!
//! Stands: `split-header`, `utf8-split`, `delimiter-in-name` (the last `|` counts), `path-traversal`, `size-overflow`,
//! `empty-connection`, `eof-is-success`, `split-ack`, `short-send`, `truncate-first`, `close-unread-rst`, and `header-body-merge`
//! as an error instead of damage. `no-timeout` is the caller's deadline.
//!
//! Cannot stand: `split-digits` (a pause inside the digits that is longer than the quiet moment; the late digits then make the
//! body longer than the size, so that it is refused unless the stream is cut as well) and `no-final-ack` ([`Sent`] is never
//! more than [`Outcome::Unknown`]).

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::error::{Fault, LabError, Outcome, Stage};
use super::super::event::{LabEvent, Observer};
use super::super::files::LabFiles;
use super::super::io::{Heard, PeerClose, Quiet, ReadBuffer, close_gently, hear};
use super::super::name::LabName;
use super::decoder::{AckDecoder, AckEvent, PipeDecoder, PipeEvent};
use super::{ACK, Metadata, Options, metadata};

/// A file that was received, verified against its stated size, and is durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Received {
    /// What the sender announced.
    pub metadata: Metadata,
    /// The final name in storage.
    pub stored_as: LabName,
}

/// A file of which every byte was sent after the ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sent {
    /// Body bytes sent.
    pub body: u64,
    /// How the receiver left: a hint, not a confirmation.
    pub peer_close: PeerClose,
}

impl Sent {
    /// Always unknown: the dialect has no final ACK (`no-final-ack`).
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::Unknown
    }
}

/// Receives one file: reads metadata, ACKs it, reads the body, makes it durable once nothing more follows.
///
/// # Errors
///
/// [`LabError::Peer`], [`LabError::Stream`] or [`LabError::Storage`]; in each case the old file is still there.
///
/// # Cancel safety
///
/// Not resumable; dropping it discards the upload and leaves the old file.
pub async fn receive<S, F, Q, O>(
    mut stream: S,
    files: &mut F,
    quiet: &mut Q,
    observer: &mut O,
    options: Options,
) -> Result<Received, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: LabFiles,
    Q: Quiet,
    O: Observer,
{
    let mut upload = None;
    let mut buffer = ReadBuffer::new();
    let result = receive_into(&mut stream, &mut buffer, files, &mut upload, quiet, observer, options).await;
    if let Some(unfinished) = upload {
        files.abort(unfinished).await;
    }
    // Whatever came of it, the peer must be able to read what it was sent (`close-unread-rst`).
    close_gently(&mut stream, quiet, &mut buffer).await;
    result
}

async fn receive_into<S, F, Q, O>(
    stream: &mut S,
    buffer: &mut ReadBuffer,
    files: &mut F,
    upload: &mut Option<F::Upload>,
    quiet: &mut Q,
    observer: &mut O,
    options: Options,
) -> Result<Received, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: LabFiles,
    Q: Quiet,
    O: Observer,
{
    let mut decoder = PipeDecoder::new(options.size_max);
    let mut announced = None;
    let mut whole = false;
    let mut received = 0;
    let mut events = Vec::new();
    loop {
        match hear(stream, buffer.room(), quiet, decoder.listens_for()).await {
            Ok(Heard::Bytes(count)) => decoder.feed(buffer.filled(count), &mut events),
            Ok(Heard::Eof) => events.extend(decoder.eof()),
            Ok(Heard::Quiet) => decoder.quiet(&mut events),
            // A reset after the last stated byte took nothing from us.
            Err(_) if whole => events.extend(decoder.eof()),
            Err(source) => {
                return Err(LabError::Stream { doing: "receiving", source });
            }
        }
        for event in events.drain(..) {
            match event {
                PipeEvent::Metadata(metadata) => {
                    let begun = files.begin(&metadata.name, Some(metadata.size)).await;
                    *upload = Some(begun.map_err(LabError::storage("creating the file"))?);
                    observer.event(&LabEvent::Metadata { name: metadata.name.clone(), size: metadata.size });
                    announced = Some(metadata);
                    stream.write_all(ACK).await.map_err(LabError::stream("sending the ACK"))?;
                    stream.flush().await.map_err(LabError::stream("sending the ACK"))?;
                    observer.event(&LabEvent::Sent("ACK"));
                }
                PipeEvent::Body(bytes) => {
                    if let Some(upload) = upload.as_mut() {
                        files.append(upload, &bytes).await.map_err(LabError::storage("writing the file"))?;
                    }
                    received += bytes.len() as u64;
                    observer.event(&LabEvent::Progress(received));
                }
                PipeEvent::Whole => whole = true,
                PipeEvent::Done => {
                    let (Some(finished), Some(metadata)) = (upload.take(), announced.take()) else {
                        unreachable!("the decoder is done only after its metadata")
                    };
                    let stored_as = files.commit(finished).await.map_err(LabError::storage("committing"))?;
                    observer.event(&LabEvent::Stored { name: stored_as.clone(), len: metadata.size });
                    return Ok(Received { metadata, stored_as });
                }
                PipeEvent::Failed(fault) => return Err(fault.into()),
            }
        }
    }
}

/// Sends `size` bytes of `source` as `name`: metadata, ACK, body, half-close, then waits for the receiver to leave.
///
/// # Errors
///
/// [`LabError::Unsendable`] before anything is sent; [`LabError::Peer`] when the ACK does not come; [`LabError::Stream`] and
/// [`LabError::SourceShort`] inside the body, which a careful receiver then discards.
///
/// # Cancel safety
///
/// Not resumable; dropping it inside the body lets the receiver see a short file.
pub async fn send<S, R, Q, O>(
    mut stream: S,
    name: &LabName,
    size: u64,
    source: &mut R,
    quiet: &mut Q,
    observer: &mut O,
    options: Options,
) -> Result<Sent, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: AsyncRead + Unpin,
    Q: Quiet,
    O: Observer,
{
    let text = metadata(name, size, options.text_end)?;
    let mut buffer = ReadBuffer::for_sending(Some(size));
    let sending = "sending the metadata";
    stream.write_all(&text).await.map_err(LabError::stream(sending))?;
    stream.flush().await.map_err(LabError::stream(sending))?;
    let acked = await_ack(&mut stream, quiet).await;
    if let Err(error) = acked {
        close_gently(&mut stream, quiet, &mut buffer).await;
        return Err(error);
    }
    observer.event(&LabEvent::Confirmed("ACK"));
    let mut body = 0;
    while body < size {
        let room = buffer.room();
        let want = usize::try_from(size - body).unwrap_or(usize::MAX).min(room.len());
        let read = source.read(&mut room[..want]).await;
        let count = read.map_err(LabError::storage("reading our own file"))?;
        if count == 0 {
            // Ending early is the only way to say it: a receiver that counts discards what it has.
            close_gently(&mut stream, quiet, &mut buffer).await;
            return Err(LabError::SourceShort { stated: size, had: body });
        }
        // `write_all` goes on after a short write (`short-send`).
        stream.write_all(buffer.filled(count)).await.map_err(LabError::stream("sending the body"))?;
        body += count as u64;
        observer.event(&LabEvent::Progress(body));
    }
    stream.flush().await.map_err(LabError::stream("sending the body"))?;
    let peer_close = close_gently(&mut stream, quiet, &mut buffer).await;
    Ok(Sent { body, peer_close })
}

async fn await_ack<S, Q>(stream: &mut S, quiet: &mut Q) -> Result<(), LabError>
where
    S: AsyncRead + Unpin,
    Q: Quiet,
{
    let mut decoder = AckDecoder::default();
    let mut buffer = [0; 256];
    loop {
        let event = match hear(stream, &mut buffer, quiet, decoder.listens_for()).await {
            Ok(Heard::Bytes(count)) => decoder.feed(&buffer[..count]),
            Ok(Heard::Eof) => decoder.eof(),
            Ok(Heard::Quiet) => decoder.quiet(),
            Err(source) => {
                return Err(LabError::Stream { doing: "waiting for the ACK", source });
            }
        };
        match event {
            Some(AckEvent::Acked) => return Ok(()),
            Some(AckEvent::Failed(fault)) => return Err(fault.into()),
            None => {}
        }
    }
}

/// The fault of a receiver that leaves without an ACK: what a refusal looks like in this dialect.
#[must_use]
pub fn is_refusal(error: &LabError) -> bool {
    matches!(error, LabError::Peer(Fault::Truncated { stage: Stage::Ack, offset: 0, .. }))
}
