//! One direction of a relay: what it holds, and why it waits.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Gate;
use crate::limits;
use crate::schedule::{Direction, Fault, Party, Step};
use crate::world::HostDeath;

/// Whom a step ends, and how.
pub(super) type End = (Party, HostDeath);

/// Why nothing passes although bytes may be there.
pub(super) enum Wait<S> {
    /// Nothing to wait for.
    Not,
    /// Until the reader has taken everything forwarded.
    Read,
    /// Until the reader has taken everything forwarded; then this, if anything, befalls a party.
    Taken(Option<End>),
    /// It has; until everybody has done what they do about it.
    Settle { then: Option<End>, sleep: S, seen: u64, calm: u32 },
    /// Until the offset has been received, the writer has closed, or the time that the first held byte started is over;
    /// and then for so many looks more.
    Hold { until: u64, quiet: Option<S>, looks: u32 },
    /// The next byte or end of stream starts this span.
    Armed(Duration),
    /// Until it is over.
    Until(S),
}

/// What becomes of bytes that can no longer be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sink {
    Deliver,
    /// Accepted and lost.
    Swallow,
    /// Accepted, and answered by RST if they lie behind this offset.
    Refuse {
        from: u64,
    },
}

/// One direction.
pub(super) struct Lane<S> {
    /// Bytes from `forwarded` to `received`.
    pub(super) held: Vec<u8>,
    pub(super) received: u64,
    pub(super) forwarded: u64,
    pub(super) fin_received: bool,
    pub(super) fin_forwarded: bool,
    pub(super) stalled: bool,
    pub(super) sink: Sink,
    pub(super) wait: Wait<S>,
    /// Steps by offset, from `next` on.
    pub(super) plan: Vec<(u64, Fault)>,
    pub(super) next: usize,
}

impl<S: Future<Output = ()> + Unpin> Lane<S> {
    pub(super) fn new<'a>(steps: impl Iterator<Item = &'a Step>) -> Self {
        Self {
            held: Vec::new(),
            received: 0,
            forwarded: 0,
            fin_received: false,
            fin_forwarded: false,
            stalled: false,
            sink: Sink::Deliver,
            wait: Wait::Not,
            plan: steps.map(|step| (step.at, step.fault)).collect(),
            next: 0,
        }
    }

    /// What is held is lost, and what follows goes where `sink` says.
    pub(super) fn lose_held(&mut self, sink: Sink) {
        self.held.clear();
        self.sink = sink;
        self.wait = Wait::Not;
    }

    /// Lets everybody do what they do about what has just happened.
    pub(super) fn settle<G: Gate<Sleep = S>>(&mut self, gate: &G) {
        self.wait = settle(gate, None, 0);
    }

    /// It is about to go on with what the reader may have now.
    pub(super) fn is_settling(&self) -> bool {
        matches!(self.wait, Wait::Settle { .. })
    }

    /// Ready when nothing has to be waited for, with whoever has to die first.
    ///
    /// While the other lane settles, no time passes here: in the simulator, too, drained gates open before any timer
    /// fires, and what they let through may be what a `hold` is waiting for.
    pub(super) fn poll_wait<G: Gate<Sleep = S>>(
        &mut self,
        gate: &mut G,
        dir: Direction,
        other_settles: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Option<End>> {
        loop {
            let is_due = match &mut self.wait {
                Wait::Not => return Poll::Ready(None),
                Wait::Read | Wait::Taken(_) => gate.poll_taken(dir, self.forwarded, cx).is_ready(),
                Wait::Settle { sleep, .. } => Pin::new(sleep).poll(cx).is_ready(),
                Wait::Until(sleep) => !other_settles && Pin::new(sleep).poll(cx).is_ready(),
                Wait::Hold { until, quiet, looks } => {
                    let is_full = self.held.len() >= limits::RELAY_BUFFER;
                    is_full || self.received >= *until || self.fin_received || {
                        if quiet.is_none() && !self.held.is_empty() || quiet.is_some() && other_settles {
                            (*quiet, *looks) = (Some(gate.sleep(limits::HOLD_QUIET)), 0);
                        }
                        let Some(sleep) = quiet else { return Poll::Pending };
                        if Pin::new(sleep).poll(cx).is_pending() {
                            return Poll::Pending;
                        }
                        // On a starved machine, what it waits for may have come together with the end of the time.
                        *quiet = Some(gate.sleep(limits::RELAY_SETTLE));
                        *looks += 1;
                        if *looks < limits::RELAY_CALM {
                            continue;
                        }
                        true
                    }
                }
                Wait::Armed(_) => !self.held.is_empty() || self.fin_received,
            };
            if !is_due {
                return Poll::Pending;
            }
            self.wait = match std::mem::replace(&mut self.wait, Wait::Not) {
                Wait::Taken(then) => settle(gate, then, 0),
                Wait::Settle { then, seen, .. } if seen != gate.activity() => settle(gate, then, 0),
                Wait::Settle { then, calm, .. } if calm + 1 < limits::RELAY_CALM => settle(gate, then, calm + 1),
                Wait::Settle { then: Some(end), .. } => return Poll::Ready(Some(end)),
                Wait::Armed(span) => Wait::Until(gate.sleep(span)),
                Wait::Settle { then: None, .. } | Wait::Hold { .. } | Wait::Until(_) | Wait::Read | Wait::Not => {
                    Wait::Not
                }
            };
        }
    }
}

fn settle<G: Gate>(gate: &G, then: Option<End>, calm: u32) -> Wait<G::Sleep> {
    Wait::Settle { then, sleep: gate.sleep(limits::RELAY_SETTLE), seen: gate.activity(), calm }
}
