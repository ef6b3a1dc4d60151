//! The scenarios that come with the program: what the command line may name, verbs play, and lessons are made of.

/// Name and text of every file in `scenarios/` when this was compiled, by name.
pub(crate) const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// The text of a scenario that is built in.
pub(crate) fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
