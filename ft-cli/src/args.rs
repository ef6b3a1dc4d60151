//! The command line, as clap reads it. Defaults come from [`crate::limits`]; meaning is the commands' business.

mod demo;
#[cfg(target_os = "linux")]
mod grade;
mod proxy;
mod sim;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser as _, ValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use ft_core::limits::MAX_JOINED;

use crate::limits;
use crate::net::{Endpoint, Meter, Target};
use crate::trust::{DoorArgs, KeyArgs, RecvArgs, SendArgs, TrustArgs};

pub use demo::DemoArgs;
#[cfg(target_os = "linux")]
pub use grade::{GradeArgs, GradeDialect, GradeFormat, Profile};
pub use proxy::{Listen, ProxyArgs};
pub use sim::{
    ExploreArgs, MapArgs, MapFormat, ReplayArgs, SimArgs, SimRunArgs, SimVerb, TraceArgs, TraceFormat, WorldArg,
};

/// Moves files over TCP: verified, resumable, and durable when it says done.
#[derive(Debug, Parser)]
#[command(name = "ft-cli", version, max_term_width = 100, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// How much is said, and how.
    #[command(flatten)]
    pub talk: Talk,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  completed: verified and stored as promised
  1  failed: nothing is half-done under a final name
  2  usage: the command line does not make sense
  3  unknown: all was sent, the answer never came; run it again to know
  4  refused: the session was in order, some files were refused, missing or unreadable
  130  interrupted: Ctrl-C; what has arrived is kept, run it again to go on
sim has its own: ft-cli sim --help";

/// Options of every verb.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct Talk {
    /// Print one JSON object a line on standard output instead of text (docs/CLI.md lists them)
    #[arg(long, global = true)]
    pub json: bool,
    /// Print errors only
    #[arg(short, long, global = true, conflicts_with = "json")]
    pub quiet: bool,
    /// Log to standard error; twice for every event (FT_LOG holds a filter and wins)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Send one file to yourself through real TCP and watch every step
    Try(TryArgs),
    /// Twelve lessons about byte streams: predict, run, understand
    Demo(DemoArgs),
    /// Receive into a folder and serve from it
    Serve(ServeArgs),
    /// Push files and folders to a server
    Put(PutArgs),
    /// Pull files and folders from a server
    Get(GetArgs),
    /// List what a server has
    Ls(LsArgs),
    /// Send files to somebody who has told you a one-time code
    Send(SendArgs),
    /// Show a one-time code, and receive from whoever knows it
    Recv(RecvArgs),
    /// Print the key by which others know this installation
    Key(KeyArgs),
    /// Prove, explore, shrink and replay in a simulated network
    Sim(SimArgs),
    /// Put anybody's client and server through the schedules, and name the pitfalls
    #[cfg(target_os = "linux")]
    Grade(GradeArgs),
    /// Play a schedule, or a slow path, between any two programs
    Proxy(ProxyArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages into a folder
    Man(ManArgs),
}

/// `try`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli try                 send README.md
  ft-cli try photo.jpg       send something of yours
  ft-cli try --into landed   choose where it lands")]
pub struct TryArgs {
    /// The file to send
    #[arg(default_value = "README.md", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Folder to land in; made if missing [default: a new one in the system's temporary folder]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub into: Option<PathBuf>,
}

const LISTEN_HELP: &str = "Address to listen on, port 0 for any free one; may be repeated \
                           [default: 127.0.0.1:65432 and, if there is one, [::1]:65432]";

/// `serve`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli serve                              this folder, to programs on this machine
  ft-cli serve inbox --drop-only            others may put, and neither list nor get
  ft-cli serve pub --read-only --anyone --listen 0.0.0.0:65432     to everybody who can reach this machine
  ft-cli serve inbox --dialect pipe         for programs written for lab A

