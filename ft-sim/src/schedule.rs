//! What happens to a byte stream, as text: the one vocabulary that memory, tokio, turmoil and kernel TCP share.
//!
//! A schedule is declarative. Each step names a direction and an exact byte offset and says what happens *there*, so
//! that removing one step never moves another: that is what lets a failing run shrink, and what lets its replay line
//! survive changes of the code under test. `docs/SCHEDULE.md` is the specification, with worked examples, and says for
//! each step how it is played over kernel TCP.
//!
//! This module holds the values and their order; `schedule/text.rs` reads and prints them.

mod text;

pub(crate) use text::is_name;

use std::borrow::Cow;
use std::time::Duration;

pub use text::ScheduleError;

/// Which way bytes travel. The client is the side that connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Client to server.
    C2s,
    /// Server to client.
    S2c,
}

impl Direction {
    /// Both directions, in printing order.
    pub const BOTH: [Self; 2] = [Self::C2s, Self::S2c];

    /// The opposite direction.
    #[must_use]
    pub fn reverse(self) -> Self {
        match self {
            Self::C2s => Self::S2c,
            Self::S2c => Self::C2s,
        }
    }

    /// Who writes this direction.
    #[must_use]
    pub fn writer(self) -> Party {
        match self {
            Self::C2s => Party::Client,
            Self::S2c => Party::Server,
        }
    }

    /// Who reads this direction.
    #[must_use]
    pub fn reader(self) -> Party {
        self.reverse().writer()
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::C2s => 0,
            Self::S2c => 1,
        }
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// The side that connected.
    Client,
    /// The side that accepted.
    Server,
}

impl Party {
    /// The direction that this party writes.
    #[must_use]
    pub fn writes(self) -> Direction {
        match self {
            Self::Client => Direction::C2s,
            Self::Server => Direction::S2c,
        }
    }

    /// The direction that this party reads.
    #[must_use]
    pub fn reads(self) -> Direction {
        self.writes().reverse()
    }

    pub(crate) fn index(self) -> usize {
        self.writes().index()
    }
}

/// What happens at an offset. An offset `n` means: after `n` bytes of that direction, before byte `n`.
///
/// The order of the variants is the order in which steps at one offset apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// From here on, at most this many bytes may be written and unread.
    Window(u64),
    /// No write crosses this offset: the call that would takes only the bytes before it.
    Short,
    /// No read crosses this offset, though the bytes behind it have arrived.
    Clip,
    /// Bytes from here on wait for each other: until that offset has been written, the writer has closed, or
    /// [`crate::limits::HOLD_QUIET`] has passed; then they arrive together.
    Hold {
        /// Offset whose writing releases them; without it only closing or the quiet time does.
        until: Option<u64>,
    },
    /// The next byte (or FIN) from here arrives this much later than it was written.
    Delay(Duration),
    /// Deliver up to here, and the rest only once the reader has taken all of it: a segment boundary that the reader sees.
    Split,
    /// The party's process is killed once the reader has taken the bytes up to here: its kernel closes its sockets.
    Kill(Party),
    /// The party's host loses power once the reader has taken the bytes up to here: silence, and unsynced bytes are gone.
    Crash(Party),
    /// Nothing passes this offset any more, not even a FIN. The other direction goes on.
    Stall,
    /// The reader sees end of stream here; later bytes are taken and lost. The other direction goes on.
    HalfClose,
    /// The connection is closed here, politely, towards both: each reads end of stream, and a later write is answered by RST.
    Fin,
    /// The connection is reset here, towards both.
    Rst,
}

impl Fault {
    /// True if nothing in this direction passes the step.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Stall | Self::HalfClose | Self::Fin | Self::Rst => true,
            Self::Window(_)
            | Self::Short
            | Self::Clip
            | Self::Hold { .. }
            | Self::Delay(_)
            | Self::Split
            | Self::Kill(_)
            | Self::Crash(_) => false,
        }
    }

    /// True if a correct program must not even notice: TCP promises no more than this.
    #[must_use]
    pub fn is_segmentation(self) -> bool {
        match self {
            Self::Window(_) | Self::Short | Self::Clip | Self::Hold { .. } | Self::Delay(_) | Self::Split => true,
            Self::Kill(_) | Self::Crash(_) | Self::Stall | Self::HalfClose | Self::Fin | Self::Rst => false,
        }
    }
}

/// One fault at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// Connection, counted from 1 in the order of opening. 1 is not printed.
    pub conn: u16,
    /// Direction.
    pub dir: Direction,
    /// Byte offset in that direction.
    pub at: u64,
    /// What happens.
    pub fault: Fault,
}

impl Step {
    /// A step on the first connection.
    #[must_use]
    pub fn new(dir: Direction, at: u64, fault: Fault) -> Self {
        Self { conn: 1, dir, at, fault }
    }
}

/// A decision that has no place in a byte stream, such as which woken task is polled first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pick {
    /// What was decided: lower-case letters, digits and `-`. `order` is the executor's.
    pub name: Cow<'static, str>,
    /// The how-manieth decision of that name, from 0.
    pub nth: u32,
    /// What was chosen; never 0, which is the benign choice and is not written down.
    pub value: u32,
}

/// Steps and picks, sorted, without duplicates: everything in which a run differs from the benign one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Schedule {
    steps: Vec<Step>,
    picks: Vec<Pick>,
}

impl Schedule {
    /// The benign schedule: every byte arrives at once, whole, in order.
    #[must_use]
    pub fn benign() -> Self {
        Self::default()
    }

    /// A schedule of these steps and picks, in any order.
    ///
    /// # Errors
    ///
    /// The first step or pick that is not valid, such as a split before the first byte.
    pub fn new(steps: Vec<Step>, picks: Vec<Pick>) -> Result<Self, ScheduleError> {
        for step in &steps {
            text::validate_step(step).map_err(|what| ScheduleError::invalid(0, what))?;
        }
        for pick in &picks {
            text::validate_pick(pick).map_err(|what| ScheduleError::invalid(0, what))?;
        }
        Ok(Self::from_valid(steps, picks))
    }

    /// As [`Schedule::new`], for steps that the simulator itself made.
    pub(crate) fn from_valid(mut steps: Vec<Step>, mut picks: Vec<Pick>) -> Self {
        steps.sort_unstable();
        steps.dedup();
        picks.sort_unstable();
        picks.dedup_by(|b, a| a.name == b.name && a.nth == b.nth);
        Self { steps, picks }
    }

    /// A schedule of one step on the first connection.
    ///
    /// # Errors
    ///
    /// As [`Schedule::new`].
    pub fn single(dir: Direction, at: u64, fault: Fault) -> Result<Self, ScheduleError> {
        Self::new(vec![Step::new(dir, at, fault)], Vec::new())
    }

    /// The steps: by connection, direction, offset, then order of application.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The picks, by name and number.
    #[must_use]
    pub fn picks(&self) -> &[Pick] {
        &self.picks
    }

    /// How many deviations from the benign run this is.
    #[must_use]
    pub fn deviations(&self) -> usize {
        self.steps.len() + self.picks.len()
    }

    /// The steps of one direction of one connection, sorted by offset.
    pub(crate) fn steps_of(&self, conn: u16, dir: Direction) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.conn == conn && step.dir == dir)
    }

    /// What was picked the `nth` time a decision of that name came up; 0 if nothing was written down.
    pub(crate) fn picked(&self, name: &str, nth: u32) -> u32 {
        self.picks
            .binary_search_by(|pick| (pick.name.as_ref(), pick.nth).cmp(&(name, nth)))
            .map_or(0, |found| self.picks[found].value)
    }
}
