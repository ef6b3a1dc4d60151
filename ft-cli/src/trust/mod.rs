//! Trust: who is at the other end, who may listen, and what a key may do. Reading order: `fingerprint` (how a key is
//! named), `identity` (ours), `tls` (what a handshake proves), `client` and `door` (what each side makes of it),
//! `rights` (what a key may do), `pair` (a one-time code).
//!
//! Cryptography is the libraries' business; here it is only put together. What is promised, and what is not, is in
//! docs/SECURITY.md.

mod ahead;
mod args;
mod ask;
mod client;
mod code;
mod conn;
mod door;
mod fingerprint;
mod folder;
mod identity;
mod keeper;
mod known;
mod limits;
mod pair;
mod quota;
mod rights;
mod tls;

use std::net::IpAddr;

pub use args::{DoorArgs, KeyArgs, RecvArgs, SendArgs, TrustArgs};
pub use ask::{ask, somebody_is_there};
pub use client::{plain, secure};
pub use code::Code;
pub use conn::Conn;
pub use door::{Door, Reloaded, Visitor, must_encrypt};
pub use fingerprint::{BadFingerprint, Fingerprint};
pub use identity::Identity;
pub use known::{KnownPeers, Pin};
pub use pair::{Caller, Gate, Reception, prove};
pub use quota::{Bounded, Ledger};
pub use rights::{Book, Rights};

/// Says what lowers the guard, even to somebody who asked for quiet.
pub fn warn(what: &str) {
    // A closed standard error hears nothing; that is no reason to stop.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("WARNING: {what}\n").as_bytes());
}

/// Whether an address is this machine's own, so that what is sent there passes no wire.
pub fn is_local(address: IpAddr) -> bool {
    // A listener on [::] sees IPv4 as IPv6.
    address.to_canonical().is_loopback()
}
