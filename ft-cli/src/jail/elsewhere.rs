//! Systems other than Linux: there is no jail, and its errors say so.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::{SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Ended, Isolation, JailError, Left, Limits, Output, Program, Signal};

/// A jail, which this system cannot have.
#[derive(Debug)]
pub struct Jail(Infallible);

/// A program in a jail, which this system cannot have.
#[derive(Debug)]
pub struct Running(Infallible);

#[allow(missing_docs, reason = "nothing here can be called on anything")]
impl Jail {
    /// # Errors
    /// Always: not available here.
    pub fn new(_limits: Limits) -> Result<Self, JailError> {
        Err(JailError::NotHere)
    }

    /// # Errors
    /// Always: not available here.
    pub fn showing(_limits: Limits, _shown: &[PathBuf]) -> Result<Self, JailError> {
        Err(JailError::NotHere)
    }

    /// # Errors
    /// Always: not available here.
    pub fn plain(_limits: Limits) -> Result<Self, JailError> {
        Err(JailError::NotHere)
    }

    pub fn isolation(&self) -> &Isolation {
        match self.0 {}
    }

    pub fn work(&self) -> &Path {
        match self.0 {}
    }

    pub fn strays(&self) -> Vec<PathBuf> {
        match self.0 {}
    }

    pub fn left(&self, _name: impl AsRef<OsStr>, _most: u64) -> Left {
        match self.0 {}
    }

    /// # Errors
    /// None, ever.
    pub fn put(&self, _name: impl AsRef<OsStr>, _content: &[u8]) -> io::Result<()> {
        match self.0 {}
    }

    pub fn tidy(&self) -> io::Result<()> {
        match self.0 {}
    }

    pub fn names(&self) -> io::Result<Vec<OsString>> {
        match self.0 {}
    }

    pub fn clear(&mut self) -> io::Result<()> {
        match self.0 {}
    }

    pub fn listener(&self, _addr: SocketAddrV4) -> io::Result<TcpListener> {
        match self.0 {}
    }

    pub fn start(&self, _program: &Program) -> Result<Running, JailError> {
        match self.0 {}
    }
}

#[allow(missing_docs, reason = "nothing here can be called on anything")]
impl Running {
    pub fn try_wait(&mut self) -> io::Result<Option<Ended>> {
        match self.0 {}
    }

    #[allow(clippy::unused_async, reason = "as on Linux")]
    pub async fn wait(&mut self, _limit: Duration) -> io::Result<Option<Ended>> {
        match self.0 {}
    }

    pub fn wait_here(&mut self, _limit: Duration) -> io::Result<Option<Ended>> {
        match self.0 {}
    }

    pub fn signal(&self, _signal: Signal) -> io::Result<()> {
        match self.0 {}
    }

    pub fn kill(&mut self) -> Ended {
        match self.0 {}
    }

    pub fn pids(&self) -> Vec<u32> {
        match self.0 {}
    }

    pub fn output(&self) -> Output {
        match self.0 {}
    }
}
