//! `proxy`: what is listened on, what is behind it, and what is to happen in between.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use ft_sim::Schedule;

use crate::limits;
use crate::net::Endpoint;

/// `proxy`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ft-cli proxy :7000 :65432 --schedule 'c2s@4 split'         the server's first read returns 4
  ft-cli proxy :7000 :65432 --schedule '2:s2c@1 rst'         the client's second connection breaks
  ft-cli proxy :7000 :65432 --scenario pitfall-split-ack
  ft-cli proxy :7000 :80 --latency 50ms --rate 10M           a slow path
  ft-cli proxy :7000 :80 --connections 1 --record seen.pcapng

Let the client connect to port 7000 instead of the server's; Ctrl-C ends the proxy.
docs/SCHEDULE.md says what a schedule can ask for, and which steps a proxy plays. On Linux the
kernel is asked whether the reader has read. Elsewhere, and for a program on another machine, a
pause stands for the question, and the closing line says \"probabilistic\".")]
pub struct ProxyArgs {
    /// Where to listen: HOST:PORT, or :PORT for this machine alone; port 0 for any free one
    #[arg(value_name = "LISTEN", value_parser = Listen::parse)]
    pub listen: Listen,
    /// Where every connection leads: HOST:PORT, or :PORT of this machine
    #[arg(value_name = "TARGET", value_parser = target)]
    pub target: Endpoint,
    /// What happens to the streams; connections count from 1 in the order in which they are accepted
    #[arg(long, value_name = "TEXT", conflicts_with = "scenario")]
    pub schedule: Option<Schedule>,
    /// Take the schedule of a scenario: the name of a built-in one, or a file
    #[arg(long, value_name = "SCENARIO", value_hint = ValueHint::FilePath)]
    pub scenario: Option<PathBuf>,
    /// Which of the scenario's plays, from 1
    #[arg(long, value_name = "N", default_value_t = 1, requires = "scenario", value_parser = positive)]
    pub play: usize,
    /// Pass every piece on only when the piece before it has been read
    #[arg(long)]
    pub preserve: bool,
    /// Time that every byte is under way, in each direction: 50ms, 2s
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = time, help_heading = "Path")]
    pub latency: Duration,
    /// Bits in a second, in each direction: 64K, 10M, 1G
    #[arg(long, value_name = "RATE", value_parser = rate, help_heading = "Path")]
    pub rate: Option<u64>,
    /// Write down what passed: FILE.json, one event a line, or FILE.pcapng, for Wireshark
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,
    /// End when so many connections have come and gone [default: at Ctrl-C]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: Option<u16>,
    /// Silence, in seconds, after which a connection is closed
    #[arg(long, value_name = "SECONDS", default_value_t = limits::PROXY_IDLE.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
}

/// Where a proxy listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// This port of 127.0.0.1, and of ::1 where there is one: clients that are told `localhost` may try either alone.
    Loopback(u16),
    /// Whatever this resolves to.
    At(Endpoint),
}

impl Listen {
    fn parse(text: &str) -> Result<Self, String> {
        with_port(text)?;
        let endpoint = |text: &str| Endpoint::parse_listen(text).map_err(|e| e.to_string());
        match text.strip_prefix(':') {
            // `::1` is an address.
            Some(rest) if !rest.contains(':') => Ok(Self::Loopback(endpoint(&format!("localhost{text}"))?.port)),
            _ => endpoint(text).map(Self::At),
        }
    }
}

fn target(text: &str) -> Result<Endpoint, String> {
    with_port(text)?;
    let is_port = text.strip_prefix(':').is_some_and(|rest| !rest.contains(':'));
    let text = if is_port { format!("localhost{text}") } else { text.to_owned() };
    Endpoint::parse(&text).map_err(|e| e.to_string())
}

/// Resolvers take a bare number for an IPv4 address.
fn with_port(text: &str) -> Result<(), String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("for port {text} of this machine write :{text}"));
    }
    Ok(())
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "expected a number from 1".into())
}

/// `50ms`, `2s`, `100us`.
fn time(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| "expected a time such as 50ms or 2s")?;
    let span = match &text[digits..] {
        "us" => Duration::from_micros(number),
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        _ => return Err("expected a time such as 50ms or 2s".into()),
    };
    if span > limits::PACE_LATENCY { Err("longer than a minute".into()) } else { Ok(span) }
}

/// Bits a second.
fn rate(text: &str) -> Result<u64, String> {
    let rate = super::scaled(text).ok_or("expected bits a second, such as 64K, 10M or 1G")?;
    Some(rate).filter(|rate| *rate >= 1_000).ok_or_else(|| "less than 1K is no path".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_rates_have_units() {
        assert_eq!(time("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(time("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(rate("10M"), Ok(10_000_000));
        assert_eq!(rate("2000"), Ok(2_000));
        for bad in ["", "5", "ms", "-1ms", "5 ms", "61s"] {
            assert!(time(bad).is_err(), "{bad}");
        }
        for bad in ["", "M", "0", "999", "1T", "-1M", "99999999999999999999G"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn port_alone_means_this_machine() {
        let at = |host: &str, port| Endpoint { host: host.into(), port };
        assert_eq!(Listen::parse(":7000"), Ok(Listen::Loopback(7000)));
        assert_eq!(Listen::parse(":0"), Ok(Listen::Loopback(0)));
        assert_eq!(Listen::parse("::1"), Ok(Listen::At(at("::1", limits::DEFAULT_PORT))));
        assert_eq!(Listen::parse("[::1]:0"), Ok(Listen::At(at("::1", 0))));
        assert_eq!(target(":80"), Ok(at("localhost", 80)));
        assert_eq!(target("[::1]:80"), Ok(at("::1", 80)));
        for bad in ["", ":", ":x", ":70000", "7000"] {
            assert!(Listen::parse(bad).is_err() && target(bad).is_err(), "{bad}");
        }
        assert!(target(":0").is_err(), "nobody listens there");
    }
}
