//! A world is what a case runs in: connections, tasks, a clock, and the promises that must hold.
//!
//! A *case* is any `Fn(&mut World)`. It is run again and again, each time under another schedule, so that it must
//! build everything it needs from the world and nothing else; a case that reads a clock or draws random numbers of its
//! own is found out and reported.

mod drive;

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::{Pin, pin};

use crate::clock::Clock;
use crate::core::{Death, HostId, Shared};
use crate::endpoint::Endpoint;
use crate::exec::{Ended, Exec, Observer, Slot, Task};
use crate::faults::Faults;
use crate::invariant::{Kind, Violation};
use crate::limits;
use crate::schedule::{Party, Schedule};
use crate::trace::{NoteKind, What};

pub(crate) use drive::Decide;

/// Host number of the client in [`World::pair`] and [`World::connect`].
pub const CLIENT: HostId = 0;
/// Host number of the server in [`World::pair`] and [`World::connect`].
pub const SERVER: HostId = 1;

/// A hook that hears of a host's death before its tasks are dropped.
type DeathHook = Box<dyn FnMut(HostId, HostDeath)>;

/// A promise that is looked at after every step.
type Watch = Box<dyn FnMut() -> bool>;

/// A task for [`World::run`], and the host it lives on.
pub type HostTask<'a, T> = (HostId, Pin<Box<dyn Future<Output = T> + 'a>>);

/// How a host died, as a hook sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostDeath {
    /// The process was killed: what it gave to the kernel is kept.
    Killed,
    /// The power failed: what was not synced may be lost.
    Crashed,
}

#[derive(Default)]
struct Hooks {
    watches: Vec<(&'static str, Watch)>,
    deaths: Vec<DeathHook>,
    /// Hosts that lost power, a bit each.
    crashed: u64,
    broken: Option<&'static str>,
}

impl Observer for Hooks {
    fn after_step(&mut self) {
        for (name, holds) in &mut self.watches {
            if self.broken.is_none() && !holds() {
                self.broken = Some(name);
            }
        }
    }

    fn on_death(&mut self, host: HostId, death: Death) {
        let death = match death {
            Death::Kill => HostDeath::Killed,
            Death::Crash => HostDeath::Crashed,
        };
        self.hear(host, death);
    }
}

impl Hooks {
    fn hear(&mut self, host: HostId, death: HostDeath) {
        if death == HostDeath::Crashed {
            self.crashed |= 1 << (host % 64);
        }
        for hook in &mut self.deaths {
            hook(host, death);
        }
    }
}

/// How both parties of [`World::pair`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair<C, S> {
    /// The client.
    pub client: Ended<C>,
    /// The server.
    pub server: Ended<S>,
}

/// The world of one run; see the module's text.
pub struct World {
    shared: Shared,
    exec: Exec,
    hooks: Hooks,
    windows: [u64; 2],
    faults: Faults,
    tolerate_deadlock: bool,
    tolerate_panic: bool,
    #[cfg(feature = "tokio-world")]
    runtime: Option<tokio::runtime::Runtime>,
}

