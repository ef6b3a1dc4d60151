//! Machines whose calling convention the clamp does not know.

use std::io;
use std::net::SocketAddr;

use crate::proxy::Diag;

/// Nothing.
pub(super) enum Clamp {}

/// The connection in question.
pub(super) struct Place {
    pub(super) diag: Diag,
    pub(super) ends: (SocketAddr, SocketAddr),
    pub(super) boundaries: Vec<u64>,
}

impl Clamp {
    pub(super) fn attach(_: Vec<u32>, _: Place) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "reads can be clamped on x86-64 only"))
    }

    pub(super) fn is_exact(&self) -> bool {
        match *self {}
    }
}
