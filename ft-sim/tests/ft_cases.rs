//! ft/1 under the explorer: every promise, every single deviation, every byte, and swarms.

use ft_sim::cases::{self, Plan};
use ft_sim::{Fault, Party};

fn search(name: &str, plan: &Plan) {
    let case = cases::find(name).expect("a case of that name");
    let report = case.explore(plan, |_| {});
    println!("{report}");
    report.assert_passed();
}

/// FIN, RST, silence (which the deadline ends), and a crash of either party; each followed by a retry.
fn losses() -> Vec<Fault> {
    vec![Fault::Fin, Fault::Rst, Fault::Stall, Fault::Crash(Party::Server), Fault::Crash(Party::Client)]
}

fn everywhere(runs: u64) -> Plan {
    Plan { deviations: 1, cuts: losses(), runs, ..Plan::default() }
}

#[test]
fn push_of_one_file_keeps_every_promise() {
    search("ft-push", &everywhere(3_000));
}

#[test]
fn pull_of_one_file_keeps_every_promise() {
    search("ft-pull", &everywhere(3_000));
}
