//! Include and exclude patterns: the user's choice of names, on either side.

use std::path::Path;

use ft_core::path::RelPath;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::sys;

/// Which paths are wanted.
///
/// A pattern without `/` is matched with the last component (`*.log` is found at any depth), one with `/` with the
/// whole path. What matches a folder holds for all beneath it. Exclusion wins; without an include pattern everything
/// that is not excluded is wanted.
#[derive(Clone, Debug)]
pub struct Filter {
    include: Option<Set>,
    exclude: Option<Set>,
}

#[derive(Clone, Debug)]
struct Set {
    by_name: GlobSet,
    by_path: GlobSet,
}

impl Filter {
    /// A filter of these patterns.
    ///
    /// # Errors
    /// A pattern that is no glob.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, globset::Error> {
        let set = |patterns: &[String]| (!patterns.is_empty()).then(|| Set::new(patterns)).transpose();
        Ok(Self { include: set(include)?, exclude: set(exclude)? })
    }

    /// Whether the path itself is wanted.
    pub fn wants(&self, path: &RelPath) -> bool {
        self.enters(path) && self.include.as_ref().is_none_or(|set| set.matches(path))
    }

    /// Whether anything beneath the path, a folder, can be wanted.
    pub fn enters(&self, path: &RelPath) -> bool {
        !self.exclude.as_ref().is_some_and(|set| set.matches(path))
    }
}

impl Set {
    fn new(patterns: &[String]) -> Result<Self, globset::Error> {
        let mut by_name = GlobSetBuilder::new();
        let mut by_path = GlobSetBuilder::new();
        for pattern in patterns {
            let trimmed = pattern.trim_matches('/');
            let glob = GlobBuilder::new(trimmed).literal_separator(true).build()?;
            if trimmed.contains('/') {
                by_path.add(glob)
            } else {
                by_name.add(glob)
            };
        }
        Ok(Self { by_name: by_name.build()?, by_path: by_path.build()? })
    }

    /// The path, or a folder that it is in, matches.
    fn matches(&self, path: &RelPath) -> bool {
        let mut so_far = Vec::with_capacity(path.byte_len());
        path.components().iter().any(|name| {
            if !so_far.is_empty() {
                so_far.push(b'/');
            }
            so_far.extend_from_slice(name);
            self.by_name.is_match::<&Path>(&sys::to_path(name))
                || self.by_path.is_match::<&Path>(&sys::to_path(&so_far))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_without_slash_matches_names_and_with_slash_whole_paths() {
        let strings = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let path = |text: &str| RelPath::parse(text.as_bytes()).unwrap();
        let filter = Filter::new(&strings(&["*.rs", "docs/*.md"]), &strings(&["target"])).unwrap();
        for (text, wanted) in [
            ("main.rs", true),
            ("src/deep/main.rs", true),
            ("docs/a.md", true),
            ("docs/deep/a.md", false),
            ("other/docs/a.md", false),
            ("target/x.rs", false),
            ("src/target/x.rs", false),
            ("README", false),
        ] {
            assert_eq!(filter.wants(&path(text)), wanted, "{text}");
        }
        assert!(filter.enters(&path("src")), "a folder that matches nothing may hold what does");
        assert!(!filter.enters(&path("target")));
        assert!(Filter::new(&strings(&["a["]), &[]).is_err());
    }

    #[test]
    fn folder_that_is_included_brings_everything_beneath() {
        let filter = Filter::new(&["src".to_owned()], &[]).unwrap();
        assert!(filter.wants(&RelPath::parse(b"src/deep/x").unwrap()));
        assert!(!filter.wants(&RelPath::parse(b"x").unwrap()));
    }
}
