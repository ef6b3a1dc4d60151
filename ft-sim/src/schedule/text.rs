//! Schedule text: reading, printing, and the errors of a text that is none.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Direction, Fault, Party, Pick, Schedule, Step};
use crate::limits;

/// Why a text is not a schedule: where, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleError {
    /// Byte offset into the text at which the faulty part begins.
    pub offset: usize,
    what: String,
}

impl ScheduleError {
    pub(crate) fn invalid(offset: usize, what: impl Into<String>) -> Self {
        Self { offset, what: what.into() }
    }
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "schedule, byte {}: {}", self.offset, self.what)
    }
}

impl std::error::Error for ScheduleError {}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::C2s => "c2s",
            Self::S2c => "s2c",
        })
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window(bytes) => write!(f, "window {bytes}"),
            Self::Short => f.write_str("short"),
            Self::Clip => f.write_str("clip"),
            Self::Hold { until: None } => f.write_str("hold"),
            Self::Hold { until: Some(offset) } => write!(f, "hold {offset}"),
            Self::Delay(duration) => write!(f, "delay {}", Span(*duration)),
            Self::Split => f.write_str("split"),
            Self::Kill(party) => write!(f, "kill {party}"),
            Self::Crash(party) => write!(f, "crash {party}"),
            Self::Stall => f.write_str("stall"),
            Self::HalfClose => f.write_str("half-close"),
            Self::Fin => f.write_str("fin"),
            Self::Rst => f.write_str("rst"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.conn != 1 {
            write!(f, "{}:", self.conn)?;
        }
        write!(f, "{}@{} {}", self.dir, self.at, self.fault)
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}={}", self.name, self.nth, self.value)
    }
}

/// Prints the schedule on one line; the benign one is `benign`. Reading that line gives an equal schedule.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.deviations() == 0 {
            return f.write_str("benign");
        }
        let mut separator = "";
        for step in &self.steps {
            write!(f, "{separator}{step}")?;
            separator = "; ";
        }
        for pick in &self.picks {
            write!(f, "{separator}{pick}")?;
            separator = "; ";
        }
        Ok(())
    }
}

/// A duration in the largest unit that is exact, so that printing loses nothing above a microsecond.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        if micros.is_multiple_of(1_000_000) {
            write!(f, "{}s", micros / 1_000_000)
        } else if micros.is_multiple_of(1_000) {
            write!(f, "{}ms", micros / 1_000)
        } else {
            write!(f, "{micros}us")
        }
    }
}

pub(super) fn validate_step(step: &Step) -> Result<(), &'static str> {
    if step.conn == 0 || usize::from(step.conn) > limits::MAX_CONNECTIONS {
        return Err("connections are numbered from 1 to 1024");
    }
    match step.fault {
        Fault::Short | Fault::Clip | Fault::Split if step.at == 0 => {
            Err("nothing lies before offset 0, so nothing can be cut there")
        }
        Fault::Window(0) => Err("a window of 0 bytes never opens; say stall"),
        Fault::Hold { until: Some(until) } if until <= step.at => Err("hold needs an offset behind its own"),
        Fault::Delay(span) if span > limits::MAX_DELAY || span.is_zero() => Err("a delay lies between 1us and 24h"),
        Fault::Delay(span) if !span.subsec_nanos().is_multiple_of(1_000) => {
            Err("a delay is a whole number of microseconds")
        }
        Fault::Window(_)
        | Fault::Short
        | Fault::Clip
        | Fault::Hold { .. }
        | Fault::Delay(_)
        | Fault::Split
        | Fault::Kill(_)
        | Fault::Crash(_)
        | Fault::Stall
        | Fault::HalfClose
        | Fault::Fin
        | Fault::Rst => Ok(()),
    }
}

pub(super) fn validate_pick(pick: &Pick) -> Result<(), &'static str> {
    if !is_name(&pick.name) {
        return Err("a pick's name is made of a-z, 0-9 and -, at most 64 bytes");
    }
    if pick.value == 0 {
        return Err("a pick of 0 is the benign one and is left out");
    }
    Ok(())
}

/// True for names that a schedule can carry: lower-case letters, digits and `-`, 1 to [`limits::MAX_NAME`] bytes.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= limits::MAX_NAME
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Reads `;`- or newline-separated steps; `#` at the start of a word begins a comment that ends with its line.
impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        if text.len() > limits::MAX_SCHEDULE_TEXT {
            return Err(ScheduleError::invalid(limits::MAX_SCHEDULE_TEXT, "text longer than 4 MiB"));
        }
        let (mut steps, mut picks) = (Vec::new(), Vec::new());
        let mut line_start = 0;
        for line in text.split('\n') {
            let mut start = line_start;
            for part in strip_comment(line).split(';') {
                read_part(part, start, &mut steps, &mut picks)?;
                start += part.len() + 1;
            }
            line_start += line.len() + 1;
        }
        Ok(Self::from_valid(steps, picks))
    }
}

