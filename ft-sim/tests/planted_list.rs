//! The list of faults to plant still fits the code: `tests/planted/run.py` would stop at the first that does not.

use std::collections::BTreeSet;
use std::path::Path;

use ft_sim::cases;
use serde::Deserialize;

#[derive(Deserialize)]
struct List {
    fault: Vec<Fault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    id: String,
    family: String,
    file: String,
    find: String,
    replace: String,
    #[serde(default)]
    also: Vec<Edit>,
    breaks: String,
    cases: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    file: String,
    find: String,
    replace: String,
}

fn list() -> Vec<Fault> {
    let list: List = toml::from_str(include_str!("../../tests/planted/faults.toml")).expect("a list of faults");
    list.fault
}

#[test]
fn every_snippet_occurs_once_where_the_list_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for fault in list() {
        let first = Edit { file: fault.file, find: fault.find, replace: fault.replace };
        for Edit { file, find, replace } in std::iter::once(first).chain(fault.also) {
            let text = std::fs::read_to_string(root.join(&file)).expect("the file");
            let find = find.strip_prefix('\n').unwrap_or(&find);
            assert_eq!(text.matches(find).count(), 1, "{}: in {file}, once: {find}", fault.id);
            assert_ne!(find, replace, "{}: changes nothing", fault.id);
        }
    }
}

#[test]
fn every_fault_has_its_own_name_its_damage_and_cases_that_stand() {
    let faults = list();
    let names: BTreeSet<&str> = faults.iter().map(|fault| fault.id.as_str()).collect();
    assert_eq!(names.len(), faults.len(), "no name twice");
    assert!(faults.len() >= 36, "{} faults", faults.len());
    for Fault { id, family, breaks, cases, .. } in &faults {
        assert!(["framing", "ack-order", "wake-up", "landing", "labs"].contains(&family.as_str()), "{id}: {family}");
        assert!(!breaks.is_empty() && !cases.is_empty(), "{id}");
        for name in cases.iter().filter(|name| *name != "scenarios") {
            assert!(cases::find(name).is_some_and(|case| case.stands), "{id}: {name}");
        }
    }
}
