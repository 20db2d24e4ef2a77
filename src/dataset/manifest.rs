//! The files of a data set: one `sha256 size path` a line, sorted by path.
//!
//! The text is canonical, so its digest names the data set. Folders, times and
//! modes are no part of it: they differ between machines and no benchmark reads them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::{DatasetError, at};
use crate::digest::Digest;
use crate::named_file;
use crate::recipe::names;

/// Path to digest and size of every file of a data set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    files: BTreeMap<String, (Digest, u64)>,
}

impl Manifest {
    /// Adds a file; a path that is there already is refused.
    pub(super) fn add(&mut self, path: String, digest: Digest, size: u64) -> Result<(), String> {
        if !names::relative_path(&path) {
            return Err(names::RELATIVE_PATH.to_owned());
        }
        match self.files.insert(path, (digest, size)) {
            None => Ok(()),
            Some(_) => Err("the path is there twice".to_owned()),
        }
    }

    /// Digest and size of the file at `path`.
    pub fn get(&self, path: &str) -> Option<(Digest, u64)> {
        self.files.get(path).copied()
    }

    /// Path, digest and size of every file, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, Digest, u64)> {
        self.files.iter().map(|(path, (digest, size))| (path.as_str(), *digest, *size))
    }

    /// The first path whose file differs, with both digests; `None` on the side that lacks it.
    pub(super) fn first_difference(
        &self,
        other: &Self,
    ) -> Option<(String, Option<Digest>, Option<Digest>)> {
        let mut paths: Vec<_> = self.files.keys().chain(other.files.keys()).collect();
        paths.sort();
        let path = paths.into_iter().find(|path| self.get(path) != other.get(path))?;
        let digest = |manifest: &Self| manifest.get(path).map(|(digest, _)| digest);
        Some((path.clone(), digest(self), digest(other)))
    }

    /// Number of files.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|(_, size)| size).sum()
    }

    /// The canonical text.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (path, digest, size) in self.files() {
            writeln!(text, "{} {size} {path}", digest.hex()).expect("a string takes any text");
        }
        text
    }

    /// The digest of the canonical text.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_text().as_bytes())
    }

    /// Reads a text; the error is the number of the wrong line and the reason.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut manifest = Self::default();
        for (at, line) in text.lines().enumerate() {
            let mut parts = line.splitn(3, ' ');
            let digest = parts.next().and_then(|hex| Digest::from_hex(hex).ok());
            let size = parts.next().and_then(|digits| digits.parse().ok());
            let entry = digest.zip(size).zip(parts.next());
            let Some(((digest, size), path)) = entry else {
                return Err((at + 1, "expected `sha256 size path`".to_owned()));
            };
            manifest.add(path.to_owned(), digest, size).map_err(|reason| (at + 1, reason))?;
        }
        Ok(manifest)
    }

    /// Reads the manifest `file`, which must have the digest `pinned`.
    pub(super) fn load(file: &Path, pinned: &Digest) -> Result<Self, DatasetError> {
        let text = named_file::read_text(file).map_err(at("read", file))?;
        let found = Digest::of(text.as_bytes());
        if found != *pinned {
            let path = file.to_owned();
            return Err(DatasetError::Manifest { path, pinned: *pinned, found });
        }
        Self::parse(&text).map_err(|(line, reason)| DatasetError::ManifestLine {
            path: file.to_owned(),
            line,
            reason,
        })
    }
}

/// What lies below a folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Regular files: path below the folder to path on this machine.
    pub files: BTreeMap<String, PathBuf>,
    /// Everything that is neither file nor folder, and names that are not UTF-8.
    pub odd: Vec<String>,
}

impl Listing {
    /// Walks `folder`. The folder itself may be a symbolic link; one inside would lead
    /// nowhere in a job, which sees the folder and nothing else of this machine.
    pub(super) fn of(folder: &Path) -> Result<Self, DatasetError> {
        let mut listing = Self::default();
        listing.walk(folder, "")?;
        listing.odd.sort();
        Ok(listing)
    }

    fn walk(&mut self, folder: &Path, prefix: &str) -> Result<(), DatasetError> {
        for entry in fs::read_dir(folder).map_err(at("read", folder))? {
            let entry = entry.map_err(at("read", folder))?;
            let name = entry.file_name();
            let kind = entry.file_type().map_err(at("read", &entry.path()))?;
            match name.to_str() {
                Some(name) if kind.is_dir() => {
                    self.walk(&entry.path(), &format!("{prefix}{name}/"))?;
                }
                Some(name) if kind.is_file() => {
                    self.files.insert(format!("{prefix}{name}"), entry.path());
                }
                _ => self.odd.push(format!("{prefix}{}", name.to_string_lossy())),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_written_sorted_by_path() {
        let mut manifest = Manifest::default();
        manifest.add("b c/ü.png".to_owned(), Digest::of(b"2"), 2).unwrap();
        manifest.add("a".to_owned(), Digest::of(b"1"), 1).unwrap();
        let text = manifest.to_text();
        assert!(text.lines().next().unwrap().ends_with(" 1 a"));
        assert_eq!(Manifest::parse(&text).unwrap(), manifest);
        assert_eq!(manifest.digest(), Digest::of(text.as_bytes()));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let hex = Digest::of(b"").hex();
        for line in ["x 1 a", &format!("{hex} -1 a"), &format!("{hex} 1"), &format!("{hex} 1 ../a")]
        {
            let text = format!("{hex} 0 a\n{line}\n");
            assert_eq!(Manifest::parse(&text).unwrap_err().0, 2, "{line}");
        }
        let twice = format!("{hex} 0 a\n{hex} 0 a\n");
        assert_eq!(Manifest::parse(&twice).unwrap_err().1, "the path is there twice");
    }
}
