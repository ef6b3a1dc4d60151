//! Files of a careful lab session, on the same disk code as ft/1: a temporary file, one sync, one rename.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use ft_core::carry::Bulk;
use ft_core::dialect::{LabFiles, LabName};
use ft_core::error::{Code, FileError};
use ft_core::frame::{Compare, Kind, Level, Links, Meta, Offer, Overwrite, StreamId};
use ft_core::limits::CHUNK;
use ft_core::path::RelPath;
use ft_core::storage::{Buf, ItemId, Keep, LandDone, LandOp, Prepared, Source, SourceDone, SourceOp, Storage};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

use crate::disk::{DiskSource, DiskStorage, Policy, Root, WalkOptions};

/// Permissions of what a lab sends, which has none: what `open(name, "wb")` gives on most systems.
const LAB_MODE: u16 = 0o644;

/// [`LabFiles`] beneath a [`Root`].
pub(super) struct DiskFiles {
    root: Arc<Root>,
    policy: Policy,
    storage: DiskStorage,
    last: StreamId,
    may_put: bool,
    may_get: bool,
    /// Uploads that were dropped without a word.
    dropped: Arc<Mutex<Vec<StreamId>>>,
}

/// A file that is being received.
pub(super) struct Upload {
    stream: StreamId,
    len: u64,
    /// Taken when the upload ends in order.
    dropped: Option<Arc<Mutex<Vec<StreamId>>>>,
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped.take() {
            dropped.lock().unwrap_or_else(PoisonError::into_inner).push(self.stream);
        }
    }
}

impl DiskFiles {
    /// Files beneath `root`, as `policy` allows.
    pub(super) fn new(root: Arc<Root>, policy: Policy, may_put: bool, may_get: bool) -> Self {
        let storage = root.storage(policy.clone());
        Self { root, policy, storage, last: 0, may_put, may_get, dropped: Arc::default() }
    }

    /// Runs one operation to its end. One upload at a time goes on, so whatever completes belongs to it.
    async fn run(&mut self, op: LandOp, content: Option<Bulk>) -> io::Result<LandDone> {
        let dropped = std::mem::take(&mut *self.dropped.lock().unwrap_or_else(PoisonError::into_inner));
        for stream in dropped {
            self.storage.submit(LandOp::Discard(stream, Keep::Nothing), None);
        }
        self.storage.submit(op, content);
        loop {
            let (done, _) = poll_fn(|cx| self.storage.poll_done(cx)).await;
            match done {
                LandDone::Step(..) | LandDone::Discarded(_) => {}
                LandDone::Failed(_, _, error) => return Err(system(error)),
                LandDone::Prepared(..) | LandDone::Wrote(..) | LandDone::Finished(..) | LandDone::Landed(..) => {
                    return Ok(done);
                }
            }
        }
    }
}

fn path(name: &LabName) -> io::Result<RelPath> {
    RelPath::new(vec![name.as_bytes().to_vec()]).map_err(|e| io::Error::new(ErrorKind::InvalidInput, e))
}

