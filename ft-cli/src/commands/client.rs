//! What `put`, `get` and `ls` share: connecting, retrying, and what it all comes to.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ft_core::bundle::Bundle;
use ft_core::compress::Compress;
use ft_core::error::{Code, FileError, Retry};
use ft_core::event::Report;
use ft_core::frame::{Compare, Level, Links, Overwrite, Want};
use ft_core::path::RelPath;
use ft_core::session::Options;
use tokio::task::JoinSet;

use super::interrupt::{INTERRUPTED, Interrupt};
use crate::args::{CompareArg, CompressArg, Connection, Durability, LinksArg, NamesArg, OverwriteArg, Transfer};
pub(super) use crate::carry::Stream;
use crate::disk::{Filter, Names, Notes, Root};
use crate::exit::{Exit, Stop};
use crate::limits::{LEFTOVERS_SHOWN, PULSE, SETTLE};
use crate::net::{Backoff, Beat, Deadline, Endpoint, Meter, connect};
use crate::render::{Counts, Fact, Mode, Screen, Tally};
use crate::trust;

/// The name of this program towards peers.
pub(super) const AGENT: &str = concat!("ft-cli/", env!("CARGO_PKG_VERSION"));

/// How one attempt went.
pub(super) enum Attempt {
    /// No connection.
    Unreachable(String),
    /// A session, to its end.
    Over(Report),
    /// Nothing is left to be done.
    Done,
}

/// How a series of attempts ended: `Err` holds what broke the last one.
pub(super) type Ended = Result<(), String>;

