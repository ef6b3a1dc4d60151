//! A jail from outside: made, furnished, used and torn down by its caller.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::{SocketAddrV4, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, Weak};
use std::time::Instant;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, netlink, socket_with};

use super::folders::{Folders, environment};
use super::inside::{Role, fence};
use super::running::{self, Inner, Running};
use super::talk::{self, Answer, Ask, Order, Run};
use super::{Isolation, JailError, Left, Limits, Program, VERB};
use crate::limits::{BACKLOG, JAIL_ANSWER, JAIL_KILL};

/// The program that helpers are made of, when it is not the one that runs.
static HELPER: OnceLock<PathBuf> = OnceLock::new();

/// Makes helpers out of the program at `path`, which must be this one: for tests, which are programs of their own. Only
/// the first call counts.
pub fn use_helper(path: PathBuf) {
    let _ = HELPER.set(path);
}

/// The program that helpers are made of: this one.
///
/// # Errors
///
/// The system does not say what runs.
pub fn program() -> io::Result<PathBuf> {
    HELPER.get().map_or_else(std::env::current_exe, |path| Ok(path.clone()))
}

/// One network and a few folders, in which programs are run. Dropping it kills what runs and removes all.
#[derive(Debug)]
pub struct Jail {
    limits: Limits,
    isolation: Isolation,
    keeper: Option<Keeper>,
    running: Mutex<Vec<Weak<Inner>>>,
    started: AtomicU64,
    // The last: removed when nothing writes in them any more.
    folders: Folders,
}

impl Jail {
    /// A jail as good as this kernel allows; [`Jail::isolation`] says how good. Of `/tmp` programs in it see only the
    /// caller's current folder, if that is there.
    ///
    /// # Errors
    /// No folder for it, or no helper.
    pub fn new(limits: Limits) -> Result<Self, JailError> {
        Self::showing(limits, &[])
    }

    /// The same, in which `shown` can be read as well. It makes a difference for what lies beneath `/tmp`, which is covered
    /// otherwise; the rest of the file system can be read anyway, as far as the caller can.
    ///
    /// # Errors
    /// No folder for it, something in `shown` is not there, or no helper.
    pub fn showing(limits: Limits, shown: &[PathBuf]) -> Result<Self, JailError> {
        let current = std::env::current_dir().ok();
        let shown: Vec<PathBuf> = shown.iter().cloned().chain(current).collect();
        let folders = Folders::new(&shown).map_err(JailError::Folder)?;
        match Keeper::new(&folders)? {
            Ok(keeper) => {
                let isolation = Isolation::Namespaces;
                Ok(Self {
                    limits,
                    isolation,
                    keeper: Some(keeper),
                    running: Mutex::default(),
                    started: AtomicU64::new(0),
                    folders,
                })
            }
            Err(failed) => Self::plain_because(
                limits,
                format!(
                    "this system does not let programs make namespaces of their own ({}: {}): ports are shared with the \
                     machine, so give the port as a placeholder",
                    failed.step,
                    failed.error()
                ),
            ),
        }
    }

    /// A jail without namespaces, even where they are to be had.
    ///
    /// # Errors
    /// No folder for it.
    pub fn plain(limits: Limits) -> Result<Self, JailError> {
        let why = "namespaces were not asked for: ports are shared with the machine, so give the port as a placeholder";
        Self::plain_because(limits, why.into())
    }

    fn plain_because(limits: Limits, mut why: String) -> Result<Self, JailError> {
        if !fence::holds() {
            why.push_str("; and nothing keeps the program from writing, and ending processes, wherever its caller can");
        }
        let folders = Folders::new(&[]).map_err(JailError::Folder)?;
        Ok(Self {
            limits,
            isolation: Isolation::Plain { why },
            keeper: None,
            running: Mutex::default(),
            started: AtomicU64::new(0),
            folders,
        })
    }

