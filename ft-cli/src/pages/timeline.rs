//! A run as a page's timeline: its events with sides and messages told apart.

use std::collections::{BTreeMap, BTreeSet};

use ft_core::codec::{Decoder, Item};
use ft_core::preamble::MAGIC;
use ft_sim::scenario::Played;
use ft_sim::trace::{Event, What};
use ft_sim::{Direction, HostId, Party, Step};

use crate::commands::demo::words;
use crate::limits::{PAGE_BYTES, PAGE_MOMENTS};

use super::data::{Happening, Message, Moment, Stream, Timeline, Told, hex};

/// Reads of one reader that follow each other with nothing between: from this many on they are one moment. A parser that
/// reads byte by byte would fill the page; two or three recvs in a row are what a lesson is about.
const MERGED_READS: usize = 4;

/// What was written in one direction of one connection.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    /// Offset, taken and offered bytes of each call.
    calls: Vec<(u64, u64, u64)>,
}

/// The timeline of a play.
pub(crate) fn timeline(played: &Played) -> Timeline {
    let events = words::told(played);
    let parties = ft_sim::cases::find(played.case).map_or(["client", "server"], |case| case.parties);
    let mut line = run(events, PAGE_MOMENTS);
    line.replay.clone_from(&played.replay);
    line.schedule = played.run.schedule.to_string();
    line.parties = parties.map(str::to_owned);
    line.outcome = Some(Told {
        client: words::said(played, &played.outcome.client),
        server: words::said(played, &played.outcome.server),
        files: words::disk(&played.outcome.files),
        retry: played.outcome.retry.clone(),
        waits: words::waits(played).map(str::to_owned),
        breaks: played.run.violation.as_ref().map(|violation| violation.name.clone()),
    });
    line
}

/// The timeline of events, with at most so many moments; its names and its outcome are the caller's to say.
pub(crate) fn run(events: &[Event], most: usize) -> Timeline {
    let mut moments = moments(events);
    let left_out = moments.len().saturating_sub(most);
    moments.truncate(most);
    Timeline {
        replay: String::new(),
        schedule: String::new(),
        parties: ["client", "server"].map(str::to_owned),
        streams: streams(events),
        moments,
        left_out,
        outcome: None,
    }
}

fn streams(events: &[Event]) -> Vec<Stream> {
    let mut written: BTreeMap<(u16, Direction), Written> = BTreeMap::new();
    for event in events {
        match &event.what {
            What::Open { conn, .. } => {
                for dir in Direction::BOTH {
                    written.entry((*conn, dir)).or_default();
                }
            }
            What::Write { conn, dir, offset, bytes, asked } => {
                let stream = written.entry((*conn, *dir)).or_default();
                stream.bytes.extend_from_slice(bytes);
                stream.calls.push((*offset, bytes.len() as u64, *asked));
            }
            What::Deliver { .. }
            | What::Read { .. }
            | What::Eof { .. }
            | What::Fin { .. }
            | What::Rst { .. }
            | What::Error { .. }
            | What::Fault(_)
            | What::Timer
            | What::Poll { .. }
            | What::Done { .. }
            | What::Note { .. } => {}
        }
    }
    written
        .into_iter()
        .map(|((conn, dir), stream)| Stream {
            conn,
            dir: dir.to_string(),
            len: stream.bytes.len() as u64,
            hex: hex(&stream.bytes[..stream.bytes.len().min(PAGE_BYTES)]),
            messages: messages(&stream),
        })
        .collect()
}

/// Frames, if it is ft/1; else what the writer offered in one call, short writes joined to what they went on with.
fn messages(stream: &Written) -> Vec<Message> {
    let frames = frames(&stream.bytes);
    if !frames.is_empty() {
        return frames;
    }
    let mut messages: Vec<Message> = Vec::new();
    let mut offered_to = 0;
    for &(offset, taken, asked) in &stream.calls {
        match messages.last_mut() {
            Some(message) if offset + asked == offered_to && offset > message.from => message.to = offset + taken,
            Some(_) | None => messages.push(Message { from: offset, to: offset + taken, label: None }),
        }
        offered_to = offset + asked;
    }
    messages.retain(|message| message.to > message.from);
    messages
}

/// The frames of one direction of an ft/1 session; what is left of a broken one is a message without a name. Nothing if
/// the bytes are another protocol's.
pub(crate) fn frames(bytes: &[u8]) -> Vec<Message> {
    if !bytes.starts_with(&MAGIC) {
        return Vec::new();
    }
    let mut decoder = Decoder::new();
    let mut rest = bytes;
    let mut messages: Vec<Message> = Vec::new();
    let mut from = 0;
    while let Ok(Some(item)) = decoder.next(&mut rest) {
        let to = decoder.offset();
        let label = match &item {
            Item::Preamble(_) => "preamble",
            Item::Frame(frame) | Item::Zdata(frame, _) => frame.name(),
            Item::BadOffer(..) => "OFFER",
            Item::Content(_) => {
                // Content belongs to the DATA frame in front of it.
                if let Some(message) = messages.last_mut() {
                    message.to = to;
                }
                from = to;
                continue;
            }
        };
        messages.push(Message { from, to, label: Some(label) });
        from = to;
    }
    let end = bytes.len() as u64;
    if from < end {
        messages.push(Message { from, to: end, label: None });
    }
    messages
}

