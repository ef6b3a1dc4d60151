//! Ctrl-C in the middle of a transfer: the other side is told, and the person too.
//!
//! Without this the process would just be gone: its peer would see a broken connection, and nobody would say that what
//! has arrived is kept. A second Ctrl-C ends the program at once.

use std::future::Future;

use tokio::sync::watch;

use crate::exit::Exit;
use crate::render::{Fact, Screen};

/// What a person hears, and what a command comes to.
pub(super) const INTERRUPTED: &str = "interrupted; what has arrived is kept, and the same command goes on from there";

/// Whether the person at the keyboard has asked to stop.
#[derive(Clone)]
pub(super) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// From now on Ctrl-C no longer ends the process. Must be called inside the runtime.
    pub(super) fn listen(screen: &Screen) -> Self {
        let (ask, asked) = watch::channel(false);
        let screen = screen.clone();
        tokio::spawn(async move {
            // Without signals the process ends as it always did.
            if tokio::signal::ctrl_c().await.is_err() {
                return ask.closed().await;
            }
            ask.send_replace(true);
            screen.fact(None, &Fact::Note { text: "stopping; Ctrl-C once more ends at once".into() });
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(Exit::Interrupted.code().into());
            }
            // Kept until nobody asks any more.
            ask.closed().await;
        });
        Self(asked)
    }

    /// True once they have.
    pub(super) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when they do.
    pub(super) fn asked(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut asked = self.0.clone();
        async move {
            // The other end is kept as long as anybody asks.
            if asked.wait_for(|asked| *asked).await.is_err() {
                std::future::pending().await
            }
        }
    }
}
