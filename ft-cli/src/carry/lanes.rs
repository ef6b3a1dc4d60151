//! How connections that join come to their session: dialled or accepted elsewhere, used where the session is.

use std::task::{Context, Poll};

use ft_core::bundle::Arrivals;
use ft_core::join::Lane;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::trust::Conn;

/// Connections on their way to a session.
pub struct Lanes(UnboundedReceiver<Lane<Conn>>);

impl Lanes {
    /// A way for them: bounded by the tokens that there are.
    pub fn new() -> (UnboundedSender<Lane<Conn>>, Self) {
        let (sender, receiver) = unbounded_channel();
        (sender, Self(receiver))
    }
}

impl Arrivals<Conn> for Lanes {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Lane<Conn>>> {
        self.0.poll_recv(cx)
    }
}
