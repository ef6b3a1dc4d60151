//! A deterministic network simulator for stream protocols: proves, explores, shrinks, replays.
//!
//! Two async functions over a stream, and what must hold; the search finds the schedule that breaks it.
//!
//! ```
//! use ft_sim::{Endpoint, World, explore};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let report = explore("one-read", |world: &mut World| {
//!     let end = world.pair(
//!         |mut s: Endpoint| async move { s.write_all(b"hello").await?; s.shutdown().await },
//!         |mut s: Endpoint| async move { let mut text = [0; 9]; s.read(&mut text).await.map(|n| text[..n].to_vec()) },
//!     );
//!     world.always_eq("the text arrives", end.server.done().and_then(Result::ok), Some(b"hello".to_vec()));
//! })
//! .exhaustive(1)
//! .report();
//! assert_eq!(report.expect_failure().replay_line(), "one-read: c2s@1 split");
//! ```
//!
//! `docs/TESTING-YOUR-PROTOCOL.md` is the guide, `docs/SCHEDULE.md` the specification of schedules.
//!
//! # How it fits together
//!
//! ```text
//!   search      explore ── faults ── choices     shrink     replay     prove
//!                  │  "which run next"              │ "a smaller one"
//!   one run      world ── exec ── clock ── endpoint (AsyncRead + AsyncWrite)
//!                  │        └── wakes      │
//!   network      core ── link ─────────────┘  per byte: written, in flight, delivered, read
//!                  │
//!   other        ground ── room ── relay (lane, wire) ── turmoil_world     agree
//!   worlds       "the same parties on somebody else's network"
//!
//!   words        schedule   invariant   trace (lanes, JSON lines, pcapng)   report   cutmap   limits
//! ```
//!
//! Reading order: [`schedule`] (what can happen), `link.rs` (what it does to a stream), `exec.rs` (who runs when),
//! `world.rs` (what a case sees), [`explore`](mod@explore) (which runs are made), [`shrink`], [`prove`]; then [`relay`] and
//! [`room`], how the same is played in turmoil and over the kernel's TCP.
//!
//! # What is deterministic
//!
//! A run is a function of the case and its schedule. Nothing here reads a clock, an environment or unseeded randomness,
//! or iterates a hash map; nothing prints. Equal runs have equal [`trace::TraceHash`]es in every process, debug or release.

pub mod agree;
pub mod cases;
pub mod choices;
mod clock;
mod core;
pub mod cutmap;
pub mod disk;
mod endpoint;
mod exec;
pub mod explore;
mod faults;
pub mod ground;
pub mod invariant;
pub mod limits;
mod link;
mod one_thread;
pub mod prove;
pub mod relay;
pub mod replay;
pub mod report;
pub mod room;
pub mod scenario;
pub mod schedule;
pub mod shrink;
mod timers;
pub mod trace;
#[cfg(feature = "turmoil-world")]
pub mod turmoil_world;
mod unmet;
mod world;

pub use clock::{Clock, Elapsed, Sleep};
pub use core::HostId;
pub use endpoint::Endpoint;
pub use exec::Ended;
pub use explore::{Explorer, explore, run};
#[cfg(feature = "tokio-world")]
pub use explore::{explore_on_tokio, run_on_tokio};
pub use faults::{Family, Faults};
pub use ground::WorldKind;
pub use invariant::Violation;
pub use report::{Failure, Report, Run};
pub use schedule::{Direction, Fault, Party, Schedule, Step};
pub use unmet::Unmet;
pub use world::{CLIENT, HostDeath, HostTask, Pair, SERVER, Tracer, World};

/// The guide's code blocks are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/TESTING-YOUR-PROTOCOL.md")]
struct Guide;
