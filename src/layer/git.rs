//! A git tree as a layer: what the commit recorded, at one folder of the image.

use super::error::LayerError;
use super::plan::{Coding, Input, LayerPlan, Source};
use super::tree::Tree;
use super::{Directories, layer_path, open_blobs, whole};
use crate::digest::Digest;
use crate::git::{ArchiveEntry, EntryKind, GitError, TreeArchive};
use crate::store::Store;

/// A git tree to lay out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeInput {
    /// What a reader calls it: `fairmot 8aad29fadb22`.
    pub origin: String,
    /// Absolute path of its folder in the image.
    pub path: String,
    /// Digest of the tree's archive in the store.
    pub digest: Digest,
}

/// Plans the layer of one git tree: files as they are stored, executable or not, and links.
pub fn source_tree(
    store: &Store,
    tree: &TreeInput,
    below: &Directories,
) -> Result<LayerPlan, LayerError> {
    let failed = |source| LayerError::SourceTree { name: tree.origin.clone(), source };
    let inputs = vec![Input {
        origin: tree.origin.clone(),
        file: tree.origin.clone(),
        digest: tree.digest,
        package: false,
    }];
    let mut sources = open_blobs(store, &inputs)?;
    // Reads it once: what follows rests on the archive being the one that was locked.
    whole(store, &mut sources, 0, &tree.digest)?;
    let archive = TreeArchive::open(store.open_blob(&tree.digest)?).map_err(failed)?;
    let root = layer_path(&tree.path, &tree.origin)?;
    let path = |entry: &ArchiveEntry| format!("{root}/{}", entry.path);
    let mut layer = Tree::new(below, &inputs);
    let mut links = Vec::new();
    for entry in archive.entries().iter().filter(|entry| entry.kind() == EntryKind::Symlink) {
        links.push((Some(0), path(entry), archive.target(entry).map_err(failed)?));
    }
    layer.add_links(links)?;
    layer.add_directory(&root, Some(0))?;
    for entry in archive.entries() {
        match entry.kind() {
            EntryKind::Symlink => {}
            EntryKind::Submodule(_) | EntryKind::EmptyFolder => {
                layer.add_directory(&path(entry), Some(0))?;
            }
            EntryKind::File { executable } => {
                let source = content(&archive, entry).map_err(failed)?;
                layer.add_file(&mut sources, &path(entry), Some(0), executable, source)?;
            }
        }
    }
    let entries = layer.finish()?;
    let (origin, coding) = (tree.origin.clone(), Coding::Compressed);
    let notes = left_out(&archive, &tree.origin).into_iter().collect();
    Ok(LayerPlan { origin, coding, inputs, entries, notes, here: Box::default() })
}

/// What a reader should know of a tree that is not there as a whole.
fn left_out(archive: &TreeArchive, origin: &str) -> Option<String> {
    let count = archive.left_out().len();
    let there = archive.entries().len();
    (count > 0).then(|| {
        format!("`{origin}`: {count} of {} entries of the tree are left out", count + there)
    })
}

/// The range of the archive that an entry's content is.
fn content(archive: &TreeArchive, entry: &ArchiveEntry) -> Result<Source, GitError> {
    let mut crc = crc32fast::Hasher::new();
    archive.content(entry, &mut |bytes| {
        crc.update(bytes);
        Ok(())
    })?;
    let ArchiveEntry { offset, size, .. } = *entry;
    Ok(Source::Stored { input: 0, offset, size, crc: crc.finalize() })
}
