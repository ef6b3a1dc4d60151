//! `get`: pull files and trees, or one file to standard output.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ft_core::codec::want_len;
use ft_core::error::FileError;
use ft_core::event::Event;
use ft_core::frame::{Level, Overwrite, Want};
use ft_core::limits::{MAX_WANT_BYTES, MAX_WANTS};
use ft_core::path::RelPath;
use ft_core::session;
use tokio::task::JoinSet;

use super::client::{self, Attempt, Ended, lock};
use super::interrupt::Interrupt;
use super::{join, lab};
use crate::args::{ClientDialect, GetArgs, Transfer};
use crate::carry;
use crate::disk::{Names, Policy, RenameRule, Root};
use crate::exit::{Exit, Stop};
use crate::limits::OPEN_FETCHED;
use crate::net::{Endpoint, Target};
use crate::render::{Counts, Fact, Mode, Screen, Tally, Watch};
use crate::wishes::{Wishes, WishfulStorage};

/// What a `get` command line means.
pub(super) struct Plan {
    /// The one server.
    pub(super) endpoint: Endpoint,
    /// What to ask it for.
    pub(super) wants: Vec<Want>,
    /// Where to put it.
    pub(super) dest: Dest,
    /// About names that are spelled alike.
    pub(super) names: Names,
}

/// Where pulled things go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dest {
    /// Standard output.
    Stdout,
    /// Into a folder, under their own names.
    Into(PathBuf),
    /// Into a folder, under another name.
    As(PathBuf, OsString),
}

/// Pulls everything that the command line names.
pub(super) async fn run(args: GetArgs, screen: Screen) -> Result<Exit, Stop> {
    let plan = plan(&args, &|path| path.is_dir())?;
    super::raise_descriptors();
    let transfer = &args.transfer;
    match transfer.speak.dialect {
        ClientDialect::Ft1 => {}
        ClientDialect::Addfile => return lab::get(&plan, transfer, &screen).await,
        ClientDialect::Pipe => {
            let hint = "lab A only carries files from client to server";
            return Err(Stop::usage("the dialect pipe cannot get").hint(hint));
        }
    }
    let interrupt = Interrupt::listen(&screen);
    match &plan.dest {
        Dest::Stdout => to_stdout(&plan, transfer, screen.with_data_on_stdout(), &interrupt).await,
        Dest::Into(folder) => {
            let policy = policy(plan.names, transfer, &screen, None)?;
            to_folder(&plan, transfer, &screen, folder, policy, &interrupt).await
        }
        Dest::As(folder, name) => {
            let policy =
                policy(plan.names, transfer, &screen, Some(RenameRule { to: name.as_encoded_bytes().to_vec() }))?;
            to_folder(&plan, transfer, &screen, folder, policy, &interrupt).await
        }
    }
}

/// What may happen to our files.
fn policy(names: Names, transfer: &Transfer, screen: &Screen, rename: Option<RenameRule>) -> Result<Policy, Stop> {
    Ok(Policy {
        overwrite: transfer.overwrite.map_or(Overwrite::Never, client::overwrite),
        least: client::level(transfer.durability),
        names,
        filter: client::filter(transfer)?,
        dry_run: transfer.dry_run,
        rename,
        notes: Some(client::notes(screen)),
        ..Policy::default()
    })
}

/// Sources and destination; `is_dir` tells local folders.
fn plan(args: &GetArgs, is_dir: &dyn Fn(&Path) -> bool) -> Result<Plan, Stop> {
    let (first, rest) = args.args.split_first().ok_or_else(|| Stop::usage("nothing to get"))?;
    let host = prefix(first);
    let mut sources = vec![first.as_os_str()];
    let mut dest = None;
    for (i, arg) in rest.iter().enumerate() {
        match prefix(arg) == host && prefix(arg).len() < arg.len() {
            true => sources.push(arg),
            false if i + 1 == rest.len() => dest = Some(arg.as_os_str()),
            false => {
                let text = format!("{} is not at {}", shown(arg), shown(OsStr::new(first)));
                return Err(Stop::usage(text)
                    .hint("one get pulls from one server: every source begins with the same HOST[:PORT]/"));
            }
        }
    }
    let links = client::links(args.transfer.links);
    let mut endpoint = None;
    let (mut wants, mut named) = (Vec::new(), HashSet::new());
    for source in sources {
        let target = Target::parse(source).map_err(|e| Stop::usage(format_args!("{}: {e}", shown(source))))?;
        endpoint = Some(target.endpoint);
        // Standard output takes one file: a folder is not entered.
        let depth = if dest == Some(OsStr::new("-")) { 0 } else { u16::MAX };
        // What is named twice is pulled once.
        if named.insert(target.path.clone()) {
            wants.push(Want { path: target.path, depth, links, last: false });
        }
    }
    apart(&wants)?;
    let endpoint = endpoint.ok_or_else(|| Stop::usage("nothing to get"))?;
    let dest = destination(dest, &wants, is_dir)?;
    Ok(Plan { endpoint, wants, dest, names: client::names(args.names) })
}

