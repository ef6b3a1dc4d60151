//! The server of lab B as well as its wire allows.
//!
//! Stands: `coalesced-messages` and `header-body-merge` in the line feed reading, `split-header`, `utf8-split`, `path-traversal`,
//! `empty-connection`, `truncate-first`, `ack-before-durable`, `short-send`, `close-unread-rst`. `no-timeout` is the caller's.
//!
//! Cannot stand: a bare name and data in one read (`coalesced-messages`, `header-body-merge`); data without a length
//! (`recv-is-not-message`: a quiet moment is a guess, which late data repairs; `eof-is-success`: a FIN is the only end there is,
//! though an RST is none; `zero-byte-payload`: without a FIN an empty file is never told from a slow one, so it is waited for);
//! a line feed in a name (`delimiter-in-name`).

use std::collections::VecDeque;
use std::io::ErrorKind;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::error::{Fault, LabError};
use super::super::event::{LabEvent, Observer};
use super::super::files::LabFiles;
use super::super::io::{Heard, Moment, Quiet, ReadBuffer, close_gently, hear};
use super::super::limits::WRONG_GUESSES_MAX;
use super::super::name::LabName;
use super::decoder::{RequestDecoder, RequestEvent};
use super::{ACK1, ACK2, Command, DataEnd, NOT_FOUND, OK, Options};

/// What a server did for one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Served {
    /// It received a file, which is durable.
    Stored {
        /// `addfile` or UPLOAD.
        command: Command,
        /// The final name in storage.
        stored_as: LabName,
        /// Its size, in bytes.
        len: u64,
        /// What was taken for the end of the data.
        ended_by: EndedBy,
        /// Whether ACK2 could be sent; never for UPLOAD, which has none.
        confirmed: bool,
    },
    /// It sent a whole file.
    Sent {
        /// What was asked for.
        name: LabName,
        /// Bytes sent.
        len: u64,
    },
    /// It answered `NOT FOUND` to DOWNLOAD.
    NotFound {
        /// What was asked for.
        name: LabName,
    },
}

/// What ended data that has no length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndedBy {
    /// The client ended its direction.
    Eof,
    /// Silence: a guess.
    Quiet,
    /// Silence first, then more data, then an end: the guess was wrong and has been repaired.
    LateData,
}

/// Serves one client: one request, then an orderly close.
///
/// # Errors
///
/// [`LabError::Peer`], [`LabError::Stream`] or [`LabError::Storage`]; in each case the old file is still there, or, where data came late,
/// what had been taken for the whole. A refused UPLOAD or DOWNLOAD was answered `NOT FOUND`; `addfile` has no answer for it, its
/// client sees an EOF.
///
/// # Cancel safety
///
/// Not resumable; dropping it discards the upload and leaves the old file.
pub async fn serve<S, F, Q, O>(
    stream: S,
    files: &mut F,
    quiet: &mut Q,
    observer: &mut O,
    options: Options,
) -> Result<Served, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: LabFiles,
    Q: Quiet,
    O: Observer,
{
    let mut session = Session {
        stream,
        files,
        quiet,
        observer,
        options,
        decoder: RequestDecoder::default(),
        pending: VecDeque::new(),
        buffer: ReadBuffer::new(),
    };
    let result = session.serve().await;
    close_gently(&mut session.stream, session.quiet, &mut session.buffer).await;
    result
}

struct Session<'a, S, F, Q, O> {
    stream: S,
    files: &'a mut F,
    quiet: &'a mut Q,
    observer: &'a mut O,
    options: Options,
    decoder: RequestDecoder,
    pending: VecDeque<RequestEvent>,
    buffer: ReadBuffer,
}