On this machine the server asks nobody who they are. Other machines need TLS and a key that is authorised.
The first SIGINT or SIGTERM stops accepting and lets transfers finish, the second ends them.")]
pub struct ServeArgs {
    /// The folder to receive into and serve from
    #[arg(default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Where to listen; loopback if nothing is said.
    #[arg(long, value_name = "ADDR", help = LISTEN_HELP, value_parser = Endpoint::parse_listen)]
    pub listen: Vec<Endpoint>,
    /// Serve one connection, then exit with its outcome
    #[arg(long)]
    pub once: bool,
    /// Nobody may put
    #[arg(long, conflicts_with = "drop_only")]
    pub read_only: bool,
    /// Everybody may put, nobody may list or get
    #[arg(long)]
    pub drop_only: bool,
    /// What to do about a file that is there already [default: as the client asks, replace if it does not say]
    #[arg(long, value_enum)]
    pub overwrite: Option<OverwriteArg>,
    /// What to do about names that differ in case or accents only; a file system may take them for one
    #[arg(long, value_enum, value_name = "POLICY", default_value_t = NamesArg::Apart)]
    pub names: NamesArg,
    /// Least that "stored" means
    #[arg(long, value_enum, default_value_t = Durability::Durable)]
    pub durability: Durability,
    /// Move content through this program's memory, as on systems whose kernel cannot move it from connection to file
    #[arg(long)]
    pub copy: bool,
    /// Connections served at once; more are told that the server is busy
    #[arg(long, value_name = "N", default_value_t = limits::CONNECTIONS, value_parser = count)]
    pub max_connections: usize,
    /// Connections served at once for one address [default: 32 for each of other machines]
    #[arg(long, value_name = "N", value_parser = count)]
    pub per_address: Option<usize>,
    /// Bytes a second, each way, over all connections together: 500k, 10M, 1G
    #[arg(long, value_name = "BYTES/S", value_parser = rate)]
    pub rate: Option<Meter>,
    /// Compress content on its way: auto does where the path turns out slower than that takes
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = CompressArg::Auto)]
    pub compress: CompressArg,
    /// Silence of a client, in seconds, that ends its session
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
    /// Show numbers for Prometheus at /metrics, and /health, over plain HTTP at this address
    #[arg(long, value_name = "ADDR", value_parser = Endpoint::parse_listen)]
    pub metrics: Option<Endpoint>,
    /// Protocol to speak; auto tells them apart by the first bytes
    #[arg(long, value_enum, help_heading = "Dialect", default_value_t = ServeDialect::Auto)]
    pub dialect: ServeDialect,
    /// How the lab dialects are spoken
    #[arg(long, value_enum, help_heading = "Dialect", default_value_t = LabStyle::Careful)]
    pub lab: LabStyle,
    /// How the texts of a naive lab B end; careful answers as it was asked
    #[arg(long, value_enum, help_heading = "Dialect", default_value_t = TextStyle::Bare)]
    pub text: TextStyle,
    /// Who may come in.
    #[command(flatten)]
    pub door: DoorArgs,
}

/// Options of every verb that connects.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Silence of the server, in seconds, that ends a session
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
    /// Time to find and reach the server, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub connect_timeout: Duration,
    /// New connections to try when one breaks; only what is not done yet is sent again
    #[arg(long, value_name = "N", default_value_t = limits::RETRIES)]
    pub retries: u32,
    /// Encryption and keys.
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// Options of `put` and `get` alike.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Transfer")]
pub struct Transfer {
    /// Continue files of which a part has arrived (the default)
    #[arg(long, overrides_with = "no_resume")]
    pub resume: bool,
    /// Send every file from its beginning
    #[arg(long)]
    pub no_resume: bool,
    /// Show what would be done, move nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Move content through this program's memory, as on systems whose kernel cannot move it from file to connection
    #[arg(long)]
    pub copy: bool,
    /// Connections that share the work, when several PATHs are given
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(limits::JOBS_MAX)))]
    pub jobs: u16,
    /// Bytes a second, each way, over all connections together: 500k, 10M, 1G
    #[arg(long, value_name = "BYTES/S", value_parser = rate)]
    pub rate: Option<Meter>,
    /// Connections that carry the content of one session: 1 to 8, or auto: four where one is held back by losses or by this
    /// system's send buffer
    #[arg(long, value_name = "N", default_value = "auto", value_parser = Streams::parse)]
    pub streams: Streams,
    /// Compress content on its way: auto does where the path turns out slower than that takes
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = CompressArg::Auto)]
    pub compress: CompressArg,
    /// Leave out everything that no GLOB matches; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// Leave out what matches GLOB; may be repeated, and wins over --include
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// What to do about symbolic links
    #[arg(long, value_enum, default_value_t = LinksArg::Skip)]
    pub links: LinksArg,
    /// What to do about a file that is there already [default: put: as the server decides, get: never]
    #[arg(long, value_enum)]
    pub overwrite: Option<OverwriteArg>,
    /// How to tell that the other side has a file already
    #[arg(long, value_enum, default_value_t = CompareArg::Quick)]
    pub compare: CompareArg,
    /// The same as --compare content
    #[arg(long, conflicts_with = "compare")]
    pub checksum: bool,
    /// What "stored" must mean
    #[arg(long, value_enum, default_value_t = Durability::Durable)]
    pub durability: Durability,
    /// Time-outs and retries.
    #[command(flatten)]
    pub connection: Connection,
    /// Which protocol.
    #[command(flatten)]
    pub speak: Speak,
}

