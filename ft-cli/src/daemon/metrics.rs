//! What a server has done so far, as numbers that Prometheus reads (text format 0.0.4).

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a connection came to nothing, or a session broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// All places were taken.
    Busy,
    /// It said nothing, or nothing that is understood, or TLS failed.
    Handshake,
    /// Its key, or what it came for, is not allowed.
    Forbidden,
    /// A session that had begun broke.
    Broken,
}

const TROUBLES: [(Trouble, &str); 4] = [
    (Trouble::Busy, "busy"),
    (Trouble::Handshake, "handshake"),
    (Trouble::Forbidden, "forbidden"),
    (Trouble::Broken, "broken"),
];

/// Counters of one server. They only grow, but for the connections that are open.
#[derive(Debug, Default)]
pub struct Metrics {
    connections: AtomicU64,
    open: AtomicU64,
    troubles: [AtomicU64; TROUBLES.len()],
    /// Received, and sent.
    files: [AtomicU64; 2],
    bytes: [AtomicU64; 2],
    failed: [AtomicU64; 2],
}

/// A connection that is open; it is not any more when this is dropped.
#[derive(Debug)]
pub struct Opened<'a>(&'a Metrics);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

impl Metrics {
    /// A connection has come.
    pub fn opened(&self) -> Opened<'_> {
        self.connections.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        Opened(self)
    }

    /// Something came to nothing.
    pub fn trouble(&self, what: Trouble) {
        for ((trouble, _), count) in TROUBLES.iter().zip(&self.troubles) {
            if *trouble == what {
                count.fetch_add(1, Relaxed);
            }
        }
    }

    /// A session is over: files that were stored or given, content bytes that were moved, files that were not.
    pub fn session(&self, received: bool, files: u64, bytes: u64, failed: u64) {
        let which = usize::from(!received);
        self.files[which].fetch_add(files, Relaxed);
        self.bytes[which].fetch_add(bytes, Relaxed);
        self.failed[which].fetch_add(failed, Relaxed);
    }

    /// All of it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut say = |name: &str, kind: &str, help: &str, values: &[(&str, &AtomicU64)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in values {
                let _ = writeln!(text, "{name}{labels} {}", value.load(Relaxed));
            }
        };
        let (received, sent) = (r#"{direction="received"}"#, r#"{direction="sent"}"#);
        say("ftcli_connections_total", "counter", "Connections accepted.", &[("", &self.connections)]);
        say(
            "ftcli_connections_open",
            "gauge",
            "Connections that are open and have not joined a session.",
            &[("", &self.open)],
        );
        let kinds: Vec<(String, &AtomicU64)> =
            TROUBLES.iter().zip(&self.troubles).map(|((_, name), n)| (format!("{{kind=\"{name}\"}}"), n)).collect();
        let kinds: Vec<(&str, &AtomicU64)> = kinds.iter().map(|(labels, n)| (labels.as_str(), *n)).collect();
        say("ftcli_failures_total", "counter", "Connections that came to nothing, and sessions that broke.", &kinds);
        for (name, help, all) in [
            ("ftcli_files_total", "Files and folders that were stored or given.", &self.files),
            ("ftcli_bytes_total", "Bytes of content that were moved.", &self.bytes),
            ("ftcli_files_failed_total", "Files that were refused or failed.", &self.failed),
        ] {
            say(name, "counter", help, &[(received, &all[0]), (sent, &all[1])]);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        let open = metrics.opened();
        drop(metrics.opened());
        metrics.trouble(Trouble::Forbidden);
        metrics.session(true, 3, 4096, 1);
        metrics.session(false, 2, 10, 0);
        let text = metrics.text();
        let (comments, values): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("# "));
        let expected = [
            "ftcli_connections_total 2",
            "ftcli_connections_open 1",
            "ftcli_failures_total{kind=\"busy\"} 0",
            "ftcli_failures_total{kind=\"handshake\"} 0",
            "ftcli_failures_total{kind=\"forbidden\"} 1",
            "ftcli_failures_total{kind=\"broken\"} 0",
            "ftcli_files_total{direction=\"received\"} 3",
            "ftcli_files_total{direction=\"sent\"} 2",
            "ftcli_bytes_total{direction=\"received\"} 4096",
            "ftcli_bytes_total{direction=\"sent\"} 10",
            "ftcli_files_failed_total{direction=\"received\"} 1",
            "ftcli_files_failed_total{direction=\"sent\"} 0",
        ];
        assert_eq!(values, expected);
        // Each family is explained and typed, once.
        assert_eq!(comments.len(), 12, "{comments:#?}");
        drop(open);
    }
}
