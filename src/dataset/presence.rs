//! Whether a data set could be used, without reading a byte of it.

use std::path::Path;

use super::{Archive, Dataset, DatasetError, Datasets, derived};
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
    if set.is_union() {
        return of_parts(datasets, set, data, store);
    }
    let measured = || Ok::<_, DatasetError>(derived::recall(store, set)?.map(|it| it.digest()));
    let manifest = set.binding().map_or_else(measured, |digest| Ok(Some(digest)))?;
    if manifest.is_none() && !set.is_pinned() {
        return Ok(Presence::NotPinned);
    }
    let unpacked = data.is_some_and(|data| set.folder(data).is_dir());
    if unpacked || manifest.is_some_and(|manifest| store.data_path(&manifest).is_dir()) {
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

/// A union could be used if all that it is made of could.
fn of_parts(
    datasets: &Datasets,
    union: &Dataset,
    data: Option<&Path>,
    store: &Store,
) -> Result<Presence, DatasetError> {
    let mut whole = Presence::There;
    for part in union.of.values() {
        match (presence(datasets, part, data, store)?, &mut whole) {
            (Presence::There, _) => {}
            (Presence::NotPinned, _) => return Ok(Presence::NotPinned),
            (Presence::Missing { archives: more }, Presence::Missing { archives }) => {
                archives.extend(more);
            }
            (missing, whole) => *whole = missing,
        }
    }
    Ok(whole)
}
