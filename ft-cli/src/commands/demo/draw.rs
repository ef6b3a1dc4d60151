//! A page as text of 80 columns, with colour or without. Colour never says anything that is not also in words or marks.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use ft_sim::trace::{Event, lanes};

use super::page::{Answer, Block, Page};
use super::streams::{Cell, Stream};
use super::words;

/// Columns of a page.
pub(crate) const WIDTH: usize = 80;

/// Columns of the labels of facts and comparisons.
const LABEL: usize = 13;

/// Lines of a page: a terminal of 24 has room for a prompt below.
pub(crate) const HEIGHT: usize = 22;

/// How pages are painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint {
    /// With colour.
    pub(crate) colour: bool,
}

const STRONG: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const MARK: Style = AnsiColor::Yellow.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
/// One for each message, in turn.
const MESSAGES: [Style; 4] = [
    AnsiColor::Cyan.on_default(),
    AnsiColor::Yellow.on_default(),
    AnsiColor::Magenta.on_default(),
    AnsiColor::Green.on_default(),
];

impl Paint {
    fn style(self, style: Style, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A page under a line with its heading; `place` is what stands at the right end of that line.
    pub(crate) fn page(self, title: &str, place: &str, page: &Page) -> String {
        let head = format!("── {title} · {} ", page.heading);
        let rest = WIDTH.saturating_sub(head.chars().count() + place.chars().count() + 1);
        let mut text = self.style(STRONG, &format!("{head}{} {place}", "─".repeat(rest)));
        text.push('\n');
        let close = |before: &Block, block: &Block| {
            matches!(
                (before, block),
                (Block::Streams(..), Block::Streams(..))
                    | (Block::Say(_) | Block::Command(..), Block::Link(_) | Block::Command(..))
            )
        };
        let mut lanes = None;
        for (i, block) in page.blocks.iter().enumerate() {
            if i == 0 || !close(&page.blocks[i - 1], block) {
                text.push('\n');
            }
            if let Block::Lanes(events) = block {
                lanes = Some((text.len(), events));
            } else {
                self.block(&mut text, block);
            }
        }
        // What happened gets the room that the rest leaves.
        if let Some((at, events)) = lanes {
            let room = HEIGHT.saturating_sub(text.lines().count());
            text.insert_str(at, &self.lanes(events, room));
        }
        text
    }

    fn block(self, out: &mut String, block: &Block) {
        match block {
            Block::Say(text) => lines(out, &wrap(text, WIDTH), |line| line.to_owned()),
            Block::Strong(text) => {
                lines(out, &wrap(text, WIDTH - 4), |line| format!("  ▌ {}", self.style(STRONG, line)))
            }
            Block::Code { from, lines: code, guilty } => self.code(out, from, code, guilty),
            Block::Answers(answers) => self.answers(out, answers),
            Block::Streams(whose, streams) => {
                let _ = writeln!(out, "{}", self.style(STRONG, whose));
                streams.iter().for_each(|stream| self.stream(out, stream));
            }
            Block::Facts(rows) => {
                for [label, text] in rows {
                    let lines = wrap(text, WIDTH - LABEL - 2);
                    for (i, line) in lines.iter().enumerate() {
                        let label = if i == 0 { label.as_str() } else { "" };
                        let _ = writeln!(out, "  {}{}", pad(label, LABEL), self.verdict(line));
                    }
                }
            }
            Block::Lanes(events) => out.push_str(&self.lanes(events, HEIGHT)),
            Block::Compare { heads, rows } => self.compare(out, heads, rows),
            Block::Counts { heads, rows } => self.counts(out, heads, rows),
            Block::Link(text) => lines(out, std::slice::from_ref(text), |line| format!("  {line}")),
            Block::Command(line, what) => {
                let _ = writeln!(out, "  {line:48}  {}", self.style(DIM, what));
            }
        }
    }

    fn code(self, out: &mut String, from: &str, code: &[String], guilty: &[usize]) {
        lines(out, &wrap(&format!("{from}:"), WIDTH), |line| self.style(DIM, line));
        for (number, line) in (1..).zip(code) {
            let is_guilty = guilty.contains(&number);
            let mark = if is_guilty { self.style(MARK, "▶") } else { " ".to_owned() };
            let shown = if is_guilty { self.style(STRONG, line) } else { line.clone() };
            let _ = writeln!(out, "{}", format!("  {mark} {shown}").trim_end());
        }
    }

    fn answers(self, out: &mut String, answers: &[Answer]) {
        for (number, Answer { text, right, why }) in (1..).zip(answers) {
            let mark = match right {
                None => " ".to_owned(),
                Some(true) => self.style(GOOD, "✓"),
                Some(false) => self.style(BAD, "✗"),
            };
            for (i, line) in wrap(text, WIDTH - 7).iter().enumerate() {
                let front = if i == 0 { format!("{mark} {number}. ") } else { "     ".to_owned() };
                let _ = writeln!(out, "  {front}{line}");
            }
            if let Some(why) = why {
                lines(out, &wrap(why, WIDTH - 7), |line| format!("       {line}"));
            }
        }
    }

    /// A verdict in its colour; its words say the same.
    fn verdict(self, text: &str) -> String {
        let style = match text.trim_end() {
            kept if kept == words::ALL_KEPT => GOOD,
            broken if broken.starts_with(words::BROKEN) => BAD,
            _ => return text.to_owned(),
        };
        self.style(style, text)
    }

    /// Writer's row above reader's row.
    fn stream(self, out: &mut String, stream: &Stream) {
        let (writer, reader) = if stream.from_server { ("server", "client") } else { ("client", "server") };
        let cells = stream.cells(WIDTH - 26);
        let message = |number: usize| MESSAGES[number % MESSAGES.len()];
        let (mut above, mut below) = (String::new(), String::new());
        for cell in &cells {
            match cell {
                Cell::Byte { text, message: number, read } => {
                    above += &self.style(message(*number), text);
                    let unread = "░".repeat(text.len());
                    below += &self.style(message(*number), if *read { text } else { &unread });
                }
                Cell::Gap { message: number, read } => {
                    above += &self.style(message(*number), "…");
                    below += &self.style(message(*number), if *read { "…" } else { "░" });
                }
                Cell::Edge { write, read } => {
                    above += &self.style(STRONG, if *write { "│" } else { "·" });
                    below += &self.style(STRONG, if *read { "│" } else { "·" });
                }
            }
        }
        for (taken, asked) in stream.short() {
            let _ = write!(above, " {taken} of {asked} taken");
        }
        if stream.reset {
            below += " RST";
        } else if stream.eof {
            below += " EOF";
        }
        let _ = writeln!(out, "  {writer} writes  {above}");
        let _ = writeln!(out, "  {reader} reads   {below}");
    }

    /// At most so many lines of lanes: the beginning and the end of a story, with a line between that says what is left out.
    fn lanes(self, events: &[Event], room: usize) -> String {
        let all = lanes(events);
        // That a connection is opened, and that a program ends after its last word, goes without saying.
        let is_news = |line: &&str| !matches!(line.split_whitespace().collect::<Vec<_>>()[..], [_, "done" | "open"]);
        let all: Vec<&str> = all.lines().filter(is_news).collect();
        let left_out = if all.len() > room { all.len() + 1 - room } else { 0 };
        let top = (all.len() - left_out).div_ceil(2);
        let mut out = String::new();
        for (i, line) in all.iter().enumerate() {
            if left_out > 0 && i == top {
                let _ = writeln!(out, "         ... {left_out} lines; sim trace shows them ...");
            }
            if (top..top + left_out).contains(&i) {
                continue;
            }
            let style = match line {
                _ if i == 0 => DIM,
                line if line.contains(" * ") => MARK,
                _ => Style::new(),
            };
            let _ = writeln!(out, "{}", self.style(style, line));
        }
        out
    }

    fn compare(self, out: &mut String, heads: &[String; 2], rows: &[[String; 3]]) {
        const CELL: usize = (WIDTH - LABEL) / 2 - 2;
        let _ = writeln!(
            out,
            "  {:LABEL$}{}  {}",
            "",
            self.style(STRONG, &pad(&heads[0], CELL)),
            self.style(STRONG, &heads[1])
        );
        for [label, left, right] in rows {
            let (left, right) = (wrap(left, CELL), wrap(right, CELL));
            for i in 0..left.len().max(right.len()) {
                let label = if i == 0 { label.as_str() } else { "" };
                let of = |lines: &[String]| lines.get(i).cloned().unwrap_or_default();
                let left = self.verdict(&pad(&of(&left), CELL));
                let line = format!("  {}{left}  {}", pad(label, LABEL), self.verdict(&of(&right)));
                let _ = writeln!(out, "{}", line.trim_end());
            }
        }
    }

    fn counts(self, out: &mut String, heads: &[String], rows: &[Vec<String>]) {
        let column = |i: usize| {
            let cells = rows.iter().filter_map(|row| row.get(i)).chain(heads.get(i));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let line = |cells: &[String]| {
            let mut text = String::from("  ");
            for (i, cell) in cells.iter().enumerate() {
                let width = column(i);
                let _ = if i == 0 { write!(text, "{cell:width$}") } else { write!(text, "  {cell:>width$}") };
            }
            text.trim_end().to_owned()
        };
        let _ = writeln!(out, "{}", self.style(STRONG, &line(heads)));
        for row in rows {
            let _ = writeln!(out, "{}", line(row));
        }
    }
}

fn lines(out: &mut String, all: &[String], shown: impl Fn(&str) -> String) {
    for line in all {
        let _ = writeln!(out, "{}", shown(line).trim_end());
    }
}

fn pad(text: &str, width: usize) -> String {
    format!("{text:width$}")
}

/// Words in lines of at most so many columns; a word that is longer has a line to itself, or several.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut line = String::new();
    let mut room = 0;
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        if word.len() < room {
            line.push(' ');
            room -= 1;
        } else if !line.is_empty() {
            all.push(std::mem::take(&mut line));
            room = 0;
        }
        if line.is_empty() {
            room = width;
        }
        while word.len() > width {
            all.push(word.drain(..width).collect());
        }
        room -= word.len();
        line.extend(word);
    }
    if !line.is_empty() || all.is_empty() {
        all.push(line);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_lines_hold_every_word_within_the_width() {
        let text = "recv returns what is there, between one byte and the number that was asked for";
        for width in 10..40 {
            let lines = wrap(text, width);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:#?}");
            assert_eq!(lines.join(" "), text);
        }
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("", 10), [""]);
    }

    #[test]
    fn page_without_colour_has_no_escape_and_with_colour_the_same_words() {
        let page =
            Page { heading: "what".into(), blocks: vec![Block::Strong("remember".into()), Block::Say("x".into())] };
        let plain = Paint { colour: false }.page("Lesson 1", "1/2", &page);
        let painted = Paint { colour: true }.page("Lesson 1", "1/2", &page);
        assert!(!plain.contains('\x1b') && painted.contains('\x1b'));
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), plain);
    }
}
