//! Everything by which the simulator can notice a fault of the code that it plays, in a few seconds: the proofs of the
//! decoders, every scenario, a short search over every case. Faults are planted, and mutants made, to run this.
//!
//! Without arguments it stops at the first thing that broke. With `--json` it goes on and prints one object a line:
//! `proof`, `strangers`, `scenario`, `case`. `--case NAME` (again and again) takes these cases alone, in this order, up to
//! the first that fails; `scenarios` stands for all of those. `--runs N` and `--deviations N` say how far each is searched.

#![expect(clippy::disallowed_macros, reason = "a program of its own, which prints what it found")]
#![expect(clippy::disallowed_types, reason = "how long shrinking takes is no part of a run")]

mod proofs;
mod telling;

use std::cell::RefCell;
use std::fmt::Debug;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use ft_sim::cases::{self, Case};
use ft_sim::prove::{Counterexample, Proof, prove_segmentation};
use ft_sim::{World, explore, scenario};
use serde_json::json;

/// Cases that move more than this are searched at random only.
const EXHAUSTIVE_BYTES: u64 = 8 * 1024;

/// Where no case is named, cases that move more than this are searched with few schedules: one costs milliseconds.
const FLOOD: u64 = 512 * 1024;

/// So many.
const FLOOD_RUNS: u64 = 30;

/// Where no case is named, so few seconds are worth more than every schedule: one of so many is tried.
const HASTE: u32 = 16;

/// The same for cases that hash a MiB in each run.
const HASTE_WITH_A_MIB: u32 = 256;

/// The same for cases with strangers, all of whom were met before.
const HASTE_WITH_STRANGERS: u32 = 64;

struct Asked {
    json: bool,
    /// `None` for the scenarios.
    cases: Vec<Option<&'static Case>>,
    runs: u64,
    deviations: u32,
}

fn asked() -> Asked {
    let mut asked = Asked { json: false, cases: Vec::new(), runs: 150, deviations: 1 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word.as_str() {
            "--json" => asked.json = true,
            "--case" => {
                let name = value();
                let case = cases::find(&name);
                assert!(case.is_some() || name == "scenarios", "no case is named {name:?}");
                asked.cases.push(case);
            }
            "--runs" => asked.runs = value().parse().expect("a number of runs"),
            "--deviations" => asked.deviations = value().parse().expect("a number of deviations"),
            // What `cargo test` hands to every test.
            _ => {}
        }
    }
    asked
}

/// Books findings: prints them, and says whether to go on.
struct Book {
    json: bool,
    broken: u32,
    first: String,
}

impl Book {
    fn add(&mut self, broken: bool, line: &serde_json::Value) -> bool {
        self.broken += u32::from(broken);
        if broken && self.first.is_empty() {
            self.first = line.to_string();
        }
        if self.json {
            println!("{line}");
        }
        self.json || !broken
    }
}

fn main() -> ExitCode {
    let asked = asked();
    // Parties may panic by the thousand: the report tells it once.
    std::panic::set_hook(Box::new(|_| {}));
    let mut book = Book { json: asked.json, broken: 0, first: String::new() };
    let began = Instant::now();
    let whole = run(&asked, &mut book);
    let seconds = began.elapsed().as_secs_f64();
    if whole && book.broken == 0 {
        println!("{}", json!({ "event": "end", "broken": 0, "seconds": seconds }));
        return ExitCode::SUCCESS;
    }
    println!("{}", json!({ "event": "end", "broken": book.broken, "seconds": seconds, "first": book.first }));
    ExitCode::FAILURE
}

/// A proof by name, held or refuted.
type Named = (String, Result<Proof, Counterexample>);

/// Proves each, and keeps what came of it.
#[derive(Default)]
struct Proofs(Vec<Named>);

impl proofs::Visit for Proofs {
    fn decoder<D: Clone + Eq + Debug, E: Eq + Debug>(
        &mut self,
        what: &str,
        start: &D,
        bytes: &[u8],
        feed: impl Fn(&mut D, &[u8], &mut Vec<E>),
    ) {
        self.0.push((what.to_owned(), prove_segmentation(start, bytes, feed)));
    }
}

