//! Whether a data set could be used, without reading a byte of it.

use std::path::Path;

use super::{Archive, DatasetError, Datasets};
use crate::store::Store;

/// What a look at the folders tells of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Its folder or its archives are there; whether they are the right ones is not known yet.
    There,
    /// Nothing pins its files.
    NotPinned,
    /// Neither its folder nor all of its archives are there.
    Missing {
        /// File names of the archives that are not there.
        archives: Vec<String>,
    },
}

/// Looks where [`super::ensure_unpacked`] would find data set `name`.
pub fn presence(
    datasets: &Datasets,
    name: &str,
    data: Option<&Path>,
    store: &Store,
) -> Result<Presence, DatasetError> {
    let set = datasets.get(name)?;
    let Some(binding) = set.binding() else { return Ok(Presence::NotPinned) };
    let unpacked = data.is_some_and(|data| set.folder(data).is_dir());
    if unpacked || store.data_path(&binding).is_dir() {
        return Ok(Presence::There);
    }
    let is_missing = |archive: &&Archive| !datasets.archive_path(set, archive, data).is_file();
    let missing = set.archives.iter().filter(is_missing).map(|archive| archive.file.clone());
    let archives: Vec<String> = missing.collect();
    match archives.is_empty() && !set.archives.is_empty() {
        true => Ok(Presence::There),
        false => Ok(Presence::Missing { archives }),
    }
}
