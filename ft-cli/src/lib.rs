//! What the `ft-cli` program is made of. Reading order: [`args`] (what can be asked), [`exit`] (how it ends), [`net`] (real
//! TCP), [`trust`] (encryption, keys, rights), [`disk`] (real files), [`carry`] (content that the kernel moves between the two),
//! [`wishes`] (options that sit between a session and a disk), [`render`] (what is shown), `pages`
//! (what a browser shows), [`fence`] (what a server can still open), [`loopback`] (the simulator's cases over real TCP), [`jail`] (somebody
//! else's program, contained), `scenarios` (those that come along), [`commands`] (one file per verb).
//!
//! Only this crate reads a clock, opens a socket or a file, and prints.

#![forbid(unsafe_code)]

pub mod args;
pub mod carry;
pub mod commands;
pub mod daemon;
pub mod disk;
pub mod exit;
pub mod fence;
#[cfg(target_os = "linux")]
pub mod grade;
pub mod jail;
pub mod limits;
mod log;
pub mod loopback;
pub mod net;
mod pages;
pub mod proxy;
pub mod render;
mod scenarios;
pub mod trust;
pub mod wishes;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use args::Cli;
use exit::Exit;

/// Parses the command line, runs the verb, and says how it ended.
pub fn main() -> ExitCode {
    if let Some(code) = jail::helper() {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe under `--help` is no error.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { Exit::Completed } else { Exit::Usage }.into();
        }
    };
    log::init(cli.talk.verbose);
    let exit = commands::run(cli);
    let _ = std::io::stdout().flush();
    exit.into()
}
