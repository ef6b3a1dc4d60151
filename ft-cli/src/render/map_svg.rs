//! Cut maps as one picture that needs nothing else: SVG, light and dark, with words for those who do not see it.
//!
//! Up to [`LETTERED`] offsets a strip shows every byte and a letter in every cell; longer ones are drawn to scale, with a
//! letter for each stretch that has room for one. Colour is never the only sign.

use std::fmt::Write as _;

use ft_sim::cutmap::{CutMap, Mark, Row, Strip};

use super::map::{glyph, headline, words};
use crate::pages::data::Message;
use crate::pages::frames;

/// Width of the picture, in its own units; it scales.
const WIDTH: f64 = 960.0;
/// Where the cells begin: the names of the cuts stand in front.
const LEFT: f64 = 112.0;
/// Room to the right of the cells.
const RIGHT: f64 = 16.0;
/// Height of a row, with the gap below it.
const ROW: f64 = 22.0;
/// Height of a cell.
const CELL: f64 = 19.0;
/// Most offsets that are drawn with their bytes.
const LETTERED: usize = 64;
/// Widest cell.
const WIDEST: f64 = 20.0;
/// Narrowest cell that both directions beside each other may have.
const NARROWEST: f64 = 14.0;
/// Room between the two.
const BETWEEN: f64 = 40.0;
/// Width that a letter needs in a strip that is drawn to scale.
const LETTER: f64 = 9.0;

/// Colours and type. Ink on every fill has a contrast of at least 7:1 in both themes; a test computes it.
const STYLE: &str = include_str!("../pages/map.css");

/// The maps beneath each other, with one legend.
pub(crate) fn map_svg(maps: &[CutMap]) -> String {
    let mut body = String::new();
    let mut y = 12.0;
    for map in maps {
        y = draw(&mut body, map, y);
    }
    y = legend(&mut body, y + 8.0);
    let height = y + 8.0;
    let names: Vec<&str> = maps.iter().map(|map| map.case.as_str()).collect();
    let describe = maps.iter().map(describe).collect::<Vec<_>>().join(" ");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"t d\">\n<title id=\"t\">Cut map: {}</title>\n\
         <desc id=\"d\">{}</desc>\n<style>\n{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\" \
         rx=\"8\"/>\n{body}</svg>\n",
        xml(&names.join(", ")),
        xml(&describe),
    )
}

fn describe(map: &CutMap) -> String {
    let counts = map.counts().into_iter().filter(|(_, count)| *count > 0);
    let counts: Vec<String> = counts.map(|(mark, count)| format!("{mark} {count}")).collect();
    let cells: usize = map.counts().iter().map(|(_, count)| count).sum();
    format!("{}: of {cells} cuts, one at each byte and of each kind: {}.", map.case, counts.join(", "))
}

/// Draws one map from `y` on; where the next may begin.
fn draw(out: &mut String, map: &CutMap, mut y: f64) -> f64 {
    let with = if map.base.deviations() > 0 { format!(", with {}", map.base) } else { String::new() };
    y += 18.0;
    text(out, "case", 16.0, y, &map.case);
    y += 18.0;
    text(out, "small", 16.0, y, &format!("{} and {}{with}", map.parties[0], map.parties[1]));
    let places = map.strips.each_ref().map(|strip| strip.bytes.len() + 1);
    let beside = (WIDTH - LEFT - RIGHT - BETWEEN) / count(places[0] + places[1]);
    if beside >= NARROWEST {
        // Both directions share the names of the cuts.
        let cell = beside.min(WIDEST);
        let second = LEFT + cell * count(places[0]) + BETWEEN;
        let end = lay(out, map, &map.strips[0], Place { x: LEFT, y, cell, first: true });
        return end.max(lay(out, map, &map.strips[1], Place { x: second, y, cell, first: false })) + 14.0;
    }
    for (strip, places) in map.strips.iter().zip(places) {
        let cell = ((WIDTH - LEFT - RIGHT) / count(places)).min(WIDEST);
        y = lay(out, map, strip, Place { x: LEFT, y, cell, first: true });
    }
    y + 14.0
}

/// Where a strip is drawn.
#[derive(Clone, Copy)]
struct Place {
    x: f64,
    y: f64,
    /// Width of a cell.
    cell: f64,
    /// The leftmost, which has the names of the cuts in front of it.
    first: bool,
}

impl Place {
    /// Left edge of an offset's cell.
    fn edge(self, at: u64) -> f64 {
        self.x + self.cell * scale(at)
    }
}

