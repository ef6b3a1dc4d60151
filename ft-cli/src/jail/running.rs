//! A program in a jail, as its caller holds it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal as Number, kill_process, pidfd_open, pidfd_send_signal};
use tokio::sync::Notify;

use super::folders::Folders;
use super::processes::descendants;
use super::pump::{Pipes, pump};
use super::talk::{self, News, Order};
use super::{Ended, JailError, Limits, Output, Signal, Status};
use crate::limits::{JAIL_ANSWER, JAIL_KILL};

/// A variable of the environment that marks a program's processes where no namespace does.
pub(super) type Mark = (OsString, OsString);

/// The mark of one program: the jail's folder is no other jail's.
pub(super) fn mark(root: &Path, number: u64) -> Mark {
    ("FT_JAIL".into(), root.join(number.to_string()).into())
}

/// A program that was started. Dropping it kills all of it.
#[derive(Debug)]
pub struct Running {
    inner: Arc<Inner>,
}

/// What the caller's side and the thread that reads for it share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) control: OwnedFd,
    /// The guard's process: killed, it takes a namespace along.
    guard: OwnedFd,
    pid: i32,
    /// Where nothing else tells the program's processes.
    pub(super) mark: Option<Mark>,
    state: Mutex<State>,
    changed: Condvar,
    told: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) output: Output,
    pub(super) ended: Option<Ended>,
    /// Signals sent by the guard.
    signalled: u64,
}

impl Running {
    /// Gives the guard at the other end of `control` its order, and waits until the program runs.
    pub(super) fn new(
        control: OwnedFd,
        child: Option<(Child, Mark)>,
        order: &Order,
        stdin: Option<Vec<u8>>,
        name: PathBuf,
        limits: Limits,
        root: &Path,
    ) -> Result<Self, JailError> {
        let helper = |error: io::Error| JailError::Helper { step: "starting a guard".into(), error };
        // Dropped on every way out: the guard then ends by itself, and is waited for.
        let (child, mark) = child.map(|(child, mark)| (Reaped(child), mark)).unzip();
        let mut guard = match &child {
            Some(Reaped(child)) => {
                let pid = child.id().cast_signed();
                let handle = Pid::from_raw(pid)
                    .ok_or(rustix::io::Errno::SRCH)
                    .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
                    .map_err(|e| helper(e.into()))?;
                Some((pid, handle))
            }
            None => None,
        };
        let pipes = Pipes::order(&control, order, stdin).map_err(helper)?;
        set_socket_timeout(&control, Timeout::Recv, Some(JAIL_ANSWER)).map_err(|e| helper(e.into()))?;
        let (mut started, mut early) = (false, None);
        while !started || guard.is_none() {
            match talk::receive(control.as_fd()).map_err(helper)? {
                Some((News::Guard { pid }, beside)) => guard = beside.into_iter().next().map(|handle| (pid, handle)),
                Some((News::Started, _)) => started = true,
                Some((News::Refused(failed), _)) if failed.step.is_empty() => {
                    return Err(JailError::Program { name, error: failed.error() });
                }
                Some((News::Refused(failed), _)) => {
                    return Err(JailError::Helper { error: failed.error(), step: failed.step });
                }
                // A short program may end before its guard's stage has been heard.
                Some((ended @ News::Ended { .. }, _)) if started => early = Some(ended),
                Some((News::Ended { .. } | News::Signalled, _)) | None => {
                    return Err(helper(io::Error::other("the guard ended without a word")));
                }
            }
        }
        let Some((pid, guard)) = guard else { return Err(helper(io::ErrorKind::NotFound.into())) };
        let state = Mutex::default();
        let (changed, told) = (Condvar::new(), Notify::new());
        let inner = Arc::new(Inner { control, guard, pid, mark, state, changed, told });
        let large = (limits.file_size, Folders::large(root, limits.file_size));
        let (shared, root) = (Arc::clone(&inner), root.to_owned());
        std::thread::Builder::new()
            .name("jail".into())
            .spawn(move || pump(&shared, pipes, early, child, limits.output, large, &root))
            .map_err(helper)?;
        Ok(Self { inner })
    }

