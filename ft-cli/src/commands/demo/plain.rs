//! A page as sentences, for a screen reader: no columns, no boxes, no colour; whatever a place on the screen would say is said.

use std::fmt::Write as _;

use ft_sim::trace::{Event, NoteKind, What, escape};
use ft_sim::{Direction, Party};

use super::draw::{WIDTH, wrap};
use super::page::{Answer, Block, Page};
use super::streams::Stream;

/// Events that are told one by one; the middle of a longer story is counted.
const EVENTS_TOP: usize = 20;
const EVENTS_BOTTOM: usize = 12;

/// A page, after a sentence that says where one is.
pub(crate) fn page(title: &str, place: &str, page: &Page) -> String {
    let mut text = String::new();
    say(&mut text, &format!("{title}. Page {}: {}", place.replace('/', " of "), ended(&page.heading)));
    for block in &page.blocks {
        text.push('\n');
        self::block(&mut text, block);
    }
    text
}

fn say(out: &mut String, text: &str) {
    for line in wrap(text, WIDTH) {
        let _ = writeln!(out, "{line}");
    }
}

fn block(out: &mut String, block: &Block) {
    match block {
        Block::Say(text) => say(out, text),
        Block::Strong(text) => say(out, &format!("Remember: {text}")),
        Block::Code { from, lines, guilty } => {
            say(out, &format!("{from}. The code has {} lines.", lines.len()));
            for (number, line) in (1..).zip(lines) {
                let mark = if guilty.contains(&number) { ", the one to look at" } else { "" };
                let indent = (line.len() - line.trim_start().len()) / 4;
                let depth = if indent == 0 { String::new() } else { format!(", indented {indent}") };
                let _ = writeln!(out, "Line {number}{mark}{depth}: {}", line.trim_start());
            }
        }
        Block::Answers(answers) => {
            for (number, Answer { text, right, why }) in (1..).zip(answers) {
                say(out, &format!("Answer {number}: {text}"));
                if let Some(right) = right {
                    let word = if *right { "This is what happened." } else { "This is not what happened." };
                    say(out, &format!("{word} {}", why.as_deref().unwrap_or_default()));
                }
            }
        }
        Block::Streams(whose, streams) => {
            say(out, &format!("{whose}:"));
            streams.iter().for_each(|stream| self::stream(out, stream));
        }
        Block::Facts(rows) => {
            rows.iter().for_each(|[label, text]| say(out, &format!("{}: {}", subject(label), ended(text))))
        }
        Block::Lanes(events) => lanes(out, events),
        Block::Compare { heads, rows } => {
            for [label, left, right] in rows {
                say(out, &format!("{}, in {}: {left}; in {}: {}", subject(label), heads[0], heads[1], ended(right)));
            }
        }
        Block::Counts { heads, rows } => {
            for row in rows {
                let cells = heads.iter().zip(row).skip(1).map(|(head, cell)| format!("{head}: {cell}"));
                let cells = cells.collect::<Vec<_>>().join("; ");
                say(out, &format!("{}. {cells}.", row.first().map_or("", String::as_str)));
            }
        }
        Block::Link(text) => {
            let _ = writeln!(out, "{text}");
        }
        Block::Command(line, what) => {
            let _ = writeln!(out, "{line}  ({what})");
        }
    }
}

/// With a full stop, unless it has an end.
fn ended(text: &str) -> String {
    if text.ends_with(['.', '?', '!']) { text.to_owned() } else { format!("{text}.") }
}

/// The label of a fact as the beginning of a sentence.
fn subject(label: &str) -> String {
    if label.starts_with("client") || label.starts_with("server") { format!("The {label}") } else { capital(label) }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}

