//! Content on its way into staging: partials, reservations, writes, holes, and the end.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;

use ft_core::carry::{Bulk, Parcel};
use ft_core::error::{Code, FileError, Retry};
use ft_core::frame::{Kind, Level, StreamId};
use ft_core::hash::{Root as Hash, TreeHasher, decompose};
use ft_core::limits::MAX_FILE;
use ft_core::path::RelPath;
use ft_core::storage::LandDone;

use super::super::fault::{fault, internal};
use super::super::hashing::{self, Hashing, Job};
use super::super::limits::{FLUSH_EVERY, HASH_INLINE, KEEP_OPEN};
use super::super::root::{Promise, no_space};
use super::super::staging::{Claim, Staging, partial_name};
use super::super::sys;
use super::Worker;
use super::stream::{Back, HashState, Stream, Temp};

impl Worker {
    /// Opens and locks the partial of a resumable stream. Gives the bytes that it has on disk.
    pub(super) fn open_partial(&mut self, stream: &mut Stream, size: u64) -> Result<u64, FileError> {
        let path = &stream.meta.path;
        let staging = self.root.staging().map_err(|e| fault("open staging for", path, &e))?;
        let name = partial_name(path);
        let claim = staging.claim(&name, true).map_err(|e| fault("open the partial of", path, &e))?;
        let Claim::Ours(file, st) = claim else { return Err(taken(path)) };
        // What a killed session left under way has the time of its last write, which no offer has.
        let (file, mark) = (Some(Arc::new(file)), Some(st.mtime));
        stream.temp = Some(Temp { staging, name, partial: true, lasting: true, file, waits: false, noted: None, mark });
        Ok(st.stored.min(size))
    }

