//! The directories and symbolic links of the layers below.

use std::collections::BTreeMap;

use crate::digest::{Digest, Hasher};

/// What stands at the paths of the layers below that decide how a path is reached.
///
/// A layer that emitted `lib/` over a base where `lib` is a symbolic link to
/// `usr/lib` would hide the whole base: so every layer is planned against this
/// table and reaches through its links. It emits no directory that is in it, but for
/// those that its neighbours bring as well: what a directory of ours is follows from
/// its path, so two layers that have it cannot disagree, and neither depends on the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directories {
    places: BTreeMap<String, Place>,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Directory {
        /// Whether the next layer emits it, too.
        repeated: bool,
    },
    Symlink {
        target: String,
    },
}

/// Stands between a link's name and its target in a lock.
const LINK: &str = " -> ";

/// Links followed before a path counts as a loop, as in Linux (path_resolution(7)).
const LINK_LIMIT: u32 = 40;

impl Directories {
    /// A table for a layer that has nothing below it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The table of a base image as a lock has it: by parent, the names in it; `name -> target`
    /// is a link.
    pub fn of_base(table: &BTreeMap<String, Vec<String>>) -> Self {
        let mut directories = Self::new();
        for (parent, names) in table {
            let below = |name: &str| match parent.as_str() {
                "" => name.to_owned(),
                parent => format!("{parent}/{name}"),
            };
            for name in names {
                match name.split_once(LINK) {
                    Some((name, target)) => directories.insert_symlink(&below(name), target),
                    None => directories.insert_directory(&below(name)),
                }
            }
        }
        directories
    }

    /// Notes a directory; paths have no slash at either end.
    pub fn insert_directory(&mut self, path: &str) {
        self.places.insert(path.to_owned(), Place::Directory { repeated: false });
    }

    /// Notes a directory that the next layer emits all the same, unless no layer has to.
    pub fn insert_repeated_directory(&mut self, path: &str) {
        let repeated = Place::Directory { repeated: true };
        if !self.has_directory(path) {
            self.places.insert(path.to_owned(), repeated);
        }
    }

    /// Notes a symbolic link.
    pub fn insert_symlink(&mut self, path: &str, target: &str) {
        self.places.insert(path.to_owned(), Place::Symlink { target: target.to_owned() });
    }

    /// Notes that something else is at the path now.
    pub fn remove(&mut self, path: &str) {
        self.places.remove(path);
    }

    /// Whether a directory is at the path.
    pub fn has_directory(&self, path: &str) -> bool {
        matches!(self.places.get(path), Some(Place::Directory { .. }))
    }

    /// Whether a directory is at the path that no layer above emits.
    pub(super) fn has_for_all(&self, path: &str) -> bool {
        matches!(self.places.get(path), Some(Place::Directory { repeated: false }))
    }

    /// The links that `ground` does not have.
    pub(super) fn links_beside<'a>(&'a self, ground: &'a Self) -> impl Iterator<Item = &'a str> {
        let is_new = |(path, place): &(&String, &Place)| {
            matches!(place, Place::Symlink { .. }) && ground.places.get(*path) != Some(*place)
        };
        self.places.iter().filter(is_new).map(|(path, _)| path.as_str())
    }

    /// A name for what decides how layers above are made: links, and directories that none emits.
    pub(super) fn shape(&self) -> Digest {
        let mut hasher = Hasher::new();
        for (path, place) in &self.places {
            let target = match place {
                Place::Directory { repeated: true } => continue,
                Place::Directory { repeated: false } => "",
                Place::Symlink { target } => target,
            };
            // No path and no target has a byte of zero in it.
            for part in [path, target] {
                hasher.update(part.as_bytes());
                hasher.update(&[0]);
            }
        }
        hasher.finish()
    }

    /// Where a path leads when every symbolic link but the last component is followed.
    ///
    /// `None` for a loop. Links lead nowhere above the image's root.
    pub(super) fn resolve_parent(&self, path: &str) -> Option<String> {
        let Some((parent, name)) = path.rsplit_once('/') else { return Some(path.to_owned()) };
        let parent = self.resolve(parent)?;
        Some(if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") })
    }

    /// Where a path leads when every symbolic link is followed.
    pub fn resolve(&self, path: &str) -> Option<String> {
        let mut left: Vec<String> = components(path);
        let mut reached: Vec<String> = Vec::new();
        let mut followed = 0;
        while let Some(name) = left.pop() {
            if name == ".." {
                reached.pop();
                continue;
            }
            reached.push(name);
            let Some(Place::Symlink { target }) = self.places.get(&reached.join("/")) else {
                continue;
            };
            followed += 1;
            if followed > LINK_LIMIT {
                return None;
            }
            reached.pop();
            if target.starts_with('/') {
                reached.clear();
            }
            left.extend(components(target));
        }
        Some(reached.join("/"))
    }
}

/// The components that matter, last one first.
fn components(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
    parts.rev().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_reached_through_the_links_below() {
        let mut table = Directories::new();
        table.insert_symlink("lib", "usr/lib");
        table.insert_symlink("usr/lib/python", "/opt/./python");
        table.insert_symlink("opt/python", "../../../usr/local/python3");
        assert_eq!(table.resolve_parent("lib/x").unwrap(), "usr/lib/x");
        assert_eq!(table.resolve_parent("lib").unwrap(), "lib");
        assert_eq!(table.resolve("lib/python/a").unwrap(), "usr/local/python3/a");
    }

    #[test]
    fn the_table_of_a_base_knows_its_folders_and_its_links() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let table = Directories::of_base(&BTreeMap::from([
            (String::new(), names(&["lib -> usr/lib", "usr"])),
            ("usr".to_owned(), names(&["lib"])),
        ]));
        assert!(table.has_directory("usr") && table.has_directory("usr/lib"));
        assert!(!table.has_directory("lib"));
        assert_eq!(table.resolve_parent("lib/x").unwrap(), "usr/lib/x");
    }

    #[test]
    fn a_directory_that_is_there_for_all_is_repeated_by_none() {
        let mut table = Directories::new();
        table.insert_directory("usr");
        for path in ["usr", "opt"] {
            table.insert_repeated_directory(path);
        }
        assert!(table.has_directory("usr") && table.has_directory("opt"));
        assert!(table.has_for_all("usr") && !table.has_for_all("opt"));
    }

    #[test]
    fn a_loop_of_links_leads_nowhere() {
        let mut table = Directories::new();
        table.insert_symlink("a", "b");
        table.insert_symlink("b", "a");
        assert_eq!(table.resolve("a/x"), None);
    }
}
