//! Who is at the other end, and who may listen: the real program over TLS, and over plain TCP where that is allowed.
//!
//! docs/SECURITY.md promises; these tests hold it to that. Addresses of "other machines" are in network namespaces that a
//! test makes.

#[path = "trust/code.rs"]
mod code;
#[cfg(target_os = "linux")]
#[path = "trust/daemon.rs"]
mod daemon;
#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod harness;
#[path = "trust/keys.rs"]
mod keys;
#[cfg(target_os = "linux")]
#[path = "trust/outside.rs"]
mod outside;
#[path = "trust/rights.rs"]
mod rights;
#[cfg(target_os = "linux")]
#[path = "trust/sslyze.rs"]
mod sslyze;
#[cfg(target_os = "linux")]
#[path = "trust/tools.rs"]
mod tools;
#[path = "trust/wire.rs"]
mod wire;
