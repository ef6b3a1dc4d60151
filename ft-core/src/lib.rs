//! ft/1, a protocol that moves files over a byte stream and says *stored* only when they are; and two lab dialects.
//!
//! ```text
//!             bytes                 frames                events, actions            operations
//!   stream  <------->  codec  <------------->  sender | receiver  <------------->  Source | Storage
//!             `------------ driver, session: the only awaits ------------------------'
//! ```
//!
//! Nothing here opens a socket or a file, reads a clock, draws a random number or prints: the caller brings a stream
//! (`tokio::io::AsyncRead + AsyncWrite`), a [`storage::Source`] or [`storage::Storage`], and, if it likes, time. So the
//! same code runs over kernel TCP and in a simulator that decides every order of events.
//!
//! Reading order: [`limits`], [`path`], [`error`], [`frame`], [`hash`], [`codec`], [`compress`], [`storage`], [`carry`], [`join`], [`bundle`], [`machine`], [`sender`],
//! [`receiver`], [`session`]. The specification is `docs/PROTOCOL.md`; `FT-n` and `PROTOCOL §n` refer to it.

#![forbid(unsafe_code)]

pub mod bundle;
pub mod carry;
pub mod codec;
pub mod compress;
pub mod dialect;
mod driver;
pub mod error;
pub mod event;
pub mod frame;
pub mod hash;
pub mod join;
pub mod limits;
pub mod machine;
pub mod memory;
mod outgoing;
pub mod path;
mod payload;
pub mod preamble;
pub mod receiver;
pub mod sender;
pub mod session;
mod spares;
pub mod storage;
mod wire;
