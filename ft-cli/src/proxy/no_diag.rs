//! Where no kernel can be asked what another program's socket holds: every question goes unanswered.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Nobody to ask.
#[derive(Debug)]
pub enum Diag {}

/// What nobody sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Bytes that have arrived and that its program has not read.
    pub unread: u32,
    /// Bytes that its program has written and that have not been acknowledged.
    pub unsent: u32,
    /// Bytes that have arrived in all.
    pub received: u64,
}

/// What nobody measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Round-trip time, smoothed.
    pub rtt: Duration,
    /// The least round-trip time.
    pub min_rtt: Duration,
    /// Segments that were sent with data.
    pub sent: u32,
    /// Segments that were sent again.
    pub sent_again: u32,
    /// Bytes that the peer has acknowledged.
    pub acknowledged: u64,
    /// Bytes a second that the path delivered lately.
    pub delivery_rate: u64,
    /// The program had less to send than the path would have taken.
    pub is_program_limited: bool,
    /// Time in which something was under way.
    pub busy: Duration,
    /// That of it in which the receiver's window was full.
    pub window_limited: Duration,
    /// That of it in which the send buffer was full.
    pub buffer_limited: Duration,
}

impl Seen {
    /// Its program has closed it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        false
    }

    /// Its program has read every byte before `offset`.
    #[must_use]
    pub fn has_taken(&self, _: u64) -> bool {
        false
    }
}

impl Diag {
    /// Asks about this process's own network.
    ///
    /// # Errors
    ///
    /// Always: this system has no `sock_diag`.
    pub fn here() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// As on Linux.
    ///
    /// # Errors
    ///
    /// None.
    pub fn find(&self, _: SocketAddr, _: SocketAddr) -> io::Result<Option<Seen>> {
        match *self {}
    }

    /// As on Linux.
    ///
    /// # Errors
    ///
    /// None.
    pub fn measured(&self, _: SocketAddr, _: SocketAddr) -> io::Result<Option<Measured>> {
        match *self {}
    }
}