/// Draws one strip; where the next may begin.
fn lay(out: &mut String, map: &CutMap, strip: &Strip, place: Place) -> f64 {
    let mut y = place.y + 26.0;
    let places = strip.bytes.len() + 1;
    if place.first {
        text(out, "small", place.x, y, &headline(map, strip));
    } else {
        let end = place.x + place.cell * count(places);
        text(out, "small end", end, y, &format!("and back, {}: {} bytes", strip.dir, strip.bytes.len()));
    }
    y += 8.0;
    let lettered = places <= LETTERED;
    if lettered {
        y += 14.0;
        let xs: Vec<String> = (0..strip.bytes.len()).map(|i| short(place.x + place.cell * (count(i) + 0.5))).collect();
        let bytes: String = strip.bytes.iter().map(|byte| glyph(*byte)).collect();
        let _ = writeln!(out, "<text class=\"byte\" x=\"{}\" y=\"{}\">{}</text>", xs.join(" "), short(y), xml(&bytes));
        y += 4.0;
    } else {
        y += names(out, strip, place, y);
    }
    writes(out, strip, place, y);
    y += 6.0;
    for row in &strip.rows {
        if place.first {
            text(out, "name", LEFT - 10.0, y + 14.0, &row.fault.to_string());
        }
        bar(out, map, row, Place { y, ..place }, lettered);
        y += ROW;
    }
    y
}

/// Names of frames that have room for theirs; the height that they took.
fn names(out: &mut String, strip: &Strip, place: Place, y: f64) -> f64 {
    let mut height = 0.0;
    for Message { from, to, label } in frames(&strip.bytes) {
        let (x, end) = (place.edge(from), place.edge(to));
        if let Some(label) = label.filter(|label| end - x >= LETTER * count(label.len())) {
            text(out, "frame", (x + end) / 2.0, y + 10.0, label);
            height = 16.0;
        }
    }
    height
}

/// A line above the bytes of each write: where the writer's calls begin and end.
fn writes(out: &mut String, strip: &Strip, place: Place, y: f64) {
    let ends = strip.writes.iter().skip(1).copied().chain([strip.bytes.len() as u64]);
    for (from, to) in strip.writes.iter().zip(ends) {
        let (x, end) = (place.edge(*from) + 1.0, place.edge(to) - 1.0);
        let _ = writeln!(out, "<path class=\"write\" d=\"M{} {y}H{}\"/>", short(x), short(end.max(x + 0.5)));
    }
}

/// One row: a bar for each stretch.
fn bar(out: &mut String, map: &CutMap, row: &Row, place: Place, lettered: bool) {
    let Place { y, cell, .. } = place;
    let name = row.fault;
    let baseline = short(y + 14.0);
    for stretch in row.stretches(map) {
        let (Some(first), Some(last)) = (stretch.cells.first(), stretch.cells.last()) else { continue };
        let gap = if cell > 4.0 { 1.0 } else { 0.25 };
        let x = place.edge(first.at);
        let end = place.edge(last.at + 1);
        let ending = map.ending(first);
        let _ = write!(
            out,
            "<g><title>{}</title><rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{CELL}\" rx=\"{}\"/>",
            xml(&format!("{name} {}. client: {}; server: {}", words(&stretch), ending.client, ending.server)),
            stretch.mark.word(),
            short(x + gap),
            short(y),
            short((end - x - 2.0 * gap).max(0.5)),
            if cell > 4.0 { 4 } else { 1 },
        );
        let letter = sign(stretch.mark);
        if lettered {
            let xs: Vec<String> = stretch.cells.iter().map(|c| short(place.edge(c.at) + cell / 2.0)).collect();
            let letters = letter.to_string().repeat(stretch.cells.len());
            let _ = write!(out, "<text class=\"mark\" x=\"{}\" y=\"{baseline}\">{letters}</text>", xs.join(" "));
        } else if end - x >= LETTER {
            let _ =
                write!(out, "<text class=\"mark\" x=\"{}\" y=\"{baseline}\">{letter}</text>", short((x + end) / 2.0));
        }
        out.push_str("</g>\n");
    }
}

/// A mark's sign where there is more than ASCII.
pub(crate) fn sign(mark: Mark) -> char {
    match mark {
        Mark::Intact => '·',
        Mark::Refused => '–',
        Mark::Lie | Mark::Hang | Mark::Crash | Mark::Corrupt => mark.letter(),
    }
}

fn legend(out: &mut String, mut y: f64) -> f64 {
    let column = (WIDTH - 32.0) / 2.0;
    for (i, mark) in Mark::ALL.into_iter().enumerate() {
        let x = 16.0 + column * count(i % 2);
        if i % 2 == 0 && i > 0 {
            y += 24.0;
        }
        let _ = writeln!(
            out,
            "<rect class=\"{}\" x=\"{}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\" rx=\"4\"/>\
             <text class=\"mark\" x=\"{}\" y=\"{}\">{}</text>",
            mark.word(),
            short(x),
            short(x + CELL / 2.0),
            y + 14.0,
            sign(mark),
        );
        text(out, "small", x + 26.0, y + 14.0, &format!("{mark}: {}", mark.means()));
    }
    y + CELL
}

fn text(out: &mut String, class: &str, x: f64, y: f64, words: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>", short(x), short(y), xml(words));
}

/// At most two decimals, so that equal pictures are equal texts and no longer than they need be.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn count(number: usize) -> f64 {
    scale(number as u64)
}

/// An offset as a length; a map's offsets are small.
fn scale(at: u64) -> f64 {
    f64::from(u32::try_from(at).unwrap_or(u32::MAX))
}

fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // XML has no control characters, not even escaped.
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}
