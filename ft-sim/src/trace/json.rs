//! A trace as JSON lines: one object per event, for programs. Field names are stable; fields that an event does not
//! have are left out.

use serde::Serialize;

use super::{Event, What, escape};
use crate::core::HostId;

/// One line. `data` is escaped as in Rust byte strings, so that it stays readable and loses nothing.
#[derive(Default, Serialize)]
struct Line<'a> {
    /// Virtual time, nanoseconds.
    ns: u64,
    step: u64,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conn: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    len: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    party: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<HostId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<[HostId; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

/// Renders events as JSON lines.
#[must_use]
pub fn json_lines(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        let line = serde_json::to_string(&line(event)).unwrap_or_else(|_| unreachable!("strings and numbers are JSON"));
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn line(event: &Event) -> Line<'_> {
    let base = Line { ns: event.at, step: event.step, ..Line::default() };
    match &event.what {
        What::Open { conn, hosts } => Line { event: "open", conn: Some(*conn), hosts: Some(*hosts), ..base },
        What::Write { conn, dir, offset, bytes, asked } => Line {
            event: "write",
            conn: Some(*conn),
            dir: Some(dir.to_string()),
            offset: Some(*offset),
            len: Some(bytes.len() as u64),
            asked: Some(*asked),
            data: Some(escape(bytes)),
            ..base
        },
        What::Deliver { conn, dir, offset, bytes } => Line {
            event: "deliver",
            conn: Some(*conn),
            dir: Some(dir.to_string()),
            offset: Some(*offset),
            len: Some(bytes.len() as u64),
            data: Some(escape(bytes)),
            ..base
        },
        What::Read { conn, dir, offset, len } => Line {
            event: "read",
            conn: Some(*conn),
            dir: Some(dir.to_string()),
            offset: Some(*offset),
            len: Some(*len),
            ..base
        },
        What::Eof { conn, dir, offset } => {
            Line { event: "eof", conn: Some(*conn), dir: Some(dir.to_string()), offset: Some(*offset), ..base }
        }
        What::Fin { conn, dir, offset } => {
            Line { event: "fin", conn: Some(*conn), dir: Some(dir.to_string()), offset: Some(*offset), ..base }
        }
        What::Rst { conn, to, offset } => {
            Line { event: "rst", conn: Some(*conn), party: Some(to.to_string()), offset: Some(*offset), ..base }
        }
        What::Error { conn, dir, offset, error, by } => Line {
            event: "error",
            conn: Some(*conn),
            dir: Some(dir.to_string()),
            offset: Some(*offset),
            party: Some(by.to_string()),
            text: Some(error),
            ..base
        },
        What::Fault(step) => Line { event: "fault", schedule: Some(step.to_string()), ..base },
        What::Timer => Line { event: "timer", ..base },
        What::Poll { host, task } => Line { event: "poll", host: Some(*host), task: Some(*task), ..base },
        What::Done { host, task, how } => {
            Line { event: "done", host: Some(*host), task: Some(*task), text: Some(how), ..base }
        }
        What::Note { host, kind, text } => Line { event: kind.as_str(), host: *host, text: Some(text), ..base },
    }
}
