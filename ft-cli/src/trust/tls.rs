//! TLS 1.3 and nothing else: which ciphers, which application protocol, and what a handshake proves.
//!
//! A handshake proves that the other side holds the key that its certificate carries. Whether that key is to be trusted
//! is decided afterwards, when both are known and somebody can be asked; until then a stream is [`Unproven`] and of no use.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ResolvesServerCert;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, ServerConfig, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::ahead::ReadAhead;
use super::conn::Conn;
use super::fingerprint::Fingerprint;
use super::identity::Identity;
use super::limits::{READ_AHEAD, WRITE_BUFFER};

/// Application protocol of a session (RFC 7301).
pub(super) const ALPN: &[u8] = b"ft/1";

/// Application protocol of a session that begins with a one-time code. Another name, so that neither can be taken for the
/// other.
pub(super) const ALPN_CODE: &[u8] = b"ft/1-code";

/// The cryptography. AES-128 first: with the processor's help it is the fastest, and no weaker link than the key exchange.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
        ],
        ..default_provider()
    }
}

/// The fingerprint of the key in a certificate.
///
/// # Errors
/// It is no certificate.
pub(super) fn fingerprint(cert: &CertificateDer<'_>) -> Result<Fingerprint, webpki::Error> {
    let cert = webpki::EndEntityCert::try_from(cert)?;
    Ok(Fingerprint::of_spki(&cert.subject_public_key_info()))
}

/// Takes any certificate, but only from somebody who holds its key.
#[derive(Debug)]
struct AnyKey(WebPkiSupportedAlgorithms);

impl AnyKey {
    fn new() -> Arc<Self> {
        Arc::new(Self(provider().signature_verification_algorithms))
    }

    fn signed(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }
}

/// TLS 1.2 is not compiled in; this cannot be asked.
fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite))
}

impl ServerCertVerifier for AnyKey {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        fingerprint(cert).map_err(|_| Error::InvalidCertificate(rustls::CertificateError::BadEncoding))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        cert: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        fingerprint(cert).map_err(|_| Error::InvalidCertificate(rustls::CertificateError::BadEncoding))?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// How a server shakes hands: it always asks for the client's key. No tickets, no early data: each connection proves anew.
pub(super) fn server_config(identity: &Identity, alpn: &[&[u8]]) -> io::Result<Arc<ServerConfig>> {
    let own: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(Arc::clone(&identity.certified)));
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .with_client_cert_verifier(AnyKey::new())
        .with_cert_resolver(own);
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// How a client shakes hands.
fn client_config(identity: &Identity, alpn: &[u8]) -> io::Result<Arc<ClientConfig>> {
    let own: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(Arc::clone(&identity.certified)));
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(AnyKey::new())
        .with_client_cert_resolver(own);
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// An encrypted stream to somebody who holds a key, of whom nothing else is known yet.
#[must_use = "nothing is known of the other side yet"]
pub(super) struct Unproven {
    stream: TlsStream<ReadAhead<TcpStream>>,
    /// The other side's key.
    pub(super) key: Fingerprint,
    /// What both have said they will speak.
    pub(super) alpn: Vec<u8>,
    /// Its certificates, end entity first.
    pub(super) chain: Vec<CertificateDer<'static>>,
}

impl Unproven {
    /// The stream, for whoever has decided that the key is the right one.
    pub(super) fn trusted(mut self) -> Conn {
        match &mut self.stream {
            TlsStream::Client(stream) => {
                let (raw, session) = stream.get_mut();
                raw.widen(READ_AHEAD);
                session.set_buffer_limit(Some(WRITE_BUFFER));
            }
            TlsStream::Server(stream) => {
                let (raw, session) = stream.get_mut();
                raw.widen(READ_AHEAD);
                session.set_buffer_limit(Some(WRITE_BUFFER));
            }
        }
        Conn::Tls(Box::new(self.stream))
    }

    /// The stream itself, to prove more over it.
    pub(super) fn stream(&mut self) -> &mut TlsStream<ReadAhead<TcpStream>> {
        &mut self.stream
    }

    /// Bytes that only the two ends of this very handshake can know (RFC 8446 §7.5, RFC 5705): what is tied to them cannot
    /// be passed on by somebody between.
    pub(super) fn exporter(&self, label: &[u8]) -> io::Result<[u8; 32]> {
        let material = match &self.stream {
            TlsStream::Client(stream) => stream.get_ref().1.export_keying_material([0; 32], label, None),
            TlsStream::Server(stream) => stream.get_ref().1.export_keying_material([0; 32], label, None),
        };
        material.map_err(io::Error::other)
    }

    fn new(stream: TlsStream<ReadAhead<TcpStream>>, spoken: &[Vec<u8>]) -> io::Result<Self> {
        let bad = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
        let (_, session) = stream.get_ref();
        // The library lets through who offers no protocol at all.
        let alpn = session.alpn_protocol().unwrap_or_default().to_vec();
        if !spoken.contains(&alpn) {
            return Err(bad("the other side speaks TLS, but not ft/1 in it"));
        }
        let chain: Vec<CertificateDer<'static>> =
            session.peer_certificates().unwrap_or_default().iter().map(|cert| cert.clone().into_owned()).collect();
        let key = chain.first().ok_or_else(|| bad("the other side showed no key"))?;
        let key = fingerprint(key).map_err(io::Error::other)?;
        Ok(Self { stream, key, alpn, chain })
    }
}

/// Shakes hands as the client. `name` is the server's, for one that has several certificates.
///
/// # Errors
/// The other side does not speak TLS 1.3 and ft/1, or took longer than `limit`.
pub(super) async fn connect(
    stream: TcpStream,
    name: ServerName<'static>,
    identity: &Identity,
    alpn: &[u8],
    limit: Duration,
) -> io::Result<Unproven> {
    let connector = TlsConnector::from(client_config(identity, alpn)?);
    match timeout(limit, connector.connect(name, ReadAhead::new(stream))).await {
        Ok(result) => Unproven::new(TlsStream::Client(result?), &[alpn.to_vec()]),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")),
    }
}

/// Shakes hands as the server.
///
/// # Errors
/// As [`connect`].
pub(super) async fn accept(stream: TcpStream, config: Arc<ServerConfig>, limit: Duration) -> io::Result<Unproven> {
    let spoken = config.alpn_protocols.clone();
    match timeout(limit, TlsAcceptor::from(config).accept(ReadAhead::new(stream))).await {
        Ok(result) => Unproven::new(TlsStream::Server(result?), &spoken),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")),
    }
}
