//! Two people with a one-time code become two installations that know each other's key.
//!
//! SPAKE2, as the `spake2` crate has it, inside TLS 1.3 whose ends nobody knows yet:
//!
//! ```text
//!   sender                                            receiver
//!           TLS 1.3, both show a key, ALPN ft/1-code
//!   SPAKE2 message, 33 bytes             ------------>
//!                                        <------------  SPAKE2 message, 33 bytes
//!   HMAC of the exporter, 32 bytes       ------------>  a try is counted here
//!                                        <------------  HMAC of the exporter, or 32 random bytes
//! ```
//!
//! Both keys and the TLS exporter (RFC 5705) go into the exchange: somebody in between, who has another key and another
//! exporter on each side, comes to another secret even if he passes every byte on. The sender shows first that it knows the
//! code, so a receiver tells nothing to whoever guesses. A wrong code, one that is over, and one that was used before are
//! answered alike, by the same steps: for a code that is not good any more, a random one is taken.
//!
//! Afterwards each side pins the other's key; the transfer itself is an ordinary session between two known keys.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::ServerConfig;
use spake2::{Ed25519Group, Identity as Name, Password, Spake2};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use super::code::Code;
use super::conn::Conn;
use super::fingerprint::Fingerprint;
use super::identity::Identity;
use super::limits::{CODE_EXCHANGE, EXCHANGES, LAST_WORD, TRIES};
use super::tls::{self, ALPN, ALPN_CODE, Unproven};
use crate::limits::HELLO_TIMEOUT;

/// Bytes of a message of SPAKE2 over Ed25519: a side and a point.
const MESSAGE: usize = 33;

/// Bytes of a proof.
const PROOF: usize = 32;

/// What the exporter's bytes are for (RFC 5705 §4).
const LABEL: &[u8] = b"EXPORTER-ft/1-code";

/// What each side's proof begins with, so that neither can be sent back as the other.
const SENDER: &[u8] = b"ft/1-code sender knows";
const RECEIVER: &[u8] = b"ft/1-code receiver knows";

/// A receiver's code, and how much it is still worth.
#[derive(Debug)]
pub struct Gate {
    code: Code,
    until: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tries_left: u32,
    used: bool,
}

impl Gate {
    /// A code that is good for one sender, three tries, and this long.
    pub fn new(code: Code, good_for: Duration) -> Arc<Self> {
        let state = Mutex::new(State { tries_left: TRIES, used: false });
        Arc::new(Self { code, until: Instant::now() + good_for, state })
    }

    /// Three tries were wrong.
    pub fn is_burnt(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).tries_left == 0
    }

    /// When it is over.
    pub fn until(&self) -> Instant {
        self.until
    }

    fn is_open(&self, state: &State) -> bool {
        !state.used && state.tries_left > 0 && Instant::now() < self.until
    }

    /// What the exchange is fed with: the code, or as long as it is not good, something that nobody knows.
    fn password(&self) -> io::Result<Password> {
        let mut other = Zeroizing::new(vec![0; self.code.secret().len()]);
        SystemRandom::new().fill(&mut other).map_err(|_| io::Error::other("the system has no random numbers"))?;
        let open = self.is_open(&self.state.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Password::new(if open { self.code.secret() } else { &other }))
    }

    /// Takes a try; true for the one that is let in. Several at once are judged one after another.
    fn judge(&self, right: bool) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_open(&state) {
            return false;
        }
        match right {
            true => state.used = true,
            false => state.tries_left -= 1,
        }
        right
    }
}

/// Both proofs, from what the exchange came to.
fn proofs(secret: &[u8], exporter: &[u8; 32]) -> [(hmac::Key, Zeroizing<Vec<u8>>); 2] {
    [SENDER, RECEIVER].map(|side| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        (key, Zeroizing::new([side, exporter].concat()))
    })
}

/// The sides' names in the exchange: a key, and the connection that it was shown on.
fn names(sender: Fingerprint, receiver: Fingerprint, exporter: &[u8; 32]) -> [Name; 2] {
    [sender, receiver].map(|key| Name::new(&[&key.bytes()[..], exporter].concat()))
}

/// Sender: proves that we know the code, and learns the key of whoever knows it too.
///
/// # Errors
/// No connection, or the other side does not know the code, or does not take it any more; one line for a person.
///
/// # Cancel safety
/// Dropping the future closes the connection. What was sent may have cost a try.
pub async fn prove(
    stream: TcpStream,
    identity: &Identity,
    code: &Code,
    limit: Duration,
) -> Result<Fingerprint, String> {
    // The other side's name does not matter: the code vouches for its key.
    let name = rustls::pki_types::ServerName::IpAddress(std::net::IpAddr::from([0, 0, 0, 0]).into());
    let unproven = tls::connect(stream, name, identity, ALPN_CODE, limit)
        .await
        .map_err(|e| format!("no encrypted connection: {e}; is `ft-cli recv` running there?"))?;
    match timeout(CODE_EXCHANGE, send_side(unproven, identity.fingerprint(), code)).await {
        Ok(Ok(Some(key))) => Ok(key),
        Ok(Ok(None)) => Err("the code is not accepted: wrong, used before, or over; nothing was sent".into()),
        Ok(Err(e)) => Err(format!("the receiver went away: {e}; nothing was sent")),
        Err(_) => Err("the receiver took too long; nothing was sent".into()),
    }
}

