//! Who is in: how many connections there are, of whom, and who gives way when there is no room.
//!
//! ```text
//!   accepted --arrive--> stranger --sit--> session
//!                |           |                |
//!                |           |                `- moves nothing: gives way to a client that has fewer, or later to any
//!                |           `- the oldest of the address that has most of them gives way to the next
//!                `- an address that comes too often is not heard
//! ```
//!
//! Strangers have said nothing that counts; they cost little, so there may be many, and none can keep others out. Sessions
//! cost more, so there are fewer. What is told here is arithmetic: no socket, no clock.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limits::{
    ADDRESSES, ARRIVALS_AT_ONCE, ARRIVALS_PER_SECOND, SLOW_ALIKE, SLOW_RATE, SLOW_TIME, STRANGERS, STRANGERS_EACH,
};
use crate::trust::{Fingerprint, is_local};

/// Everybody who is in.
#[derive(Debug)]
pub(super) struct Crowd {
    sessions: usize,
    /// Sessions of one address; `None`: as many as there are.
    each: Option<usize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    guests: BTreeMap<u64, Guest>,
    /// Arrivals of other machines that are not forgiven yet, and when that was reckoned.
    arrivals: BTreeMap<IpAddr, (f64, Instant)>,
}

#[derive(Debug)]
struct Guest {
    address: IpAddr,
    key: Option<Fingerprint>,
    sits: bool,
    /// Bytes moved, both ways.
    moved: Arc<AtomicU64>,
    /// How many those were, and when.
    mark: (Instant, u64),
    leave: Arc<Notify>,
}

impl Guest {
    fn party(&self) -> (IpAddr, Option<Fingerprint>) {
        (self.address, self.key)
    }
}

/// A place among the guests, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    number: u64,
    leave: Arc<Notify>,
    /// Where the bytes that it moves are counted.
    pub(super) moved: Arc<AtomicU64>,
}

/// The address that is counted: all of an IPv6 network count as one, since whoever has one has all of it.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
    }
}

