//! From any failing schedule to a small one: first the fewest deviations, then the simplest values.
//!
//! Steps are addressed by offset and do not depend on each other's presence, so that taking one away is always a valid
//! schedule. A candidate counts as failing only if it breaks the *same* promise.

use std::time::Duration;

use crate::limits;
use crate::schedule::{Fault, Pick, Schedule, Step};

/// One deviation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Step(Step),
    Pick(Pick),
}

fn items(schedule: &Schedule) -> Vec<Item> {
    let steps = schedule.steps().iter().map(|step| Item::Step(*step));
    steps.chain(schedule.picks().iter().cloned().map(Item::Pick)).collect()
}

/// The schedule of these items, if they are a valid one.
fn schedule(items: &[Item]) -> Option<Schedule> {
    let (mut steps, mut picks) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Step(step) => steps.push(*step),
            Item::Pick(pick) => picks.push(pick.clone()),
        }
    }
    Schedule::new(steps, picks).ok()
}

/// Shrinks `failing`, asking `fails` whether a candidate still breaks the promise. Returns the smallest schedule found
/// and the number of questions asked, at most [`limits::MAX_SHRINK_RUNS`].
pub fn shrink(failing: &Schedule, mut fails: impl FnMut(&Schedule) -> bool) -> (Schedule, u64) {
    let mut asked = 0;
    let mut test = |items: &[Item]| {
        if asked >= limits::MAX_SHRINK_RUNS {
            return false;
        }
        let Some(candidate) = schedule(items) else {
            return false;
        };
        asked += 1;
        fails(&candidate)
    };
    let mut best = items(failing);
    remove(&mut best, &mut test);
    // Simpler values can make other deviations superfluous, and the other way round.
    while simplify(&mut best, &mut test) {
        remove(&mut best, &mut test);
    }
    let best = schedule(&best).unwrap_or_else(|| failing.clone());
    (best, asked)
}

/// Takes away as much as possible: large chunks first, then one by one, until nothing can go.
fn remove(best: &mut Vec<Item>, test: &mut impl FnMut(&[Item]) -> bool) {
    if best.is_empty() || test(&[]) {
        best.clear();
        return;
    }
    let mut chunk = best.len().div_ceil(2);
    loop {
        let mut at = 0;
        let mut removed = false;
        while at < best.len() {
            let end = (at + chunk).min(best.len());
            let candidate: Vec<Item> = best[..at].iter().chain(&best[end..]).cloned().collect();
            if candidate.len() < best.len() && !candidate.is_empty() && test(&candidate) {
                *best = candidate;
                removed = true;
            } else {
                at = end;
            }
        }
        chunk = chunk.min(best.len()).max(1);
        if chunk == 1 && !removed {
            return;
        }
        if !removed {
            chunk = chunk.div_ceil(2);
        }
    }
}

/// Replaces each item by the first simpler one that still fails; true if any was.
fn simplify(best: &mut [Item], test: &mut impl FnMut(&[Item]) -> bool) -> bool {
    let mut changed = false;
    for at in 0..best.len() {
        loop {
            let current = best[at].clone();
            let simpler = simpler(&current).into_iter().find(|candidate| {
                if best.contains(candidate) {
                    return false;
                }
                best[at] = candidate.clone();
                let holds = test(best);
                best[at] = current.clone();
                holds
            });
            let Some(simpler) = simpler else { break };
            best[at] = simpler;
            changed = true;
        }
    }
    changed
}

/// What could stand instead of an item, simplest first. Every candidate is smaller in a well-founded order (kind, then
/// parameter, then offset), so that simplifying ends.
fn simpler(item: &Item) -> Vec<Item> {
    match item {
        Item::Step(step) => simpler_steps(step).into_iter().map(Item::Step).collect(),
        Item::Pick(pick) => {
            let values = [1, pick.value / 2, pick.value - 1];
            let smaller = values.into_iter().filter(|&value| value > 0 && value < pick.value);
            smaller.map(|value| Item::Pick(Pick { value, ..pick.clone() })).collect()
        }
    }
}

fn simpler_steps(step: &Step) -> Vec<Step> {
    let mut candidates: Vec<Step> =
        simpler_faults(step.fault).into_iter().map(|fault| Step { fault, ..*step }).collect();
    // Offsets: the start, then halves, then one less, the way a human narrows down.
    let least = u64::from(matches!(step.fault, Fault::Split | Fault::Clip | Fault::Short));
    for at in [least, step.at / 2, step.at.saturating_sub(1)] {
        if at < step.at && at >= least {
            candidates.push(Step { at, ..*step });
        }
    }
    if step.conn > 1 {
        candidates.push(Step { conn: step.conn - 1, ..*step });
    }
    candidates
}

fn simpler_faults(fault: Fault) -> Vec<Fault> {
    match fault {
        Fault::Split => Vec::new(),
        Fault::Clip | Fault::Short | Fault::Hold { until: None } => vec![Fault::Split],
        Fault::Hold { until: Some(_) } => vec![Fault::Split, Fault::Hold { until: None }],
        Fault::Delay(span) => {
            let mut simpler = vec![Fault::Split];
            for shorter in [1_000, 1_000_000].map(Duration::from_micros) {
                if shorter < span {
                    simpler.push(Fault::Delay(shorter));
                }
            }
            simpler
        }
        Fault::Window(bytes) => {
            let rounder = [65_536, 4_096, 1_024].into_iter().filter(|&round| round > bytes);
            rounder.map(Fault::Window).collect()
        }
        Fault::Stall => Vec::new(),
        Fault::HalfClose => Vec::new(),
        Fault::Fin => vec![Fault::HalfClose],
        Fault::Rst => vec![Fault::Fin],
        Fault::Kill(_) => vec![Fault::Fin, Fault::Rst],
        Fault::Crash(party) => vec![Fault::Stall, Fault::Kill(party)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Schedule {
        text.parse().unwrap()
    }

    #[test]
    fn shrinking_hundreds_of_steps_finds_the_two_that_matter() {
        let noise: Vec<String> =
            (1..400).map(|at| format!("c2s@{at} clip; s2c@{at} delay 7ms; order#{at}=3")).collect();
        let failing = parse(&noise.join(";"));
        let needs = |s: &Schedule| {
            s.steps().iter().any(|x| x.at >= 17 && x.dir == crate::schedule::Direction::C2s)
                && s.picks().iter().any(|p| p.value >= 2)
        };
        let (minimal, asked) = shrink(&failing, needs);
        assert_eq!(minimal.deviations(), 2, "{minimal}");
        assert_eq!(minimal.steps()[0].to_string(), "c2s@17 split");
        assert_eq!(minimal.picks()[0].value, 2);
        assert!(asked < 1_000, "{asked}");
    }

    #[test]
    fn shrinking_what_fails_without_any_fault_gives_the_benign_schedule() {
        let (minimal, _) = shrink(&parse("c2s@3 split; s2c@9 rst"), |_| true);
        assert_eq!(minimal, Schedule::benign());
    }

    #[test]
    fn shrinking_never_returns_a_schedule_that_passes() {
        let failing = parse("c2s@12 crash server; c2s@5 hold 9; s2c@2 rst");
        let exact = failing.clone();
        let (minimal, _) = shrink(&failing, |s| *s == exact);
        assert_eq!(minimal, failing);
    }
}