/// No two things may have one name here: the second could not be stored beside the first. What is at the root of a server
/// is not known before, so it goes alone.
fn apart(wants: &[Want]) -> Result<(), Stop> {
    let mut names = HashMap::new();
    for want in wants {
        let name = want.path.name();
        let whole = (wants.len() > 1 && name.is_none()).then_some("everything there goes alone".to_owned());
        let both = |first: &Want| format!("/{} and /{} would both be {} here", first.path, want.path, last(want));
        if let Some(text) = whole.or_else(|| names.insert(name, want).map(both)) {
            return Err(Stop::usage(text).hint("get them one after the other, into different folders"));
        }
    }
    Ok(())
}

/// The last component of what is wanted, for a person.
fn last(want: &Want) -> String {
    ft_core::path::escape(want.path.name().unwrap_or_default())
}

/// `HOST[:PORT]` of an argument, as typed.
fn prefix(arg: &OsStr) -> &[u8] {
    arg.as_encoded_bytes().split(|&b| b == b'/').next().unwrap_or_default()
}

fn destination(dest: Option<&OsStr>, wants: &[Want], is_dir: &dyn Fn(&Path) -> bool) -> Result<Dest, Stop> {
    let Some(dest) = dest else { return Ok(Dest::Into(PathBuf::from("."))) };
    let one = match wants {
        [want] => Some(&want.path),
        _ => None,
    };
    if dest == "-" {
        return match one {
            Some(path) if !path.is_root() => Ok(Dest::Stdout),
            Some(_) | None => Err(Stop::usage("standard output (-) takes one file")),
        };
    }
    let path = Path::new(dest);
    let ends_open = dest.as_encoded_bytes().ends_with(b"/") || dest.as_encoded_bytes().ends_with(b"/.");
    // Everything beneath the root has its own names; only one named thing can get another one.
    if is_dir(path) || ends_open || one.is_none_or(RelPath::is_root) {
        return Ok(Dest::Into(path.into()));
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            Ok(Dest::As(parent.into(), name.into()))
        }
        _ => Ok(Dest::Into(path.into())),
    }
}

fn shown(arg: &OsStr) -> String {
    ft_core::path::escape(arg.as_encoded_bytes())
}

/// The folder to land in, made if missing.
pub(super) fn open(folder: &Path) -> Result<Arc<Root>, Stop> {
    let failed = |e: io::Error| Stop::failed(format_args!("cannot use {}: {e}", shown(folder.as_os_str())));
    let missing = folder.ancestors().take_while(|at| !at.as_os_str().is_empty() && !at.exists()).count();
    std::fs::create_dir_all(folder).map_err(failed)?;
    // What lands in a new folder is only as durable as the folder's own name.
    folder.ancestors().skip(1).take(missing).try_for_each(sync_folder).map_err(failed)?;
    open_existing(folder)
}

/// The names in a folder are on disk, as far as this user may ask for that.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match std::fs::File::open(folder) {
        // Some file systems cannot sync a folder, and promise less.
        Ok(folder) => folder.sync_all().or_else(|e| {
            let promises_less = matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported);
            if promises_less { Ok(()) } else { Err(e) }
        }),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(e) => Err(e),
    }
}

/// A folder that must be there.
pub(super) fn open_existing(folder: &Path) -> Result<Arc<Root>, Stop> {
    Root::open(folder).map_err(|e| Stop::failed(format_args!("cannot use {}: {e}", shown(folder.as_os_str()))))
}

/// Lands everything in `folder`.
async fn to_folder(
    plan: &Plan,
    transfer: &Transfer,
    screen: &Screen,
    folder: &Path,
    policy: Policy,
    interrupt: &Interrupt,
) -> Result<Exit, Stop> {
    let root = open(folder)?;
    let fetched = fetch(plan, transfer, screen, &root, &policy, interrupt).await;
    client::release(root).await;
    let (ended, counts) = fetched?;
    if transfer.dry_run && screen.mode() != Mode::Json {
        screen.line("nothing was received");
        return ended.map(|()| client::exit_for(&Ok(()), counts)).map_err(Stop::failed);
    }
    client::conclude_unless(interrupt, screen, "received", ended, counts)
}

