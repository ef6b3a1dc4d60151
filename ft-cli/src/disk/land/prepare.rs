//! Deciding about an offer: name, policy, what is there, a partial to go on with, space. Nothing is changed here but staging.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use ft_core::error::{Code, FileError, Retry};
use ft_core::frame::{Compare, Kind, Meta, Offer, Overwrite, StreamId};
use ft_core::hash::{Root as Hash, TreeHasher, statable};
use ft_core::limits::MAX_FILE;
use ft_core::path::RelPath;
use ft_core::storage::{Prepared, level_for};

use super::super::fault::{fault, in_the_way, internal};
use super::super::limits::{BELIEVED_TOGETHER, KEEP_BOTH_TRIES};
use super::super::root::no_space;
use super::super::roots::Roots;
use super::super::staging::is_reserved;
use super::super::sys::{self, Dir, Stat, Through, What};
use super::super::{Names, Note, WouldLand, names, spelling, sum};
use super::Worker;
use super::stream::{HashState, Same, Stream};

/// What is there already.
struct Found {
    exists: bool,
    candidate: u32,
    same: Option<Same>,
}

impl Worker {
    pub(super) fn prepare(&mut self, id: StreamId, offer: Offer) -> Prepared {
        match self.decide(id, offer) {
            Ok(prepared) => prepared,
            Err(error) => Prepared::Refused(error),
        }
    }

    fn decide(&mut self, id: StreamId, offer: Offer) -> Result<Prepared, FileError> {
        let unpaid = self.policy.unpaid.take(id);
        let level = level_for(&offer, self.policy.least);
        let mut meta = offer.meta;
        meta.path = self.renamed(&meta.path)?;
        self.check_name(&meta)?;
        let busy = || {
            let text = format!("another session is writing {}", meta.path);
            FileError::new(Code::NameBusy, Retry::Later, text)
        };
        let name = self.root.take_name(&meta.path).ok_or_else(busy)?;
        let overwrite = match (self.policy.overwrite, offer.overwrite) {
            (Overwrite::Default, Overwrite::Default) => Overwrite::Replace,
            (Overwrite::Default, wish) => wish,
            (policy, _) => policy,
        };
        let found = self.look(&meta, overwrite, offer.compare)?;
        if self.policy.dry_run {
            return Err(self.only_tell(&meta, overwrite, &found));
        }
        let mut stream = Box::new(Stream {
            meta,
            overwrite,
            level,
            exists: found.exists,
            candidate: found.candidate,
            same: found.same.map(Box::new),
            temp: None,
            hash: HashState::None,
            prefix: (0, Vec::new()),
            before: None,
            position: None,
            written: 0,
            reserved: None,
            flushed: 0,
            begun: None,
            whole: false,
            broken: None,
            _name: name,
            promise: None,
        });
        let prepared = match stream.same.as_deref() {
            Some(Same { root: Some(root), .. }) => Prepared::SameContent(*root),
            Some(Same { root: None, .. }) => Prepared::SameMeta,
            None => match unpaid {
                Some(why) => return Err(why),
                None => self.make_room(&mut stream)?,
            },
        };
        self.streams.insert(id, stream);
        Ok(prepared)
    }

    fn renamed(&self, path: &RelPath) -> Result<RelPath, FileError> {
        let Some(rule) = &self.policy.rename else {
            return Ok(path.clone());
        };
        let mut components = path.components().to_vec();
        if let Some(first) = components.first_mut() {
            first.clone_from(&rule.to);
        }
        RelPath::new(components).map_err(|e| FileError::new(Code::BadName, Retry::Never, e.to_string()))
    }

    fn check_name(&self, meta: &Meta) -> Result<(), FileError> {
        let refuse = |code, text: String| Err(FileError::new(code, Retry::Never, text));
        let path = &meta.path;
        if path.is_root() {
            return refuse(Code::BadName, "the path is empty".to_owned());
        }
        if path.components().iter().any(|c| is_reserved(c)) {
            return refuse(Code::BadName, format!("{path} has a component that is reserved for staging"));
        }
        if let Some(bad) = path.components().iter().find(|c| !sys::storable(c)) {
            let shown = ft_core::path::escape(bad);
            return refuse(Code::BadName, format!("{path}: this system cannot store a file of the name {shown}"));
        }
        let unportable =
            |c: &Vec<u8>| spelling::unportable(c).map(|why| format!("{path}: {} {why}", ft_core::path::escape(c)));
        if self.policy.names == Names::Portable
            && let Some(text) = path.components().iter().find_map(unportable)
        {
            return refuse(Code::BadName, text);
        }
        if self.policy.filter.as_ref().is_some_and(|filter| !filter.wants(path)) {
            return refuse(Code::NotWanted, format!("{path} is filtered out by this receiver"));
        }
        if meta.size.is_some_and(|size| size > MAX_FILE) {
            return refuse(Code::TooLarge, format!("{path} is larger than any file can be"));
        }
        Ok(())
    }

