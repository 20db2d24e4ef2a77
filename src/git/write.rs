//! Writes an archive.

use std::collections::BTreeSet;

use super::archive::{ArchiveEntry, MAGIC, check_paths, place};
use super::{EntryKind, GitError};
use crate::digest::Digest;
use crate::store::Store;

/// An entry that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned<R> {
    /// Path below the tree, as git has it.
    pub path: Vec<u8>,
    /// The mode that the tree records.
    pub mode: u32,
    /// Name of the blob, of the submodule's commit or of the empty tree.
    pub object: [u8; 20],
    /// Bytes of content; 0 for what has none.
    pub size: u64,
    /// Which repository has the content.
    pub repository: R,
}

/// Gives the content of a blob of a repository.
type Contents<'a, R, E> = dyn FnMut(R, &[u8; 20]) -> Result<Vec<u8>, E> + 'a;

/// Writes the archive of `planned`, in whatever order they are, into the store.
///
/// `content` gives the content of a blob, checked against its name.
///
/// # Errors
///
/// [`GitError::Path`] for a path that cannot be laid out.
pub fn write_archive<R: Copy, E: From<GitError>>(
    store: &Store,
    mut planned: Vec<Planned<R>>,
    content: &mut Contents<'_, R, E>,
) -> Result<(Digest, u64), E> {
    planned.sort_by(|one, other| one.path.cmp(&other.path));
    let mut entries = Vec::with_capacity(planned.len());
    for planned in &planned {
        entries.push(entry(planned)?);
    }
    check_paths(&entries)?;
    let mut writer = store.writer().map_err(GitError::from)?;
    let mut list = MAGIC.to_vec();
    entries.iter().for_each(|entry| write_line(&mut list, entry));
    list.push(b'\n');
    place(&mut entries, list.len() as u64)
        .ok_or(GitError::Damaged { reason: "it is too large" })?;
    writer.write(&list).map_err(GitError::from)?;
    let mut written = BTreeSet::new();
    for (entry, planned) in entries.iter().zip(&planned) {
        let has_content = matches!(entry.kind(), EntryKind::File { .. } | EntryKind::Symlink);
        if has_content && written.insert(entry.object) {
            let bytes = content(planned.repository, &entry.object)?;
            writer.write(&bytes).map_err(GitError::from)?;
        }
    }
    Ok(writer.finish().map_err(GitError::from)?)
}

fn entry<R>(planned: &Planned<R>) -> Result<ArchiveEntry, GitError> {
    let path = String::from_utf8(planned.path.clone()).map_err(|error| GitError::Path {
        path: String::from_utf8_lossy(error.as_bytes()).into_owned(),
        reason: "it is no Unicode text",
    })?;
    let Planned { mode, object, size, .. } = *planned;
    Ok(ArchiveEntry { path, mode, object, size, offset: 0 })
}

fn write_line(list: &mut Vec<u8>, entry: &ArchiveEntry) {
    let object = crate::digest::CommitId::from_bytes(entry.object);
    list.extend(format!("{:o} {object} {} {}\0\n", entry.mode, entry.size, entry.path).bytes());
}
