//! Where lab files live: two traits and an in-memory implementation of both.

use std::collections::BTreeMap;
use std::io;

use tokio::io::AsyncRead;

use super::name::LabName;

/// Files as a careful implementation needs them: a name changes its content in one step, or not at all (`truncate-first`,
/// `ack-before-durable`).
#[allow(async_fn_in_trait, reason = "implementations for simulated disks are not Send; real ones are seen concretely")]
pub trait LabFiles {
    /// A file that is being received. Dropping it must discard it, as [`LabFiles::abort`] does.
    type Upload;
    /// A stored file, open for reading.
    type Reader: AsyncRead + Unpin;

    /// Starts a new file beside the old one of that name, which stays whole. `size` in bytes, where the dialect states it,
    /// lets storage reserve space and refuse early.
    ///
    /// # Errors
    ///
    /// Refused by policy, or failed.
    async fn begin(&mut self, name: &LabName, size: Option<u64>) -> io::Result<Self::Upload>;

    /// Appends `bytes` to the new file.
    ///
    /// # Errors
    ///
    /// Storage failed; the upload is only good for [`LabFiles::abort`] then.
    async fn append(&mut self, upload: &mut Self::Upload, bytes: &[u8]) -> io::Result<()>;

    /// Makes the new file durable under its final name, in one step, and says that name.
    ///
    /// # Errors
    ///
    /// Storage failed; the old file is still there.
    async fn commit(&mut self, upload: Self::Upload) -> io::Result<LabName>;

    /// Starts a new version of a file that this session has committed, beginning with the bytes it has. Committing it
    /// replaces that file, whatever the policy for other files is.
    ///
    /// # Errors
    ///
    /// Storage failed.
    async fn reopen(&mut self, stored: &LabName) -> io::Result<Self::Upload>;

    /// Discards the new file.
    async fn abort(&mut self, upload: Self::Upload);

    /// Opens a stored file and says its size in bytes; `None` when there is none.
    ///
    /// # Errors
    ///
    /// Storage failed.
    async fn open(&mut self, name: &LabName) -> io::Result<Option<(u64, Self::Reader)>>;
}

/// Files as the listings use them: the name as it came, emptied first, appended to in place. No rule protects anything.
#[allow(async_fn_in_trait, reason = "as LabFiles")]
pub trait RawFiles {
    /// `open(name, "wb").close()`
    ///
    /// # Errors
    ///
    /// Storage failed.
    async fn truncate(&mut self, name: &[u8]) -> io::Result<()>;

    /// `open(name, "ab").write(bytes)`
    ///
    /// # Errors
    ///
    /// Storage failed.
    async fn append_in_place(&mut self, name: &[u8], bytes: &[u8]) -> io::Result<()>;

    /// `open(name, "rb").read()`; `None` when there is none.
    ///
    /// # Errors
    ///
    /// Storage failed.
    async fn read_whole(&mut self, name: &[u8]) -> io::Result<Option<Vec<u8>>>;
}

/// Files in memory, with what a power cut would leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MemoryFiles {
    visible: BTreeMap<Vec<u8>, Vec<u8>>,
    durable: BTreeMap<Vec<u8>, Vec<u8>>,
    capacity: Option<u64>,
    commits_fail: bool,
    commits: u64,
}

/// A file that [`MemoryFiles`] is receiving: nothing of it is visible.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemoryUpload {
    name: LabName,
    bytes: Vec<u8>,
}

impl MemoryFiles {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same files in a place where no file may have more than `bytes` bytes.
    #[must_use]
    pub fn with_capacity(mut self, bytes: u64) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// The same files on a disk that cannot make anything durable: every commit fails.
    #[must_use]
    pub fn with_failing_commits(mut self) -> Self {
        self.commits_fail = true;
        self
    }

    /// Puts a durable file there.
    #[must_use]
    pub fn with(mut self, name: impl Into<Vec<u8>>, bytes: impl Into<Vec<u8>>) -> Self {
        let (name, bytes) = (name.into(), bytes.into());
        self.durable.insert(name.clone(), bytes.clone());
        self.visible.insert(name, bytes);
        self
    }

