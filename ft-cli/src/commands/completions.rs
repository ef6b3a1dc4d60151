//! `completions`: what a shell needs to finish our words.

use std::io::{self, Write as _};

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::exit::{Exit, Stop};

/// Prints the script for one shell.
pub(super) fn run(args: &CompletionsArgs) -> Result<Exit, Stop> {
    let mut command = Cli::command();
    let name = command.get_name().to_string();
    // Into memory first: the generator panics when its output does not take it, as a closed pipe does not.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    match io::stdout().lock().write_all(&script) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Stop::failed(format_args!("cannot print: {e}"))),
        Ok(()) | Err(_) => Ok(Exit::Completed),
    }
}
