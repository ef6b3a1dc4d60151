//! Which spelling of a name is being written, where names must be apart on every system (`--names portable`).
//!
//! A listing of a folder does not show what is on its way into it. Each stream claims the spelling of every component of its path
//! until it has landed or is gone; another spelling is refused meanwhile. Claims that nobody holds any more stay for a while: what
//! landed since a listing was read is known from them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ft_core::path::RelPath;

use super::limits::CLAIMS_MOST;
use super::root::lock;
use super::spelling::fold;

/// All claims on names beneath one root.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By the hash of a folded path.
    claims: HashMap<[u8; 16], Claimed>,
    /// How often claims were forgotten: a listing that is older does not show what they were about.
    generation: u64,
}

#[derive(Debug)]
struct Claimed {
    spelling: [u8; 16],
    users: u32,
}

/// The spelling of one path, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Arc<Claims>,
    folded: Vec<[u8; 16]>,
    /// Another spelling was claimed before and is not any more: whether it is there, only a new listing can tell.
    pub(super) contested: bool,
}

impl Claims {
    /// Claims each component of a path.
    ///
    /// # Errors
    /// The part of the path that somebody writes in another spelling.
    pub(super) fn take(self: &Arc<Self>, path: &RelPath) -> Result<Claim, RelPath> {
        let mut claim = Claim { claims: Arc::clone(self), folded: Vec::new(), contested: false };
        let (mut folds, mut spells) = (blake3::Hasher::new(), blake3::Hasher::new());
        let mut inner = lock(&self.0);
        for (n, component) in (1..).zip(path.components()) {
            let folded = step(&mut folds, &fold(component));
            let spelling = step(&mut spells, component);
            let claimed = inner.claims.entry(folded).or_insert(Claimed { spelling, users: 0 });
            if claimed.spelling != spelling {
                if claimed.users > 0 {
                    drop(inner);
                    return Err(RelPath::new(path.components()[..n].to_vec()).unwrap_or_default());
                }
                claimed.spelling = spelling;
                claim.contested = true;
            }
            claimed.users += 1;
            claim.folded.push(folded);
        }
        if inner.claims.len() > CLAIMS_MOST {
            inner.claims.retain(|_, claimed| claimed.users > 0);
            inner.generation += 1;
        }
        Ok(claim)
    }

    /// Changes when claims that nobody holds are forgotten.
    pub(super) fn generation(&self) -> u64 {
        lock(&self.0).generation
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut inner = lock(&self.claims.0);
        for folded in &self.folded {
            if let Some(claimed) = inner.claims.get_mut(folded) {
                claimed.users = claimed.users.saturating_sub(1);
            }
        }
    }
}

/// The hash of a path up to and with this component.
fn step(hasher: &mut blake3::Hasher, component: &[u8]) -> [u8; 16] {
    hasher.update(component).update(b"/");
    let mut hash = [0; 16];
    hasher.finalize_xof().fill(&mut hash);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn second_spelling_waits_until_the_first_is_gone_and_is_then_contested() {
        let claims = Arc::new(Claims::default());
        let first = claims.take(&path("Docs/a")).unwrap();
        assert!(!first.contested);
        assert_eq!(claims.take(&path("docs/b")).unwrap_err(), path("docs"));
        assert_eq!(claims.take(&path("Docs/A/x")).unwrap_err(), path("Docs/A"));
        let same = claims.take(&path("Docs/b")).unwrap();
        assert!(!same.contested);
        drop(first);
        assert_eq!(claims.take(&path("docs/c")).unwrap_err(), path("docs"), "Docs/b is still on its way");
        drop(same);
        assert!(claims.take(&path("docs/c")).unwrap().contested);
    }

    #[test]
    fn claims_that_nobody_holds_are_bounded_and_held_ones_stay() {
        let claims = Arc::new(Claims::default());
        let held = claims.take(&path("Held")).unwrap();
        let before = claims.generation();
        for n in 0..=CLAIMS_MOST {
            drop(claims.take(&path(&format!("f{n}"))).unwrap());
        }
        assert!(claims.generation() > before && lock(&claims.0).claims.len() <= CLAIMS_MOST);
        assert!(claims.take(&path("HELD")).is_err());
        drop(held);
    }
}
