//! From a session's events to facts and counts.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ft_core::error::{Code, FileError, Retry};
use ft_core::event::{Direction, Event, Report};
use ft_core::frame::{Frame, Kind, Meta, StreamId};
use ft_core::path::RelPath;

use super::bars::Position;
use super::fact::{kind_name, step_name};
use super::screen::Change;
use super::{Counts, Fact, Mode, Screen};
use crate::limits::REMEMBERED;

/// What came of the files of a command, over all its sessions and retries. Clones share it.
///
/// Paths are remembered, so that a retry neither sends nor counts a file twice; as many as [`REMEMBERED`] and as hashes, so
/// that a million files cost no more memory than some thousands.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<Sums>>);

/// A path, as far as telling it from others goes.
type Mark = [u8; 16];

fn mark(path: &RelPath) -> Mark {
    short(path.to_bytes())
}

fn short(bytes: impl AsRef<[u8]>) -> Mark {
    let hash = blake3::hash(bytes.as_ref());
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

#[derive(Default)]
struct Sums {
    counts: Counts,
    /// Completed, or refused for good: not to be offered again.
    done: HashSet<Mark>,
    /// Completed in sessions that are over, and not remembered: offered again they are found to be there already.
    forgotten: u64,
    /// Failed in a way that another try may cure; the newest reason counts.
    open: BTreeMap<RelPath, FileError>,
    /// Most of them, where a peer chooses their names.
    most_open: Option<usize>,
    /// Sent without an answer.
    unknown: HashSet<RelPath>,
    /// Farthest point from which a file was continued, bytes.
    farthest: u64,
}

impl Tally {
    /// For files whose names the other side chooses. No more of them than `most` are remembered as worth another try; beyond that a
    /// file has failed, whatever comes of it later.
    pub fn of_peer(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Sums { most_open: Some(most), ..Sums::default() })))
    }

    /// Whether this path needs no other try.
    pub fn is_done(&self, path: &RelPath) -> bool {
        self.lock().done.contains(&mark(path))
    }

    /// Whether some file failed in a way that another try may cure, or is not known to be stored.
    pub fn wants_retry(&self) -> bool {
        let sums = self.lock();
        !sums.open.is_empty() || !sums.unknown.is_empty()
    }

    /// Whether something so named, or something in it, is not known to be stored, and another try may cure that. Without
    /// a name: anything.
    pub fn wants_retry_of(&self, name: Option<&[u8]>) -> bool {
        let sums = self.lock();
        let is_it = |path: &RelPath| name.is_none_or(|name| path.components().first().is_some_and(|c| c == name));
        sums.open.keys().any(is_it) || sums.unknown.iter().any(is_it)
    }

    /// A number pair that grows when something was achieved for good: files completed, and the farthest point, in bytes,
    /// from which a file was continued. Bytes sent are no achievement; a peer may lose them again and again.
    pub fn achieved(&self) -> (u64, u64) {
        let sums = self.lock();
        (sums.counts.completed, sums.farthest)
    }

    /// Files whose failure another try might have cured, with the newest reason.
    pub fn left_open(&self) -> Vec<(RelPath, FileError)> {
        self.lock().open.iter().map(|(path, error)| (path.clone(), error.clone())).collect()
    }

    /// The counts, with what is open now counted as failed.
    pub fn counts(&self) -> Counts {
        let sums = self.lock();
        let mut counts = sums.counts;
        counts.failed += sums.open.len() as u64;
        counts.unknown += sums.unknown.len() as u64;
        counts
    }

    /// Something that was asked for did not come.
    pub fn missed(&self) {
        self.lock().counts.failed += 1;
    }

    /// A file or folder could not be looked at, so that it, or what is in it, was never offered. False if that is known.
    pub fn unreadable(&self, path: &RelPath, error: &FileError) -> bool {
        let error = FileError::new(error.code, Retry::Never, error.text.clone());
        self.lock().failed(path, &error)
    }

    /// Something, by its name here, was never offered because another thing has its name at the other side. False if that
    /// is known.
    pub fn unsent(&self, local: &str) -> bool {
        // No path has a NUL in it.
        let mark = short([b"\0", local.as_bytes()].concat());
        let mut sums = self.lock();
        let new = if sums.done.len() < REMEMBERED { sums.done.insert(mark) } else { !sums.done.contains(&mark) };
        sums.counts.failed += u64::from(new);
        new
    }

    fn lock(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sums {
    /// Counts a file, unless it was counted before. True if nothing will tell next time that it was.
    fn completed(&mut self, seen: &Seen) -> bool {
        let path = &seen.meta.path;
        self.open.remove(path);
        self.known(path);
        let (before, kept) = self.remember(path);
        if before {
            return false;
        }
        if seen.same && self.forgotten > 0 {
            self.forgotten -= 1;
            return true;
        }
        self.counts.completed += 1;
        self.counts.folders += u64::from(seen.meta.kind == Kind::Folder);
        self.counts.same += u64::from(seen.same);
        self.counts.kept += seen.kept;
        !kept
    }

    /// Counts a file that somebody chose not to have, unless it was counted before: as that or, in an earlier session, as what
    /// came of it there.
    fn skipped(&mut self, path: &RelPath) {
        let (before, _) = self.remember(path);
        self.counts.skipped += u64::from(!before);
    }

    /// Whether the path was done before, and whether it is known to be from now on.
    fn remember(&mut self, path: &RelPath) -> (bool, bool) {
        let mark = mark(path);
        if self.done.len() < REMEMBERED {
            return (!self.done.insert(mark), true);
        }
        let before = self.done.contains(&mark);
        (before, before)
    }

    /// What became of a file is not unknown any more. Mostly nothing was, and then its path need not be hashed.
    fn known(&mut self, path: &RelPath) {
        if !self.unknown.is_empty() {
            self.unknown.remove(path);
        }
    }

    /// True when that is the last word about the file.
    fn failed(&mut self, path: &RelPath, error: &FileError) -> bool {
        if self.done.contains(&mark(path)) {
            return false;
        }
        // A name that another session writes is most probably held by the session that has just broken.
        let open = error.retry == Retry::Now || error.code == Code::NameBusy;
        if open && self.unknown.contains(path) {
            // This try came to nothing before the receiver said what it has; an earlier one may have stored the file.
        } else if open && self.most_open.is_some_and(|most| self.open.len() >= most && !self.open.contains_key(path)) {
            self.counts.failed += 1;
        } else if open {
            self.open.insert(path.clone(), error.clone());
        } else {
            self.open.remove(path);
            self.known(path);
            self.counts.failed += 1;
            self.remember(path);
        }
        !open
    }
}

/// What is shown in place of what is no name.
const NAMELESS: &str = "(no name)";

/// Watches one session.
pub struct Watch {
    screen: Screen,
    tally: Tally,
    session: u64,
    chooses: Chooses,
    streams: BTreeMap<StreamId, Seen>,
    counts: Counts,
    /// Files that the tally has no memory of.
    forgotten: u64,
}

/// Who may leave files out, so that they count as skipped. The side that wants the files is the one that may not want some:
/// that is no failure. A server that does not want what is pushed to it, on the other hand, fails a sender's wish, and a
/// server that does not want to send what it has offered fails ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chooses {
    Nobody,
    Us,
    Peer,
}

