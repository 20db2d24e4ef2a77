//! Opens a repository of this disk.
//!
//! Only its objects are read, never its configuration: it may be somebody else's.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Objects, Wish, holding};
use crate::fetch::error::Refusal;

/// The repository at `path`, if it holds the commit, on a branch or not.
pub(super) fn open(path: &Path, wish: Wish<'_>) -> Result<Objects, Refusal> {
    let Some(objects) = objects(path) else {
        return Err(Refusal::git("there is no git repository"));
    };
    let mut folders = vec![objects.clone()];
    folders.extend(alternates(&objects));
    let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
    holding(&folders, wish)
}

/// The object folder of a bare repository, of one with a work tree, or of a linked work tree.
pub(super) fn objects(path: &Path) -> Option<PathBuf> {
    let beside = PathBuf::from(format!("{}.git", path.display()));
    let linked = |folder: &Path| {
        let text = fs::read_to_string(folder.join(".git")).ok()?;
        let folder = folder.join(text.strip_prefix("gitdir:")?.trim());
        let common = fs::read_to_string(folder.join("commondir")).ok();
        Some(common.map_or(folder.clone(), |common| folder.join(common.trim())))
    };
    let candidates = [Some(path.to_owned()), Some(path.join(".git")), Some(beside), linked(path)];
    let mut objects = candidates.into_iter().flatten().map(|folder| folder.join("objects"));
    objects.find(|folder| folder.is_dir())
}

/// Further object folders that a repository borrows from (gitrepository-layout(5)).
pub(super) fn alternates(objects: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(objects.join("info/alternates")).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| objects.join(line)).collect()
}
