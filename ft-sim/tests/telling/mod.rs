//! What every stranger is told, word for word, as the tests and the gauntlet both compare it.

use ft_sim::Schedule;
use ft_sim::cases::{self, Case};

/// The cases that have strangers.
pub(crate) fn cases() -> impl Iterator<Item = &'static Case> {
    cases::all().iter().filter(|case| case.strangers() > 0)
}

/// A case's strangers on a benign network: who comes and what it hears, then what ours says, and what is stored if that
/// is not what the first stranger leaves. `(hi)` is the greeting that ft/1's first stranger hears.
pub(crate) fn table(case: &Case) -> String {
    let mut text = String::new();
    let (mut greeting, mut usual) = (String::new(), String::new());
    for which in 0..case.strangers() {
        let schedule = if which == 0 { "benign".to_owned() } else { format!("stranger#0={which}") };
        let schedule: Schedule = schedule.parse().expect("a schedule");
        let (run, outcome) = case.play(&schedule);
        let ours_serves = case.parties[0] == "a stranger";
        let (heard, said) =
            if ours_serves { (outcome.client, outcome.server) } else { (outcome.server, outcome.client) };
        if which == 0 {
            let greets = if ours_serves { 2 } else { 3 };
            let (_, frames) = heard.split_once(": ").unwrap_or_default();
            usual.clone_from(&outcome.files);
            if case.name.starts_with("ft-") {
                greeting = frames.split("; ").take(greets).collect::<Vec<_>>().join("; ");
                text += &format!("(hi): {greeting}\n");
            }
            text += &format!("usual files: {usual}\n");
        }
        let heard = if greeting.is_empty() { heard } else { heard.replace(&greeting, "(hi)") };
        text += &format!("{which:>3} {heard}\n    {said}\n");
        if outcome.files != usual {
            text += &format!("    files: {}\n", outcome.files);
        }
        if let Some(violation) = run.violation {
            text += &format!("    BREAKS: {violation}\n");
        }
    }
    text
}
