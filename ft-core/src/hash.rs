//! The content hash: plain BLAKE3, computed so that a prefix can be stated and checked (PROTOCOL §6.2, §6.3).
//!
//! A BLAKE3 root is a tree over 1 KiB chunks. Cut at multiples of 1 MiB, it is a merge of complete subtrees, and the
//! prefix of n MiB is described by one hash for each bit that is set in n, largest first. [`TreeHasher`] keeps exactly
//! these hashes, so a receiver can say "this is what I have", a sender can find the first difference, and either can go
//! on from there without reading the prefix again. The root is what `b3sum` prints.

use std::fmt;

use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::limits::RESUME_UNIT;

/// BLAKE3 hash of a whole file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Root(pub [u8; 32]);

/// Chaining value of one complete subtree; never a root.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subtree(pub [u8; 32]);

impl Root {
    /// Root of a whole content at hand.
    pub fn of(content: &[u8]) -> Self {
        Self(*blake3::hash(content).as_bytes())
    }

    /// 64 lower-case hexadecimal digits, as `b3sum` prints them.
    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", &self.to_hex()[..8])
    }
}

impl fmt::Debug for Subtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", &Root(self.0).to_hex()[..8])
    }
}

/// Lengths in bytes of the subtrees that state a prefix of `len` bytes, in order: one for each bit of its whole
/// [`RESUME_UNIT`]s, largest first. 5 MiB gives 4 MiB, 1 MiB.
pub fn decompose(len: u64) -> impl Iterator<Item = u64> {
    let units = len / RESUME_UNIT;
    (0..64).rev().map(|bit| 1u64 << bit).filter(move |bit| units & bit != 0).map(|bit| bit * RESUME_UNIT)
}

/// Most of a file that a receiver may state as kept: whole units, and never all of it, because the root cannot be
/// made from subtrees that are merged already.
pub fn statable(kept: u64, size: u64) -> u64 {
    kept.min(size.saturating_sub(1)) / RESUME_UNIT * RESUME_UNIT
}

/// Hashes a file from its beginning, from a stated prefix on, or behind a prefix that is hashed elsewhere meanwhile.
#[derive(Clone)]
pub struct TreeHasher {
    /// Where what is in `stack` begins: 0, or the length of a prefix that is still missing.
    base: u64,
    /// Complete subtrees, left to right; from byte 0 on, each is larger than the next. The last unit of a file never gets
    /// here, because the last merge of all must be a root merge.
    stack: Vec<(Subtree, u64)>,
    /// The unit being filled, beginning at `done`.
    current: blake3::Hasher,
    in_current: u64,
    done: u64,
}

impl Default for TreeHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl TreeHasher {
    /// Starts at byte 0.
    pub fn new() -> Self {
        Self { base: 0, stack: Vec::new(), current: blake3::Hasher::new(), in_current: 0, done: 0 }
    }

    /// Goes on behind a prefix of `len` bytes stated by `subtrees`.
    ///
    /// # Panics
    /// If `subtrees` are not as many as [`decompose`] gives for `len`: the caller has checked the frame.
    pub fn resume(len: u64, subtrees: &[Subtree]) -> Self {
        let lengths: Vec<u64> = decompose(len).collect();
        assert_eq!(lengths.len(), subtrees.len(), "one subtree hash for each bit of the prefix");
        let stack = subtrees.iter().copied().zip(lengths).collect();
        let mut hasher = Self { base: 0, stack, current: blake3::Hasher::new(), in_current: 0, done: len };
        hasher.start_unit();
        hasher
    }

    /// Goes on behind a prefix of `len` bytes of which nothing is known yet: [`TreeHasher::join`] adds it in the end.
    ///
    /// # Panics
    /// If `len` is no multiple of [`RESUME_UNIT`].
    pub fn behind(len: u64) -> Self {
        assert!(len.is_multiple_of(RESUME_UNIT), "a unit begins at a multiple of its length");
        let mut hasher = Self { base: len, done: len, ..Self::new() };
        hasher.start_unit();
        hasher
    }

    /// Puts the missing prefix before what was hashed behind it.
    ///
    /// # Panics
    /// If `prefix` has another length than was said, or itself misses one.
    pub fn join(&mut self, prefix: &Self) {
        let (len, subtrees) = prefix.prefix();
        assert!(prefix.base == 0 && len == prefix.len() && len == self.base, "the prefix that is missing");
        let behind = std::mem::replace(&mut self.stack, subtrees.into_iter().zip(decompose(len)).collect());
        (self.base, self.done) = (0, len);
        for (subtree, len) in behind {
            self.stack.push((subtree, len));
            self.done += len;
            self.merge_equal();
        }
    }

