//! `grade`: which programs, in which dialect, and where the reports go.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::TextStyle;
use crate::grade::Verb;

/// `grade`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli grade --dialect pipe --server 'python3 server.py'
  ft-cli grade --dialect pipe --client 'java -cp build Client {file}'
  ft-cli grade --dialect addfile --server ./server --client './client {host} {port} {file}' --out report
  ft-cli grade --config lab.toml --server 'node server.js' --format gradescope
  ft-cli grade --dialect pipe --server 'python3 server.py' --replay server/split-header

In a command {file} is the file to send, {host} and {port} where to connect or listen, {out} the folder to store into.
Programs with a hard-coded address and port work as they are: each runs in a network of its own.

Exit codes:
  0  no program fell where it could have stood
  1  failed: a pitfall was found three times out of three
  2  usage: the command line or the config does not make sense
  4  a program cannot do the plain transfer: nothing is graded
  5  inconclusive: nothing failed for certain, something could not be told
  6  the grader itself could not go on

docs/GRADING.md is the guide.")]
pub struct GradeArgs {
    /// The server to grade, as you would type it
    #[arg(long, value_name = "CMD")]
    pub server: Option<String>,
    /// The client to grade, as you would type it
    #[arg(long, value_name = "CMD")]
    pub client: Option<String>,
    /// What they speak: lab A, lab B, or anything at all [default: opaque, or as the config says]
    #[arg(long, value_enum)]
    pub dialect: Option<GradeDialect>,
    /// Lab B: what is asked for
    #[arg(long, value_enum)]
    pub verb: Option<Verb>,
    /// Lab B: how texts end [default: both are tried]
    #[arg(long, value_enum)]
    pub text: Option<TextStyle>,
    /// The port that the programs use [default: 65432 in lab A, 80 in lab B; a server's is found by itself]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Read what is not said here from a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// How much is tried
    #[arg(long, value_enum)]
    pub profile: Option<Profile>,
    /// Only this finding, such as server/split-header; may be repeated
    #[arg(long, value_name = "ID")]
    pub replay: Vec<String>,
    /// Hints instead of explanations
    #[arg(long)]
    pub student: bool,
    /// Write every kind of report into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Report")]
    pub out: Option<PathBuf>,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = GradeFormat::Text, help_heading = "Report")]
    pub format: GradeFormat,
    /// Also clamp what the program's reads return, by ptrace: exact where nothing else is, and slow
    #[arg(long, help_heading = "Running")]
    pub clamp: bool,
    /// Do without namespaces even if the kernel has them
    #[arg(long, help_heading = "Running")]
    pub plain: bool,
    /// Programs that run side by side
    #[arg(long, value_name = "N", help_heading = "Running", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: Option<u16>,
    /// Memory that a program may use, MiB
    #[arg(long, value_name = "MIB", help_heading = "Running", value_parser = clap::value_parser!(u64).range(16..=65_536))]
    pub memory: Option<u64>,
}

/// `--dialect`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GradeDialect {
    /// Lab A: name|size, ACK, data
    Pipe,
    /// Lab B: UPLOAD, DOWNLOAD, addfile
    Addfile,
    /// This project's protocol, against this program
    Ft1,
    /// Whatever they speak to each other
    Opaque,
}

/// `--profile`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// What a lab asks for
    Basic,
    /// Everything
    #[default]
    Full,
}

/// `--format`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GradeFormat {
    /// For a person
    #[default]
    Text,
    /// One document
    Json,
    /// For CI servers
    Junit,
    /// results.json of an autograder
    Gradescope,
    /// A page
    Html,
}
