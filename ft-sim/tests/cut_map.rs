//! Cut maps: where programs stand and fall along the wire, cell by cell from runs.

use std::cell::RefCell;

use ft_sim::cases::{self, Outcome};
use ft_sim::cutmap::{self, CutMap, Mark};
use ft_sim::{Direction, Endpoint, Fault, Party, Schedule, World, explore, scenario};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn map_of(case: &str, faults: &[Fault]) -> CutMap {
    let case = cases::find(case).expect("a case of that name");
    case.cut_map(&Schedule::benign(), faults).expect("a small map")
}

/// The marks of one direction, a line for each kind of cut; offsets that a cut cannot have are left out.
fn letters(map: &CutMap, dir: Direction) -> Vec<String> {
    let strip = map.strips.iter().find(|strip| strip.dir == dir).expect("both directions");
    let line = |row: &cutmap::Row| row.cells.iter().map(|cell| map.ending(cell).mark.letter()).collect();
    strip.rows.iter().map(line).collect()
}

#[test]
fn listing_of_lab_a_dies_inside_its_header_and_believes_a_size_that_is_cut() {
    let map = map_of("lab-a-naive", &[Fault::Split, Fault::HalfClose]);
    let split = "X".repeat(9) + "C" + &".".repeat(26);
    let half_close = "X".repeat(10) + &"C".repeat(26) + ".";
    assert_eq!(letters(&map, Direction::C2s), [split, half_close]);
    assert_eq!(letters(&map, Direction::S2c), ["CC.", "CCC."]);
    assert_eq!(map.strips[0].bytes, b"data.txt|25the quick brown fox jumps");
    assert_eq!(map.strips[0].writes, [0, 11]);
}

#[test]
fn careful_programs_have_no_harm_in_any_cell_under_the_faults_that_their_wire_can_bear() {
    for case in ["lab-a-careful", "lab-a-careful-lf", "ft-push-once"] {
        let map = map_of(case, cutmap::FAULTS);
        let harm: Vec<_> = map.counts().into_iter().filter(|(mark, count)| mark.is_harm() && *count > 0).collect();
        assert!(harm.is_empty(), "{case}: {harm:?}");
        assert!(map.first(Mark::Intact).is_some() && map.first(Mark::Refused).is_some(), "{case} shows both");
    }
}

#[test]
fn cut_that_lab_b_takes_for_the_end_of_its_data_is_corrupt_however_careful_the_program() {
    let map = map_of("lab-b-careful-lf", &[Fault::HalfClose]);
    let (names, data) = ("-".repeat(17), "C".repeat(25));
    assert_eq!(letters(&map, Direction::C2s), [names + &data + "."]);
}

#[test]
fn every_cell_is_what_its_replay_line_plays() {
    let map = map_of("lab-a-naive", &[Fault::Split, Fault::Rst, Fault::Kill(Party::Server)]);
    for strip in &map.strips {
        for cell in strip.rows.iter().flat_map(|row| &row.cells) {
            let line = map.replay_line(cell);
            let (name, schedule) = ft_sim::replay::parse(&line).expect("a replay line");
            let (run, outcome) = cases::find(name).expect("a case").play(&schedule);
            let ending = map.ending(cell);
            assert_eq!(run.violation.map(|violation| violation.to_string()), ending.breaks, "{line}");
            assert_eq!([&outcome.client, &outcome.server], [&ending.client, &ending.server], "{line}");
        }
    }
}

#[test]
fn map_on_top_of_a_schedule_has_that_schedule_in_every_cell() {
    let case = cases::find("lab-b-naive").expect("a case");
    // Alone the listing cannot even complete: both its texts arrive in one piece.
    assert_eq!(map_of("lab-b-naive", &[Fault::Fin]).uncut.mark, Mark::Crash);
    let base: Schedule = "c2s@7 split; c2s@15 split".parse().expect("a schedule");
    let map = case.cut_map(&base, &[Fault::Split]).expect("a small map");
    assert_eq!(map.uncut.mark, Mark::Intact);
    for cell in map.strips.iter().flat_map(|strip| &strip.rows).flat_map(|row| &row.cells) {
        assert!(base.steps().iter().all(|step| cell.schedule.steps().contains(step)), "{}", cell.schedule);
    }
}

#[test]
fn map_of_a_scenario_has_the_inputs_of_its_play() {
    let text = "# Is it smaller?\n# Yes.\nshows = [\"SPLIT\"]\n[[play]]\ncase = \"lab-a-naive\"\nschedule = \"benign\"\n\
                with = { name = \"f\", body = \"12345\", server = \"careful\" }\n";
    let scenario = scenario::load(text).expect("a scenario");
    let draw = |play| scenario.cut_map(play, &Schedule::benign(), &[Fault::Split]);
    let map = draw(0).expect("a play").expect("a small map");
    assert_eq!(map.strips[0].bytes, b"f|512345");
    assert!(letters(&map, Direction::C2s)[0].chars().all(|letter| letter == '.'), "a careful server reads on");
    assert!(draw(1).is_none());
}

#[test]
fn map_of_65_536_bytes_is_refused_with_its_size() {
    let case = cases::find("ft-push-64k").expect("a case");
    let refused = case.cut_map(&Schedule::benign(), cutmap::FAULTS).expect_err("too large");
    assert!(refused.cells > 6 * 65_536, "{refused}");
}

/// One letter of a program, and the map with it: nothing in it is written by hand.
#[test]
fn change_of_a_program_changes_its_map() {
    let draw = |whole: bool| {
        let play = |schedule: &Schedule| {
            let outcome = RefCell::new(Outcome::default());
            let run = explore::run(
                |world: &mut World| {
                    let end = world.pair(
                        |mut s: Endpoint| async move { s.write_all(b"hello").await },
                        |mut s: Endpoint| async move {
                            let mut text = [0; 5];
                            // The planted change.
                            if whole { s.read_exact(&mut text).await } else { s.read(&mut text).await }
                        },
                    );
                    let read = end.server.done().and_then(Result::ok);
                    world.always("INTACT: five bytes", read == Some(5));
                    outcome.borrow_mut().files = "text: new".to_owned();
                },
                schedule,
            );
            (run, outcome.into_inner())
        };
        let map = cutmap::draw("hello", ["writer", "reader"], &Schedule::benign(), &[Fault::Split], play);
        letters(&map.expect("a small map"), Direction::C2s)
    };
    assert_eq!(draw(false), ["CCCC."]);
    assert_eq!(draw(true), ["....."]);
}
