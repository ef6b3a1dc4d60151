//! What is fuzzed, as functions of bytes: libFuzzer calls them (`fuzz_targets/`), and so does a plain test with every seed
//! and every finding (`tests/fuzz.rs`, which includes this file).
//!
//! A target reads its input as a peer would act: `cuts` and `wire` say how. It panics when a promise is broken, and the
//! promises are written down in `receiver`, `sender` and `session`, not only "it does not panic".

mod codec;
mod cuts;
mod dialects;
mod labs;
mod land;
mod names;
mod receiver;
mod seeds;
mod segments;
mod sender;
mod session;
mod source;
mod stream;
mod text;
mod wire;

pub use codec::codec;
pub use dialects::dialects;
pub use labs::labs;
pub use names::names;
pub use receiver::receiver;
pub use seeds::seeds;
pub use segments::segments;
pub use sender::sender;
pub use session::session;
pub use text::{scenario, schedule};

/// A target: bytes in, a panic if a promise is broken.
pub type Target = fn(&[u8]);

/// Every target, by name.
pub const TARGETS: [(&str, Target); 10] = [
    ("codec", codec),
    ("dialects", dialects),
    ("labs", labs),
    ("names", names),
    ("receiver", receiver),
    ("scenario", scenario),
    ("schedule", schedule),
    ("segments", segments),
    ("sender", sender),
    ("session", session),
];
