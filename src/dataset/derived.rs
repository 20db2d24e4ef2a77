//! The manifest of a data set that nobody wrote down, out of its pinned archives.
//!
//! Pinned archives leave no choice of what their files are, so a manifest measured from them
//! is as good as one in `datasets.toml`. It is measured once and remembered in the store: under
//! the archives' digests and the rules that say where they unpack to.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::archive::{Content, Entry, each_entry};
use super::{Archive, Dataset, DatasetError, Manifest};
use crate::digest::{Digest, Hasher};
use crate::store::Store;

/// The bucket of the store's facts.
const BUCKET: &str = "derived-manifest";

/// An archive may unpack to so many times its size, or to [`SMALL`]: pictures and labels that
/// are compressed already come nowhere near, and a bomb is stopped early.
const LARGEST_RATIO: u64 = 200;
/// So much is never worth a complaint.
const SMALL: u64 = 1 << 30;

/// The manifest that was measured here before from the same archives.
pub(super) fn recall(store: &Store, set: &Dataset) -> Result<Option<Manifest>, DatasetError> {
    let Some(key) = key(set) else { return Ok(None) };
    let digest = store.recall(BUCKET, &key)?.and_then(|text| text.parse::<Digest>().ok());
    // What `gc` removed is measured again.
    let Some(digest) = digest.filter(|digest| store.has(digest)) else { return Ok(None) };
    let text = store.read_blob(&digest)?;
    Ok(Manifest::parse(&String::from_utf8_lossy(&text)).ok())
}

/// The manifest that was measured here before, by its digest, and the lists that must not be lost: what of
/// the store a data set needs beside its pinned manifest.
///
/// # Errors
///
/// The store's.
pub fn needed(store: &Store, set: &Dataset) -> Result<(Option<Digest>, Vec<Digest>), DatasetError> {
    let derived = recall(store, set)?.map(|manifest| manifest.digest());
    let lists = set.tree.iter().flat_map(|tree| &tree.lists).map(|list| list.sha256);
    Ok((derived, lists.collect()))
}

/// Remembers the manifest that was measured from the archives of a data set.
pub(super) fn remember(
    store: &Store,
    set: &Dataset,
    manifest: &Manifest,
) -> Result<(), DatasetError> {
    let Some(key) = key(set) else { return Ok(()) };
    let digest = store.put(manifest.to_text().as_bytes())?;
    Ok(store.remember(BUCKET, &key, &digest.to_string())?)
}

/// What the files of a data set follow from; `None` if an archive is not pinned.
fn key(set: &Dataset) -> Option<String> {
    let mut text = String::new();
    for Archive { sha256, strip, unpack, encoding, nested, .. } in &set.archives {
        let (strip, unpack) = (strip.as_deref().unwrap_or("."), unpack.as_deref().unwrap_or("."));
        writeln!(text, "{} {strip:?} {unpack:?}", sha256.as_ref()?.hex())
            .expect("it takes any text");
        if encoding.is_some() || nested.is_some() {
            writeln!(text, "{encoding:?} {nested:?}").expect("it takes any text");
        }
    }
    set.is_pinned().then(|| Digest::of(text.as_bytes()).to_string())
}

/// The manifest of everything in these archives.
pub(super) fn measure(archives: &[(&Archive, PathBuf)]) -> Result<Manifest, DatasetError> {
    measure_within(archives, &limit)
}

fn measure_within(
    archives: &[(&Archive, PathBuf)],
    limit: &dyn Fn(&Path) -> u64,
) -> Result<Manifest, DatasetError> {
    let mut manifest = Manifest::default();
    for (archive, path) in archives {
        let limit = limit(path);
        let mut bytes = 0;
        each_entry(archive, path, &mut |entry| {
            bytes += measure_entry(entry, archive, limit.saturating_sub(bytes), &mut manifest)?;
            Ok(())
        })?;
    }
    let outside = |(entry, reason)| {
        let path = archives.last().map_or_else(PathBuf::new, |(_, path)| path.clone());
        DatasetError::Entry { path, entry, reason }
    };
    manifest.check().map_err(outside)?;
    Ok(manifest)
}

fn limit(path: &Path) -> u64 {
    let size = path.metadata().map_or(0, |metadata| metadata.len());
    size.saturating_mul(LARGEST_RATIO).max(SMALL)
}

fn measure_entry(
    mut entry: Entry<'_>,
    archive: &Archive,
    limit: u64,
    manifest: &mut Manifest,
) -> Result<u64, DatasetError> {
    let target = entry.target(archive)?;
    let added = match &entry.content {
        Content::File(_) => None,
        Content::Symlink(to) => Some(manifest.add_link(target.clone(), to.clone())),
        Content::HardLink(first) => {
            let first = entry.place(archive, first)?;
            Some(manifest.add_copy(target.clone(), &first))
        }
    };
    if let Some(added) = added {
        return added.map(|()| 0).map_err(|reason| entry.refuse(&reason));
    }
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 64 << 10];
    while let count @ 1.. = entry.read(&mut buffer)? {
        hasher.update(&buffer[..count]);
        if hasher.size() > limit {
            let reason = format!("the archive unpacks to more than {LARGEST_RATIO} times its size");
            return Err(entry.refuse(&reason));
        }
    }
    let size = hasher.size();
    manifest.add(target, hasher.finish(), size).map_err(|reason| entry.refuse(&reason))?;
    Ok(size)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::dataset::Datasets;

    #[test]
    fn an_archive_that_unpacks_to_far_more_than_its_size_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.zip");
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("zeros", options.compression_method(zip::CompressionMethod::Stored))
            .unwrap();
        zip.write_all(&[0; 1000]).unwrap();
        zip.finish().unwrap();
        let text = "[a]\ntitle = \"t\"\n[[a.archive]]\nfile = \"bomb.zip\"\nunpinned = \"r\"\n";
        let datasets = Datasets::parse(text, folder.path()).unwrap();
        let archives = [(&datasets.sets["a"].archives[0], path)];
        assert!(measure_within(&archives, &|_| 1000).is_ok());
        let error = measure_within(&archives, &|_| 999).unwrap_err().to_string();
        assert!(error.contains("more than 200 times its size"), "{error}");
    }
}
