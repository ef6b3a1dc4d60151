//! Where scenarios are played: each of the four worlds, in one order, with one kind of verdict.

use std::thread;

use ft_sim::WorldKind;
use ft_sim::scenario::{Scenario, Verdict};

use super::quiet::quietly;
use crate::exit::Stop;
use crate::limits::SIM_AT_ONCE;
use crate::loopback::Loopback;

/// A scenario under its name.
type Named = (String, Scenario);

/// Plays all of them and tells `hear` of each, in their order. Each of them is held by the world.
///
/// # Errors
///
/// This program was built without the world; or what `hear` returned first.
pub(super) fn play(
    scenarios: &[Named],
    world: WorldKind,
    mut hear: impl FnMut(&Named, Result<Verdict, String>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    match world {
        WorldKind::Own => scenarios.iter().try_for_each(|named| hear(named, quietly(|| named.1.run()))),
        WorldKind::Tokio | WorldKind::Turmoil => {
            scenarios.iter().try_for_each(|named| hear(named, virtual_time(&named.1, world)?))
        }
        // In real time most of a play is waiting for a silence to end: they are played side by side.
        WorldKind::Tcp => scenarios.chunks(SIM_AT_ONCE).try_for_each(|chunk| {
            let verdicts = quietly(|| {
                thread::scope(|scope| {
                    let threads: Vec<_> =
                        chunk.iter().map(|named| scope.spawn(|| named.1.run_on(&mut Loopback::ground()))).collect();
                    threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
                })
            });
            let verdicts = verdicts.map_err(|text| Stop::failed(format_args!("{text}")))?;
            chunk.iter().zip(verdicts).try_for_each(|(named, verdict)| {
                hear(named, verdict.unwrap_or_else(|_| Err("the world broke".to_owned())))
            })
        }),
    }
}

#[cfg(feature = "worlds")]
fn virtual_time(scenario: &Scenario, world: WorldKind) -> Result<Result<Verdict, String>, Stop> {
    use ft_sim::turmoil_world::{Settings, TurmoilNetwork};
    Ok(match world {
        WorldKind::Turmoil => quietly(|| scenario.run_on(&mut TurmoilNetwork::ground(Settings::default()))).flatten(),
        WorldKind::Own | WorldKind::Tokio | WorldKind::Tcp => quietly(|| scenario.run_on_tokio()),
    })
}

#[cfg(not(feature = "worlds"))]
fn virtual_time(_: &Scenario, world: WorldKind) -> Result<Result<Verdict, String>, Stop> {
    Err(Stop::usage(format_args!("this program was built without world {world}"))
        .hint("build it with `cargo build -p ft-cli --features worlds`, or play in world own or tcp"))
}
