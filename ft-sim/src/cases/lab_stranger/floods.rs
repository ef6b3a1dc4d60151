//! Strangers who go on and on: what our side throws away at its end has a bound.

use super::script::Script;

/// Bytes that are thrown away before closing.
const LINGER_MAX: usize = 1024 * 1024;

/// Every one of them.
pub(super) fn all() -> Vec<Script> {
    let floods = |name, says: &str, bytes: usize| {
        Script::new(name, says).say("ACK").hear(9).say(vec![b'x'; bytes]).hear_all().hears("f|5\nhello")
    };
    vec![
        floods("sends a byte less than is thrown away", "unknown: 5 bytes sent, Fin", LINGER_MAX - 1),
        // The bytes are counted, and the end behind them is not looked at.
        floods("sends as much as is thrown away", "unknown: 5 bytes sent, StillSending", LINGER_MAX),
    ]
}
