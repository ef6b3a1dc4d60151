//! The clients of lab B as well as its wire allows: `addfile`, UPLOAD, DOWNLOAD.
//!
//! Stands: `split-ack`, `merged-acks` (confirmations are read by their words), `status-data-merge`, `short-send`,
//! `half-close-misuse` and `close-unread-rst` (half-close, read to EOF, close), `nagle-delayed-ack` (one write, or a pause that is
//! meant), `truncate-first`. It waits for each confirmation before the next stage.
//!
//! Cannot stand: `eof-is-success` (a DOWNLOAD that ends early in order looks whole), `no-final-ack` of UPLOAD, and
//! `delimiter-in-name` (refused before anything is sent).

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::error::{LabError, Outcome};
use super::super::event::{LabEvent, Observer};
use super::super::files::LabFiles;
use super::super::io::{Heard, Moment, PeerClose, Quiet, ReadBuffer, close_gently, drain, hear};
use super::super::name::LabName;
use super::reply::{ConfirmationDecoder, ConfirmationEvent, StatusDecoder, StatusEvent};
use super::{Command, Options, sendable};

/// A file of which every byte was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sent {
    /// Body bytes sent.
    pub body: u64,
    /// Whether ACK2 came; never for UPLOAD, which has none.
    pub confirmed: bool,
    /// How the server left.
    pub peer_close: PeerClose,
}

impl Sent {
    /// Completed when ACK2 came and the server left in order. A server that confirms and then resets has not read it all.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.peer_close {
            PeerClose::Fin | PeerClose::StillOpen if self.confirmed => Outcome::Completed,
            PeerClose::Fin | PeerClose::StillOpen | PeerClose::Reset | PeerClose::StillSending => Outcome::Unknown,
        }
    }
}

/// A file that was downloaded and is durable: all that came before the server ended its direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Downloaded {
    /// The final name in storage.
    pub stored_as: LabName,
    /// Its size, in bytes. Nothing on the wire says whether that is all of it (`eof-is-success`).
    pub len: u64,
}

/// Sends `source` by `addfile`: command, name, ACK1, data, half-close, ACK2.
///
/// # Errors
///
/// [`LabError::Unsendable`] before anything is sent; [`LabError::Peer`] and [`LabError::Stream`] before the data has been sent;
/// [`LabError::Unconfirmed`] after it.
///
/// # Cancel safety
///
/// Not resumable; dropping it inside the data lets the server see a shorter file (`eof-is-success`).
pub async fn addfile<S, R, Q, O>(
    mut stream: S,
    name: &LabName,
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
    request(&mut stream, Command::Addfile, name, quiet, options).await?;
    let mut decoder = ConfirmationDecoder::default();
    if let Err(error) = confirmation(&mut stream, &mut decoder, quiet).await {
        close_gently(&mut stream, quiet, &mut ReadBuffer::new()).await;
        return Err(error);
    }
    observer.event(&LabEvent::Confirmed("file recv"));
    let body = send_body(&mut stream, source, observer).await?;
    let unconfirmed = |cause| LabError::Unconfirmed { cause: Box::new(cause) };
    let shut = stream.shutdown().await.map_err(LabError::stream("ending the data"));
    shut.map_err(unconfirmed)?;
    confirmation(&mut stream, &mut decoder, quiet).await.map_err(unconfirmed)?;
    observer.event(&LabEvent::Confirmed("file data recv"));
    let peer_close = drain(&mut stream, quiet, &mut ReadBuffer::new()).await;
    Ok(Sent { body, confirmed: true, peer_close })
}

