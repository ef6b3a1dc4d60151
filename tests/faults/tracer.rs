//! Runs a program and meddles with one of its calls: the k-th one, counted over all its threads, that is about the folders
//! of a transfer. `strace -e inject` counts each call and each thread for itself, so that its k-th is none of the process.
//!
//! x86-64 Linux only: a call is changed in the registers of its thread. No unsafe code: `nix` wraps `ptrace`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::calls::{Call, Process, subject};

/// What is done to the chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is not carried out and fails. (`close` is carried out: it gives its descriptor back whatever it says.)
    Fails(Errno),
    /// It is carried out, and fails: nobody knows what a disk has done before it said so.
    FailsAfter(Errno),
    /// It moves half the bytes that it was asked to.
    Short,
    /// The process is killed (SIGKILL) before the call.
    KillBefore,
    /// The process is killed when the call has been carried out, before it sees that.
    KillAfter,
}

impl Act {
    fn applies(self, call: &Call) -> bool {
        self != Self::Short || call.moves > 1
    }
}

/// The chosen call, from 1, among those to which the act applies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) nth: usize,
    pub(crate) act: Act,
}

/// What a traced program did and said.
#[derive(Debug)]
pub(crate) struct Record {
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) calls: Vec<Call>,
    /// Which of them was meddled with.
    pub(crate) hit: Option<usize>,
    pub(crate) out: Vec<String>,
    pub(crate) err: Vec<String>,
    /// It had to be killed, because it did not end in time.
    pub(crate) hung: bool,
}

/// Exit code, calls, and which of them was meddled with.
type Seen = (Option<i32>, Vec<Call>, Option<usize>);

/// A traced program; it does not outlive the value.
#[derive(Debug)]
pub(crate) struct Traced {
    pid: Pid,
    lines: Receiver<(bool, String)>,
    out: Vec<String>,
    err: Vec<String>,
    met: Arc<AtomicBool>,
    thread: Option<JoinHandle<Seen>>,
}

impl Traced {
    /// Starts `command`; calls count that are about something beneath one of `grounds`.
    #[expect(clippy::zombie_processes, reason = "the tracer waits for it, by its number")]
    pub(crate) fn start(command: &Command, grounds: Vec<PathBuf>, plan: Option<Plan>) -> Self {
        // A shell that waits for a word: it can be seized before the program begins, without unsafe code between fork and exec.
        let mut shell = Command::new("sh");
        shell.args(["-c", "read word; exec \"$0\" \"$@\" </dev/null"]).arg(command.get_program());
        shell.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (tell, lines) = channel();
        let (born, pid) = channel();
        let met = Arc::new(AtomicBool::new(false));
        let meets = Arc::clone(&met);
        let thread = std::thread::spawn(move || {
            let mut child = shell.spawn().expect("a shell");
            let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process number"));
            read_lines(true, child.stdout.take().expect("piped"), tell.clone());
            read_lines(false, child.stderr.take().expect("piped"), tell);
            let options = Options::PTRACE_O_TRACESYSGOOD
                | Options::PTRACE_O_TRACECLONE
                | Options::PTRACE_O_TRACEEXEC
                | Options::PTRACE_O_EXITKILL;
            ptrace::seize(pid, options).expect("it may be traced");
            ptrace::interrupt(pid).expect("it may be stopped");
            child.stdin.take().expect("piped").write_all(b"go\n").expect("it reads");
            born.send(pid).expect("somebody waits");
            // The tracer reaps it itself: `child` must never wait for it.
            Trace { pid, grounds, plan, meets, ..Trace::new(pid) }.run()
        });
        let pid = pid.recv().expect("it was started");
        Self { pid, lines, out: Vec::new(), err: Vec::new(), met, thread: Some(thread) }
    }

    /// The next line of standard output that satisfies; `None` if it ends, or says nothing in time, before.
    pub(crate) fn line(&mut self, within: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let until = Instant::now() + within;
        while let Ok((out, line)) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if out { &mut self.out } else { &mut self.err }.push(line.clone());
            if out && wanted(&line) {
                return Some(line);
            }
        }
        None
    }

    /// Whether the chosen call has been made by now.
    pub(crate) fn has_met(&self) -> bool {
        self.met.load(Ordering::SeqCst)
    }

    /// Sends a signal, if it still runs.
    pub(crate) fn signal(&self, signal: Signal) {
        // Until its thread is joined nobody else can have its number: the tracer ends with it.
        if self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            let _ = kill(self.pid, signal);
        }
    }

    /// Waits for its end, at most so long, and kills it then.
    pub(crate) fn finish(mut self, within: Duration) -> Record {
        let until = Instant::now() + within;
        let mut hung = false;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((out, line)) => if out { &mut self.out } else { &mut self.err }.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    hung = true;
                    self.signal(Signal::SIGKILL);
                    break;
                }
            }
        }
        let thread = self.thread.take().expect("not joined yet");
        while !thread.is_finished() {
            if Instant::now() > until && !hung {
                hung = true;
                let _ = kill(self.pid, Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        let (code, calls, hit) = thread.join().expect("the tracer did not fail");
        Record { code, calls, hit, out: std::mem::take(&mut self.out), err: std::mem::take(&mut self.err), hung }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            if !thread.is_finished() {
                let _ = kill(self.pid, Signal::SIGKILL);
            }
            let _ = thread.join();
        }
    }
}

