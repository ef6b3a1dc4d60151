//! The simulator's verbs, as people and scripts meet them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Sandbox, snapshot};

const VERBS: [&str; 6] = ["list", "run", "explore", "replay", "trace", "map"];

#[test]
fn help_of_every_simulator_verb_reads_as_its_snapshot() {
    let sandbox = Sandbox::new();
    let mut text = sandbox.run("sim -h").expect(0).all();
    for verb in VERBS {
        let help = sandbox.run(&format!("sim {verb} -h")).expect(0).text();
        // What every verb has is in the snapshot of `sim` itself.
        let own = help.split("\nOutput:").next().unwrap_or_default();
        text += &format!("\n$ ft-cli sim {verb} -h\n{own}");
    }
    snapshot(&sandbox, "help-sim-verbs", &text);
}

#[test]
fn list_names_every_case_and_scenario_with_its_question() {
    let sandbox = Sandbox::new();
    let text = sandbox.run("sim list").expect(0).text();
    for name in ["ft-push", "* lab-a-naive", "pitfall-split-header"] {
        assert!(text.lines().any(|l| l.trim_start().starts_with(name) && l.ends_with('?')), "{name}: {text}");
    }
    let json = sandbox.run("sim list --json").expect(0).text();
    let events = json.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object"));
    let kinds = events.fold(BTreeMap::<String, usize>::new(), |mut kinds, event| {
        *kinds.entry(event["event"].as_str().expect("a name").to_owned()).or_default() += 1;
        kinds
    });
    assert_eq!(kinds.values().sum::<usize>(), text.lines().filter(|line| line.ends_with('?')).count(), "{kinds:?}");
    assert!(kinds["case"] > 10 && kinds["scenario"] > 10, "{kinds:?}");
}

#[test]
fn scenario_by_name_tells_its_story_and_how_it_ended() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run("sim run pitfall-split-header").expect(0);
    snapshot(&sandbox, "sim-run", &ran.all());
}

#[test]
fn all_scenarios_that_are_built_in_come_to_what_they_say() {
    let sandbox = Sandbox::new();
    let text = sandbox.run("sim run").expect(0).text();
    let last = text.lines().last().expect("a last line");
    assert!(last.starts_with("held: "), "{last}");
    assert!(sandbox.run("sim run --quiet").expect(0).text().is_empty());
}

#[test]
fn scenario_file_that_expects_something_else_exits_1_and_says_what_came() {
    let sandbox = Sandbox::new();
    let text = "# Is a split header lost?\n# No.\nshows = [\"split-header\"]\n[[play]]\ncase = \"lab-a-careful\"\n\
                schedule = \"c2s@4 split\"\nfiles = \"data.txt: old\"\n";
    sandbox.file("mine.toml", text);
    let ran = sandbox.run("sim run mine.toml").expect(1);
    assert!(ran.text().contains("NOT AS EXPECTED: files: expected"), "{}", ran.all());
    let json = sandbox.run("sim run mine.toml --json").expect(1).text();
    let line: Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(line["outcome"], "failed");
    assert_eq!(line["plays"][0]["replay"], "mine.toml/1: c2s@4 split");
    let shown = ran.text();
    let again = shown.lines().find_map(|line| line.strip_prefix("see it again: ft-cli ")).expect("a command");
    let again = sandbox.run(&again.replace('\'', "")).expect(0).text();
    assert!(again.contains("files:  data.txt: new"), "{again}");
}

/// A scenario's inputs, and whether it makes a retry, are part of what its line shows again.
#[test]
fn line_that_a_scenario_prints_replays_to_the_same_verdict_and_the_same_run() {
    let sandbox = Sandbox::new();
    let json = sandbox.run("sim run --json").expect(0).text();
    let mut plays = 0;
    for scenario in json.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object")) {
        for play in scenario["plays"].as_array().expect("plays") {
            let line = play["replay"].as_str().expect("a line");
            let again =
                sandbox.run(&format!("sim replay {line} --json")).expect(if play["breaks"].is_null() { 0 } else { 1 });
            let again: Value = serde_json::from_str(&again.text()).expect("one object");
            for what in ["replay", "breaks", "digest", "client", "server", "files"] {
                assert_eq!(again[what], play[what], "{what} of {line}");
            }
            plays += 1;
        }
    }
    assert!(plays > 50, "{plays}");
}

