//! The real file system behind `Storage` and `Source`: landing, its hazards, and reading, driven by hand.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names the one completion that it expects")]

#[path = "disk/harness.rs"]
mod harness;
#[path = "disk/hazards.rs"]
mod hazards;
#[path = "disk/landing.rs"]
mod landing;
#[cfg(target_os = "linux")]
#[path = "support/owner.rs"]
mod owner;
#[path = "disk/reading.rs"]
mod reading;
#[path = "disk/resuming.rs"]
mod resuming;
#[cfg(target_os = "linux")]
#[path = "disk/spelling.rs"]
mod spelling;
#[path = "disk/walking.rs"]
mod walking;