struct Seen {
    meta: Meta,
    /// The path for a screen that shows every step; otherwise empty, since most files are never named.
    shown: String,
    /// Content bytes counted so far, a kept prefix included.
    at: u64,
    /// Content bytes that the receiver had.
    kept: u64,
    same: bool,
    /// The peer has ended it by an ERROR.
    ended_by_peer: bool,
}

impl Watch {
    /// Watches session number `session` of a command from the side that sends files.
    pub fn sender(screen: Screen, tally: Tally, session: u64) -> Self {
        Self {
            screen,
            tally,
            session,
            chooses: Chooses::Nobody,
            streams: BTreeMap::new(),
            counts: Counts::default(),
            forgotten: 0,
        }
    }

    /// Watches it from the side that receives files.
    pub fn receiver(screen: Screen, tally: Tally, session: u64) -> Self {
        Self { chooses: Chooses::Us, ..Self::sender(screen, tally, session) }
    }

    /// Watches a pull or a listing from the side that serves it.
    pub fn server(screen: Screen, tally: Tally, session: u64) -> Self {
        Self { chooses: Chooses::Peer, ..Self::sender(screen, tally, session) }
    }

    /// What this watch counts into.
    pub fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// Takes one event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Frame(direction, frame) => {
                tracing::trace!(session = self.session, ?direction, ?frame, "frame");
                if let (Direction::Received, Frame::Error(stream, _)) = (direction, frame)
                    && let Some(seen) = self.streams.get_mut(stream)
                {
                    seen.ended_by_peer = true;
                }
                return;
            }
            Event::Progress(stream, at) => return self.progress(*stream, *at),
            Event::Offered(..)
            | Event::Started(..)
            | Event::Same(_)
            | Event::Verified(_)
            | Event::Landing(..)
            | Event::Stored(..)
            | Event::Failed(..)
            | Event::Unknown(_)
            | Event::Listed(_)
            | Event::WantDone(..)
            | Event::Closed(_) => tracing::debug!(session = self.session, ?event, "event"),
        }
        match event {
            Event::Offered(stream, meta) => self.offered(*stream, meta),
            Event::Started(stream, offset, size) => self.started(*stream, *offset, *size),
            Event::Same(stream) => self.same(*stream),
            Event::Verified(stream) => self.show(*stream, |stream, path| Fact::Verified { stream, path }),
            Event::Landing(stream, step) => {
                let step = step_name(*step);
                self.show(*stream, |stream, path| Fact::Landing { stream, path, step });
            }
            Event::Stored(stream, ack) => {
                self.show(*stream, |stream, path| Fact::stored(stream, path, ack));
                if let Some(seen) = self.streams.remove(stream) {
                    self.counts.completed += 1;
                    self.counts.folders += u64::from(seen.meta.kind == Kind::Folder);
                    self.counts.same += u64::from(seen.same);
                    self.counts.kept += seen.kept;
                    self.forgotten += u64::from(self.tally.lock().completed(&seen));
                    self.screen.change(Change { done: 1, ..Change::default() });
                }
            }
            Event::Failed(stream, error) if self.is_choice(*stream, error) => {
                if let Some(seen) = self.streams.remove(stream) {
                    self.counts.skipped += 1;
                    self.tally.lock().skipped(&seen.meta.path);
                }
            }
            Event::Failed(stream, error) => {
                let Some(seen) = self.streams.remove(stream) else { return self.nameless(*stream, error) };
                self.counts.failed += 1;
                let last_word = self.tally.lock().failed(&seen.meta.path, error);
                // People hear of what may still come right only when it has not.
                if last_word || self.screen.mode() == Mode::Json {
                    let path = seen.meta.path.to_string();
                    let fact = Fact::Failed { stream: *stream, path, problem: error.into() };
                    self.screen.fact(Some(self.session), &fact);
                }
            }
            Event::Unknown(stream) => {
                if let Some(seen) = self.streams.remove(stream) {
                    self.counts.unknown += 1;
                    let mut sums = self.tally.lock();
                    sums.open.remove(&seen.meta.path);
                    sums.unknown.insert(seen.meta.path);
                }
            }
            Event::Frame(..) | Event::Progress(..) | Event::Listed(_) | Event::WantDone(..) | Event::Closed(_) => {}
        }
    }

    /// Whether that is what somebody chose who may: no word of a peer's makes a file unwanted that we asked for.
    fn is_choice(&self, stream: StreamId, error: &FileError) -> bool {
        let ours = || self.streams.get(&stream).is_some_and(|seen| !seen.ended_by_peer);
        error.code == Code::NotWanted
            && match self.chooses {
                Chooses::Nobody => false,
                Chooses::Us => ours(),
                Chooses::Peer => true,
            }
    }

    /// A failure without an offer: a peer offered a file under something that is no name. It was not received, and whoever
    /// asked for it must hear that.
    fn nameless(&mut self, stream: StreamId, error: &FileError) {
        if error.code != Code::BadName {
            return;
        }
        self.counts.failed += 1;
        self.tally.lock().counts.failed += 1;
        let fact = Fact::Failed { stream, path: NAMELESS.into(), problem: error.into() };
        self.screen.fact(Some(self.session), &fact);
    }

    /// The session's end.
    pub fn closed(mut self, report: &Report) {
        self.counts.failed += report.wants.len() as u64;
        self.tally.lock().forgotten += self.forgotten;
        self.screen.session_over(self.session);
        let error = report.end.as_ref().err().map(ToString::to_string);
        self.screen.fact(Some(self.session), &Fact::Closed { error, counts: self.counts });
    }

    fn offered(&mut self, stream: StreamId, meta: &Meta) {
        let shown = match self.screen.mode() {
            Mode::Json | Mode::Bars => meta.path.to_string(),
            Mode::Quiet | Mode::Plain => String::new(),
        };
        if self.screen.shows_steps() {
            let fact = Fact::Offered { stream, path: shown.clone(), kind: kind_name(meta.kind), size: meta.size };
            self.screen.fact(Some(self.session), &fact);
        }
        let offered = i128::from(meta.size.unwrap_or(0));
        self.screen.change(Change { offered, files: 1, ..Change::default() });
        self.streams
            .insert(stream, Seen { meta: meta.clone(), shown, at: 0, kept: 0, same: false, ended_by_peer: false });
    }

    fn started(&mut self, stream: StreamId, offset: u64, size: Option<u64>) {
        self.show(stream, |stream, path| Fact::Started { stream, path, offset, size });
        let Some(seen) = self.streams.get_mut(&stream) else { return };
        seen.at = offset;
        seen.kept = offset;
        self.screen.change(Change { offered: -i128::from(offset), ..Change::default() });
        let mut sums = self.tally.lock();
        // A file that grows faster than it is sent gets farther each time, and never anywhere.
        if sums.open.get(&seen.meta.path).is_none_or(|error| error.code != Code::Changed) {
            sums.farthest = sums.farthest.max(offset);
        }
        // The receiver wants content, so what an earlier connection sent was not stored.
        sums.known(&seen.meta.path);
    }

    fn same(&mut self, stream: StreamId) {
        self.show(stream, |stream, path| Fact::Same { stream, path });
        let Some(seen) = self.streams.get_mut(&stream) else { return };
        seen.same = true;
        seen.kept = seen.meta.size.unwrap_or(0);
        self.screen.change(Change { offered: -i128::from(seen.kept), ..Change::default() });
    }

    fn progress(&mut self, stream: StreamId, at: u64) {
        let Some(seen) = self.streams.get_mut(&stream) else { return };
        let moved = at.saturating_sub(seen.at);
        seen.at = at;
        self.counts.bytes += moved;
        self.tally.lock().counts.bytes += moved;
        self.screen.position(&Position {
            session: self.session,
            stream,
            path: &seen.shown,
            done: at,
            size: seen.meta.size,
        });
        self.screen.change(Change { moved, ..Change::default() });
    }

    fn show(&self, stream: StreamId, fact: impl FnOnce(StreamId, String) -> Fact) {
        if self.screen.shows_steps()
            && let Some(seen) = self.streams.get(&stream)
        {
            self.screen.fact(Some(self.session), &fact(stream, seen.shown.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(n: usize, same: bool) -> Seen {
        let path = RelPath::parse(format!("tree/{n}").as_bytes()).unwrap();
        let meta = Meta { path, kind: Kind::File, size: Some(0), mode: None, mtime: None, target: Vec::new() };
        Seen { meta, shown: String::new(), at: 0, kept: 0, same, ended_by_peer: false }
    }

    #[test]
    fn files_beyond_what_is_remembered_are_counted_once_all_the_same() {
        let mut sums = Sums::default();
        let all = REMEMBERED + 5;
        let forgotten = (0..all).filter(|&n| sums.completed(&seen(n, false))).count();
        assert_eq!((sums.counts.completed, forgotten), (all as u64, 5));
        sums.forgotten += 5;
        // The retry offers five of them again, and one that is new.
        let again = (REMEMBERED..all).filter(|&n| sums.completed(&seen(n, true))).count();
        assert_eq!((sums.counts.completed, again), (all as u64, 5), "none twice, and no better known than before");
        assert!(sums.completed(&seen(all, true)));
        assert_eq!(sums.counts.completed, all as u64 + 1);
    }

    #[test]
    fn file_that_is_not_wanted_a_second_time_is_what_it_was_the_first_time() {
        let mut sums = Sums::default();
        sums.completed(&seen(1, false));
        sums.failed(&seen(2, false).meta.path, &FileError::new(Code::Exists, Retry::Never, "there is another"));
        sums.skipped(&seen(3, false).meta.path);
        // A retry is offered all of them again, and takes none.
        (1..=4).for_each(|n| sums.skipped(&seen(n, false).meta.path));
        let counts = sums.counts;
        assert_eq!((counts.completed, counts.failed, counts.skipped), (1, 1, 2), "of the fourth nothing was known");
    }

    #[test]
    fn file_that_grows_under_the_senders_hands_achieves_nothing_by_getting_farther() {
        let tally = Tally::default();
        let screen = Screen::new(crate::args::Talk { quiet: true, ..Default::default() }, false);
        let mut watch = Watch::sender(screen, tally.clone(), 1);
        let mut attempt = |stream, offset, code| {
            watch.event(&Event::Offered(stream, seen(1, false).meta));
            watch.event(&Event::Started(stream, offset, None));
            watch.event(&Event::Failed(stream, FileError::new(code, Retry::Now, "again")));
            tally.achieved()
        };
        assert_eq!(attempt(1, 5, Code::Io), (0, 5));
        assert_eq!(attempt(3, 6, Code::Changed), (0, 6));
        assert_eq!(attempt(5, 7, Code::Changed), (0, 6));
        assert_eq!(attempt(7, 8, Code::Changed), (0, 6));
    }

    #[test]
    fn failures_under_names_that_a_peer_chooses_are_all_counted_and_few_remembered() {
        let tally = Tally::of_peer(2);
        for n in 0..5 {
            tally.lock().failed(&seen(n, false).meta.path, &FileError::new(Code::Io, Retry::Now, "again"));
        }
        assert_eq!((tally.counts().failed, tally.left_open().len()), (5, 2));
        // One that is remembered may come right, and be told again.
        tally.lock().failed(&seen(0, false).meta.path, &FileError::new(Code::Io, Retry::Now, "again"));
        tally.lock().completed(&seen(1, false));
        assert_eq!((tally.counts().failed, tally.counts().completed), (4, 1));
    }
}