fn strip_comment(line: &str) -> &str {
    let mut previous = b' ';
    for (at, byte) in line.bytes().enumerate() {
        if byte == b'#' && (previous.is_ascii_whitespace() || previous == b';') {
            return &line[..at];
        }
        previous = byte;
    }
    line
}

fn read_part(part: &str, start: usize, steps: &mut Vec<Step>, picks: &mut Vec<Pick>) -> Result<(), ScheduleError> {
    let offset = start + part.len() - part.trim_start().len();
    let part = part.trim();
    let error = |what: String| ScheduleError::invalid(offset, what);
    if part.is_empty() || part == "benign" {
        return Ok(());
    }
    if part.contains('@') {
        let step = read_step(part).map_err(error)?;
        validate_step(&step).map_err(|what| error(format!("{what}: {:?}", part)))?;
        if steps.contains(&step) {
            return Err(error(format!("the same step twice: {part:?}")));
        }
        steps.push(step);
        return Ok(());
    }
    let pick = read_pick(part).map_err(error)?;
    validate_pick(&pick).map_err(|what| error(format!("{what}: {part:?}")))?;
    if picks.iter().any(|other| other.name == pick.name && other.nth == pick.nth) {
        return Err(error(format!("the same pick twice: {part:?}")));
    }
    picks.push(pick);
    Ok(())
}

fn read_step(part: &str) -> Result<Step, String> {
    let mut words = part.split_ascii_whitespace();
    let address = words.next().unwrap_or_default();
    let (side, at) =
        address.split_once('@').ok_or_else(|| format!("expected c2s@OFFSET or s2c@OFFSET, got {address:?}"))?;
    let (conn, dir) = match side.split_once(':') {
        None => (1, side),
        Some((conn, dir)) => (number(conn, "a connection number")?, dir),
    };
    let dir = match dir {
        "c2s" => Direction::C2s,
        "s2c" => Direction::S2c,
        other => return Err(format!("expected the direction c2s or s2c, got {other:?}")),
    };
    let at = number(at, "a byte offset")?;
    let verb = words.next().ok_or("expected what happens there: split, hold, delay, rst …")?;
    let argument = words.next();
    if let Some(extra) = words.next() {
        return Err(format!("expected the end of the step, got {extra:?}"));
    }
    let fault = read_fault(verb, argument)?;
    Ok(Step { conn, dir, at, fault })
}

fn read_fault(verb: &str, argument: Option<&str>) -> Result<Fault, String> {
    let plain = |fault: Fault| match argument {
        None => Ok(fault),
        Some(extra) => Err(format!("{verb} takes nothing after it, got {extra:?}")),
    };
    let needed = |what: &str| argument.ok_or_else(|| format!("{verb} needs {what}"));
    match verb {
        "window" => Ok(Fault::Window(number(needed("a number of bytes")?, "a number of bytes")?)),
        "short" => plain(Fault::Short),
        "clip" => plain(Fault::Clip),
        "hold" => Ok(Fault::Hold { until: argument.map(|text| number(text, "a byte offset")).transpose()? }),
        "delay" => Ok(Fault::Delay(span(needed("a time such as 40ms")?)?)),
        "split" => plain(Fault::Split),
        "kill" => Ok(Fault::Kill(party(needed("client or server")?)?)),
        "crash" => Ok(Fault::Crash(party(needed("client or server")?)?)),
        "stall" => plain(Fault::Stall),
        "half-close" => plain(Fault::HalfClose),
        "fin" => plain(Fault::Fin),
        "rst" => plain(Fault::Rst),
        other => Err(format!(
            "expected window, short, clip, hold, delay, split, kill, crash, stall, half-close, fin or rst, got {other:?}"
        )),
    }
}

fn read_pick(part: &str) -> Result<Pick, String> {
    let form = || format!("expected DIRECTION@OFFSET FAULT or NAME#NTH=VALUE, got {part:?}");
    let (name, rest) = part.split_once('#').ok_or_else(form)?;
    let (nth, value) = rest.split_once('=').ok_or_else(form)?;
    Ok(Pick {
        name: Cow::Owned(name.to_owned()),
        nth: number(nth, "which decision of that name")?,
        value: number(value, "the choice")?,
    })
}

/// A decimal number without sign or leading zero: one value has one spelling.
fn number<T: FromStr>(text: &str, what: &str) -> Result<T, String> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten().ok_or_else(|| format!("expected {what}, got {text:?}"))
}

fn party(text: &str) -> Result<Party, String> {
    match text {
        "client" => Ok(Party::Client),
        "server" => Ok(Party::Server),
        other => Err(format!("expected client or server, got {other:?}")),
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let count: u64 = number(count, "a time such as 40ms")?;
    let micros = match unit {
        "us" => Some(count),
        "ms" => count.checked_mul(1_000),
        "s" => count.checked_mul(1_000_000),
        _ => return Err(format!("expected the unit us, ms or s, got {unit:?}")),
    };
    micros.map(Duration::from_micros).ok_or_else(|| format!("a time beyond 24h: {text:?}"))
}
