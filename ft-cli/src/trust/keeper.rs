//! Reads a server's list of keys and its certificate, at the beginning and whenever it is told to.
//!
//! A server fences itself before it serves ([`crate::fence`]), and what it must read again would have to stay within the fence: a
//! whole folder, since a list is replaced by another file of its name, and by default the folder with the private key. So a thread
//! reads that was there before the fence, which holds for a thread and those that it starts. It opens these names and no others,
//! and nothing that a peer says reaches it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};

use tokio::sync::oneshot;

use zeroize::Zeroizing;

use super::folder;
use super::identity::Identity;

/// The files that it reads.
#[derive(Debug)]
pub(super) struct Names {
    /// What each key may do, if that is asked.
    pub(super) list: Option<PathBuf>,
    /// A certificate chain and its key, if there is one.
    pub(super) chain: Option<(PathBuf, PathBuf)>,
}

/// What is in them now.
pub(super) struct Read {
    pub(super) list: io::Result<Option<Zeroizing<String>>>,
    pub(super) chain: io::Result<Option<Identity>>,
}

impl Names {
    fn read(&self) -> Read {
        Read {
            list: self.list.as_deref().map_or(Ok(None), folder::read),
            chain: self.chain.as_ref().map(|(cert, key)| Identity::chain(cert, key)).transpose(),
        }
    }
}

/// What is done with what was read; nothing, if nobody waits any more.
type Reply = Box<dyn FnOnce(Read) + Send>;

/// The entrance of the thread, which ends with it.
#[derive(Debug)]
pub(super) struct Keeper {
    list: Option<PathBuf>,
    ask: Sender<Reply>,
}

impl Keeper {
    /// Starts the thread: to be called before the fence is closed.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn start(names: Names) -> io::Result<Self> {
        let (ask, asked) = channel::<Reply>();
        let list = names.list.clone();
        let answer = move || {
            while let Ok(reply) = asked.recv() {
                reply(names.read());
            }
        };
        std::thread::Builder::new().name("ft-keys".to_owned()).spawn(answer)?;
        Ok(Self { list, ask })
    }

    /// The list, if one is read.
    pub(super) fn list(&self) -> Option<&Path> {
        self.list.as_deref()
    }

    /// What is in the files now. Blocks while they are read.
    ///
    /// # Errors
    /// The thread has gone.
    pub(super) fn read(&self) -> io::Result<Read> {
        let (reply, answer) = channel();
        self.ask.send(Box::new(move |read| drop(reply.send(read)))).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())
    }

    /// The same, for who has other things to do meanwhile.
    ///
    /// # Errors
    /// The thread has gone.
    ///
    /// # Cancel safety
    /// What is read for nobody is thrown away.
    pub(super) async fn read_later(&self) -> io::Result<Read> {
        let (reply, answer) = oneshot::channel();
        self.ask.send(Box::new(move |read| drop(reply.send(read)))).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that reads keys has gone")
}
