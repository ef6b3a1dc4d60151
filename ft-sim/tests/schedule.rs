//! The schedule grammar: what is valid reads, prints and reads back the same; what is not is refused with a place.

use std::time::Duration;

use ft_sim::schedule::Pick;
use ft_sim::{Direction, Fault, Party, Schedule, Step};
use proptest::prelude::*;

fn fault() -> impl Strategy<Value = Fault> {
    let party = prop_oneof![Just(Party::Client), Just(Party::Server)];
    prop_oneof![
        (1_u64..1 << 40).prop_map(Fault::Window),
        Just(Fault::Short),
        Just(Fault::Clip),
        Just(Fault::Split),
        Just(Fault::Hold { until: None }),
        (1_u64 << 40..1 << 41).prop_map(|until| Fault::Hold { until: Some(until) }),
        (1_u64..86_400_000_000).prop_map(|us| Fault::Delay(Duration::from_micros(us))),
        Just(Fault::Stall),
        Just(Fault::HalfClose),
        Just(Fault::Fin),
        Just(Fault::Rst),
        party.clone().prop_map(Fault::Kill),
        party.prop_map(Fault::Crash),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let dir = prop_oneof![Just(Direction::C2s), Just(Direction::S2c)];
    let offset = prop_oneof![1_u64..20, 1_u64..1 << 40];
    (1_u16..=1024, dir, offset, fault()).prop_map(|(conn, dir, at, fault)| Step { conn, dir, at, fault })
}

fn pick() -> impl Strategy<Value = Pick> {
    ("[a-z][a-z0-9-]{0,20}", 0_u32..1000, 1_u32..1000).prop_map(|(name, nth, value)| Pick {
        name: name.into(),
        nth,
        value,
    })
}

proptest! {
    #[test]
    fn schedule_printed_and_read_back_is_equal(
        steps in prop::collection::vec(step(), 0..20),
        picks in prop::collection::vec(pick(), 0..5),
    ) {
        let schedule = Schedule::new(steps, picks).unwrap();
        let text = schedule.to_string();
        let again: Schedule = text.parse().unwrap();
        prop_assert_eq!(&again, &schedule);
        prop_assert_eq!(again.to_string(), text);
    }

    #[test]
    fn arbitrary_text_is_read_or_refused_within_its_bounds(text in ".{0,80}") {
        if let Err(error) = text.parse::<Schedule>() {
            prop_assert!(error.offset <= text.len());
        }
    }

    #[test]
    fn text_made_of_the_grammars_words_is_read_or_refused(
        words in prop::collection::vec(
            prop::sample::select(vec!["c2s@4", "2:s2c@0", "split", "hold", "9", ";", "\n", "delay", "1ms", "order#1=2", "#", "rst", "crash", "server"]),
            0..12,
        )
    ) {
        let text = words.join(" ");
        if let Ok(schedule) = text.parse::<Schedule>() {
            prop_assert_eq!(schedule.to_string().parse::<Schedule>().unwrap(), schedule);
        }
    }
}

#[test]
fn comments_lines_and_order_of_writing_do_not_matter() {
    let text = "\n# the header arrives in two pieces\ns2c@3 kill server   # after its ACK\nc2s@4 split; order#2=1\n";
    let schedule: Schedule = text.parse().unwrap();
    assert_eq!(schedule.to_string(), "c2s@4 split; s2c@3 kill server; order#2=1");
    assert_eq!("".parse::<Schedule>().unwrap().to_string(), "benign");
    assert_eq!("benign".parse::<Schedule>().unwrap(), Schedule::benign());
}

#[test]
fn refusals_name_the_place_and_what_was_expected() {
    let refusals: Vec<String> = [
        "c2s@4 spilt",
        "c2s@4 split; up@3 rst",
        "c2s@ split",
        "c2s@04 split",
        "c2s@0 split",
        "c2s@4",
        "c2s@4 split 9",
        "c2s@9 hold 9",
        "c2s@1 delay 3",
        "c2s@1 delay 25h",
        "c2s@1 delay 90000s",
        "c2s@1 delay 0ms",
        "c2s@1 window 0",
        "c2s@1 crash router",
        "0:c2s@1 rst",
        "c2s@1 rst\nc2s@1 rst",
        "order#1=0",
        "Order#1=2",
        "order#1=2; order#1=3",
        "hello",
        "c2s@18446744073709551616 rst",
    ]
    .iter()
    .map(|text| format!("{text:?}\n    {}", text.parse::<Schedule>().unwrap_err()))
    .collect();
    insta::with_settings!({ snapshot_path => "../../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("sim_schedule_refusals", refusals.join("\n"));
    });
}

#[test]
fn every_worked_example_of_the_specification_is_a_schedule() {
    let text = include_str!("../../docs/SCHEDULE.md");
    let examples: Vec<&str> =
        text.split("```schedule\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    assert!(examples.len() >= 10, "{}", examples.len());
    for example in examples {
        let schedule: Schedule = example.parse().unwrap_or_else(|error| panic!("{example}: {error}"));
        assert!(schedule.deviations() > 0, "{example}");
    }
}
