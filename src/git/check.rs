//! Computes the names of trees from an archive, and compares them with what was locked.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid};
use sha1::{Digest as _, Sha1};

use super::{ArchiveEntry, EntryKind, GitError, TreeArchive};
use crate::digest::TreeId;

/// Contents larger than this (bytes) are named without libgit2.
const LARGE: u64 = 8 << 20;

/// The name that git gives to an object with this content.
fn name_of(kind: ObjectType, content: &[u8]) -> Result<[u8; 20], GitError> {
    let damaged = GitError::Damaged { reason: "git cannot name one of its objects" };
    let oid = Oid::hash_object(kind, content).map_err(|_| damaged)?;
    Ok(oid.as_bytes().try_into().expect("a name of git has 20 bytes"))
}

/// A folder with what is directly in it: name to mode and object.
type Folder = BTreeMap<Vec<u8>, (u32, [u8; 20])>;

impl TreeArchive {
    /// Hashes every content and computes every tree; each must be the one that was locked.
    ///
    /// `submodules` has the path and the tree of each one.
    ///
    /// # Errors
    ///
    /// [`GitError::Differs`] with both trees; [`GitError::Damaged`] where a content is not
    /// what its entry says.
    pub fn check(
        &self,
        name: &str,
        tree: TreeId,
        submodules: &[(&str, TreeId)],
    ) -> Result<(), GitError> {
        self.check_contents()?;
        self.check_trees(name, tree, submodules)
    }

    /// Computes every tree from the names of contents, and believes those.
    ///
    /// # Errors
    ///
    /// As [`TreeArchive::check`].
    pub fn check_trees(
        &self,
        name: &str,
        tree: TreeId,
        submodules: &[(&str, TreeId)],
    ) -> Result<(), GitError> {
        self.check_tree(name, "", tree)?;
        for (path, tree) in submodules {
            self.check_tree(path, path, *tree)?;
        }
        let is_known =
            |entry: &ArchiveEntry| submodules.iter().any(|(path, _)| *path == entry.path);
        let is_filled = |entry: &ArchiveEntry| {
            self.recorded().any(|other| below(&entry.path, &other.path).is_some())
        };
        let mut modules = self
            .recorded()
            .filter(|entry| matches!(entry.kind(), EntryKind::Submodule(_)) && !is_known(entry));
        if modules.any(is_filled) {
            return Err(GitError::Damaged { reason: "a submodule has files and no tree" });
        }
        Ok(())
    }

    fn check_contents(&self) -> Result<(), GitError> {
        for entry in self.entries() {
            if !entry.has_content() {
                continue;
            }
            if self.name_of_content(entry)? != entry.object {
                return Err(GitError::Damaged { reason: "a content is not what its entry says" });
            }
        }
        Ok(())
    }

    /// The name of a content; a large one is not held as a whole, which libgit2 would need.
    fn name_of_content(&self, entry: &ArchiveEntry) -> Result<[u8; 20], GitError> {
        if entry.size > LARGE {
            let mut name = Sha1::new();
            name.update(format!("blob {}\0", entry.size));
            self.content(entry, &mut |bytes| {
                name.update(bytes);
                Ok(())
            })?;
            return Ok(name.finalize().into());
        }
        let mut content = Vec::new();
        self.content(entry, &mut |bytes| {
            content.extend_from_slice(bytes);
            Ok(())
        })?;
        name_of(ObjectType::Blob, &content)
    }

    fn check_tree(&self, place: &str, root: &str, expected: TreeId) -> Result<(), GitError> {
        let found = self.tree(root)?;
        if found == expected {
            return Ok(());
        }
        Err(GitError::Differs { place: place.to_owned(), expected, found })
    }

    /// The tree of what lies below `root`, as its entries name it: the whole archive, or a submodule.
    pub fn tree(&self, root: &str) -> Result<TreeId, GitError> {
        let mut folders: BTreeMap<String, Folder> =
            BTreeMap::from([(String::new(), Folder::new())]);
        let inner: Vec<String> = self.submodules_below(root);
        for entry in self.recorded() {
            let Some(path) = below(root, &entry.path) else { continue };
            if inner.iter().any(|module| below(module, path).is_some()) {
                continue;
            }
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let entry = (entry.mode, entry.object);
            folders.entry(folder.to_owned()).or_default().insert(name.as_bytes().to_vec(), entry);
            for (end, _) in folder.match_indices('/').chain([(folder.len(), "")]) {
                folders.entry(folder[..end].to_owned()).or_default();
            }
        }
        fold(folders)
    }

    /// Paths of submodules, relative to `root`.
    fn submodules_below(&self, root: &str) -> Vec<String> {
        let modules = self.recorded();
        let modules = modules.filter(|entry| matches!(entry.kind(), EntryKind::Submodule(_)));
        modules.filter_map(|entry| below(root, &entry.path)).map(str::to_owned).collect()
    }
}

/// Computes the deepest trees first and puts each into its parent.
fn fold(mut folders: BTreeMap<String, Folder>) -> Result<TreeId, GitError> {
    let mut paths: Vec<String> = folders.keys().cloned().collect();
    paths.sort_by_key(|path| std::cmp::Reverse((path.matches('/').count(), path.clone())));
    paths.retain(|path| !path.is_empty());
    for path in paths {
        let folder = folders.remove(&path).unwrap_or_default();
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let object = name_of(ObjectType::Tree, &tree_bytes(&folder))?;
        let parent = folders.entry(parent.to_owned()).or_default();
        parent.insert(name.as_bytes().to_vec(), (0o040_000, object));
    }
    let root = folders.remove("").unwrap_or_default();
    Ok(TreeId::from_bytes(name_of(ObjectType::Tree, &tree_bytes(&root))?))
}

/// A tree object as git writes it: a folder is sorted as if its name ended in a slash.
fn tree_bytes(folder: &Folder) -> Vec<u8> {
    let mut entries: Vec<_> = folder.iter().collect();
    entries.sort_by_key(|(name, (mode, _))| {
        let mut key = (*name).clone();
        if *mode == 0o040_000 {
            key.push(b'/');
        }
        key
    });
    let mut bytes = Vec::new();
    for (name, (mode, object)) in entries {
        bytes.extend(format!("{mode:o} ").into_bytes());
        bytes.extend(name);
        bytes.push(0);
        bytes.extend(object);
    }
    bytes
}

/// `path` relative to `root`, if it lies below it.
fn below<'a>(root: &str, path: &'a str) -> Option<&'a str> {
    if root.is_empty() {
        return Some(path);
    }
    path.strip_prefix(root)?.strip_prefix('/')
}
