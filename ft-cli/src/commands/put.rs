//! `put`: push files, trees, or standard input.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ft_core::error::FileError;
use ft_core::event::{Event, Report};
use ft_core::path::RelPath;
use ft_core::session::{self, Options};
use ft_core::storage::Source;
use tokio::task::JoinSet;

use super::client::{self, Attempt, Ended, Stream};
use super::interrupt::{INTERRUPTED, Interrupt};
use super::{join, lab};
use crate::args::{ClientDialect, LabRequest, PutArgs, Transfer};
use crate::carry;
use crate::disk::{DiskSource, Note, Notes, WalkOptions};
use crate::exit::{Exit, Stop};
use crate::net::{Endpoint, Target};
use crate::render::{Fact, Screen, Tally, Watch};
use crate::wishes::WishfulSource;

/// What a `put` command line means.
pub(super) struct Plan {
    /// What to send, in the order given.
    pub(super) paths: Vec<PathBuf>,
    /// Where to.
    pub(super) target: Target,
    /// For standard input.
    name: Option<OsString>,
    /// Lab B: what to ask for.
    pub(super) request: LabRequest,
    /// How.
    pub(super) transfer: Transfer,
}

/// Pushes everything that the command line names.
pub(super) async fn run(args: PutArgs, screen: Screen) -> Result<Exit, Stop> {
    let args = plan(args)?;
    check(&args)?;
    match args.transfer.speak.dialect {
        ClientDialect::Ft1 => {}
        ClientDialect::Pipe | ClientDialect::Addfile => return lab::put(&args, &screen).await,
    }
    if args.transfer.dry_run {
        return super::dry::put(&args, &screen).await;
    }
    let tally = Tally::default();
    let interrupt = Interrupt::listen(&screen);
    let ended = if from_stdin(&args) {
        pipe(&args, &screen, &tally, &interrupt).await?
    } else {
        tree(&args, &screen, &tally, &interrupt).await?
    };
    client::leftovers(&screen, &tally);
    let counts = tally.counts();
    if counts.unknown > 0 {
        let text =
            "everything was sent, but the answer never came; the same command again finds out and repeats nothing";
        screen.fact(None, &Fact::Note { text: text.into() });
    }
    client::conclude_unless(&interrupt, &screen, "stored", ended, counts)
}

/// The last argument says where to, all others what.
fn plan(args: PutArgs) -> Result<Plan, Stop> {
    let mut paths = args.args;
    let target = paths.pop().filter(|_| !paths.is_empty());
    let target = target.ok_or_else(|| Stop::usage("expected PATH... HOST[:PORT][/DIR]: what to put, and where to"))?;
    let target = Target::parse(&target).map_err(|e| {
        Stop::usage(format_args!("{}: {e}", shown(Path::new(&target)))).hint("the last argument says where to")
    })?;
    // What is named twice is sent once.
    let mut named = HashSet::new();
    paths.retain(|path| named.insert(path.clone()));
    let paths = paths.into_iter().map(PathBuf::from).collect();
    Ok(Plan { paths, target, name: args.name, request: args.request, transfer: args.transfer })
}

/// Mistakes of a command line that are found without a connection, for who has something to lose by making one.
pub(super) fn check_line(args: PutArgs) -> Result<(), Stop> {
    check(&plan(args)?)
}

/// Mistakes that are found before anything is sent.
fn check(args: &Plan) -> Result<(), Stop> {
    match (from_stdin(args), &args.name) {
        (true, _) if args.paths.len() > 1 => return Err(Stop::usage("standard input (-) goes alone")),
        (true, None) => {
            return Err(Stop::usage("standard input (-) needs a name at the other side").hint("add --name NAME"));
        }
        (false, Some(_)) => return Err(Stop::usage("--name is for standard input (-) only")),
        (true, Some(_)) | (false, None) => {}
    }
    if from_stdin(args) {
        return Ok(());
    }
    apart(&args.paths)?;
    for path in &args.paths {
        std::fs::symlink_metadata(path)
            .map_err(|e| Stop::failed(format_args!("cannot read {}: {e}; nothing was sent", shown(path))))?;
    }
    Ok(())
}

/// No two things may have one name at the other side: the second could not be stored beside the first.
fn apart(paths: &[impl AsRef<Path>]) -> Result<(), Stop> {
    let mut names = HashMap::new();
    for path in paths.iter().map(AsRef::as_ref) {
        let Some(name) = DiskSource::sent_as(path) else { continue };
        let Some(first) = names.insert(name, path).filter(|first| first.as_os_str() != path.as_os_str()) else {
            continue;
        };
        let name = shown(Path::new(name));
        let text = format!("{} and {} would both be {name} at the other side", shown(first), shown(path));
        return Err(Stop::usage(text).hint("put them one after the other, to different folders: HOST/FOLDER"));
    }
    Ok(())
}

/// Whether `-` was asked for.
pub(super) fn from_stdin(args: &Plan) -> bool {
    args.paths.iter().any(|path| path == Path::new("-"))
}

/// A local path for a person.
pub(super) fn shown(path: &Path) -> String {
    ft_core::path::escape(path.as_os_str().as_encoded_bytes())
}

/// How local trees are walked. What cannot be looked at counts as a file that was not sent.
pub(super) fn walk(args: &Plan, screen: &Screen, tally: &Tally) -> Result<WalkOptions, Stop> {
    let (notes, screen, tally) = (client::notes(screen), screen.clone(), tally.clone());
    let failed = move |path: &RelPath, error: &FileError| {
        screen.fact(None, &Fact::Failed { stream: 0, path: path.to_string(), problem: error.into() });
    };
    let notes: Notes = Arc::new(move |note| match note {
        Note::Unreadable(path, error) => {
            if tally.unreadable(&path, &error) {
                failed(&path, &error);
            }
        }
        Note::SameName(path, local, error) => {
            if tally.unsent(&local) {
                failed(&path, &error);
            }
        }
        other @ (Note::SkippedLink(..) | Note::SkippedSpecial(..) | Note::WouldLand(..)) => notes(other),
    });
    Ok(WalkOptions {
        links: client::links(args.transfer.links),
        filter: client::filter(&args.transfer)?,
        among: Some(args.paths.clone().into()),
        notes: Some(notes),
        ..WalkOptions::default()
    })
}

