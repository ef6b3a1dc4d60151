//! One schedule, one verdict: every scenario comes to the same over the kernel's TCP as on the simulator's link.

use std::path::Path;
use std::thread;

use ft_cli::loopback::Loopback;
use ft_sim::scenario;

#[test]
fn every_scenario_comes_to_the_same_over_loopback() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut paths: Vec<_> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let handles: Vec<_> = paths
        .into_iter()
        .map(|path| {
            thread::spawn(move || {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                let scenario = scenario::load(&std::fs::read_to_string(path).unwrap()).unwrap();
                let own = scenario.run();
                let began = std::time::Instant::now();
                let verdict = match scenario.run_on(&mut Loopback::ground()) {
                    Err(why) => return format!("{name}: NOT HELD {why}"),
                    Ok(verdict) => verdict,
                };
                let mut text = String::new();
                if began.elapsed().as_secs_f32() > 3.0 {
                    text += &format!("{name}: {:?}\n", began.elapsed());
                }
                for (a, b) in own.plays.iter().zip(&verdict.plays) {
                    let brk = |p: &scenario::Played| p.run.violation.as_ref().map(|v| v.name.clone());
                    if a.outcome != b.outcome || brk(a) != brk(b) {
                        text += &format!(
                            "{name} {}: {}\n   own {:?} {:?}\n   tcp {:?} {:?}\n",
                            a.case, a.run.schedule, a.outcome, a.run.violation, b.outcome, b.run.violation
                        );
                    }
                }
                text
            })
        })
        .collect();
    for handle in handles {
        print!("{}", handle.join().unwrap());
    }
}