/// Sends `source` by UPLOAD: command, name, status, data, half-close.
///
/// # Errors
///
/// [`LabError::NotFound`] when the server refuses; [`LabError::Unsendable`], [`LabError::Peer`], [`LabError::Stream`].
///
/// # Cancel safety
///
/// Not resumable; dropping it inside the data lets the server see a shorter file (`eof-is-success`).
pub async fn upload<S, R, Q, O>(
    mut stream: S,
    name: &LabName,
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
    request(&mut stream, Command::Upload, name, quiet, options).await?;
    let mut reply = Reply::new(&mut stream, quiet, options);
    let status = reply.next().await;
    let refused = match status {
        Ok(StatusEvent::Ok) => None,
        Ok(StatusEvent::NotFound | StatusEvent::Data(_) | StatusEvent::End | StatusEvent::Failed(_)) => {
            Some(LabError::NotFound { name: name.clone() })
        }
        Err(error) => Some(error),
    };
    if let Some(error) = refused {
        close_gently(&mut stream, quiet, &mut ReadBuffer::new()).await;
        return Err(error);
    }
    observer.event(&LabEvent::Confirmed("OK"));
    let body = send_body(&mut stream, source, observer).await?;
    let peer_close = close_gently(&mut stream, quiet, &mut ReadBuffer::new()).await;
    Ok(Sent { body, confirmed: false, peer_close })
}

/// Fetches `name` by DOWNLOAD and stores it as `store_as`: command, name, status, data to EOF.
///
/// # Errors
///
/// [`LabError::NotFound`]; [`LabError::Unsendable`], [`LabError::Peer`], [`LabError::Stream`], [`LabError::Storage`]. In each case the old
/// file is still there.
///
/// # Cancel safety
///
/// Not resumable; dropping it discards what came and leaves the old file.
pub async fn download<S, F, Q, O>(
    mut stream: S,
    name: &LabName,
    store_as: &LabName,
    files: &mut F,
    quiet: &mut Q,
    observer: &mut O,
    options: Options,
) -> Result<Downloaded, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: LabFiles,
    Q: Quiet,
    O: Observer,
{
    request(&mut stream, Command::Download, name, quiet, options).await?;
    let mut reply = Reply::new(&mut stream, quiet, options);
    let mut upload = None;
    let result = receive_body(&mut reply, name, store_as, files, &mut upload, observer).await;
    if let Some(unfinished) = upload {
        files.abort(unfinished).await;
    }
    close_gently(&mut stream, quiet, &mut ReadBuffer::new()).await;
    result
}

async fn receive_body<S, F, Q, O>(
    reply: &mut Reply<'_, S, Q>,
    name: &LabName,
    store_as: &LabName,
    files: &mut F,
    upload: &mut Option<F::Upload>,
    observer: &mut O,
) -> Result<Downloaded, LabError>
where
    S: AsyncRead + Unpin,
    F: LabFiles,
    Q: Quiet,
    O: Observer,
{
    let mut len = 0;
    loop {
        match reply.next().await? {
            StatusEvent::Ok => {
                let begun = files.begin(store_as, None).await;
                *upload = Some(begun.map_err(LabError::storage("creating the file"))?);
                observer.event(&LabEvent::Confirmed("OK"));
            }
            StatusEvent::NotFound => return Err(LabError::NotFound { name: name.clone() }),
            StatusEvent::Data(bytes) => {
                if let Some(upload) = upload.as_mut() {
                    files.append(upload, &bytes).await.map_err(LabError::storage("writing the file"))?;
                }
                len += bytes.len() as u64;
                observer.event(&LabEvent::Progress(len));
            }
            StatusEvent::End => {
                let Some(finished) = upload.take() else { unreachable!("the decoder ends data only after a status") };
                let stored_as = files.commit(finished).await.map_err(LabError::storage("committing"))?;
                observer.event(&LabEvent::Stored { name: stored_as.clone(), len });
                return Ok(Downloaded { stored_as, len });
            }
            StatusEvent::Failed(fault) => return Err(fault.into()),
        }
    }
}

