//! Content: checking a stated prefix, hashing, reading on, holes.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use ft_core::carry::{Bulk, Parcel};
use ft_core::error::FileError;
use ft_core::hash::{Root as Hash, Subtree, TreeHasher, decompose};
use ft_core::limits::MAX_HOLE;
use ft_core::path::RelPath;
use ft_core::storage::{Buf, ItemId, SourceDone};

use super::super::ahead::Units;
use super::super::fault::{fault, internal};
use super::super::hashing::{Hashing, Job};
use super::super::limits::HASH_INLINE;
use super::super::roots::Roots;
use super::super::sum;
use super::super::sys::{self, Extent, Stat};
use super::Worker;
use super::item::{Checked, Entry, Origin, Reading, State, changed};

/// One answered read, before it is hashed.
struct Piece {
    len: u64,
    found: Found,
    last: bool,
}

/// What a stretch of a file is, and where its content is found.
enum Found {
    Hole,
    Here(Buf),
    /// It stays in the file: the transport carries it.
    There(Arc<File>),
}

impl Worker {
    /// How far the receiver's prefix is equal. What was hashed for it is kept, so that reading can go on from there. One that
    /// comes without hashes is believed: it is hashed while what follows is sent.
    pub(super) fn check(&mut self, item: ItemId, len: u64, subtrees: &[Subtree]) -> Result<u64, FileError> {
        let entry = self.items.get(&item).ok_or_else(|| internal("check of an entry that is not open"))?;
        if matches!(entry.origin, Origin::Stream(_)) {
            return Ok(0);
        }
        if let Some(error) = entry.failed.clone() {
            return Err(error);
        }
        let (file, stat) = entry.open(&mut self.near)?;
        let (path, ahead) = (entry.path.clone(), entry.ahead.clone());
        if subtrees.is_empty() && len < stat.size {
            if let Some(units) = ahead {
                units.need(len);
            }
            // Content is wanted now, and nobody waits for a guess that stands behind it.
            self.ahead.over();
            if let Some(entry) = self.items.get_mut(&item) {
                entry.checked = Some(Checked::Believed(len));
            }
            return Ok(len);
        }
        let mut equal = (0, Vec::new());
        if len < stat.size && decompose(len).count() == subtrees.len() {
            let mut hasher = TreeHasher::new();
            let mut boundary = 0;
            for (n, part) in decompose(len).enumerate() {
                boundary += part;
                self.hash_to(&file, ahead.as_deref(), &mut hasher, boundary, stat.size)
                    .map_err(|e| fault("read", &path, &e))?;
                let (hashed, ours) = hasher.prefix();
                if hashed != boundary || ours != subtrees[..=n] {
                    break;
                }
                equal = (boundary, ours);
            }
        }
        let (boundary, subtrees) = equal;
        if let Some(entry) = self.items.get_mut(&item) {
            entry.checked = Some(Checked::Equal(boundary, subtrees));
        }
        Ok(boundary)
    }

    pub(super) fn hash_all(&mut self, item: ItemId) -> Result<Hash, FileError> {
        let entry = self.items.get(&item).ok_or_else(|| internal("hash of an entry that is not open"))?;
        if let Some(error) = entry.failed.clone() {
            return Err(error);
        }
        let (file, stat) = entry.open(&mut self.near)?;
        let (path, ahead) = (entry.path.clone(), entry.ahead.clone());
        if let Some(root) = Roots::of_user().find(&stat) {
            return Ok(root);
        }
        let begun = ahead.as_ref().map_or_else(SystemTime::now, |units| units.begun);
        let mut hasher = TreeHasher::new();
        self.hash_to(&file, ahead.as_deref(), &mut hasher, stat.size, stat.size)
            .map_err(|e| fault("read", &path, &e))?;
        let now = sys::stat_file(&file).map_err(|e| fault("look at", &path, &e))?;
        let entry = self.items.get(&item).ok_or_else(|| internal("hash of an entry that is not open"))?;
        if hasher.len() != stat.size || !entry.unchanged(&now) {
            return Err(entry.changed());
        }
        let root = hasher.root();
        if now == stat {
            Roots::of_user().remember(&stat, root, begun);
        }
        Ok(root)
    }

