//! What a server needs to be left alone for months: numbers to watch, and an understanding with systemd.

mod http;
mod metrics;

use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use metrics::{Metrics, Opened, Trouble};

/// The pages that show the numbers; they are gone when this is dropped.
#[derive(Debug)]
pub struct Watched(JoinHandle<()>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Shows the numbers at these addresses, as [`crate::net::listen`] gives them.
pub fn watch(listeners: Vec<TcpListener>, metrics: Arc<Metrics>) -> Watched {
    Watched(tokio::spawn(http::serve(listeners, metrics)))
}

/// Sockets that were opened before this program began, by systemd or another (`LISTEN_FDS`). None where there is no such
/// thing.
///
/// # Errors
/// What was handed over is no listening TCP socket.
#[cfg(target_os = "linux")]
pub fn handed_over() -> io::Result<Vec<TcpListener>> {
    let mut handed = listenfd::ListenFd::from_env();
    let mut all = Vec::new();
    for at in 0..handed.len() {
        if let Some(listener) = handed.take_tcp_listener(at)? {
            listener.set_nonblocking(true)?;
            all.push(TcpListener::from_std(listener)?);
        }
    }
    Ok(all)
}

/// Elsewhere nobody hands sockets over.
#[cfg(not(target_os = "linux"))]
pub fn handed_over() -> io::Result<Vec<TcpListener>> {
    Ok(Vec::new())
}

/// What systemd is told (`NOTIFY_SOCKET`); nobody, where it does not listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Now {
    /// Connections are accepted.
    Ready,
    /// Settings are being read again; `Ready` follows.
    Reloading,
    /// No more are accepted.
    Stopping,
}

/// Tells it.
#[cfg(target_os = "linux")]
pub fn tell(now: Now) {
    use sd_notify::NotifyState;
    let states = match now {
        Now::Ready => vec![NotifyState::Ready],
        Now::Reloading => match NotifyState::monotonic_usec_now() {
            Ok(time) => vec![NotifyState::Reloading, time],
            Err(_) => vec![NotifyState::Reloading],
        },
        Now::Stopping => vec![NotifyState::Stopping],
    };
    if let Err(error) = sd_notify::notify(&states) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}

/// Tells nobody.
#[cfg(not(target_os = "linux"))]
pub fn tell(_: Now) {}
