//! The key of this installation: Ed25519, made at the first use, one file that only its owner may read.
//!
//! It travels in a self-signed certificate rather than as a raw public key (RFC 7250): the certificate says nothing and is
//! believed in nothing, it is an envelope that every TLS tool can open, and one that a server with a real certificate
//! chain can use as well. What is compared is the key in it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{CertificateParams, KeyPair};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use zeroize::{Zeroize as _, Zeroizing};

use super::fingerprint::Fingerprint;
use super::{folder, tls};

/// The name in the certificate; nobody looks at it.
const NAME: &str = "ft-cli";

/// A key pair and the certificate that carries it.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) certified: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
}

impl Identity {
    /// Where the key is when nobody says otherwise.
    ///
    /// # Errors
    /// There is no folder for settings: neither `XDG_CONFIG_HOME` nor `HOME` is set.
    pub fn default_path() -> io::Result<PathBuf> {
        Ok(folder::config()?.join("identity"))
    }

    /// Reads the key of this installation, and makes one if there is none.
    ///
    /// # Errors
    /// The file is no key, or others may read it, or it cannot be read or made; the text names it.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => Self::default_path()?,
        };
        Self::open_at(&path).map_err(|e| named("key", &path, &e))
    }

    fn open_at(path: &Path) -> io::Result<Self> {
        if let Some(text) = folder::read(path)? {
            folder::check_private(path)?;
            return Self::from_pem(&text);
        }
        make(path)?;
        let text = folder::read(path)?.ok_or(io::ErrorKind::NotFound)?;
        Self::from_pem(&text)
    }

    fn from_pem(text: &str) -> io::Result<Self> {
        let key = key_in(text)?;
        let pair = KeyPair::try_from(&key).map_err(invalid)?;
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).map_err(invalid)?;
        params.distinguished_name.push(rcgen::DnType::CommonName, NAME);
        let cert = params.self_signed(&pair).map_err(invalid)?.der().clone();
        Self::certified(vec![cert], key)
    }

    /// A certificate chain of somebody's, end entity first, and its key, both PEM.
    ///
    /// # Errors
    /// A file cannot be read, or they do not belong together; the text names the file.
    pub fn chain(cert: &Path, key: &Path) -> io::Result<Self> {
        let text = |path: &Path| folder::read(path)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
        let read_cert =
            || CertificateDer::pem_slice_iter(text(cert)?.as_bytes()).collect::<Result<Vec<_>, _>>().map_err(invalid);
        let read_key = || {
            folder::check_private(key)?;
            key_in(&text(key)?)
        };
        let chain = read_cert().map_err(|e| named("certificate", cert, &e))?;
        Self::certified(chain, read_key().map_err(|e| named("key", key, &e))?)
            .map_err(|e| named("certificate", cert, &e))
    }

    fn certified(chain: Vec<CertificateDer<'static>>, mut key: PrivateKeyDer<'static>) -> io::Result<Self> {
        let first = chain.first().ok_or_else(|| invalid("there is no certificate in it"))?;
        let fingerprint = tls::fingerprint(first).map_err(invalid)?;
        let signing = any_supported_type(&key);
        // It does not do so itself when it is dropped.
        key.zeroize();
        let certified = CertifiedKey::new(chain, signing.map_err(invalid)?);
        certified.keys_match().map_err(invalid)?;
        Ok(Self { certified: Arc::new(certified), fingerprint })
    }

    /// What others know this key by.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// The private key in a PEM text. The usual readers leave copies of it behind in memory, for which reason the usual form, one
/// key and its lines, is read here.
fn key_in(text: &str) -> io::Result<PrivateKeyDer<'static>> {
    let body = text
        .trim()
        .strip_prefix("-----BEGIN PRIVATE KEY-----")
        .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"));
    let Some(body) = body else { return PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(invalid) };
    // Room for all of it at once: a growing text would leave copies behind.
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.split_ascii_whitespace());
    let mut der = Zeroizing::new(Vec::with_capacity(base64.len()));
    BASE64.decode_vec(base64.as_bytes(), &mut der).map_err(invalid)?;
    Ok(PrivatePkcs8KeyDer::from(std::mem::take(&mut *der)).into())
}

/// PKCS #8 of an Ed25519 key, up to the 32 bytes that are the key (RFC 8410 §7). Version 1, which every tool reads.
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// A new key as PEM. Nothing of it stays in memory but what is returned, which is overwritten when it is dropped.
fn new_key() -> io::Result<Zeroizing<String>> {
    let mut der = Zeroizing::new([0; PKCS8.len() + 32]);
    let (head, secret) = der.split_at_mut(PKCS8.len());
    head.copy_from_slice(&PKCS8);
    SystemRandom::new().fill(secret).map_err(|_| io::Error::other("the system has no random numbers"))?;
    let mut text = Zeroizing::new(String::with_capacity(256));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    // 48 bytes are one line.
    BASE64.encode_string(der.as_slice(), &mut text);
    text.push_str("\n-----END PRIVATE KEY-----\n");
    Ok(text)
}

/// Makes a key and puts it in place whole. If another program was quicker, its key stands.
fn make(path: &Path) -> io::Result<()> {
    let text = new_key()?;
    let parent = folder::of(path);
    folder::make(parent)?;
    // Readable by its owner alone from the beginning.
    let mut file = tempfile::Builder::new().prefix(".identity-").tempfile_in(parent)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(e) => return Err(e.error),
    }
    // The name must survive a power cut as well: a key that others have pinned is not to be made twice.
    folder::sync(parent)
}

fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

fn named(what: &str, path: &Path, error: &io::Error) -> io::Error {
    let path = ft_core::path::escape(path.as_os_str().as_encoded_bytes());
    io::Error::new(error.kind(), format!("cannot use the {what} {path}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn key_is_made_once_and_its_owner_alone_may_read_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("new/ft-cli/identity");
        let made = Identity::open(Some(&path)).unwrap();
        let again = Identity::open(Some(&path)).unwrap();
        assert_eq!(made.fingerprint(), again.fingerprint());
        assert_eq!(made.certified.cert, again.certified.cert, "the envelope is the same each time");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            let error = Identity::open(Some(&path)).unwrap_err().to_string();
            assert!(error.contains("others may read it (mode 0640)"), "{error}");
        }
    }

    #[test]
    fn file_that_is_no_key_is_refused_by_name_and_stays() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("identity");
        let mut file = tempfile::NamedTempFile::new_in(home.path()).unwrap();
        file.write_all(b"not a key").unwrap();
        file.persist(&path).unwrap();
        let error = Identity::open(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("identity"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"not a key");
    }
}
