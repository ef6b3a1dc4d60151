//! A bound on what a key may store: a thin layer between a session and its storage.
//!
//! What is beneath a key's folder, kept parts of files included, is counted when its first session begins; from then on
//! sessions of the key share the books. What an offer states is set aside before a byte of it is taken, less what is here
//! of it already, and a file that states no size is stopped when there is no more. What a new file replaces stays counted
//! until the key's last session has ended: the bound may come early.
//!
//! Files, folders and links are counted the same way. Folders that a path leads through are charged to the first offer beneath them,
//! and stay counted even if it fails.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use ft_core::carry::Bulk;
use ft_core::error::{Code, FileError, Retry};
use ft_core::frame::{Kind, Meta, Offer, StreamId};
use ft_core::limits::RESUME_UNIT;
use ft_core::storage::{Keep, LandDone, LandOp, Prepared, Storage};

use crate::disk::{Listed, Root, STAGING, Unpaid};

/// What the sessions of one key share.
#[derive(Debug)]
pub struct Ledger {
    /// Most bytes, and most files, folders and links; none if there is no end to them.
    bytes: Option<u64>,
    files: Option<u64>,
    /// Stored, and set aside for what is on its way.
    taken: Mutex<Stored>,
}

/// What is beneath a folder.
#[derive(Debug, Default)]
pub(super) struct Stored {
    bytes: u64,
    files: u64,
    /// Hashes of the folders among them, where files are counted.
    folders: HashSet<[u8; 16]>,
    /// Parts of files that are kept, by name, and what each is counted at.
    parts: HashMap<Vec<u8>, u64>,
}

impl Ledger {
    /// Books for a folder that holds `stored` and may hold `bytes` and `files`.
    pub(super) fn new(bytes: Option<u64>, files: Option<u64>, stored: Stored) -> Arc<Self> {
        Arc::new(Self { bytes, files, taken: Mutex::new(stored) })
    }

    fn taken(&self) -> MutexGuard<'_, Stored> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, bytes: u64) -> Result<(), FileError> {
        let mut taken = self.taken();
        taken.bytes = fits(taken.bytes, bytes, self.bytes, "bytes")?;
        Ok(())
    }

    /// Room for one file, folder or link, unless it is `counted` already, and for the folders above it that nobody was charged for
    /// yet. How many of them can be given back.
    fn take_file(&self, meta: &Meta, counted: bool) -> Result<u64, FileError> {
        let Some(most) = self.files else { return Ok(0) };
        let mut taken = self.taken();
        let mut folders = folders_of(meta);
        folders.retain(|folder| !taken.folders.contains(folder));
        // An offered folder is among its folders; one that is known is there.
        let own = u64::from(meta.kind != Kind::Folder);
        let more = folders.len() as u64 + if counted { 0 } else { own };
        taken.files = fits(taken.files, more, Some(most), "files and folders")?;
        taken.folders.extend(folders);
        Ok(own)
    }

    fn give_back(&self, bytes: u64, files: u64) {
        let mut taken = self.taken();
        taken.bytes = taken.bytes.saturating_sub(bytes);
        taken.files = taken.files.saturating_sub(files);
    }
}

/// The sum, if it is within the bound.
fn fits(taken: u64, more: u64, most: Option<u64>, of: &str) -> Result<u64, FileError> {
    let bound = most.unwrap_or(u64::MAX);
    if more == 0 {
        // Whoever asks for nothing may have it, even where the bound is lower than it was.
        return Ok(taken);
    }
    taken.checked_add(more).filter(|sum| *sum <= bound).ok_or_else(|| {
        let text = format!("this key may store {bound} {of}, and {taken} are taken; this needs {more} more");
        FileError::new(Code::NoSpace, Retry::Later, text)
    })
}

/// Hashes of the folders on a path, its own among them if it is one.
fn folders_of(meta: &Meta) -> Vec<[u8; 16]> {
    let components = meta.path.components();
    let depth = components.len() - usize::from(meta.kind != Kind::Folder && !components.is_empty());
    let below = |above: &mut [u8; 16], component: &Vec<u8>| {
        *above = folder_hash(*above, component);
        Some(*above)
    };
    components[..depth].iter().scan([0; 16], below).collect()
}

