//! A tiny blocking driver for storages and sources: submit, wait for the completion, look at it.

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

use ft_cli::disk::{DiskSource, DiskStorage, Policy, Root};
use ft_core::carry::Bulk;
use ft_core::error::{Code, FileError};
use ft_core::frame::{Ack2, Compare, Kind, Level, Meta, Mtime, Offer, Overwrite};
use ft_core::hash::Root as Hash;
use ft_core::path::RelPath;
use ft_core::storage::{
    Buf, Item, ItemId, Keep, LandDone, LandOp, Prepared, Source, SourceDone, SourceOp, Step, Storage,
};

/// No single operation of these tests takes longer, even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const MIB: usize = 1 << 20;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    let until = Instant::now() + DEADLINE;
    loop {
        if let Poll::Ready(value) = poll(&mut cx) {
            return value;
        }
        assert!(Instant::now() < until, "no completion within {DEADLINE:?}");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// Bytes that compress badly and differ by position.
pub(crate) fn content(len: usize, seed: u8) -> Vec<u8> {
    let mut x = u32::from(seed).wrapping_mul(2_654_435_761) | 1;
    let next = |_| {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x.to_le_bytes()[0]
    };
    (0..len).map(next).collect()
}

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

pub(crate) const THEN: Mtime = Mtime { secs: 1_500_000_000, nanos: 123_456_789 };

pub(crate) fn offer_at(path: RelPath, kind: Kind, size: Option<u64>) -> Offer {
    let meta = Meta { path, kind, size, mode: Some(0o640), mtime: Some(THEN), target: Vec::new() };
    Offer { want: 0, meta, overwrite: Overwrite::Default, compare: Compare::Quick, level: Level::Durable }
}

pub(crate) fn offer(name: &str, size: usize) -> Offer {
    offer_at(path(name), Kind::File, Some(size as u64))
}

/// Everything in a folder, deep, as sorted text; a staging folder included.
pub(crate) fn tree(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in std::fs::read_dir(&at).unwrap() {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(dir).unwrap().to_string_lossy().into_owned();
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
                all.push(format!("{name}/"));
            } else {
                all.push(name);
            }
        }
    }
    all.sort();
    all
}

pub(crate) fn mtime_of(file: &Path) -> Mtime {
    let since =
        std::fs::symlink_metadata(file).unwrap().modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Mtime { secs: i64::try_from(since.as_secs()).unwrap(), nanos: since.subsec_nanos() }
}

pub(crate) fn mtime_as_time(mtime: Mtime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(u64::try_from(mtime.secs).unwrap(), mtime.nanos)
}

/// A storage with a log of its steps.
pub(crate) struct Land {
    pub(crate) storage: DiskStorage,
    pub(crate) steps: Vec<(u32, Step)>,
    next: u32,
}

impl Land {
    pub(crate) fn new(root: &Arc<Root>) -> Self {
        Self::with(root, Policy::default())
    }

    pub(crate) fn with(root: &Arc<Root>, policy: Policy) -> Self {
        Self { storage: root.storage(policy), steps: Vec::new(), next: 0 }
    }

    pub(crate) fn submit(&mut self, op: LandOp, content: Option<&[u8]>) {
        self.storage.submit(op, content.map(|bytes| Buf::copy_of(bytes).into()));
    }

    /// The next completion that is not a step.
    pub(crate) fn done(&mut self) -> LandDone {
        loop {
            match block(|cx| self.storage.poll_done(cx)).0 {
                LandDone::Step(stream, step) => self.steps.push((stream, step)),
                other => return other,
            }
        }
    }

    pub(crate) fn prepare(&mut self, offer: Offer) -> (u32, Prepared) {
        self.next += 1;
        self.submit(LandOp::Prepare(self.next, offer), None);
        match self.done() {
            LandDone::Prepared(stream, prepared) if stream == self.next => (stream, prepared),
            other => panic!("expected prepared, got {other:?}"),
        }
    }

