//! Standard output and standard error, shared by all sessions of a command.
//!
//! Results (listings, summaries, JSON, a server's log) go to standard output, talk (bars, warnings, errors) to standard
//! error. A reader of standard output that went away is no error of ours: what it wanted, it has.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::bars::{Bars, Position};
use super::{Counts, Fact, amount, files, mode_text, seconds};
use crate::args::Talk;
use crate::exit::{Exit, Stop};
use crate::limits::JSON_PROGRESS;

/// How facts are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Errors only.
    Quiet,
    /// Lines.
    Plain,
    /// Lines, and bars on a terminal.
    Bars,
    /// One JSON object a line on standard output.
    Json,
}

/// A handle on the screen; clones share it.
#[derive(Clone)]
pub struct Screen {
    mode: Mode,
    /// Standard output carries file content: everything else keeps off it.
    data_on_stdout: bool,
    begun: Instant,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    bars: Option<Bars>,
    moved: u64,
    offered: u64,
    files: u64,
    done: u64,
    progress_shown: Option<Instant>,
    closed: bool,
    /// Why output was lost, if not because its reader had enough.
    lost: Option<String>,
}

/// What `--json` adds to a fact.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    fact: &'a Fact,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
}

/// A change of the totals.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    pub(super) moved: u64,
    pub(super) offered: i128,
    pub(super) files: u64,
    pub(super) done: u64,
}

impl Screen {
    /// A screen for a verb that may show bars, or not.
    pub fn new(talk: Talk, bars: bool) -> Self {
        let mode = match talk {
            Talk { json: true, .. } => Mode::Json,
            Talk { quiet: true, .. } => Mode::Quiet,
            Talk { .. } if bars && io::stderr().is_terminal() => Mode::Bars,
            Talk { .. } => Mode::Plain,
        };
        let inner = Inner {
            bars: (mode == Mode::Bars).then(Bars::new),
            moved: 0,
            offered: 0,
            files: 0,
            done: 0,
            progress_shown: None,
            closed: false,
            lost: None,
        };
        Self { mode, data_on_stdout: false, begun: Instant::now(), inner: Arc::new(Mutex::new(inner)) }
    }

    /// Keeps standard output free for content.
    #[must_use]
    pub fn with_data_on_stdout(mut self) -> Self {
        self.data_on_stdout = true;
        self
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether every step of every file is shown: otherwise those facts need not be made.
    pub(super) fn shows_steps(&self) -> bool {
        self.mode == Mode::Json
    }

    /// True when the reader of standard output is gone: a listing need not go on.
    pub fn stdout_closed(&self) -> bool {
        self.lock().closed
    }

    /// Why output was lost, if any was: a full disk, not a reader that went away.
    pub fn output_lost(&self) -> Option<String> {
        self.lock().lost.clone()
    }

    /// Shows one fact of the command, or of one of its sessions.
    pub fn fact(&self, session: Option<u64>, fact: &Fact) {
        if self.mode == Mode::Json {
            let line = Line { session, fact };
            let text = serde_json::to_string(&line).expect("facts have string keys and finite numbers");
            // Content on standard output leaves standard error for the events.
            return if self.data_on_stdout { self.say(&text) } else { self.print(&text) };
        }
        match fact {
            Fact::Failed { path, problem, .. } => self.complain(&format!("{path}: {}: {}", problem.code, problem.text)),
            Fact::Note { text } => self.say(text),
            Fact::Retry { attempt, wait_ms, reason } => {
                self.say(&format!("{reason}; retry {attempt} in {} s", *wait_ms as f64 / 1000.0));
            }
            Fact::Lab { text } => self.line(text),
            // The log of a lab's server is its own, to the letter; what it does not have goes beside.
            Fact::Listening { address, dialect } if matches!(dialect.as_str(), "pipe" | "addfile") => {
                self.say(&format!("listening on {address} ({dialect})"));
            }
            Fact::Listening { address, dialect } => self.line(&format!("listening on {address} ({dialect})")),
            Fact::Code { code } => self.print(code),
            Fact::Error { text, hint } => {
                self.complain(&format!("error: {text}"));
                if let Some(hint) = hint {
                    self.complain(&format!("hint: {hint}"));
                }
            }
            Fact::Connected { .. }
            | Fact::Offered { .. }
            | Fact::Started { .. }
            | Fact::Same { .. }
            | Fact::Progress { .. }
            | Fact::Verified { .. }
            | Fact::Landing { .. }
            | Fact::Stored { .. }
            | Fact::Entry { .. }
            | Fact::Closed { .. }
            | Fact::Summary { .. } => {}
        }
    }

    /// One entry of a listing.
    pub fn entry(&self, path: String, meta: &ft_core::frame::Meta) {
        let fact = Fact::entry(path, meta);
        if self.mode == Mode::Json {
            return self.fact(None, &fact);
        }
        let Fact::Entry { path, size, mtime, target, .. } = fact else { return };
        let size = size.map_or("-".into(), |s| s.to_string());
        // Nanoseconds and zone are for programs.
        let when = mtime.map_or("-".into(), |t| t.split(['.', 'Z']).next().unwrap_or_default().replace('T', " "));
        let slash = if meta.kind == ft_core::frame::Kind::Folder { "/" } else { "" };
        let arrow = target.map_or(String::new(), |t| format!(" -> {t}"));
        self.print(&format!("{} {size:>12} {when:<19} {path}{slash}{arrow}", mode_text(meta)));
    }

    /// The last words of a transfer, in words that fit its direction (`stored`, `received`, …).
    pub fn summary(&self, verb: &str, exit: Exit, counts: Counts) {
        if let Some(bars) = &mut self.lock().bars {
            bars.clear();
        }
        let time = self.begun.elapsed();
        if self.mode == Mode::Json {
            let seconds = time.as_secs_f64();
            return self.fact(None, &Fact::Summary { outcome: exit.name(), exit: exit.code(), counts, seconds });
        }
        self.line(&format!("{verb} {}", sentence(counts, time)));
    }

    /// Says why a command stopped.
    pub fn stop(&self, stop: &Stop) {
        if let Some(bars) = &mut self.lock().bars {
            bars.clear();
        }
        self.fact(None, &Fact::Error { text: stop.text.clone(), hint: stop.hint.clone() });
    }

    /// A result line, for people: nothing in quiet and JSON modes.
    pub fn line(&self, text: &str) {
        match self.mode {
            Mode::Quiet | Mode::Json => {}
            Mode::Plain | Mode::Bars if self.data_on_stdout => self.say(text),
            Mode::Plain | Mode::Bars => self.print(text),
        }
    }

    /// Text on standard output, whatever the mode.
    pub fn print(&self, text: &str) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        let mut result = Ok(());
        let mut write = || {
            let mut out = io::stdout().lock();
            result = writeln!(out, "{text}").and_then(|()| out.flush());
        };
        match &inner.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
        inner.closed = result.is_err();
        inner.lost = result.err().filter(|e| e.kind() != io::ErrorKind::BrokenPipe).map(|e| e.to_string());
    }