/// The hash of a folder beneath that of another; the root's is zeros.
fn folder_hash(above: [u8; 16], component: &[u8]) -> [u8; 16] {
    let mut hash = [0; 16];
    blake3::Hasher::new().update(&above).update(component).finalize_xof().fill(&mut hash);
    hash
}

/// One stream's part of the books.
#[derive(Debug, Default)]
struct Account {
    /// The size that its offer stated.
    size: Option<u64>,
    /// What was offered, until it is decided; only where files are counted.
    offer: Option<Box<Offer>>,
    /// The name of its part, if it is long enough to have one.
    part: Option<Vec<u8>>,
    /// Files set aside for it: one at most.
    file: u64,
    /// Its part was here, and counted, before it was offered.
    adopted: bool,
    /// It is being landed: whatever becomes of the session, its content is.
    committed: bool,
    /// Set aside for it.
    taken: u64,
    /// Of that, written; stays if the part is kept.
    written: u64,
    /// Operations that the storage below has not completed.
    under_way: usize,
    /// It wanted more than there is: what it still asks for fails, in order.
    over: Option<FileError>,
    /// Completions that wait until those below are through.
    waiting: VecDeque<LandDone>,
}

impl Account {
    /// Sets bytes aside, and with the first of them the file.
    fn charge(&mut self, ledger: &Ledger, replaces: &Replaces, bytes: u64) -> Result<(), FileError> {
        ledger.take(bytes)?;
        if let Some(offer) = self.offer.take().filter(|offer| self.adopted || !replaces(offer)) {
            let taken = ledger.take_file(&offer.meta, self.adopted);
            self.file = taken.inspect_err(|_| ledger.give_back(bytes, 0))?;
        }
        self.taken += bytes;
        Ok(())
    }
}

/// What a stream leaves behind.
enum Left {
    Nothing,
    /// What was written of it.
    Part,
    /// All of it.
    File,
}

/// Whether what is offered takes the place of something.
type Replaces = Box<dyn Fn(&Offer) -> bool + Send>;

/// A storage with a bound.
pub struct Bounded<D> {
    inner: D,
    ledger: Option<Arc<Ledger>>,
    replaces: Replaces,
    /// What the storage below hears of streams that may take nothing.
    unpaid: Unpaid,
    accounts: BTreeMap<StreamId, Account>,
    /// Streams that are being discarded, of which the written part is kept.
    kept: BTreeSet<StreamId>,
    /// Streams that were refused here after the storage below had taken them: it is told to forget them.
    refused: BTreeSet<StreamId>,
    ready: VecDeque<LandDone>,
    waker: Option<std::task::Waker>,
}

impl<D> Bounded<D> {
    /// Puts `ledger` before `inner`; without one, everything passes. `replaces` tells whether what is offered would take the place of
    /// something, so that there is no file more.
    /// `unpaid` is heard by `inner`.
    pub fn new(
        inner: D,
        ledger: Option<Arc<Ledger>>,
        unpaid: Unpaid,
        replaces: impl Fn(&Offer) -> bool + Send + 'static,
    ) -> Self {
        Self {
            inner,
            ledger,
            unpaid,
            replaces: Box::new(replaces),
            accounts: BTreeMap::new(),
            kept: BTreeSet::new(),
            refused: BTreeSet::new(),
            ready: VecDeque::new(),
            waker: None,
        }
    }