async fn send_side(mut unproven: Unproven, ours: Fingerprint, code: &Code) -> io::Result<Option<Fingerprint>> {
    let exporter = unproven.exporter(LABEL)?;
    let theirs = unproven.key;
    let [a, b] = names(ours, theirs, &exporter);
    let (spake, message) = Spake2::<Ed25519Group>::start_a(&Password::new(code.secret()), &a, &b);
    let stream = unproven.stream();
    stream.write_all(&message).await?;
    stream.flush().await?;
    let mut answer = [0; MESSAGE];
    stream.read_exact(&mut answer).await?;
    let Ok(secret) = spake.finish(&answer).map(Zeroizing::new) else { return Ok(None) };
    let [(key, said), (their_key, expected)] = proofs(&secret, &exporter);
    stream.write_all(hmac::sign(&key, &said).as_ref()).await?;
    stream.flush().await?;
    let mut proof = [0; PROOF];
    stream.read_exact(&mut proof).await?;
    let right = hmac::verify(&their_key, &expected, &proof).is_ok();
    // What is told us last is told us for nothing; the other side knows already.
    let _ = stream.shutdown().await;
    Ok(right.then_some(theirs))
}

/// Receiver: takes connections, until somebody knows the code, and then only that somebody's.
#[derive(Debug)]
pub struct Reception {
    config: Arc<ServerConfig>,
    ours: Fingerprint,
    gate: Arc<Gate>,
    /// The key of the sender that knew the code.
    known: Mutex<Option<Fingerprint>>,
    exchanges: tokio::sync::Semaphore,
}

/// What a connection came to.
pub enum Caller {
    /// Somebody knew the code: this key.
    Paired(Fingerprint),
    /// Somebody did not, and was sent away.
    Wrong,
    /// The one who knew it, with a session.
    Session(Conn),
}

impl Reception {
    /// Shows this key to everybody and lets nobody in but through the gate.
    ///
    /// # Errors
    /// The cryptography cannot be set up.
    pub fn new(identity: &Identity, gate: Arc<Gate>) -> io::Result<Self> {
        let config = tls::server_config(identity, &[ALPN, ALPN_CODE])?;
        let exchanges = tokio::sync::Semaphore::new(EXCHANGES);
        Ok(Self { config, ours: identity.fingerprint(), gate, known: Mutex::default(), exchanges })
    }

    /// Deals with one connection, as far as it is known what it is.
    ///
    /// # Errors
    /// It broke, took too long, or is a session of somebody unknown; one line for a person.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn enter(&self, stream: TcpStream) -> Result<Caller, String> {
        let Ok(_place) = self.exchanges.try_acquire() else { return Err("too many at once".into()) };
        let unproven = tls::accept(stream, Arc::clone(&self.config), HELLO_TIMEOUT).await.map_err(|e| e.to_string())?;
        let key = unproven.key;
        if unproven.alpn == ALPN {
            let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
            return match known == Some(key) {
                true => Ok(Caller::Session(unproven.trusted())),
                false => Err("a session of somebody who does not know the code".into()),
            };
        }
        match timeout(CODE_EXCHANGE, self.receive_side(unproven)).await {
            Ok(Ok(true)) => Ok(Caller::Paired(key)),
            Ok(Ok(false)) => Ok(Caller::Wrong),
            Ok(Err(e)) => Err(e.to_string()),
            Err(_) => Err("it took too long".into()),
        }
    }

    async fn receive_side(&self, mut unproven: Unproven) -> io::Result<bool> {
        let exporter = unproven.exporter(LABEL)?;
        let theirs = unproven.key;
        let [a, b] = names(theirs, self.ours, &exporter);
        let mut refusal = [0; PROOF];
        SystemRandom::new().fill(&mut refusal).map_err(|_| io::Error::other("the system has no random numbers"))?;
        let stream = unproven.stream();
        let mut message = [0; MESSAGE];
        stream.read_exact(&mut message).await?;
        let (spake, answer) = Spake2::<Ed25519Group>::start_b(&self.gate.password()?, &a, &b);
        stream.write_all(&answer).await?;
        stream.flush().await?;
        let mut proof = [0; PROOF];
        stream.read_exact(&mut proof).await?;
        // Bytes that are no point of the curve are a wrong code like any other.
        let secret = Zeroizing::new(spake.finish(&message).unwrap_or_else(|_| refusal.to_vec()));
        let [(their_key, expected), (key, said)] = proofs(&secret, &exporter);
        let good = hmac::sign(&key, &said);
        let right = hmac::verify(&their_key, &expected, &proof).is_ok();
        let accepted = self.gate.judge(right);
        if accepted {
            // Before the sender hears of it: its session may come at once.
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(theirs);
        }
        // What came of the try is so, whether the other side takes the answer or not.
        let tell = async {
            stream.write_all(if accepted { good.as_ref() } else { &refusal }).await?;
            stream.shutdown().await?;
            // Until the other side has read it: an early close could take it away again.
            stream.read(&mut [0; 1]).await
        };
        let _ = timeout(LAST_WORD, tell).await;
        Ok(accepted)
    }
}

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