fn read_lines(out: bool, from: impl Read + Send + 'static, tell: Sender<(bool, String)>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if tell.send((out, line)).is_err() {
                return;
            }
        }
    });
}

/// A call that a thread is in.
struct Inside {
    /// Its place in the record, if it is about a ground.
    place: Option<usize>,
    act: Option<Act>,
}

struct Trace {
    pid: Pid,
    grounds: Vec<PathBuf>,
    plan: Option<Plan>,
    begun: bool,
    inside: BTreeMap<Pid, Inside>,
    calls: Vec<Call>,
    /// Calls so far to which the act applies.
    candidates: usize,
    hit: Option<usize>,
    meets: Arc<AtomicBool>,
}

impl Trace {
    fn new(pid: Pid) -> Self {
        let (inside, calls) = (BTreeMap::new(), Vec::new());
        let meets = Arc::default();
        Self { pid, grounds: Vec::new(), plan: None, begun: false, inside, calls, candidates: 0, hit: None, meets }
    }

    fn run(mut self) -> Seen {
        let mut code = None;
        // Only what this thread traces: other tests have children of their own.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::from_bits_retain(libc::__WNOTHREAD);
        loop {
            let status = match waitpid(None, Some(flags)) {
                Ok(status) => status,
                Err(Errno::EINTR) => continue,
                Err(_) => return (code, self.calls, self.hit),
            };
            let (thread, signal) = match status {
                WaitStatus::PtraceSyscall(thread) => {
                    self.call(thread);
                    (thread, None)
                }
                WaitStatus::PtraceEvent(thread, _, event) => {
                    self.begun |= event == libc::PTRACE_EVENT_EXEC;
                    (thread, None)
                }
                WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
                WaitStatus::Exited(thread, status) => {
                    if thread == self.pid {
                        code = Some(status);
                    }
                    continue;
                }
                WaitStatus::Signaled(..) | WaitStatus::Continued(_) | WaitStatus::StillAlive => continue,
            };
            // A thread that is gone by now was killed.
            let _ = ptrace::syscall(thread, signal);
        }
    }

    fn call(&mut self, thread: Pid) {
        let Ok(info) = ptrace::syscall_info(thread) else { return };
        match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => self.enter(thread),
            libc::PTRACE_SYSCALL_INFO_EXIT => self.leave(thread),
            _ => {}
        }
    }

    fn enter(&mut self, thread: Pid) {
        let (true, Ok(mut regs)) = (self.begun, ptrace::getregs(thread)) else { return };
        let args = [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8];
        let Some(mut call) = subject(regs.orig_rax, args, &Process(self.pid)) else { return };
        if !self.grounds.iter().any(|ground| call.path.starts_with(ground)) {
            return;
        }
        call.path = self.shown(&call.path);
        let mut act = None;
        if let Some(plan) = self.plan.filter(|plan| plan.act.applies(&call)) {
            self.candidates += 1;
            if self.candidates == plan.nth {
                (act, self.hit) = (Some(plan.act), Some(self.calls.len()));
                self.meets.store(true, Ordering::SeqCst);
            }
        }
        match act {
            Some(Act::KillBefore) => {
                let _ = kill(self.pid, Signal::SIGKILL);
            }
            Some(Act::Fails(_)) if call.name != "close" => {
                regs.orig_rax = u64::MAX;
                let _ = ptrace::setregs(thread, regs);
            }
            Some(Act::Short) => {
                // The count is the third argument, but the fourth of sendfile and the fifth of splice.
                let count = match call.name {
                    "sendfile" => &mut regs.r10,
                    "splice" => &mut regs.r8,
                    _ => &mut regs.rdx,
                };
                *count = (*count / 2).max(1);
                let _ = ptrace::setregs(thread, regs);
            }
            Some(Act::Fails(_) | Act::FailsAfter(_) | Act::KillAfter) | None => {}
        }
        self.inside.insert(thread, Inside { place: Some(self.calls.len()), act });
        self.calls.push(call);
    }

    fn leave(&mut self, thread: Pid) {
        let Some(Inside { place: Some(place), act }) = self.inside.remove(&thread) else { return };
        let Ok(mut regs) = ptrace::getregs(thread) else { return };
        match act {
            Some(Act::Fails(errno) | Act::FailsAfter(errno)) => {
                regs.rax = i64::from(-(errno as i32)).cast_unsigned();
                let _ = ptrace::setregs(thread, regs);
            }
            Some(Act::KillAfter) => {
                let _ = kill(self.pid, Signal::SIGKILL);
            }
            Some(Act::Short | Act::KillBefore) | None => {}
        }
        self.calls[place].result = Some(regs.rax.cast_signed());
    }

    /// A path beneath its ground, for people.
    fn shown(&self, path: &Path) -> PathBuf {
        let ground = self.grounds.iter().find(|ground| path.starts_with(ground));
        let name = |ground: &PathBuf| PathBuf::from(ground.file_name().unwrap_or_default());
        match ground {
            Some(ground) => name(ground).join(path.strip_prefix(ground).unwrap_or(path)),
            None => path.to_owned(),
        }
    }
}
