//! The ft/1 protocol.
pub mod error;
pub mod frame;
pub mod hash;
pub mod limits;
pub mod path;
pub mod event;
pub mod storage;
pub mod session;
