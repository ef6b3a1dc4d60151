//! Programs that misbehave, in a jail: contained, reported, and nothing left of them.
#![cfg(target_os = "linux")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names the one outcome that it expects")]

#[path = "jail/bounds.rs"]
mod bounds;
#[path = "jail/confined.rs"]
mod confined;
#[path = "jail/harness.rs"]
mod harness;
#[path = "jail/leftovers.rs"]
mod leftovers;
#[path = "jail/network.rs"]
mod network;
#[path = "jail/running.rs"]
mod running;