    /// Hashes on up to `end` of a file of `size` bytes, or its end if that comes first. What was hashed ahead is used.
    fn hash_to(
        &self,
        file: &File,
        ahead: Option<&Units>,
        hasher: &mut TreeHasher,
        end: u64,
        size: u64,
    ) -> io::Result<()> {
        self.done.flush();
        if let Some(units) = ahead {
            units.add_to(hasher, end.min(size.saturating_sub(1)));
        }
        let abandoned = &self.abandoned;
        sum::hash_on(file, hasher, end, size, &|| !abandoned.load(Ordering::Relaxed))
    }

    pub(super) fn read(&mut self, item: ItemId, offset: u64, max: usize) {
        self.ahead.over();
        let piece = match self.items.remove(&item) {
            None => Err(internal("read of an entry that is not open")),
            // Folders and links are offered like files, and their content is empty.
            Some(Entry { origin: Origin::Nothing, .. }) => {
                let end = Some(Hash::of(b""));
                return self.answer(item, Ok(SourceDone::Content { item, offset, len: 0, end }));
            }
            Some(mut entry) if entry.is_small(offset, max) => {
                let whole = self.whole(item, &mut entry);
                self.items.insert(item, entry);
                return match whole {
                    Ok((completion, buf)) => self.complete(completion, Some(buf.into())),
                    Err(error) => self.answer(item, Err(error)),
                };
            }
            Some(mut entry) => {
                let piece = match entry.failed.clone() {
                    Some(error) => Err(error),
                    None => self.piece(item, &mut entry, offset, max),
                };
                self.items.insert(item, entry);
                piece
            }
        };
        match piece {
            Ok(piece) => self.deliver(item, offset, piece),
            Err(error) => self.answer(item, Err(error.at(offset))),
        }
    }

    /// A small file at once: as little as can be asked of the system, for there may be thousands of them.
    fn whole(&mut self, item: ItemId, entry: &mut Entry) -> Result<(SourceDone, Buf), FileError> {
        let (file, stat) = entry.open_unseen(&mut self.near)?;
        let len = usize::try_from(stat.size).unwrap_or(usize::MAX);
        let mut buf = buffer(self.spares.pop(), len);
        let read = fill(&file, &mut buf, 0, len);
        // One look, behind the reading, is enough: it is what was offered, and was not written to since.
        entry.check(&file)?;
        read.map_err(|e| fault("read", &entry.path, &e))?;
        if buf.len() != len {
            return Err(entry.changed());
        }
        entry.state = State::Ended { beside: false };
        let end = Some(Hash::of(buf.bytes()));
        Ok((SourceDone::Content { item, offset: 0, len: stat.size, end }, buf))
    }

    fn piece(&mut self, item: ItemId, entry: &mut Entry, offset: u64, max: usize) -> Result<Piece, FileError> {
        if matches!(entry.state, State::Closed) {
            self.begin(item, entry, offset)?;
        }
        let spare = self.spares.pop();
        let State::Reading(reading) = &mut entry.state else {
            return Err(internal(format!("read at {offset} behind the end")));
        };
        if reading.position != offset {
            return Err(internal(format!("read at {offset} where the entry stands at {}", reading.position)));
        }
        let piece = match (&mut entry.origin, &reading.file) {
            (Origin::Stream(reader), _) => {
                // It may wait for whoever writes.
                self.done.flush();
                read_stream(reader, spare, max).map_err(|e| fault("read", &entry.path, &e))?
            }
            (Origin::File { stat, .. }, Some(file)) => {
                // What is hashed here, or may be compressed, has to be in memory anyway.
                let in_memory = reading.hasher.is_some() || self.options.compress.is_wanted();
                let carried = self.options.carried && !in_memory;
                read_file(file, stat, &mut reading.extent, offset, max, spare, carried)
                    .map_err(|e| fault("read", &entry.path, &e))?
            }
            (Origin::File { .. } | Origin::Nothing, _) => {
                return Err(internal("read of an entry without content"));
            }
        };
        reading.position += piece.len;
        if let Some(file) = &reading.file {
            let short = piece.len == 0 && !piece.last;
            let now = (piece.last || short).then(|| sys::stat_file(file)).transpose();
            let now = now.map_err(|e| fault("look at", &entry.path, &e))?;
            if short || now.is_some_and(|now| !entry.unchanged(&now)) {
                return Err(entry.changed());
            }
        }
        Ok(piece)
    }

