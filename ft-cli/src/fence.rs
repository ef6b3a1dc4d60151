//! A fence around a server (Landlock): what this process may open, for good, whatever it is told later. It is the second
//! wall. The first resolves every name beneath a held folder ([`crate::disk`]); this one holds where that has a fault, and
//! for folders that are moved away while they are open.
//!
//! A thread fences itself and those that it starts afterwards, so it is done before a runtime has any (landlock(7)).

use std::io;
use std::path::{Path, PathBuf};

/// What may still be opened, besides what is open.
#[derive(Debug)]
pub struct Fence {
    folder: PathBuf,
    read_only: bool,
    read: Vec<PathBuf>,
    written: Vec<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// All of it holds, for this thread and those to come.
    Wholly,
    /// The files are fenced; an older kernel lacks something else of it.
    Mostly,
    /// There is none, for this reason.
    Not(String),
}

impl Fence {
    /// A folder to serve or to receive into, in which anything may be done unless it is `read_only`.
    #[must_use]
    pub fn around(folder: impl Into<PathBuf>, read_only: bool) -> Self {
        Self { folder: folder.into(), read_only, read: Vec::new(), written: Vec::new() }
    }

    /// A folder, or a file, that may be read, with all beneath it. What is missing when the fence closes stays out of reach.
    #[must_use]
    pub fn reads(mut self, path: impl Into<PathBuf>) -> Self {
        self.read.push(path.into());
        self
    }

    /// A folder in which anything may be done.
    #[must_use]
    pub fn writes(mut self, path: impl Into<PathBuf>) -> Self {
        self.written.push(path.into());
        self
    }

    /// A folder that is this program's own, made if it is missing.
    #[must_use]
    pub fn owns(self, path: Option<&Path>) -> Self {
        let Some(path) = path else { return self };
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        // What cannot be made cannot be written to either, and whoever needs it says so.
        let _ = builder.recursive(true).create(path);
        self.writes(path)
    }

    /// What every session needs besides: what is remembered about files, and what sockets ask of the system.
    #[must_use]
    pub fn for_sessions(self) -> Self {
        let own = self.owns(crate::disk::roots_folder().as_deref());
        crate::net::SYSTEM_FILES.into_iter().fold(own, Self::reads)
    }

    /// Closes the fence: nothing else can be opened, made, renamed or removed any more, and no TCP connection be made.
    /// Best effort; what was open stays open.
    ///
    /// # Errors
    /// The folder itself cannot be opened: a fence without it would keep every session from it.
    #[cfg(target_os = "linux")]
    pub fn close(self) -> io::Result<Fenced> {
        use landlock::{
            ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, PathFdError, Ruleset,
            RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
        };
        // Not among those below: of those, what cannot be opened is left out without a word.
        let folder = PathFd::new(&self.folder).map_err(|e| match e {
            PathFdError::OpenCall { source, .. } => source,
            other => io::Error::other(other),
        })?;
        // The first kernels let nothing be renamed from one folder to another, and that is how files land.
        const NEEDED: ABI = ABI::V2;
        const WISHED: ABI = ABI::V6;
        let allowed = if self.read_only { AccessFs::from_read(WISHED) } else { AccessFs::from_all(WISHED) };
        let make = || -> Result<_, RulesetError> {
            Ruleset::default()
                .set_compatibility(CompatLevel::HardRequirement)
                .handle_access(AccessFs::from_all(NEEDED))?
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(WISHED))?
                .handle_access(AccessNet::from_all(WISHED))?
                .create()?
                .add_rule(PathBeneath::new(&folder, allowed))?
                .add_rules(path_beneath_rules(&self.read, AccessFs::from_read(WISHED)))?
                .add_rules(path_beneath_rules(&self.written, AccessFs::from_all(WISHED)))?
                .restrict_self()
        };
        Ok(match make().map(|status| status.ruleset) {
            Ok(RulesetStatus::FullyEnforced) => Fenced::Wholly,
            Ok(RulesetStatus::PartiallyEnforced) => Fenced::Mostly,
            Ok(RulesetStatus::NotEnforced) => Fenced::Not("this kernel has no Landlock".into()),
            Err(error) => Fenced::Not(format!("this kernel's Landlock does not do: {error}")),
        })
    }

    /// Other systems have no such thing.
    ///
    /// # Errors
    /// None.
    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unnecessary_wraps, reason = "where there is a fence, it can fail")]
    pub fn close(self) -> io::Result<Fenced> {
        Ok(Fenced::Not("this system has none".into()))
    }
}

impl Fenced {
    /// A word in the log.
    pub fn log(&self) {
        match self {
            Self::Wholly => tracing::info!("fenced: no session can open anything outside the folder"),
            Self::Mostly => {
                tracing::info!("fenced, as far as this kernel can: no session can open anything outside the folder")
            }
            Self::Not(reason) => tracing::warn!(reason, "not fenced: only this program keeps within its folder"),
        }
    }
}
