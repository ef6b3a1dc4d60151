//! Every bound of the simulator, with its unit and its reason, in one place.

use std::time::Duration;

/// Bytes that a direction may hold written and not yet read, unless a case or a schedule says otherwise.
///
/// The order of magnitude of a fresh Linux socket's receive buffer; small enough that a 1 MiB transfer blocks.
pub const DEFAULT_WINDOW: u64 = 64 * 1024;

/// Tasks in one run. One machine word of wake bits, which is what makes waking and choosing cheap.
pub const MAX_TASKS: usize = 64;

/// Connections in one run. Schedules address them by number; more than this is a load test, not a case.
pub const MAX_CONNECTIONS: usize = 1024;

/// Polls in one run before it is declared busy (a task that wakes itself for ever).
///
/// A 64 KiB transfer one byte at a time takes about 200,000.
pub const MAX_STEPS: u64 = 2_000_000;

/// Virtual time in one run before it is declared endless (a task that only re-arms timers).
pub const MAX_VIRTUAL_TIME: Duration = Duration::from_secs(24 * 3600);

/// How long `hold` without an offset waits for more bytes, in virtual time.
///
/// Long against a loopback round trip, short against any sane protocol deadline, so that the same schedule means the
/// same when a proxy plays it over kernel TCP.
pub const HOLD_QUIET: Duration = Duration::from_millis(50);

/// Silence that a case's parties bear in virtual time, as FT-73 has it.
pub const IDLE: Duration = Duration::from_secs(60);

/// The same where time is real, or where virtual time is walked millisecond by millisecond (turmoil). Longer than every
/// quiet moment of the labs (2 s), and short enough that two of them in a row do not try a person's patience.
pub const SHORT_IDLE: Duration = Duration::from_secs(4);

/// Bytes that a relay takes from a writer's leg at once: what one `recv` of the kernel's own programs asks for.
pub const RELAY_READ: usize = 64 * 1024;

/// Bytes of one direction that a relay holds. A `hold` that grows beyond it is released; with an exact window
/// ([`DEFAULT_WINDOW`] unless told otherwise) nothing comes near it.
pub const RELAY_BUFFER: usize = 1024 * 1024;

/// How long a relay looks whether anybody still acts on what was just taken, each of [`RELAY_CALM`] times: many times a
/// hop of loopback, or of turmoil, which has ticks of 1 ms. The simulator's link knows when nobody can run; a relay
/// sees that nobody did.
pub const RELAY_SETTLE: Duration = Duration::from_millis(5);

/// Looks in a row that have to find nobody acting. More than one, because on a starved machine the first may come
/// together with what it looks for.
pub const RELAY_CALM: u32 = 3;

/// Time between two looks at a room of parties and relays.
pub const ROOM_LOOK: Duration = Duration::from_millis(10);

/// Looks in a row that have to find nothing happening and no timer pending before nobody is thought able to run.
pub const ROOM_CALM: u32 = 10;

/// Longest that one attempt may take in a room, in the time of its network. Twice two deadlines in a row, twice over.
pub const ROOM_LIMIT: Duration = Duration::from_secs(60);

/// Longest `delay` that a schedule may ask for.
pub const MAX_DELAY: Duration = Duration::from_secs(24 * 3600);

/// Bytes of schedule text that are parsed. A recorded swarm run of 64 KiB in single bytes stays below it.
pub const MAX_SCHEDULE_TEXT: usize = 4 * 1024 * 1024;

/// Runs that one shrink may spend. Halving 1,000 deviations to one takes about 30; the rest is for stubborn pairs.
pub const MAX_SHRINK_RUNS: u64 = 4_000;

/// Cells of one cut map. A push of 300 bytes has 4,600 with all kinds of cuts; what has ten times more is no picture.
pub const MAX_MAP_CELLS: u64 = 50_000;

/// Content of a play's files together, bytes: it is in memory at both ends, and what a scenario says is anybody's.
pub const MAX_CONTENT: usize = 16 * 1024 * 1024;

/// Longest name of a pick or a property, bytes: they are printed in one-line replays.
pub const MAX_NAME: usize = 64;

/// Characters of a violation's detail that are shown: a report should fit a screen, whatever values it compares.
pub const MAX_DETAIL: usize = 400;

/// A count of bytes already known to fit memory, as an index.
///
/// # Panics
///
/// On a 32-bit host, if a stream position beyond 4 GiB is used as an index: a bug of the simulator.
pub(crate) fn index(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a buffered byte count fits the address space")
}

/// Nanoseconds of a duration; every duration that reaches it was bounded by [`MAX_DELAY`] or saturates.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
