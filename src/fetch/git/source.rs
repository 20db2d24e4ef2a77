//! One commit, brought when somebody wants to read it: no lock pins it, its own name does.

use std::sync::atomic::AtomicBool;

use super::{Fetcher, Wish};
use crate::digest::TreeId;
use crate::fetch::{FetchError, Progress};
use crate::git::{GitError, Selection, TreeArchive};
use crate::lock::LockedBlob;
use crate::recipe::GitRecipe;
use crate::settings::Settings;
use crate::store::Store;

/// A commit's tree in the store.
#[derive(Debug)]
pub struct GitTree {
    /// The tree that the commit names.
    pub tree: TreeId,
    /// What of it was asked for.
    pub archive: TreeArchive,
    /// The archive as a blob of the store.
    pub blob: LockedBlob,
}

/// Brings the tree of a commit into the store, and opens it.
///
/// Each object is checked against its name, and the archive against the tree's.
pub fn git_tree(
    settings: &Settings,
    store: &Store,
    source: &GitRecipe,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<GitTree, FetchError> {
    let GitRecipe { name, urls, commit, include, exclude, .. } = source;
    let unusable = |source: GitError| FetchError::Tree { name: name.clone(), source };
    let selection = Selection::new(include, exclude).map_err(unusable)?;
    let wish = Wish { name, urls, commit: *commit, selection: Some(&selection) };
    let found = Fetcher::new(settings, store, progress, stop)?.tree(wish);
    let found = found.map_err(|error| error.about(name))?;
    let file = store.open_blob(&found.archive.digest)?;
    let archive = TreeArchive::open(file).map_err(unusable)?;
    let submodules: Vec<_> =
        found.submodules.iter().map(|module| (module.path.as_str(), module.tree)).collect();
    archive.check(name, found.tree, &submodules).map_err(unusable)?;
    Ok(GitTree { tree: found.tree, archive, blob: found.archive })
}