    pub(crate) fn refused(&mut self, offer: Offer) -> FileError {
        match self.prepare(offer).1 {
            Prepared::Refused(error) => error,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    pub(crate) fn fresh(&mut self, offer: Offer) -> u32 {
        let (stream, prepared) = self.prepare(offer);
        assert_eq!(prepared, Prepared::Fresh);
        stream
    }

    pub(crate) fn write(&mut self, stream: u32, offset: u64, bytes: &[u8]) -> Result<(), FileError> {
        self.submit(LandOp::Write { stream, offset, len: bytes.len() as u64 }, Some(bytes));
        self.wrote(stream, bytes.len() as u64)
    }

    pub(crate) fn hole(&mut self, stream: u32, offset: u64, len: u64) -> Result<(), FileError> {
        self.submit(LandOp::Hole { stream, offset, len }, None);
        self.wrote(stream, len)
    }

    fn wrote(&mut self, stream: u32, len: u64) -> Result<(), FileError> {
        match self.done() {
            LandDone::Wrote(s, n) if (s, n) == (stream, len) => Ok(()),
            LandDone::Failed(s, n, error) if (s, n) == (stream, len) => Err(error),
            other => panic!("expected wrote, got {other:?}"),
        }
    }

    pub(crate) fn write_from(&mut self, stream: u32, offset: usize, whole: &[u8]) {
        for (n, piece) in whole[offset..].chunks(256 * 1024).enumerate() {
            self.write(stream, (offset + n * 256 * 1024) as u64, piece).unwrap();
        }
    }

    pub(crate) fn finish(&mut self, stream: u32, size: usize) -> Hash {
        self.submit(LandOp::Finish(stream, size as u64), None);
        match self.done() {
            LandDone::Finished(s, root) if s == stream => root,
            other => panic!("expected finished, got {other:?}"),
        }
    }

    pub(crate) fn commit(&mut self, stream: u32) -> Result<Ack2, FileError> {
        self.submit(LandOp::Commit(vec![stream]), None);
        match self.done() {
            LandDone::Landed(s, ack) if s == stream => Ok(ack),
            LandDone::Failed(s, 0, error) if s == stream => Err(error),
            other => panic!("expected landed, got {other:?}"),
        }
    }

    pub(crate) fn discard(&mut self, stream: u32, keep: Keep) {
        self.submit(LandOp::Discard(stream, keep), None);
        assert_eq!(self.done(), LandDone::Discarded(stream));
    }

    /// The whole way of one fresh file.
    pub(crate) fn land(&mut self, offer: Offer, bytes: &[u8]) -> Result<Ack2, FileError> {
        let stream = self.fresh(offer);
        self.write_from(stream, 0, bytes);
        assert_eq!(self.finish(stream, bytes.len()), Hash::of(bytes));
        self.commit(stream)
    }
}

/// Bytes, holes as offset and length, and the root.
type Content = (Vec<u8>, Vec<(u64, u64)>, Hash);

/// A source driven by hand.
pub(crate) struct Read(pub(crate) DiskSource);

impl Read {
    /// Submits what has no completion.
    pub(crate) fn open(&mut self, op: SourceOp) {
        self.0.submit(op, None);
    }

    fn ask(&mut self, op: SourceOp) -> (SourceDone, Option<Bulk>) {
        self.0.submit(op, None);
        block(|cx| self.0.poll_done(cx))
    }

    /// All entries of a want, asked for a few at a time.
    pub(crate) fn entries(&mut self, want: u32) -> (Vec<Item>, Result<(), FileError>) {
        let mut all = Vec::new();
        loop {
            match self.ask(SourceOp::Next { want, max: 3 }).0 {
                SourceDone::Entries { want: w, items, end } if w == want => {
                    assert!(items.len() <= 3);
                    all.extend(items);
                    if let Some(end) = end {
                        return (all, end);
                    }
                }
                other => panic!("expected entries, got {other:?}"),
            }
        }
    }

    pub(crate) fn names(&mut self, want: u32) -> Vec<String> {
        let (items, end) = self.entries(want);
        end.unwrap();
        items.iter().map(|item| item.meta.path.to_string()).collect()
    }

    /// Reads from `offset` to the end: the bytes, the holes as offset and length, the root.
    pub(crate) fn read(&mut self, item: ItemId, from: u64) -> Result<Content, FileError> {
        let (mut all, mut holes) = (Vec::new(), Vec::new());
        loop {
            let at = from + all.len() as u64;
            let end = match self.ask(SourceOp::Read { item, offset: at, max: 256 * 1024 }) {
                (SourceDone::Content { item: i, offset, len, end }, bytes) => {
                    assert_eq!((i, offset), (item, at));
                    assert!(len > 0 || end.is_some());
                    all.extend_from_slice(bytes.as_ref().map_or(&[][..], Bulk::bytes));
                    assert_eq!(from + all.len() as u64, at + len);
                    end
                }
                (SourceDone::Hole { item: i, offset, len, end }, None) => {
                    assert_eq!((i, offset), (item, at));
                    assert!(len <= ft_core::limits::MAX_HOLE);
                    holes.push((offset, len));
                    all.resize(all.len() + usize::try_from(len).unwrap(), 0);
                    end
                }
                (SourceDone::Failed(i, error), _) if i == item => return Err(error),
                other => panic!("expected content, got {other:?}"),
            };
            if let Some(root) = end {
                return Ok((all, holes, root));
            }
        }
    }

    pub(crate) fn one_answer(&mut self, op: SourceOp) -> SourceDone {
        self.ask(op).0
    }
}

pub(crate) fn code(result: Result<impl std::fmt::Debug, FileError>) -> Code {
    result.expect_err("an error was expected").code
}
