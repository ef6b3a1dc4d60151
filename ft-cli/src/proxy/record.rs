//! What a proxy saw, as the same events that the simulator's traces are made of: one rendering serves both.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ft_sim::schedule::{Direction, Fault, Party};
use ft_sim::trace::{Event, What};
use ft_sim::{CLIENT, SERVER};
use tokio::time::{Instant, sleep};

use crate::limits::{RECORD_BYTES, RECORD_EVENT};

/// How surely the boundaries that a schedule asks for were seen by the programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// The kernel said of every one that the reader had taken what lies before it.
    #[default]
    Exact,
    /// A reader took too long, or never read: the rest was sent all the same.
    Missed,
    /// The kernel could not be asked; after a pause the rest was sent. Nothing is shown by such a run.
    Guessed,
}

impl Certainty {
    /// The word for reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Missed => "missed",
            Self::Guessed => "probabilistic",
        }
    }
}

/// What happens when so many bytes of a direction have been read from their writer.
struct Watch {
    dir: Direction,
    upto: u64,
    then: Box<dyn FnOnce()>,
}

#[derive(Debug)]
struct Kept {
    began: Instant,
    events: Vec<Event>,
    /// What may still be kept, in bytes. A recording that had to leave something out keeps nothing after it: it has an end,
    /// and no holes.
    room: u64,
    /// Payload bytes that were passed on and not kept.
    lost: u64,
}

/// One connection, as its own line in a log needs it.
#[derive(Debug)]
struct Tally {
    certainty: Certainty,
    /// When a byte, an end or an error last passed.
    active: Instant,
    /// By direction: segments given to the reader's kernel, and their bytes.
    segments: [(u64, u64); 2],
    /// Steps of the schedule that took effect.
    played: usize,
    /// Who was sent a RST that no step asked for, by party.
    resets: [bool; 2],
    is_cut: bool,
}

/// A recording under way; clones share it.
#[derive(Clone, Debug)]
pub struct Record {
    kept: Rc<RefCell<Kept>>,
    tally: Rc<RefCell<Tally>>,
    watch: Rc<RefCell<Option<Watch>>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watch({}@{})", self.dir, self.upto)
    }
}

impl Default for Record {
    fn default() -> Self {
        Self::with_room(RECORD_BYTES)
    }
}

impl Tally {
    fn new() -> Rc<RefCell<Self>> {
        let (certainty, active) = (Certainty::Exact, Instant::now());
        Rc::new(RefCell::new(Self {
            certainty,
            active,
            segments: [(0, 0); 2],
            played: 0,
            resets: [false; 2],
            is_cut: false,
        }))
    }
}

impl Record {
    fn with_room(room: u64) -> Self {
        let kept = Kept { began: Instant::now(), events: Vec::new(), room, lost: 0 };
        Self { kept: Rc::new(RefCell::new(kept)), tally: Tally::new(), watch: Rc::default() }
    }

    /// A recording that counts and keeps nothing, for whoever wants to see nothing again.
    #[must_use]
    pub fn counting() -> Self {
        Self::with_room(0)
    }

    /// A connection was made.
    pub(super) fn open(&self, conn: u16) {
        self.saw(What::Open { conn, hosts: [CLIENT, SERVER] });
    }

    /// The same recording, with a tally for one more connection.
    #[must_use]
    pub fn of_connection(&self) -> Self {
        Self { kept: Rc::clone(&self.kept), tally: Tally::new(), watch: Rc::default() }
    }

    /// Calls `then`, once, in the moment in which the byte before `upto` is read from its writer: before anybody else
    /// can have seen it.
    pub fn watch(&self, dir: Direction, upto: u64, then: impl FnOnce() + 'static) {
        *self.watch.borrow_mut() = Some(Watch { dir, upto, then: Box::new(then) });
    }

    /// Nothing more is kept, and nobody waits for anything.
    pub(super) fn is_full(&self) -> bool {
        self.kept.borrow().room < RECORD_EVENT && self.watch.borrow().is_none()
    }

    /// Bytes came that need not be kept.
    pub(super) fn stirred(&self) {
        self.tally.borrow_mut().active = Instant::now();
    }

    /// Something happened.
    pub fn saw(&self, what: What) {
        if let What::Write { dir, offset, bytes, .. } = &what {
            let is_there = |watch: &mut Watch| watch.dir == *dir && offset + bytes.len() as u64 >= watch.upto;
            let due = self.watch.borrow_mut().take_if(is_there);
            if let Some(watch) = due {
                (watch.then)();
            }
        }
        let (mut kept, mut tally) = (self.kept.borrow_mut(), self.tally.borrow_mut());
        tally.active = Instant::now();
        if let What::Deliver { dir, bytes, .. } = &what {
            let (segments, sum) = &mut tally.segments[usize::from(*dir == Direction::S2c)];
            *segments += 1;
            *sum += bytes.len() as u64;
        }
        tally.played += usize::from(matches!(what, What::Fault(_)));
        tally.is_cut |= matches!(&what, What::Fault(step) if step.fault == Fault::Rst);
        if let What::Rst { to, .. } = &what {
            let is_ours = tally.is_cut;
            tally.resets[usize::from(*to == Party::Server)] |= !is_ours;
        }
        let payload =
            if let What::Write { bytes, .. } | What::Deliver { bytes, .. } = &what { bytes.len() as u64 } else { 0 };
        let Some(room) = kept.room.checked_sub(payload + RECORD_EVENT) else {
            kept.room = 0;
            kept.lost += if matches!(what, What::Deliver { .. }) { payload } else { 0 };
            return;
        };
        kept.room = room;
        let at = u64::try_from(kept.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        kept.events.push(Event { at, step: 0, what });
    }

    /// A boundary was not what was asked for.
    pub(super) fn doubt(&self, certainty: Certainty) {
        let mut tally = self.tally.borrow_mut();
        tally.certainty = tally.certainty.max(certainty);
    }

    /// How surely the schedule was kept.
    #[must_use]
    pub fn certainty(&self) -> Certainty {
        self.tally.borrow().certainty
    }

    /// Segments that were given to the reader's kernel, and their bytes.
    #[must_use]
    pub fn segments(&self, dir: Direction) -> (u64, u64) {
        self.tally.borrow().segments[usize::from(dir == Direction::S2c)]
    }

    /// Steps of the schedule that took effect.
    #[must_use]
    pub fn played(&self) -> usize {
        self.tally.borrow().played
    }

    /// This party was sent a RST, because the other one had closed or reset; not by the schedule.
    #[must_use]
    pub fn was_reset(&self, to: Party) -> bool {
        self.tally.borrow().resets[usize::from(to == Party::Server)]
    }

    /// Time since anything passed.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.tally.borrow().active.elapsed()
    }

    /// Ready when nothing has passed for so long.
    pub async fn silent_for(&self, span: Duration) {
        while self.silence() < span {
            let rest = span.saturating_sub(self.silence());
            sleep(rest).await;
        }
    }

    /// What has been seen so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.kept.borrow().events.clone()
    }

    /// Payload bytes that were passed on and not kept, because the recording was full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.kept.borrow().lost
    }
}
