//! Tests of what modes forbid, which they do not to root.

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

/// As somebody whom a file's mode stops; with all threads that begin in `run`.
pub(crate) fn as_mere_owner<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    let run = || {
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
        set_capabilities(None, sets).unwrap();
        run()
    };
    // Capabilities are a thread's own.
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}
