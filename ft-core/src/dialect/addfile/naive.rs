//! Lab B as its listing has it. Every comment that is only an id marks where that pitfall falls.
//!
//! The lab lists `addfile` only; UPLOAD and DOWNLOAD follow its habits: one `recv` is one message, one `send` is the whole file.
//! `recv_text` is not shown: in the bare reading it is the text of one `recv(1024)`, in the line feed reading its first line.
//!
//! Deliberately wrong, and kept so: lessons, graders and the simulator need it.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::TextEnd;
use super::super::error::LabError;
use super::super::event::{LabEvent, Observer};
use super::super::files::RawFiles;
use super::super::limits::{LISTING_RECV, LISTING_RECV_DATA};
use super::super::python;
use super::{ACK1, ACK2, Command, NOT_FOUND, OK};

/// What the naive server says it did.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SaysServed {
    /// The request.
    pub command: Command,
    /// The name as it came.
    pub name: String,
    /// Body bytes that it took, or that the stream took.
    pub body: u64,
}

/// What the naive client makes of the confirmations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Confirmations {
    /// The listing: never read.
    Ignored,
    /// The lab's prose: one `recv(1024)` after the name, one after the data.
    Awaited,
    /// Everything is sent first, then two `recv(1024)`.
    ReadAtTheEnd,
}

/// What the naive client did before it exited with 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SaysSent {
    /// Body bytes that the stream took.
    pub body: u64,
    /// What each `recv` of a confirmation returned.
    pub confirmations: Vec<Vec<u8>>,
}

/// What the naive client of DOWNLOAD got before it exited with 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SaysDownloaded {
    /// The status as it was read.
    pub status: String,
    /// What it takes for the file.
    pub data: Vec<u8>,
}

/// Serves one client as the listing does.
///
/// # Errors
///
/// [`LabError::Crash`] where Python would raise, [`LabError::Storage`] where storage fails.
///
/// # Cancel safety
///
/// None: what was written in place stays.
pub async fn serve<S, F, O>(
    mut stream: S,
    files: &mut F,
    observer: &mut O,
    end: TextEnd,
) -> Result<SaysServed, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: RawFiles,
    O: Observer,
{
    // command = recv_text(conn)                     coalesced-messages, no-timeout
    let word = recv_text(&mut stream, end).await?;
    observer.event(&LabEvent::Command(word.clone().into_bytes()));
    // handlers[command](conn)                       empty-connection, split-header
    let Some(command) = Command::ALL.into_iter().find(|command| command.word() == word) else {
        return Err(LabError::crash("KeyError", format!("'{word}'")));
    };
    let name = recv_text(&mut stream, end).await?;
    let body = match command {
        Command::Addfile => {
            // server_filename = "server_" + filename    path-traversal, header-body-merge
            let server_filename = format!("server_{name}").into_bytes();
            observer.event(&LabEvent::Creating(name.clone().into_bytes()));
            // open(server_filename, "wb").close()   truncate-first
            files.truncate(&server_filename).await.map_err(LabError::storage("open"))?;
            send(&mut stream, ACK1.as_bytes()).await?;
            observer.event(&LabEvent::Sent(ACK1.trim_ascii_end()));
            observer.event(&LabEvent::Receiving(name.clone().into_bytes()));
            let body = recv_into(&mut stream, files, &server_filename).await?;
            // conn.send("file data recv\n")         ack-before-durable
            send(&mut stream, ACK2.as_bytes()).await?;
            observer.event(&LabEvent::Sent(ACK2.trim_ascii_end()));
            body
        }
        Command::Upload => {
            files.truncate(name.as_bytes()).await.map_err(LabError::storage("open"))?;
            send_text(&mut stream, OK, end).await?;
            observer.event(&LabEvent::Sent(OK));
            observer.event(&LabEvent::Receiving(name.clone().into_bytes()));
            recv_into(&mut stream, files, name.as_bytes()).await?
        }
        Command::Download => {
            match files.read_whole(name.as_bytes()).await.map_err(LabError::storage("open"))? {
                Some(data) => {
                    // send_text("OK"); conn.send(f.read())  status-data-merge, short-send
                    send_text(&mut stream, OK, end).await?;
                    observer.event(&LabEvent::Sent(OK));
                    observer.event(&LabEvent::Sending(name.clone().into_bytes()));
                    send(&mut stream, &data).await?
                }
                None => {
                    send_text(&mut stream, NOT_FOUND, end).await?;
                    observer.event(&LabEvent::Sent(NOT_FOUND));
                    0
                }
            }
        }
    };
    // conn.close()                                  close-unread-rst
    Ok(SaysServed { command, name, body })
}

