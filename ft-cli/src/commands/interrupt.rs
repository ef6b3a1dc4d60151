//! Ctrl-C in the middle of a transfer: the other side is told, and the person too. SIGTERM and SIGHUP ask for the same.
//!
//! Without this the process would just be gone: its peer would see a broken connection, and nobody would say that what
//! has arrived is kept. A second signal ends the program at once, but for the folder that nobody else would ever clear away.

use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::client::lock;
use super::signals::Signals;
use crate::exit::Exit;
use crate::render::{Fact, Screen};

/// What a person hears, and what a command comes to.
pub(super) const INTERRUPTED: &str = "interrupted; what has arrived is kept, and the same command goes on from there";

/// Tries to empty a folder into which a thread may still be writing.
const SWEEPS: usize = 5;

/// Whether the person at the keyboard has asked to stop.
#[derive(Clone)]
pub(super) struct Interrupt {
    asked: watch::Receiver<bool>,
    spool: Arc<Mutex<Option<PathBuf>>>,
}

impl Interrupt {
    /// From now on Ctrl-C no longer ends the process. Must be called inside the runtime.
    pub(super) fn listen(screen: &Screen) -> Self {
        let (ask, asked) = watch::channel(false);
        let (screen, spool) = (screen.clone(), Arc::<Mutex<Option<PathBuf>>>::default());
        let swept = Arc::clone(&spool);
        let signals = signals();
        tokio::spawn(async move {
            // Without signals the process ends as it always did.
            let Some(mut signals) = signals else { return ask.closed().await };
            signals.any().await;
            ask.send_replace(true);
            screen.fact(None, &Fact::Note { text: "stopping; Ctrl-C once more ends at once".into() });
            tokio::select! {
                _ = signals.any() => {
                    sweep(&swept);
                    std::process::exit(Exit::Interrupted.code().into());
                }
                // Kept until nobody asks any more.
                () = ask.closed() => {}
            }
        });
        Self { asked, spool }
    }

    /// A folder of this command's own, to be removed when the program ends at once.
    pub(super) fn will_sweep(&self, folder: &Path) {
        *lock(&self.spool) = Some(folder.to_owned());
    }

    /// True once they have.
    pub(super) fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Resolves when they do.
    pub(super) fn asked(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut asked = self.asked.clone();
        async move {
            // The other end is kept as long as anybody asks.
            if asked.wait_for(|asked| *asked).await.is_err() {
                std::future::pending().await
            }
        }
    }
}

/// Nobody is left to hear that it cannot be done.
fn sweep(spool: &Mutex<Option<PathBuf>>) {
    let Some(folder) = lock(spool).take() else { return };
    for _ in 0..SWEEPS {
        match std::fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != ErrorKind::NotFound => {}
            Ok(()) | Err(_) => return,
        }
    }
}

/// What asks to stop: SIGINT, SIGTERM, and SIGHUP unless whoever started the program (`nohup`) wants it to go on.
fn signals() -> Option<Signals> {
    let mut signals = Signals::new().ok()?;
    if hears_hangup() {
        signals.hear_hangup().ok()?;
    }
    Some(signals)
}

/// Whether SIGHUP would end the program, were it not heard. Where that cannot be told, it is left alone.
#[cfg(target_os = "linux")]
fn hears_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Bit 0 is signal 1, SIGHUP.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 0)
}

#[cfg(not(target_os = "linux"))]
fn hears_hangup() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_swept_with_everything_in_it_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("spool");
        std::fs::create_dir_all(folder.join(".ft-staging/0")).unwrap();
        std::fs::write(folder.join(".ft-staging/0/p"), "part").unwrap();
        let spool = Mutex::new(Some(folder.clone()));
        sweep(&spool);
        assert!(!folder.exists());
        std::fs::create_dir(&folder).unwrap();
        sweep(&spool);
        assert!(folder.exists());
    }
}
