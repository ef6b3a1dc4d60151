//! What a proxy says: the same lines for people and for programs.

use serde::Serialize;

use super::super::sim::{count, print_json};
use crate::exit::Stop;
use crate::limits::GATE_PATIENCE;
use crate::proxy::{Certainty, Pace};
use crate::render::{Mode, Screen};

/// One line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Line {
    Listening {
        address: String,
        target: String,
        schedule: String,
        /// Of one direction.
        latency_ms: f64,
        /// Bits in a second, if they are bounded.
        rate: Option<u64>,
    },
    Opened {
        connection: u16,
        peer: String,
    },
    Closed {
        connection: u16,
        why: Why,
        c2s: Way,
        s2c: Way,
        boundaries: &'static str,
        unplayed: usize,
        /// There was a boundary to keep.
        #[serde(skip)]
        has_boundaries: bool,
    },
    Failed {
        connection: u16,
        error: String,
    },
    /// Steps of connections that never came.
    Unplayed {
        steps: usize,
    },
    Recorded {
        file: String,
        events: usize,
        /// Bytes that passed when the recording was full.
        lost: u64,
    },
}

/// One direction of a connection.
#[derive(Serialize)]
pub(super) struct Way {
    pub(super) bytes: u64,
    pub(super) segments: u64,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Why {
    /// The programs ended it, or the schedule did.
    End,
    /// Nothing passed for the time of `--timeout`.
    Silence,
    /// The proxy was told to stop.
    Stopped,
}

/// The path in words, if it is slowed down.
fn path(latency_ms: f64, rate: Option<u64>) -> String {
    let rate = rate.map(|rate| format!("{rate} bits/s"));
    let latency = (latency_ms > 0.0).then(|| format!("{latency_ms} ms each way"));
    match (latency, rate) {
        (None, None) => String::new(),
        (Some(one), None) | (None, Some(one)) => format!("; path: {one}"),
        (Some(latency), Some(rate)) => format!("; path: {latency}, {rate}"),
    }
}

fn certainty(boundaries: &str) -> String {
    if boundaries == Certainty::Missed.as_str() {
        format!("missed: a reader took more than {} s to read", GATE_PATIENCE.as_secs())
    } else if boundaries == Certainty::Guessed.as_str() {
        format!("{boundaries}: the kernel that knows the reader could not be asked")
    } else {
        boundaries.to_owned()
    }
}

impl Line {
    pub(super) fn listening(address: String, target: String, schedule: String, pace: Pace) -> Self {
        Self::Listening { address, target, schedule, latency_ms: pace.latency.as_secs_f64() * 1e3, rate: pace.rate }
    }

    /// Shows it.
    pub(super) fn say(&self, screen: &Screen) {
        match (screen.mode(), self) {
            (Mode::Json, _) => print_json(screen, self),
            (Mode::Quiet, Self::Failed { .. }) => screen.stop(&Stop::failed(self.text())),
            (Mode::Quiet | Mode::Plain | Mode::Bars, _) => screen.line(&self.text()),
        }
    }

    fn text(&self) -> String {
        let way = |way: &Way| format!("{} in {}", count(way.bytes, "byte"), count(way.segments, "segment"));
        let steps = |n: usize| count(n as u64, "step");
        match self {
            Self::Listening { address, target, schedule, latency_ms, rate } => {
                format!("listening on {address} for {target}; schedule: {schedule}{}", path(*latency_ms, *rate))
            }
            Self::Opened { connection, peer } => format!("{connection}: opened by {peer}"),
            Self::Closed { connection, why, c2s, s2c, boundaries, unplayed, has_boundaries } => {
                let why = match why {
                    Why::End => "closed",
                    Why::Silence => "closed after too long a silence (--timeout)",
                    Why::Stopped => "cut off, because the proxy ends",
                };
                let mut text = format!("{connection}: {why}; c2s {}, s2c {}", way(c2s), way(s2c));
                if *has_boundaries {
                    text += &format!("; boundaries: {}", certainty(boundaries));
                }
                if *unplayed > 0 {
                    text += &format!("; {} never reached", steps(*unplayed));
                }
                text
            }
            Self::Failed { connection, error } => format!("{connection}: failed: {error}"),
            Self::Unplayed { steps: n } => format!("{} not played: no such connection came", steps(*n)),
            Self::Recorded { file, events, lost } => {
                let lost = match lost {
                    0 => String::new(),
                    n => format!("; it was full then, {} more passed", count(*n, "byte")),
                };
                format!("{} written to {file}{lost}", count(*events as u64, "event"))
            }
        }
    }
}
