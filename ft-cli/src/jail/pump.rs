//! The thread that listens to a running program for its caller: its output, and its guard's news.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal as Number, kill_process};

use super::folders::Folders;
use super::running::{Inner, Mark, Reaped, State, marked, pipe};
use super::talk::{self, News, Order};
use super::{Breach, Ended, Status};
use crate::limits::JAIL_KILL;

/// Our ends of a program's streams; those that are done are gone.
pub(super) struct Pipes {
    stdin: Option<(File, Vec<u8>)>,
    stdout: Option<File>,
    stderr: Option<File>,
}

impl Pipes {
    /// Gives a guard its order, with the other ends.
    pub(super) fn order(control: &OwnedFd, order: &Order, stdin: Option<Vec<u8>>) -> io::Result<Self> {
        let (stdin, program_in) = match stdin {
            Some(bytes) => {
                let (ours, theirs) = pipe(false)?;
                (Some((File::from(ours), bytes)), theirs)
            }
            None => (None, OwnedFd::from(File::open("/dev/null")?)),
        };
        let (stdout, program_out) = pipe(true)?;
        let (stderr, program_err) = pipe(true)?;
        talk::send(control.as_fd(), order, &[program_in.as_fd(), program_out.as_fd(), program_err.as_fd()])?;
        Ok(Self { stdin, stdout: Some(stdout.into()), stderr: Some(stderr.into()) })
    }

    /// Waits until something can be done, at most for a while. Nothing says so when `control` is gone.
    fn ready(&self, control: Option<BorrowedFd<'_>>) {
        let mut waits: Vec<PollFd<'_>> = Vec::new();
        waits.extend(control.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        waits.extend(self.stdin.as_ref().map(|(fd, _)| PollFd::new(fd, PollFlags::OUT)));
        waits.extend([&self.stdout, &self.stderr].into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let _ = poll(&mut waits, Some(&rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 }));
    }

    /// Moves what can be moved now.
    fn move_on(&mut self, keep: u64, state: impl Fn(&mut dyn FnMut(&mut State))) {
        if let Some((file, bytes)) = &mut self.stdin {
            match file.write(bytes) {
                Ok(written) => drop(bytes.drain(..written)),
                Err(e) if retried(&e) => {}
                // It does not read: its business.
                Err(_) => bytes.clear(),
            }
            if bytes.is_empty() {
                self.stdin = None;
            }
        }
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        for (pipe, is_error) in [(&mut self.stdout, false), (&mut self.stderr, true)] {
            let Some(file) = pipe else { continue };
            let mut piece = [0; 16 * 1024];
            match file.read(&mut piece) {
                Err(e) if retried(&e) => {}
                Ok(0) | Err(_) => *pipe = None,
                Ok(length) => state(&mut |state| {
                    let kept = if is_error { &mut state.output.stderr } else { &mut state.output.stdout };
                    let fits = length.min(keep.saturating_sub(kept.len()));
                    kept.extend_from_slice(&piece[..fits]);
                    state.output.lost += u64::try_from(length - fits).unwrap_or(0);
                }),
            }
        }
    }
}

fn retried(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Listens until the program and its guard are gone, and then says how it ended.
///
/// `early`: what was heard before.
///
/// `large`: what size is too large, and the files of that size that were there before.
pub(super) fn pump(
    inner: &Inner,
    mut pipes: Pipes,
    early: Option<News>,
    child: Option<Reaped>,
    keep: u64,
    large: (u64, BTreeSet<PathBuf>),
    root: &Path,
) {
    let mut ended = Ended { status: Status::Signal(Number::KILL.as_raw()), breach: None, peak_rss: 0, left: 0 };
    let mut hear = |news| match news {
        News::Ended { code, signal, breach, peak, left } => {
            let killed = signal.unwrap_or(Number::KILL.as_raw());
            let status = code.map_or(Status::Signal(killed), Status::Code);
            ended = Ended { status, breach, peak_rss: peak, left };
        }
        News::Signalled => inner.signalled(),
        News::Guard { .. } | News::Started | News::Refused(_) => {}
    };
    early.map(&mut hear);
    let state = |change: &mut dyn FnMut(&mut State)| change(&mut inner.lock());
    loop {
        pipes.ready(Some(inner.control.as_fd()));
        pipes.move_on(keep, state);
        let mut control = [PollFd::new(&inner.control, PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        if !matches!(poll(&mut control, Some(&now)), Ok(1..)) {
            continue;
        }
        match talk::receive(inner.control.as_fd()) {
            Ok(Some((news, _))) => hear(news),
            Ok(None) | Err(_) => break,
        }
    }
    drop(child);
    if let Some(mark) = &inner.mark {
        sweep(mark);
    }
    // Nobody writes any more; what is still in the pipes is the end of it.
    pipes.stdin = None;
    let end = Instant::now() + JAIL_KILL;
    while (pipes.stdout.is_some() || pipes.stderr.is_some()) && Instant::now() < end {
        pipes.ready(None);
        pipes.move_on(keep, state);
    }
    let (size, before) = large;
    let too_large = || {
        ended.status == Status::Signal(Number::XFSZ.as_raw())
            || Folders::large(root, size).iter().any(|path| !before.contains(path))
    };
    ended.breach = ended.breach.or_else(|| too_large().then_some(Breach::FileSize));
    ended.breach = ended.breach.or_else(|| (inner.lock().output.lost > 0).then_some(Breach::Output));
    inner.end(ended);
}

/// Kills what has got away from its guard.
fn sweep(mark: &Mark) {
    let end = Instant::now() + JAIL_KILL;
    loop {
        let found = marked(mark);
        if found.is_empty() || Instant::now() > end {
            return;
        }
        for pid in found {
            let _ = kill_process(pid, Number::KILL);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
