//! `demo`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// `demo`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli demo                   all lessons, from the first
  ft-cli demo 3                 one of them
  ft-cli demo --list            what there is
  ft-cli demo --no-input 3      everything at once, without questions
  ft-cli demo --real 3          and once more over real TCP
  ft-cli demo --html page.html  all of them, for a browser

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
    /// Play every run over real TCP on this machine as well, and compare
    #[arg(long)]
    pub real: bool,
    /// Sentences instead of pictures, for a screen reader
    #[arg(long)]
    pub plain: bool,
    /// Write the lessons as one page for a browser, which needs nothing else
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["list", "no_input", "plain"])]
    pub html: Option<PathBuf>,
}
