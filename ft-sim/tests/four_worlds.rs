//! One schedule, one verdict: every scenario that turmoil can hold comes to the same there as on the simulator's link.

#![expect(clippy::disallowed_macros, reason = "what was played is shown with --nocapture")]

use std::path::Path;

use ft_sim::scenario::{self, Scenario};
use ft_sim::turmoil_world::{Settings, TurmoilNetwork};

#[test]
fn every_scenario_comes_to_the_same_in_turmoil() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut paths: Vec<_> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let only = option_env!("X_NOT_SET");
    let _ = only;
    let mut bad = 0;
    for path in &paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let scenario: Scenario = scenario::load(&std::fs::read_to_string(path).unwrap()).unwrap();
        let own = scenario.run();
        let mut ground = TurmoilNetwork::ground(Settings::default());
        let verdict = match scenario.run_on(&mut ground) {
            Err(why) => {
                println!("{name}: NOT HELD {why}");
                continue;
            }
            Ok(verdict) => verdict,
        };
        for (a, b) in own.plays.iter().zip(&verdict.plays) {
            let brk = |p: &scenario::Played| p.run.violation.as_ref().map(|v| v.name.clone());
            if a.outcome != b.outcome || brk(a) != brk(b) {
                bad += 1;
                println!(
                    "{name} {}: {}\n   own {:?} {:?}\n   tur {:?} {:?}",
                    a.case, a.run.schedule, a.outcome, a.run.violation, b.outcome, b.run.violation
                );
            }
        }
    }
    println!("{bad} bad of {}", paths.len());
}