/// Lands one file in a temporary folder and copies it when all of it is verified: a reader of standard output never sees
/// a byte that turns out to be wrong.
async fn to_stdout(plan: &Plan, transfer: &Transfer, screen: Screen, interrupt: &Interrupt) -> Result<Exit, Stop> {
    let spool = tempfile::Builder::new()
        .prefix("ft-get-")
        .tempdir()
        .map_err(|e| Stop::failed(format_args!("cannot make a temporary folder: {e}")))?;
    interrupt.will_sweep(spool.path());
    let root = open(spool.path())?;
    let policy = Policy { least: Level::Cached, ..policy(plan.names, transfer, &screen, None)? };
    let fetched = fetch(plan, transfer, &screen, &root, &policy, interrupt).await;
    // Opened before its folder goes, and never through a link: the server has named where that leads, on this computer.
    let landed = plan.wants.first().and_then(|want| RelPath::new(vec![want.path.name()?.to_vec()]).ok());
    let landed = root.read(&landed.unwrap_or_default());
    client::release(root).await;
    // From here on nothing is left behind, however slowly somebody reads.
    drop(spool);
    let (ended, mut counts) = fetched?;
    if ended.is_ok() && counts.failed == 0 && !transfer.dry_run {
        let landed = landed.map_err(|e| {
            Stop::failed(format_args!("what was asked for is no file: {e}"))
                .hint("standard output (-) takes one file; give a folder as DEST instead")
        })?;
        let copied = tokio::task::spawn_blocking(move || copy_out(landed)).await;
        let copied = copied.map_err(|e| Stop::failed(format_args!("internal error: {e}")))?;
        if let Err(e) = copied {
            counts.failed += counts.completed;
            counts.completed = 0;
            return client::conclude(&screen, "received", Err(format!("cannot write to standard output: {e}")), counts);
        }
    }
    client::conclude_unless(interrupt, &screen, "received", ended, counts)
}

fn copy_out(mut landed: std::fs::File) -> io::Result<()> {
    use io::Write as _;
    let mut out = io::stdout().lock();
    io::copy(&mut landed, &mut out)?;
    out.flush()
}

/// Runs all connections.
async fn fetch(
    plan: &Plan,
    transfer: &Transfer,
    screen: &Screen,
    root: &Arc<Root>,
    policy: &Policy,
    interrupt: &Interrupt,
) -> Result<(Ended, Counts), Stop> {
    let tally = Tally::of_peer(OPEN_FETCHED);
    let mut jobs = JoinSet::new();
    for (number, wants) in (1u64..).zip(client::deal(plan.wants.clone(), transfer.jobs)) {
        let job = Job {
            endpoint: plan.endpoint.clone(),
            transfer: transfer.clone(),
            root: root.clone(),
            policy: policy.clone(),
            screen: screen.clone(),
            tally: tally.clone(),
            interrupt: interrupt.clone(),
            number,
        };
        jobs.spawn(job.run(wants));
    }
    let ended = client::all(jobs).await?;
    client::leftovers(screen, &tally);
    Ok((ended, tally.counts()))
}

/// As many wants together as one session may have (PROTOCOL §9).
fn sessions(wants: Vec<Want>) -> Vec<Vec<Want>> {
    let mut sessions = vec![Vec::new()];
    let mut bytes = 0;
    for want in wants {
        bytes += want_len(&want);
        let full = sessions.last().is_some_and(|s| s.len() >= MAX_WANTS as usize) || bytes > MAX_WANT_BYTES;
        if full {
            sessions.push(Vec::new());
            bytes = want_len(&want);
        }
        sessions.last_mut().into_iter().for_each(|s| s.push(want.clone()));
    }
    sessions
}

/// What one job has still to ask for.
struct Open {
    wants: Vec<Want>,
    /// Those of which the newest answer did not have everything, and why: the last word, once their files are settled.
    partial: BTreeMap<RelPath, FileError>,
}

struct Job {
    endpoint: Endpoint,
    transfer: Transfer,
    root: Arc<Root>,
    policy: Policy,
    screen: Screen,
    tally: Tally,
    interrupt: Interrupt,
    number: u64,
}

impl Job {
    async fn run(self, wants: Vec<Want>) -> Ended {
        for wants in sessions(wants) {
            // Attempts follow one another; the lock is never waited for.
            let open = Mutex::new(Open { wants, partial: BTreeMap::new() });
            let retries = self.transfer.connection.retries;
            let ended =
                client::retrying(&self.screen, &self.tally, &self.interrupt, retries, || self.attempt(&open)).await;
            lock(&open).partial.iter().for_each(|(path, error)| self.missed(path, error));
            ended?;
        }
        Ok(())
    }

