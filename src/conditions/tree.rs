//! A made-up machine's files, for tests.

use std::fs;
use std::path::Path;

/// Files below a root of their own.
pub(super) struct Tree(tempfile::TempDir);

impl Tree {
    /// A root with these files.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(path, text)| tree.write(path, text));
        tree
    }

    /// Writes one of them anew.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The root.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}
