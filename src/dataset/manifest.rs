//! The files of a data set: one `sha256 size path` a line, sorted by path.
//!
//! A symbolic link is `link LENGTH TARGET PATH`, where LENGTH is the target's in bytes; it may lead nowhere but into the
//! data set. The text is canonical, so its digest names the data set. Folders, times and
//! modes are no part of it: they differ between machines and no benchmark reads them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::{DatasetError, at};
use crate::digest::Digest;
use crate::named_file;
use crate::recipe::names;
use crate::tarball;

/// Path to digest and size of every file of a data set, and to the target of every link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    items: BTreeMap<String, Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    File(Digest, u64),
    Link(String),
}

/// Links followed before a path counts as a loop, as in Linux (path_resolution(7)).
const LINK_LIMIT: u32 = 40;

impl Manifest {
    /// Adds a file; a path that is there already is refused.
    pub(super) fn add(&mut self, path: String, digest: Digest, size: u64) -> Result<(), String> {
        self.insert(path, Item::File(digest, size))
    }

    /// Adds a symbolic link; whether it stays inside is asked once all is there ([`Manifest::check`]).
    pub(super) fn add_link(&mut self, path: String, target: String) -> Result<(), String> {
        if target.is_empty() || target.len() >= 4096 || target.contains(char::is_control) {
            return Err("it is a link whose target is no path".to_owned());
        }
        self.insert(path, Item::Link(target))
    }

    /// Adds a further name of what is at `first`.
    pub(super) fn add_copy(&mut self, path: String, first: &str) -> Result<(), String> {
        let item = self.items.get(first).cloned();
        let missing = || format!("it is a hard link to `{first}`, which is no file before it");
        self.insert(path, item.ok_or_else(missing)?)
    }

    fn insert(&mut self, path: String, item: Item) -> Result<(), String> {
        if !names::relative_path(&path) {
            return Err(names::RELATIVE_PATH.to_owned());
        }
        tarball::check_path(path.as_bytes())?;
        match self.items.insert(path, item) {
            None => Ok(()),
            Some(_) => Err("the path is there twice".to_owned()),
        }
    }

    /// Checks that no link leads out of the data set, and that nothing lies below a file or link.
    ///
    /// # Errors
    ///
    /// The path and the reason.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        for (path, item) in &self.items {
            let mut parents = path.match_indices('/').map(|(end, _)| &path[..end]);
            if let Some(parent) = parents.find(|parent| self.items.contains_key(*parent)) {
                return Err((
                    path.clone(),
                    format!("it lies below `{parent}`, which is no folder"),
                ));
            }
            if let Item::Link(target) = item {
                let followed = self.follow(path, target);
                followed.map_err(|reason| {
                    (path.clone(), format!("it is a link to `{target}`, {reason}"))
                })?;
            }
        }
        Ok(())
    }

    /// Follows a link as the kernel does, through all others; what it leads to need not be there.
    fn follow(&self, path: &str, target: &str) -> Result<(), &'static str> {
        const OUT: &str = "which leads out of the data set";
        let mut here: Vec<&str> = path.split('/').collect();
        here.pop();
        // What is left to go, the next part last.
        let mut left: Vec<&str> = target.split('/').rev().collect();
        let (mut target, mut followed) = (target, 0);
        loop {
            if target.starts_with('/') {
                return Err(OUT);
            }
            target = "";
            match left.pop() {
                None => return Ok(()),
                Some("" | ".") => {}
                Some("..") => drop(here.pop().ok_or(OUT)?),
                Some(name) => {
                    here.push(name);
                    let Some(Item::Link(next)) = self.items.get(&here.join("/")) else { continue };
                    followed += 1;
                    if followed > LINK_LIMIT {
                        return Err("which leads round in a circle");
                    }
                    here.pop();
                    left.extend(next.split('/').rev());
                    target = next;
                }
            }
        }
    }

    /// Digest and size of the file at `path`.
    pub fn get(&self, path: &str) -> Option<(Digest, u64)> {
        match self.items.get(path)? {
            Item::File(digest, size) => Some((*digest, *size)),
            Item::Link(_) => None,
        }
    }

    /// The target of the symbolic link at `path`.
    pub fn link(&self, path: &str) -> Option<&str> {
        match self.items.get(path)? {
            Item::File(..) => None,
            Item::Link(target) => Some(target),
        }
    }

    /// Whether a file or a link is at `path`.
    pub fn has(&self, path: &str) -> bool {
        self.items.contains_key(path)
    }

    /// Path, digest and size of every file, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, Digest, u64)> {
        self.items.iter().filter_map(|(path, item)| match item {
            Item::File(digest, size) => Some((path.as_str(), *digest, *size)),
            Item::Link(_) => None,
        })
    }

    /// Path and target of every symbolic link, sorted by path.
    pub fn links(&self) -> impl Iterator<Item = (&str, &str)> {
        self.items.iter().filter_map(|(path, item)| match item {
            Item::File(..) => None,
            Item::Link(target) => Some((path.as_str(), target.as_str())),
        })
    }

    /// The first path whose file differs, with both digests; `None` on the side that lacks it.
    pub(super) fn first_difference(
        &self,
        other: &Self,
    ) -> Option<(String, Option<Digest>, Option<Digest>)> {
        let mut paths: Vec<_> = self.items.keys().chain(other.items.keys()).collect();
        paths.sort();
        let path =
            paths.into_iter().find(|path| self.items.get(*path) != other.items.get(*path))?;
        let digest = |manifest: &Self| match manifest.items.get(path)? {
            Item::File(digest, _) => Some(*digest),
            Item::Link(target) => Some(Digest::of(format!("link to {target}").as_bytes())),
        };
        Some((path.clone(), digest(self), digest(other)))
    }

    /// Number of files and links.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files().map(|(_, _, size)| size).sum()
    }

    /// The canonical text.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (path, item) in &self.items {
            let written = match item {
                Item::File(digest, size) => writeln!(text, "{} {size} {path}", digest.hex()),
                Item::Link(target) => writeln!(text, "link {} {target} {path}", target.len()),
            };
            written.expect("a string takes any text");
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
            let wrong = |reason: String| (at + 1, reason);
            if let Some(rest) = line.strip_prefix("link ") {
                let link = parse_link(rest).ok_or("expected `link length target path`".to_owned());
                let (target, path) = link.map_err(wrong)?;
                manifest.add_link(path.to_owned(), target.to_owned()).map_err(wrong)?;
                continue;
            }
            let mut parts = line.splitn(3, ' ');
            let digest = parts.next().and_then(|hex| Digest::from_hex(hex).ok());
            let size = parts.next().and_then(|digits| digits.parse().ok());
            let entry = digest.zip(size).zip(parts.next());
            let Some(((digest, size), path)) = entry else {
                return Err((at + 1, "expected `sha256 size path`".to_owned()));
            };
            manifest.add(path.to_owned(), digest, size).map_err(wrong)?;
        }
        let line_of =
            |path: &str| text.lines().position(|line| line.ends_with(path)).map_or(1, |at| at + 1);
        manifest
            .check()
            .map_err(|(path, reason)| (line_of(&path), format!("`{path}`: {reason}")))?;
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

