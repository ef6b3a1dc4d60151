//! Which pitfalls are looked for in which program, and by which runs. One file a dialect.
//!
//! A run is built so that one pitfall alone can make it fall: small contents where a long one would, no old file unless
//! the check is about it. The offsets come from what the dialect says, so that the smallest schedule is known beforehand.

pub(super) mod lab_a;
pub(super) mod lab_b;
pub(super) mod opaque;

use ft_core::dialect::TextEnd;

use super::plan::{Check, Input, Plan, Special, Wants, steps};
use super::script::Act;

/// A run without anything unusual; `schedule` and the rest are changed by the check.
pub(super) fn run(input: Input, script: Vec<Act>) -> Plan {
    Plan { input, script, schedule: steps(&[]), special: Special::None, wants: Wants::Delivered }
}

impl Plan {
    pub(super) fn under(mut self, schedule: &[ft_sim::Step]) -> Self {
        // A check's own steps come on top of those that keep messages apart.
        let mut all = self.schedule.steps().to_vec();
        all.extend(schedule.iter().filter(|step| !self.schedule.steps().contains(step)));
        self.schedule = steps(&all);
        self
    }

    /// Without the steps that keep messages apart.
    pub(super) fn only_under(mut self, schedule: &[ft_sim::Step]) -> Self {
        self.schedule = steps(schedule);
        self
    }

    pub(super) fn wants(mut self, wants: Wants) -> Self {
        self.wants = wants;
        self
    }

    pub(super) fn with(mut self, special: Special) -> Self {
        self.special = special;
        self
    }

    pub(super) fn over(mut self, old: &[u8]) -> Self {
        self.input.old = Some(old.to_vec());
        self
    }
}

/// What the lab calls a text: with a line feed behind it, or without.
pub(super) fn text(words: &str, end: TextEnd) -> Vec<u8> {
    [words.as_bytes(), end.bytes()].concat()
}

/// Small enough for one read of any program, and more than a handful of bytes.
pub(super) const SMALL: usize = 25;

/// What was there before.
pub(super) const OLD: &[u8] = b"what was there before\n";

/// A name with characters of more than one byte.
pub(super) const FOREIGN: &str = "d\u{e4}t\u{e4}.txt";

/// More than kernels keep for one connection on loopback, so that a sender has to wait.
pub(super) const LARGE: usize = 12 * 1024 * 1024;

/// All checks of one program.
pub(super) type Checks = Vec<Check>;