/// An error of the disk module in the words of the system.
fn system(error: FileError) -> io::Error {
    let kind = match error.code {
        Code::Exists => ErrorKind::AlreadyExists,
        Code::NoSpace => ErrorKind::StorageFull,
        Code::NotFound => ErrorKind::NotFound,
        Code::Permission | Code::Forbidden => ErrorKind::PermissionDenied,
        Code::NameBusy => ErrorKind::ResourceBusy,
        Code::BadName => ErrorKind::InvalidInput,
        Code::UnsupportedVersion
        | Code::Malformed
        | Code::Violation
        | Code::LimitExceeded
        | Code::Busy
        | Code::ShuttingDown
        | Code::TimedOut
        | Code::Internal
        | Code::WrongKind
        | Code::TooLarge
        | Code::Io
        | Code::Changed
        | Code::Integrity
        | Code::Cancelled
        | Code::NotWanted
        | Code::UnsafePath
        | Code::UnsupportedKind
        | Code::Other(_) => ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

impl LabFiles for DiskFiles {
    type Upload = Upload;
    type Reader = Reader;

    async fn begin(&mut self, name: &LabName, size: Option<u64>) -> io::Result<Upload> {
        if !self.may_put {
            return Err(io::Error::new(ErrorKind::PermissionDenied, "this server is read-only"));
        }
        self.last += 1;
        let stream = self.last;
        let mode = Some(LAB_MODE);
        let meta = Meta { path: path(name)?, kind: Kind::File, size, mode, mtime: None, target: Vec::new() };
        let offer =
            Offer { want: 0, meta, overwrite: Overwrite::Default, compare: Compare::None, level: Level::Cached };
        let done = self.run(LandOp::Prepare(stream, offer), None).await?;
        let LandDone::Prepared(_, prepared) = done else { return Err(unexpected(&done)) };
        match prepared {
            Prepared::Refused(error) => Err(system(error)),
            // A lab cannot continue: the first write, at 0, drops what was kept.
            Prepared::Fresh | Prepared::Partial { .. } | Prepared::SameMeta | Prepared::SameContent(_) => {
                Ok(Upload { stream, len: 0, dropped: Some(Arc::clone(&self.dropped)) })
            }
        }
    }

    async fn append(&mut self, upload: &mut Upload, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let len = bytes.len() as u64;
        let op = LandOp::Write { stream: upload.stream, offset: upload.len, len };
        self.run(op, Some(Buf::copy_of(bytes).into())).await?;
        upload.len += len;
        Ok(())
    }

    async fn commit(&mut self, upload: Upload) -> io::Result<LabName> {
        self.run(LandOp::Finish(upload.stream, upload.len), None).await?;
        let landed = self.run(LandOp::Commit(vec![upload.stream]), None).await?;
        let mut upload = upload;
        upload.dropped = None;
        let LandDone::Landed(_, ack) = landed else { return Err(unexpected(&landed)) };
        let name = ack.path.name().unwrap_or_default();
        LabName::new(name).map_err(|e| io::Error::new(ErrorKind::InvalidData, e))
    }

    async fn reopen(&mut self, stored: &LabName) -> io::Result<Upload> {
        let Some((_, mut reader)) = self.read(stored).await? else { return Err(ErrorKind::NotFound.into()) };
        // The file is this session's own: replacing it is no matter of policy. The old storage has nothing left to do.
        self.storage = self.root.storage(Policy { overwrite: Overwrite::Replace, ..self.policy.clone() });
        let mut upload = self.begin(stored, None).await?;
        let mut chunk = vec![0; CHUNK];
        loop {
            match reader.read(&mut chunk).await? {
                0 => return Ok(upload),
                n => self.append(&mut upload, &chunk[..n]).await?,
            }
        }
    }

    async fn abort(&mut self, mut upload: Upload) {
        upload.dropped = None;
        self.storage.submit(LandOp::Discard(upload.stream, Keep::Nothing), None);
        loop {
            let (done, _) = poll_fn(|cx| self.storage.poll_done(cx)).await;
            if done == LandDone::Discarded(upload.stream) {
                return;
            }
        }
    }

    async fn open(&mut self, name: &LabName) -> io::Result<Option<(u64, Reader)>> {
        if self.may_get { self.read(name).await } else { Ok(None) }
    }
}

impl DiskFiles {
    async fn read(&self, name: &LabName) -> io::Result<Option<(u64, Reader)>> {
        let mut source = self.root.source(WalkOptions::default());
        source.submit(SourceOp::Open { want: 1, path: path(name)?, depth: 0, links: Links::Skip }, None);
        source.submit(SourceOp::Next { want: 1, max: 1 }, None);
        let (done, _) = poll_fn(|cx| source.poll_done(cx)).await;
        let SourceDone::Entries { items, .. } = done else { return Ok(None) };
        let Some(item) = items.into_iter().next().filter(|item| item.meta.kind == Kind::File) else { return Ok(None) };
        let size = item.meta.size.unwrap_or(0);
        Ok(Some((size, Reader { source, item: item.id, offset: 0, state: State::Idle })))
    }
}

fn unexpected(done: &LandDone) -> io::Error {
    io::Error::other(format!("the disk answered {done:?} to something else"))
}

/// A stored file, read through a [`DiskSource`]: beneath the root, and with an error if it changes meanwhile.
pub(super) struct Reader {
    source: DiskSource,
    item: ItemId,
    offset: u64,
    state: State,
}

enum State {
    /// Nothing is under way.
    Idle,
    /// A read is.
    Asked,
    /// Bytes of a buffer from this position on, then whether that was all.
    Bytes(Buf, usize, bool),
    /// Zeros that are left, then whether that was all.
    Zeros(u64, bool),
    End,
}

impl AsyncRead for Reader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Idle => {
                    this.source.submit(SourceOp::Read { item: this.item, offset: this.offset, max: CHUNK }, None);
                    this.state = State::Asked;
                }
                State::Asked => {
                    let Poll::Ready((done, buf)) = this.source.poll_done(cx) else { return Poll::Pending };
                    this.state = match done {
                        SourceDone::Content { len, end, .. } => {
                            this.offset += len;
                            State::Bytes(
                                buf.and_then(Bulk::into_bytes).unwrap_or_else(|| Buf::with_capacity(0)),
                                0,
                                end.is_some(),
                            )
                        }
                        SourceDone::Hole { len, end, .. } => {
                            this.offset += len;
                            State::Zeros(len, end.is_some())
                        }
                        SourceDone::Failed(_, error) => return Poll::Ready(Err(system(error))),
                        SourceDone::Entries { .. } | SourceDone::Checked(..) | SourceDone::Hashed(..) => State::Asked,
                    };
                }
                State::Bytes(buf, at, last) => {
                    let rest = &buf.bytes()[*at..];
                    if rest.is_empty() {
                        this.state = if *last { State::End } else { State::Idle };
                        continue;
                    }
                    let n = rest.len().min(out.remaining());
                    out.put_slice(&rest[..n]);
                    *at += n;
                    return Poll::Ready(Ok(()));
                }
                State::Zeros(0, last) => this.state = if *last { State::End } else { State::Idle },
                State::Zeros(left, _) => {
                    let n = usize::try_from(*left).map_or(out.remaining(), |left| left.min(out.remaining()));
                    out.initialize_unfilled_to(n).fill(0);
                    out.advance(n);
                    *left -= n as u64;
                    return Poll::Ready(Ok(()));
                }
                State::End => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> LabName {
        LabName::new(text).unwrap()
    }

    fn files(dir: &std::path::Path) -> DiskFiles {
        DiskFiles::new(Root::open(dir).unwrap(), Policy::default(), true, true)
    }

    #[tokio::test]
    async fn upload_is_invisible_until_it_is_committed_and_readable_after() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "old").unwrap();
        let mut files = files(dir.path());
        let mut upload = files.begin(&name("a"), None).await.unwrap();
        files.append(&mut upload, b"new ").await.unwrap();
        files.append(&mut upload, b"content").await.unwrap();
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"old");
        assert_eq!(files.commit(upload).await.unwrap(), name("a"));
        let (size, mut reader) = files.open(&name("a")).await.unwrap().unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!((size, text.as_str()), (11, "new content"));
    }

    #[tokio::test]
    async fn upload_that_is_dropped_or_aborted_leaves_the_old_file_and_the_name_free() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "old").unwrap();
        let mut files = files(dir.path());
        let mut upload = files.begin(&name("a"), Some(10)).await.unwrap();
        files.append(&mut upload, b"half").await.unwrap();
        drop(upload);
        let upload = files.begin(&name("a"), Some(10)).await.expect("the dropped upload has freed its name");
        files.abort(upload).await;
        let upload = files.begin(&name("a"), Some(0)).await.expect("so has the aborted one");
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"old");
        files.commit(upload).await.unwrap();
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"");
    }

    #[tokio::test]
    async fn file_of_this_session_is_continued_even_where_nothing_may_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let policy = Policy { overwrite: Overwrite::Never, ..Policy::default() };
        let mut files = DiskFiles::new(Root::open(dir.path()).unwrap(), policy, true, false);
        let mut upload = files.begin(&name("a"), None).await.unwrap();
        files.append(&mut upload, b"first, ").await.unwrap();
        let stored = files.commit(upload).await.unwrap();
        let mut upload = files.reopen(&stored).await.unwrap();
        files.append(&mut upload, b"late").await.unwrap();
        files.commit(upload).await.unwrap();
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"first, late");
    }

    #[tokio::test]
    async fn link_to_the_outside_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(outside.path(), dir.path().join("a")).unwrap();
        assert!(files(dir.path()).open(&name("a")).await.unwrap().is_none());
        assert!(files(dir.path()).open(&name("missing")).await.unwrap().is_none());
    }
}
