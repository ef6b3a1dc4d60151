//! Real TCP: names and addresses, connecting, listening, and the time that the protocol leaves to its caller.

mod backoff;
mod busy;
mod deadline;
mod pace;
mod path;
mod target;
mod tcp;

pub use backoff::Backoff;
pub use deadline::{Beat, Deadline, OnTcp};
pub use pace::{Meter, Pace, Way};
pub use path::together;
pub use target::{BadTarget, Endpoint, Target};
pub use tcp::{accept, attach, connect, connect_at, detach, listen};

/// What this module reads of the system while connections are used: which congestion controls there are, and whether
/// programs wait for a core. Whoever fences itself leaves these open.
pub const SYSTEM_FILES: [&str; 2] = ["/proc/sys/net", "/proc/pressure/cpu"];