    /// The session may be asleep when it submits from outside its own poll: it is woken.
    fn answer(&mut self, done: LandDone) {
        self.ready.push_back(done);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ends a stream's account: what it left on the disk stays counted.
    fn close(&mut self, stream: StreamId, left: Left) {
        let Some(account) = self.accounts.remove(&stream) else { return };
        let (bytes, file) = match left {
            Left::Nothing => (0, 0),
            Left::Part => match (&account.part, &self.ledger) {
                // It is a file, too; less than a unit is not kept.
                (Some(part), Some(ledger)) if account.adopted || account.written >= RESUME_UNIT => {
                    ledger.taken().parts.insert(part.clone(), account.written);
                    (account.written, account.file)
                }
                _ => (0, 0),
            },
            Left::File => (account.written, account.file),
        };
        if let Some(ledger) = &self.ledger {
            ledger.give_back(account.taken.saturating_sub(bytes), account.file.saturating_sub(file));
        }
    }
}

impl<D> Drop for Bounded<D> {
    fn drop(&mut self) {
        for stream in self.accounts.keys().copied().collect::<Vec<_>>() {
            // What is being landed lands; of the others, what was written stays as a part to go on with.
            let landing = self.accounts.get(&stream).is_some_and(|account| account.committed);
            self.close(stream, if landing { Left::File } else { Left::Part });
        }
    }
}

impl<D: Storage> Bounded<D> {
    /// Sets aside what a stream needs, beyond a part of `here` bytes that is kept of it.
    fn set_aside(&mut self, ledger: &Ledger, stream: StreamId, here: Option<u64>) -> Result<(), FileError> {
        let Some(account) = self.accounts.get_mut(&stream) else { return Ok(()) };
        if let Some(error) = account.over.take() {
            return Err(error);
        }
        let (early, size) = (account.taken, account.size.unwrap_or(0));
        let mut counted = 0;
        if let Some(len) = here {
            // The part is counted already, with what was behind its last whole unit. From here on it is this stream's.
            counted = account.part.as_ref().and_then(|part| ledger.taken().parts.remove(part)).unwrap_or(0);
            (account.adopted, account.taken, account.written) = (true, early + counted, len);
            // A part that has come since the offer was set aside for is not needed twice.
            let twice = account.taken.saturating_sub(size).min(early);
            ledger.give_back(twice, 0);
            account.taken -= twice;
        }
        let needed = size.saturating_sub(account.taken);
        account.charge(ledger, &self.replaces, needed).inspect_err(|_| {
            ledger.give_back(account.taken.saturating_sub(counted), 0);
            if let Some(part) = account.part.take().filter(|_| account.adopted) {
                ledger.taken().parts.insert(part, counted);
            }
        })
    }

    /// Sets aside what an offer states, less what the books have of it, before the storage below reserves it: what a key may not
    /// store it must not keep from others either, however long it leaves the answer unread. What does not fit may still be
    /// here already, which only the storage can tell: it is told to take nothing else.
    fn set_aside_early(&mut self, ledger: &Ledger, stream: StreamId) {
        let Some(account) = self.accounts.get_mut(&stream) else { return };
        let kept = account.part.as_ref().and_then(|part| ledger.taken().parts.get(part).copied()).unwrap_or(0);
        let early = account.size.unwrap_or(0).saturating_sub(kept);
        match ledger.take(early) {
            Ok(()) => account.taken = early,
            Err(error) => {
                account.over = Some(error.clone());
                self.unpaid.tell(stream, error);
            }
        }
    }

