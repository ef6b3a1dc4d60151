//! A client's side: whether to encrypt, and whether the key that the server shows is the right one.
//!
//! ```text
//!   --insecure ----------------------------> plain, said loudly
//!   --tls, --peer, --ca, or a pinned server -> TLS
//!   this machine --------------------------> plain
//!   any other machine ---------------------> TLS
//!
//!   TLS: key in --peer? -> chain signed by --ca? -> key pinned in known_peers? -> ask a person -> refuse
//! ```
//!
//! Whatever of it was said decides alone: who names a key or an issuer wants that one, and no other way in.

use std::io;
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;

use super::args::TrustArgs;
use super::ask::{ask, somebody_is_there};
use super::conn::Conn;
use super::fingerprint::Fingerprint;
use super::identity::Identity;
use super::known::{self, KnownPeers};
use super::tls::{self, ALPN, Unproven};
use super::{folder, is_local, warn};
use crate::limits::HELLO_TIMEOUT;
use crate::net::{Endpoint, connect_at};

/// For so long a server certainly waits for a client to say what it wants; a person may take longer to answer a question.
const SERVER_WAITS: Duration = Duration::from_secs(HELLO_TIMEOUT.as_secs() / 2);

/// Makes a connection what the options ask for. `limit` bounds the handshake.
///
/// # Errors
/// The server cannot do it, or nothing says that its key is the right one. One line for a person; what came from the
/// server is escaped.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub async fn secure(stream: TcpStream, endpoint: &Endpoint, args: &TrustArgs, limit: Duration) -> Result<Conn, String> {
    let peer = stream.peer_addr();
    let local = peer.as_ref().is_ok_and(|address| is_local(address.ip()));
    if args.insecure {
        if !local {
            warn_once();
        }
        return Ok(Conn::Plain(stream));
    }
    let asked = args.tls || !args.peer.is_empty() || args.ca.is_some();
    // A server that is pinned is never spoken to in the clear, wherever it seems to be.
    let known = match KnownPeers::open_default() {
        Ok(known) => Some(known),
        Err(e) if !asked && !local => return Err(e.to_string()),
        Err(_) => None,
    };
    let pins = known.as_ref().map_or(Ok(Vec::new()), |known| known.pins(endpoint)).map_err(|e| e.to_string())?;
    if local && !asked && pins.is_empty() {
        return Ok(Conn::Plain(stream));
    }
    let identity = Identity::open(args.identity.as_deref()).map_err(|e| e.to_string())?;
    let unproven = tls::connect(stream, server_name(endpoint), &identity, ALPN, limit)
        .await
        .map_err(|e| format!("no encrypted connection to {endpoint}: {}", explained(&e)))?;
    let key = unproven.key;
    if !args.peer.is_empty() {
        return match args.peer.contains(&key) {
            true => Ok(unproven.trusted()),
            false => Err(not_the_one(endpoint, key)),
        };
    }
    if let Some(ca) = &args.ca {
        check_chain(&unproven, endpoint, ca)?;
        return Ok(unproven.trusted());
    }
    if pins.iter().any(|pin| pin.key == key) {
        return Ok(unproven.trusted());
    }
    let known = known.ok_or_else(|| "neither XDG_CONFIG_HOME nor HOME names a folder for keys".to_owned())?;
    if let Some(pin) = pins.first() {
        let file = ft_core::path::escape(known.path().as_os_str().as_encoded_bytes());
        return Err(format!(
            "the key of {endpoint} has CHANGED: it is {key}, and {} is pinned (line {} of {file}); somebody may be in \
             between; if the server really has a new key, remove that line first",
            pin.key, pin.line
        ));
    }
    let asked = Instant::now();
    let conn = meet(unproven, endpoint, &known).await?;
    if asked.elapsed() < SERVER_WAITS {
        return Ok(conn);
    }
    drop(conn);
    let failed = |e: &io::Error| format!("cannot connect to {endpoint} again: {}", explained(e));
    let stream = connect_at(peer.map_err(|e| failed(&e))?, limit).await.map_err(|e| failed(&e))?;
    let again = tls::connect(stream, server_name(endpoint), &identity, ALPN, limit).await.map_err(|e| failed(&e))?;
    match again.key == key {
        true => Ok(again.trusted()),
        false => Err(format!("{endpoint} has another key than a moment ago: {}; nothing was sent", again.key)),
    }
}

