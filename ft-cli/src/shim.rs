//! Same shape as the disk module.
#![allow(missing_docs, unused_variables, clippy::unimplemented)]
use ft_core::frame::{Level, Links, Overwrite};
use ft_core::path::RelPath;
use ft_core::storage::{Buf, LandDone, LandOp, Source, SourceDone, SourceOp, Storage};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

#[derive(Clone, Debug)]
pub struct Filter;
impl Filter {
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, globset::Error> {
        Ok(Self)
    }
    pub fn wants(&self, path: &RelPath) -> bool {
        true
    }
}
#[derive(Clone, Debug)]
pub struct RenameRule {
    pub to: Vec<u8>,
}
pub struct Note;
impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
pub type Notes = Arc<dyn Fn(Note) + Send + Sync>;
#[derive(Clone)]
pub struct Policy {
    pub overwrite: Overwrite,
    pub least: Level,
    pub filter: Option<Filter>,
    pub dry_run: bool,
    pub rename: Option<RenameRule>,
    pub notes: Option<Notes>,
}
#[derive(Clone)]
pub struct WalkOptions {
    pub links: Links,
    pub filter: Option<Filter>,
    pub notes: Option<Notes>,
}
pub fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::new()
}
pub struct Root;
impl Root {
    pub fn open(dir: &Path) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self))
    }
    pub fn storage(self: &Arc<Self>, policy: Policy) -> DiskStorage {
        DiskStorage
    }
    pub fn source(self: &Arc<Self>, options: WalkOptions) -> DiskSource {
        DiskSource
    }
}
pub struct DiskStorage;
impl Storage for DiskStorage {
    fn submit(&mut self, op: LandOp, content: Option<Buf>) {}
    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(LandDone, Option<Buf>)> {
        Poll::Pending
    }
}
pub struct DiskSource;
impl DiskSource {
    pub fn push(paths: Vec<PathBuf>, into: RelPath, walk: WalkOptions) -> Self {
        Self
    }
    pub fn stdin(reader: Box<dyn io::Read + Send>, into: RelPath) -> Self {
        Self
    }
}
impl Source for DiskSource {
    fn submit(&mut self, op: SourceOp, spare: Option<Buf>) {}
    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(SourceDone, Option<Buf>)> {
        Poll::Pending
    }
}