    /// A completion from below that must be answered otherwise.
    fn judge(&mut self, ledger: &Ledger, done: LandDone) -> Option<LandDone> {
        match &done {
            LandDone::Prepared(stream, prepared) => {
                let stream = *stream;
                let here = match prepared {
                    Prepared::Refused(_) => {
                        self.close(stream, Left::Nothing);
                        return Some(done);
                    }
                    Prepared::SameMeta | Prepared::SameContent(_) => {
                        // Most likely nothing will be written; if it is, it is charged as it comes.
                        if let Some(account) = self.accounts.get_mut(&stream) {
                            (account.size, account.over) = (None, None);
                            ledger.give_back(std::mem::take(&mut account.taken), 0);
                        }
                        return Some(done);
                    }
                    Prepared::Partial { len, .. } => Some(*len),
                    Prepared::Fresh => None,
                };
                if let Err(error) = self.set_aside(ledger, stream, here) {
                    self.accounts.remove(&stream);
                    self.refused.insert(stream);
                    self.inner.submit(LandOp::Discard(stream, Keep::Partial), None);
                    return Some(LandDone::Prepared(stream, Prepared::Refused(error)));
                }
            }
            LandDone::Wrote(stream, _) | LandDone::Failed(stream, 1.., _) => {
                if let Some(account) = self.accounts.get_mut(stream) {
                    account.under_way = account.under_way.saturating_sub(1);
                    if account.under_way == 0 {
                        self.ready.append(&mut account.waiting);
                    }
                }
            }
            LandDone::Discarded(stream) if self.refused.remove(stream) => return None,
            LandDone::Discarded(stream) => {
                let kept = self.kept.remove(stream);
                // What could not be landed stays as a part as well.
                let landing = self.accounts.get(stream).is_some_and(|account| account.committed);
                self.close(*stream, if kept || landing { Left::Part } else { Left::Nothing });
            }
            LandDone::Landed(stream, _) => self.close(*stream, Left::File),
            LandDone::Finished(..) | LandDone::Step(..) | LandDone::Failed(..) => {}
        }
        Some(done)
    }
}

impl<D: Storage> Storage for Bounded<D> {
    fn submit(&mut self, op: LandOp, content: Option<Bulk>) {
        let Some(ledger) = self.ledger.clone() else { return self.inner.submit(op, content) };
        match &op {
            LandOp::Prepare(stream, offer) => {
                let long = offer.meta.size.is_some_and(|size| size > RESUME_UNIT);
                let part = long.then(|| crate::disk::part_name(&offer.meta.path));
                let kept = ledger.files.map(|_| Box::new(offer.clone()));
                self.accounts
                    .insert(*stream, Account { size: offer.meta.size, offer: kept, part, ..Account::default() });
                self.set_aside_early(&ledger, *stream);
            }
            LandOp::Write { stream, len, .. } | LandOp::Hole { stream, len, .. } => {
                let Some(account) = self.accounts.get_mut(stream) else { return self.inner.submit(op, content) };
                if account.size.is_none() && account.over.is_none() {
                    account.over = account.charge(&ledger, &self.replaces, *len).err();
                }
                if let Some(error) = account.over.clone() {
                    let failed = LandDone::Failed(*stream, *len, error);
                    if account.under_way > 0 {
                        return account.waiting.push_back(failed);
                    }
                    return self.answer(failed);
                }
                account.under_way += 1;
                account.written = account.taken.min(account.written.saturating_add(*len));
            }
            LandOp::Finish(stream, _) => {
                let Some(account) = self.accounts.get_mut(stream) else { return self.inner.submit(op, content) };
                if let Some(error) = account.over.clone() {
                    let failed = LandDone::Failed(*stream, 0, error);
                    if account.under_way > 0 {
                        return account.waiting.push_back(failed);
                    }
                    return self.answer(failed);
                }
            }
            LandOp::Discard(stream, Keep::Partial | Keep::Doubted) => drop(self.kept.insert(*stream)),
            LandOp::Commit(streams) => {
                for stream in streams {
                    if let Some(account) = self.accounts.get_mut(stream) {
                        account.committed = true;
                    }
                }
            }
            LandOp::Discard(_, Keep::Nothing) => {}
        }
        self.inner.submit(op, content);
    }

    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(LandDone, Option<Bulk>)> {
        loop {
            if let Some(done) = self.ready.pop_front() {
                return Poll::Ready((done, None));
            }
            let Poll::Ready((done, buf)) = self.inner.poll_done(cx) else {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            };
            let judged = match self.ledger.clone() {
                Some(ledger) => self.judge(&ledger, done),
                None => Some(done),
            };
            if let Some(done) = judged {
                return Poll::Ready((done, buf));
            }
        }
    }
}

/// What is beneath a folder, links not followed; parts of files that are kept count as files, the folders that hold them do not.
/// Remembers the folders if `files` are to be counted. Blocks.
pub(super) fn measure(root: &Root, files: bool) -> io::Result<Stored> {
    let mut stored = Stored::default();
    let staging = vec![STAGING.as_bytes().to_vec()];
    // Staging first: what lands meanwhile is counted twice and not left out.
    let mut open = vec![(Vec::new(), [0; 16]), (staging.clone(), [0; 16])];
    while let Some((at, above)) = open.pop() {
        // What goes away in between is not stored any more.
        let entries = match root.list(&at) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for Listed { name, is_folder, bytes } in entries {
            let here = [&at[..], std::slice::from_ref(&name)].concat();
            if here == staging {
                continue;
            }
            let is_staged = here.starts_with(&staging);
            if is_folder {
                let hash = folder_hash(above, &name);
                if files && !is_staged {
                    stored.folders.insert(hash);
                    stored.files = stored.files.saturating_add(1);
                }
                open.push((here, hash));
                continue;
            }
            stored.files = stored.files.saturating_add(1);
            stored.bytes = stored.bytes.saturating_add(bytes);
            if is_staged && at.len() == 1 {
                stored.parts.insert(name, bytes);
            }
        }
    }
    Ok(stored)
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
