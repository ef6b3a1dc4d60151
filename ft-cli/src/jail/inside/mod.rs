//! The helpers: this program, started again with a single thread and its conversation as standard input.

pub(super) mod fence;
mod files;
mod guard;
mod keeper;
mod network;
mod rights;
mod watch;

use std::ffi::OsString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Pid, PidfdFlags, pidfd_open, set_parent_process_death_signal};

use super::VERB;
use super::talk::{self, Failed, News};

/// Which helper a process is.
#[derive(Clone, Copy)]
pub(super) enum Role {
    /// Holds the namespaces of a jail.
    Keeper,
    /// Makes the namespace of one program.
    Stage,
    /// Starts and watches one program, as the first process of its namespace.
    Guard,
    /// The same without namespaces.
    PlainGuard,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Keeper => "keeper",
            Self::Stage => "stage",
            Self::Guard => "guard",
            Self::PlainGuard => "plain-guard",
        }
    }

    fn from_name(name: &OsString) -> Option<Self> {
        [Self::Keeper, Self::Stage, Self::Guard, Self::PlainGuard].into_iter().find(|role| name == role.name())
    }
}

/// Does one helper's work.
pub(super) fn main(role: Option<OsString>) -> ExitCode {
    let stdin = std::io::stdin();
    let socket = stdin.as_fd();
    let done = match role.as_ref().and_then(Role::from_name) {
        Some(Role::Keeper) => {
            close_inherited();
            keeper::keep(socket)
        }
        Some(Role::Stage) => stage(socket),
        Some(Role::Guard) => guard::guard(socket, true),
        Some(Role::PlainGuard) => {
            close_inherited();
            guard::guard(socket, false)
        }
        None => return ExitCode::from(2),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(()) => ExitCode::FAILURE,
    }
}

/// The command that makes a helper out of this program. `/proc/self/exe` works where the program's own path is hidden.
fn again(role: Role, conversation: Stdio) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(VERB).arg(role.name()).env_clear().stdin(conversation).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Closes what somebody left open for this process: it would be open in the program as well, which has no right to it.
/// Nothing here has opened anything yet.
fn close_inherited() {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&number| number > 2)
        .collect();
    for number in open {
        // One of them was the folder's own, closed by now.
        let _ = nix::unistd::close(number);
    }
}

/// A process cannot enter a new PID namespace, only its children can: so one process for each namespace. It stays until
/// the guard is reaped: then, and only then, the conversation ends on the caller's side.
fn stage(socket: std::os::fd::BorrowedFd<'_>) -> Result<(), ()> {
    let make = || -> Result<_, Failed> {
        set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .map_err(|e| Failed::at("tying a stage to its keeper")(e.into()))?;
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID | nix::sched::CloneFlags::CLONE_NEWNS)
            .map_err(|e| Failed::at("making a namespace of processes")(e.into()))?;
        let guard = again(Role::Guard, Stdio::inherit()).spawn().map_err(Failed::at("starting a guard"))?;
        let pid = guard.id().cast_signed();
        let handle: OwnedFd = Pid::from_raw(pid)
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
            .map_err(|e| Failed::at("holding on to a guard")(e.into()))?;
        Ok((guard, pid, handle))
    };
    match make() {
        Ok((mut guard, pid, handle)) => {
            let told = talk::send(socket, &News::Guard { pid }, &[handle.as_fd()]);
            if told.is_err() {
                let _ = guard.kill();
            }
            guard.wait().map(drop).map_err(drop)
        }
        Err(failed) => {
            let _ = talk::send(socket, &News::Refused(failed), &[]);
            Err(())
        }
    }
}
