//! What the store's own copies of records are, by digest: where the results are gone, a copy is all that is
//! left of a run, and nothing else says whether it is as it was written.

use std::path::Path;

use crate::digest::Digest;
use crate::store::{Store, StoreError};

/// The store's bucket of copies: path below the store's folder to digest.
const BUCKET: &str = "record-copy";

/// Keeps a copy at `place`, below the store's folder.
pub(super) fn keep(store: &Store, place: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let path = store.write_file(place, bytes)?;
    remember(store, &path, bytes)
}

/// Notes what a copy at `path` is; a file elsewhere is none.
///
/// # Errors
///
/// [`StoreError`] if the store cannot be written.
pub fn remember(store: &Store, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    match path.strip_prefix(store.root()) {
        Ok(place) => {
            store.remember(BUCKET, &place.to_string_lossy(), &Digest::of(bytes).to_string())
        }
        Err(_) => Ok(()),
    }
}

/// What the copy at `path` was when it was written, if that was noted.
pub fn known(store: &Store, path: &Path) -> Option<Digest> {
    let place = path.strip_prefix(store.root()).ok()?;
    store.recall(BUCKET, &place.to_string_lossy()).ok()??.parse().ok()
}
