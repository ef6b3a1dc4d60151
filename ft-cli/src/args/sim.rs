//! `sim` and its verbs.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Args, Command, Subcommand, ValueEnum, ValueHint};
use ft_sim::cases;
use ft_sim::{Fault, Schedule, WorldKind};

use crate::limits;

/// `sim`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli sim list
  ft-cli sim run pitfall-split-header
  ft-cli sim explore --case lab-a-naive
  ft-cli sim replay 'lab-a-naive: c2s@4 split'

Exit codes:
  0  held: every promise was kept, everything expected was seen
  1  failed: a promise was broken, or a scenario came to something else than it says
  2  usage: the command line, a scenario or a schedule does not make sense
  5  unseen: nothing broke, but something that must happen sometimes never did
  6  unsound: a case was not deterministic, or the simulator itself broke

docs/SIMULATOR.md is the guide.")]
pub struct SimArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: SimVerb,
}

/// The verbs of `sim`.
#[derive(Debug, Subcommand)]
pub enum SimVerb {
    /// List the cases and the scenarios that are built in
    List,
    /// Play scenarios, and compare with what they say
    Run(SimRunArgs),
    /// Search for a schedule that breaks a promise, and shrink it
    Explore(ExploreArgs),
    /// Play one line that a search printed
    Replay(ReplayArgs),
    /// Write down what happened in a scenario
    Trace(TraceArgs),
    /// Cut the connection at every byte, and draw what becomes of the file
    Map(MapArgs),
}

/// `sim run`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli sim run                          every scenario that is built in, a line each
  ft-cli sim run pitfall-split-header     one, with its story
  ft-cli sim run ./mine.toml              your own
  ft-cli sim run --world tcp              every one over real TCP, on loopback")]
pub struct SimRunArgs {
    /// Scenarios: the name of a built-in one, or a file [default: all that are built in]
    #[arg(value_name = "SCENARIO", value_hint = ValueHint::FilePath)]
    pub scenarios: Vec<PathBuf>,
    /// Which of the four worlds to play in
    #[arg(long, value_enum, default_value_t = WorldArg::Own)]
    pub world: WorldArg,
}

/// `--world`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WorldArg {
    /// The simulator's link, in virtual time
    Own,
    /// The same inside tokio, with a paused clock
    Tokio,
    /// Three hosts of turmoil, in virtual time
    Turmoil,
    /// The kernel's TCP over loopback, in real time
    Tcp,
}

impl From<WorldArg> for WorldKind {
    fn from(arg: WorldArg) -> Self {
        match arg {
            WorldArg::Own => Self::Own,
            WorldArg::Tokio => Self::Tokio,
            WorldArg::Turmoil => Self::Turmoil,
            WorldArg::Tcp => Self::Tcp,
        }
    }
}

/// `sim explore`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli sim explore                                       every case that is meant to stand
  ft-cli sim explore --case lab-a-naive                    one that is not
  ft-cli sim explore --case ft-push --cut fin --cut rst    the connection ends at every single byte
  ft-cli sim explore --partition 3/8 --json                the third of eight parts, as a verdict to be merged")]
pub struct ExploreArgs {
    /// The case, one of `ft-cli sim list`; may be repeated [default: every case that is meant to stand]
    // Their list would fill the screen, and grows; a wrong name is answered with it.
    #[arg(long, value_name = "NAME", value_parser = case_names(), hide_possible_values = true)]
    pub case: Vec<String>,
    /// Random schedules for each case
    #[arg(long, value_name = "N", default_value_t = limits::SIM_RUNS)]
    pub runs: u64,
    /// Every placing of at most K of the faults that a search has [default: 1, or 0 for a case that moves more than 8 KiB]
    #[arg(long, value_name = "K")]
    pub deviations: Option<u32>,
    /// This fault at every byte of both directions, as a schedule names it (rst, "kill server"); may be repeated
    #[arg(long, value_name = "FAULT", value_parser = fault)]
    pub cut: Vec<Fault>,
    /// Only part K of N; the parts are disjoint and together complete
    #[arg(long, value_name = "K/N", default_value = "1/1", value_parser = partition)]
    pub partition: (u32, u32),
    /// Seed of the first random schedule; schedule i depends on S + i alone
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
}

/// `sim replay`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli sim replay 'lab-a-naive: c2s@4 split'
  ft-cli sim replay 'pitfall-path-traversal/1: benign'")]
pub struct ReplayArgs {
    /// CASE: SCHEDULE, or SCENARIO/PLAY: SCHEDULE, as it was printed
    #[arg(required = true, value_name = "LINE")]
    pub line: Vec<String>,
}

/// `sim trace`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli sim trace ft-benign-push                                       who did what when
  ft-cli sim trace ft-benign-push --format json                         every event, one JSON object a line
  ft-cli sim trace ft-benign-push --format pcapng --out push.pcapng     for Wireshark
  ft-cli sim trace ft-benign-push --format html --out push.html         step by step in a browser")]
