//! Lab A as its listing has it. Every comment that is only an id marks where that pitfall falls.
//!
//! Deliberately wrong, and kept so: lessons, graders and the simulator need it.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::error::LabError;
use super::super::files::RawFiles;
use super::super::limits::LISTING_RECV;
use super::super::{TextEnd, python};
use super::ACK;

/// What the naive server says it saved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SaysSaved {
    /// The name as it came.
    pub name: String,
    /// What `int()` made of the size; saturated.
    pub stated: i128,
    /// Bytes that it really wrote.
    pub received: u64,
}

/// What the naive client did before it exited with 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SaysSent {
    /// Whether one read was exactly `ACK`. If not, nothing was sent, and it still exits with 0.
    pub acked: bool,
    /// Body bytes that the stream took; fewer than the file has after a short send.
    pub body: u64,
}

/// Receives one file as the listing does.
///
/// # Errors
///
/// [`LabError::Crash`] where Python would raise, [`LabError::Storage`] where storage fails.
///
/// # Cancel safety
///
/// None: what was written in place stays.
pub async fn receive<S, F>(mut stream: S, files: &mut F) -> Result<SaysSaved, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: RawFiles,
{
    // data = conn.recv(1024)                        split-header, split-digits, header-body-merge, no-timeout
    let mut buffer = [0; LISTING_RECV];
    let count = stream.read(&mut buffer).await.map_err(LabError::raised)?;
    // filename, filesize = data.decode("utf-8").split("|")  utf8-split, delimiter-in-name, empty-connection
    let text = python::decode(&buffer[..count])?;
    let fields: Vec<&str> = text.split('|').collect();
    let [name, size] = fields[..] else {
        return Err(LabError::crash(
            "ValueError",
            if fields.len() > 2 {
                "too many values to unpack (expected 2)".to_owned()
            } else {
                format!("not enough values to unpack (expected 2, got {})", fields.len())
            },
        ));
    };
    // filesize = int(filesize)                      size-overflow
    let stated = python::int(size)?;
    // conn.send(b"ACK")                             short-send
    let _unchecked = stream.write(ACK).await.map_err(LabError::raised)?;
    stream.flush().await.map_err(LabError::raised)?;
    // with open(filename, "wb") as f:               path-traversal, truncate-first
    files.truncate(name.as_bytes()).await.map_err(LabError::storage("open"))?;
    let mut data = [0; LISTING_RECV];
    let mut received = 0;
    while i128::from(received) < stated {
        let count = stream.read(&mut data).await.map_err(LabError::raised)?;
        // if not data: break                        eof-is-success
        if count == 0 {
            break;
        }
        let written = files.append_in_place(name.as_bytes(), &data[..count]).await;
        written.map_err(LabError::storage("write"))?;
        received += count as u64;
    }
    Ok(SaysSaved { name: name.to_owned(), stated, received })
}

/// Sends `data` as the listing does. `end` is what its `send` puts after the metadata; the listing puts nothing.
///
/// # Errors
///
/// [`LabError::Crash`] where Python would raise.
///
/// # Cancel safety
///
/// None.
pub async fn send<S>(mut stream: S, name: &[u8], data: &[u8], end: TextEnd) -> Result<SaysSent, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // client.send(f"{filename}|{filesize}".encode())  short-send, delimiter-in-name
    let metadata = [name, b"|", data.len().to_string().as_bytes(), end.bytes()].concat();
    let _unchecked = stream.write(&metadata).await.map_err(LabError::raised)?;
    stream.flush().await.map_err(LabError::raised)?;
    // if client.recv(1024) == b"ACK":               split-ack, no-timeout
    let mut buffer = [0; LISTING_RECV];
    let count = stream.read(&mut buffer).await.map_err(LabError::raised)?;
    if &buffer[..count] != ACK {
        return Ok(SaysSent { acked: false, body: 0 });
    }
    let mut body = 0;
    for chunk in data.chunks(LISTING_RECV) {
        // client.send(chunk)                        short-send
        body += stream.write(chunk).await.map_err(LabError::raised)? as u64;
    }
    stream.flush().await.map_err(LabError::raised)?;
    // client.close(); print("sent")                 no-final-ack
    Ok(SaysSent { acked: true, body })
}