/// Repeats `attempt` until it ends in order, nothing can be gained, or the retries are used up.
///
/// A first connection that cannot be made is not repeated: the address is probably wrong. After a session that broke, it
/// is: the server may be starting again. Whatever was achieved in between fills up the retries.
pub(super) async fn retrying<F, W>(
    screen: &Screen,
    tally: &Tally,
    interrupt: &Interrupt,
    retries: u32,
    mut attempt: F,
) -> Ended
where
    F: FnMut() -> W,
    W: Future<Output = Attempt>,
{
    let mut backoff = Backoff::new(retries);
    let mut tries = 0;
    let mut achieved = tally.achieved();
    let mut met = false;
    loop {
        let attempted = attempt().await;
        if interrupt.is_asked() {
            return Err(INTERRUPTED.to_owned());
        }
        let (reason, again) = match attempted {
            Attempt::Unreachable(text) => (Some(text), met),
            Attempt::Done => return Ok(()),
            Attempt::Over(report) => {
                met = true;
                match report.end {
                    // Only one thing is gained by repeating a session that ended well: files that asked for it.
                    Ok(()) if tally.wants_retry() => (None, true),
                    Ok(()) => return Ok(()),
                    Err(error) => (Some(error.to_string()), error.retry() != Retry::Never),
                }
            }
        };
        let ended = || reason.clone().map_or(Ok(()), Err);
        if !again {
            return ended();
        }
        let now = tally.achieved();
        if now > achieved {
            backoff.progress(retries);
            achieved = now;
        }
        let Some(wait) = backoff.wait() else { return ended() };
        tries += 1;
        let reason = reason.unwrap_or_else(|| why_again(&tally.left_open()));
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        screen.fact(None, &Fact::Retry { attempt: tries, wait_ms, reason });
        tokio::select! {
            () = interrupt.asked() => return Err(INTERRUPTED.to_owned()),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Why a session that ended in order is repeated.
fn why_again(open: &[(RelPath, FileError)]) -> String {
    match open {
        [] => "nobody knows of some files whether they are stored".to_owned(),
        [(path, error)] => format!("{path}: {error}"),
        [(path, error), more @ ..] => format!("{path}: {error}; and {} more", more.len()),
    }
}

/// Connects, as the options say, unless somebody asks to stop first.
pub(super) async fn dial_until(
    interrupt: &Interrupt,
    endpoint: &Endpoint,
    options: &Connection,
    rate: Option<&Meter>,
) -> Result<Stream, String> {
    tokio::select! {
        () = interrupt.asked() => Err(INTERRUPTED.to_owned()),
        stream = dial(endpoint, options, rate) => stream,
    }
}

/// Connects, as the options say.
pub(super) async fn dial(endpoint: &Endpoint, options: &Connection, rate: Option<&Meter>) -> Result<Stream, String> {
    let stream = reach(endpoint, options).await?;
    let conn = trust::secure(stream, endpoint, &options.trust, options.connect_timeout).await?;
    Ok(Deadline::fitted(Bundle::single(conn), options.timeout).paced(rate.map(Meter::pace)))
}

/// The same for a lab dialect, which is plain by nature.
pub(super) async fn dial_lab(
    endpoint: &Endpoint,
    options: &Connection,
    rate: Option<&Meter>,
) -> Result<Stream, String> {
    let stream = reach(endpoint, options).await?;
    let conn = trust::plain(stream, &options.trust)?;
    Ok(Deadline::fitted(Bundle::single(conn), options.timeout).paced(rate.map(Meter::pace)))
}

async fn reach(endpoint: &Endpoint, options: &Connection) -> Result<tokio::net::TcpStream, String> {
    connect(endpoint, options.connect_timeout).await.map_err(|e| format!("cannot connect to {endpoint}: {e}"))
}

/// A panic of another thread leaves what is shared as it was: each change is one assignment, or one entry.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pulse for one session: several signs of life within the time that the other side may have.
pub(super) fn pulse(timeout: Duration) -> Beat {
    Beat::every(PULSE.min(timeout / 3))
}

/// What a command comes to, and with what words it says so.
pub(super) fn conclude(screen: &Screen, verb: &str, ended: Ended, counts: Counts) -> Result<Exit, Stop> {
    let exit = exit_for(&ended, counts);
    say(screen, verb, exit, ended, counts)
}

/// The same for a command that somebody may have stopped. That an answer never came is graver than that.
pub(super) fn conclude_unless(
    interrupt: &Interrupt,
    screen: &Screen,
    verb: &str,
    ended: Ended,
    counts: Counts,
) -> Result<Exit, Stop> {
    let exit = exit_for(&ended, counts);
    let stopped = exit == Exit::Failed && interrupt.is_asked();
    let exit = if stopped { Exit::Interrupted } else { exit };
    say(screen, verb, exit, ended, counts)
}

fn say(screen: &Screen, verb: &str, exit: Exit, ended: Ended, counts: Counts) -> Result<Exit, Stop> {
    // Whether a refused session had time to offer its files is chance, and is not told.
    let nothing = ended.is_err() && counts == Counts { failed: counts.failed, ..Counts::default() };
    if let Err(text) = ended {
        screen.stop(&Stop { exit, text, hint: None });
    }
    // Of a session in which nothing came about, there is nothing to say but why; programs get their last line all the same.
    if !nothing || screen.mode() == Mode::Json {
        screen.summary(verb, exit, counts);
    }
    Ok(exit)
}

/// Tells people about files that stayed undone after the last retry; programs have heard it. A file that was cut off with
/// its session has no reason of its own.
pub(super) fn leftovers(screen: &Screen, tally: &Tally) {
    if screen.mode() == Mode::Json {
        return;
    }
    let mut open = tally.left_open();
    open.retain(|(_, error)| error.code != Code::Cancelled);
    for (path, error) in open.iter().take(LEFTOVERS_SHOWN) {
        screen.fact(None, &Fact::Failed { stream: 0, path: path.to_string(), problem: error.into() });
    }
    if let Some(more) = open.len().checked_sub(LEFTOVERS_SHOWN).filter(|n| *n > 0) {
        screen.fact(None, &Fact::Note { text: format!("... and {more} more") });
    }
}

/// The exit code for how a session, or a series of them, ended.
pub(super) fn exit_for(ended: &Ended, counts: Counts) -> Exit {
    if counts.unknown > 0 {
        Exit::Unknown
    } else if ended.is_err() {
        Exit::Failed
    } else if counts.failed > 0 {
        Exit::Refused
    } else {
        Exit::Completed
    }
}

/// Wishes that travel on the wire; whether content is compressed depends on the connection.
pub(super) fn options(transfer: &Transfer, stream: &Stream) -> Options {
    Options {
        agent: AGENT.into(),
        overwrite: transfer.overwrite.map_or(Overwrite::Default, overwrite),
        compare: compare(transfer),
        level: level(transfer.durability),
        compress: compress(transfer.compress, stream),
        joins: joins(transfer),
    }
}

/// Whether other connections may join. What is held back by `--rate` needs none.
pub(super) fn joins(transfer: &Transfer) -> bool {
    // Elsewhere nothing is known of a path, and this was never measured.
    cfg!(target_os = "linux") && transfer.streams.most() > 1 && transfer.rate.is_none()
}

/// `--compress`, for one connection.
pub(super) fn compress(arg: CompressArg, stream: &Stream) -> Compress {
    match arg {
        CompressArg::Auto => Compress::While(stream.slow()),
        CompressArg::On => Compress::On,
        CompressArg::Off => Compress::Off,
    }
}

/// `--include` and `--exclude`; `None` when all is wanted.
pub(super) fn filter(transfer: &Transfer) -> Result<Option<Filter>, Stop> {
    if transfer.include.is_empty() && transfer.exclude.is_empty() {
        return Ok(None);
    }
    Filter::new(&transfer.include, &transfer.exclude).map(Some).map_err(Stop::usage)
}

/// `--compare` and its alias.
pub(super) fn compare(transfer: &Transfer) -> Compare {
    match transfer.compare {
        _ if transfer.checksum => Compare::Content,
        CompareArg::Quick => Compare::Quick,
        CompareArg::Content => Compare::Content,
        CompareArg::None => Compare::None,
    }
}

/// `--overwrite`
pub(super) fn overwrite(arg: OverwriteArg) -> Overwrite {
    match arg {
        OverwriteArg::Never => Overwrite::Never,
        OverwriteArg::Replace => Overwrite::Replace,
        OverwriteArg::KeepBoth => Overwrite::KeepBoth,
    }
}

/// `--names`
pub(super) fn names(arg: NamesArg) -> Names {
    match arg {
        NamesArg::Apart => Names::Apart,
        NamesArg::Portable => Names::Portable,
        NamesArg::Any => Names::Any,
    }
}

/// `--durability`
pub(super) fn level(arg: Durability) -> Level {
    match arg {
        Durability::Cached => Level::Cached,
        Durability::Durable => Level::Durable,
    }
}

/// `--links`
pub(super) fn links(arg: LinksArg) -> Links {
    match arg {
        LinksArg::Skip => Links::Skip,
        LinksArg::Keep => Links::Keep,
        LinksArg::Follow => Links::Follow,
    }
}

/// Deals things out to at most `jobs` hands, one by one.
pub(super) fn deal<T>(things: Vec<T>, jobs: u16) -> Vec<Vec<T>> {
    let hands = usize::from(jobs).clamp(1, things.len().max(1));
    let mut dealt: Vec<Vec<T>> = (0..hands).map(|_| Vec::new()).collect();
    for (i, thing) in things.into_iter().enumerate() {
        dealt[i % hands].push(thing);
    }
    dealt
}

/// Waits for all jobs; the first trouble is the one that is told.
pub(super) async fn all(mut jobs: JoinSet<Ended>) -> Result<Ended, Stop> {
    let mut worst = Ok(());
    while let Some(job) = jobs.join_next().await {
        let ended = job.map_err(|e| Stop::failed(format_args!("internal error: {e}")))?;
        worst = worst.and(ended);
    }
    Ok(worst)
}

/// The want that a number names: the first is 1.
pub(super) fn wanted(wants: &[Want], number: u32) -> Option<&Want> {
    wants.get(usize::try_from(number).ok()?.checked_sub(1)?)
}

/// What disks have to say, on the screen.
pub(super) fn notes(screen: &Screen) -> Notes {
    let screen = screen.clone();
    Arc::new(move |note| screen.fact(None, &Fact::Note { text: note.to_string() }))
}

/// Waits, boundedly, until the disk's threads have let go of a folder, so that nothing of ours is left in it: the staging
/// folder goes with its last user.
pub(super) async fn release(root: Arc<Root>) {
    let end = Instant::now() + SETTLE;
    let settled = tokio::task::spawn_blocking(move || {
        root.settle(SETTLE);
        // A thread that has said that it is done still drops what it holds.
        while Arc::strong_count(&root) > 1 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    if let Err(error) = settled.await {
        tracing::warn!(%error, "cannot wait for the disk");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_session_is_told_with_the_file_that_asks_for_it() {
        let open = |name: &str| {
            let error = FileError::new(Code::Integrity, Retry::Now, "expected BLAKE3 1, got 2");
            (RelPath::parse(name.as_bytes()).unwrap(), error)
        };
        assert_eq!(why_again(&[open("a/b")]), "a/b: integrity: expected BLAKE3 1, got 2");
        assert_eq!(why_again(&[open("a"), open("b")]), "a: integrity: expected BLAKE3 1, got 2; and 1 more");
    }
}