fn moments(events: &[Event]) -> Vec<Moment> {
    let mut clients: BTreeSet<HostId> = BTreeSet::new();
    for event in events {
        if let What::Open { hosts, .. } = &event.what {
            clients.insert(hosts[0]);
        }
    }
    let side_of = |host: HostId| if clients.contains(&host) { "client" } else { "server" };
    let shown: Vec<&Event> = events.iter().filter(|e| !matches!(e.what, What::Timer | What::Poll { .. })).collect();
    let mut moments = Vec::new();
    let mut next = 0;
    while let Some(event) = shown.get(next) {
        let reads = reads_on(&shown[next..]);
        if reads.len() >= MERGED_READS
            && let Some(&(c, d, o, _)) = reads.first()
        {
            let n = reads.iter().map(|(.., n)| n).sum();
            let what = Happening::Read { c, d: d.to_string(), o, n, calls: reads.len() as u64 };
            moments.push(Moment { t: event.at, what });
            next += reads.len();
            continue;
        }
        if let Some(what) = happening(&event.what, side_of) {
            moments.push(Moment { t: event.at, what });
        }
        next += 1;
    }
    moments
}

/// The reads at the beginning that go on where the one before ended, at one time.
fn reads_on(events: &[&Event]) -> Vec<(u16, Direction, u64, u64)> {
    let mut reads: Vec<(u16, Direction, u64, u64)> = Vec::new();
    for event in events {
        let What::Read { conn, dir, offset, len } = event.what else { break };
        let goes_on = reads.last().is_none_or(|(c, d, o, n)| (conn, dir, offset) == (*c, *d, o + n));
        if !goes_on || event.at != events[0].at {
            break;
        }
        reads.push((conn, dir, offset, len));
    }
    reads
}

fn side(party: Party) -> &'static str {
    match party {
        Party::Client => "client",
        Party::Server => "server",
    }
}

fn happening(what: &What, side_of: impl Fn(HostId) -> &'static str) -> Option<Happening> {
    let d = ToString::to_string;
    Some(match what {
        What::Open { conn, .. } => Happening::Open { c: *conn },
        What::Write { conn, dir, offset, bytes, asked } => {
            Happening::Write { c: *conn, d: d(dir), o: *offset, n: bytes.len() as u64, asked: *asked }
        }
        What::Deliver { conn, dir, offset, bytes } => {
            Happening::Deliver { c: *conn, d: d(dir), o: *offset, n: bytes.len() as u64 }
        }
        What::Read { conn, dir, offset, len } => Happening::Read { c: *conn, d: d(dir), o: *offset, n: *len, calls: 1 },
        What::Eof { conn, dir, offset } => Happening::Eof { c: *conn, d: d(dir), o: *offset },
        What::Fin { conn, dir, offset } => Happening::Fin { c: *conn, d: d(dir), o: *offset },
        What::Rst { conn, to, offset } => Happening::Rst { c: *conn, side: side(*to), o: *offset },
        What::Error { conn, dir, offset, by, error } => {
            Happening::Error { c: *conn, d: d(dir), o: *offset, side: side(*by), text: error.clone() }
        }
        What::Fault(step) => {
            let Step { conn, dir, at, .. } = step;
            Happening::Fault { c: *conn, d: d(dir), o: *at, text: step.to_string() }
        }
        // That a program ended in order is in what it says.
        What::Done { how, .. } if how == "done" => return None,
        What::Done { host, how, .. } => Happening::Done { side: side_of(*host), text: how.clone() },
        What::Note { host, kind, text } => {
            Happening::Note { side: host.map(side_of), kind: kind.as_str(), text: text.clone() }
        }
        What::Timer | What::Poll { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ft_sim::scenario;

    fn played(case: &str, schedule: &str) -> Played {
        let text = format!(
            "# What happens?\n# This.\nshows = [\"SPLIT\"]\n[[play]]\ncase = {case:?}\nschedule = {schedule:?}\n"
        );
        scenario::load(&text).expect("a scenario").run().plays.remove(0)
    }

    #[test]
    fn messages_of_a_lab_are_what_its_program_sends_in_one_call() {
        let timeline = timeline(&played("lab-a-careful", "c2s@4 split; c2s@20 short"));
        let messages: Vec<(u64, u64)> = timeline.streams[0].messages.iter().map(|m| (m.from, m.to)).collect();
        assert_eq!(messages, [(0, 11), (11, 36)]);
        assert_eq!(timeline.streams[0].hex.len(), 72);
    }

    #[test]
    fn messages_of_ft1_are_its_frames_and_content_belongs_to_its_data() {
        let timeline = timeline(&played("ft-push", "benign"));
        let names = |i: usize| -> Vec<&str> { timeline.streams[i].messages.iter().filter_map(|m| m.label).collect() };
        assert_eq!(names(0), ["preamble", "HELLO", "OFFER", "DATA", "END", "GOODBYE"]);
        assert_eq!(names(1), ["preamble", "HELLO", "ACK1", "ACK2", "GOODBYE"]);
        for stream in &timeline.streams {
            let mut reached = 0;
            for message in &stream.messages {
                assert_eq!(message.from, reached, "no gap");
                reached = message.to;
            }
            assert_eq!(reached, stream.len);
        }
    }

    #[test]
    fn short_send_that_nobody_goes_on_with_ends_its_message() {
        let timeline = timeline(&played("lab-a-naive", "c2s@20 short"));
        let messages: Vec<(u64, u64)> = timeline.streams[0].messages.iter().map(|m| (m.from, m.to)).collect();
        assert_eq!(messages, [(0, 11), (11, 20)]);
    }
}
