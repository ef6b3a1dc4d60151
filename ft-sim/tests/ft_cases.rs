//! ft/1 under the explorer: every promise, every single deviation, every byte, and swarms.

#![expect(clippy::disallowed_macros, reason = "what was searched or proved is shown with --nocapture")]

use ft_sim::cases::{self, Plan};
use ft_sim::{Family, Fault, Faults, Party};

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

#[test]
fn three_files_in_one_session_keep_every_promise() {
    search("ft-push-three", &Plan { runs: 1_000, ..everywhere(0) });
}

#[test]
fn compressed_content_keeps_every_promise() {
    search("ft-push-compressed", &everywhere(300));
    search("ft-pull-compressed", &Plan { runs: 300, ..Plan::default() });
}

#[test]
fn disk_that_fails_and_forgets_never_breaks_a_promise() {
    let plan = Plan { deviations: 0, cuts: vec![Fault::Crash(Party::Server)], runs: 2_000, ..Plan::default() };
    search("ft-push-disk", &plan);
    search("ft-pull-disk", &plan);
}

/// What a search finds wrong with a hasty server.
fn punished(name: &str, plan: &Plan) -> String {
    let report = cases::find(name).expect("a case of that name").explore(plan, |_| {});
    let failure = report.expect_failure();
    assert!(failure.minimal.schedule.deviations() <= 3, "{failure}");
    failure.violation.name.clone()
}

#[test]
fn power_cut_finds_every_step_of_landing_that_was_left_out() {
    let punished = |name| punished(name, &Plan::default());
    assert_eq!(punished("ft-push-no-file-sync"), "INTACT: the old file or the new one");
    assert_eq!(punished("ft-push-no-folder-sync"), "HONEST: completed files are there");
    assert_eq!(punished("ft-push-in-place"), "INTACT: the old file or the new one");
}

/// It takes a call that fails and a power cut behind it, so that the search is told to look there.
#[test]
fn power_cut_finds_that_a_failed_sync_was_made_again_and_believed() {
    let faults = Some(Faults::only(&[Family::Crash]).victims(&[Party::Server]));
    let plan = Plan { deviations: 0, runs: 20_000, faults, ..Plan::default() };
    assert_eq!(punished("ft-push-sync-again", &plan), "INTACT: the old file or the new one");
    search("ft-push-disk", &plan);
}

#[test]
fn two_clients_of_one_name_never_mix() {
    search("ft-push-rivals", &Plan { deviations: 0, runs: 2_000, ..Plan::default() });
}
