//! What happens when the system says no, or the plug is pulled: see docs/RELIABILITY.md, which says what is promised then.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "faults/calls.rs"]
mod calls;
#[path = "faults/clocks.rs"]
mod clocks;
#[path = "faults/every_call.rs"]
mod every_call;
#[path = "faults/ground.rs"]
mod ground;
#[path = "faults/images.rs"]
mod images;
#[path = "faults/killed.rs"]
mod killed;
#[path = "faults/promises.rs"]
mod promises;
mod support;
#[path = "faults/tracer.rs"]
mod tracer;
#[path = "faults/transfer.rs"]
mod transfer;
#[path = "faults/writers.rs"]
mod writers;
