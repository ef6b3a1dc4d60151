//! Cut maps for a terminal: a letter for each offset, coloured or not, or plain sentences for a screen reader.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use ft_sim::cutmap::{CutMap, Mark, Row, Stretch, Strip};

/// Offsets on one line: with the names of the cuts in front they make 80 columns.
const ACROSS: usize = 64;

/// Columns of the names in front.
const NAMES: usize = 12;

/// How a mark is coloured. Dark on light for harm, so that it stands out on any background; the letter says the same.
fn style(mark: Mark) -> Style {
    let on = |color: AnsiColor| Style::new().fg_color(Some(AnsiColor::Black.into())).bg_color(Some(color.into()));
    match mark {
        Mark::Intact => Style::new().fg_color(Some(AnsiColor::Green.into())),
        Mark::Refused => Style::new().fg_color(Some(AnsiColor::Blue.into())),
        Mark::Lie => on(AnsiColor::Magenta),
        Mark::Hang => on(AnsiColor::Cyan),
        Mark::Crash => on(AnsiColor::Yellow),
        Mark::Corrupt => on(AnsiColor::BrightRed),
    }
}

/// A map of letters, at most 80 columns wide.
pub(crate) fn map_text(map: &CutMap, colour: bool) -> String {
    let paint = |mark: Mark, text: &str| {
        let style = if colour { style(mark) } else { Style::new() };
        format!("{style}{text}{style:#}")
    };
    let mut text = heading(map);
    for strip in &map.strips {
        let _ = writeln!(text, "\n{}", headline(map, strip));
        // A cut may also come behind the last byte.
        let places = strip.bytes.len() + 1;
        let mut before: Option<String> = None;
        let mut folded = None;
        for from in (0..places).step_by(ACROSS) {
            let to = places.min(from + ACROSS);
            let lines: String = strip.rows.iter().map(|row| line(map, row, from, to, &paint)).collect();
            if before.as_ref() == Some(&lines) {
                folded = Some(to);
                continue;
            }
            if let Some(to) = folded.take() {
                let _ = writeln!(text, "{:<NAMES$}... the same to offset {}", "", to - 1);
            }
            text += &ruler(strip, from, to);
            text += &lines;
            before = Some(lines);
        }
        if let Some(to) = folded {
            let _ = writeln!(text, "{:<NAMES$}... the same to offset {}", "", to - 1);
        }
    }
    text.push('\n');
    for (mark, count) in map.counts() {
        if count > 0 {
            let name = format!("{} {:<8}", mark.letter(), mark.word());
            let _ = writeln!(text, "{}{count:>6}  {}", paint(mark, &name), mark.means());
        }
    }
    text
}

/// One kind of cut at the offsets from `from` to before `to`.
fn line(map: &CutMap, row: &Row, from: usize, to: usize, paint: &impl Fn(Mark, &str) -> String) -> String {
    let mut line = String::new();
    let mut at = from as u64;
    for stretch in row.stretches(map) {
        let mut cells = stretch.cells.iter().filter(|cell| (from..to).contains(&index(cell.at))).peekable();
        let Some(first) = cells.peek() else { continue };
        // Offsets that the cut cannot have.
        line += &" ".repeat(index(first.at - at));
        at = first.at;
        let count = cells.count();
        at += count as u64;
        line += &paint(stretch.mark, &stretch.mark.letter().to_string().repeat(count));
    }
    format!("{:<NAMES$}{}\n", row.fault.to_string(), line.trim_end())
}

/// The same in sentences: nothing is said by place or colour.
pub(crate) fn map_plain(map: &CutMap) -> String {
    let mut text = heading(map);
    for strip in &map.strips {
        let _ = writeln!(text, "\n{}.", headline(map, strip));
        for row in &strip.rows {
            let words: Vec<String> = row.stretches(map).map(|stretch| words(&stretch)).collect();
            let _ = writeln!(text, "{}: {}.", row.fault, words.join("; "));
        }
    }
    text.push('\n');
    for (mark, count) in map.counts() {
        let _ = writeln!(text, "{mark}: {count} cells; {}.", mark.means());
    }
    text
}

/// `after byte 4 to 9, crash`
pub(super) fn words(stretch: &Stretch<'_>) -> String {
    let places: Vec<u64> = stretch.cells.iter().map(|cell| cell.at).collect();
    match (places.first(), places.last()) {
        (Some(first), Some(last)) if first < last => format!("after byte {first} to {last}, {}", stretch.mark),
        (Some(first), _) => format!("after byte {first}, {}", stretch.mark),
        (None, _) => String::new(),
    }
}

fn heading(map: &CutMap) -> String {
    let mut text = format!("{}: {} and {}", map.case, map.parties[0], map.parties[1]);
    if map.base.deviations() > 0 {
        let _ = write!(text, ", with {}", map.base);
    }
    let _ = writeln!(text, "\nwithout a cut: {}; {}", map.uncut.mark, map.uncut.files);
    text
}

pub(super) fn headline(map: &CutMap, strip: &Strip) -> String {
    let [client, server] = &map.parties;
    let way = match strip.dir {
        ft_sim::Direction::C2s => format!("{client} to {server}"),
        ft_sim::Direction::S2c => format!("{server} to {client}"),
    };
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!(
        "{way}, {}: {}",
        strip.dir,
        plural(strip.bytes.len(), "byte") + " in " + &plural(strip.writes.len(), "write")
    )
}

/// Offsets by tens, the bytes, and where the writer's calls begin.
fn ruler(strip: &Strip, from: usize, to: usize) -> String {
    let mut tens = String::new();
    for at in (from..to).filter(|at| at % 10 == 0) {
        let column = at - from;
        if column >= tens.len() {
            tens += &" ".repeat(column - tens.len());
            tens += &at.to_string();
        }
    }
    let bytes: String = strip.bytes[from..to.min(strip.bytes.len())].iter().map(|byte| glyph(*byte)).collect();
    let mut writes: Vec<u8> = vec![b' '; to - from];
    for at in strip.writes.iter().map(|at| index(*at)).filter(|at| (from..to).contains(at)) {
        writes[at - from] = b'^';
    }
    let writes = String::from_utf8_lossy(&writes).into_owned();
    let mut text = String::new();
    for (name, line) in [("", tens), ("bytes", bytes), ("writes", writes)] {
        let line = format!("{name:<NAMES$}{line}");
        if name != "writes" || line.contains('^') {
            text += line.trim_end();
            text.push('\n');
        }
    }
    text
}

/// One column for one byte: itself if it can be seen, else a middle dot.
pub(super) fn glyph(byte: u8) -> char {
    if byte == b' ' {
        '_'
    } else if byte.is_ascii_graphic() {
        char::from(byte)
    } else {
        '·'
    }
}

fn index(at: u64) -> usize {
    usize::try_from(at).expect("a map's offsets are bounded by the simulator")
}

/// Commands that show the first of each harm again.
pub(crate) fn map_hints(map: &CutMap) -> String {
    let mut text = String::new();
    for mark in Mark::ALL.into_iter().filter(|mark| mark.is_harm()) {
        if let Some(cell) = map.first(mark) {
            let _ = writeln!(text, "see a {mark}: ft-cli sim replay '{}'", map.replay_line(cell));
        }
    }
    text
}