    /// How well it holds.
    pub fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    /// The current folder of the programs, by the name under which they find it. What programs have left there is reached by
    /// [`Jail::left`], and files are put there by [`Jail::put`]: a path may lead anywhere once a program has run.
    pub fn work(&self) -> &Path {
        self.folders.work()
    }

    /// What lies under a name in [`Jail::work`]; of a file no more than `most` bytes are read. No link is followed, and nothing
    /// that would be waited for is opened.
    pub fn left(&self, name: impl AsRef<OsStr>, most: u64) -> Left {
        self.folders.inside().read(name.as_ref(), most)
    }

    /// Puts a file into [`Jail::work`], in the place of whatever has its name.
    ///
    /// # Errors
    /// It cannot be written, or the name is no single component.
    pub fn put(&self, name: impl AsRef<OsStr>, content: &[u8]) -> io::Result<()> {
        self.folders.inside().put(name.as_ref(), content)
    }

    /// Removes from [`Jail::work`] what is neither a folder nor hidden. A program may be running.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn tidy(&self) -> io::Result<()> {
        self.folders.inside().tidy()
    }

    /// The names in [`Jail::work`], which are the programs': escape them before a terminal sees them.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        self.folders.inside().names()
    }

    /// What programs have written outside [`Jail::work`] where they could: above it (`../x`), in their home (`~/x`) and
    /// among temporary files (`/tmp/x`, or `$TMPDIR/x` without namespaces). Sorted, not all if there are very many. The
    /// names are the program's: escape them before a terminal sees them.
    pub fn strays(&self) -> Vec<PathBuf> {
        self.folders.strays(if self.keeper.is_some() { "/tmp" } else { "$TMPDIR" })
    }

    /// Empties all folders for the next trial. To be called when nothing runs.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn clear(&mut self) -> io::Result<()> {
        self.folders.clear()
    }

    /// A new TCP socket over IPv4 in the jail's network, nonblocking, to connect with what a program serves.
    ///
    /// # Errors
    /// The jail's keeper is gone, or the system is out of descriptors.
    pub fn socket(&self) -> io::Result<OwnedFd> {
        match &self.keeper {
            Some(keeper) => keeper.given(&Ask::Socket),
            None => Ok(socket_with(AddressFamily::INET, SocketType::STREAM, NEW, Some(ipproto::TCP))?),
        }
    }

    /// A listener in the jail's network, nonblocking. With namespaces every address is one of the jail's: clients reach a
    /// listener on `0.0.0.0` whatever address they connect to.
    ///
    /// # Errors
    /// Somebody listens there already, or the address is not one of this machine (only without namespaces).
    pub fn listener(&self, addr: SocketAddrV4) -> io::Result<TcpListener> {
        if let Some(keeper) = &self.keeper {
            return keeper.given(&Ask::Listener(addr)).map(TcpListener::from);
        }
        let socket = self.socket()?;
        rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &addr)?;
        rustix::net::listen(&socket, BACKLOG.cast_signed())?;
        Ok(socket.into())
    }

    /// A socket for the kernel's list of sockets (`NETLINK_SOCK_DIAG`) in the jail's network, nonblocking.
    ///
    /// # Errors
    /// The jail's keeper is gone, or the system is out of descriptors.
    pub fn netlink(&self) -> io::Result<OwnedFd> {
        match &self.keeper {
            Some(keeper) => keeper.given(&Ask::Netlink),
            None => Ok(socket_with(AddressFamily::NETLINK, SocketType::DGRAM, NEW, Some(netlink::SOCK_DIAG))?),
        }
    }

    /// Starts a program. When this returns, it runs.
    ///
    /// # Errors
    /// [`JailError::Program`]: it cannot be started, which is its sender's fault. Else a helper failed.
    pub fn start(&self, program: &Program) -> Result<Running, JailError> {
        let helper = |step: &str| {
            let step = step.to_owned();
            move |error| JailError::Helper { step, error }
        };
        let (ours, theirs) = talk::pair().map_err(helper("making a conversation"))?;
        let guard = match &self.keeper {
            Some(keeper) => {
                keeper.ask(&Ask::Stage, &[theirs.as_fd()]).map_err(helper("asking for a guard"))?;
                None
            }
            None => Some(spawn(Role::PlainGuard, theirs).map_err(helper("starting a guard"))?),
        };
        let tmp = if self.keeper.is_some() { "/tmp".into() } else { self.folders.tmp() };
        let mut env = environment(self.folders.home(), tmp);
        // One for each program: what is left of one must not take another along.
        let mark = self.keeper.is_none().then(|| {
            let number = self.started.fetch_add(1, Ordering::Relaxed);
            running::mark(self.folders.root(), number)
        });
        env.extend(mark.clone());
        env.extend(program.env.iter().cloned());
        let run = Run {
            argv: program.argv.clone(),
            env,
            dir: self.work().into(),
            writable: self.folders.writable().map(PathBuf::into_os_string).into(),
            limits: self.limits.into(),
        };
        let name = program.argv.first().map_or_else(PathBuf::new, PathBuf::from);
        let stdin = program.stdin.clone();
        let running =
            Running::new(ours, guard.zip(mark), &Order::Run(run), stdin, name, self.limits, self.folders.root())?;
        let mut all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() > 0);
        all.push(running.weak());
        Ok(running)
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        let all = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        for inner in all.iter().filter_map(Weak::upgrade) {
            inner.kill();
        }
        // Before the folders.
        drop(self.keeper.take());
    }
}