/// Nobody knows this server yet: a person decides, or nobody does.
async fn meet(unproven: Unproven, endpoint: &Endpoint, known: &KnownPeers) -> Result<Conn, String> {
    let key = unproven.key;
    if somebody_is_there() {
        let question = format!(
            "{endpoint} has a key that is not known here:\n  {key}\nAsk for `ft-cli key` there, by another way. \
             Is it the same, and shall it be remembered? (y/n) "
        );
        if ask(question).await.is_some_and(|answer| answer.eq_ignore_ascii_case("y")) {
            known.pin(endpoint, key).map_err(|e| e.to_string())?;
            return Ok(unproven.trusted());
        }
        return Err(format!("the key of {endpoint} was not accepted; nothing was sent"));
    }
    let file = ft_core::path::escape(known.path().as_os_str().as_encoded_bytes());
    Err(format!(
        "the key of {endpoint} is not known here, and there is no terminal to ask at; if `ft-cli key` there says the same, \
         say --peer {key}, or put this line into {file}: {}",
        known::line(endpoint, key)
    ))
}

fn not_the_one(endpoint: &Endpoint, key: Fingerprint) -> String {
    format!("{endpoint} has another key than --peer asks for: {key}; nothing was sent")
}

fn check_chain(unproven: &Unproven, endpoint: &Endpoint, ca: &Path) -> Result<(), String> {
    let shown = ft_core::path::escape(ca.as_os_str().as_encoded_bytes());
    let roots = roots(ca).map_err(|e| format!("cannot use --ca {shown}: {e}"))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(tls::provider()))
        .build()
        .map_err(|e| format!("cannot use --ca {shown}: {e}"))?;
    let (first, rest) = unproven.chain.split_first().ok_or("the server showed no certificate")?;
    verifier.verify_server_cert(first, rest, &server_name(endpoint), &[], UnixTime::now()).map(|_| ()).map_err(|e| {
        // It quotes names of the certificate.
        let why = ft_core::path::escape(e.to_string().as_bytes());
        format!("the certificate of {endpoint} is not good by --ca {shown}: {why}; nothing was sent")
    })
}

fn roots(ca: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if ca == Path::new("system") {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
    } else {
        let text = folder::read(ca)?.ok_or(io::ErrorKind::NotFound)?;
        for cert in CertificateDer::pem_slice_iter(text.as_bytes()) {
            let cert = cert.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
            roots.add(cert).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        }
    }
    if roots.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "there is no certificate in it"));
    }
    Ok(roots)
}

/// The name to ask for. One that TLS cannot carry is sent to nobody.
fn server_name(endpoint: &Endpoint) -> ServerName<'static> {
    let host = endpoint.host.split('%').next().unwrap_or_default();
    let nameless = || ServerName::IpAddress(std::net::IpAddr::from([0, 0, 0, 0]).into());
    ServerName::try_from(host.to_owned()).unwrap_or_else(|_| nameless())
}

/// A handshake's failure in words of this program, where the usual reasons are.
fn explained(error: &io::Error) -> String {
    use rustls::{AlertDescription as Alert, Error};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidMessage(_)) => "the server does not speak TLS".into(),
        Some(Error::AlertReceived(Alert::NoApplicationProtocol)) => "the server speaks TLS, but not ft/1 in it".into(),
        Some(Error::AlertReceived(Alert::ProtocolVersion)) => "the server does not speak TLS 1.3".into(),
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the server ended it before it was encrypted; does it speak TLS?".into()
        }
        Some(_) | None => ft_core::path::escape(error.to_string().as_bytes()).to_string(),
    }
}

/// Said once by a command, even if it was told to be quiet.
fn warn_once() {
    static SAID: Once = Once::new();
    SAID.call_once(|| warn("--insecure: not encrypted; everybody on the path can read and change what is sent"));
}

/// For lab dialects, which are plain by nature.
///
/// # Errors
/// The other side is on another machine, and nobody has said that this is all right.
pub fn plain(stream: TcpStream, args: &TrustArgs) -> Result<Conn, String> {
    let local = stream.peer_addr().is_ok_and(|address| is_local(address.ip()));
    match (local, args.insecure) {
        (true, _) => Ok(Conn::Plain(stream)),
        (false, true) => {
            warn_once();
            Ok(Conn::Plain(stream))
        }
        (false, false) => {
            Err("a lab dialect cannot be encrypted, and the server is on another machine; --insecure allows it".into())
        }
    }
}
