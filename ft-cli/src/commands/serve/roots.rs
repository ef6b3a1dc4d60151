//! Folders of keys that have one of their own: opened once, and shared by their sessions.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use ft_core::path::RelPath;

use crate::disk::Root;

/// Opened folders by their path. As many as there are folders in the list of keys, so it needs no bound of its own.
#[derive(Debug, Default)]
pub(super) struct Roots(Mutex<BTreeMap<RelPath, Arc<Root>>>);

impl Roots {
    /// The folder beneath `root`, made if it is missing.
    pub(super) fn beneath(&self, root: &Root, path: &RelPath) -> io::Result<Arc<Root>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = open.get(path) {
            return Ok(Arc::clone(root));
        }
        let opened = root.beneath(path)?;
        open.insert(path.clone(), Arc::clone(&opened));
        Ok(opened)
    }

    /// Gives them up, to be released.
    pub(super) fn take(&self) -> Vec<Arc<Root>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_values().collect()
    }
}