    fn look(&mut self, meta: &Meta, overwrite: Overwrite, compare: Compare) -> Result<Found, FileError> {
        let nothing = Found { exists: false, candidate: 0, same: None };
        let Some((name, above)) = meta.path.components().split_last() else {
            return Err(internal("a path without a name"));
        };
        let Some(parent) = self.folders.find(above)? else {
            return Ok(nothing);
        };
        let existing = stat(&parent, name, &meta.path)?;
        // With keep-both a name is found when it lands.
        if overwrite != Overwrite::KeepBoth || meta.kind == Kind::Folder {
            self.folders.check_spelling(meta.path.components(), &parent, existing.is_some())?;
        }
        let Some(existing) = existing else {
            return Ok(nothing);
        };
        let wanted = match meta.kind {
            Kind::File => What::File,
            Kind::Folder => What::Folder,
            Kind::Link => What::Link,
        };
        if existing.what != wanted {
            return Err(in_the_way(&meta.path, existing.what));
        }
        let found = match meta.kind {
            Kind::Folder => Found { exists: true, ..nothing },
            Kind::Link => {
                let target = parent.read_link(name).map_err(|e| fault("read link", &meta.path, &e))?;
                if target == meta.target {
                    // The same link already: putting it there again changes nothing.
                    return Ok(Found { exists: true, ..nothing });
                }
                Found { exists: true, candidate: u32::from(overwrite == Overwrite::KeepBoth), same: None }
            }
            Kind::File => self.compare(meta, &parent, name, existing, overwrite, compare)?,
        };
        if found.same.is_none() && overwrite == Overwrite::Never && meta.kind != Kind::Folder {
            let text = format!("{} exists and is kept", meta.path);
            return Err(FileError::new(Code::Exists, Retry::Never, text));
        }
        Ok(found)
    }

    /// Whether the offered file, or with keep-both one of its other names, is the same.
    fn compare(
        &mut self,
        meta: &Meta,
        parent: &Dir,
        name: &[u8],
        first: Stat,
        overwrite: Overwrite,
        compare: Compare,
    ) -> Result<Found, FileError> {
        let mut existing = Some(first);
        let mut found = Found { exists: true, candidate: 0, same: None };
        while let Some(st) = existing {
            let this = names::candidate(name, found.candidate);
            if found.same.is_none() && st.what == What::File && meta.size == Some(st.size) {
                found.same = self.same(meta, parent, &this, st, compare)?;
            }
            let quick = matches!(&found.same, Some(Same { root: None, .. }));
            if quick || overwrite != Overwrite::KeepBoth {
                break;
            }
            if found.candidate >= KEEP_BOTH_TRIES {
                let text = format!("{} and {KEEP_BOTH_TRIES} names like it are taken", meta.path);
                return Err(FileError::new(Code::Exists, Retry::Never, text));
            }
            found.candidate += 1;
            existing = stat(parent, &names::candidate(name, found.candidate), &meta.path)?;
        }
        Ok(found)
    }

    fn same(
        &mut self,
        meta: &Meta,
        parent: &Dir,
        name: &[u8],
        st: Stat,
        compare: Compare,
    ) -> Result<Option<Same>, FileError> {
        let mut components = meta.path.components().to_vec();
        if let Some(last) = components.last_mut() {
            *last = name.to_vec();
        }
        let path = RelPath::new(components).map_err(|e| internal(e.to_string()))?;
        match compare {
            Compare::None => Ok(None),
            Compare::Quick | Compare::Content if self.root.doubts(&path) => Ok(None),
            Compare::Quick => {
                let may_ask = !self.policy.dry_run;
                let same = meta.mtime.is_some_and(|mtime| self.root.same_time(mtime, st.mtime, may_ask));
                Ok(same.then_some(Same { path, stat: st, root: None }))
            }
            Compare::Content => {
                // A file that we may not read cannot be compared: then it is sent.
                let Ok(file) = parent.file(&[name.to_vec()], Through::NoLinks) else {
                    return Ok(None);
                };
                if sys::stat_file(&file).map_err(|e| fault("look at", &path, &e))? != st {
                    return Ok(None);
                }
                let root = self.root_of(&file, &st).map_err(|e| fault("read", &path, &e))?;
                Ok(root.map(|root| Same { path, stat: st, root: Some(root) }))
            }
        }
    }