#[test]
fn replay_says_what_of_its_line_never_happened() {
    let sandbox = Sandbox::new();
    let mut text = String::new();
    for line in [
        "lab-a-careful: c2s@9999 rst",
        "lab-a-naive: nosuch#0=3",
        "lab-a-naive: 5:c2s@4 split",
        "lab-a-careful: c2s@4 split; c2s@9999 rst",
        "ft-push: order#0=7",
        "ft-push: order#0=7; order#9999=1; s2c@9999 fin",
        "lab-a-naive:benign",
    ] {
        let ran = sandbox.run(&format!("sim replay {line}")).expect(0).text();
        let last = ran.lines().last().expect("a last line");
        let (said, _) = last.split_once("; digest ").expect("a digest");
        text += &format!("{line}\n  {said}\n");
    }
    let naive = sandbox.run("sim replay lab-a-naive: c2s@4 split; c2s@9999 fin").expect(1).text();
    assert!(naive.contains("; but 1 of the schedule's 2 steps never happened: c2s@9999 fin; digest "), "{naive}");
    let loud = sandbox.run("sim replay --quiet lab-a-careful: c2s@9999 rst").expect(0).text();
    assert!(loud.starts_with("held, but the schedule's one step never happened: c2s@9999 rst"), "{loud}");
    let json = sandbox.run("sim replay --json ft-push: order#0=7; s2c@9999 fin").expect(0).text();
    let json: Value = serde_json::from_str(&json).expect("one object");
    let unmet = json["unmet"].as_array().expect("a list");
    assert_eq!(unmet, &["s2c@9999 fin", "order#0=7 was played as 1, the largest value"]);
    snapshot(&sandbox, "sim-replay-unmet", &text);
}

#[test]
fn line_of_a_hunt_for_a_pitfall_is_played() {
    let sandbox = Sandbox::new();
    let found = sandbox.run("sim replay lab A, split-header: c2s@1 split").expect(1).text();
    assert!(found.contains("split-header"), "{found}");
    sandbox.run("sim replay lab A, split-header: benign").expect(0);
}

#[test]
fn search_that_finds_a_violation_shows_it_shrunk_and_its_replay_shows_it_again() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run("sim explore --case lab-a-naive").expect(1);
    let text = ran.text();
    let command = text.lines().find_map(|l| l.strip_prefix("see it again: ft-cli ")).expect("a command");
    let promise = text.lines().find(|line| line.contains("does not hold")).expect("a promise").to_owned();
    snapshot(&sandbox, "sim-explore-violation", &ran.all());
    let again = sandbox.run(&command.replace('\'', "")).expect(1);
    assert!(again.text().contains(&promise), "{}", again.all());
    assert!(again.text().contains("\nfailed: "), "{}", again.all());
}

#[test]
fn search_that_holds_says_what_it_did_and_says_the_same_again() {
    let sandbox = Sandbox::new();
    let line = "sim explore --case lab-a-careful --case ft-push --deviations 0 --cut rst --runs 50";
    let first = sandbox.run(line).expect(0).text();
    assert!(first.lines().last().expect("a line").starts_with("held: 2 cases, "), "{first}");
    assert_eq!(first, sandbox.run(line).expect(0).text());
    assert!(sandbox.run(&format!("{line} --quiet")).expect(0).text().is_empty());
    let other = sandbox.run(&format!("{line} --seed 77")).expect(0).text();
    assert_ne!(first.lines().last(), other.lines().last(), "another seed makes other runs");
}

#[test]
fn search_that_never_sees_what_must_happen_sometimes_exits_5_and_names_it() {
    let sandbox = Sandbox::new();
    // The benign run alone: no connection breaks in it.
    let ran = sandbox.run("sim explore --case ft-push --deviations 0 --runs 0").expect(5);
    assert!(ran.text().contains(": never\n"), "{}", ran.all());
    assert!(ran.text().lines().last().expect("a line").starts_with("unseen: "), "{}", ran.all());
}

