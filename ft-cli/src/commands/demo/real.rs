//! A lesson's runs once more, over the kernel's TCP: the simulator's word is compared with the kernel's.

use ft_sim::agree::disagreement;
use ft_sim::scenario::Played;

use super::lesson::{Play, Run};
use super::stage::{Library, Pair, scenario};
use crate::loopback::Loopback;

/// A program's run in both worlds.
#[derive(Clone, Debug)]
pub(crate) struct Twin {
    /// In the simulator.
    pub(crate) simulated: Played,
    /// Over loopback TCP, or why it cannot be played there.
    pub(crate) real: Result<Played, String>,
}

impl Twin {
    /// In what the two differ, beyond what may honestly differ.
    pub(crate) fn difference(&self) -> Option<String> {
        let real = self.real.as_ref().ok()?;
        disagreement((&self.simulated.run, &self.simulated.outcome), (&real.run, &real.outcome))
    }
}

/// Plays both programs of a run over loopback TCP, under the schedule that they had in the simulator.
///
/// # Errors
///
/// A scenario or play is not there.
pub(crate) fn again(run: &Run, pair: &Pair, library: Library<'_>) -> Result<[Twin; 2], String> {
    let twin = |play: &Play, simulated: &Played| {
        let (scenario, index) = scenario(play, library)?;
        let real = scenario.play_on(index, &mut Loopback::ground(), &simulated.run.schedule);
        Ok::<_, String>(Twin { simulated: simulated.clone(), real })
    };
    Ok([twin(&run.broken, &pair.broken)?, twin(&run.fixed, &pair.fixed)?])
}