/// Files and folders: several connections share the arguments, each retries on its own.
async fn tree(args: &Plan, screen: &Screen, tally: &Tally, interrupt: &Interrupt) -> Result<Ended, Stop> {
    let walk = walk(args, screen, tally)?;
    let mut jobs = JoinSet::new();
    for (number, paths) in (1u64..).zip(client::deal(args.paths.clone(), args.transfer.jobs)) {
        let job = Job {
            paths,
            walk: walk.clone(),
            into: args.target.path.clone(),
            endpoint: args.target.endpoint.clone(),
            transfer: args.transfer.clone(),
            screen: screen.clone(),
            tally: tally.clone(),
            interrupt: interrupt.clone(),
            number,
        };
        jobs.spawn(job.run());
    }
    client::all(jobs).await
}

struct Job {
    paths: Vec<PathBuf>,
    walk: WalkOptions,
    into: RelPath,
    endpoint: Endpoint,
    transfer: Transfer,
    screen: Screen,
    tally: Tally,
    interrupt: Interrupt,
    number: u64,
}

impl Job {
    async fn run(self) -> Ended {
        let retries = self.transfer.connection.retries;
        client::retrying(&self.screen, &self.tally, &self.interrupt, retries, || self.attempt()).await
    }

    async fn attempt(&self) -> Attempt {
        let stream = match client::dial_until(
            &self.interrupt,
            &self.endpoint,
            &self.transfer.connection,
            self.transfer.rate.as_ref(),
        )
        .await
        {
            Ok(stream) => stream,
            Err(text) => return Attempt::Unreachable(text),
        };
        let done = self.tally.clone();
        let skip = move |path: &RelPath| done.is_done(path);
        let options = client::options(&self.transfer, &stream);
        let carried = carry::carries(&stream, self.transfer.copy);
        let walk = WalkOptions { compress: options.compress.clone(), carried, ..self.walk.clone() };
        let disk = DiskSource::push(self.paths.clone(), self.into.clone(), walk, skip);
        let source = WishfulSource::new(disk, !self.transfer.no_resume);
        let watch = Watch::sender(self.screen.clone(), self.tally.clone(), self.number);
        let (endpoint, screen) = (&self.endpoint, &self.screen);
        let wires = Wires { stream, endpoint, transfer: &self.transfer, interrupt: &self.interrupt, screen };
        Attempt::Over(wires.push(source, &options, watch).await)
    }
}

/// What one session is pushed over, and who may stop it.
struct Wires<'a> {
    stream: Stream,
    endpoint: &'a Endpoint,
    transfer: &'a Transfer,
    interrupt: &'a Interrupt,
    screen: &'a Screen,
}

impl Wires<'_> {
    /// Pushes what `source` has; others may join.
    async fn push<F: Source>(mut self, source: F, options: &Options, mut watch: Watch) -> Report {
        let pulse = client::pulse(self.transfer.connection.timeout).until(self.interrupt.asked());
        let ear = join::listen(&mut self.stream, self.endpoint, self.transfer, true);
        let transport = carry::over(self.stream, self.transfer.copy);
        let on = |event: &Event| {
            ear.hear(event);
            watch.event(event);
        };
        let report = session::push(transport, source, options, pulse, on).await;
        // What could not even be walked: files that could not be looked at have been told and counted one by one.
        let tally = watch.tally();
        watch.closed(&report);
        if let Some((_, error)) = report.wants.first().filter(|_| tally.counts().failed == 0) {
            tally.missed();
            self.screen.fact(None, &Fact::Failed { stream: 0, path: ".".to_owned(), problem: error.into() });
        }
        report
    }
}

/// Standard input: one attempt, because what was read once cannot be read again.
async fn pipe(args: &Plan, screen: &Screen, tally: &Tally, interrupt: &Interrupt) -> Result<Ended, Stop> {
    let name = args.name.as_ref().map(|name| name.as_encoded_bytes()).unwrap_or_default();
    let into = RelPath::parse(name)
        .and_then(|name| args.target.path.concat(&name))
        .map_err(|e| Stop::usage(format_args!("--name: {e}")))?;
    if into == args.target.path {
        return Err(Stop::usage("--name is empty"));
    }
    let stream = match client::dial_until(
        interrupt,
        &args.target.endpoint,
        &args.transfer.connection,
        args.transfer.rate.as_ref(),
    )
    .await
    {
        Ok(stream) => stream,
        Err(text) => return Ok(Err(text)),
    };
    let source = DiskSource::stdin(io::stdin(), into);
    let watch = Watch::sender(screen.clone(), tally.clone(), 1);
    let options = client::options(&args.transfer, &stream);
    let endpoint = &args.target.endpoint;
    let wires = Wires { stream, endpoint, transfer: &args.transfer, interrupt, screen };
    let report = wires.push(source, &options, watch).await;
    if tally.wants_retry() {
        let text = "standard input cannot be read twice, so this is not tried again".into();
        screen.fact(None, &Fact::Note { text });
    }
    let told =
        |e: ft_core::error::SessionError| if interrupt.is_asked() { INTERRUPTED.to_owned() } else { e.to_string() };
    Ok(report.end.map_err(told))
}
