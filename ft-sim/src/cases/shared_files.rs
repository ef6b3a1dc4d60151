//! A lab's files behind a handle: a host of its own owns what it works on, and the case looks at it afterwards.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use ft_core::dialect::{LabFiles, LabName, MemoryFiles, RawFiles};

type Upload = <MemoryFiles as LabFiles>::Upload;

/// One folder, shared between a party and its case.
#[derive(Clone, Default)]
pub(super) struct SharedFiles(Rc<RefCell<MemoryFiles>>);

impl SharedFiles {
    pub(super) fn new(files: MemoryFiles) -> Self {
        Self(Rc::new(RefCell::new(files)))
    }

    /// Becomes what the case begins with, in the memory that is here.
    pub(super) fn reset(&self, start: &MemoryFiles) {
        self.0.borrow_mut().copy_from(start);
    }

    /// Looks at the files.
    pub(super) fn see<R>(&self, look: impl FnOnce(&MemoryFiles) -> R) -> R {
        look(&self.0.borrow())
    }

    /// Puts a durable file there.
    pub(super) fn put(&self, name: &[u8], bytes: Vec<u8>) {
        let files = self.0.take().with(name, bytes);
        self.0.replace(files);
    }

    /// Loses what is not durable.
    pub(super) fn crash(&self) {
        self.0.borrow_mut().crash();
    }

    /// Takes the files out for one operation. Those of memory never wait, so that nobody finds them gone.
    async fn with<R>(&self, work: impl AsyncFnOnce(&mut MemoryFiles) -> R) -> R {
        let mut files = self.0.take();
        let result = work(&mut files).await;
        self.0.replace(files);
        result
    }
}

impl LabFiles for SharedFiles {
    type Upload = Upload;
    type Reader = io::Cursor<Vec<u8>>;

    async fn begin(&mut self, name: &LabName, size: Option<u64>) -> io::Result<Upload> {
        self.with(async |files| files.begin(name, size).await).await
    }

    async fn append(&mut self, upload: &mut Upload, bytes: &[u8]) -> io::Result<()> {
        self.with(async |files| files.append(upload, bytes).await).await
    }

    async fn commit(&mut self, upload: Upload) -> io::Result<LabName> {
        self.with(async |files| files.commit(upload).await).await
    }

    async fn reopen(&mut self, stored: &LabName) -> io::Result<Upload> {
        self.with(async |files| files.reopen(stored).await).await
    }

    async fn abort(&mut self, upload: Upload) {
        self.with(async |files| files.abort(upload).await).await;
    }

    async fn open(&mut self, name: &LabName) -> io::Result<Option<(u64, Self::Reader)>> {
        self.with(async |files| files.open(name).await).await
    }
}

impl RawFiles for SharedFiles {
    async fn truncate(&mut self, name: &[u8]) -> io::Result<()> {
        self.with(async |files| files.truncate(name).await).await
    }

    async fn append_in_place(&mut self, name: &[u8], bytes: &[u8]) -> io::Result<()> {
        self.with(async |files| files.append_in_place(name, bytes).await).await
    }

    async fn read_whole(&mut self, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.with(async |files| files.read_whole(name).await).await
    }
}
