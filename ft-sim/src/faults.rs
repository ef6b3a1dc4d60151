//! Which faults a search may use, and how it places them as bytes are written.
//!
//! Faults are decided lazily: when a write offers bytes `a..b`, the offsets `a+1..=b` are planned, so that every
//! decision is made at an offset that the run really reaches. What was decided is a [`Step`], the same value that a
//! schedule text holds; from there on a searched run and a replayed one take the same path through the link.

use std::time::Duration;

use crate::choices::Choices;
use crate::schedule::{Direction, Fault, Party, Step};

/// A kind of fault that a search may place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// [`Fault::Split`].
    Split,
    /// [`Fault::Clip`].
    Clip,
    /// [`Fault::Short`].
    Short,
    /// [`Fault::Hold`], until quiet.
    Hold,
    /// [`Fault::Delay`].
    Delay,
    /// Which of several woken tasks runs next.
    Order,
    /// [`Fault::Stall`].
    Stall,
    /// [`Fault::HalfClose`].
    HalfClose,
    /// [`Fault::Fin`].
    Fin,
    /// [`Fault::Rst`].
    Rst,
    /// [`Fault::Kill`] of either party.
    Kill,
    /// [`Fault::Crash`] of either party.
    Crash,
}

/// What a search may do to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    families: Vec<Family>,
    headers: Vec<u32>,
    delays: Vec<Duration>,
    parties: Vec<Party>,
}

impl Faults {
    /// Only what TCP may do to any program at any time: split, clip, short, hold, delay, order.
    #[must_use]
    pub fn segmentation() -> Self {
        Self::only(&[Family::Split, Family::Clip, Family::Short, Family::Hold, Family::Delay, Family::Order])
    }

    /// Segmentation, and the ways in which a connection ends early: half-close, FIN, RST.
    #[must_use]
    pub fn cuts() -> Self {
        Self::segmentation().and(&[Family::HalfClose, Family::Fin, Family::Rst])
    }

    /// Everything, also silence and death. Code without deadlines waits for ever under these, and is told so.
    #[must_use]
    pub fn all() -> Self {
        Self::cuts().and(&[Family::Stall, Family::Kill, Family::Crash])
    }

    /// Exactly these families.
    #[must_use]
    pub fn only(families: &[Family]) -> Self {
        let mut families = families.to_vec();
        families.sort_unstable();
        families.dedup();
        Self {
            families,
            headers: Vec::new(),
            delays: vec![Duration::from_millis(20), Duration::from_secs(2)],
            parties: vec![Party::Client, Party::Server],
        }
    }

    /// These families too.
    #[must_use]
    pub fn and(mut self, more: &[Family]) -> Self {
        self.families.extend_from_slice(more);
        self.families.sort_unstable();
        self.families.dedup();
        self
    }

    /// Not these families.
    #[must_use]
    pub fn without(mut self, fewer: &[Family]) -> Self {
        self.families.retain(|family| !fewer.contains(family));
        self
    }

    /// Sizes, in bytes, around which boundaries are most telling: a random search tries one less, equal and one more.
    #[must_use]
    pub fn headers(mut self, sizes: &[u32]) -> Self {
        self.headers = sizes.to_vec();
        self
    }

    /// The delays that are tried; 20 ms and 2 s unless said. Values outside 1 µs to 24 h are moved into it.
    #[must_use]
    pub fn delays(mut self, delays: &[Duration]) -> Self {
        let whole = |d: &Duration| {
            let micros = u64::try_from(d.as_micros()).unwrap_or(u64::MAX).max(1);
            Duration::from_micros(micros).min(crate::limits::MAX_DELAY)
        };
        self.delays = delays.iter().map(whole).collect();
        self
    }

    /// Only these parties are killed or crashed.
    #[must_use]
    pub fn victims(mut self, parties: &[Party]) -> Self {
        self.parties = parties.to_vec();
        self
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::segmentation()
    }
}

/// One entry of a planner's menu: a fault but for its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dish {
    Fixed(Fault),
    Delay,
}

/// Places faults on the bytes of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Planner {
    /// Dishes in play in this run.
    menu: Vec<Dish>,
    reorder: bool,
    delays: Vec<Duration>,
    /// Distances from the last boundary that a random search prefers; the last entry stands for "all".
    sizes: Vec<u64>,
    /// Dishes allowed, of which a swarm run takes a subset.
    allowed: Vec<Dish>,
    may_reorder: bool,
}

