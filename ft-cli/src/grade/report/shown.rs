//! What a stranger's program printed, named and sent, made safe to look at, and no more of it than anybody reads.

use ft_sim::trace::{self, Event};

use crate::limits::{REPORT_LANES, REPORT_PRINTED, REPORT_PRINTED_BYTES};

/// Text that is safe everywhere: nothing in it moves a cursor, turns the direction of writing, or cannot be seen. A
/// backslash stays as it is: most often it is of what is escaped already, such as payload in lanes or words that came.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '"' | '\\' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

/// The same of bytes that may be no text.
fn visible_bytes(bytes: &[u8]) -> String {
    let chunks = bytes.utf8_chunks().map(|chunk| {
        let tabs = chunk.valid().replace('\t', "    ");
        visible(&tabs) + &trace::escape(chunk.invalid())
    });
    chunks.collect()
}

/// The last lines that a program printed, and whether there were more.
pub(super) fn printed(said: &[u8]) -> (Vec<String>, bool) {
    let end = &said[said.len().saturating_sub(REPORT_PRINTED_BYTES)..];
    let lines = end.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines: Vec<String> = lines.map(visible_bytes).filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(REPORT_PRINTED);
    (lines[from..].to_vec(), from > 0 || end.len() < said.len())
}

/// The lanes of a run: all, or the beginning and the end and how many lines are left out between them.
pub(super) fn lanes(events: &[Event]) -> Vec<String> {
    if events.is_empty() {
        return Vec::new();
    }
    let text = trace::lanes(&in_millis(events));
    let all: Vec<&str> = text.lines().collect();
    let clean = |lines: &[&str]| lines.iter().map(|line| visible(line)).collect::<Vec<_>>();
    if all.len() <= REPORT_LANES {
        return clean(&all);
    }
    // The beginning tells what was done, the end what came of it.
    let (head, tail) = (REPORT_LANES * 2 / 3, all.len() - REPORT_LANES / 3);
    let mut lines = clean(&all[..head]);
    lines.push(format!("{:>8} {} lines left out", "...", tail - head));
    lines.extend(clean(&all[tail..]));
    lines
}

/// Events with times in whole milliseconds: what passes a kernel and a proxy in one go takes some microseconds, and is one
/// line where it has one time.
pub(super) fn in_millis(events: &[Event]) -> Vec<Event> {
    const MILLI: u64 = 1_000_000;
    events.iter().map(|event| Event { at: event.at / MILLI * MILLI, ..event.clone() }).collect()
}
