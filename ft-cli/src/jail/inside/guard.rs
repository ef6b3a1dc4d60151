//! The guard: starts one program, watches it, and tells how it ended. In namespaces it is the first process of the
//! program's, whose end is the end of all.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio, exit};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group, set_child_subreaper,
    set_parent_process_death_signal, setsid, wait,
};

use super::super::Breach;
use super::super::processes::{descendants, this};
use super::super::talk::{self, Failed, News, Order, Run};
use super::{fence, files, rights, watch};
use crate::limits::JAIL_KILL;

/// What the guard's threads share.
struct Post {
    /// Whether this is the first process of a namespace.
    contained: bool,
    /// This process, as `/proc` numbers it.
    me: i32,
    peak: AtomicU64,
    /// Why the program was killed by us: for a breach, or (`None` inside) because the caller asked.
    killed: Mutex<Option<Option<Breach>>>,
    /// Held while something is done and told: what a signal ended is told after the signal.
    telling: Mutex<()>,
}

/// Guards one program. An error was told to the caller, if it is still there.
pub(super) fn guard(socket: BorrowedFd<'_>, contained: bool) -> Result<(), ()> {
    if contained {
        files::own_processes();
    } else {
        // Orphans come to this process.
        let _ = set_child_subreaper(Some(getpid()));
    }
    // No terminal: the program must not read from the caller's, or send it signals.
    let _ = setsid();
    let Ok(Some((Order::Run(run), beside))) = talk::receive(socket) else { return Err(()) };
    let program = match prepare(&run, contained).and_then(|()| start(&run, beside)) {
        Ok(program) => program,
        Err(failed) => {
            let _ = talk::send(socket, &News::Refused(failed), &[]);
            return Err(());
        }
    };
    let post =
        Post { contained, me: this(), peak: AtomicU64::new(0), killed: Mutex::new(None), telling: Mutex::new(()) };
    talk::send(socket, &News::Started, &[]).map_err(drop)?;
    std::thread::scope(|scope| {
        scope.spawn(|| post.obey(socket));
        scope.spawn(|| {
            let breach = watch::watch(post.me, run.limits, &post.peak);
            post.kill(Some(breach));
        });
        let status = reap(program);
        post.tell(socket, status);
        post.sweep();
        // The other threads wait for what never comes. As the first process of a namespace this one takes all along.
        exit(0)
    })
}

/// Bounds this process, and with it the program.
fn prepare(run: &Run, contained: bool) -> Result<(), Failed> {
    rights::bound(run.limits, contained).map_err(Failed::at("setting limits"))?;
    rights::give_up(contained).map_err(Failed::at("giving up rights"))?;
    if !contained {
        fence::close(&run.writable);
    }
    if contained {
        // After that: whoever's rights change is no longer tied to a parent.
        set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|e| Failed::at("tying a guard to its stage")(e.into()))?;
    }
    Ok(())
}

fn start(run: &Run, beside: Vec<OwnedFd>) -> Result<Pid, Failed> {
    let refused = |error| Failed::at("")(error);
    let (name, args) = run.argv.split_first().ok_or_else(|| refused(io::ErrorKind::InvalidInput.into()))?;
    let mut streams = beside.into_iter().map(Stdio::from);
    let mut next = || streams.next().ok_or_else(|| refused(io::ErrorKind::InvalidInput.into()));
    let child = Command::new(name)
        .args(args)
        .env_clear()
        .envs(run.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&run.dir)
        .stdin(next()?)
        .stdout(next()?)
        .stderr(next()?)
        .process_group(0)
        .spawn()
        .map_err(refused)?;
    // Reaped below, with everything that the program leaves to us.
    let pid = Pid::from_raw(child.id().cast_signed()).ok_or_else(|| refused(io::ErrorKind::NotFound.into()))?;
    rights::bound_memory(pid, run.limits);
    Ok(pid)
}

/// Reaps whatever ends, until the program itself has.
fn reap(program: Pid) -> Option<WaitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == program => return Some(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

impl Post {
    /// Does what the caller says, until it is gone; then all of this has no purpose.
    fn obey(&self, socket: BorrowedFd<'_>) {
        loop {
            match talk::receive(socket) {
                Ok(Some((Order::Signal(number), _))) => {
                    let _telling = self.telling.lock();
                    if let Some(signal) = Signal::from_named_raw(number) {
                        self.signal(signal);
                    }
                    let _ = talk::send(socket, &News::Signalled, &[]);
                }
                Ok(Some((Order::Kill, _))) => self.kill(None),
                Ok(Some((Order::Run(_), _))) => {}
                Ok(None) | Err(_) => {
                    self.sweep();
                    exit(1);
                }
            }
        }
    }

    fn kill(&self, why: Option<Breach>) {
        if let Ok(mut killed) = self.killed.lock() {
            killed.get_or_insert(why);
        }
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if self.contained {
            // To all that this process can see, and it is the first of them.
            let _ = kill_process_group(Pid::INIT, signal);
        } else {
            self.signal_each(signal);
        }
    }

    /// One after the other. Whoever is forked meanwhile is found in the next round; a stopped one forks no more.
    fn signal_each(&self, signal: Signal) {
        let mut reached = Vec::new();
        loop {
            let missed: Vec<i32> =
                descendants(self.me).iter().map(|one| one.pid).filter(|pid| !reached.contains(pid)).collect();
            if missed.is_empty() {
                return;
            }
            for pid in missed {
                reached.push(pid);
                let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, signal));
            }
        }
    }

    fn tell(&self, socket: BorrowedFd<'_>, status: Option<WaitStatus>) {
        let _telling = self.telling.lock();
        let killed = self.killed.lock().map_or(None, |killed| *killed);
        let left = if killed.is_some() { 0 } else { descendants(self.me).len() };
        let news = News::Ended {
            code: status.and_then(WaitStatus::exit_status),
            signal: status.and_then(WaitStatus::terminating_signal),
            breach: killed.flatten(),
            peak: self.peak.load(Ordering::Relaxed),
            left: u32::try_from(left).unwrap_or(u32::MAX),
        };
        let _ = talk::send(socket, &news, &[]);
    }

    /// Kills everything and waits until it is gone. In a namespace the kernel does, when this process exits.
    fn sweep(&self) {
        if self.contained {
            return;
        }
        let end = Instant::now() + JAIL_KILL;
        while Instant::now() < end {
            self.signal_each(Signal::STOP);
            self.signal_each(Signal::KILL);
            // Orphans come here: without a child, not even a dead one, there is nobody. A list of processes proves less, since
            // one may have forked and ended while it was made.
            loop {
                match wait(WaitOptions::NOHANG) {
                    Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