async fn request<S, Q>(
    stream: &mut S,
    command: Command,
    name: &LabName,
    quiet: &mut Q,
    options: Options,
) -> Result<(), LabError>
where
    S: AsyncWrite + Unpin,
    Q: Quiet,
{
    let end = options.text_end.bytes();
    let word = [command.word().as_bytes(), end].concat();
    let name = [sendable(name)?, end].concat();
    let doing = "sending the request";
    if options.pause {
        // A naive server must not find both texts in one read (`coalesced-messages`).
        stream.write_all(&word).await.map_err(LabError::stream(doing))?;
        stream.flush().await.map_err(LabError::stream(doing))?;
        quiet.quiet(Moment::Separate).await;
        stream.write_all(&name).await.map_err(LabError::stream(doing))?;
    } else {
        stream.write_all(&[word, name].concat()).await.map_err(LabError::stream(doing))?;
    }
    stream.flush().await.map_err(LabError::stream(doing))
}

async fn send_body<S, R, O>(stream: &mut S, source: &mut R, observer: &mut O) -> Result<u64, LabError>
where
    S: AsyncWrite + Unpin,
    R: AsyncRead + Unpin,
    O: Observer,
{
    let mut buffer = ReadBuffer::for_sending(None);
    let mut body = 0;
    loop {
        let read = source.read(buffer.room()).await;
        let count = read.map_err(LabError::storage("reading our own file"))?;
        if count == 0 {
            break;
        }
        stream.write_all(buffer.filled(count)).await.map_err(LabError::stream("sending the body"))?;
        body += count as u64;
        observer.event(&LabEvent::Progress(body));
    }
    stream.flush().await.map_err(LabError::stream("sending the body"))?;
    Ok(body)
}

/// Waits for the next confirmation. Which one that is, its decoder knows: it takes no other.
async fn confirmation<S, Q>(stream: &mut S, decoder: &mut ConfirmationDecoder, quiet: &mut Q) -> Result<(), LabError>
where
    S: AsyncRead + Unpin,
    Q: Quiet,
{
    let mut byte = [0];
    loop {
        // One byte a read: a confirmation is short, and what follows it stays for the next stage.
        let events = match hear(stream, &mut byte, quiet, decoder.listens_for()).await {
            Ok(Heard::Bytes(_)) => decoder.feed(&byte),
            Ok(Heard::Eof) => decoder.eof(),
            Ok(Heard::Quiet) => decoder.quiet(),
            Err(source) => {
                return Err(LabError::Stream { doing: "waiting for a confirmation", source });
            }
        };
        match events.into_iter().next() {
            Some(ConfirmationEvent::Failed(fault)) => return Err(fault.into()),
            Some(ConfirmationEvent::Ack1 | ConfirmationEvent::Ack2) => return Ok(()),
            None => {}
        }
    }
}

struct Reply<'a, S, Q> {
    stream: &'a mut S,
    quiet: &'a mut Q,
    decoder: StatusDecoder,
    pending: std::collections::VecDeque<StatusEvent>,
    buffer: ReadBuffer,
}

impl<'a, S: AsyncRead + Unpin, Q: Quiet> Reply<'a, S, Q> {
    fn new(stream: &'a mut S, quiet: &'a mut Q, options: Options) -> Self {
        Self {
            stream,
            quiet,
            decoder: StatusDecoder::new(options.text_end),
            pending: std::collections::VecDeque::new(),
            buffer: ReadBuffer::new(),
        }
    }

    async fn next(&mut self) -> Result<StatusEvent, LabError> {
        loop {
            match self.pending.pop_front() {
                Some(StatusEvent::Failed(fault)) => return Err(fault.into()),
                Some(event) => return Ok(event),
                None => {}
            }
            let heard = hear(self.stream, self.buffer.room(), self.quiet, self.decoder.listens_for()).await;
            self.pending.extend(match heard.map_err(LabError::stream("receiving"))? {
                Heard::Bytes(count) => self.decoder.feed(self.buffer.filled(count)),
                Heard::Eof => self.decoder.eof(),
                Heard::Quiet => self.decoder.quiet(),
            });
        }
    }
}
