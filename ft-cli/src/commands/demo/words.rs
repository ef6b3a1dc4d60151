//! Schedules, promises and files in words that need no document beside them.

use std::time::Duration;

use ft_sim::invariant::Kind;
use ft_sim::scenario::Played;
use ft_sim::trace::{Event, What};
use ft_sim::{Direction, Fault, Party, Schedule, Step};

/// What a schedule does, in a sentence or several.
pub(crate) fn schedule(schedule: &Schedule) -> String {
    if schedule.deviations() == 0 {
        return "The network does nothing: every byte arrives at once, in order.".to_owned();
    }
    let mut all: Vec<String> = schedule.steps().iter().map(step).collect();
    if !schedule.picks().is_empty() {
        all.push("The system runs the programs in another order.".to_owned());
    }
    all.join(" ")
}

/// A schedule as it is written, or that it is none.
pub(crate) fn under(schedule: &Schedule) -> String {
    if schedule.deviations() == 0 { "no fault at all".to_owned() } else { schedule.to_string() }
}

fn step(step: &Step) -> String {
    let Step { dir, at, fault, .. } = *step;
    let (writer, reader) = match dir {
        Direction::C2s => ("client", "server"),
        Direction::S2c => ("server", "client"),
    };
    let behind = match at {
        0 => "Before the first byte".to_owned(),
        1 => "Behind the first byte".to_owned(),
        _ => format!("Behind byte {at}"),
    };
    let behind = format!("{behind} from {writer} to {reader}");
    match fault {
        Fault::Window(bytes) => format!("{behind} at most {bytes} bytes may be under way."),
        Fault::Short => format!("{behind} the send buffer is full: the {writer}'s send takes no more."),
        Fault::Clip => format!("{behind} a recv ends, though more is there."),
        Fault::Hold { .. } => format!("{behind} bytes wait for each other and arrive together."),
        Fault::Delay(time) => format!("{behind} the rest is {} late.", duration(time)),
        Fault::Split => {
            format!("{behind} there is a cut: the rest arrives when the {reader} has read what came first.")
        }
        Fault::Kill(party) => format!("{behind}, when they are read, the {} is killed.", name(party)),
        Fault::Crash(party) => format!("{behind}, when they are read, the {}'s machine loses power.", name(party)),
        Fault::Stall => format!("{behind} nothing arrives any more."),
        Fault::HalfClose => format!("{behind} the {reader} sees the end of the stream."),
        Fault::Fin => format!("{behind} the connection is closed, with a FIN to both."),
        Fault::Rst => format!("{behind} the connection is reset, with a RST to both."),
    }
}

fn name(party: Party) -> &'static str {
    match party {
        Party::Client => "client",
        Party::Server => "server",
    }
}

fn duration(time: Duration) -> String {
    if time.subsec_nanos() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}

/// The promise that a run broke, or that it kept them all.
pub(crate) fn promise(played: &Played) -> String {
    match &played.run.violation {
        Some(violation) if violation.name.contains(':') => format!("{BROKEN} {}", violation.name),
        Some(violation) => format!("{BROKEN}: {}", violation.name),
        None => ALL_KEPT.to_owned(),
    }
}

/// In front of a broken promise.
pub(crate) const BROKEN: &str = "BROKEN";

/// When none is broken.
pub(crate) const ALL_KEPT: &str = "all kept";

/// A party's last words; one that waits for ever has none, and one whose machine died has none either.
pub(crate) fn said(played: &Played, words: &str) -> String {
    let waits = played.run.violation.as_ref().is_some_and(|violation| violation.kind == Kind::Live);
    match words {
        "gone" if waits => "nothing: it waits for ever".to_owned(),
        "gone" => "nothing: it is dead".to_owned(),
        // How the peer closed is a hint for the caller, in words of the code.
        words => words.split(", peer close").next().unwrap_or_default().to_owned(),
    }
}

/// Who waits for what, if a run came to that.
pub(crate) fn waits(played: &Played) -> Option<&str> {
    let violation = played.run.violation.as_ref().filter(|violation| violation.kind == Kind::Live)?;
    Some(&violation.detail)
}

/// The events of a run, without what only its end brought about: programs that wait for ever are taken away then.
pub(crate) fn told(played: &Played) -> &[Event] {
    let events = &played.run.events;
    let is_end =
        |event: &Event| matches!(event.what, What::Fin { .. } | What::Rst { .. } | What::Poll { .. } | What::Timer);
    match waits(played).and_then(|_| events.iter().rposition(|event| !is_end(event))) {
        Some(last) => &events[..=last],
        None => events,
    }
}

/// What lies under the final names. `old` is what was there before, `new` what was sent.
pub(crate) fn disk(files: &str) -> String {
    if files == "none" {
        return "no file at all".to_owned();
    }
    let each = files.split(", ").map(|file| match file.rsplit_once(": ") {
        Some((name, "new")) => format!("{name}: the new file, whole"),
        Some((name, "old")) => format!("{name}: the old file, untouched"),
        Some((name, other)) if other.starts_with("1 bytes") => {
            format!("{name}: {}", other.replacen("bytes", "byte", 1))
        }
        Some(_) | None => file.to_owned(),
    });
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_is_told_in_sentences() {
        let told = |text: &str| schedule(&text.parse().expect("a schedule"));
        assert_eq!(told("benign"), "The network does nothing: every byte arrives at once, in order.");
        assert_eq!(
            told("c2s@1 split; s2c@25 crash server"),
            "Behind the first byte from client to server there is a cut: the rest arrives when the server has read what \
             came first. Behind byte 25 from server to client, when they are read, the server's machine loses power."
        );
        assert_eq!(told("c2s@0 delay 2s"), "Before the first byte from client to server the rest is 2 s late.");
    }

    #[test]
    fn files_are_told_by_name() {
        assert_eq!(disk("a: new, b: old"), "a: the new file, whole, b: the old file, untouched");
        assert_eq!(disk("f: 1 bytes that nobody meant"), "f: 1 byte that nobody meant");
        assert_eq!(disk("f: 9 bytes that nobody meant"), "f: 9 bytes that nobody meant");
    }
}