fn run(asked: &Asked, book: &mut Book) -> bool {
    if asked.cases.is_empty() && !strangers(book) {
        return false;
    }
    if asked.cases.is_empty() || asked.json {
        let proofs = std::panic::catch_unwind(|| {
            let mut proofs = Proofs::default();
            proofs::codec(&mut proofs);
            proofs::lab_a(&mut proofs);
            proofs::lab_b(&mut proofs);
            proofs.0
        });
        let proofs = proofs.unwrap_or_default();
        if !book.add(proofs.is_empty(), &json!({ "event": "proofs", "held": proofs.len() })) {
            return false;
        }
        for (name, proof) in proofs {
            let detail = proof.as_ref().map_or_else(ToString::to_string, ToString::to_string);
            let holds = proof.is_ok_and(|proof| proof.events > 0);
            if !book.add(!holds, &json!({ "event": "proof", "name": name, "holds": holds, "detail": detail })) {
                return false;
            }
        }
    }
    if asked.cases.is_empty() && !scenarios(book) {
        return false;
    }
    if asked.cases.is_empty() {
        return cases::all().iter().filter(|case| case.stands).all(|case| search(case, asked, book));
    }
    for case in &asked.cases {
        let before = book.broken;
        match case {
            Some(case) => search(case, asked, book),
            None => scenarios(book),
        };
        if book.broken > before {
            return false;
        }
    }
    true
}

/// Each is told what was reviewed.
fn strangers(book: &mut Book) -> bool {
    telling::cases().all(|case| {
        let same = telling::table(case).trim() == reviewed(&format!("strangers/{}", case.name)).trim();
        book.add(!same, &json!({ "event": "strangers", "name": case.name, "passed": same }))
    })
}

/// A snapshot's text, without its head.
fn reviewed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../snapshots/{name}.snap"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_once("\n---\n").map_or_else(String::new, |(_, story)| story.to_owned())
}

/// Each comes to what it says, and tells the story that was reviewed.
fn scenarios(book: &mut Book) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths: Vec<_> = std::fs::read_dir(root.join("scenarios"))
        .expect("the scenarios' folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    paths.sort();
    for path in paths {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a scenario");
        let verdict = scenario::load(&text).unwrap_or_else(|error| panic!("{name}: {error}")).run();
        let plays = verdict.plays.len();
        let first = verdict.plays.iter().position(|play| !play.surprises.is_empty());
        let deviations = first.map(|nth| verdict.plays[nth].run.schedule.deviations());
        let passed = verdict.passed && verdict.text.trim() == reviewed(&format!("scenarios/{name}")).trim();
        let line =
            json!({ "event": "scenario", "name": name, "passed": passed, "plays": plays, "deviations": deviations });
        if !book.add(!passed, &line) {
            return false;
        }
    }
    true
}

/// Every single deviation, then some random schedules; how long it took to shrink what was found.
fn search(case: &Case, asked: &Asked, book: &mut Book) -> bool {
    let began = Instant::now();
    let play = case.closure();
    let begins = RefCell::new(Vec::new());
    let timed = |world: &mut World| {
        begins.borrow_mut().push(Instant::now());
        play(world);
    };
    let benign = case.run(&ft_sim::Schedule::benign());
    let moved: u64 = benign.written.iter().flatten().sum();
    let few = asked.cases.is_empty() && moved > FLOOD;
    let runs = if few { asked.runs.min(FLOOD_RUNS) } else { asked.runs };
    let deviations = if moved <= EXHAUSTIVE_BYTES { asked.deviations } else { 0 };
    let parts = match case.name {
        _ if !asked.cases.is_empty() => 1,
        "ft-push-resume" | "ft-push-torn" | "ft-push-believed" | "ft-push-believed-torn" => HASTE_WITH_A_MIB,
        // Short scripts, short runs.
        name if name.starts_with("lab-") && case.strangers() > 0 && name != "lab-a-stranger-long" => 1,
        "guess" => 1,
        _ if case.strangers() > 0 => HASTE_WITH_STRANGERS,
        _ => HASTE,
    };
    let report = explore(case.name, timed)
        .faults(&case.faults())
        .partition(1, parts)
        // First what needs no deviation: every stranger on a benign network.
        .exhaustive(0)
        .exhaustive(deviations)
        .partition(1, 1)
        .swarm(1, runs)
        .report();
    let ended = Instant::now();
    let begins = begins.into_inner();
    let failure = report.failure.as_ref().map(|failure| {
        // The last runs are those of shrinking, and the one that keeps the minimal run's events.
        let shrinking = usize::try_from(failure.shrink_runs).expect("a few thousand runs") + 1;
        let since = begins.len().checked_sub(shrinking).map_or(ended, |first| begins[first]);
        json!({
            "promise": failure.violation.name,
            "kind": failure.violation.kind.as_str(),
            "detail": failure.violation.detail,
            "replay": failure.replay_line(),
            "deviations": failure.minimal.schedule.deviations(),
            "found_after_runs": failure.after_runs,
            "shrink_runs": failure.shrink_runs,
            "shrink_ms": (ended - since).as_secs_f64() * 1e3,
        })
    });
    let line = json!({
        "event": "case",
        "case": case.name,
        "seconds": (ended - began).as_secs_f64(),
        "runs": report.total_runs(),
        "passed": report.passed(),
        "never": report.vacuous(),
        "failure": failure,
    });
    book.add(!report.passed(), &line)
}
