//! Several connections for one session (PROTOCOL §7.8): how another connection says which session it belongs to.
//!
//! A server gives out tokens in INVITE, a client opens a connection for one of them and says JOIN. What comes of
//! it is a [`Lane`]; [`crate::bundle`] makes one stream of them.

use std::fmt;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::codec::{Decoder, Item, encode};
use crate::error::SessionError;
use crate::frame::Frame;
use crate::preamble::Versions;

/// The bit of HELLO's features that says: I know INVITE, JOIN and SPREAD.
pub const FEATURE: u64 = 2;

/// Bytes of a token: nobody guesses one of 2^128.
pub const TOKEN_LEN: usize = 16;

/// What lets one connection join one session, once. Whoever knows it can, so it is never shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub [u8; TOKEN_LEN]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What a server says about joining (INVITE).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Invite {
    /// More connections would help, as far as the server can tell.
    pub is_urgent: bool,
    /// One for each connection that may join.
    pub tokens: Vec<Token>,
}

/// What a connection says that belongs to a session (JOIN).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Join {
    /// Which session.
    pub token: Token,
    /// How many connections join it together, this one counted.
    pub of: u8,
}

/// A connection that has joined a session.
#[derive(Debug)]
pub struct Lane<S> {
    /// The connection.
    pub stream: S,
    /// What came with the frame that was read last.
    pub ahead: Vec<u8>,
    /// How many join together, this one counted.
    pub of: u8,
}

/// Client: joins the session that gave the token.
///
/// # Errors
/// The server refused it, spoke something else, or went away.
///
/// # Cancel safety
/// Not to be resumed: the token may be used up.
pub async fn join<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, join: Join) -> Result<Lane<S>, SessionError> {
    say(&mut stream, join).await?;
    let mut decoder = Decoder::new();
    let mut ahead = Vec::new();
    let answer = first_frame(&mut stream, &mut decoder, &mut ahead).await?;
    if let Frame::Error(0, error) = answer {
        return Err(SessionError::PeerEnded(error));
    }
    if answer != Frame::Join(join) {
        let text = format!("{} in answer to JOIN", answer.name());
        return Err(SessionError::PeerViolation { offset: decoder.offset(), rule: "FT-80", text });
    }
    Ok(Lane { stream, ahead, of: join.of })
}

/// Preamble and JOIN: all that either side says on such a connection besides segments.
///
/// # Errors
/// The peer went away.
pub(crate) async fn say<S: AsyncWrite + Unpin>(stream: &mut S, join: Join) -> Result<(), SessionError> {
    let mut bytes = Versions::OURS.encode().to_vec();
    encode(&Frame::Join(join), &mut bytes);
    let failed = |e| SessionError::io(&e, 0);
    stream.write_all(&bytes).await.map_err(failed)?;
    stream.flush().await.map_err(failed)
}

/// The first frame behind a preamble of a version that we speak. `bytes` holds what was read already, and in the end what came
/// behind the frame.
pub(crate) async fn first_frame<S: AsyncRead + Unpin>(
    stream: &mut S,
    decoder: &mut Decoder,
    bytes: &mut Vec<u8>,
) -> Result<Frame, SessionError> {
    let mut chunk = [0; 4096];
    loop {
        let mut input = &bytes[..];
        while let Some(item) = decoder.next(&mut input)? {
            match item {
                Item::Preamble(theirs) => {
                    Versions::OURS.choose(theirs).ok_or(SessionError::Version { min: theirs.min, max: theirs.max })?;
                }
                Item::Frame(frame) => {
                    *bytes = input.to_vec();
                    return Ok(frame);
                }
                Item::BadOffer(..) | Item::Content(_) | Item::Zdata(..) => {
                    let text = "a frame before HELLO".into();
                    return Err(SessionError::PeerViolation { offset: decoder.offset(), rule: "FT-10", text });
                }
            }
        }
        let offset = decoder.offset();
        let n = stream.read(&mut chunk).await.map_err(|e| SessionError::io(&e, offset))?;
        if n == 0 {
            return Err(SessionError::Truncated { offset });
        }
        *bytes = chunk[..n].to_vec();
    }
}
