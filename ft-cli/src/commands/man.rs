//! `man`: manual pages, made from the same definition as `--help`.

use clap::CommandFactory as _;

use crate::args::{Cli, ManArgs};
use crate::exit::{Exit, Stop};
use crate::render::Screen;

/// Writes `ft-cli.1` and one page for each verb.
pub(super) fn run(args: &ManArgs, screen: &Screen) -> Result<Exit, Stop> {
    let failed = |e| Stop::failed(format_args!("cannot write to {}: {e}", args.dir.display()));
    std::fs::create_dir_all(&args.dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), &args.dir).map_err(failed)?;
    screen.line(&format!("manual pages written to {}", args.dir.display()));
    Ok(Exit::Completed)
}
