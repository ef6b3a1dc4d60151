//! One schedule, one verdict: what scenarios and schedules come to in turmoil is what they come to on the simulator's
//! link. `tests/worlds.rs` at the root does the same over the kernel's TCP.

#![expect(clippy::disallowed_macros, reason = "what was played is shown with --nocapture")]

use std::path::Path;

use ft_sim::agree::disagreement;
use ft_sim::scenario::{self, Scenario};
use ft_sim::trace::lanes;
use ft_sim::turmoil_world::{Settings, TurmoilNetwork};
use ft_sim::{Schedule, WorldKind, cases};

fn scenarios() -> Vec<(String, Scenario)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut paths: Vec<_> =
        std::fs::read_dir(root).expect("the scenarios").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("a scenario");
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, scenario::load(&text).expect("a scenario that can be read"))
        })
        .collect()
}

/// Every scenario that a world holds, played there by `run`, against the simulator's link.
fn compare(world: WorldKind, least: usize, mut run: impl FnMut(&Scenario) -> scenario::Verdict) {
    let (mut held, mut plays, mut differences) = (0, 0, Vec::new());
    for (name, scenario) in scenarios() {
        if let Err(why) = scenario.holds(world) {
            println!("{name} is not held: {why}");
            continue;
        }
        let (own, there) = (scenario.run(), run(&scenario));
        held += 1;
        for (own, there) in own.plays.iter().zip(&there.plays) {
            plays += 1;
            if let Some(how) = disagreement((&own.run, &own.outcome), (&there.run, &there.outcome)) {
                differences.push(format!("{name}: {how}\n{}", lanes(&there.run.events)));
            }
        }
        if !there.passed {
            differences.push(format!("{name}: {}", there.text));
        }
    }
    println!("world {world}: {held} scenarios, {plays} plays");
    assert!(held >= least, "only {held} scenarios were played");
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn every_scenario_comes_to_the_same_in_turmoil() {
    compare(WorldKind::Turmoil, 72, |scenario| {
        scenario.run_on(&mut TurmoilNetwork::ground(Settings::default())).expect("it is held")
    });
}

#[test]
fn every_scenario_comes_to_the_same_in_tokio() {
    compare(WorldKind::Tokio, 72, Scenario::run_on_tokio);
}

/// Every fault at every `stride`-th byte of both directions of the case's benign run.
fn sweep(case: &str, faults: &[&str], stride: usize) -> usize {
    let case = cases::find(case).expect("a case");
    let mut ground = TurmoilNetwork::ground(Settings::default());
    let written = case.run(&Schedule::benign()).written[0];
    let mut played = 0;
    for (dir, bytes) in ["c2s", "s2c"].into_iter().zip(written) {
        for at in (0..=bytes).step_by(stride) {
            for fault in faults {
                // A split before the first byte is no schedule.
                let Ok(schedule) = format!("{dir}@{at} {fault}").parse::<Schedule>() else { continue };
                let (own, own_outcome) = case.play(&schedule);
                let (there, outcome) = case.play_on(&mut ground, &schedule).expect("it is held");
                let how = disagreement((&own, &own_outcome), (&there, &outcome));
                assert_eq!(how, None, "{}: {schedule}\n{}", case.name, lanes(&there.events));
                played += 1;
            }
        }
    }
    played
}

const SEGMENTATION: [&str; 6] = ["split", "clip", "short", "hold", "delay 20ms", "window 8"];

#[test]
fn segmentation_at_any_byte_means_the_same_to_the_labs_programs_in_turmoil() {
    // The naive ones fall over it, and must fall in the same way.
    let lab_a = sweep("lab-a-naive", &SEGMENTATION, 2) + sweep("lab-a-careful", &SEGMENTATION, 3);
    let lab_b = sweep("lab-b-naive", &SEGMENTATION, 2) + sweep("lab-b-careful-lf", &SEGMENTATION, 3);
    println!("{lab_a} and {lab_b} schedules");
    assert!(lab_a + lab_b >= 300, "{lab_a} + {lab_b}");
}

#[test]
fn every_end_of_a_connection_means_the_same_to_ft_1_in_turmoil() {
    let ends = ["half-close", "fin", "rst", "kill client", "kill server"];
    let played = sweep("ft-push-once", &ends, 31) + sweep("ft-pull-disk", &ends, 67);
    println!("{played} schedules");
    assert!(played >= 100, "{played}");
}

#[test]
fn silence_and_power_cuts_mean_the_same_to_ft_1_in_turmoil() {
    let played = sweep("ft-push-once", &["stall", "crash client", "crash server"], 89);
    assert!(played >= 15, "{played}");
}

#[test]
fn same_play_in_turmoil_has_the_same_identity_again() {
    let case = cases::find("ft-push-rivals").expect("a case");
    for schedule in ["benign", "c2s@300 rst", "2:c2s@0 delay 20ms; c2s@150 split; s2c@3 hold"] {
        let schedule: Schedule = schedule.parse().expect("a schedule");
        let play = |seed| {
            let settings = Settings { seed, latency: std::time::Duration::from_millis(5), ..Settings::default() };
            case.play_on(&mut TurmoilNetwork::ground(settings), &schedule).expect("it is held").0
        };
        let (first, again) = (play(7), play(7));
        assert_eq!(first.hash, again.hash, "{schedule}");
        assert_eq!(first.events, again.events, "{schedule}");
        assert_ne!(first.hash, play(8).hash, "{schedule}: another seed has other latencies");
    }
}

#[test]
fn schedule_that_only_memory_can_hold_is_refused_with_the_reason() {
    let case = cases::find("ft-push").expect("a case");
    let mut ground = TurmoilNetwork::ground(Settings::default());
    for (schedule, word) in [("order#0=1", "executor"), ("c2s@3 delay 3600s", "give up")] {
        let schedule: Schedule = schedule.parse().expect("a schedule");
        let refused = case.play_on(&mut ground, &schedule).expect_err("not held");
        assert!(refused.contains(word), "{refused}");
        assert_eq!(case.holds(WorldKind::Own, &schedule), Ok(()));
        assert!(case.holds(WorldKind::Tcp, &schedule).is_err());
    }
}