fn stream(out: &mut String, stream: &Stream) {
    let (writer, reader) = if stream.from_server { ("server", "client") } else { ("client", "server") };
    say(out, &format!("The {writer} writes {}.", pieces(stream.written())));
    if stream.reads.is_empty() {
        say(out, &format!("The {reader} reads nothing of it."));
    } else {
        say(out, &format!("The {reader} reads {}.", pieces(stream.read())));
    }
    for (taken, asked) in stream.short() {
        say(out, &format!("One write of {asked} bytes took only {taken}."));
    }
    let left = stream.bytes.len() - stream.reached();
    if left > 0 {
        say(out, &format!("{left} bytes are never read."));
    }
}

fn pieces<'a>(all: impl Iterator<Item = &'a [u8]>) -> String {
    const SHOWN: usize = 40;
    let all: Vec<&[u8]> = all.collect();
    if all.len() > 8 {
        return format!("{} bytes in {} pieces", all.iter().map(|piece| piece.len()).sum::<usize>(), all.len());
    }
    let shown = all.iter().map(|piece| {
        let rest = if piece.len() > SHOWN { " and so on" } else { "" };
        format!("{}, \"{}\"{rest}", bytes(piece.len()), escape(&piece[..piece.len().min(SHOWN)]))
    });
    shown.collect::<Vec<_>>().join("; then ")
}

fn bytes(number: usize) -> String {
    format!("{number} byte{}", if number == 1 { "" } else { "s" })
}

fn lanes(out: &mut String, events: &[Event]) {
    let mut clients = Vec::new();
    for event in events {
        if let What::Open { hosts, .. } = &event.what {
            clients.push(hosts[0]);
        }
    }
    let host = |host: ft_sim::HostId| if clients.contains(&host) { "the client" } else { "the server" };
    let told: Vec<(u64, String)> = events.iter().filter_map(|event| Some((event.at, sentence(event, host)?))).collect();
    let mut time = None;
    for (i, (at, text)) in told.iter().enumerate() {
        if told.len() > EVENTS_TOP + EVENTS_BOTTOM && (EVENTS_TOP..told.len() - EVENTS_BOTTOM).contains(&i) {
            if i == EVENTS_TOP {
                say(out, &format!("{} more events are left out.", told.len() - EVENTS_TOP - EVENTS_BOTTOM));
            }
            continue;
        }
        if time.replace(*at) != Some(*at) {
            say(out, &format!("At {} ms:", at / 1_000_000));
        }
        say(out, text);
    }
}

fn sentence<'h>(event: &Event, host: impl Fn(ft_sim::HostId) -> &'h str) -> Option<String> {
    let party = |party: Party| match party {
        Party::Client => "the client",
        Party::Server => "the server",
    };
    let to = |dir: Direction| party(dir.reader());
    let what = match &event.what {
        What::Open { .. } => "the connection is opened".to_owned(),
        What::Write { dir, bytes: written, .. } => {
            format!("{} writes {}", party(dir.writer()), bytes(written.len()))
        }
        What::Deliver { dir, offset, bytes, .. } => {
            format!("bytes {offset} to {} arrive at {}", offset + bytes.len() as u64, to(*dir))
        }
        What::Read { dir, offset, len, .. } => format!("{} reads bytes {offset} to {}", to(*dir), offset + len),
        What::Eof { dir, .. } => format!("{} reads the end of the stream", to(*dir)),
        What::Fin { dir, .. } => format!("a FIN arrives at {}", to(*dir)),
        What::Rst { to, .. } => format!("a RST arrives at {}", party(*to)),
        What::Error { by, error, .. } => format!("{} is told: {error}", party(*by)),
        What::Fault(step) => format!("the schedule acts: {step}"),
        What::Done { host: id, how, .. } => format!("{}'s program ends: {how}", host(*id)),
        What::Note { host: id, kind, text } => {
            let who = id.map_or("the case", &host);
            match kind {
                NoteKind::Verdict => format!("{who} concludes: {text}"),
                NoteKind::Fs => format!("{who}'s disk: {text}"),
                NoteKind::Frame | NoteKind::Ack => format!("{who} understands: {text}"),
                NoteKind::Note => format!("{who} notes: {text}"),
            }
        }
        What::Timer | What::Poll { .. } => return None,
    };
    Some(format!("{}.", capital(&what)))
}