#[cfg(feature = "tokio-world")]
fn paused_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a current-thread runtime needs no more than memory")
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world on the simulator's own executor.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Shared::new(),
            exec: Exec::new(),
            hooks: Hooks::default(),
            windows: [limits::DEFAULT_WINDOW; 2],
            faults: Faults::segmentation(),
            tolerate_deadlock: false,
            tolerate_panic: false,
            #[cfg(feature = "tokio-world")]
            runtime: None,
        }
    }

    /// A world inside a tokio current-thread runtime with a paused clock, for parties that use `tokio::spawn` or
    /// `tokio::time`. About three times slower.
    ///
    /// # Panics
    ///
    /// If the operating system refuses the runtime.
    #[cfg(feature = "tokio-world")]
    #[must_use]
    pub fn on_tokio() -> Self {
        Self { runtime: Some(paused_runtime()), ..Self::new() }
    }

    /// Runs a client and a server over one connection until both have ended.
    ///
    /// A deadlock is a violation of `live`, unless [`World::tolerate_deadlock`] was called; a party that panics is one, unless
    /// [`World::tolerate_panic`] was.
    pub fn pair<FC, FS>(
        &mut self,
        client: impl FnOnce(Endpoint) -> FC,
        server: impl FnOnce(Endpoint) -> FS,
    ) -> Pair<FC::Output, FS::Output>
    where
        FC: Future,
        FS: Future,
    {
        let (client_end, server_end) = self.connect();
        let client = pin!(Some(client(client_end)));
        let server = pin!(Some(server(server_end)));
        let mut client = Slot { host: CLIENT, future: client, ended: Ended::Waiting };
        let mut server = Slot { host: SERVER, future: server, ended: Ended::Waiting };
        self.drive(&mut [&mut client, &mut server]);
        Pair { client: client.ended, server: server.ended }
    }

    /// Opens a connection between [`CLIENT`] and [`SERVER`].
    pub fn connect(&mut self) -> (Endpoint, Endpoint) {
        self.connect_hosts(CLIENT, SERVER)
    }

    /// Opens a connection between any two hosts; the first plays the client in schedules.
    ///
    /// # Panics
    ///
    /// Beyond [`limits::MAX_CONNECTIONS`] in one run.
    pub fn connect_hosts(&mut self, client: HostId, server: HostId) -> (Endpoint, Endpoint) {
        let mut core = self.shared.lock();
        let epoch = core.epoch;
        let conn = core.open_conn([client, server], self.windows);
        self.shared.unlock_and_wake(core);
        let end = |party| Endpoint::new(self.shared.clone(), epoch, conn, party);
        (end(Party::Client), end(Party::Server))
    }

    /// Runs any number of tasks until all have ended, and says how each did, in their order.
    ///
    /// # Panics
    ///
    /// With more than [`limits::MAX_TASKS`] tasks.
    pub fn run<T>(&mut self, tasks: Vec<HostTask<'_, T>>) -> Vec<Ended<T>> {
        let mut futures: Vec<_> = tasks.into_iter().map(|(host, future)| (host, Some(future))).collect();
        let mut slots: Vec<_> = futures
            .iter_mut()
            .map(|(host, future)| Slot { host: *host, future: Pin::new(future), ended: Ended::Waiting })
            .collect();
        let mut tasks: Vec<&mut dyn Task> = slots.iter_mut().map(|slot| slot as &mut dyn Task).collect();
        self.drive(&mut tasks);
        slots.into_iter().map(|slot| slot.ended).collect()
    }

    /// Bytes that each direction of later connections holds written and unread; 64 KiB unless said, at least 1.
    pub fn window(&mut self, bytes: u64) {
        self.windows = [bytes.max(1); 2];
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock::new(self.shared.clone())
    }

    /// A handle with which parties put notes into the trace.
    #[must_use]
    pub fn tracer(&self) -> Tracer {
        Tracer { shared: self.shared.clone() }
    }

    /// Lifts the faults: later connections behave.
    pub fn calm(&mut self) {
        self.shared.lock().calm = true;
    }

    /// Chooses one of `n` values of which 0 is the normal one; an exhaustive search spends a deviation on others.
    ///
    /// # Panics
    ///
    /// If `name` is not made of `a-z`, `0-9` and `-`, or is `order`.
    pub fn pick(&mut self, name: &'static str, n: u32) -> u32 {
        check_name(name);
        self.shared.lock().pick_named(name, n, false)
    }

    /// Chooses one of `n` equally normal values; an exhaustive search tries all.
    ///
    /// # Panics
    ///
    /// As [`World::pick`].
    pub fn branch(&mut self, name: &'static str, n: u32) -> u32 {
        check_name(name);
        self.shared.lock().pick_named(name, n, true)
    }

    /// States what must hold in every run.
    pub fn always(&mut self, name: &str, holds: bool) {
        if !holds {
            self.violate(Kind::Always, name, String::new);
        }
    }

    /// States that two values must be equal in every run, and shows both if they are not.
    pub fn always_eq<A: PartialEq<B> + Debug, B: Debug>(&mut self, name: &str, got: A, expected: B) {
        if got != expected {
            self.violate(Kind::Always, name, || {
                let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
                format!("expected {}, got {}", abridge(&expected), abridge(&got))
            });
        }
    }

    /// Takes back what this run has broken so far, and says what it was: for a case that looks for one failure among
    /// several.
    pub fn take_violation(&mut self) -> Option<Violation> {
        self.shared.lock().properties.violation.take()
    }

    /// States what must hold once the faults have lifted.
    pub fn eventually(&mut self, name: &str, holds: bool) {
        if !holds {
            self.violate(Kind::Eventually, name, String::new);
        }
    }

    /// States what must hold in at least one run of a search, so that a pass means something.
    pub fn sometimes(&mut self, name: &'static str, holds: bool) {
        self.shared.lock().properties.sometimes(name, holds);
    }

    /// Asks `holds` after every poll of the runs that follow.
    pub fn watch(&mut self, name: &'static str, holds: impl FnMut() -> bool + 'static) {
        self.hooks.watches.push((name, Box::new(holds)));
    }

    /// Calls `hook` when a host dies, before its tasks are dropped: this is where a simulated disk loses things.
    pub fn on_death(&mut self, hook: impl FnMut(HostId, HostDeath) + 'static) {
        self.hooks.deaths.push(Box::new(hook));
    }

    /// A run that ends in a deadlock is no violation by itself: for parties that have no deadlines and are shown silence.
    pub fn tolerate_deadlock(&mut self) {
        self.tolerate_deadlock = true;
    }

    /// A party that panics is no violation by itself: for programs that are shown falling.
    pub fn tolerate_panic(&mut self) {
        self.tolerate_panic = true;
    }

    /// The schedule of the run so far: what was decided, or what was prescribed.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        self.shared.lock().recorded()
    }
}

