//! A server's side: who comes in, how, and what they may do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use ft_core::error::{Code, FileError, Retry};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::args::DoorArgs;
use super::conn::Conn;
use super::fingerprint::Fingerprint;
use super::identity::Identity;
use super::is_local;
use super::tls::{self, ALPN};
use crate::limits::HELLO_TIMEOUT;
use crate::render::{Fact, Screen};

/// First byte of a TLS connection: a handshake record (RFC 8446 §5.1). No dialect here begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a server asks of those who connect.
#[derive(Debug)]
pub struct Door {
    args: DoorArgs,
    /// The key, once it is needed: a server for this machine alone needs none.
    keys: Option<(Arc<ServerConfig>, Fingerprint)>,
    /// Somebody needs to know the key.
    announced: bool,
}

/// A connection that has come in, and what is known about the other side.
pub struct Visitor {
    /// To speak over.
    pub conn: Conn,
    /// Its key, if it had to show one.
    pub key: Option<Fingerprint>,
    /// From another machine and in the clear, where that is not allowed: it may only be told so.
    pub refused: bool,
}

impl Door {
    /// Reads or makes the server's key, if `local` does not hold: that all its addresses are this machine's own.
    ///
    /// # Errors
    /// The key cannot be used; the text names the file.
    pub fn new(args: DoorArgs, local: bool) -> io::Result<Self> {
        let wanted = !local || args.tls || args.cert.is_some() || args.identity.is_some();
        let keys = match wanted || Identity::default_path().is_ok_and(|path| path.exists()) {
            false => None,
            true => {
                let identity = match (&args.cert, &args.key) {
                    (Some(cert), Some(key)) => Identity::chain(cert, key)?,
                    _ => Identity::open(args.identity.as_deref())?,
                };
                Some((tls::server_config(&identity, ALPN)?, identity.fingerprint()))
            }
        };
        Ok(Self { args, keys, announced: wanted })
    }

    /// The server's key, if it has one.
    pub fn key(&self) -> Option<Fingerprint> {
        self.keys.as_ref().map(|(_, key)| *key)
    }

    /// Tells people the key that their clients should see.
    pub fn announce(&self, screen: &Screen) {
        if let Some(key) = self.key().filter(|_| self.announced) {
            screen.fact(None, &Fact::Note { text: format!("this server's key is {key}") });
        }
    }

    /// Lets a connection in as far as its first byte says: TLS or plain. `plain_only` is for dialects without TLS.
    ///
    /// # Errors
    /// It said nothing, or the handshake failed; one line for a person.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn enter(&self, stream: TcpStream, peer: SocketAddr, plain_only: bool) -> Result<Visitor, String> {
        let local = is_local(peer.ip());
        let plain = |stream| Visitor {
            conn: Conn::Plain(stream),
            key: None,
            refused: if local { self.args.tls } else { !self.args.insecure },
        };
        if plain_only {
            return Ok(plain(stream));
        }
        let mut first = [0];
        let speaks_tls = match timeout(HELLO_TIMEOUT, stream.peek(&mut first)).await {
            Err(_) => return Err("the client did not say what it wants".into()),
            Ok(Err(e)) => return Err(e.to_string()),
            Ok(Ok(n)) => n == 1 && first[0] == TLS_HANDSHAKE,
        };
        let Some((config, _)) = self.keys.as_ref().filter(|_| speaks_tls) else { return Ok(plain(stream)) };
        let unproven = tls::accept(stream, Arc::clone(config), HELLO_TIMEOUT)
            .await
            .map_err(|e| format!("no encrypted connection: {}", ft_core::path::escape(e.to_string().as_bytes())))?;
        // Who a client is decides what it may do, not whether it is heard: one that may do nothing is told so.
        let key = unproven.key;
        Ok(Visitor { conn: unproven.trusted(), key: Some(key), refused: false })
    }
}

/// What a client hears that came from another machine in the clear.
pub fn must_encrypt() -> FileError {
    let text =
        "this server speaks TLS only to you; ft-cli encrypts towards other machines, and with --tls towards its own";
    FileError::new(Code::Forbidden, Retry::Never, text)
}
