//! Facts that a session reports while it runs. The `Display` of lab B's server events is the lab's log, to the letter.

use std::fmt;
use std::net::SocketAddr;

use super::name::{Escaped, LabName};

/// A fact of a lab session.
///
/// Lab B's log has seven lines; those come from [`LabEvent::Listening`] to [`LabEvent::Sent`], of which the first two are the
/// caller's to report, since only the caller knows addresses. [`LabEvent::is_log_line`] tells them from the rest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LabEvent {
    /// `Server listening on 127.0.0.1 port 80`
    Listening(SocketAddr),
    /// `Client connected: ('127.0.0.1', 52025)`
    Connected(SocketAddr),
    /// `Client command: addfile`
    Command(Vec<u8>),
    /// `Creating new file: 1412412`
    Creating(Vec<u8>),
    /// `Receiving file data for: 1412412`
    Receiving(Vec<u8>),
    /// `Sending file data for: 1412412`; DOWNLOAD's counterpart, in the same manner.
    Sending(Vec<u8>),
    /// `Sent: file recv`, without the line feed that was sent.
    Sent(&'static str),
    /// Lab A's `[LISTENING] Waiting for connection...`; the caller's to report.
    Waiting,
    /// Lab A's metadata was understood.
    Metadata {
        /// The name, checked.
        name: LabName,
        /// The stated size, in bytes.
        size: u64,
    },
    /// The peer's confirmation or status was read: `ACK`, `file recv`, `file data recv`, `OK`.
    Confirmed(&'static str),
    /// Body bytes moved so far, in this session.
    Progress(u64),
    /// A whole file is durable under its final name.
    Stored {
        /// The final name.
        name: LabName,
        /// Its size, in bytes.
        len: u64,
    },
    /// Data came after a quiet moment had been taken for its end (`recv-is-not-message`): the file is stored again, longer.
    LateData {
        /// Bytes that had been taken for the whole.
        taken: u64,
    },
}

impl LabEvent {
    /// Whether a lab's own server prints this as a line of its log.
    #[must_use]
    pub fn is_log_line(&self) -> bool {
        match self {
            Self::Listening(_)
            | Self::Connected(_)
            | Self::Command(_)
            | Self::Creating(_)
            | Self::Receiving(_)
            | Self::Sending(_)
            | Self::Sent(_)
            | Self::Waiting => true,
            Self::Metadata { .. }
            | Self::Confirmed(_)
            | Self::Progress(_)
            | Self::Stored { .. }
            | Self::LateData { .. } => false,
        }
    }
}

impl fmt::Display for LabEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening(address) => write!(f, "Server listening on {} port {}", address.ip(), address.port()),
            // Python shows the address tuple; IPv6 has four members.
            Self::Connected(SocketAddr::V4(address)) => {
                write!(f, "Client connected: ('{}', {})", address.ip(), address.port())
            }
            Self::Connected(SocketAddr::V6(address)) => write!(
                f,
                "Client connected: ('{}', {}, {}, {})",
                address.ip(),
                address.port(),
                address.flowinfo(),
                address.scope_id()
            ),
            Self::Command(command) => write!(f, "Client command: {}", Escaped(command)),
            Self::Creating(name) => write!(f, "Creating new file: {}", Escaped(name)),
            Self::Receiving(name) => write!(f, "Receiving file data for: {}", Escaped(name)),
            Self::Sending(name) => write!(f, "Sending file data for: {}", Escaped(name)),
            Self::Sent(text) => write!(f, "Sent: {text}"),
            Self::Waiting => f.write_str("[LISTENING] Waiting for connection..."),
            Self::Metadata { name, size } => write!(f, "metadata: {name}, {size} bytes"),
            Self::Confirmed(text) => write!(f, "confirmed: {text}"),
            Self::Progress(bytes) => write!(f, "progress: {bytes} bytes"),
            Self::Stored { name, len } => write!(f, "stored: {name}, {len} bytes"),
            Self::LateData { taken } => {
                write!(f, "late data: {taken} bytes had been taken for the whole")
            }
        }
    }
}

/// Who hears a session's events. Any `FnMut(&LabEvent)` does.
pub trait Observer {
    /// Hears one event, in order, after the fact.
    fn event(&mut self, event: &LabEvent);
}

impl<F: FnMut(&LabEvent)> Observer for F {
    fn event(&mut self, event: &LabEvent) {
        self(event);
    }
}

/// Nobody hears the events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn event(&mut self, _event: &LabEvent) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_read_as_the_lab_prints_them() {
        let lines = [
            (LabEvent::Listening("127.0.0.1:80".parse().expect("address")), "Server listening on 127.0.0.1 port 80"),
            (
                LabEvent::Connected("127.0.0.1:52025".parse().expect("address")),
                "Client connected: ('127.0.0.1', 52025)",
            ),
            (LabEvent::Connected("[::1]:52025".parse().expect("address")), "Client connected: ('::1', 52025, 0, 0)"),
            (LabEvent::Command(b"addfile".to_vec()), "Client command: addfile"),
            (LabEvent::Creating(b"1412412".to_vec()), "Creating new file: 1412412"),
            (LabEvent::Sent("file recv"), "Sent: file recv"),
            (LabEvent::Receiving(b"1412412".to_vec()), "Receiving file data for: 1412412"),
            (LabEvent::Sent("file data recv"), "Sent: file data recv"),
            (LabEvent::Waiting, "[LISTENING] Waiting for connection..."),
        ];
        for (event, line) in lines {
            assert_eq!(event.to_string(), line);
            assert!(event.is_log_line());
        }
    }

    #[test]
    fn log_line_of_a_hostile_name_stays_one_line() {
        let forged = LabEvent::Creating(b"x\nSent: file data recv".to_vec());
        assert_eq!(forged.to_string(), "Creating new file: x\\nSent: file data recv");
    }
}
