//! A server's side: who comes in, how, and what they may do.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use ft_core::error::{Code, FileError, Retry};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::args::DoorArgs;
use super::conn::Conn;
use super::fingerprint::Fingerprint;
use super::identity::Identity;
use super::keeper::{Keeper, Names};
use super::limits::RELOAD_PATIENCE;
use super::quota::{Ledger, measure};
use super::rights::{Book, Rights};
use super::tls::{self, ALPN};
use super::{folder, is_local, warn};
use crate::disk::Root;
use crate::limits::HELLO_TIMEOUT;
use crate::net::Meter;
use crate::render::{Fact, Screen};

/// First byte of a TLS connection: a handshake record (RFC 8446 §5.1). No dialect here begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a server asks of those who connect.
#[derive(Debug)]
pub struct Door {
    args: DoorArgs,
    /// The key, once it is needed: a server for this machine alone needs none.
    keys: RwLock<Option<(Arc<ServerConfig>, Fingerprint)>>,
    /// Somebody needs to know the key.
    announced: bool,
    /// It listens for this machine alone.
    local: bool,
    /// Reads the book, and a certificate that may be renewed.
    keeper: Keeper,
    /// What each key may do, as last read.
    book: RwLock<Arc<Book>>,
    /// Books of keys with a quota.
    ledgers: Mutex<BTreeMap<Fingerprint, Books>>,
    /// What bounds the rate of a key, for all its sessions. As many as the list ever had keys with a rate.
    meters: Mutex<BTreeMap<Fingerprint, Meter>>,
}

/// What is known of a key with a quota. As many as the list ever had.
#[derive(Debug, Default)]
struct Books {
    /// Held while its folder is counted: what its other sessions store meanwhile must not be missed. Other keys do not wait for it.
    counting: Arc<tokio::sync::Mutex<()>>,
    /// As long as there are sessions, and the folder that they have.
    open: Weak<Ledger>,
    root: Weak<Root>,
}

