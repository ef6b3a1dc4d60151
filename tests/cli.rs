//! The command line as people and scripts meet it: output, errors and exit status as one text, and what is left on disk.
//!
//! Everything runs the real program over loopback TCP. Ports, temporary paths, times and rates are filtered from snapshots.

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod harness;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/interrupt.rs"]
mod interrupt;
#[path = "cli/path.rs"]
mod path;
#[path = "cli/proxy.rs"]
mod proxy;
#[path = "cli/retry.rs"]
mod retry;
#[path = "cli/same_name.rs"]
mod same_name;
#[path = "cli/serve.rs"]
mod serve;
#[path = "cli/sim.rs"]
mod sim;
#[path = "cli/transfer.rs"]
mod transfer;
