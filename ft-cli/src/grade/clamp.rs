//! Cuts what a program's reads return, from outside: `ptrace(2)` on the calls themselves.
//!
//! The proxy's gate needs a kernel that says what a socket holds, and a program that reads what has come before more comes.
//! Where that is not so, a boundary can still be had exactly: the length that a `read` or `recvfrom` asks for is made
//! smaller before the kernel sees it, so that no call crosses the place. It works on any program of this machine, static
//! ones too, and makes every system call slow, which is why it is asked for.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::proxy::Diag;

/// Time for a program's threads to be taken under control.
const ATTACH: Duration = Duration::from_secs(2);
/// `read` and `recvfrom` on x86-64: what every language's receiving ends in.
const CALLS: [u64; 2] = [0, 45];
/// What the kernel has in the result's place when a call is about to begin.
const BEGINS: i64 = -38;

/// A program whose reads are cut. It is under control until it ends: the caller ends it, and the thread that follows it
/// ends then.
pub(super) struct Clamp {
    /// Boundaries at which a read has ended.
    met: Arc<AtomicUsize>,
    wanted: usize,
}

/// The connection in question.
pub(super) struct Place {
    /// Whom to ask which of the program's descriptors it is.
    pub(super) diag: Diag,
    /// The program's address, and ours.
    pub(super) ends: (SocketAddr, SocketAddr),
    /// Offsets that no read crosses, sorted.
    pub(super) boundaries: Vec<u64>,
}

impl Clamp {
    /// Takes every thread of these processes under control.
    ///
    /// # Errors
    ///
    /// The kernel does not allow it, or the program has ended.
    pub(super) fn attach(pids: Vec<u32>, place: Place) -> io::Result<Self> {
        let (tell, told) = mpsc::channel();
        let (met, wanted) = (Arc::<AtomicUsize>::default(), place.boundaries.len());
        let counter = Arc::clone(&met);
        // Only the thread that took a program under control may command it.
        thread::Builder::new().name("clamp".into()).spawn(move || match seize(&pids) {
            Ok(()) => {
                let _ = tell.send(Ok(()));
                Tracer { place, met: counter, inode: None, taken: 0, begun: HashMap::new() }.run();
            }
            Err(error) => {
                let _ = tell.send(Err(error));
            }
        })?;
        match told.recv_timeout(ATTACH) {
            Ok(result) => result.map(|()| Self { met, wanted }),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Clamp {
    /// Some read has ended at every boundary.
    pub(super) fn is_exact(&self) -> bool {
        self.met.load(Ordering::Relaxed) == self.wanted
    }
}

fn seize(pids: &[u32]) -> io::Result<()> {
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_EXITKILL;
    let mut seized = 0;
    for pid in pids {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for task in tasks.flatten() {
            let Some(tid) = task.file_name().to_str().and_then(|name| name.parse().ok()).map(Pid::from_raw) else {
                continue;
            };
            match ptrace::seize(tid, options).and_then(|()| ptrace::interrupt(tid)) {
                Ok(()) => seized += 1,
                // It has just ended.
                Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    if seized == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) }
}

/// A call under way.
struct Call {
    /// The length that the program asked for, to be put back.
    asked: u64,
    is_ours: bool,
}

struct Tracer {
    place: Place,
    met: Arc<AtomicUsize>,
    /// The connection's own number, when the program has it.
    inode: Option<u32>,
    /// Bytes that its reads have returned.
    taken: u64,
    /// By thread.
    begun: HashMap<Pid, Call>,
}

impl Tracer {
    /// Follows the program to its end.
    fn run(mut self) {
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            let (pid, signal) = match waitpid(None, Some(flags)) {
                Ok(WaitStatus::PtraceSyscall(pid)) => {
                    self.call(pid);
                    (pid, None)
                }
                Ok(WaitStatus::PtraceEvent(pid, ..)) => (pid, None),
                Ok(WaitStatus::Stopped(pid, signal)) => (pid, Some(signal)),
                Ok(
                    WaitStatus::Exited(..)
                    | WaitStatus::Signaled(..)
                    | WaitStatus::Continued(_)
                    | WaitStatus::StillAlive,
                )
                | Err(Errno::EINTR) => continue,
                // Nobody is left.
                Err(_) => return,
            };
            // It may have been killed in between.
            let _ = ptrace::syscall(pid, signal);
        }
    }

    /// A call begins or ends.
    fn call(&mut self, pid: Pid) {
        let Ok(mut regs) = ptrace::getregs(pid) else { return };
        if !CALLS.contains(&regs.orig_rax) {
            self.begun.remove(&pid);
            return;
        }
        if regs.rax.cast_signed() == BEGINS && !self.begun.contains_key(&pid) {
            let is_ours = self.is_ours(pid, regs.rdi);
            let asked = regs.rdx;
            if is_ours && let Some(next) = self.place.boundaries.iter().find(|at| **at > self.taken) {
                regs.rdx = asked.min(next - self.taken);
                if regs.rdx != asked {
                    let _ = ptrace::setregs(pid, regs);
                }
            }
            self.begun.insert(pid, Call { asked, is_ours });
        } else if let Some(call) = self.begun.remove(&pid) {
            if call.is_ours && regs.rax.cast_signed() > 0 {
                self.taken += regs.rax;
                let is_boundary = self.place.boundaries.contains(&self.taken);
                self.met.fetch_add(usize::from(is_boundary), Ordering::Relaxed);
            }
            if regs.rdx != call.asked {
                // The program may rely on its registers.
                regs.rdx = call.asked;
                let _ = ptrace::setregs(pid, regs);
            }
        }
    }

    fn is_ours(&mut self, pid: Pid, descriptor: u64) -> bool {
        let Ok(link) = std::fs::read_link(format!("/proc/{pid}/fd/{descriptor}")) else { return false };
        let Some(inode) = link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        else {
            return false;
        };
        if self.inode.is_none() {
            let (local, remote) = self.place.ends;
            let seen = self.place.diag.find(local, remote).ok().flatten();
            self.inode = seen.map(|seen| seen.inode()).filter(|inode| *inode != 0);
        }
        self.inode == Some(inode)
    }
}
