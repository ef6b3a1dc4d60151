//! A bound on what a key may store: a thin layer between a session and its storage.
//!
//! What is beneath a key's folder, kept parts of files included, is counted when its first session begins; from then on
//! sessions of the key share the books. What an offer states is set aside before a byte of it is taken, less what is here
//! of it already, and a file that states no size is stopped when there is no more. What a new file replaces stays counted
//! until the key's last session has ended: the bound may come early. Only bytes are counted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use ft_core::carry::Bulk;
use ft_core::error::{Code, FileError, Retry};
use ft_core::frame::StreamId;
use ft_core::storage::{Keep, LandDone, LandOp, Prepared, Storage};

/// What the sessions of one key share.
#[derive(Debug)]
pub struct Ledger {
    quota: u64,
    /// Bytes stored, and set aside for what is on its way.
    taken: Mutex<u64>,
}

impl Ledger {
    /// Books for a folder that holds `stored` bytes and may hold `quota`.
    pub fn new(quota: u64, stored: u64) -> Arc<Self> {
        Arc::new(Self { quota, taken: Mutex::new(stored) })
    }

    fn take(&self, bytes: u64) -> Result<(), FileError> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.checked_add(bytes).filter(|sum| *sum <= self.quota) {
            Some(sum) => {
                *taken = sum;
                Ok(())
            }
            None => {
                let text = format!(
                    "this key may store {} bytes, and {} are taken; this needs {bytes} more",
                    self.quota, *taken
                );
                Err(FileError::new(Code::NoSpace, Retry::Later, text))
            }
        }
    }

    fn give_back(&self, bytes: u64) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(bytes);
    }
}

/// One stream's part of the books.
#[derive(Debug, Default)]
struct Account {
    /// The size that its offer stated.
    size: Option<u64>,
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

/// A storage with a bound.
pub struct Bounded<D> {
    inner: D,
    ledger: Option<Arc<Ledger>>,
    accounts: BTreeMap<StreamId, Account>,
    /// Streams that are being discarded, of which the written part is kept.
    kept: BTreeSet<StreamId>,
    /// Streams that were refused here after the storage below had taken them: it is told to forget them.
    refused: BTreeSet<StreamId>,
    ready: VecDeque<LandDone>,
    waker: Option<std::task::Waker>,
}

impl<D> Bounded<D> {
    /// Puts `ledger` before `inner`; without one, everything passes.
    pub fn new(inner: D, ledger: Option<Arc<Ledger>>) -> Self {
        Self {
            inner,
            ledger,
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

    /// Ends a stream's account; `kept` bytes of what was set aside are on the disk now.
    fn close(&mut self, stream: StreamId, kept: impl FnOnce(&Account) -> u64) {
        let Some(account) = self.accounts.remove(&stream) else { return };
        if let Some(ledger) = &self.ledger {
            ledger.give_back(account.taken.saturating_sub(kept(&account)));
        }
    }
}

impl<D> Drop for Bounded<D> {
    fn drop(&mut self) {
        for stream in self.accounts.keys().copied().collect::<Vec<_>>() {
            // What was written stays as a part to go on with.
            self.close(stream, |account| account.written);
        }
    }
}

impl<D: Storage> Bounded<D> {
    /// Sets aside what a stream needs beyond the `here` bytes that are kept of it.
    fn set_aside(&mut self, ledger: &Ledger, stream: StreamId, here: u64) -> Result<(), FileError> {
        let Some(account) = self.accounts.get_mut(&stream) else { return Ok(()) };
        let needed = account.size.unwrap_or(0).saturating_sub(here);
        ledger.take(needed)?;
        account.taken = needed;
        Ok(())
    }

    /// A completion from below that must be answered otherwise.
    fn judge(&mut self, ledger: &Ledger, done: LandDone) -> Option<LandDone> {
        match &done {
            LandDone::Prepared(stream, prepared) => {
                let stream = *stream;
                let here = match prepared {
                    Prepared::Refused(_) => {
                        self.close(stream, |_| 0);
                        return Some(done);
                    }
                    Prepared::SameMeta => return Some(done),
                    Prepared::Partial { len, .. } => *len,
                    Prepared::Fresh | Prepared::SameContent(_) => 0,
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
                self.close(*stream, |account| if kept { account.written } else { 0 });
            }
            // Where nothing was written, the same file was here before.
            LandDone::Landed(stream, _) => self.close(*stream, |account| account.written),
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
                self.accounts.insert(*stream, Account { size: offer.meta.size, ..Account::default() });
            }
            LandOp::Write { stream, len, .. } | LandOp::Hole { stream, len, .. } => {
                let Some(account) = self.accounts.get_mut(stream) else { return self.inner.submit(op, content) };
                if account.size.is_none() && account.over.is_none() {
                    match ledger.take(*len) {
                        Ok(()) => account.taken += len,
                        Err(error) => account.over = Some(error),
                    }
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
            LandOp::Discard(stream, Keep::Partial) => drop(self.kept.insert(*stream)),
            LandOp::Commit(_) | LandOp::Discard(_, Keep::Nothing) => {}
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

/// Bytes that the files beneath a folder have, links not followed. Blocks.
pub(super) fn measure(folder: &Path) -> io::Result<u64> {
    let mut sum = 0u64;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        // What goes away in between has no bytes any more.
        let entries = match fs::read_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            // Of the entry itself.
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                open.push(entry.path());
            } else if meta.is_file() {
                sum = sum.saturating_add(meta.len());
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