    fn begin(&mut self, item: ItemId, entry: &mut Entry, offset: u64) -> Result<(), FileError> {
        let checked = entry.checked.take();
        let believed = offset > 0 && matches!(checked, Some(Checked::Believed(_)));
        let mut hasher = match checked {
            _ if offset == 0 => TreeHasher::new(),
            Some(Checked::Equal(boundary, subtrees)) if boundary == offset => TreeHasher::resume(boundary, &subtrees),
            Some(Checked::Believed(len)) if len == offset => TreeHasher::behind(len),
            Some(_) | None => {
                return Err(internal(format!("first read at {offset}, which was not checked")));
            }
        };
        let (file, small) = match &entry.origin {
            Origin::Stream(_) => (None, false),
            Origin::Nothing => return Err(internal("read of an entry without content")),
            Origin::File { .. } => {
                let (file, stat) = entry.open(&mut self.near)?;
                if stat.size > HASH_INLINE {
                    sys::expect_sequential(&file);
                }
                (Some(Arc::new(file)), stat.size <= HASH_INLINE)
            }
        };
        if !small && self.hashing.is_none() {
            // No second thread: the first one does it.
            self.hashing = Hashing::start(self.done.clone(), ()).ok();
        }
        let prefix = match (&entry.origin, &file) {
            (Origin::File { stat, .. }, Some(file)) if believed => {
                Some(self.ahead.need(file, entry.ahead.take(), offset, Some(*stat)))
            }
            (Origin::File { .. } | Origin::Stream(_) | Origin::Nothing, _) => None,
        };
        let hasher = match &self.hashing {
            Some(hashing) if !small => {
                // The other thread's completions come behind all that this one has.
                self.done.flush();
                if let (None, Some(units)) = (&prefix, entry.ahead.take()) {
                    units.settle(&mut hasher);
                }
                hashing.submit(Job::Begin { key: item, hasher: Box::new(hasher), offset, prefix });
                None
            }
            Some(_) | None => {
                if let Some(prefix) = prefix {
                    self.done.flush();
                    hasher = prefix.hash().map_err(|e| unread(&entry.path, &e))?;
                }
                Some(Box::new(hasher))
            }
        };
        entry.state = State::Reading(Reading { file, position: offset, hasher, extent: None });
        Ok(())
    }

    /// Hashes the piece, here or beside, and completes.
    fn deliver(&mut self, item: ItemId, offset: u64, piece: Piece) {
        let Piece { len, found, last } = piece;
        let hole = matches!(found, Found::Hole);
        let complete = move |end| match hole {
            true => SourceDone::Hole { item, offset, len, end },
            false => SourceDone::Content { item, offset, len, end },
        };
        let Some(Entry { state, path, .. }) = self.items.get_mut(&item) else {
            return;
        };
        let State::Reading(reading) = state else {
            return;
        };
        match (&mut reading.hasher, &self.hashing) {
            (None, Some(hashing)) => {
                let path = path.clone();
                let key = item;
                let complete = Box::new(move |hashed: io::Result<_>| match hashed {
                    Ok(end) => complete(end),
                    Err(e) => SourceDone::Failed(item, unread(&path, &e).at(offset)),
                });
                hashing.submit(match found {
                    Found::Here(bytes) => Job::Bytes { key, bytes, last, complete },
                    Found::There(file) => {
                        let parcel = range(&file, offset, len);
                        Job::Stored { key, file, parcel, len, last, complete }
                    }
                    Found::Hole => Job::Zeros { key, len, last, complete },
                });
                if last {
                    *state = State::Ended { beside: true };
                }
            }
            (Some(hasher), _) => {
                match &found {
                    Found::Here(buf) => hasher.update(buf.bytes()),
                    Found::Hole | Found::There(_) => hasher.update_zeros(len),
                }
                let end = last.then(|| hasher.root());
                if last {
                    *state = State::Ended { beside: false };
                }
                self.complete(complete(end), found.in_memory());
            }
            (None, None) => {
                self.complete(SourceDone::Failed(item, internal("no thread for hashing")), found.in_memory());
            }
        }
    }
}

