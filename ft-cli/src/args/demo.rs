//! `demo`.

use clap::Args;

/// `demo`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli demo                   all lessons, from the first
  ft-cli demo 3                 one of them
  ft-cli demo --list            what there is
  ft-cli demo --no-input 3      everything at once, without questions

Every run is made when it is shown. docs/LESSONS.md is the course, for teachers.")]
pub struct DemoArgs {
    /// The lesson, by number or name [default: all, in order]
    pub lesson: Option<String>,
    /// List the lessons
    #[arg(long, conflicts_with_all = ["lesson", "no_input"])]
    pub list: bool,
    /// Show everything in order, and wait for nobody
    #[arg(long)]
    pub no_input: bool,
    /// Sentences instead of pictures, for a screen reader
    #[arg(long)]
    pub plain: bool,
}