/// Sends `data` by `addfile` as the listing does.
///
/// # Errors
///
/// [`LabError::Crash`] where Python would raise.
///
/// # Cancel safety
///
/// None.
pub async fn addfile<S>(
    mut stream: S,
    name: &str,
    data: &[u8],
    end: TextEnd,
    confirmations: Confirmations,
) -> Result<SaysSent, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // send_text("addfile"); send_text(filename)     coalesced-messages, nagle-delayed-ack, delimiter-in-name
    send_text(&mut stream, Command::Addfile.word(), end).await?;
    send_text(&mut stream, name, end).await?;
    let mut read = Vec::new();
    if confirmations == Confirmations::Awaited {
        // if recv(1024) != b"file recv\n": return   split-ack
        read.push(recv(&mut stream, LISTING_RECV).await?);
        if read[0] != ACK1.as_bytes() {
            return Ok(SaysSent { body: 0, confirmations: read });
        }
    }
    // send(data)                                    short-send, header-body-merge, zero-byte-payload
    let body = send(&mut stream, data).await?;
    match confirmations {
        // close()                                   half-close-misuse, close-unread-rst
        Confirmations::Ignored => {}
        Confirmations::Awaited => read.push(recv(&mut stream, LISTING_RECV).await?),
        Confirmations::ReadAtTheEnd => {
            // recv(1024); recv(1024)                merged-acks
            read.push(recv(&mut stream, LISTING_RECV).await?);
            read.push(recv(&mut stream, LISTING_RECV).await?);
        }
    }
    Ok(SaysSent { body, confirmations: read })
}

/// Sends `data` by UPLOAD in the listing's manner.
///
/// # Errors
///
/// [`LabError::Crash`] where Python would raise.
///
/// # Cancel safety
///
/// None.
pub async fn upload<S>(mut stream: S, name: &str, data: &[u8], end: TextEnd) -> Result<SaysSent, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    send_text(&mut stream, Command::Upload.word(), end).await?;
    send_text(&mut stream, name, end).await?;
    // if recv_text() == "OK": send(data)            split-ack, short-send; close: no-final-ack
    let status = recv_text(&mut stream, end).await?;
    let body = if status == OK { send(&mut stream, data).await? } else { 0 };
    Ok(SaysSent { body, confirmations: vec![status.into_bytes()] })
}

/// Fetches `name` by DOWNLOAD in the listing's manner.
///
/// # Errors
///
/// [`LabError::Crash`] where Python would raise.
///
/// # Cancel safety
///
/// None.
pub async fn download<S>(mut stream: S, name: &str, end: TextEnd) -> Result<SaysDownloaded, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    send_text(&mut stream, Command::Download.word(), end).await?;
    send_text(&mut stream, name, end).await?;
    // status = recv_text()                          status-data-merge, utf8-split
    let status = recv_text(&mut stream, end).await?;
    // data = recv(4096)                             recv-is-not-message, eof-is-success
    let data = if status == OK { recv(&mut stream, LISTING_RECV_DATA).await? } else { Vec::new() };
    Ok(SaysDownloaded { status, data })
}

async fn recv_into<S, F>(stream: &mut S, files: &mut F, name: &[u8]) -> Result<u64, LabError>
where
    S: AsyncRead + Unpin,
    F: RawFiles,
{
    // data = conn.recv(4096)                        recv-is-not-message, eof-is-success, zero-byte-payload
    let data = recv(stream, LISTING_RECV_DATA).await?;
    files.append_in_place(name, &data).await.map_err(LabError::storage("write"))?;
    Ok(data.len() as u64)
}

async fn recv<S: AsyncRead + Unpin>(stream: &mut S, most: usize) -> Result<Vec<u8>, LabError> {
    let mut buffer = vec![0; most];
    let count = stream.read(&mut buffer).await.map_err(LabError::raised)?;
    buffer.truncate(count);
    Ok(buffer)
}

async fn recv_text<S: AsyncRead + Unpin>(stream: &mut S, end: TextEnd) -> Result<String, LabError> {
    let data = recv(stream, LISTING_RECV).await?;
    // data.decode("utf-8")                          utf8-split
    let text = python::decode(&data)?;
    Ok(match end {
        TextEnd::Bare => text,
        // text.split("\n")[0]                       coalesced-messages: the rest is gone
        TextEnd::Newline => text.split('\n').next().unwrap_or_default(),
    }
    .to_owned())
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<u64, LabError> {
    // conn.send(data), its value unused             short-send
    let taken = if bytes.is_empty() { 0 } else { stream.write(bytes).await.map_err(LabError::raised)? };
    stream.flush().await.map_err(LabError::raised)?;
    Ok(taken as u64)
}

async fn send_text<S: AsyncWrite + Unpin>(stream: &mut S, text: &str, end: TextEnd) -> Result<u64, LabError> {
    send(stream, &[text.as_bytes(), end.bytes()].concat()).await
}
