//! What a jail and its helpers say to each other: one JSON text per packet, with descriptors beside it.

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddrV4;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::Signal as Number;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Breach, Limits, Signal};
use crate::limits::JAIL_MESSAGE;

/// Descriptors beside one message: a program's input, output and errors.
const DESCRIPTORS: usize = 3;

/// What a keeper needs to know before it begins.
#[derive(Serialize, Deserialize)]
pub(super) struct Setup {
    /// The jail's own folder, which holds the three below and `dev`.
    pub(super) root: OsString,
    /// Around the program's current folder.
    pub(super) outer: OsString,
    /// Its home.
    pub(super) home: OsString,
    /// What lies over `/tmp`.
    pub(super) tmp: OsString,
    /// Paths beneath `/tmp` that must still be seen, each with a folder of that name in `tmp`.
    pub(super) shown: Vec<OsString>,
}

/// Asked of a keeper.
#[derive(Serialize, Deserialize)]
pub(super) enum Ask {
    /// A new TCP socket.
    Socket,
    /// A listener.
    Listener(SocketAddrV4),
    /// A socket for the kernel's list of sockets.
    Netlink,
    /// A guard for one more program; its end of the conversation comes beside this.
    Stage,
}

/// A keeper's answer.
#[derive(Serialize, Deserialize)]
pub(super) enum Answer {
    /// Done; what was asked for is beside this.
    Done,
    /// Not done.
    Failed(Failed),
}

/// What a helper could not do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failed {
    /// What it tried, as a person would say it.
    pub(super) step: String,
    /// The system's error number, if it has one.
    errno: Option<i32>,
    /// The error in words, for when it has none.
    text: String,
}

impl Failed {
    pub(super) fn at(step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let step = step.into();
        move |error| Self { step, errno: error.raw_os_error(), text: error.to_string() }
    }

    pub(super) fn error(&self) -> io::Error {
        self.errno.map_or_else(|| io::Error::other(self.text.clone()), io::Error::from_raw_os_error)
    }
}

/// Asked of a guard.
#[derive(Serialize, Deserialize)]
pub(super) enum Order {
    /// Run this; its input, output and errors are beside it.
    Run(Run),
    /// Send this to every process of the program.
    Signal(i32),
    /// Kill the program; says [`News::Ended`] as for any other end.
    Kill,
}

/// A program to run.
#[derive(Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) argv: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) dir: OsString,
    /// Folders that it may write in, for when no namespace says so.
    pub(super) writable: Vec<OsString>,
    pub(super) limits: Bounds,
}

/// [`Limits`], as far as a guard sees to them.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Bounds {
    pub(super) memory: u64,
    pub(super) processes: u32,
    pub(super) file_size: u64,
}

impl From<Limits> for Bounds {
    fn from(limits: Limits) -> Self {
        Self { memory: limits.memory, processes: limits.processes, file_size: limits.file_size }
    }
}

/// What a guard and its stage tell.
#[derive(Serialize, Deserialize)]
pub(super) enum News {
    /// The guard exists; a descriptor of it is beside this.
    Guard {
        /// Its number where the caller lives.
        pid: i32,
    },
    /// The program runs.
    Started,
    /// It could not be started.
    Refused(Failed),
    /// The signal was sent.
    Signalled,
    /// It ended.
    Ended {
        /// Its exit code, or else
        code: Option<i32>,
        /// the signal that ended it.
        signal: Option<i32>,
        breach: Option<Breach>,
        peak: u64,
        left: u32,
    },
}

impl Signal {
    pub(super) fn number(self) -> Number {
        match self {
            Self::Interrupt => Number::INT,
            Self::Terminate => Number::TERM,
            Self::Kill => Number::KILL,
            Self::Stop => Number::STOP,
            Self::Continue => Number::CONT,
        }
    }
}

/// Two ends of a new conversation. Packets: a message is whole or not there.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Says `message`, with copies of `fds`.
pub(super) fn send<T: Serialize>(socket: BorrowedFd<'_>, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut beside = SendAncillaryBuffer::new(&mut room);
    if !fds.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    rustix::io::retry_on_intr(|| sendmsg(socket, &[IoSlice::new(&text)], &mut beside, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// The next message and what is beside it; `None` when the other end is gone.
pub(super) fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut text = vec![0; JAIL_MESSAGE];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut beside = RecvAncillaryBuffer::new(&mut room);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut beside, RecvFlags::CMSG_CLOEXEC)
    });
    let length = match received {
        Ok(message) => message.bytes,
        Err(rustix::io::Errno::CONNRESET) => 0,
        Err(rustix::io::Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
        Err(error) => return Err(error.into()),
    };
    let mut fds = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(new) = message {
            fds.extend(new);
        }
    }
    if length == 0 {
        return Ok(None);
    }
    Ok(Some((serde_json::from_slice(&text[..length])?, fds)))
}