/// Target and path of a link, after the first word of its line.
fn parse_link(rest: &str) -> Option<(&str, &str)> {
    let (length, rest) = rest.split_once(' ')?;
    let (target, path) = rest.split_at_checked(length.parse().ok()?)?;
    Some((target, path.strip_prefix(' ')?))
}

/// What lies below a folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Regular files: path below the folder to path on this machine.
    pub files: BTreeMap<String, PathBuf>,
    /// Symbolic links: path below the folder to target.
    pub links: BTreeMap<String, String>,
    /// Everything that is neither file nor link nor folder, and names and targets that are not UTF-8.
    pub odd: Vec<String>,
}

impl Listing {
    /// Walks `folder`, which may be a symbolic link itself; links inside are not followed.
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
                Some(name) if kind.is_symlink() => {
                    let target = fs::read_link(entry.path()).map_err(at("read", &entry.path()))?;
                    match target.to_str() {
                        Some(target) => {
                            self.links.insert(format!("{prefix}{name}"), target.to_owned());
                        }
                        None => self.odd.push(format!("{prefix}{name}")),
                    }
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
    fn a_link_that_stays_inside_is_a_line_of_its_own() {
        let mut manifest = Manifest::default();
        manifest.add("blobs/a b".to_owned(), Digest::of(b"1"), 1).unwrap();
        manifest.add_link("at/main/x y".to_owned(), "../../blobs/a b".to_owned()).unwrap();
        manifest.check().unwrap();
        let text = manifest.to_text();
        assert!(text.starts_with("link 15 ../../blobs/a b at/main/x y\n"), "{text}");
        assert_eq!(Manifest::parse(&text).unwrap(), manifest);
        assert_eq!(manifest.link("at/main/x y"), Some("../../blobs/a b"));
        assert_eq!((manifest.len(), manifest.files().count(), manifest.bytes()), (2, 1, 1));
    }

    #[test]
    fn a_link_that_leads_out_is_refused_however_it_does() {
        for (links, reason) in [
            (&[("a", "/etc")][..], "out of the data set"),
            (&[("a/b", "../../x")], "out of the data set"),
            // Each stays inside as a text; through the first the second leads out.
            (&[("p/q/r", "../../s"), ("x", "p/q/r/../../etc")], "out of the data set"),
            (&[("a", "b"), ("b", "a")], "in a circle"),
            (&[("a", "b"), ("a/c", "d")], "below `a`, which is no folder"),
        ] {
            let mut manifest = Manifest::default();
            for (path, target) in links {
                manifest.add_link((*path).to_owned(), (*target).to_owned()).unwrap();
            }
            let (_, found) = manifest.check().unwrap_err();
            assert!(found.contains(reason), "{links:?}: {found}");
            assert!(Manifest::parse(&manifest.to_text()).is_err(), "{links:?}");
        }
        for target in ["", "a\nb"] {
            assert!(Manifest::default().add_link("x".to_owned(), target.to_owned()).is_err());
        }
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

    #[test]
    fn a_file_with_another_one_below_it_is_refused_in_either_order() {
        for paths in [["a", "a/b"], ["a/b", "a"], ["a/b/c", "a"], ["a", "a/b/c"]] {
            let mut manifest = Manifest::default();
            for path in ["a-b", paths[0], paths[1]] {
                manifest.add(path.to_owned(), Digest::of(b"1"), 1).unwrap();
            }
            let (_, reason) = manifest.check().unwrap_err();
            assert!(reason.contains("below"), "{reason}");
        }
    }
}
