//! The folders that hold runs, as far as this store has heard of them.
//!
//! A run may write anywhere (`--out DIR`); its folder of results is noted in the store, so that
//! the run's logs are found again. What was noted is a hint: a folder that is gone is passed over.

use std::path::{Path, PathBuf};

use crate::store::{Store, StoreError};

/// The store's bucket of folders with runs: path to nothing.
const BUCKET: &str = "results-folder";

/// Notes that runs lie in `folder`.
pub fn note_folder(store: &Store, folder: &Path) -> Result<(), StoreError> {
    // The folder may be about to be made.
    let absolute = folder.canonicalize().or_else(|_| std::path::absolute(folder));
    let Ok(folder) = absolute else { return Ok(()) };
    let Some(text) = folder.to_str() else { return Ok(()) };
    // Writing costs a sync of the disk; most runs go where one went before.
    match store.recall(BUCKET, text)? {
        Some(_) => Ok(()),
        None => match store.remember(BUCKET, text, "") {
            // Whoever only reads somebody else's store finds the folder without a note.
            Err(error) if error.is_not_writable() => Ok(()),
            noted => noted,
        },
    }
}

/// Where to look for runs, in this order: `first` (the project's, those a user names), the folders that
/// runs of this store were written to, and the store's copies.
pub fn folders(store: &Store, first: &[PathBuf]) -> Result<Vec<PathBuf>, StoreError> {
    let noted = store.recall_all(BUCKET)?.into_iter().map(|(path, _)| PathBuf::from(path));
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in first.iter().cloned().chain(noted).chain([store.runs()]) {
        let is_same = |other: &PathBuf| match (other.canonicalize(), folder.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => *other == folder,
        };
        if folder.is_dir() && !folders.iter().any(is_same) {
            folders.push(folder);
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_cannot_be_written_takes_no_note_and_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        drop(Store::open(&root).unwrap());
        let source = std::io::ErrorKind::PermissionDenied.into();
        let refused = StoreError::Io { action: "open", path: root.clone(), source };
        let store = Store::open_to_read(&root, refused).unwrap();
        note_folder(&store, folder.path()).unwrap();
        assert_eq!(folders(&store, &[]).unwrap(), [store.runs()]);
    }

    #[test]
    fn folders_of_runs_are_each_looked_at_once_and_the_copies_last() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let (project, noted) = (folder.path().join("project"), folder.path().join("noted"));
        for place in [&project, &noted] {
            std::fs::create_dir(place).unwrap();
            note_folder(&store, place).unwrap();
        }
        note_folder(&store, &folder.path().join("gone")).unwrap();
        let found = folders(&store, std::slice::from_ref(&project)).unwrap();
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!((&found[0], &found[2]), (&project, &store.runs()));
        assert!(found[1].ends_with("noted"));
        std::fs::remove_dir(&noted).unwrap();
        assert_eq!(folders(&store, &[project]).unwrap().len(), 2);
    }
}
