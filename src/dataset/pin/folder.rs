//! Pins a folder as it lies: a cache, or what no archive of is known.

use std::path::Path;

use toml_edit::DocumentMut;

use super::{Pinned, Place, entry_text, new_archive, take_head, wrong};
use crate::dataset::hash::hash_all;
use crate::dataset::manifest::Listing;
use crate::dataset::{Dataset, DatasetError, Datasets, Manifest, Progress, at};
use crate::recipe::names::{self, PLAIN_NAME};
use crate::store::Store;

/// Measures `folder`, whose name is the data set's, listed or new.
pub(super) fn pin(
    datasets: &Datasets,
    folder: &Path,
    replace: bool,
    store: &Store,
    progress: &dyn Progress,
) -> Result<Pinned, DatasetError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let refuse = |reason: String| DatasetError::Archive { path: folder.to_owned(), reason };
    if !names::plain_name(&name) {
        return Err(refuse(format!("no data set can be named after it: {PLAIN_NAME}")));
    }
    let set = datasets.sets.get(&name).cloned();
    if set.as_ref().is_some_and(Dataset::is_union) {
        return Err(refuse(format!("`{name}` is made of others, which are pinned by themselves")));
    }
    let manifest = measure(set.as_ref(), folder, store, progress)?;
    let (found, size) = (manifest.digest(), manifest.bytes());
    let pinned = set.as_ref().and_then(Dataset::binding).filter(|pinned| *pinned != found);
    if let Some(pinned) = pinned.filter(|_| !replace) {
        return Err(DatasetError::PinnedOtherwise { file: name, pinned, found });
    }
    let place = Place { name, index: None, archive: new_archive(String::new(), None), set };
    let path = place.manifest_path();
    let mut text = datasets.text.parse::<DocumentMut>().map_err(|error| wrong(datasets, error))?;
    let head = take_head(&mut text);
    place.write(&mut text, None, Some((&path, found)));
    let entry = entry_text(&text, &place.name);
    let manifest = Some((path, manifest.to_text()));
    let datasets = format!("{head}{text}");
    Ok(Pinned { name: place.name, sha256: found, size, datasets, entry, manifest, waits_for: None })
}

/// Everything that lies in the folder but for the data set's own archives.
fn measure(
    set: Option<&Dataset>,
    folder: &Path,
    store: &Store,
    progress: &dyn Progress,
) -> Result<Manifest, DatasetError> {
    let refuse = |(entry, reason): (String, String)| {
        let path = folder.to_owned();
        DatasetError::Entry { path, entry, reason }
    };
    let mut listing = Listing::of(folder)?;
    if let Some(odd) = listing.odd.first() {
        let reason = "it is neither file nor link nor folder, or its name is not UTF-8".to_owned();
        return Err(refuse((odd.clone(), reason)));
    }
    let is_archive =
        |path: &str| set.is_some_and(|set| set.archives.iter().any(|a| a.file == path));
    listing.files.retain(|path, _| !is_archive(path));
    let paths: Vec<_> = listing.files.values().cloned().collect();
    let mut hashed = hash_all(store, &paths, true, progress)?;
    let mut manifest = Manifest::default();
    for (path, file) in listing.files {
        let found = hashed.remove(&file).unwrap_or_else(|| Err("it was not hashed".to_owned()));
        let (digest, size) =
            found.map_err(|reason| at("read", &file)(std::io::Error::other(reason)))?;
        manifest.add(path.clone(), digest, size).map_err(|reason| refuse((path, reason)))?;
    }
    for (path, target) in listing.links {
        manifest.add_link(path.clone(), target).map_err(|reason| refuse((path, reason)))?;
    }
    manifest.check().map_err(refuse)?;
    Ok(manifest)
}
