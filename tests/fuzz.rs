//! What the fuzzer runs, without the fuzzer: every seed, the beginning of every seed, and every finding of earlier days.
//!
//! The targets are those of `fuzz/`, included as they are; docs/FUZZING.md says how to run them for longer.

#![expect(clippy::disallowed_methods, reason = "a folder to write the seeds to is told by the environment")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "a library there, a module here")]
#[allow(clippy::wildcard_enum_match_arm, reason = "a judge looks at what it judges")]
mod fuzz;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of a folder, in order; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let paths = files(&root().join("scenarios"));
    let scenarios: Vec<_> = paths.iter().map(|path| fs::read_to_string(path).expect("a scenario")).collect();
    fuzz::seeds(target, &scenarios)
}

/// With `FT_FUZZ_SEEDS=FOLDER` they are also written there, where a fuzzer begins.
#[test]
fn seeds_and_all_their_beginnings_keep_every_promise() {
    let folder = std::env::var_os("FT_FUZZ_SEEDS").map(PathBuf::from);
    for (name, target) in fuzz::TARGETS {
        let seeds = seeds(name);
        assert!(seeds.len() >= 5, "{name} has only {} seeds", seeds.len());
        for (nth, seed) in seeds.iter().enumerate() {
            if let Some(folder) = &folder {
                let place = folder.join(name);
                fs::create_dir_all(&place).expect("a folder for the seeds");
                fs::write(place.join(format!("seed-{nth}")), seed).expect("a seed");
                continue;
            }
            // Of the long ones every few bytes: they differ in their fields, not in their payloads.
            for len in (0..=seed.len()).rev().step_by(1 + seed.len() / 64) {
                keeps(name, target, &seed[..len]);
            }
        }
    }
}

#[test]
fn findings_of_earlier_days_stay_mended() {
    for folder in files(&root().join("fuzz/findings")) {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let target = fuzz::TARGETS.iter().find(|target| target.0 == name);
        let (_, target) = target.unwrap_or_else(|| panic!("no target is named {name}"));
        for path in files(&folder) {
            keeps(&path.display().to_string(), *target, &fs::read(&path).expect("an input"));
        }
    }
}

/// Runs a target, and says with which input it failed.
fn keeps(name: &str, target: fuzz::Target, input: &[u8]) {
    let kept = catch_unwind(AssertUnwindSafe(|| target(input)));
    assert!(kept.is_ok(), "{name}: {}", input.escape_ascii());
}