#[test]
fn parts_of_a_search_make_together_the_runs_of_the_whole() {
    let sandbox = Sandbox::new();
    let verdict = |partition: &str| -> Value {
        let line = format!("sim explore --case lab-a-careful --deviations 1 --runs 40 --json --partition {partition}");
        serde_json::from_str(&sandbox.run(&line).expect(0).text()).expect("one object")
    };
    let whole = verdict("1/1");
    let parts: Vec<Value> = (1..=3).map(|part| verdict(&format!("{part}/3"))).collect();
    for kind in ["exhaustive", "swarm"] {
        let runs = |v: &Value| v["cases"]["lab-a-careful"]["runs"][kind].as_u64().unwrap_or_default();
        assert_eq!(parts.iter().map(runs).sum::<u64>(), runs(&whole), "{kind}");
        assert!(parts.iter().all(|part| runs(part) > 0), "{kind}: every part has work");
    }
    let sometimes = |v: &Value| -> BTreeMap<String, u64> {
        let object = v["cases"]["lab-a-careful"]["sometimes"].as_object().expect("an object").clone();
        object.into_iter().map(|(name, runs)| (name, runs.as_u64().expect("a number"))).collect()
    };
    let mut sum = BTreeMap::new();
    for (name, runs) in parts.iter().flat_map(sometimes) {
        *sum.entry(name).or_insert(0) += runs;
    }
    // Each part makes the benign run itself, and what happens in that counts in each.
    let mut whole = sometimes(&whole);
    *whole.get_mut("completed").expect("the benign run completes") += 2;
    assert_eq!(sum, whole);
}

