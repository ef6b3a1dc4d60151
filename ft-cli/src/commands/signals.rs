//! SIGINT, SIGTERM and SIGHUP, or what the system has instead.

use std::io;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To stop.
    Stop,
    /// To read settings again.
    Reload,
}

/// Waits for requests.
pub(super) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    /// From now on the signals no longer end the process.
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, hangup: None })
    }

    /// From now on SIGHUP is a request to read settings again, and no longer ends the process.
    pub(super) fn hear_hangup(&mut self) -> io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        self.hangup = Some(signal(SignalKind::hangup())?);
        Ok(())
    }

    /// The next request to stop. Cancel safe.
    pub(super) async fn next(&mut self) {
        while self.any().await != Asked::Stop {}
    }

    /// The next request of any kind. Cancel safe.
    pub(super) async fn any(&mut self) -> Asked {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            () = hangup => Asked::Reload,
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    /// There is no such signal.
    pub(super) fn hear_hangup(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// The next request of any kind. Cancel safe.
    pub(super) async fn any(&mut self) -> Asked {
        self.next().await;
        Asked::Stop
    }

    /// Control-C is heard from the first call of `next` on.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// The next request. Cancel safe.
    pub(super) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
