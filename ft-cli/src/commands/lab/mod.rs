//! The lab dialects over real sockets and disks (LABS: `pipe` is lab A, `addfile` is lab B).
//!
//! The dialects themselves are in [`ft_core::dialect`]; here they get files, time, and words. What a lab's protocol cannot
//! tell is not claimed: where it has no final answer, the outcome is *unknown*, and so is the exit code.

mod client;
mod files;
mod naive;
mod server;
mod stream;

use std::net::SocketAddr;

use ft_core::dialect::{LabEvent, TextEnd};

use crate::args::{ServeDialect, TextStyle};
use crate::render::{Fact, Screen};

pub(super) use client::{get, put};
pub(super) use server::{Serving, serve_addfile, serve_pipe};

/// A lab's own word about listening.
pub(super) fn announce(screen: &Screen, dialect: ServeDialect, address: SocketAddr) {
    match dialect {
        ServeDialect::Auto | ServeDialect::Ft1 => {}
        ServeDialect::Pipe => log(screen, None, &LabEvent::Waiting),
        ServeDialect::Addfile => log(screen, None, &LabEvent::Listening(address)),
    }
}

/// Shows an event: a line of the lab's log to people, everything to programs.
fn log(screen: &Screen, session: Option<u64>, event: &LabEvent) {
    if event.is_log_line() {
        screen.fact(session, &Fact::Lab { text: event.to_string() });
    } else if matches!(event, LabEvent::Progress(_)) {
        tracing::trace!(?session, %event, "lab");
    } else {
        tracing::debug!(?session, %event, "lab");
    }
}

/// How a text ends.
fn text_end(style: TextStyle) -> TextEnd {
    match style {
        TextStyle::Bare => TextEnd::Bare,
        TextStyle::Newline => TextEnd::Newline,
    }
}
