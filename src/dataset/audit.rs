//! Compares the data sets unpacked in the store with the manifests that they are named by.
//!
//! A folder's name is the digest of its manifest, so the folder alone says whether it
//! is what it was. Which file is another one is told where the manifest is kept, too.

use std::path::Path;

use super::hash::hash_all;
use super::manifest::{Listing, Manifest};
use super::{DatasetError, Progress};
use crate::digest::Digest;
use crate::store::{Damage, Store};

/// Every unpacked data set that is not what it is named by, sorted by name, with its name and
/// the first thing that is wrong. Files are read again even if nothing seems to have changed.
///
/// # Errors
///
/// What cannot be read, and [`DatasetError::Stopped`] if somebody asked to stop.
pub fn audit(
    store: &Store,
    progress: &dyn Progress,
) -> Result<Vec<(Option<Digest>, Damage)>, DatasetError> {
    let mut found = Vec::new();
    for (name, folder) in store.data_sets()? {
        let damage = compare(store, name, &folder, progress)?;
        found.extend(damage.map(|damage| (name, damage)));
    }
    Ok(found)
}

fn compare(
    store: &Store,
    name: Option<Digest>,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Option<Damage>, DatasetError> {
    let damage = |path: &Path, expected, found| Damage { path: path.to_owned(), expected, found };
    if !folder.is_dir() {
        return Ok(Some(damage(folder, name, None)));
    }
    let listing = Listing::of(folder)?;
    let paths: Vec<_> = listing.files.values().cloned().collect();
    let hashed = hash_all(store, &paths, true, progress)?;
    let mut measured = Manifest::default();
    for (path, file) in &listing.files {
        let Some(Ok((digest, size))) = hashed.get(file) else {
            return Ok(Some(damage(file, name, None)));
        };
        if measured.add(path.clone(), *digest, *size).is_err() {
            return Ok(Some(damage(file, name, None)));
        }
    }
    for (path, target) in &listing.links {
        if measured.add_link(path.clone(), target.clone()).is_err() {
            return Ok(Some(damage(&folder.join(path), name, None)));
        }
    }
    if let Some(odd) = listing.odd.first() {
        return Ok(Some(damage(&folder.join(odd), name, None)));
    }
    let digest = measured.digest();
    if name == Some(digest) {
        return Ok(None);
    }
    let known = name.and_then(|name| store.read_blob(&name).ok());
    let known = known.and_then(|text| Manifest::parse(&String::from_utf8_lossy(&text)).ok());
    let differing = known.and_then(|known| known.first_difference(&measured));
    Ok(Some(match differing {
        Some((path, expected, found)) => damage(&folder.join(path), expected, found),
        None => damage(folder, name, Some(digest)),
    }))
}
