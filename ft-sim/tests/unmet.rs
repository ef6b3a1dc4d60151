//! A schedule that has lost its place says so: what never happened is named, and what happened is not.

use ft_sim::{Run, cases};

fn replay(line: &str) -> Run {
    let (_, run) = cases::replay(line).expect("a replay line");
    run
}

#[track_caller]
fn check(line: &str, expected: &[&str]) {
    let unmet: Vec<String> = replay(line).unmet.iter().map(ToString::to_string).collect();
    assert_eq!(unmet, expected, "{line}");
}

#[test]
fn step_behind_the_end_of_a_stream_never_happens() {
    check("lab-a-careful: c2s@9999 rst", &["c2s@9999 rst"]);
    check("lab-a-careful: c2s@9999 short", &["c2s@9999 short"]);
    check("lab-a-careful: c2s@9999 clip; c2s@4 split", &["c2s@9999 clip"]);
}

#[test]
fn step_of_a_connection_that_is_not_opened_never_happens() {
    check("lab-a-naive: 5:c2s@4 split", &["5:c2s@4 split"]);
}

#[test]
fn step_behind_one_that_ends_the_stream_never_happens() {
    check("lab-a-careful: c2s@4 rst; c2s@9 split", &["c2s@9 split"]);
}

#[test]
fn decision_that_does_not_come_up_is_named() {
    check("lab-a-naive: nosuch#0=3", &["nosuch#0=3"]);
    check("ft-push: order#9999=1", &["order#9999=1"]);
    check("ft-stranger-clients: stranger#1=2", &["stranger#1=2"]);
}

#[test]
fn value_beyond_the_last_is_named_with_what_was_played() {
    let last = cases::find("ft-stranger-clients").expect("a case").strangers() - 1;
    let largest = format!("stranger#0=99999 was played as {last}, the largest value");
    check("ft-stranger-clients: stranger#0=99999", &[&largest]);
    check(&format!("ft-stranger-clients: stranger#0={last}"), &[]);
    check("ft-push: order#0=7", &["order#0=7 was played as 1, the largest value"]);
}

#[test]
fn step_that_happens_is_not_named_whatever_it_is() {
    for fault in [
        "split",
        "clip",
        "short",
        "hold",
        "hold 20",
        "delay 20ms",
        "window 8",
        "stall",
        "half-close",
        "fin",
        "rst",
        "kill client",
        "kill server",
        "crash client",
        "crash server",
    ] {
        for at in [1, 4, 11] {
            check(&format!("lab-a-careful: c2s@{at} {fault}"), &[]);
        }
    }
    check("lab-a-careful: c2s@36 split; s2c@0 delay 2ms; s2c@3 clip", &[]);
}