const NEW: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// Starts a helper whose conversation is `socket`. In a group of its own: Ctrl-C at a terminal is for the caller, who knows
/// in which order things must end.
fn spawn(role: Role, socket: OwnedFd) -> io::Result<Child> {
    let program = HELPER.get().map_or_else(|| OsString::from("/proc/self/exe"), |path| path.clone().into());
    Command::new(program)
        .arg(VERB)
        .arg(role.name())
        .env_clear()
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// The process that holds the namespaces; it ends when the conversation does.
#[derive(Debug)]
struct Keeper {
    process: Child,
    socket: Option<Mutex<OwnedFd>>,
}

impl Keeper {
    /// Inside an `Ok`: this system does not allow it.
    fn new(folders: &Folders) -> Result<Result<Self, talk::Failed>, JailError> {
        let helper = |error| JailError::Helper { step: "starting the jail's keeper".into(), error };
        let (ours, theirs) = talk::pair().map_err(helper)?;
        set_socket_timeout(&ours, Timeout::Recv, Some(JAIL_ANSWER)).map_err(|e| helper(e.into()))?;
        let process = spawn(Role::Keeper, theirs).map_err(helper)?;
        let keeper = Self { process, socket: Some(Mutex::new(ours)) };
        match keeper.exchange(&folders.setup(), &[]).map_err(helper)? {
            (Answer::Done, _) => Ok(Ok(keeper)),
            (Answer::Failed(failed), _) => Ok(Err(failed)),
        }
    }

    fn exchange<T: serde::Serialize>(&self, what: &T, beside: &[BorrowedFd<'_>]) -> io::Result<(Answer, Vec<OwnedFd>)> {
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the helper ended without a word");
        let socket = self.socket.as_ref().ok_or_else(gone)?;
        let socket = socket.lock().unwrap_or_else(PoisonError::into_inner);
        talk::send(socket.as_fd(), what, beside)?;
        talk::receive(socket.as_fd())?.ok_or_else(gone)
    }

    fn ask(&self, ask: &Ask, beside: &[BorrowedFd<'_>]) -> io::Result<Vec<OwnedFd>> {
        match self.exchange(ask, beside)? {
            (Answer::Done, given) => Ok(given),
            (Answer::Failed(failed), _) => Err(failed.error()),
        }
    }

    fn given(&self, ask: &Ask) -> io::Result<OwnedFd> {
        let given = self.ask(ask, &[])?;
        given.into_iter().next().ok_or_else(|| io::Error::other("the jail's keeper gave nothing"))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.socket.take());
        let end = Instant::now() + JAIL_KILL;
        while Instant::now() < end {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
