//! Makes what takes a data set's place in a rehearsal: its whole layout with made-up content.
//!
//! `stand-in` names a data set of the project that has the layout. Files that a list tells of
//! besides have the content of its first file with their ending. A file that is never unpacked (weights) is as many
//! zeros as it has bytes. What nothing describes is an error: a rehearsal on a guessed layout would say nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::archive::is_archive;
use super::verify::known_manifest;
use super::{Dataset, DatasetError, Datasets, Progress, Unpacked, at, ensure_unpacked, list};
use crate::digest::Digest;
use crate::store::Store;

/// Bytes of a file whose size nobody published: it is there, and that is all.
const UNKNOWN_SIZE: u64 = 1;

/// The folders that take the place of data set `name` in a rehearsal; what is made for it lasts as long as
/// the session of `store`.
///
/// # Errors
///
/// [`DatasetError::NoStandIn`] if nothing says how the data set is laid out, [`DatasetError::NoList`] if a
/// list that says so has not been brought.
pub fn stand_in(
    datasets: &Datasets,
    name: &str,
    store: &Store,
    progress: &dyn Progress,
) -> Result<Unpacked, DatasetError> {
    let set = datasets.get(name)?;
    let parts = match set.is_union() {
        true => set.of.iter().map(|(place, part)| (place.clone(), part.as_str())).collect(),
        false => vec![(String::new(), name)],
    };
    let mut folders = BTreeMap::new();
    for (place, part) in parts {
        folders.insert(place, one(datasets, datasets.get(part)?, store, progress)?);
    }
    // It is no data set, so no record may name it.
    Ok(Unpacked { folders, digest: Digest::of(b"") })
}

fn one(
    datasets: &Datasets,
    set: &Dataset,
    store: &Store,
    progress: &dyn Progress,
) -> Result<PathBuf, DatasetError> {
    let lists = set.tree.as_ref().map_or(&[][..], |tree| &tree.lists);
    let own = set.is_of_project().then_some(&set.name);
    let Some(example) = set.stand_in.as_ref().or(own) else {
        let is_packed = set.archives.iter().any(|archive| is_archive(&archive.file));
        return match set.archives.is_empty() || is_packed {
            true => Err(DatasetError::NoStandIn { name: set.name.clone() }),
            false => zeros(set, store),
        };
    };
    let unpacked = ensure_unpacked(datasets, example, None, store, progress)?;
    let folder = unpacked.folders[""].clone();
    if lists.is_empty() {
        return Ok(folder);
    }
    let made = store.scratch("stand-in")?;
    let example = datasets.get(example)?;
    let mut by_ending = BTreeMap::new();
    for (path, ..) in known_manifest(datasets, example, store)?.iter().flat_map(|it| it.files()) {
        let copy = made.join(path);
        put(&copy, |copy| fs::copy(folder.join(path), copy).map(drop))?;
        by_ending.entry(ending(path).to_owned()).or_insert(copy);
    }
    for rule in lists {
        let Some(paths) = list::load(datasets, rule, store)?.paths else {
            let (name, list) = (set.name.clone(), rule.name.clone());
            return Err(DatasetError::NoList { name, list });
        };
        for path in paths {
            let source = by_ending.get(ending(&path));
            let source =
                source.ok_or_else(|| DatasetError::NoStandIn { name: set.name.clone() })?;
            let place = made.join(&path);
            if !place.exists() {
                put(&place, |place| linked(source, place))?;
            }
        }
    }
    Ok(made)
}

/// A folder with the set's files, each of them zeros; holes, so that they take no room.
fn zeros(set: &Dataset, store: &Store) -> Result<PathBuf, DatasetError> {
    let folder = store.scratch("stand-in")?;
    for archive in &set.archives {
        let size = archive.size.unwrap_or(UNKNOWN_SIZE);
        put(&folder.join(&archive.file), |path| File::create_new(path)?.set_len(size))?;
    }
    Ok(folder)
}

/// Makes a file and the folders that it lies in.
fn put(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), DatasetError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(at("create", parent))?;
    }
    make(path).map_err(at("create", path))
}

/// The same file once more; a file system allows only so many names of one.
fn linked(source: &Path, place: &Path) -> io::Result<()> {
    fs::hard_link(source, place).or_else(|_| fs::copy(source, place).map(drop))
}

/// What stands behind the last point of a path's file name.
fn ending(path: &str) -> &str {
    path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ending)| ending)
}
