//! Files as the labs' listings use them: emptied first, appended to in place. For demonstrations.
//!
//! One of the listings' faults is not imitated: a name never leads out of the folder (`path-traversal`), because whoever
//! shows the others does not expect to lose a file elsewhere. Such a name fails as a file that may not be opened.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use ft_core::dialect::{LabName, RawFiles};
use tokio::fs;
use tokio::io::AsyncWriteExt as _;

use crate::limits::NAIVE_MAX;

/// [`RawFiles`] in one folder.
pub(super) struct FolderFiles {
    pub(super) dir: PathBuf,
    pub(super) may_put: bool,
    pub(super) may_get: bool,
}

impl FolderFiles {
    async fn path(&self, name: &[u8], allowed: bool) -> io::Result<PathBuf> {
        let denied = || io::Error::from(ErrorKind::PermissionDenied);
        let name = LabName::new(name).map_err(|_| denied())?;
        let name = String::from_utf8(name.into_bytes()).map_err(|_| denied())?;
        let path = self.dir.join(name);
        let link = fs::symlink_metadata(&path).await.is_ok_and(|meta| meta.is_symlink());
        if allowed && !link { Ok(path) } else { Err(denied()) }
    }
}

impl RawFiles for FolderFiles {
    async fn truncate(&mut self, name: &[u8]) -> io::Result<()> {
        fs::write(self.path(name, self.may_put).await?, b"").await
    }

    async fn append_in_place(&mut self, name: &[u8], bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name, self.may_put).await?;
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).await?;
        file.write_all(bytes).await?;
        file.flush().await
    }

    async fn read_whole(&mut self, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let path = self.path(name, self.may_get).await?;
        match fs::metadata(&path).await {
            Ok(meta) if meta.len() > NAIVE_MAX => Err(ErrorKind::FileTooLarge.into()),
            Ok(_) => fs::read(path).await.map(Some),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn name_that_leads_out_of_the_folder_is_denied() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = FolderFiles { dir: dir.path().join("in"), may_put: true, may_get: true };
        fs::create_dir(&files.dir).await.unwrap();
        for name in ["../x", "..", "/etc/x", "a/b"] {
            assert_eq!(
                files.truncate(name.as_bytes()).await.unwrap_err().kind(),
                ErrorKind::PermissionDenied,
                "{name}"
            );
        }
        files.append_in_place(b"x", b"1").await.unwrap();
        files.append_in_place(b"x", b"2").await.unwrap();
        assert_eq!(files.read_whole(b"x").await.unwrap().unwrap(), b"12");
    }
}