    /// Bytes hashed so far, a resumed prefix included.
    pub fn len(&self) -> u64 {
        self.done + self.in_current
    }

    /// True before the first byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.in_current == RESUME_UNIT {
                self.finish_unit();
            }
            let room = RESUME_UNIT - self.in_current;
            let take = usize::try_from(room).map_or(bytes.len(), |r| r.min(bytes.len()));
            self.current.update(&bytes[..take]);
            self.in_current += take as u64;
            bytes = &bytes[take..];
        }
    }

    /// Adds a whole unit that was hashed elsewhere (see [`Unit`]).
    ///
    /// # Panics
    /// If this hasher does not stand at a multiple of [`RESUME_UNIT`]. At least one byte must follow before
    /// [`TreeHasher::root`]: the last merge of all is another one.
    pub fn push_unit(&mut self, unit: Subtree) {
        if self.in_current == RESUME_UNIT {
            self.finish_unit();
        }
        assert_eq!(self.in_current, 0, "a unit begins at a multiple of its length");
        self.stack.push((unit, RESUME_UNIT));
        self.done += RESUME_UNIT;
        self.merge_equal();
        self.start_unit();
    }

    /// Adds `len` zero bytes.
    pub fn update_zeros(&mut self, mut len: u64) {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        while len > 0 {
            let take = usize::try_from(len).map_or(ZEROS.len(), |l| l.min(ZEROS.len()));
            self.update(&ZEROS[..take]);
            len -= take as u64;
        }
    }

    /// The hashes that state the whole units hashed so far, as [`decompose`] orders them, and their length in bytes.
    ///
    /// # Panics
    /// If a prefix is missing.
    pub fn prefix(&self) -> (u64, Vec<Subtree>) {
        assert_eq!(self.base, 0, "what is behind a prefix does not state it");
        let mut all = self.clone();
        if all.in_current == RESUME_UNIT {
            all.finish_unit();
        }
        (all.done, all.stack.into_iter().map(|(s, _)| s).collect())
    }

    /// The root over everything.
    ///
    /// # Panics
    /// If a prefix is missing.
    pub fn root(&self) -> Root {
        assert_eq!(self.base, 0, "what is behind a prefix has no root");
        let Some(((last, _), rest)) = self.stack.split_last() else {
            return Root(*self.current.finalize().as_bytes());
        };
        // A prefix that was stated whole has no open unit: `statable` keeps that from happening with content.
        let mut right = self.current.finalize_non_root();
        let mut left = *last;
        for (next, _) in rest.iter().rev() {
            right = merge_subtrees_non_root(&left.0, &right, Mode::Hash);
            left = *next;
        }
        Root(*merge_subtrees_root(&left.0, &right, Mode::Hash).as_bytes())
    }

    /// Moves the full current unit to the stack. Only called when another byte follows or a prefix is stated, so that
    /// `root` always finds the last unit in `current`.
    fn finish_unit(&mut self) {
        let unit = self.current.finalize_non_root();
        self.stack.push((Subtree(unit), RESUME_UNIT));
        self.done += RESUME_UNIT;
        self.merge_equal();
        self.start_unit();
    }

    fn start_unit(&mut self) {
        // A new one: `reset` keeps the old input offset, and a second `set_input_offset` panics.
        self.current = blake3::Hasher::new();
        self.current.set_input_offset(self.done);
        self.in_current = 0;
    }

    /// Merges what ends here with its sibling: a neighbour of equal length, if both together begin at a multiple of theirs.
    /// From byte 0 on that goes without saying.
    fn merge_equal(&mut self) {
        while let [.., (left, a), (right, b)] = self.stack[..] {
            if a != b || !self.done.is_multiple_of(a + b) {
                return;
            }
            self.stack.truncate(self.stack.len() - 2);
            self.stack.push((Subtree(merge_subtrees_non_root(&left.0, &right.0, Mode::Hash)), a + b));
        }
    }
}

/// Hashes one whole unit of a file on its own, so that several threads can hash one file.
#[derive(Clone, Debug)]
pub struct Unit {
    hasher: blake3::Hasher,
    len: u64,
}

impl Unit {
    /// The unit that begins at byte `offset` of the file.
    ///
    /// # Panics
    /// If that is no multiple of [`RESUME_UNIT`].
    pub fn at(offset: u64) -> Self {
        assert!(offset.is_multiple_of(RESUME_UNIT), "a unit begins at a multiple of its length");
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(offset);
        Self { hasher, len: 0 }
    }

