//! Runs somebody else's program so that it can do no harm and nothing of it stays: in namespaces of its own where the
//! kernel allows, otherwise as well as can be.
//!
//! A [`Jail`] is a network and a few folders. Programs are started in it, one after the other or side by side. Its network
//! is its own: every port is free, port 80 needs no right, and every IPv4 address leads to the jail itself, so that
//! programs with hard-coded ports and addresses work unmodified. The caller has a leg in it: [`Jail::socket`] connects to
//! what a program serves, [`Jail::listener`] is what a program's client connects to.
//!
//! # Who is who
//!
//! Namespaces can only be entered by processes with a single thread, so this program runs itself again for that, under
//! a verb that no one types ([`helper`]):
//!
//! ```text
//! caller ── keeper                      user, network, mount, IPC and host name namespaces of the jail; makes sockets
//!              └── stage                makes a PID namespace for one program
//!                    └── guard          its first process: bounds itself, starts the program, reaps, measures
//!                          └── program
//! ```
//!
//! When the guard dies, the kernel kills all that is in its namespace; the guard dies when the caller says so, or is gone.
//! Without namespaces there is only the guard, as the one who inherits orphans ("subreaper").
//!
//! # What it does not do
//!
//! A jail is for programs with mistakes, not for those that attack the kernel. The sum of all files is not bounded, only each
//! one. Without namespaces ([`Isolation::Plain`]) a program shares ports with the machine, and could kill its guard.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::limits::{JAIL_FILE, JAIL_MEMORY, JAIL_OUTPUT, JAIL_PROCESSES};

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod folders;
#[cfg(target_os = "linux")]
mod inside;
#[cfg(target_os = "linux")]
mod place;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod pump;
#[cfg(target_os = "linux")]
mod running;
#[cfg(target_os = "linux")]
mod talk;
#[cfg(target_os = "linux")]
mod work;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Jail, Running};
#[cfg(target_os = "linux")]
pub use place::{Jail, program, use_helper};
#[cfg(target_os = "linux")]
pub use running::Running;

/// What a program may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory that all its processes together may use; more is a breach.
    pub memory: u64,
    /// Bytes kept of its standard output, and as many of its errors. More is counted, thrown away and flagged.
    pub output: u64,
    /// Processes at a time; more is a breach.
    pub processes: u32,
    /// Bytes of the largest file that it may write.
    pub file_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: JAIL_MEMORY, output: JAIL_OUTPUT, processes: JAIL_PROCESSES, file_size: JAIL_FILE }
    }
}

/// How well a jail holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Own users, network, processes and folders.
    Namespaces,
    /// A process group with bounds, on the machine's own network.
    Plain {
        /// Why it is no better, and what follows from that: one sentence for a person.
        why: String,
    },
}

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The program and its arguments. A name without a slash is looked for in `PATH`; a relative path begins in
    /// [`Jail::work`].
    pub argv: Vec<OsString>,
    /// Environment beyond what every program in a jail gets: `PATH`, `LANG`, `HOME`, `TMPDIR`, and Python's unbuffered
    /// output. Nothing else of the caller's is passed on.
    pub env: Vec<(OsString, OsString)>,
    /// Bytes on its standard input, then end of file; `None` is `/dev/null`.
    pub stdin: Option<Vec<u8>>,
}

/// A signal that a caller has a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// A polite request to end.
    Terminate,
    /// The end, unasked.
    Kill,
    /// Stand still.
    Stop,
    /// Go on.
    Continue,
}

/// How a program's first process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What a program used more of than it may. The first two end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Breach {
    /// More memory.
    Memory,
    /// More processes.
    Processes,
    /// A larger file.
    FileSize,
    /// More output than was kept.
    Output,
}

/// How a program ended. When this exists, no process of it does any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How the first process ended; killed if somebody ended it.
    pub status: Status,
    /// What it used too much of.
    pub breach: Option<Breach>,
    /// Most memory seen in use at a time by all its processes, bytes; pages that they share are counted for each.
    pub peak_rss: u64,
    /// Processes still running when the first one had ended by itself; they were killed.
    pub left: u32,
}

/// What a program has printed so far, the first bytes up to [`Limits::output`] of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Bytes of both that came after and were not kept.
    pub lost: u64,
}

/// What lies under a name in [`Jail::work`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing, or nothing that can be read.
    Nothing,
    /// A folder, a link, a pipe, a device: it is not looked into.
    NoFile,
    /// A file.
    File {
        /// Its first bytes, as many as were asked for.
        bytes: Vec<u8>,
        /// Bytes in all.
        len: u64,
    },
}

/// Why there is no jail, or no program in it.
#[derive(Debug)]
pub enum JailError {
    /// This system has no way to contain a program.
    NotHere,
    /// The jail's folders could not be made.
    Folder(io::Error),
    /// Our own helper did not do its part: what it was asked, and what went wrong.
    Helper {
        /// What it was asked for.
        step: String,
        /// What came instead.
        error: io::Error,
    },
    /// The program could not be started: it is missing, or no program.
    Program {
        /// Its name, as it was given.
        name: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl fmt::Display for JailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHere => f.write_str("not available here: containing a program needs Linux"),
            Self::Folder(error) => write!(f, "cannot make a folder for the program to run in: {error}"),
            Self::Helper { step, error } => write!(f, "cannot contain a program: {step}: {error}"),
            // Debug: a name is escaped before a terminal sees it.
            Self::Program { name, error } => write!(f, "cannot start {name:?}: {error}"),
        }
    }
}

impl std::error::Error for JailError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotHere => None,
            Self::Folder(error) | Self::Helper { error, .. } | Self::Program { error, .. } => Some(error),
        }
    }
}

/// The verb under which this program is its own helper.
#[cfg(target_os = "linux")]
const VERB: &str = "__jail";

/// Does a helper's work if this process was started as one; `None` if not. To be called before any thread exists.
pub fn helper() -> Option<ExitCode> {
    #[cfg(target_os = "linux")]
    {
        let mut args = std::env::args_os().skip(1);
        if args.next()? == VERB {
            return Some(inside::main(args.next()));
        }
    }
    None
}