    /// Sets the rest of a partial aside on disk; where the file system cannot, the promise in our books stays.
    pub(super) fn reserve(&self, stream: &mut Stream, from: u64, to: u64, promise: Promise) -> Result<(), FileError> {
        let Some(file) = stream.temp.as_ref().and_then(|temp| temp.file.as_ref()) else {
            return Err(internal("a reservation without a file"));
        };
        match sys::reserve(file, from, to) {
            Ok(()) => {
                stream.reserved = Some(from);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::Unsupported => {
                stream.promise = Some(promise);
                Ok(())
            }
            Err(e) => Err(fault("reserve space for", &stream.meta.path, &e)),
        }
    }

    /// `content` is `None` for a hole.
    pub(super) fn write(&mut self, id: StreamId, offset: u64, len: u64, mut content: Option<Bulk>) {
        let Some(mut stream) = self.streams.remove(&id) else {
            self.complete(LandDone::Failed(id, len, internal("content for a stream that is not there")), content);
            return;
        };
        let written = match stream.broken.clone() {
            Some(error) => Err(error),
            None => {
                let whole =
                    matches!(content, Some(Bulk::Bytes(_))) && len <= HASH_INLINE && stream.meta.size == Some(len);
                self.begin(id, &mut stream, offset, whole)
                    .and_then(|()| put(&mut stream, offset, len, content.as_mut()))
            }
        };
        let written = written.and_then(|()| self.hash_here(&mut stream, len, content.as_ref()));
        let beside = stream.hash.is_beside();
        let file = stream.temp.as_ref().and_then(|temp| temp.file.clone());
        let path = beside.then(|| stream.meta.path.clone());
        self.streams.insert(id, stream);
        match (written, &self.hashing, path) {
            (Err(error), ..) => self.fail(id, len, error, content),
            (Ok(()), Some(hashing), Some(path)) => {
                let (key, last) = (id.into(), false);
                let complete = Box::new(move |hashed: io::Result<_>| match hashed {
                    Ok(_) => LandDone::Wrote(id, len),
                    Err(e) => LandDone::Failed(id, len, fault("read back", &path, &e).at(offset)),
                });
                hashing.submit(match (content, file) {
                    (Some(Bulk::Bytes(bytes)), _) => Job::Bytes { key, bytes, last, complete },
                    (Some(Bulk::Parcel(parcel)), Some(file)) => Job::Stored { key, file, parcel, len, last, complete },
                    (Some(Bulk::Parcel(_)) | None, _) => Job::Zeros { key, len, last, complete },
                });
            }
            (Ok(()), ..) => self.complete(LandDone::Wrote(id, len), content),
        }
    }

    /// Hashes what was written, unless the second thread does it.
    fn hash_here(&mut self, stream: &mut Stream, len: u64, content: Option<&Bulk>) -> Result<(), FileError> {
        if let (HashState::Whole, Some(Bulk::Bytes(buf))) = (&stream.hash, content) {
            stream.hash = HashState::Known(Hash::of(buf.bytes()));
        }
        let HashState::Inline(hasher) = &mut stream.hash else { return Ok(()) };
        match (content, stream.temp.as_ref().and_then(|temp| temp.file.as_ref())) {
            (Some(Bulk::Bytes(buf)), _) => hasher.update(buf.bytes()),
            (Some(Bulk::Parcel(_)), Some(file)) => hashing::stored(hasher, &mut self.window, file, len)
                .map_err(|e| fault("read back", &stream.meta.path, &e).at(hasher.len()))?,
            (Some(Bulk::Parcel(_)) | None, _) => hasher.update_zeros(len),
        }
        Ok(())
    }

    /// Checks the offset; before the first write, opens the file and starts the hash there, unless this write is `whole`.
    fn begin(&mut self, id: StreamId, stream: &mut Stream, offset: u64, whole: bool) -> Result<(), FileError> {
        match stream.position {
            Some(position) if position == offset => return Ok(()),
            Some(position) => {
                return Err(internal(format!("write at {offset} where the file stands at {position}")));
            }
            None => {}
        }
        let (len, subtrees) = &stream.prefix;
        let mut boundary = 0;
        let mut kept = 0;
        for part in decompose(*len) {
            if boundary >= offset {
                break;
            }
            boundary += part;
            kept += 1;
        }
        if boundary != offset {
            return Err(internal(format!(
                "first write at {offset}, which is no boundary of the stated prefix of {len}"
            )));
        }
        let hasher = match offset {
            0 if whole => None,
            0 => Some(TreeHasher::new()),
            _ if subtrees.is_empty() => Some(TreeHasher::behind(offset)),
            _ => Some(TreeHasher::resume(offset, &subtrees[..kept])),
        };
        // Before the first byte: a sync that fails from here on may fail for this file.
        stream.begun = (offset == 0).then(|| self.root.failed_syncs());
        self.open_temp(stream, whole)?;
        self.cut(stream, offset)?;
        if let Some(temp) = &mut stream.temp {
            temp.mark = stream.meta.mtime;
        }
        stream.position = Some(offset);
        stream.written = offset;
        stream.flushed = offset;
        stream.whole = whole;
        match hasher {
            Some(hasher) => self.start_hash(id, stream, hasher)?,
            None => stream.hash = HashState::Whole,
        }
        Ok(())
    }

    /// Large files, and those of which nobody knows how large they become, are hashed by the second thread, and a prefix that
    /// was not stated by hashes by a third.
    fn start_hash(&mut self, id: StreamId, stream: &mut Stream, mut hasher: TreeHasher) -> Result<(), FileError> {
        let offset = hasher.len();
        let file = stream.temp.as_ref().and_then(|temp| temp.file.as_ref());
        let prefix = match (stream.before.take(), file) {
            (Some(before), _) if before.len() == offset => Some(before),
            // From another boundary of what was stated.
            (_, Some(file)) if offset > 0 && stream.is_believed() => Some(self.ahead.need(file, None, offset, None)),
            _ => None,
        };
        let small = stream.meta.size.is_some_and(|size| size <= HASH_INLINE);
        if !small && self.hashing.is_none() {
            // No second thread: the first one does it.
            self.hashing = Hashing::start(self.done.clone(), self.root.work()).ok();
        }
        stream.hash = match &self.hashing {
            Some(hashing) if !small => {
                // The other thread's completions come behind all that this one has.
                self.done.flush();
                hashing.submit(Job::Begin { key: id.into(), hasher: Box::new(hasher), offset, prefix });
                HashState::Beside
            }
            Some(_) | None => {
                if let Some(prefix) = prefix {
                    self.done.flush();
                    hasher = prefix.hash().map_err(|e| fault("read the partial of", &stream.meta.path, &e))?;
                }
                HashState::Inline(Box::new(hasher))
            }
        };
        Ok(())
    }

    fn open_temp(&mut self, stream: &mut Stream, whole: bool) -> Result<(), FileError> {
        stream.same = None;
        if let Some(temp) = &mut stream.temp {
            self.open -= usize::from(temp.waits);
            temp.waits = false;
            let path = &stream.meta.path;
            // Of what was stated nothing may have changed. Where nothing was, it is cut to nothing anyway.
            let any = stream.prefix.0 == 0;
            match temp.reopen(any).map_err(|e| fault("open the partial of", path, &e))? {
                Back::Same => {}
                Back::Trimmed => stream.reserved = None,
                Back::Other if any => stream.reserved = None,
                Back::Other => return Err(changed(path)),
                Back::Taken => return Err(taken(path)),
            }
            return Ok(());
        }
        if let (Some(size), true) = (stream.meta.size, stream.resumable()) {
            // Only after "the same content", which turned out not to be: there was no reason to reserve anything before.
            self.open_partial(stream, size)?;
            return Ok(());
        }
        let path = &stream.meta.path;
        let staging = self.root.staging().map_err(|e| fault("open staging for", path, &e))?;
        let failed = |e: io::Error| fault("create", path, &e);
        let name = staging.fresh_name().map_err(failed)?;
        let mode = whole.then(|| self.creation_mode(&staging, stream)).flatten().unwrap_or(sys::PRIVATE);
        let file = Some(Arc::new(staging.own.create(&name, mode).map_err(failed)?));
        let (waits, noted, mark) = (false, None, None);
        stream.temp = Some(Temp { staging, name, partial: false, lasting: false, file, waits, noted, mark });
        Ok(())
    }

    /// The mode that a file of this stream can be created with, because it is certain to have it then. Only for what is
    /// written at once: what waits for more is for its owner alone, although nobody else can enter the folder either.
    fn creation_mode(&self, staging: &Staging, stream: &Stream) -> Option<u16> {
        let mode = self.root.mode_for(&stream.meta);
        (staging.plain_modes && self.root.leaves(mode)).then_some(mode)
    }

    /// Drops what a partial holds behind `offset`, and reserves the room again that this frees.
    fn cut(&mut self, stream: &mut Stream, offset: u64) -> Result<(), FileError> {
        let Some(Temp { file: Some(file), partial: true, .. }) = &stream.temp else {
            return Ok(());
        };
        let path = &stream.meta.path;
        let length = sys::stat_file(file).map_err(|e| fault("look at the partial of", path, &e))?.size;
        if length != offset {
            file.set_len(offset).map_err(|e| fault("shorten the partial of", path, &e))?;
        }
        let Some(size) = stream.meta.size else { return Ok(()) };
        if length == offset && stream.reserved.is_some_and(|from| from <= offset) {
            return Ok(());
        }
        let promise = match stream.promise.take() {
            Some(promise) => promise,
            None => {
                let asked = self.root.promise(0).map_err(|e| fault("ask for space on", path, &e))?;
                asked.ok_or_else(|| no_space(path, size))?
            }
        };
        self.reserve(stream, offset, size, promise)
    }

    pub(super) fn finish(&mut self, id: StreamId, size: u64) {
        let Some(mut stream) = self.streams.remove(&id) else {
            self.complete(LandDone::Failed(id, 0, internal("the end of a stream that is not there")), None);
            return;
        };
        let believed = stream.is_believed() && stream.begun.is_none();
        if let (Some(temp), true) = (&mut stream.temp, believed) {
            // Now it will be known whether that was right, or cannot be: what does not land is hashed first the next time.
            temp.mark = None;
        }
        let result = match stream.broken.clone() {
            Some(error) => Err(error),
            None => self.end(id, &mut stream, size),
        };
        let beside = stream.hash.is_beside();
        let root = match &mut stream.hash {
            HashState::Inline(hasher) => Some(hasher.root()),
            HashState::Known(root) => Some(*root),
            HashState::Beside | HashState::Asked(_) | HashState::Whole | HashState::None => None,
        };
        if let (Ok(()), Some(root)) = (&result, root) {
            stream.hash = HashState::Known(root);
        }
        let path = beside.then(|| stream.meta.path.clone());
        let told = (result.is_ok() && beside).then(|| {
            let (tell, told) = channel();
            stream.hash = HashState::Asked(told);
            tell
        });
        self.streams.insert(id, stream);
        match (result, root, told, &self.hashing) {
            (Err(error), ..) => self.fail(id, 0, error, None),
            (Ok(()), Some(root), ..) => self.complete(LandDone::Finished(id, root), None),
            (Ok(()), None, Some(tell), Some(hashing)) => {
                let path = path.unwrap_or_default();
                let complete = Box::new(move |hashed: io::Result<Option<Hash>>| match hashed {
                    Ok(root) => LandDone::Finished(id, root.unwrap_or_default()),
                    Err(e) => LandDone::Failed(id, 0, fault("read back", &path, &e)),
                });
                hashing.submit(Job::Finish { key: id.into(), complete, tell });
            }
            (Ok(()), None, ..) => self.fail(id, 0, internal("no hash of the content"), None),
        }
    }

    fn end(&mut self, id: StreamId, stream: &mut Stream, size: u64) -> Result<(), FileError> {
        if stream.meta.kind != Kind::File {
            stream.hash = HashState::Known(Hash::of(&[]));
            return Ok(());
        }
        if let Some(same) = &stream.same {
            stream.hash = HashState::Known(same.root.unwrap_or_default());
            return Ok(());
        }
        if stream.position.is_none() {
            self.begin(id, stream, 0, false)?;
        }
        if stream.position != Some(size) {
            let stands = stream.position.unwrap_or(0);
            return Err(internal(format!("end at {size} where the file stands at {stands}")));
        }
        let path = &stream.meta.path;
        let Some(Temp { file: Some(file), partial, staging, .. }) = &stream.temp else {
            return Err(internal("the end of a file that is not open"));
        };
        if stream.written != size {
            file.set_len(size).map_err(|e| fault("set the length of", path, &e))?;
        }
        // A partial keeps its own mode and times until it is committed: they are what a later try goes by.
        if !*partial {
            let has_it = stream.whole && self.creation_mode(staging, stream).is_some();
            let mode = (!has_it).then(|| self.root.mode_for(&stream.meta));
            sys::set_file_meta(file, mode, stream.meta.mtime).map_err(|e| fault("set mode and time of", path, &e))?;
        }
        self.wait(stream)
    }

    /// A file that is open and not written: a few of them stay open.
    pub(super) fn wait(&mut self, stream: &mut Stream) -> Result<(), FileError> {
        let Some(temp) = &mut stream.temp else {
            return Ok(());
        };
        // Its lock is held by whoever hashes its beginning, too.
        if self.open < KEEP_OPEN || stream.before.is_some() {
            self.open += 1;
            temp.waits = true;
            return Ok(());
        }
        temp.close().map_err(|e| fault("look at the partial of", &stream.meta.path, &e))
    }
}

/// Writes one piece where the file stands.
fn put(stream: &mut Stream, offset: u64, len: u64, content: Option<&mut Bulk>) -> Result<(), FileError> {
    let path = &stream.meta.path;
    let Some(Temp { file: Some(file), partial, .. }) = &stream.temp else {
        return Err(internal("content for a file that is not open"));
    };
    let end = offset.checked_add(len).filter(|&end| end <= stream.meta.size.unwrap_or(MAX_FILE));
    let Some(end) = end else {
        return Err(internal(format!("content beyond the offered size, up to {offset} + {len}")));
    };
    match content {
        Some(content) => {
            if content.len() != len {
                return Err(internal("the content has another length than its operation says"));
            }
            let written = match content {
                Bulk::Bytes(buf) => sys::write_all_at(file, buf.bytes(), offset),
                Bulk::Parcel(parcel) => pour(parcel, file, offset),
            };
            written.map_err(|e| fault("write", path, &e).at(offset))?;
            stream.written = end;
        }
        // What was reserved for it goes back; behind the end of a file, ext4 would not do that.
        None if *partial => {
            let punched = file.set_len(end).and_then(|()| sys::punch(file, offset, len));
            punched.map_err(|e| fault("make a hole in", path, &e).at(offset))?;
            stream.written = end;
        }
        // The length follows with the next bytes or at the end.
        None => {}
    }
    stream.position = Some(end);
    // Who waits for no sync would only pay for one that begins early.
    if stream.level == Level::Durable && end - stream.flushed >= FLUSH_EVERY {
        sys::start_write_back(file, stream.flushed, end - stream.flushed);
        stream.flushed = end;
    }
    Ok(())
}

/// Moves a parcel's content into `file`.
#[cfg(target_os = "linux")]
fn pour(parcel: &mut Parcel, file: &std::fs::File, offset: u64) -> io::Result<()> {
    let pipe = parcel.what.downcast_mut::<crate::carry::Pipe>();
    pipe.ok_or_else(|| io::Error::other("a parcel that is no pipe"))?.pour(file, offset)
}

/// No transport carries content here.
#[cfg(not(target_os = "linux"))]
fn pour(_: &mut Parcel, _: &std::fs::File, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What an offer was answered with is not there any more; another offer gets another answer.
pub(super) fn changed(path: &RelPath) -> FileError {
    let text = format!("another process changed the partial of {path} since the offer was answered");
    FileError::new(Code::Changed, Retry::Now, text)
}

pub(super) fn taken(path: &RelPath) -> FileError {
    FileError::new(Code::NameBusy, Retry::Later, format!("another process is writing {path}"))
}
