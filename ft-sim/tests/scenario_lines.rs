//! The line that a scenario prints for a play shows that very play again, with the scenario's inputs.

use std::path::Path;

use ft_sim::{replay, scenario};

#[test]
fn line_of_every_play_of_every_scenario_replays_to_the_same_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut plays = 0;
    for entry in std::fs::read_dir(folder).expect("the scenarios' folder") {
        let path = entry.expect("an entry").path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".toml")) else { continue };
        let text = std::fs::read_to_string(&path).expect("a scenario");
        let scenario = scenario::load(&text).expect("a scenario that can be read").named(name);
        for (nth, played) in scenario.run().plays.iter().enumerate() {
            let (subject, schedule) = replay::parse(&played.replay).expect("a replay line");
            assert_eq!(subject, format!("{name}/{}", nth + 1));
            let again = scenario.play_under(nth, &schedule).expect("a play");
            assert_eq!(again.replay, played.replay);
            assert_eq!((again.run.hash, &again.run.violation), (played.run.hash, &played.run.violation), "{subject}");
            if played.run.violation.is_none() {
                // Behind a program's end steps may be left over.
                let unmet: Vec<String> = played.run.unmet.iter().map(ToString::to_string).collect();
                assert_eq!(unmet, [""; 0], "{subject}");
            }
            plays += 1;
        }
    }
    assert!(plays > 50, "{plays}");
}