    /// Adds its next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// Its chaining value; `None` if it did not get exactly [`RESUME_UNIT`] bytes.
    pub fn finish(&self) -> Option<Subtree> {
        (self.len == RESUME_UNIT).then(|| Subtree(self.hasher.finalize_non_root()))
    }
}

impl fmt::Debug for TreeHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeHasher({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|i| ((i % 251) ^ ((i >> 16) & 0xff)).to_le_bytes()[0]).collect()
    }

    #[test]
    fn root_equals_plain_blake3_around_every_boundary() {
        for len in [0, 1, 1023, 1024, 1025, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1, 3 * MIB, 4 * MIB, 5 * MIB + 7]
        {
            let bytes = content(len);
            let mut h = TreeHasher::new();
            for piece in bytes.chunks(70_001) {
                h.update(piece);
            }
            assert_eq!(h.root(), Root::of(&bytes), "length {len}");
        }
    }

    #[test]
    fn hasher_resumed_from_a_stated_prefix_gives_the_same_root() {
        let bytes = content(7 * MIB + 5);
        for units in 0..=7 {
            let kept = units * MIB;
            let mut first = TreeHasher::new();
            first.update(&bytes[..kept]);
            let (len, subtrees) = first.prefix();
            assert_eq!(len, kept as u64);
            assert_eq!(subtrees.len(), units.count_ones() as usize);
            let mut rest = TreeHasher::resume(len, &subtrees);
            rest.update(&bytes[kept..]);
            assert_eq!(rest.root(), Root::of(&bytes), "{units} units kept");
        }
    }

    #[test]
    fn units_hashed_elsewhere_give_the_same_root_and_prefix() {
        let bytes = content(6 * MIB + 5);
        let mut whole = TreeHasher::new();
        let mut parts = TreeHasher::new();
        for (n, unit) in bytes.chunks_exact(MIB).enumerate() {
            let mut apart = Unit::at((n * MIB) as u64);
            for piece in unit.chunks(100_000) {
                assert_eq!(apart.finish(), None);
                apart.update(piece);
            }
            whole.update(unit);
            // One of them in the ordinary way: both go together.
            if n == 2 {
                parts.update(unit)
            } else {
                parts.push_unit(apart.finish().unwrap())
            }
            assert_eq!(parts.prefix(), whole.prefix());
        }
        whole.update(&bytes[6 * MIB..]);
        parts.update(&bytes[6 * MIB..]);
        assert_eq!((parts.root(), parts.len()), (Root::of(&bytes), whole.len()));
    }

    #[test]
    fn prefix_that_is_hashed_last_gives_the_same_root() {
        for (units, tail) in [(7, 5), (8, 0), (13, 1), (16, MIB - 1)] {
            let bytes = content(units * MIB + tail);
            // At least one byte follows any prefix.
            for kept in 0..=(bytes.len() - 1) / MIB {
                let (first, rest) = bytes.split_at(kept * MIB);
                let mut prefix = TreeHasher::new();
                prefix.update(first);
                let mut whole = TreeHasher::behind(first.len() as u64);
                whole.update(rest);
                assert_eq!(whole.len(), bytes.len() as u64);
                whole.join(&prefix);
                assert_eq!(whole.root(), Root::of(&bytes), "{kept} of {units} MiB");
                let mut plain = TreeHasher::new();
                plain.update(&bytes);
                assert_eq!(whole.prefix(), plain.prefix(), "{kept} of {units} MiB");
            }
        }
    }

    #[test]
    #[should_panic(expected = "the prefix that is missing")]
    fn prefix_of_another_length_is_no_prefix() {
        TreeHasher::behind(2 * RESUME_UNIT).join(&TreeHasher::new());
    }

    #[test]
    #[should_panic(expected = "has no root")]
    fn what_is_behind_a_prefix_has_no_root_without_it() {
        TreeHasher::behind(RESUME_UNIT).root();
    }

    #[test]
    fn zeros_hash_like_zeros() {
        let mut h = TreeHasher::new();
        h.update(b"x");
        h.update_zeros(3 * MIB as u64);
        let mut plain = vec![0; 3 * MIB + 1];
        plain[0] = b'x';
        assert_eq!(h.root(), Root::of(&plain));
    }

    #[test]
    fn statable_prefix_is_whole_units_and_never_the_whole_file() {
        let m = RESUME_UNIT;
        assert_eq!(statable(0, 0), 0);
        assert_eq!(statable(m, m), 0);
        assert_eq!(statable(m, m + 1), m);
        assert_eq!(statable(5 * m + 3, 9 * m), 5 * m);
        assert_eq!(statable(9 * m, 3 * m), 2 * m);
        assert_eq!(decompose(5 * m).collect::<Vec<_>>(), [4 * m, m]);
    }
}