/// What a client speaks, and how.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Dialect")]
pub struct Speak {
    /// Protocol to speak
    #[arg(long, value_enum, default_value_t = ClientDialect::Ft1)]
    pub dialect: ClientDialect,
    /// How a lab dialect is spoken
    #[arg(long, value_enum, default_value_t = LabStyle::Careful)]
    pub lab: LabStyle,
    /// How the texts of a lab dialect end
    #[arg(long, value_enum, default_value_t = TextStyle::Bare)]
    pub text: TextStyle,
}

const PUT_HELP: &str = "Files and folders to push (- is standard input), and last where to: HOST[:PORT][/DIR]";

/// `put`
#[derive(Args, Debug)]
#[command(
    override_usage = "ft-cli put [OPTIONS] PATH... HOST[:PORT][/DIR]",
    after_help = "\
Examples:
  ft-cli put report.pdf box                 into the folder that box serves
  ft-cli put photos notes.txt box/backup    a tree and a file, into its folder backup
  ft-cli put -j2 a.iso b.iso box:7000       two connections side by side
  tar c src | ft-cli put - --name src.tar box
  ft-cli put data.txt --dialect pipe localhost

A broken connection is made again and continues where it was. Names and contents that the
server has already are not sent again. IPv6 addresses with a port go in brackets: [::1]:7000/dir"
)]
pub struct PutArgs {
    /// What to push, and last where to.
    #[arg(required = true, value_name = "PATH", help = PUT_HELP, value_hint = ValueHint::AnyPath)]
    pub args: Vec<OsString>,
    /// Name for standard input at the other side
    #[arg(long, value_name = "NAME")]
    pub name: Option<OsString>,
    /// Lab B: what to ask for
    #[arg(long, value_enum, help_heading = "Dialect", default_value_t = LabRequest::Addfile)]
    pub request: LabRequest,
    /// What both directions have.
    #[command(flatten)]
    pub transfer: Transfer,
}

/// `get`
#[derive(Args, Debug)]
#[command(
    override_usage = "ft-cli get [OPTIONS] HOST[:PORT]/PATH... [DEST]",
    after_help = "\
Examples:
  ft-cli get box/report.pdf                 into this folder
  ft-cli get box/photos box/notes.txt .     several things from one server
  ft-cli get box/report.pdf old.pdf         under another name
  ft-cli get box/src.tar - | tar x          nothing comes out before all of it is verified

The last argument is DEST unless it begins with the same HOST[:PORT]/ as the first; ./box/x is always a DEST.
A DEST that is a folder, or ends with /, is a place to put things into; otherwise it is the new name."
)]
pub struct GetArgs {
    /// What to pull, and last where to: a folder, a new name, or - for standard output [default: this folder]
    #[arg(required = true, value_name = "HOST[:PORT]/PATH", value_hint = ValueHint::Hostname)]
    pub args: Vec<OsString>,
    /// What to do about names that differ in case or accents only; a file system may take them for one
    #[arg(long, help_heading = "Transfer", value_enum, value_name = "POLICY", default_value_t = NamesArg::Apart)]
    pub names: NamesArg,
    /// What both directions have.
    #[command(flatten)]
    pub transfer: Transfer,
}

/// `ls`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli ls box                  what box serves
  ft-cli ls box/photos -r        everything beneath photos
  ft-cli ls [::1]:7000 --json    one JSON object a line")]
pub struct LsArgs {
    /// What to list
    #[arg(value_name = "HOST[:PORT][/DIR]", value_parser = target(), value_hint = ValueHint::Hostname)]
    pub target: Target,
    /// Everything beneath, too
    #[arg(short, long)]
    pub recursive: bool,
    /// Time-outs and retries.
    #[command(flatten)]
    pub connection: Connection,
}

/// `completions`
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  ft-cli completions bash > ~/.local/share/bash-completion/completions/ft-cli")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `man`
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  ft-cli man ~/.local/share/man/man1")]
pub struct ManArgs {
    /// The folder; made if missing
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ServeDialect {
    /// Whatever the client begins with
    Auto,
    /// This project's protocol
    Ft1,
    /// Lab A: name|size, ACK, data
    Pipe,
    /// Lab B: UPLOAD, DOWNLOAD, addfile
    Addfile,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientDialect {
    /// This project's protocol
    Ft1,
    /// Lab A: name|size, ACK, data
    Pipe,
    /// Lab B: UPLOAD, DOWNLOAD, addfile
    Addfile,
}

/// How a lab dialect is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LabStyle {
    /// As the labs' listings do it, pitfalls included; for demonstrations only
    Naive,
    /// As well as the wire allows
    Careful,
}

/// How texts of a lab dialect end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TextStyle {
    /// One text is what one recv returns
    Bare,
    /// A line feed ends a text
    Newline,
}