    pub(super) fn weak(&self) -> Weak<Inner> {
        Arc::downgrade(&self.inner)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// None today.
    pub fn try_wait(&mut self) -> io::Result<Option<Ended>> {
        Ok(self.inner.lock().ended)
    }

    /// Waits until it has ended, at most for `limit`; `None`: it still runs.
    ///
    /// # Errors
    /// None today.
    ///
    /// # Cancel safety
    /// Safe; nothing is lost, and the program runs on.
    pub async fn wait(&mut self, limit: Duration) -> io::Result<Option<Ended>> {
        let end = async {
            loop {
                if let Some(ended) = self.inner.lock().ended {
                    return ended;
                }
                self.inner.told.notified().await;
            }
        };
        Ok(tokio::time::timeout(limit, end).await.ok())
    }

    /// The same, blocking this thread.
    ///
    /// # Errors
    /// None today.
    pub fn wait_here(&mut self, limit: Duration) -> io::Result<Option<Ended>> {
        Ok(self.inner.wait(limit))
    }

    /// Sends a signal to every process of the program. When this returns, all have got it.
    ///
    /// # Errors
    /// The program has ended, or its guard does not answer.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let before = self.inner.lock().signalled;
        talk::send(self.inner.control.as_fd(), &Order::Signal(signal.number().as_raw()), &[])?;
        let waiting = |state: &State| state.signalled == before && state.ended.is_none();
        let state = self.inner.wait_while(JAIL_ANSWER, waiting);
        match (state.signalled == before, state.ended) {
            (false, _) => Ok(()),
            (true, Some(_)) => Err(io::ErrorKind::NotFound.into()),
            (true, None) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Kills all of it, and returns when it is gone: within milliseconds, or at most after a few seconds if the kernel does
    /// not let go of a process.
    pub fn kill(&mut self) -> Ended {
        self.inner.kill()
    }

    /// Its processes, as the caller's system numbers them.
    pub fn pids(&self) -> Vec<u32> {
        if self.inner.lock().ended.is_some() {
            return Vec::new();
        }
        descendants(self.inner.pid).iter().map(|one| one.pid.cast_unsigned()).collect()
    }

    /// What it has printed so far.
    pub fn output(&self) -> Output {
        self.inner.lock().output.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.inner.kill();
    }
}

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the end, which must be told once only.
    pub(super) fn end(&self, ended: Ended) {
        self.lock().ended = Some(ended);
        self.changed.notify_all();
        self.told.notify_one();
    }

    /// Records that a signal was sent.
    pub(super) fn signalled(&self) {
        self.lock().signalled += 1;
        self.changed.notify_all();
    }

    fn wait_while(&self, limit: Duration, so: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_timeout_while(self.lock(), limit, |state| so(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn wait(&self, limit: Duration) -> Option<Ended> {
        self.wait_while(limit, |state| state.ended.is_none()).ended
    }

    pub(super) fn kill(&self) -> Ended {
        if let Some(ended) = self.lock().ended {
            return ended;
        }
        // First in the orderly way, after which the guard tells how much was used.
        let _ = talk::send(self.control.as_fd(), &Order::Kill, &[]);
        let in_order = self.wait(JAIL_KILL);
        let ended = in_order.or_else(|| {
            for one in descendants(self.pid) {
                let _ = Pid::from_raw(one.pid).map(|pid| kill_process(pid, Number::KILL));
            }
            let _ = pidfd_send_signal(&self.guard, Number::KILL);
            self.wait(JAIL_ANSWER)
        });
        let status = Status::Signal(Number::KILL.as_raw());
        ended.unwrap_or(Ended { status, breach: None, peak_rss: 0, left: 0 })
    }
}

/// A child that is waited for when the value goes: it ends when its conversation does.
#[derive(Debug)]
pub(super) struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.wait();
    }
}

/// Processes that carry `mark`.
pub(super) fn marked(mark: &Mark) -> Vec<Pid> {
    let mark = [mark.0.as_encoded_bytes(), b"=", mark.1.as_encoded_bytes()].concat();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|&byte| byte == 0).any(|variable| variable == mark) {
            found.push(pid);
        }
    }
    found
}

/// A pipe whose end for us does not block.
pub(super) fn pipe(ours_reads: bool) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let (ours, theirs) = if ours_reads { (read, write) } else { (write, read) };
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}
