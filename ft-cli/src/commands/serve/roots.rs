//! Folders of keys that have one of their own: opened once, and shared by their sessions.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use ft_core::path::RelPath;

use crate::disk::Root;

/// Opened folders by their path; sessions of one folder share what is opened, for the names that are in use. As many as there are folders in the list of keys, so it needs no bound of its own.
#[derive(Debug, Default)]
pub(super) struct Roots(Mutex<BTreeMap<RelPath, Arc<Root>>>);

impl Roots {
    /// The folder beneath `root`, made if it is missing.
    pub(super) fn beneath(&self, root: &Root, path: &RelPath) -> io::Result<Arc<Root>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was moved away or replaced stays with the sessions that have it: others get what has its name now.
        if let Some(known) = open.get(path).filter(|known| known.is_at(root, path)) {
            return Ok(Arc::clone(known));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_of_a_key_is_shared_until_another_has_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (root, roots) = (Root::open(dir.path()).unwrap(), Roots::default());
        let bob = RelPath::parse(b"people/bob").unwrap();
        let first = roots.beneath(&root, &bob).unwrap();
        assert!(Arc::ptr_eq(&first, &roots.beneath(&root, &bob).unwrap()));
        std::fs::rename(dir.path().join("people/bob"), dir.path().join("private")).unwrap();
        let second = roots.beneath(&root, &bob).unwrap();
        assert!(!Arc::ptr_eq(&first, &second), "what was moved away is not bob's any more");
        assert!(second.is_at(&root, &bob) && !first.is_at(&root, &bob));
        assert!(Arc::ptr_eq(&second, &roots.beneath(&root, &bob).unwrap()));
    }
}