/// What came of reading keys again.
#[derive(Debug)]
pub struct Reloaded {
    /// How many keys the list has; or which line is wrong, and why, with the name of the file.
    pub list: io::Result<usize>,
    /// Whether there is a certificate, which is used from now on; or what is wrong with it.
    pub chain: io::Result<bool>,
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
        let has_key = wanted || Identity::default_path().is_ok_and(|path| path.exists());
        let list = match &args.authorized {
            _ if !has_key || args.anyone => None,
            Some(path) => Some(path.clone()),
            None => Some(folder::config()?.join("authorized_peers")),
        };
        let chain = args.cert.clone().zip(args.key.clone());
        let keeper = Keeper::start(Names { list, chain })?;
        let read = keeper.read()?;
        let keys = match read.chain? {
            Some(identity) => Some(lock_and_key(&identity)?),
            None if has_key => Some(lock_and_key(&Identity::open(args.identity.as_deref())?)?),
            None => None,
        };
        let door = Self {
            args,
            keys: RwLock::new(keys),
            announced: wanted,
            local,
            keeper,
            book: RwLock::default(),
            ledgers: Mutex::default(),
            meters: Mutex::default(),
        };
        door.read_list(read.list)?;
        Ok(door)
    }

    /// Reads again what each key may do, and the certificate that was named. Sessions that are open keep the rights that they
    /// began with. What cannot be understood stays as it was before.
    ///
    /// # Cancel safety
    /// Dropping the future leaves everything as it was.
    pub async fn reload(&self) -> Reloaded {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "it could not be read in time");
        match timeout(RELOAD_PATIENCE, self.keeper.read_later()).await.unwrap_or_else(|_| Err(late())) {
            Ok(read) => Reloaded { list: self.read_list(read.list), chain: self.take_chain(read.chain) },
            Err(error) => Reloaded { list: Err(error), chain: Ok(false) },
        }
    }

    fn read_list(&self, text: io::Result<Option<Zeroizing<String>>>) -> io::Result<usize> {
        let Some(path) = self.keeper.list() else { return Ok(0) };
        let named = |text: String| {
            let path = ft_core::path::escape(path.as_os_str().as_encoded_bytes());
            io::Error::new(io::ErrorKind::InvalidData, format!("{path}: {text}"))
        };
        let text = text.map_err(|e| named(e.to_string()))?;
        let book = Book::parse(text.as_ref().map_or("", |text| text)).map_err(named)?;
        let keys = book.len();
        *self.book.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(book);
        Ok(keys)
    }

    fn take_chain(&self, chain: io::Result<Option<Identity>>) -> io::Result<bool> {
        let Some(identity) = chain? else { return Ok(false) };
        let new = lock_and_key(&identity)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(new);
        Ok(true)
    }

    /// What a visitor may do. Whoever needed no key may do what the server allows anybody.
    ///
    /// # Errors
    /// It may do nothing here: what to tell it.
    pub fn admit(&self, visitor: &Visitor) -> Result<Rights, FileError> {
        if visitor.refused {
            return Err(must_encrypt());
        }
        let Some(key) = visitor.key.filter(|_| !self.args.anyone) else { return Ok(Rights::all()) };
        let book = Arc::clone(&self.book.read().unwrap_or_else(PoisonError::into_inner));
        book.of(&key).cloned().ok_or_else(|| {
            let text = format!("the key {key} may not come in; whoever runs this server can authorise it");
            FileError::new(Code::Forbidden, Retry::Never, text)
        })
    }

    /// The books of a key with a quota, over what is beneath its folder. Reads the whole folder for its first session.
    ///
    /// # Errors
    /// The folder cannot be read.
    ///
    /// # Cancel safety
    /// Nothing is kept of an unfinished count.
    pub async fn ledger(
        &self,
        key: Option<Fingerprint>,
        rights: &Rights,
        root: &Arc<Root>,
    ) -> io::Result<Option<Arc<Ledger>>> {
        let Some(key) = key.filter(|_| rights.quota.is_some() || rights.files.is_some()) else { return Ok(None) };
        let ledgers = || self.ledgers.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = Arc::clone(&ledgers().entry(key).or_default().counting);
        // One after the other: a session that stores and ends while another still counts would not be in its sum.
        let turn = turn.lock_owned().await;
        let open = |books: &Books| books.open.upgrade().filter(|_| books.root.ptr_eq(&Arc::downgrade(root)));
        if let Some(ledger) = ledgers().get(&key).and_then(open) {
            return Ok(Some(ledger));
        }
        let (there, files) = (Arc::clone(root), rights.files.is_some());
        // Of a session that has gone the count goes on: it keeps its turn, so that the next one does not begin another beside it.
        let count = move || (measure(&there, files), turn);
        let (stored, _turn) = tokio::task::spawn_blocking(count).await.map_err(io::Error::other)?;
        let ledger = Ledger::new(rights.quota, rights.files, stored?);
        let mut ledgers = ledgers();
        let books = ledgers.entry(key).or_default();
        (books.open, books.root) = (Arc::downgrade(&ledger), Arc::downgrade(root));
        Ok(Some(ledger))
    }

    /// What bounds the rate of a key's sessions together.
    pub fn meter(&self, key: Option<Fingerprint>, rights: &Rights) -> Option<Meter> {
        let (key, rate) = (key?, rights.rate?);
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        // The list may have been read again since: sessions that are open keep the rate that they began with.
        let known = meters.entry(key).or_insert_with(|| Meter::new(rate));
        if known.rate() != rate {
            *known = Meter::new(rate);
        }
        Some(known.clone())
    }

    /// The server's key, if it has one.
    pub fn key(&self) -> Option<Fingerprint> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, key)| *key)
    }

    /// Tells people the key that their clients should see; and that anybody comes in, if so, whoever wants to hear it or not.
    pub fn announce(&self, screen: &Screen) {
        if self.args.insecure && !self.local {
            warn("--insecure: clients on other machines come in without encryption and without a key");
        }
        if let Some(key) = self.key().filter(|_| self.announced) {
            screen.fact(None, &Fact::Note { text: format!("this server's key is {key}") });
        }
        let empty = self.book.read().unwrap_or_else(PoisonError::into_inner).is_empty();
        if let Some(path) = self.keeper.list().filter(|_| self.announced && empty) {
            let path = ft_core::path::escape(path.as_os_str().as_encoded_bytes());
            let text = format!("nobody is authorised yet: {path} needs a line such as ftk1... read write");
            screen.fact(None, &Fact::Note { text });
        }
    }

    /// Lets a connection in as far as its first byte says: TLS or plain. `plain_only` is for dialects without TLS; a client
    /// may be silent for `idle`, and no longer than for [`HELLO_TIMEOUT`].
    ///
    /// # Errors
    /// It said nothing, or the handshake failed; one line for a person.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn enter(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        plain_only: bool,
        idle: Duration,
    ) -> Result<Visitor, String> {
        let local = is_local(peer.ip());
        let plain = |stream| Visitor {
            conn: Conn::Plain(stream),
            key: None,
            refused: if local { self.args.tls } else { !self.args.insecure },
        };
        // Without a key there is no TLS to be spoken, and the session has its own patience.
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((config, _)) = keys.filter(|_| !plain_only) else { return Ok(plain(stream)) };
        let mut first = [0];
        let limit = idle.min(HELLO_TIMEOUT);
        let speaks_tls = match timeout(limit, stream.peek(&mut first)).await {
            Err(_) => {
                let silent = limit.as_secs_f32();
                return Err(format!("the connection failed after 0 bytes: the peer was silent for {silent} s"));
            }
            Ok(Err(e)) => return Err(e.to_string()),
            Ok(Ok(n)) => n == 1 && first[0] == TLS_HANDSHAKE,
        };
        if !speaks_tls {
            return Ok(plain(stream));
        }
        let unproven = tls::accept(stream, config, HELLO_TIMEOUT)
            .await
            .map_err(|e| format!("no encrypted connection: {}", ft_core::path::escape(e.to_string().as_bytes())))?;
        // Who a client is decides what it may do, not whether it is heard: one that may do nothing is told so.
        let key = unproven.key;
        Ok(Visitor { conn: unproven.trusted(), key: Some(key), refused: false })
    }
}