impl<S, F, Q, O> Session<'_, S, F, Q, O>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: LabFiles,
    Q: Quiet,
    O: Observer,
{
    async fn serve(&mut self) -> Result<Served, LabError> {
        let mut command = None;
        let (command, name) = loop {
            match self.next(None).await {
                Ok(Some(RequestEvent::Command(word))) => {
                    self.observer.event(&LabEvent::Command(word.word().into()));
                    command = Some(word);
                }
                Ok(Some(RequestEvent::Name(name))) => match command {
                    Some(command) => break (command, name),
                    None => unreachable!("the decoder says the command before the name"),
                },
                Ok(Some(RequestEvent::Data(_) | RequestEvent::End | RequestEvent::Failed(_)) | None) => {
                    unreachable!("the name comes before data, failures are errors, and no silence was asked for")
                }
                Err(error) => {
                    let refusable = matches!(command, Some(Command::Upload | Command::Download));
                    if refusable && matches!(error, LabError::Peer(Fault::Name { .. })) {
                        self.status(NOT_FOUND).await?;
                    }
                    return Err(error);
                }
            }
        };
        match command {
            Command::Addfile => self.receive_addfile(name).await,
            Command::Upload => self.receive_upload(name).await,
            Command::Download => self.send_download(name).await,
        }
    }

    async fn receive_addfile(&mut self, name: LabName) -> Result<Served, LabError> {
        let stored_name =
            name.stored_by_addfile().map_err(|reason| Fault::Name { name: name.as_bytes().to_vec(), reason })?;
        self.observer.event(&LabEvent::Creating(name.as_bytes().to_vec()));
        let upload = self.files.begin(&stored_name, None).await.map_err(LabError::storage("creating the file"))?;
        let unheard = match self.say(ACK1, "sending ACK1").await {
            Ok(()) => {
                self.observer.event(&LabEvent::Sent(ACK1.trim_ascii_end()));
                None
            }
            // Who has been told of a reset reads an end of stream behind it that the client never said.
            Err(error) if is_reset(&error) => {
                self.files.abort(upload).await;
                return Err(error);
            }
            // The listing's client never reads, and may be gone with all its data in order: reading on will tell.
            Err(error) => Some(error),
        };
        self.observer.event(&LabEvent::Receiving(name.as_bytes().to_vec()));
        let received = self.receive_data(upload, 0, self.options.data_end).await?;
        let (upload, mut len, mut ended_by) = received;
        if let Some(error) = unheard
            && len == 0
        {
            self.files.abort(upload).await;
            return Err(error);
        }
        let mut stored_as = self.files.commit(upload).await.map_err(LabError::storage("committing"))?;
        self.observer.event(&LabEvent::Stored { name: stored_as.clone(), len });
        // A client that has left cannot take the file back: it ended its data in order before.
        let confirmed = self.say(ACK2, "sending ACK2").await.is_ok();
        if confirmed {
            self.observer.event(&LabEvent::Sent(ACK2.trim_ascii_end()));
        }
        let (mut last_end, mut wrong_guesses) = (ended_by, 0);
        while last_end == EndedBy::Quiet
            && let Ok(Some(RequestEvent::Data(late))) = self.next(Some(Moment::Close)).await
        {
            wrong_guesses += 1;
            // Each costs a copy of the whole file.
            let end = if wrong_guesses < WRONG_GUESSES_MAX { DataEnd::EofOrQuiet } else { DataEnd::EofOnly };
            (stored_as, len, last_end) = self.append_late(stored_as, len, late, end).await?;
            ended_by = EndedBy::LateData;
        }
        Ok(Served::Stored { command: Command::Addfile, stored_as, len, ended_by, confirmed })
    }

    /// The guess was wrong (`recv-is-not-message`): stores the file again with what came late.
    async fn append_late(
        &mut self,
        stored_as: LabName,
        taken: u64,
        late: Vec<u8>,
        end: DataEnd,
    ) -> Result<(LabName, u64, EndedBy), LabError> {
        self.observer.event(&LabEvent::LateData { taken });
        let reopened = self.files.reopen(&stored_as).await;
        let upload = reopened.map_err(LabError::storage("reopening the file"))?;
        self.pending.push_front(RequestEvent::Data(late));
        let (upload, len, ended_by) = self.receive_data(upload, taken, end).await?;
        let stored_as = self.files.commit(upload).await.map_err(LabError::storage("committing"))?;
        self.observer.event(&LabEvent::Stored { name: stored_as.clone(), len });
        Ok((stored_as, len, ended_by))
    }

    async fn receive_upload(&mut self, name: LabName) -> Result<Served, LabError> {
        let upload = match self.files.begin(&name, None).await {
            Ok(upload) => upload,
            Err(source) => {
                self.status(NOT_FOUND).await?;
                return Err(LabError::Storage { doing: "creating the file", source });
            }
        };
        if let Err(error) = self.status(OK).await {
            self.files.abort(upload).await;
            return Err(error);
        }
        self.observer.event(&LabEvent::Receiving(name.as_bytes().to_vec()));
        // Its client has nothing to wait for, so it always leaves: no need to guess.
        let (upload, len, ended_by) = self.receive_data(upload, 0, DataEnd::EofOnly).await?;
        let stored_as = self.files.commit(upload).await.map_err(LabError::storage("committing"))?;
        self.observer.event(&LabEvent::Stored { name: stored_as.clone(), len });
        Ok(Served::Stored { command: Command::Upload, stored_as, len, ended_by, confirmed: false })
    }

    async fn send_download(&mut self, name: LabName) -> Result<Served, LabError> {
        let opened = match self.files.open(&name).await {
            Ok(opened) => opened,
            Err(source) => {
                self.status(NOT_FOUND).await?;
                return Err(LabError::Storage { doing: "opening the file", source });
            }
        };
        let Some((_, mut reader)) = opened else {
            self.status(NOT_FOUND).await?;
            return Ok(Served::NotFound { name });
        };
        self.status(OK).await?;
        if self.options.pause {
            self.quiet.quiet(Moment::Separate).await;
        }
        self.observer.event(&LabEvent::Sending(name.as_bytes().to_vec()));
        let mut len = 0;
        loop {
            let read = reader.read(self.buffer.room()).await;
            let count = read.map_err(LabError::storage("reading the file"))?;
            if count == 0 {
                break;
            }
            let written = self.stream.write_all(self.buffer.filled(count)).await;
            written.map_err(LabError::stream("sending the body"))?;
            len += count as u64;
            self.observer.event(&LabEvent::Progress(len));
        }
        self.stream.flush().await.map_err(LabError::stream("sending the body"))?;
        Ok(Served::Sent { name, len })
    }

    /// Appends data until its end; aborts the upload on any error.
    async fn receive_data(
        &mut self,
        mut upload: F::Upload,
        before: u64,
        end: DataEnd,
    ) -> Result<(F::Upload, u64, EndedBy), LabError> {
        let mut len = before;
        loop {
            // Silence before the first byte says nothing at all (`zero-byte-payload`).
            let moment = (end == DataEnd::EofOrQuiet && len > 0).then_some(Moment::DataEnd);
            let error = match self.next(moment).await {
                Ok(Some(RequestEvent::Data(bytes))) => match self.files.append(&mut upload, &bytes).await {
                    Ok(()) => {
                        len += bytes.len() as u64;
                        self.observer.event(&LabEvent::Progress(len));
                        continue;
                    }
                    Err(source) => LabError::Storage { doing: "writing the file", source },
                },
                Ok(Some(RequestEvent::End)) => return Ok((upload, len, EndedBy::Eof)),
                Ok(None) => return Ok((upload, len, EndedBy::Quiet)),
                Ok(Some(RequestEvent::Command(_) | RequestEvent::Name(_) | RequestEvent::Failed(_))) => {
                    unreachable!("only data follows the name, and failures are errors")
                }
                Err(error) => error,
            };
            self.files.abort(upload).await;
            return Err(error);
        }
    }

    /// The next event; `None` when `moment` passed in silence.
    async fn next(&mut self, moment: Option<Moment>) -> Result<Option<RequestEvent>, LabError> {
        loop {
            match self.pending.pop_front() {
                Some(RequestEvent::Failed(fault)) => return Err(fault.into()),
                Some(event) => return Ok(Some(event)),
                None => {}
            }
            let asked = self.decoder.listens_for();
            let heard = hear(&mut self.stream, self.buffer.room(), self.quiet, asked.or(moment)).await;
            match heard.map_err(LabError::stream("receiving"))? {
                Heard::Bytes(count) => self.pending.extend(self.decoder.feed(self.buffer.filled(count))),
                Heard::Eof => self.pending.extend(self.decoder.eof()),
                Heard::Quiet if asked.is_some() => self.pending.extend(self.decoder.quiet()),
                Heard::Quiet => return Ok(None),
            }
        }
    }

    async fn status(&mut self, status: &'static str) -> Result<(), LabError> {
        let text = [status.as_bytes(), self.decoder.text_end().bytes()].concat();
        self.stream.write_all(&text).await.map_err(LabError::stream("sending the status"))?;
        self.stream.flush().await.map_err(LabError::stream("sending the status"))?;
        self.observer.event(&LabEvent::Sent(status));
        Ok(())
    }

    async fn say(&mut self, text: &'static str, doing: &'static str) -> Result<(), LabError> {
        self.stream.write_all(text.as_bytes()).await.map_err(LabError::stream(doing))?;
        self.stream.flush().await.map_err(LabError::stream(doing))
    }
}

/// The client reset the connection; one that ended its direction before would break a pipe instead.
fn is_reset(error: &LabError) -> bool {
    matches!(error, LabError::Stream { source, .. } if source.kind() == ErrorKind::ConnectionReset)
}
