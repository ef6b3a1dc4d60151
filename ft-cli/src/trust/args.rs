//! What the command line says about trust.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::Fingerprint;
use crate::args::{NamesArg, seconds};
use crate::net::Endpoint;

/// Options of verbs that connect.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Trust")]
pub struct TrustArgs {
    /// The server's key, as `ft-cli key` prints it there; may be repeated
    #[arg(long, value_name = "ftk1...")]
    pub peer: Vec<Fingerprint>,
    /// Trust a server's certificate if one of these signed it: a PEM file, or "system" for the system's own
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca: Option<PathBuf>,
    /// Encrypt on this machine, too; everywhere else that is the default
    #[arg(long)]
    pub tls: bool,
    /// Do not encrypt: everybody on the path can read and change everything
    #[arg(long, conflicts_with_all = ["peer", "ca", "tls"])]
    pub insecure: bool,
    /// The key of this installation, made if missing [default: identity in the folder of ft-cli's settings]
    #[arg(long, value_name = "FILE", env = "FT_IDENTITY", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub identity: Option<PathBuf>,
}

/// Options of `serve`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Trust")]
pub struct DoorArgs {
    /// Keys that may come in, and what each may do (docs/CLI.md) [default: authorized_peers in the folder of ft-cli's settings]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub authorized: Option<PathBuf>,
    /// Let in whoever has a key, known or not
    #[arg(long, conflicts_with = "authorized")]
    pub anyone: bool,
    /// Ask clients on this machine to encrypt and show a key, too
    #[arg(long)]
    pub tls: bool,
    /// Let other machines in without encryption and without a key, labs' programs too
    #[arg(long, conflicts_with = "tls")]
    pub insecure: bool,
    /// The key of this server, made if missing [default: identity in the folder of ft-cli's settings]
    #[arg(long, value_name = "FILE", env = "FT_IDENTITY", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub identity: Option<PathBuf>,
    /// A certificate chain for clients that trust its issuer, PEM
    #[arg(long, value_name = "FILE", requires = "key", value_hint = ValueHint::FilePath)]
    pub cert: Option<PathBuf>,
    /// The private key of --cert, PEM
    #[arg(long, value_name = "FILE", requires = "cert", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
}

/// `send`
#[derive(Args, Debug)]
#[command(
    override_usage = "ft-cli send [OPTIONS] PATH... [CODE@]HOST[:PORT]",
    after_help = "\
Examples:
  ft-cli send photos box                         asks for the code
  ft-cli send notes.txt 7-crossover-clockwork@box

The other side runs `ft-cli recv`, which shows the code. It is good for one sender and three tries."
)]
pub struct SendArgs {
    /// What to send, and last where to
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub args: Vec<OsString>,
    /// Read the code from this open descriptor, such as 0
    #[arg(long, value_name = "N")]
    pub code_fd: Option<u16>,
    /// Time to find and reach the receiver, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub connect_timeout: Duration,
    /// The key of this installation, made if missing [default: identity in the folder of ft-cli's settings]
    #[arg(long, value_name = "FILE", env = "FT_IDENTITY", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub identity: Option<PathBuf>,
}

/// `recv`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli recv                    into this folder
  ft-cli recv inbox --expires 60

It shows a code, which you tell the sender on the phone, and ends when the files are here. Nobody else gets in:
after three wrong tries, or when its time is over, the code is worth nothing.")]
pub struct RecvArgs {
    /// The folder to receive into; made if missing
    #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Where to listen; may be repeated [default: every address of this machine, port 65432]
    #[arg(long, value_name = "ADDR", value_parser = Endpoint::parse_listen)]
    pub listen: Vec<Endpoint>,
    /// How long the code is good for, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub expires: Duration,
    /// Replace files that are here already; otherwise a new one gets another name
    #[arg(long)]
    pub replace: bool,
    /// What to do about names that differ in case or accents only; a file system may take them for one
    #[arg(long, value_enum, value_name = "POLICY", default_value_t = NamesArg::Apart)]
    pub names: NamesArg,
    /// The key of this installation, made if missing [default: identity in the folder of ft-cli's settings]
    #[arg(long, value_name = "FILE", env = "FT_IDENTITY", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub identity: Option<PathBuf>,
}

/// `key`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli key                                   for others to pin or to let in
  ft-cli put notes.txt box --peer ftk1...      only if box has that key
  echo \"$(ft-cli key) write\" >> authorized     let this installation put

Others know this installation by its key. It is made when it is first needed.")]
pub struct KeyArgs {
    /// The key of this installation, made if missing [default: identity in the folder of ft-cli's settings]
    #[arg(long, value_name = "FILE", env = "FT_IDENTITY", hide_env_values = true, value_hint = ValueHint::FilePath)]
    pub identity: Option<PathBuf>,
}
