//! Every pitfall that the catalogue marks for a lab's listing is found by the search, which is not told where, and shrunk.

use std::collections::BTreeSet;

use ft_core::dialect::pitfall::{Lab, Pitfall};
use ft_sim::cases::pitfalls::{find, hunts};
use ft_sim::replay;

/// Marked for a lab, and out of a simulator's sight: the kernel's timing, and its bookkeeping of ports.
const NOT_SIMULATED: &[Pitfall] = &[Pitfall::NagleDelayedAck, Pitfall::TimeWait];

#[test]
fn search_finds_every_pitfall_of_both_listings_and_the_smallest_schedule() {
    let mut table = String::new();
    for hunt in hunts() {
        let report = hunt.search();
        let Some(failure) = &report.failure else {
            panic!("{}: not found in {} runs", hunt.name(), report.total_runs());
        };
        assert_eq!(failure.violation.name, hunt.pitfall.id(), "{failure}");
        let line = failure.replay_line();
        let (name, schedule) = replay::parse(&line).expect("a replay line");
        let (again, _) = find(name).expect("the hunt").play(&schedule);
        assert_eq!((again.hash, again.violation), (failure.minimal.hash, failure.minimal.violation.clone()), "{name}");
        let schedule = &failure.minimal.schedule;
        assert!(schedule.deviations() <= 3, "{}: {schedule}", hunt.name());
        table += &format!("{:<27} {:>5} runs  {schedule}\n", hunt.name(), failure.after_runs);
    }
    insta::with_settings!({ snapshot_path => "../../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("pitfalls_found", table);
    });
}

#[test]
fn no_pitfall_that_the_catalogue_marks_for_a_lab_is_left_out() {
    let hunted: BTreeSet<_> = hunts().iter().map(|hunt| (hunt.lab, hunt.pitfall)).collect();
    for lab in [Lab::A, Lab::B] {
        for &pitfall in Pitfall::ALL {
            let marked = pitfall.whose(lab).is_some() && !NOT_SIMULATED.contains(&pitfall);
            assert_eq!(hunted.contains(&(lab, pitfall)), marked, "{pitfall} in lab {lab:?}");
        }
    }
}