impl Crowd {
    /// Room for so many sessions, and for so many of one address: `None` is the default, under which this machine has no
    /// bound of its own.
    pub(super) fn new(sessions: usize, each: Option<usize>) -> Arc<Self> {
        Arc::new(Self { sessions, each, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sessions that one address may have.
    fn most_of(&self, address: IpAddr) -> usize {
        match self.each {
            Some(each) => each,
            None if is_local(address) => usize::MAX,
            None => crate::limits::SESSIONS_EACH,
        }
    }

    /// Takes a new connection in as a stranger; `None`: its address comes too often. Whoever has to give way for it is told.
    pub(super) fn arrive(self: &Arc<Self>, address: IpAddr, now: Instant) -> Option<Place> {
        let address = counted(address);
        let mut state = self.lock();
        if !is_local(address) && !state.forgives(address, now) {
            return None;
        }
        let mut strangers: BTreeMap<IpAddr, Vec<u64>> = BTreeMap::new();
        for (number, guest) in state.guests.iter().filter(|(_, guest)| !guest.sits) {
            strangers.entry(guest.address).or_default().push(*number);
        }
        let all: usize = strangers.values().map(Vec::len).sum();
        let full = all >= STRANGERS;
        let crowded = !is_local(address) && strangers.get(&address).is_some_and(|own| own.len() >= STRANGERS_EACH);
        let from = match (crowded, full) {
            (true, _) => strangers.get(&address),
            (false, true) => strangers.values().max_by_key(|own| own.len()),
            (false, false) => None,
        };
        // Numbers grow: the first is the oldest.
        if let Some(oldest) = from.and_then(|own| own.first()) {
            state.send_away(*oldest);
        }
        let number = state.next;
        state.next += 1;
        let (leave, moved): (Arc<Notify>, Arc<AtomicU64>) = Default::default();
        let guest = Guest {
            address,
            key: None,
            sits: false,
            moved: Arc::clone(&moved),
            mark: (now, 0),
            leave: Arc::clone(&leave),
        };
        state.guests.insert(number, guest);
        Some(Place { crowd: Arc::clone(self), number, leave, moved })
    }
}

impl State {
    /// Somebody has to go; from now on the place is free.
    fn send_away(&mut self, number: u64) {
        if let Some(guest) = self.guests.remove(&number) {
            // Kept until it is looked for: who is not waiting yet goes at once when it does.
            guest.leave.notify_one();
        }
    }

    /// Counts an arrival; false: too many of this address.
    fn forgives(&mut self, address: IpAddr, now: Instant) -> bool {
        let forgiven =
            |(owed, at): (f64, Instant)| owed - now.saturating_duration_since(at).as_secs_f64() * ARRIVALS_PER_SECOND;
        if self.arrivals.len() >= ADDRESSES {
            self.arrivals.retain(|_, owed| forgiven(*owed) > 0.0);
            if self.arrivals.len() >= ADDRESSES {
                // More addresses at once than anybody counts: then each counts little.
                self.arrivals.clear();
            }
        }
        let owed = self.arrivals.get(&address).map_or(0.0, |owed| forgiven(*owed).max(0.0));
        if owed >= ARRIVALS_AT_ONCE {
            return false;
        }
        self.arrivals.insert(address, (owed + 1.0, now));
        true
    }

    /// The session that moves next to nothing and whose client has most of them; how many those are, and since when.
    fn slowest(&mut self, now: Instant) -> Option<(u64, usize, Duration)> {
        let mut parties: BTreeMap<_, usize> = BTreeMap::new();
        for guest in self.guests.values().filter(|guest| guest.sits) {
            *parties.entry(guest.party()).or_default() += 1;
        }
        let mut found: Option<(u64, usize, Duration)> = None;
        for (number, guest) in self.guests.iter_mut().filter(|(_, guest)| guest.sits) {
            let since = now.saturating_duration_since(guest.mark.0);
            if since < SLOW_TIME {
                continue;
            }
            let moved = guest.moved.load(Ordering::Relaxed);
            if (moved - guest.mark.1) as f64 >= since.as_secs_f64() * SLOW_RATE {
                guest.mark = (now, moved);
                continue;
            }
            let count = parties.get(&guest.party()).copied().unwrap_or(0);
            if found.is_none_or(|(_, most, longest)| (count, since) > (most, longest)) {
                found = Some((*number, count, since));
            }
        }
        found
    }
}

impl Place {
    /// Becomes a session, if there is room, or if one that moves nothing gives way.
    ///
    /// # Errors
    /// There is no room: what to tell the client.
    pub(super) fn sit(&self, key: Option<Fingerprint>, now: Instant) -> Result<(), String> {
        let mut state = self.crowd.lock();
        let Some(address) = state.guests.get(&self.number).map(|guest| guest.address) else {
            return Err("this connection gave way to another".into());
        };
        let sits = |guest: &&Guest| guest.sits;
        let of_address = state.guests.values().filter(sits).filter(|guest| guest.address == address).count();
        if of_address >= self.crowd.most_of(address) {
            return Err(format!("{of_address} sessions of your address are open"));
        }
        let open = state.guests.values().filter(sits).count();
        if open >= self.crowd.sessions {
            let own = state.guests.values().filter(sits).filter(|guest| guest.party() == (address, key)).count();
            let busy = Err(format!("{open} sessions are open"));
            match state.slowest(now) {
                Some((number, count, since)) if count > own.max(1) || since >= SLOW_ALIKE => state.send_away(number),
                Some(_) | None => return busy,
            }
        }
        if let Some(guest) = state.guests.get_mut(&self.number) {
            (guest.sits, guest.key) = (true, key);
            guest.mark = (now, guest.moved.load(Ordering::Relaxed));
        }
        Ok(())
    }

    /// Resolves when this guest has to give way.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn gives_way(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.lock().guests.remove(&self.number);
    }
}

#[cfg(test)]
#[path = "crowd_tests.rs"]
mod tests;