    fn only_tell(&self, meta: &Meta, overwrite: Overwrite, found: &Found) -> FileError {
        let what = match (found, overwrite) {
            (Found { same: Some(_), .. }, _) => WouldLand::Same,
            (Found { exists: false, .. }, _) => WouldLand::Create,
            (_, _) if meta.kind == Kind::Folder => WouldLand::Same,
            (_, Overwrite::KeepBoth) => WouldLand::KeepBoth,
            (_, Overwrite::Default | Overwrite::Never | Overwrite::Replace) => WouldLand::Replace,
        };
        self.note(Note::WouldLand(meta.path.clone(), what));
        FileError::new(Code::NotWanted, Retry::Never, format!("dry run: {} {what}", meta.path))
    }

    /// Finds the partial and reserves space, so that "disk full" comes before any content.
    fn make_room(&mut self, stream: &mut Stream) -> Result<Prepared, FileError> {
        let (Kind::File, Some(size)) = (stream.meta.kind, stream.meta.size) else {
            // Links, folders and what has no known size: any room at all will do. Opens staging, so that a destination
            // that cannot be written to says so now.
            self.staging_for(&stream.meta.path)?;
            return Ok(Prepared::Fresh);
        };
        let promised = self.root.promise(size).map_err(|e| fault("ask for space on", &stream.meta.path, &e))?;
        if !stream.resumable() {
            stream.promise = Some(promised.ok_or_else(|| no_space(&stream.meta.path, size))?);
            self.staging_for(&stream.meta.path)?;
            return Ok(Prepared::Fresh);
        }
        // What a partial has on disk already need not be free any more.
        let stored = self.open_partial(stream, size)?;
        let promise = match promised {
            Some(promise) => Some(promise),
            None => self
                .root
                .promise(size.saturating_sub(stored))
                .map_err(|e| fault("ask for space on", &stream.meta.path, &e))?,
        };
        let Some(promise) = promise else {
            return Err(no_space(&stream.meta.path, size));
        };
        let Some(file) = stream.temp.as_ref().and_then(|temp| temp.file.as_ref()) else {
            return Err(internal("a partial that is not open"));
        };
        let length = sys::stat_file(file).map_err(|e| fault("look at the partial of", &stream.meta.path, &e))?.size;
        let kept = statable(length, size);
        // What is longer is no beginning, whatever its time.
        let believed = kept > 0 && length <= size && stream.is_beginning() && self.believed < BELIEVED_TOGETHER;
        let (len, subtrees) = if believed {
            stream.before = Some(self.ahead.need(file, None, kept, None));
            (kept, Vec::new())
        } else {
            let hasher =
                self.hash_stored(file, kept, size).map_err(|e| fault("read the partial of", &stream.meta.path, &e))?;
            hasher.prefix()
        };
        stream.prefix = (len, subtrees.clone());
        self.reserve(stream, len, size, promise)?;
        if let Some(temp) = &mut stream.temp {
            temp.note().map_err(|e| fault("look at the partial of", &stream.meta.path, &e))?;
        }
        self.wait(stream)?;
        self.believed += usize::from(stream.is_believed());
        if len == 0 {
            return Ok(Prepared::Fresh);
        }
        Ok(Prepared::Partial { len, subtrees })
    }

    /// The root of a whole file that is there, computed or remembered; `None` if it changes meanwhile.
    fn root_of(&self, file: &File, st: &Stat) -> io::Result<Option<Hash>> {
        if let Some(root) = Roots::of_user().find(st) {
            return Ok(Some(root));
        }
        let begun = SystemTime::now();
        let hasher = self.hash_stored(file, st.size, st.size)?;
        if hasher.len() != st.size {
            return Ok(None);
        }
        let root = hasher.root();
        if sys::stat_file(file)? == *st {
            Roots::of_user().remember(st, root, begun);
        }
        Ok(Some(root))
    }

    /// Hashes the first `len` bytes of a file of `size` on disk, or fewer if it is shorter.
    pub(super) fn hash_stored(&self, file: &File, len: u64, size: u64) -> io::Result<TreeHasher> {
        let mut hasher = TreeHasher::new();
        if len > 0 {
            self.done.flush();
            sys::expect_sequential(file);
        }
        let abandoned = &self.abandoned;
        sum::hash_on(file, &mut hasher, len, size, &|| !abandoned.load(Ordering::Relaxed))?;
        Ok(hasher)
    }

    fn staging_for(&self, path: &RelPath) -> Result<(), FileError> {
        self.root.staging().map(drop).map_err(|e| fault("open staging for", path, &e))
    }
}

fn stat(parent: &Dir, name: &[u8], path: &RelPath) -> Result<Option<Stat>, FileError> {
    parent.stat(name).map_err(|e| fault("look at", path, &e))
}