impl Planner {
    pub(crate) fn configure(&mut self, faults: &Faults) {
        self.allowed.clear();
        self.may_reorder = false;
        for &family in &faults.families {
            match family {
                Family::Split => self.allowed.push(Dish::Fixed(Fault::Split)),
                Family::Clip => self.allowed.push(Dish::Fixed(Fault::Clip)),
                Family::Short => self.allowed.push(Dish::Fixed(Fault::Short)),
                Family::Hold => self.allowed.push(Dish::Fixed(Fault::Hold { until: None })),
                Family::Delay if faults.delays.is_empty() => {}
                Family::Delay => self.allowed.push(Dish::Delay),
                Family::Order => self.may_reorder = true,
                Family::Stall => self.allowed.push(Dish::Fixed(Fault::Stall)),
                Family::HalfClose => self.allowed.push(Dish::Fixed(Fault::HalfClose)),
                Family::Fin => self.allowed.push(Dish::Fixed(Fault::Fin)),
                Family::Rst => self.allowed.push(Dish::Fixed(Fault::Rst)),
                Family::Kill => self.allowed.extend(faults.parties.iter().map(|&p| Dish::Fixed(Fault::Kill(p)))),
                Family::Crash => self.allowed.extend(faults.parties.iter().map(|&p| Dish::Fixed(Fault::Crash(p)))),
            }
        }
        self.delays.clone_from(&faults.delays);
        self.sizes.clear();
        self.sizes.push(1);
        for &header in &faults.headers {
            let header = u64::from(header);
            self.sizes.extend([header.saturating_sub(1), header, header + 1]);
        }
        self.sizes.retain(|&size| size > 0);
        self.sizes.sort_unstable();
        self.sizes.dedup();
        self.serve_all();
    }

    /// Everything allowed is in play.
    pub(crate) fn serve_all(&mut self) {
        self.menu.clone_from(&self.allowed);
        self.reorder = self.may_reorder;
    }

    /// Swarm: a random half of what is allowed is in play, because faults hide each other.
    pub(crate) fn serve_some(&mut self, mask: u64) {
        self.menu.clear();
        self.menu.extend(
            self.allowed.iter().enumerate().filter(|(bit, _)| mask >> (bit % 63) & 1 == 1).map(|(_, dish)| *dish),
        );
        self.reorder = self.may_reorder && mask >> 63 == 1;
    }

    /// True if any fault of the menu sits on a stream.
    pub(crate) fn plans(&self) -> bool {
        !self.menu.is_empty()
    }

    pub(crate) fn reorders(&self) -> bool {
        self.reorder
    }

    /// Decides what happens at the offsets `from+1..=to`, or at 0 when a connection opens (`from == to == 0`).
    pub(crate) fn plan(
        &self,
        choices: &mut Choices,
        address: (u16, Direction),
        mut from: u64,
        to: u64,
        steps: &mut Vec<Step>,
    ) {
        let (conn, dir) = address;
        let opening = to == 0;
        loop {
            let room = if opening { 1 } else { to - from };
            if room == 0 || self.menu.is_empty() {
                return;
            }
            let dishes = u32::try_from(self.menu.len()).expect("a menu has a dozen entries");
            let chosen = choices.pick(1 + dishes);
            if chosen == 0 {
                return;
            }
            let dish = self.menu[chosen as usize - 1];
            let at = if opening { 0 } else { from + self.distance(choices, room) };
            let fault = match dish {
                Dish::Fixed(fault) => fault,
                Dish::Delay => {
                    let n = u32::try_from(self.delays.len()).expect("a handful of delays");
                    Fault::Delay(self.delays[choices.branch(n) as usize])
                }
            };
            let cuts_nothing = at == 0 && matches!(fault, Fault::Split | Fault::Clip | Fault::Short);
            if !cuts_nothing {
                steps.push(Step { conn, dir, at, fault });
            }
            if opening || fault.is_terminal() {
                return;
            }
            from = at;
        }
    }

    /// How far behind the last boundary the next one lies, 1..=`room`.
    fn distance(&self, choices: &mut Choices, room: u64) -> u64 {
        let any = u32::try_from(room).unwrap_or(u32::MAX);
        if choices.is_exhaustive() {
            return 1 + u64::from(choices.branch(any));
        }
        let preferred = u32::try_from(self.sizes.len()).expect("a handful of sizes");
        let which = choices.branch(preferred + 2);
        match self.sizes.get(which as usize) {
            Some(&size) => size.min(room),
            None if which == preferred => room,
            None => 1 + u64::from(choices.branch(any)),
        }
    }
}