pub struct TraceArgs {
    /// The name of a built-in scenario, or a file
    #[arg(value_name = "SCENARIO", value_hint = ValueHint::FilePath)]
    pub scenario: PathBuf,
    /// How to write it
    #[arg(long, value_enum, default_value_t = TraceFormat::Text)]
    pub format: TraceFormat,
    /// Which of the scenario's plays, from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::count)]
    pub play: usize,
    /// Where to [default: standard output]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
}

/// How a trace is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceFormat {
    /// Lanes: client, network, server
    Text,
    /// One JSON object a line
    Json,
    /// Packets, for Wireshark and tshark
    Pcapng,
    /// A page for a browser, to be stepped through; it needs nothing else
    Html,
}

/// `sim map`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli sim map lab-a-naive                                       every kind of cut at every byte
  ft-cli sim map lab-a-naive lab-a-careful --fault split           two programs, one kind
  ft-cli sim map ft-push --format svg --out map.svg                a picture
  ft-cli sim map lab-b-naive --with 'c2s@7 split; c2s@15 split'    what comes on top of these

Marks: . intact  - refused  L lie  H hang  X crash  C corrupt")]
pub struct MapArgs {
    /// Cases of `ft-cli sim list`, or scenarios, whose inputs are taken
    #[arg(required = true, value_name = "CASE")]
    pub cases: Vec<String>,
    /// The kind of cut, as a schedule names it; may be repeated [default: split, half-close, fin, rst, stall, kill server]
    #[arg(long, value_name = "FAULT", value_parser = fault)]
    pub fault: Vec<Fault>,
    /// A schedule that every cell has besides its cut
    #[arg(long, value_name = "SCHEDULE", default_value = "benign", hide_default_value = true)]
    pub with: Schedule,
    /// Which of a scenario's plays, from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::count)]
    pub play: usize,
    /// How to draw it
    #[arg(long, value_enum, default_value_t = MapFormat::Text)]
    pub format: MapFormat,
    /// Sentences instead of a drawing, for a screen reader
    #[arg(long)]
    pub plain: bool,
    /// Where to [default: standard output]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
}

/// How a map is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MapFormat {
    /// A letter for each byte
    Text,
    /// A picture that needs nothing else, light and dark
    Svg,
    /// One JSON object a cell, one a line
    Json,
}

fn case_names() -> CaseNames {
    CaseNames(PossibleValuesParser::new(cases::all().iter().map(|case| case.name)))
}

/// Names of cases. A scenario's name is answered with the verbs that take it, instead of a case that is spelt alike.
#[derive(Clone, Debug)]
struct CaseNames(PossibleValuesParser);

impl TypedValueParser for CaseNames {
    type Value = String;

    fn parse_ref(&self, cmd: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        let scenario = value.to_str().filter(|name| crate::scenarios::built_in(name).is_some());
        if let Some(name) = scenario.filter(|name| cases::find(name).is_none()) {
            let text = format!(
                "{name} is a scenario, not a case\n\n  tip: `ft-cli sim run {name}` plays it, `ft-cli sim trace {name}` \
                 writes it down\n"
            );
            return Err(clap::Error::raw(ErrorKind::InvalidValue, text).with_cmd(cmd));
        }
        self.0.parse_ref(cmd, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

fn fault(text: &str) -> Result<Fault, String> {
    // A fault has no grammar of its own: it is read as a schedule reads it, at an offset that every fault may have.
    let schedule: Schedule = format!("c2s@1 {text}").parse().map_err(|_| {
        format!("{text:?} is no fault of docs/SCHEDULE.md; expected one such as fin, rst, stall or \"kill server\"")
    })?;
    match schedule.steps() {
        [step] if schedule.picks().is_empty() => Ok(step.fault),
        _ => Err("expected one fault".into()),
    }
}

fn partition(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/').and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
    match parts {
        Some((part, parts)) if (1..=parts).contains(&part) => Ok((part, parts)),
        _ => Err("expected K/N with K between 1 and N, such as 3/8".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_takes_parts_from_one_and_nothing_else() {
        assert_eq!(partition("3/8"), Ok((3, 8)));
        for bad in ["0/4", "5/4", "1/0", "1", "a/b", "-1/2", "1/2/3"] {
            assert!(partition(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fault_is_one_fault_of_a_schedule() {
        assert_eq!(fault("rst"), Ok(Fault::Rst));
        assert_eq!(fault("kill server"), Ok(Fault::Kill(ft_sim::Party::Server)));
        for bad in ["", "burn", "rst; c2s@2 fin", "rst; order#0=1", "# rst"] {
            assert!(fault(bad).is_err(), "{bad}");
        }
    }
}