    /// Talk on standard error: nothing in quiet mode.
    fn say(&self, text: &str) {
        if self.mode != Mode::Quiet {
            self.complain(text);
        }
    }

    /// Trouble on standard error, in every mode.
    fn complain(&self, text: &str) {
        let write = || drop(writeln!(io::stderr().lock(), "{text}"));
        match &self.lock().bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    /// Counts a change and shows where things stand.
    pub(super) fn change(&self, change: Change) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.moved += change.moved;
        inner.offered = u64::try_from((i128::from(inner.offered) + change.offered).max(0)).unwrap_or(u64::MAX);
        inner.files += change.files;
        inner.done += change.done;
        match &inner.bars {
            Some(bars) => bars.total(inner.moved, inner.offered, inner.done, inner.files),
            None if self.mode == Mode::Json && change.moved > 0 => {
                let now = Instant::now();
                // The first bytes start the clock and show nothing: short sessions need no progress.
                let due = *inner.progress_shown.get_or_insert(now) + JSON_PROGRESS;
                if now >= due {
                    inner.progress_shown = Some(now);
                    let (bytes, total) = (inner.moved, inner.offered);
                    drop(guard);
                    self.fact(None, &Fact::Progress { bytes, total });
                }
            }
            None => {}
        }
    }

    /// Shows where one file stands.
    pub(super) fn position(&self, at: &Position<'_>) {
        if let Some(bars) = &mut self.lock().bars {
            bars.file(at);
        }
    }

    /// A session is over: its bar goes.
    pub(super) fn session_over(&self, session: u64) {
        if let Some(bars) = &mut self.lock().bars {
            bars.close(session);
        }
    }

    /// A panic elsewhere must not silence everybody.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `3 files and 1 folder (1 was there already), 12.31 MiB in 0.24 s (51.29 MiB/s); 1 refused`
pub(crate) fn sentence(counts: Counts, time: std::time::Duration) -> String {
    let mut text = files(counts.completed - counts.folders);
    match counts.folders {
        0 => {}
        1 => text += " and 1 folder",
        n => text += &format!(" and {n} folders"),
    }
    match counts.same {
        0 => {}
        1 => text += " (1 was there already)",
        n => text += &format!(" ({n} were there already)"),
    }
    text += &format!(", {} in {}", amount(counts.bytes), seconds(time));
    if counts.bytes >= 1 << 20 {
        let rate = u128::from(counts.bytes) * 1_000_000 / time.as_micros().max(1);
        text += &format!(" ({}/s)", amount(u64::try_from(rate).unwrap_or(u64::MAX)));
    }
    if counts.kept > 0 {
        text += &format!("; {} need not be sent", amount(counts.kept));
    }
    if counts.failed > 0 {
        text += &format!("; {} refused or failed", counts.failed);
    }
    if counts.unknown > 0 {
        text += &format!("; {} unknown", counts.unknown);
    }
    text
}
