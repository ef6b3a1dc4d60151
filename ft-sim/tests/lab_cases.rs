//! The labs under the explorer: careful programs stand within what their wire allows, naive ones fall, and where they
//! fall is found without being told.

#![expect(clippy::disallowed_macros, reason = "what was searched or proved is shown with --nocapture")]

use ft_sim::cases::{self, Plan};
use ft_sim::{Family, Fault, Faults};

fn stands(name: &str, deviations: u32, cuts: &[Fault]) {
    let case = cases::find(name).expect("a case of that name");
    let report = case.explore(&Plan { deviations, cuts: cuts.to_vec(), runs: 2_000, ..Plan::default() }, |_| {});
    println!("{report}");
    report.assert_passed();
}

const LOSSES: &[Fault] = &[Fault::Fin, Fault::Rst, Fault::HalfClose, Fault::Stall];

#[test]
fn careful_lab_a_stands_under_every_cut_and_every_pair_of_deviations() {
    stands("lab-a-careful", 2, LOSSES);
}

#[test]
fn careful_lab_a_with_a_line_feed_stands_under_every_cut_delay_and_pair_of_deviations() {
    stands("lab-a-careful-lf", 2, LOSSES);
}

#[test]
fn careful_lab_b_stands_under_every_pair_of_deviations_that_only_cut() {
    stands("lab-b-careful", 2, &[]);
    stands("lab-b-careful-lf", 2, &[]);
    stands("lab-b-careful-upload", 2, &[]);
    stands("lab-b-careful-download", 2, &[]);
}

/// What the search finds with these faults alone: the broken promise, and the smallest schedule.
fn falls(name: &str, families: &[Family]) -> String {
    let case = cases::find(name).expect("a case of that name");
    let plan = Plan { deviations: 2, runs: 2_000, faults: Some(Faults::only(families)), ..Plan::default() };
    let report = case.explore(&plan, |_| {});
    let failure = report.expect_failure();
    format!("{} / {}", failure.violation.name, failure.replay_line())
}

#[test]
fn naive_programs_fall_and_the_smallest_schedule_is_found() {
    let mut text = String::new();
    for (name, families) in [
        ("lab-a-naive", Family::Split),
        ("lab-a-naive", Family::Short),
        ("lab-a-naive", Family::HalfClose),
        ("lab-a-naive", Family::Fin),
        ("lab-a-naive", Family::Rst),
        ("lab-a-naive", Family::Stall),
        ("lab-b-naive", Family::Split),
        ("lab-b-naive-download", Family::Split),
        ("lab-b-careful", Family::HalfClose),
        ("lab-b-careful-lf", Family::HalfClose),
        ("lab-b-careful-upload", Family::HalfClose),
        ("lab-b-careful-download", Family::HalfClose),
    ] {
        text += &format!("{families:?}: {}\n", falls(name, &[families]));
    }
    insta::with_settings!({ snapshot_path => "../../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("naive_programs_fall", text);
    });
}
