//! The timers of one run, in the order in which they fire.
//!
//! A task has one or two, set and taken back at every wait, so that what counts is how soon one is gone again: a list kept
//! in order beats a tree here, and keeps its memory from run to run.

use crate::core::Timer;

/// When a timer fires, then which of those of that time comes first.
pub(crate) type TimerKey = (u64, u64);

#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// The next one is the last.
    list: Vec<(TimerKey, Timer)>,
    serial: u64,
}

impl Timers {
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.serial = 0;
    }

    pub(crate) fn add(&mut self, at: u64, timer: Timer) -> TimerKey {
        let key = (at, self.serial);
        self.serial += 1;
        let place = self.list.partition_point(|(other, _)| *other > key);
        self.list.insert(place, (key, timer));
        key
    }

    fn place(&self, key: TimerKey) -> Option<usize> {
        self.list.iter().rposition(|(other, _)| *other == key)
    }

    pub(crate) fn get_mut(&mut self, key: TimerKey) -> Option<&mut Timer> {
        self.place(key).map(|place| &mut self.list[place].1)
    }

    /// Takes a timer back; nothing if it has fired.
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<Timer> {
        self.place(key).map(|place| self.list.remove(place).1)
    }

    /// The next timer and its time, nanoseconds.
    pub(crate) fn pop(&mut self) -> Option<(u64, Timer)> {
        self.list.pop().map(|((at, _), timer)| (at, timer))
    }

    /// When the next one fires, nanoseconds.
    #[cfg(feature = "tokio-world")]
    pub(crate) fn next_time(&self) -> Option<u64> {
        self.list.last().map(|((at, _), _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Sleeper;

    fn number(timer: Option<(u64, Timer)>) -> Option<(u64, u32)> {
        match timer? {
            (at, Timer::Wake(Sleeper::Task(task))) => Some((at, task)),
            (_, Timer::Wake(Sleeper::Other(_)) | Timer::Gate(..)) => None,
        }
    }

    #[test]
    fn timers_fire_by_time_and_those_of_one_time_in_the_order_of_setting() {
        let mut timers = Timers::default();
        let keys: Vec<_> = [(5, 0), (3, 1), (5, 2), (9, 3), (3, 4)]
            .map(|(at, task)| timers.add(at, Timer::Wake(Sleeper::Task(task))))
            .to_vec();
        assert!(timers.remove(keys[2]).is_some() && timers.remove(keys[2]).is_none());
        if let Some(timer) = timers.get_mut(keys[3]) {
            *timer = Timer::Wake(Sleeper::Task(7));
        }
        let fired: Vec<_> = std::iter::from_fn(|| number(timers.pop())).collect();
        assert_eq!(fired, [(3, 1), (3, 4), (5, 0), (9, 7)]);
    }
}