    /// What was asked for did not come, or not all of it.
    fn missed(&self, path: &RelPath, error: &FileError) {
        let path = format!("/{path}");
        self.screen.fact(Some(self.number), &Fact::Failed { stream: 0, path, problem: error.into() });
        self.tally.missed();
    }

    /// One connection. What was not answered in full is asked for again as long as files of it may still come.
    async fn attempt(&self, open: &Mutex<Open>) -> Attempt {
        let mut stream = match client::dial_until(
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
        let wishes = Wishes {
            resume: !self.transfer.no_resume,
            compare: client::compare(&self.transfer),
            tally: self.tally.clone(),
        };
        let storage = WishfulStorage::new(self.root.storage(self.policy.clone()), wishes);
        let mut watch = Watch::receiver(self.screen.clone(), self.tally.clone(), self.number);
        let wants = lock(open).wants.clone();
        let pulse = client::pulse(self.transfer.connection.timeout).until(self.interrupt.asked());
        let options = client::options(&self.transfer, &stream);
        let ear = join::listen(&mut stream, &self.endpoint, &self.transfer, false);
        let report =
            session::pull(carry::over(stream, self.transfer.copy), wants.clone(), storage, &options, pulse, |event| {
                if let Event::WantDone(number, answer) = event
                    && let Some(want) = client::wanted(&wants, *number)
                {
                    let partial = &mut lock(open).partial;
                    match answer {
                        Some(error) => partial.insert(want.path.clone(), error.clone()),
                        None => partial.remove(&want.path),
                    };
                }
                ear.hear(event);
                watch.event(event);
            })
            .await;
        watch.closed(&report);
        let open = &mut *lock(open);
        for (path, error) in open.partial.extract_if(.., |path, _| !self.tally.wants_retry_of(path.name())) {
            self.missed(&path, &error);
            open.wants.retain(|want| want.path != path);
        }
        if open.wants.is_empty() { Attempt::Done } else { Attempt::Over(report) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Verb};
    use clap::Parser as _;

    /// What a command line means, with `here/` as the only local folder.
    fn meaning(line: &str) -> String {
        let words = ["ft-cli", "get"].into_iter().chain(line.split(' '));
        let Ok(Cli { verb: Verb::Get(args), .. }) = Cli::try_parse_from(words) else { panic!("parses: {line}") };
        match plan(&args, &|path| path == Path::new("here")) {
            Ok(plan) => {
                let wants: Vec<String> = plan.wants.iter().map(|want| format!("/{}", want.path)).collect();
                format!("{} {} -> {:?}", plan.endpoint, wants.join(" "), plan.dest)
            }
            Err(stop) => format!("usage: {stop}"),
        }
    }

    #[test]
    fn last_argument_is_the_destination_unless_it_begins_with_the_same_host() {
        for (line, want) in [
            ("h/a", "h:65432 /a -> Into(\".\")"),
            ("h/a h/b", "h:65432 /a /b -> Into(\".\")"),
            ("h:7/a h:7/b here", "h:7 /a /b -> Into(\"here\")"),
            ("h/a out/", "h:65432 /a -> Into(\"out/\")"),
            ("h/a out", "h:65432 /a -> As(\".\", \"out\")"),
            ("h/a here/b", "h:65432 /a -> As(\"here\", \"b\")"),
            ("h/a ./h/b", "h:65432 /a -> As(\"./h\", \"b\")"),
            ("h/a .", "h:65432 /a -> Into(\".\")"),
            ("h/a h", "h:65432 /a -> As(\".\", \"h\")"),
            ("h/a -", "h:65432 /a -> Stdout"),
            ("h/a h/a h/b here", "h:65432 /a /b -> Into(\"here\")"),
            ("h out", "h:65432 / -> Into(\"out\")"),
            ("[::1]:7/a out/", "[::1]:7 /a -> Into(\"out/\")"),
        ] {
            assert_eq!(meaning(line), want, "{line}");
        }
    }

    #[test]
    fn command_line_that_cannot_be_meant_is_refused() {
        for (line, want) in [
            ("h/a other/b out", "usage: other/b is not at h/a"),
            ("h/a h/b -", "usage: standard output (-) takes one file"),
            ("h/ -", "usage: standard output (-) takes one file"),
            ("h/x/a h/y/a here", "usage: /x/a and /y/a would both be a here"),
            ("h/x/a h/ here", "usage: everything there goes alone"),
            ("h/../a", "usage: h/../a: a path component is '.' or '..'"),
        ] {
            assert_eq!(meaning(line), want, "{line}");
        }
    }
}
