//! Makes sure that a data set is there, unpacked and verified.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::archive::{Entry, each_file};
use super::verify::{load_manifest, tree_report, verify_tree};
use super::{
    Archive, Dataset, DatasetError, Datasets, Manifest, Progress, SetReport, TreeReport, Verdict,
    at, verify,
};
use crate::digest::{Digest, Hasher};
use crate::store::Store;

/// The folder that holds data set `name` and nothing else, verified against its manifest.
///
/// It is `DATA/NAME` if that is there, else a folder of the store that the archives
/// are unpacked into once. Archives are verified before they are opened.
///
/// # Errors
///
/// [`DatasetError::NotVerified`] if folder or archives are not what was pinned or not there,
/// [`DatasetError::NoManifest`] if nothing pins the data set's files.
pub fn ensure_unpacked(
    datasets: &Datasets,
    name: &str,
    data: Option<&Path>,
    store: &Store,
    progress: &dyn Progress,
) -> Result<PathBuf, DatasetError> {
    let set = datasets.get(name)?;
    let no_manifest = || DatasetError::NoManifest { name: name.to_owned() };
    let rule = set.tree.as_ref().ok_or_else(no_manifest)?;
    let manifest = load_manifest(datasets, rule)?.ok_or_else(no_manifest)?;
    if let Some(folder) = data.map(|data| set.folder(data)).filter(|folder| folder.is_dir()) {
        let reports = verify(datasets, &[name.to_owned()], data, false, store, progress)?;
        let wrong = |report: &SetReport| {
            report.tree.as_ref().is_none_or(|tree| tree.verdict != Verdict::Ok)
        };
        return match reports.into_iter().find(wrong) {
            None => Ok(folder),
            Some(report) => Err(DatasetError::NotVerified(Box::new(report))),
        };
    }
    let place = store.data_path(&manifest.digest());
    if place.is_dir() {
        return check_place(set, &place, &manifest, store, progress);
    }
    unpack(datasets, set, data, &manifest, store, progress)
}

/// A folder of the store was verified when it was made; somebody may have changed it since.
fn check_place(
    set: &Dataset,
    place: &Path,
    manifest: &Manifest,
    store: &Store,
    progress: &dyn Progress,
) -> Result<PathBuf, DatasetError> {
    judge(set, verify_tree(store, place, manifest, progress)?)?;
    Ok(place.to_owned())
}

fn judge(set: &Dataset, tree: TreeReport) -> Result<(), DatasetError> {
    if tree.verdict == Verdict::Ok {
        return Ok(());
    }
    Err(DatasetError::NotVerified(Box::new(SetReport {
        name: set.name.clone(),
        verdict: tree.verdict,
        binding: set.binding(),
        archives: Vec::new(),
        tree: Some(tree),
    })))
}

fn unpack(
    datasets: &Datasets,
    set: &Dataset,
    data: Option<&Path>,
    manifest: &Manifest,
    store: &Store,
    progress: &dyn Progress,
) -> Result<PathBuf, DatasetError> {
    let reports = verify(datasets, std::slice::from_ref(&set.name), data, false, store, progress)?;
    if let Some(report) = reports.into_iter().find(|report| report.verdict != Verdict::Ok) {
        return Err(DatasetError::NotVerified(Box::new(report)));
    }
    let folder = store.scratch("data")?;
    let mut written = BTreeMap::new();
    for archive in &set.archives {
        let path = datasets.archive_path(set, archive, data);
        each_file(&path, &mut |entry| {
            let (path, found) = write_entry(entry, archive, &folder, manifest)?;
            written.insert(path, Ok(found));
            Ok(())
        })?;
    }
    // Every file was compared while it was written; what no archive holds is found here.
    judge(set, tree_report(&folder, manifest, &written)?)?;
    // Beside the folder, so that `fsck` can tell which file of it is another one.
    store.put(manifest.to_text().as_bytes())?;
    Ok(store.adopt_data(&folder, &manifest.digest())?)
}

fn write_entry(
    mut entry: Entry<'_>,
    archive: &Archive,
    folder: &Path,
    manifest: &Manifest,
) -> Result<(PathBuf, (Digest, u64)), DatasetError> {
    let target = entry.target(archive)?;
    let (expected, size) =
        manifest.get(&target).ok_or_else(|| entry.refuse("the manifest does not name it"))?;
    let path = folder.join(&target);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(at("create", parent))?;
    }
    let mut file = File::create_new(&path).map_err(at("create", &path))?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 64 << 10];
    while let count @ 1.. = entry.read(&mut buffer)? {
        hasher.update(&buffer[..count]);
        if hasher.size() > size {
            return Err(entry.refuse(&format!("it has more than the {size} bytes of the manifest")));
        }
        file.write_all(&buffer[..count]).map_err(at("write", &path))?;
    }
    let found_size = hasher.size();
    let found = hasher.finish();
    if (found, found_size) == (expected, size) {
        return Ok((path, (found, size)));
    }
    let (pinned, found) =
        (format!("{expected} ({size} bytes)"), format!("{found} ({found_size} bytes)"));
    Err(entry.refuse(&format!("it is another file\n  pinned  {pinned}\n  found   {found}")))
}
