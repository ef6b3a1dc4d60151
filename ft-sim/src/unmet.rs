//! What a run was told to do and never did: a replay line that has lost its place must not look like a mended fault.

use std::fmt;

use crate::core::{Core, ORDER};
use crate::schedule::{Pick, Step};

/// A part of a schedule that changed nothing, because the run never came there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// The stream never reached that offset, or there was no such connection.
    Step(Step),
    /// No decision of that name and number came up.
    Pick(Pick),
    /// The decision has fewer values; the largest was taken.
    Value {
        /// What was asked for.
        pick: Pick,
        /// The largest value.
        most: u32,
    },
}

impl Unmet {
    /// False if something was decided there after all, though not what was asked for.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Step(_) | Self::Pick(_) => true,
            Self::Value { .. } => false,
        }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => write!(f, "{step}"),
            Self::Pick(pick) => write!(f, "{pick}"),
            Self::Value { pick, most } => write!(f, "{pick} was played as {most}, the largest value"),
        }
    }
}

impl Core {
    /// What of the script has not happened, in the script's order; nothing where no script was followed.
    pub(crate) fn unmet(&self) -> Vec<Unmet> {
        let Some(script) = &self.script else {
            return Vec::new();
        };
        let steps = script.steps().iter().filter(|step| !self.has_met(step)).map(|step| Unmet::Step(*step));
        let picks = script.picks().iter().filter_map(|pick| {
            if pick.nth >= self.asked(&pick.name) {
                return Some(Unmet::Pick(pick.clone()));
            }
            let too_large = self.clamped.iter().find(|(name, nth, _)| pick.name == *name && pick.nth == *nth);
            too_large.map(|&(_, _, most)| Unmet::Value { pick: pick.clone(), most })
        });
        steps.chain(picks).collect()
    }

    fn has_met(&self, step: &Step) -> bool {
        let conn = usize::from(step.conn).checked_sub(1).and_then(|index| self.conns[..self.open].get(index));
        conn.is_some_and(|conn| conn.pipe(step.dir).has_met(step.at, step.fault))
    }

    /// How many decisions of that name came up.
    fn asked(&self, name: &str) -> u32 {
        if name == ORDER {
            return self.order_count;
        }
        self.pick_counts.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count)
    }
}
