//! One schedule, one verdict: what scenarios and schedules come to over the kernel's TCP is what they come to on the
//! simulator's link. Real sockets, real time; the plays are independent and run side by side.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ft_cli::limits::SIM_STAGGER;
use ft_cli::loopback::Loopback;
use ft_sim::agree::disagreement;
use ft_sim::room::Away;
use ft_sim::scenario::{self, Scenario};
use ft_sim::trace::lanes;
use ft_sim::{Schedule, WorldKind, cases};

/// Scenarios at a time: all of them, for some wait for many seconds of silence, and none needs the processor for long.
const SCENARIOS_AT_ONCE: usize = 100;

/// Schedules at a time: each is a fraction of a second of waiting for the network to settle.
const SCHEDULES_AT_ONCE: usize = 16;

/// Does every piece of work, so many at a time, and gathers what each has to complain of.
fn side_by_side<T: Sync>(work: &[T], at_once: usize, complain: impl Fn(&T) -> Vec<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let worker = || {
            let mut complaints = Vec::new();
            while let Some(piece) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                complaints.extend(complain(piece));
            }
            complaints
        };
        let begin = |_| {
            let worker = scope.spawn(worker);
            thread::sleep(SIM_STAGGER);
            worker
        };
        let workers: Vec<_> = (0..at_once.min(work.len())).map(begin).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    })
}

#[test]
fn every_scenario_comes_to_the_same_over_loopback() {
    every_scenario(Loopback::ground);
}

/// The proxy's gate is not told what the parties read, it asks the kernel: the same verdicts.
#[cfg(target_os = "linux")]
#[test]
fn every_scenario_comes_to_the_same_through_the_gate_of_the_proxy() {
    every_scenario(Loopback::proxied);
}

fn every_scenario(ground: fn() -> Away<Loopback>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let paths: Vec<_> = std::fs::read_dir(root).expect("the scenarios").map(|e| e.expect("an entry").path()).collect();
    let held = AtomicUsize::new(0);
    let complaints = side_by_side(&paths, SCENARIOS_AT_ONCE, |path| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).expect("a scenario");
        let scenario: Scenario = scenario::load(&text).expect("a scenario that can be read");
        if let Err(why) = scenario.holds(WorldKind::Tcp) {
            println!("{name} is not held: {why}");
            return Vec::new();
        }
        held.fetch_add(1, Ordering::Relaxed);
        let own = scenario.run();
        let there = scenario.run_on(&mut ground()).expect("it is held");
        let mut complaints = Vec::new();
        for (own, there) in own.plays.iter().zip(&there.plays) {
            if let Some(how) = disagreement((&own.run, &own.outcome), (&there.run, &there.outcome)) {
                complaints.push(format!("{name}: {how}\n{}", lanes(&there.run.events)));
            }
        }
        if !there.passed {
            complaints.push(format!("{name}: {}", there.text));
        }
        complaints
    });
    let held = held.into_inner();
    println!("world tcp: {held} scenarios");
    assert!(held >= 72, "only {held} scenarios were played");
    assert!(complaints.is_empty(), "{} differ:\n{}", complaints.len(), complaints.join("\n"));
}

/// Every fault at every `stride`-th byte of both directions of the case's benign run.
fn sweep(case: &'static str, faults: &[&str], stride: usize) -> Vec<(&'static str, Schedule)> {
    let written = cases::find(case).expect("a case").run(&Schedule::benign()).written[0];
    let mut plays = Vec::new();
    for (dir, bytes) in ["c2s", "s2c"].into_iter().zip(written) {
        for at in (0..=bytes).step_by(stride) {
            // A split before the first byte is no schedule.
            plays.extend(faults.iter().filter_map(|fault| Some((case, format!("{dir}@{at} {fault}").parse().ok()?))));
        }
    }
    plays
}

fn compare(plays: &[(&'static str, Schedule)]) {
    let complaints = side_by_side(plays, SCHEDULES_AT_ONCE, |(case, schedule)| {
        let case = cases::find(case).expect("a case");
        let (own, own_outcome) = case.play(schedule);
        let (there, outcome) = case.play_on(&mut Loopback::ground(), schedule).expect("it is held");
        let how = disagreement((&own, &own_outcome), (&there, &outcome));
        how.into_iter().map(|how| format!("{}: {schedule}: {how}\n{}", case.name, lanes(&there.events))).collect()
    });
    println!("{} schedules", plays.len());
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), plays.len(), complaints.join("\n"));
}

const SEGMENTATION: [&str; 6] = ["split", "clip", "short", "hold", "delay 20ms", "window 8"];

#[test]
fn segmentation_at_any_byte_means_the_same_to_the_labs_programs_over_loopback() {
    // The naive ones fall over it, and must fall in the same way.
    let mut plays = Vec::new();
    for case in ["lab-a-naive", "lab-a-careful", "lab-b-naive", "lab-b-careful-lf"] {
        plays.extend(sweep(case, &SEGMENTATION, 3));
    }
    assert!(plays.len() >= 250, "{}", plays.len());
    compare(&plays);
}

#[test]
fn every_end_of_a_connection_means_the_same_to_ft_1_over_loopback() {
    let mut plays = sweep("ft-push-once", &["half-close", "fin", "rst", "kill client", "kill server"], 31);
    plays.extend(sweep("ft-pull", &["split", "hold", "rst", "crash server"], 101));
    assert!(plays.len() >= 100, "{}", plays.len());
    compare(&plays);
}