fn lock_and_key(identity: &Identity) -> io::Result<(Arc<ServerConfig>, Fingerprint)> {
    Ok((tls::server_config(identity, &[ALPN])?, identity.fingerprint()))
}

/// What a client hears that came from another machine in the clear.
pub fn must_encrypt() -> FileError {
    let text =
        "this server speaks TLS only to you; ft-cli encrypts towards other machines, and with --tls towards its own";
    FileError::new(Code::Forbidden, Retry::Never, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sessions_of_a_key_share_books_as_long_as_they_share_a_folder() {
        let home = tempfile::tempdir().unwrap();
        let identity = Identity::open(Some(&home.path().join("identity"))).unwrap();
        let args = DoorArgs { identity: Some(home.path().join("identity")), anyone: true, ..DoorArgs::default() };
        let door = Door::new(args, true).unwrap();
        let key = Some(identity.fingerprint());
        let rights = Rights { quota: Some(10), ..Rights::all() };
        let [old, new] = ["old", "new"].map(|name| {
            std::fs::create_dir(home.path().join(name)).unwrap();
            Root::open(&home.path().join(name)).unwrap()
        });
        let first = door.ledger(key, &rights, &old).await.unwrap().unwrap();
        let second = door.ledger(key, &rights, &old).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        // As after a list was read again that names another folder, while the first session goes on.
        let other = door.ledger(key, &rights, &new).await.unwrap().unwrap();
        assert!(!Arc::ptr_eq(&first, &other), "what is in the one folder says nothing about the other");
    }
}
