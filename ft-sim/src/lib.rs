//! wip
pub mod choices;
mod clock;
mod core;
mod endpoint;
mod exec;
pub mod explore;
mod faults;
pub mod invariant;
pub mod limits;
mod link;
pub mod prove;
pub mod replay;
pub mod report;
pub mod schedule;
pub mod shrink;
pub mod trace;
mod world;

pub use crate::core::HostId;
pub use clock::{Clock, Elapsed, Sleep};
pub use endpoint::Endpoint;
pub use exec::Ended;
pub use explore::{Explorer, explore, explore_on_tokio, run};
pub use faults::{Family, Faults};
pub use invariant::Violation;
pub use report::{Failure, Report, Run};
pub use schedule::{Direction, Fault, Party, Schedule, Step};
pub use world::{CLIENT, HostDeath, Pair, SERVER, Tracer, World};