#[test]
fn trace_is_written_as_text_json_packets_or_a_page() {
    let sandbox = Sandbox::new();
    let text = sandbox.run("sim trace ft-benign-push").expect(0);
    assert!(text.text().lines().count() > 5, "{}", text.all());
    let json = sandbox.run("sim trace ft-benign-push --format json").expect(0).text();
    assert_eq!(json, sandbox.run("sim trace ft-benign-push --json").expect(0).text());
    assert!(json.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{json}");
    sandbox.run("sim trace ft-benign-push --format pcapng --out push.pcapng").expect(0);
    let packets = std::fs::read(sandbox.path("push.pcapng")).expect("a capture");
    assert_eq!(packets[..4], [0x0a, 0x0d, 0x0d, 0x0a], "a section header block");
    assert_eq!(sandbox.run("sim trace ft-benign-push --format pcapng").expect(0).stdout, packets);
    sandbox.run("sim trace ft-benign-push --format html --out push.html").expect(0);
    let page = std::fs::read_to_string(sandbox.path("push.html")).expect("a page");
    assert!(page.starts_with("<!doctype html>") && page.len() < 400_000, "{} bytes", page.len());
    let climbs = sandbox.run("sim trace pitfall-path-traversal --play 2 --format html").expect(0).text();
    assert!(climbs.contains("\"replay\":\"pitfall-path-traversal/2: benign\""), "a line that sim replay takes");
}

#[test]
fn map_is_letters_on_80_columns_or_sentences() {
    let sandbox = Sandbox::new();
    let letters = sandbox.run("sim map lab-a-naive").expect(0).text();
    assert!(letters.lines().all(|line| line.chars().count() <= 80), "{letters}");
    let plain = sandbox.run("sim map lab-a-naive --plain").expect(0).text();
    snapshot(&sandbox, "sim-map", &format!("{letters}\n\n{plain}"));
    let hint = letters.lines().find_map(|line| line.strip_prefix("see a crash: ft-cli ")).expect("a command");
    assert!(sandbox.run(&hint.replace('\'', "")).expect(1).text().contains("dies: "), "{hint}");
}

#[test]
fn map_as_json_has_an_object_for_each_cell_and_its_letters_are_those_of_the_text() {
    let sandbox = Sandbox::new();
    let json = sandbox.run("sim map lab-a-naive --fault split --json").expect(0).text();
    let cells: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(cells.len(), 36 + 3);
    let marks: String = cells.iter().map(|cell| &cell["mark"].as_str().expect("a mark")[..2]).collect();
    assert_eq!(marks, "cr".repeat(9) + "co" + &"in".repeat(26) + "cocoin");
    assert_eq!(cells[3]["replay"], "lab-a-naive: c2s@4 split");
}

/// A picture that is not drawn again grows old.
#[test]
fn picture_in_the_readme_is_what_its_command_draws() {
    let sandbox = Sandbox::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("the README");
    let command = readme.lines().find_map(|line| line.strip_prefix("ft-cli sim map ")).expect("its command");
    sandbox.run(&format!("sim map {command}")).expect(0);
    let drawn = std::fs::read_to_string(sandbox.path("cut-map.svg")).expect("a picture");
    let shown = std::fs::read_to_string(root.join("docs/pictures/cut-map.svg")).expect("the picture");
    assert_eq!(drawn, shown, "draw docs/pictures/cut-map.svg again");
}

#[test]
fn simulator_command_that_makes_no_sense_exits_2_and_says_why() {
    let sandbox = Sandbox::new();
    sandbox.file("bad.toml", "no = \"question\"\n");
    let mut text = String::new();
    for line in [
        "sim",
        "sim run no-such-scenario",
        "sim run bad.toml",
        "sim run lab-a-naive",
        "sim trace lab-a-naive",
        "sim explore --case pitfall-split-header",
        "sim replay pitfall-split-header: benign",
        "sim replay pitfall-split-header/9: benign",
        "sim explore --case no-such-case",
        "sim explore --partition 3/2",
        "sim explore --cut burn",
        "sim replay c2s@4",
        "sim replay no-such-case: benign",
        "sim replay ft-push: c2s@0 split",
        "sim trace ft-benign-push --play 9",
        "sim map no-such-case",
        "sim map pitfall-split-header --play 9",
        "sim map ft-push-64k",
        "sim map lab-a-naive --fault burn",
        "sim map lab-a-naive --with c2s@0",
    ] {
        let ran = sandbox.run(line).expect(2);
        // Help for a missing verb, and the list of all cases, change with what they list.
        let said: Vec<&str> = ran.stderr.lines().take_while(|l| !l.is_empty() && !l.contains("[possible")).collect();
        text += &format!("$ ft-cli {line}\n{}\n\n", said.join("\n"));
    }
    snapshot(&sandbox, "sim-usage-errors", &text);
}

#[test]
fn scenario_is_played_over_real_tcp_and_comes_to_the_same() {
    let sandbox = Sandbox::new();
    let own: Value =
        serde_json::from_str(&sandbox.run("sim run pitfall-split-header --json").expect(0).text()).unwrap();
    let line = sandbox.run("sim run pitfall-split-header --world tcp --json").expect(0).text();
    let tcp: Value = serde_json::from_str(&line).expect("one object");
    assert_eq!((&own["world"], &tcp["world"]), (&Value::from("own"), &Value::from("tcp")));
    for (own, tcp) in own["plays"].as_array().expect("plays").iter().zip(tcp["plays"].as_array().expect("plays")) {
        for what in ["replay", "client", "server", "files", "breaks"] {
            assert_eq!(own[what], tcp[what], "{what}");
        }
        assert!(tcp.get("digest").is_none(), "real time repeats nothing");
    }
    let last = sandbox.run("sim run ft-split-header --world tcp").expect(0).text();
    assert!(last.ends_with("held: 1 scenario, 1 play in world tcp\n"), "{last}");
}

#[test]
fn world_that_cannot_hold_a_scenario_is_refused_with_the_reason() {
    let sandbox = Sandbox::new();
    let text = "# Does the order of tasks matter?\n# No.\nshows = [\"FT-33\"]\n[[play]]\ncase = \"ft-push\"\n\
                schedule = \"order#0=1\"\n";
    sandbox.file("mine.toml", text);
    sandbox.run("sim run mine.toml").expect(0);
    let refused = sandbox.run("sim run mine.toml --world tcp").expect(2);
    assert!(refused.stderr.contains("world tcp cannot hold mine.toml: \"order\" chooses between"), "{}", refused.all());
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_a_full_disk_loses_is_an_error_and_no_panic() {
    let sandbox = Sandbox::new();
    for line in ["sim list", "sim run pitfall-split-ack", "demo --list", "demo --no-input 2", "demo 2"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device that is always full");
        let output = sandbox.command(line).stdin(std::process::Stdio::null()).stdout(full).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(said.contains("cannot write to standard output"), "{line}: {said}");
    }
}