/// Lab B's requests that carry a file to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LabRequest {
    /// Two confirmations, stored as server_NAME
    Addfile,
    /// A status, then the data
    Upload,
}

/// What to do about a file of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OverwriteArg {
    /// Refuse the new one
    Never,
    /// Put the new one in the old one's place, in one step
    Replace,
    /// Give the new one another name
    KeepBoth,
}

/// What a receiver does about names that are spelled alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NamesArg {
    /// Never land one file on another that is spelled otherwise
    Apart,
    /// Refuse also what another system would take for one, or cannot store
    Portable,
    /// Leave it to the file system
    Any,
}

/// When content goes compressed; both sides have a say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompressArg {
    /// Where the path is slow
    Auto,
    /// Wherever it shrinks
    On,
    /// Never
    Off,
}

/// How many connections carry the content of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// One, until it is found to be held back.
    Auto,
    /// So many.
    Number(u8),
}

impl Streams {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        match text.parse() {
            Ok(n) if (1..=MAX_JOINED + 1).contains(&n) => Ok(Self::Number(n)),
            _ => Err(format!("expected a number from 1 to {}, or auto", MAX_JOINED + 1)),
        }
    }

    /// As many as it may come to.
    pub fn most(self) -> u8 {
        match self {
            Self::Auto => limits::STREAMS_AUTO,
            Self::Number(n) => n,
        }
    }
}

/// How the receiver finds that it has a file already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompareArg {
    /// Equal size and modification time are enough
    Quick,
    /// Equal size and equal BLAKE3 hash
    Content,
    /// Not at all
    None,
}

/// What to do about symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LinksArg {
    /// Leave them out, and say so
    Skip,
    /// Move them as links
    Keep,
    /// Move what they point to
    Follow,
}

/// What "stored" means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// Survives the end of the process
    Cached,
    /// Survives a power cut
    Durable,
}

fn target() -> ValueParser {
    ValueParser::from(OsStringValueParser::new().try_map(|text: OsString| Target::parse(OsStr::new(&text))))
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number of seconds above 0, such as 30 or 0.5".to_string();
    let number: f64 = text.parse().map_err(|_| expected())?;
    // A day bounds it: longer waits are typing errors.
    if number > 0.0 && number <= 86_400.0 { Ok(Duration::from_secs_f64(number)) } else { Err(expected()) }
}

/// Bytes a second. A slower limit than that is a typing error, and would take minutes for one frame.
fn rate(text: &str) -> Result<Meter, String> {
    bytes_a_second(text).map(Meter::new)
}

/// The same as a number, for lists that people write.
///
/// # Errors
/// It is none, or so low that nothing would move.
pub(crate) fn bytes_a_second(text: &str) -> Result<u64, String> {
    let rate = scaled(text).ok_or("expected bytes a second, such as 500k, 10M or 1G")?;
    if rate < limits::RATE_MIN { Err("less than 1k bytes a second moves nothing".into()) } else { Ok(rate) }
}

/// `64K`, `10M`, `1G`: powers of ten, as of links.
fn scaled(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "" => 1,
        "K" | "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n >= 1 => Ok(n),
        _ => Err("expected a whole number above 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn command_line_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_in_help_are_the_limits() {
        let Ok(Cli { verb: Verb::Ls(ls), .. }) = Cli::try_parse_from(["ft-cli", "ls", "box"]) else { panic!("parses") };
        assert_eq!(ls.connection.timeout, limits::IDLE_TIMEOUT);
        assert_eq!(ls.connection.connect_timeout, limits::CONNECT_TIMEOUT);
        assert_eq!(ls.connection.retries, limits::RETRIES);
        assert_eq!(ls.target.endpoint.port, limits::DEFAULT_PORT);
    }

    #[test]
    fn rate_takes_units_and_refuses_what_is_no_rate() {
        let bytes = |text| rate(text).map(|meter| meter.rate());
        assert_eq!(bytes("500k"), Ok(500_000));
        assert_eq!(bytes("10M"), Ok(10_000_000));
        assert_eq!(bytes("2000"), Ok(2_000));
        for bad in ["", "M", "0", "999", "1T", "-1M", "1.5M", "99999999999999999999G"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn seconds_take_fractions_and_refuse_nonsense() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "NaN", "inf", "1e9", "soon"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