    /// What a reader sees under `name` now.
    #[must_use]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.visible.get(name.as_ref()).map(Vec::as_slice)
    }

    /// Every visible file, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.visible.iter().map(|(name, bytes)| (name.as_slice(), bytes.as_slice()))
    }

    /// How many files have been committed.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Loses everything that is not durable, as a power cut does: a file that was emptied in place stays empty, one that
    /// was made in place is gone.
    pub fn crash(&mut self) {
        self.visible = self.durable.clone();
    }

    /// Becomes equal to `other`, in the memory that is here where names are the same.
    pub fn copy_from(&mut self, other: &Self) {
        copy_map(&mut self.visible, &other.visible);
        copy_map(&mut self.durable, &other.durable);
        (self.capacity, self.commits_fail, self.commits) = (other.capacity, other.commits_fail, other.commits);
    }

    fn check_room(&self, size: usize) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if size as u64 > capacity => Err(io::ErrorKind::StorageFull.into()),
            Some(_) | None => Ok(()),
        }
    }
}

fn put(files: &mut BTreeMap<Vec<u8>, Vec<u8>>, name: &[u8], bytes: &[u8]) {
    match files.get_mut(name) {
        Some(old) => {
            old.clear();
            old.extend_from_slice(bytes);
        }
        None => drop(files.insert(name.to_vec(), bytes.to_vec())),
    }
}

fn copy_map(to: &mut BTreeMap<Vec<u8>, Vec<u8>>, from: &BTreeMap<Vec<u8>, Vec<u8>>) {
    if to.keys().eq(from.keys()) {
        to.values_mut().zip(from.values()).for_each(|(to, from)| to.clone_from(from));
    } else {
        to.clone_from(from);
    }
}

impl LabFiles for MemoryFiles {
    type Upload = MemoryUpload;
    type Reader = io::Cursor<Vec<u8>>;

    async fn begin(&mut self, name: &LabName, size: Option<u64>) -> io::Result<MemoryUpload> {
        // Only the capacity is compared: memory is taken as bytes come, never because a peer stated a size.
        if let (Some(size), Some(capacity)) = (size, self.capacity)
            && size > capacity
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(MemoryUpload { name: name.clone(), bytes: Vec::new() })
    }

    async fn append(&mut self, upload: &mut MemoryUpload, bytes: &[u8]) -> io::Result<()> {
        self.check_room(upload.bytes.len() + bytes.len())?;
        upload.bytes.extend_from_slice(bytes);
        Ok(())
    }

    async fn commit(&mut self, upload: MemoryUpload) -> io::Result<LabName> {
        if self.commits_fail {
            return Err(io::Error::other("nothing can be made durable"));
        }
        put(&mut self.durable, upload.name.as_bytes(), &upload.bytes);
        put(&mut self.visible, upload.name.as_bytes(), &upload.bytes);
        self.commits += 1;
        Ok(upload.name)
    }

    async fn reopen(&mut self, stored: &LabName) -> io::Result<MemoryUpload> {
        let bytes = self.get(stored.as_bytes()).ok_or(io::ErrorKind::NotFound)?.to_vec();
        Ok(MemoryUpload { name: stored.clone(), bytes })
    }

    async fn abort(&mut self, _upload: MemoryUpload) {}

    async fn open(&mut self, name: &LabName) -> io::Result<Option<(u64, Self::Reader)>> {
        Ok(self.get(name.as_bytes()).map(|bytes| (bytes.len() as u64, io::Cursor::new(bytes.to_vec()))))
    }
}

impl RawFiles for MemoryFiles {
    async fn truncate(&mut self, name: &[u8]) -> io::Result<()> {
        // The worst that a crash may leave: the old content is gone at once, its name stays, the new one is nowhere safe.
        if let Some(content) = self.durable.get_mut(name) {
            content.clear();
        }
        self.visible.insert(name.to_vec(), Vec::new());
        Ok(())
    }

    async fn append_in_place(&mut self, name: &[u8], bytes: &[u8]) -> io::Result<()> {
        let len = self.visible.get(name).map_or(0, Vec::len);
        self.check_room(len + bytes.len())?;
        self.visible.entry(name.to_vec()).or_default().extend_from_slice(bytes);
        Ok(())
    }

    async fn read_whole(&mut self, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.get(name).map(<[u8]>::to_vec))
    }
}