/// For grounds whose network is not the simulator's: the world keeps their ledger.
impl World {
    pub(crate) fn shared(&self) -> Shared {
        self.shared.clone()
    }

    pub(crate) fn windows(&self) -> [u64; 2] {
        self.windows
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.shared.lock().calm
    }

    pub(crate) fn host_died(&mut self, host: HostId, death: HostDeath) {
        self.hooks.hear(host, death);
    }

    /// Whether a host lost power since this was last asked about it; hosts are numbered from 0 to 63 here.
    pub(crate) fn take_crash(&mut self, host: HostId) -> bool {
        let bit = 1 << (host % 64);
        let crashed = self.hooks.crashed & bit != 0;
        self.hooks.crashed &= !bit;
        crashed
    }

    pub(crate) fn opened(&mut self, conn: u16, hosts: [HostId; 2]) {
        let mut core = self.shared.lock();
        let (now, step) = (core.now, core.step);
        core.trace.keep(now, step, || What::Open { conn, hosts });
    }
}

/// A value in a report: its beginning, if it is long.
fn abridge(value: &str) -> String {
    const SHOWN: usize = 120;
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} characters)", &value[..end], value.chars().count()),
        None => value.to_owned(),
    }
}

fn check_name(name: &str) {
    assert!(
        crate::schedule::is_name(name) && name != crate::core::ORDER,
        "{name:?} names no decision: a-z, 0-9 and - only, and not \"order\""
    );
}

impl Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("faults", &self.faults).finish_non_exhaustive()
    }
}

/// Puts notes of parties into the trace.
#[derive(Clone)]
pub struct Tracer {
    shared: Shared,
}

impl Tracer {
    /// Notes something: `tracer.note(NoteKind::Ack, format_args!("ACK1 for {name}"))`. Control characters are escaped
    /// when it is shown. The text is part of the run's identity.
    pub fn note(&self, kind: NoteKind, text: fmt::Arguments<'_>) {
        // Formatted first: a Display that comes back here must not find the lock taken.
        if let Some(text) = text.as_str() {
            return self.shared.lock().note(kind, text);
        }
        let mut formatted = std::mem::take(&mut self.shared.lock().scratch);
        formatted.clear();
        let written = fmt::Write::write_fmt(&mut formatted, text);
        let mut core = self.shared.lock();
        if written.is_ok() {
            core.note(kind, &formatted);
        }
        core.scratch = formatted;
    }
}

impl Tracer {
    /// As [`Tracer::note`], for text that follows from some numbers and a name: they are part of the run's identity instead
    /// of it, and text is only made where somebody will read it.
    pub(crate) fn fact(&self, kind: NoteKind, numbers: [u64; 3], name: &[u8], text: fmt::Arguments<'_>) {
        let mut core = self.shared.lock();
        core.fold_fact(kind, numbers, name);
        if core.trace.keeps() {
            drop(core);
            let text = text.to_string();
            self.shared.lock().keep_note(kind, &text);
        }
    }
}

impl Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").finish_non_exhaustive()
    }
}
