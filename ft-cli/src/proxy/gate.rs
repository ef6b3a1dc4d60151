//! A relay's gate in front of programs that it did not make: it asks the kernel what their sockets hold.

use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ft_sim::schedule::{Direction, Party};
use ft_sim::trace::What;
use ft_sim::{HostDeath, relay};
use tokio::time::{Instant, Sleep, sleep};

use super::diag::{Diag, Seen};
use super::record::{Certainty, Record};
use crate::limits::{GATE_GUESS, GATE_LOOK, GATE_PATIENCE};

/// The program's end of a leg.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// The kernel that knows it, if it can be asked.
    pub(crate) diag: Option<Rc<Diag>>,
    /// The program's own address, and the proxy's.
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// The same kernel knows the proxy's own socket.
    pub(crate) knows_ours: bool,
}

impl End {
    fn look(&self) -> Option<Seen> {
        self.diag.as_ref()?.find(self.local, self.remote).ok()?
    }

    /// The program's kernel has answered with RST: the proxy's own socket, to which nobody has said an end yet, is no more.
    ///
    /// That the program's socket is gone says less: it may have read everything, answered, and closed in order.
    fn is_refused(&self) -> bool {
        let ours = self.diag.as_ref().filter(|_| self.knows_ours).map(|diag| diag.find(self.remote, self.local));
        ours.is_some_and(|found| found.is_ok_and(|seen| seen.is_none_or(|seen| seen.is_gone())))
    }
}

/// One wait for a reader.
struct Wait {
    began: Instant,
    look: Pin<Box<Sleep>>,
}

impl Wait {
    fn begin() -> Self {
        Self { began: Instant::now(), look: Box::pin(sleep(GATE_LOOK)) }
    }
}

/// Waits for readers by asking their kernel.
pub(crate) struct Asking {
    /// By party.
    ends: [End; 2],
    /// By direction.
    waits: [Option<Wait>; 2],
}

impl Asking {
    pub(crate) fn new(ends: [End; 2]) -> Self {
        Self { ends, waits: [None, None] }
    }

    fn reader(&self, dir: Direction) -> &End {
        &self.ends[usize::from(dir.reader() == Party::Server)]
    }

    /// Ready once the reader of `dir` has taken every byte before `offset`, or closed; or when it has been waited for long
    /// enough, and with what doubt then.
    pub(crate) fn poll_taken(&mut self, dir: Direction, offset: u64, cx: &mut Context<'_>) -> Poll<Certainty> {
        let can_ask = self.reader(dir).diag.is_some();
        let (limit, doubt) =
            if can_ask { (GATE_PATIENCE, Certainty::Missed) } else { (GATE_GUESS, Certainty::Guessed) };
        loop {
            let is_taken =
                can_ask && self.reader(dir).look().is_none_or(|seen| seen.is_gone() || seen.has_taken(offset));
            let wait = self.waits[index(dir)].get_or_insert_with(Wait::begin);
            let is_late = wait.began.elapsed() >= limit;
            if is_taken || is_late {
                self.waits[index(dir)] = None;
                return Poll::Ready(if is_taken { Certainty::Exact } else { doubt });
            }
            ready!(wait.look.as_mut().poll(cx));
            wait.look = Box::pin(sleep(GATE_LOOK));
        }
    }
}

/// The gate.
pub(super) struct KernelGate {
    asking: Asking,
    /// By direction.
    windows: [Option<usize>; 2],
    looks: [Option<Pin<Box<Sleep>>>; 2],
    record: Record,
    is_dark: bool,
    /// Things that the relay itself did or saw.
    steps: u64,
}

impl KernelGate {
    pub(super) fn new(ends: [End; 2], record: Record) -> Self {
        let (asking, windows, looks) = (Asking::new(ends), [None, None], [None, None]);
        Self { asking, windows, looks, record, is_dark: false, steps: 0 }
    }
}

fn index(dir: Direction) -> usize {
    usize::from(dir == Direction::S2c)
}

impl relay::Gate for KernelGate {
    type Sleep = Pin<Box<Sleep>>;

    fn sleep(&self, span: Duration) -> Self::Sleep {
        Box::pin(sleep(span))
    }

    fn poll_taken(&mut self, dir: Direction, offset: u64, cx: &mut Context<'_>) -> Poll<()> {
        self.asking.poll_taken(dir, offset, cx).map(|certainty| self.record.doubt(certainty))
    }

    fn reader_gone(&self, dir: Direction) -> bool {
        self.asking.reader(dir).is_refused()
    }

    fn written(&self, _: Direction) -> Option<u64> {
        None
    }

    /// What both kernels count, and what passed here: it changes when a program reads, writes or closes.
    fn activity(&self) -> u64 {
        self.asking.ends.iter().fold(self.steps, |sum, end| {
            let seen = end.look();
            let parts =
                seen.map_or([u64::MAX; 3], |seen| [u64::from(seen.unread), u64::from(seen.unsent), seen.received]);
            parts.iter().fold(sum, |sum, part| sum.rotate_left(13).wrapping_mul(31).wrapping_add(*part))
        })
    }

    fn narrow(&mut self, dir: Direction, bytes: u64) {
        self.windows[index(dir)] = Some(usize::try_from(bytes).unwrap_or(usize::MAX));
    }

    fn poll_room(&mut self, dir: Direction, cx: &mut Context<'_>) -> usize {
        let Some(window) = self.windows[index(dir)] else { return usize::MAX };
        let unread =
            self.asking.reader(dir).look().map_or(0, |seen| usize::try_from(seen.unread).unwrap_or(usize::MAX));
        let room = window.saturating_sub(unread);
        if unread > 0 {
            // The reader's kernel tells nobody when it has read.
            let look = self.looks[index(dir)].get_or_insert_with(|| Box::pin(sleep(GATE_LOOK)));
            while look.as_mut().poll(cx).is_ready() {
                *look = Box::pin(sleep(GATE_LOOK));
            }
        }
        room
    }

    fn widen(&mut self, dir: Direction) {
        self.windows[index(dir)] = None;
    }

    fn forwarded(&mut self, _: Direction, _: u64) {
        self.steps += 1;
    }

    fn fin_forwarded(&mut self, _: Direction) {
        self.steps += 1;
    }

    fn resets(&mut self, _: Party) {
        self.steps += 1;
    }

    /// A crash is silence; the process is somebody else's, and `kill` was refused before.
    fn dies(&mut self, _: Party, death: HostDeath) {
        self.is_dark |= death == HostDeath::Crashed;
    }

    fn is_dark(&self) -> bool {
        self.is_dark
    }

    fn saw(&mut self, what: What) {
        self.steps += 1;
        self.record.saw(what);
    }
}
