//! Hashing what is on disk already, with as many threads as there are cores to spare.
//!
//! A file is cut into units of 1 MiB, whose chaining values do not depend on each other (PROTOCOL §6.2): each thread takes
//! the next unit, and the values are put together in order. A thread reads in pieces that stay in its core's cache until
//! they are hashed.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ft_core::hash::{Subtree, TreeHasher, Unit};
use ft_core::limits::RESUME_UNIT;
use ft_core::storage::Buf;

use super::limits::{HASH_PIECE, HASH_THREADS, HASH_TOGETHER};
use super::root::lock;
use super::sys;

/// Hashes on from where `hasher` stands up to `end`, or to the end of the file if that comes first. Of a file that ends
/// at `size` no unit is the last. `go_on` is asked now and then.
///
/// # Errors
/// The file cannot be read, or `go_on` said no.
pub(super) fn hash_on(
    file: &File,
    hasher: &mut TreeHasher,
    end: u64,
    size: u64,
    go_on: &(dyn Fn() -> bool + Sync),
) -> io::Result<()> {
    let most = usize::try_from(end.saturating_sub(hasher.len())).map_or(HASH_PIECE, |left| left.min(HASH_PIECE));
    let mut buf = Buf::with_capacity(most);
    // To a place where a unit begins.
    let begin = hasher.len().next_multiple_of(RESUME_UNIT).min(end);
    hash_here(file, hasher, begin, &mut buf, go_on)?;
    // Of the whole units none may be the last of the file.
    let units_end = end.min(size.saturating_sub(1)) / RESUME_UNIT * RESUME_UNIT;
    while hasher.len().is_multiple_of(RESUME_UNIT) && hasher.len() + RESUME_UNIT <= units_end {
        let from = hasher.len();
        let units = units(file, from, units_end.min(from + HASH_TOGETHER), go_on)?;
        let all = units.iter().flatten().count();
        units.into_iter().map_while(|unit| unit).for_each(|unit| hasher.push_unit(unit));
        if hasher.len() != from + all as u64 * RESUME_UNIT || all == 0 {
            break;
        }
    }
    hash_here(file, hasher, end, &mut buf, go_on)
}

/// In this thread.
fn hash_here(
    file: &File,
    hasher: &mut TreeHasher,
    end: u64,
    buf: &mut Buf,
    go_on: &dyn Fn() -> bool,
) -> io::Result<()> {
    while hasher.len() < end {
        if !go_on() {
            return Err(gone());
        }
        let n = read_piece(file, buf, hasher.len(), end)?;
        if n == 0 {
            break;
        }
        hasher.update(buf.bytes());
    }
    Ok(())
}

/// Chaining values of the units from `from` to `end`; `None` for those that the file does not have any more.
pub(super) fn units(
    file: &File,
    from: u64,
    end: u64,
    go_on: &(dyn Fn() -> bool + Sync),
) -> io::Result<Vec<Option<Subtree>>> {
    let count = (end - from) / RESUME_UNIT;
    let found = Mutex::new(vec![None; usize::try_from(count).unwrap_or(0)]);
    let failed = Mutex::new(None);
    let next = AtomicU64::new(0);
    let work = || {
        let mut buf = Buf::with_capacity(HASH_PIECE);
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count || lock(&failed).is_some() {
                return;
            }
            let unit = if go_on() { unit(file, from + n * RESUME_UNIT, &mut buf) } else { Err(gone()) };
            match (unit, usize::try_from(n)) {
                (Ok(unit), Ok(n)) => lock(&found)[n] = unit,
                (Err(e), _) => *lock(&failed) = Some(e),
                (Ok(_), Err(_)) => return,
            }
        }
    };
    let others = threads().min(usize::try_from(count).unwrap_or(1)).saturating_sub(1);
    std::thread::scope(|scope| {
        for _ in 0..others {
            // Without another thread this one does it all.
            drop(std::thread::Builder::new().name("ft-sum".to_owned()).spawn_scoped(scope, work));
        }
        work();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(e) => Err(e),
        None => Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

fn unit(file: &File, from: u64, buf: &mut Buf) -> io::Result<Option<Subtree>> {
    let mut unit = Unit::at(from);
    let mut at = from;
    while at < from + RESUME_UNIT {
        let n = read_piece(file, buf, at, from + RESUME_UNIT)?;
        if n == 0 {
            break;
        }
        unit.update(buf.bytes());
        at += n as u64;
    }
    Ok(unit.finish())
}

/// Fills the buffer with what is at `at`, not beyond `end`.
fn read_piece(file: &File, buf: &mut Buf, at: u64, end: u64) -> io::Result<usize> {
    buf.clear();
    let room = usize::try_from(end - at).map_or(buf.capacity(), |left| left.min(buf.capacity()));
    loop {
        match sys::read_at(file, &mut buf.spare()[..room], at) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
            Ok(n) => {
                buf.advance(n);
                return Ok(n);
            }
        }
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(HASH_THREADS)
}

fn gone() -> io::Error {
    io::Error::other("the session has gone")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ft_core::hash::Root;
    use std::io::Write as _;

    fn file_of(len: usize) -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..len).map(|i| ((i * 7) ^ (i >> 12)).to_le_bytes()[0]).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    #[test]
    fn file_hashed_by_several_threads_has_the_root_that_b3sum_prints() {
        const MIB: usize = 1 << 20;
        for len in [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 5 * MIB, 70 * MIB + 3] {
            let (file, bytes) = file_of(len);
            for already in [0, 1, MIB, 3 * MIB + 5] {
                let mut hasher = TreeHasher::new();
                hasher.update(&bytes[..already.min(len)]);
                hash_on(&file, &mut hasher, len as u64, len as u64, &|| true).unwrap();
                assert_eq!(
                    (hasher.len(), hasher.root()),
                    (len as u64, Root::of(&bytes)),
                    "{len} bytes, from {already}"
                );
            }
        }
    }

    #[test]
    fn prefix_of_whole_units_is_stated_as_one_hasher_states_it() {
        let (file, bytes) = file_of(9 << 20);
        let mut one = TreeHasher::new();
        one.update(&bytes[..5 << 20]);
        let mut several = TreeHasher::new();
        hash_on(&file, &mut several, 5 << 20, 9 << 20, &|| true).unwrap();
        assert_eq!(several.prefix(), one.prefix());
    }

    #[test]
    fn file_that_has_become_shorter_ends_the_hash_where_it_ends() {
        let (file, _) = file_of((3 << 20) + 17);
        let mut hasher = TreeHasher::new();
        hash_on(&file, &mut hasher, 9 << 20, 9 << 20, &|| true).unwrap();
        assert_eq!(hasher.len(), (3 << 20) + 17);
    }

    #[test]
    fn hash_stops_when_nobody_wants_it_any_more() {
        let (file, _) = file_of(5 << 20);
        assert!(hash_on(&file, &mut TreeHasher::new(), 5 << 20, 5 << 20, &|| false).is_err());
    }
}
