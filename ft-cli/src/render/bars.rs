//! Progress bars: one for the whole command, one for the file that each connection is busy with.

use std::collections::BTreeMap;
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::limits::BAR_TEXT;

/// The bars of one command, on standard error.
pub(super) struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    /// By session.
    files: BTreeMap<u64, FileBar>,
}

struct FileBar {
    bar: ProgressBar,
    stream: u32,
    shown: Instant,
}

/// Where one file stands.
pub(super) struct Position<'a> {
    pub(super) session: u64,
    pub(super) stream: u32,
    pub(super) path: &'a str,
    pub(super) done: u64,
    pub(super) size: Option<u64>,
}

impl Bars {
    /// Draws nothing until something moves.
    pub(super) fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let total = all.add(ProgressBar::new(0).with_style(style(
            "{bar:30} {bytes:>11}/{total_bytes:<11} {binary_bytes_per_sec:>13}  eta {eta:<5} {msg}",
        )));
        Self { all, total, files: BTreeMap::new() }
    }

    /// The whole command.
    pub(super) fn total(&self, moved: u64, offered: u64, done: u64, files: u64) {
        self.total.set_length(offered.max(moved));
        self.total.set_position(moved);
        self.total.set_message(format!("{done}/{files} files"));
    }

    /// The file at hand. Small files pass faster than anyone reads: the name changes only a few times a second.
    pub(super) fn file(&mut self, at: &Position<'_>) {
        let now = Instant::now();
        let entry = self.files.entry(at.session).or_insert_with(|| {
            let bar = self
                .all
                .insert_before(&self.total, ProgressBar::new(0).with_style(style("{bar:30} {percent:>3}%  {msg}")));
            FileBar { bar, stream: 0, shown: now - BAR_TEXT }
        });
        if entry.stream != at.stream {
            if now.duration_since(entry.shown) < BAR_TEXT {
                return;
            }
            entry.stream = at.stream;
            entry.shown = now;
            entry.bar.set_message(at.path.to_string());
            entry.bar.set_length(at.size.unwrap_or(at.done));
        }
        if at.size.is_none() {
            entry.bar.set_length(at.done);
        }
        entry.bar.set_position(at.done);
    }

    /// A session is over.
    pub(super) fn close(&mut self, session: u64) {
        if let Some(file) = self.files.remove(&session) {
            file.bar.finish_and_clear();
            self.all.remove(&file.bar);
        }
    }

    /// Runs `print` while no bar is on the screen.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
        self.all.suspend(print);
    }

    /// Takes all bars away.
    pub(super) fn clear(&mut self) {
        for (_, file) in std::mem::take(&mut self.files) {
            file.bar.finish_and_clear();
        }
        self.total.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are valid").progress_chars("━╸─")
}