impl Found {
    fn in_memory(self) -> Option<Bulk> {
        match self {
            Self::Here(buf) => Some(Bulk::Bytes(buf)),
            Self::Hole | Self::There(_) => None,
        }
    }
}

/// Why content could not be hashed: what ends early was as long as offered a moment ago.
fn unread(path: &RelPath, error: &io::Error) -> FileError {
    if error.kind() == io::ErrorKind::UnexpectedEof { changed(path) } else { fault("read", path, error) }
}

/// `len` bytes of `file` from `offset` on, for a transport that carries.
fn range(file: &Arc<File>, offset: u64, len: u64) -> Parcel {
    #[cfg(target_os = "linux")]
    return crate::carry::FileRange::parcel(Arc::clone(file), offset, len);
    #[cfg(not(target_os = "linux"))]
    Parcel { len, what: Box::new((Arc::clone(file), offset)) }
}

/// A buffer with room for `len` bytes, if possible one that was used before.
fn buffer(spare: Option<Buf>, len: usize) -> Buf {
    spare.and_then(|buf| buf.reuse(len)).unwrap_or_else(|| Buf::with_capacity(len))
}

fn read_stream(reader: &mut impl io::Read, spare: Option<Buf>, max: usize) -> io::Result<Piece> {
    let mut buf = buffer(spare, max);
    let n = loop {
        match reader.read(&mut buf.spare()[..max]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    buf.advance(n);
    Ok(Piece { len: n as u64, found: Found::Here(buf), last: n == 0 })
}

fn read_file(
    file: &Arc<File>,
    stat: &Stat,
    extent: &mut Option<Extent>,
    offset: u64,
    max: usize,
    spare: Option<Buf>,
    carried: bool,
) -> io::Result<Piece> {
    let mut until = stat.size;
    if stat.stored < stat.size {
        let current = match *extent {
            Some(Extent::Data(end) | Extent::Hole(end)) if end <= offset => None,
            known => known,
        };
        let current = match current {
            Some(known) => known,
            None => sys::extent(file, offset, stat.size)?,
        };
        *extent = Some(current);
        match current {
            Extent::Hole(end) => {
                let len = (end - offset).min(MAX_HOLE);
                return Ok(Piece { len, found: Found::Hole, last: offset + len == stat.size });
            }
            Extent::Data(end) => until = end,
        }
    }
    let room = usize::try_from(until - offset).map_or(max, |left| left.min(max));
    if carried && room > 0 {
        let len = room as u64;
        return Ok(Piece { len, found: Found::There(Arc::clone(file)), last: offset + len == stat.size });
    }
    let mut buf = buffer(spare, room);
    fill(file, &mut buf, offset, room)?;
    let len = buf.len() as u64;
    Ok(Piece { len, found: Found::Here(buf), last: offset + len == stat.size })
}

/// Reads on until `room` bytes or the end of the file.
fn fill(file: &File, buf: &mut Buf, offset: u64, room: usize) -> io::Result<()> {
    while buf.len() < room {
        let filled = buf.len();
        match sys::read_at(file, &mut buf.spare()[..room - filled], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => buf.advance(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
