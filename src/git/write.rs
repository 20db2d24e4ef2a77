//! Writes an archive.

use std::collections::BTreeSet;

use super::GitError;
use super::archive::{ArchiveEntry, LEFT_OUT, check_paths, magic, place};
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
    /// Bytes of content, 0 for what has none; `None` for what is left out.
    pub size: Option<u64>,
    /// Which repository has the content.
    pub repository: R,
}

/// Takes a piece of content.
pub type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), GitError> + 'a;

/// Hands on the content of a blob of a repository, of so many bytes, piece by piece.
type Contents<'a, R, E> = dyn FnMut(R, &[u8; 20], u64, &mut Sink<'_>) -> Result<(), E> + 'a;

/// Writes the archive of `planned`, in whatever order they are, into the store.
///
/// `content` hands on the content of a blob, checked against its name.
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
    let entries = planned.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    check_paths(entries.iter())?;
    let mut list = magic(planned.iter().all(|planned| planned.size.is_some())).to_vec();
    for (entry, planned) in entries.iter().zip(&planned) {
        write_line(&mut list, entry, planned.size);
    }
    list.push(b'\n');
    let there = entries.into_iter().zip(&planned).filter(|(_, planned)| planned.size.is_some());
    let (mut entries, planned): (Vec<_>, Vec<_>) = there.unzip();
    place(&mut entries, list.len() as u64)
        .ok_or(GitError::Damaged { reason: "it is too large" })?;
    let mut writer = store.writer().map_err(GitError::from)?;
    writer.write(&list).map_err(GitError::from)?;
    let mut written = BTreeSet::new();
    for (entry, planned) in entries.iter().zip(planned) {
        if entry.has_content() && written.insert(entry.object) {
            let mut size = 0;
            content(planned.repository, &entry.object, entry.size, &mut |piece| {
                size += piece.len() as u64;
                Ok(writer.write(piece)?)
            })?;
            if size != entry.size {
                return Err(GitError::Damaged { reason: "a content has another size" }.into());
            }
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
    Ok(ArchiveEntry { path, mode, object, size: size.unwrap_or(0), offset: 0 })
}

fn write_line(list: &mut Vec<u8>, entry: &ArchiveEntry, size: Option<u64>) {
    let object = crate::digest::CommitId::from_bytes(entry.object);
    let size = size.map_or(LEFT_OUT.to_owned(), |size| size.to_string());
    list.extend(format!("{:o} {object} {size} {}\0\n", entry.mode, entry.path).bytes());
}
