//! Which paths of a tree are taken: globs that a recipe gives.
//!
//! `*`, `?` and `[…]` stay inside one part of a path, `**` spans parts, `{a,b}` is either. A pattern
//! is held against whole paths of files, links, submodules and empty folders; a submodule
//! is taken or left out with everything in it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::GitError;

/// Which paths of a tree are taken.
#[derive(Debug, Clone)]
pub struct Selection {
    patterns: Vec<String>,
    /// How many of the patterns say what is taken; the others take away.
    included: usize,
    set: GlobSet,
}

impl Selection {
    /// What matches `include`, or everything if that is empty, without what matches `exclude`.
    ///
    /// # Errors
    ///
    /// [`GitError::Pattern`] for the first pattern that is none.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, GitError> {
        let patterns: Vec<String> = include.iter().chain(exclude).cloned().collect();
        let mut set = GlobSetBuilder::new();
        for pattern in &patterns {
            set.add(glob(pattern)?);
        }
        let refused = |_| fault(&patterns.join("`, `"), "together they are too large");
        let set = set.build().map_err(refused)?;
        Ok(Self { patterns, included: include.len(), set })
    }

    /// Whether the path is taken.
    pub fn takes(&self, path: &[u8]) -> bool {
        self.judge(path, &mut BTreeSet::new())
    }

    /// As [`Selection::takes`]; notes in `used` which patterns match the path.
    pub fn judge(&self, path: &[u8], used: &mut BTreeSet<usize>) -> bool {
        let matching = self.set.matches(OsStr::from_bytes(path));
        let is_excluded = matching.iter().any(|at| *at >= self.included);
        let is_included = self.included == 0 || matching.iter().any(|at| *at < self.included);
        used.extend(matching);
        is_included && !is_excluded
    }

    /// Passes only if each pattern is among those that matched something.
    ///
    /// # Errors
    ///
    /// [`GitError::Pattern`] for the first one that matched nothing: it is a mistake, and would
    /// hide that what it was meant for is there under another name.
    pub fn require_all(&self, used: &BTreeSet<usize>) -> Result<(), GitError> {
        let idle = (0..self.patterns.len()).find(|at| !used.contains(at));
        idle.map_or(Ok(()), |at| Err(fault(&self.patterns[at], NOTHING)))
    }
}

const NOTHING: &str = "nothing in the tree has such a path; a folder's files are `folder/**`";

/// Refuses what is no pattern of a path below a tree.
///
/// # Errors
///
/// [`GitError::Pattern`].
pub fn check_pattern(pattern: &str) -> Result<(), GitError> {
    glob(pattern).map(drop)
}

fn glob(pattern: &str) -> Result<Glob, GitError> {
    let leads_out = pattern.split('/').any(|part| matches!(part, "" | "." | ".."));
    if leads_out || pattern.contains(char::is_control) {
        let reason = "a pattern is relative and has no `.`, `..`, empty part or control character";
        return Err(fault(pattern, reason));
    }
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map_err(|_| fault(pattern, "a bracket, a brace or an escape in it does not end"))
}

fn fault(pattern: &str, reason: &'static str) -> GitError {
    GitError::Pattern { pattern: pattern.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(include: &[&str], exclude: &[&str]) -> Selection {
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        Selection::new(&owned(include), &owned(exclude)).unwrap()
    }

    #[test]
    fn a_slash_is_matched_by_two_stars_only() {
        let selection = select(&["ocr/*/PyTorch/**"], &["**/*.gif"]);
        for path in ["ocr/a/PyTorch/run.sh", "ocr/a/PyTorch/b/.c/run.sh"] {
            assert!(selection.takes(path.as_bytes()), "{path}");
        }
        for path in ["ocr/a/b/PyTorch/run.sh", "ocr/PyTorch/run.sh", "ocr/a/PyTorch/b/x.gif", "x"] {
            assert!(!selection.takes(path.as_bytes()), "{path}");
        }
        assert!(!select(&[], &["assets/*"]).takes(b"assets/x.gif"));
        assert!(select(&[], &["assets/*"]).takes(b"assets/deep/x.gif"));
    }

    #[test]
    fn a_pattern_that_could_lead_out_or_never_ends_is_refused() {
        for pattern in ["", "/etc/*", "../*", "a/../b", "./a", "a//b", "a/", "a\nb", "[a", "{a"] {
            let error = check_pattern(pattern).unwrap_err();
            assert!(matches!(error, GitError::Pattern { .. }), "{pattern:?}");
        }
    }

    #[test]
    fn a_pattern_that_matched_nothing_is_named() {
        let selection = select(&["src/**"], &["src/*.gif", "docs/**"]);
        let mut used = BTreeSet::new();
        assert!(selection.judge(b"src/a.py", &mut used));
        assert!(!selection.judge(b"src/a.gif", &mut used));
        let error = selection.require_all(&used).unwrap_err().to_string();
        assert!(error.contains("`docs/**`"), "{error}");
        selection.judge(b"docs/x", &mut used);
        selection.require_all(&used).unwrap();
    }
}
