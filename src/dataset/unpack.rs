//! Makes sure that a data set is there, unpacked and verified.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::archive::{Content, Entry, each_entry};
use super::derived;
use super::report::union_digest;
use super::verify::{known_manifest, tree_report, verify_tree};
use super::{
    Archive, Dataset, DatasetError, Datasets, Manifest, Progress, SetReport, State, TreeReport,
    Verdict, at, verify,
};
use crate::digest::{Digest, Hasher};
use crate::store::Store;

/// Where a verified data set lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// Folders of this machine by the path that each takes in the data set; the empty path is the data
    /// set as a whole.
    pub folders: BTreeMap<String, PathBuf>,
    /// What a record names.
    pub digest: Digest,
}

impl Unpacked {
    /// A data set that is only planned with.
    pub fn nowhere() -> Self {
        Self { folders: [(String::new(), PathBuf::new())].into(), digest: Digest::of(b"") }
    }

    /// The folders by the path that each takes when the data set is mounted at `target`.
    pub fn below(&self, target: &str) -> impl Iterator<Item = (String, PathBuf)> {
        self.folders.iter().map(move |(place, folder)| match place.as_str() {
            "" => (target.to_owned(), folder.clone()),
            place => (format!("{target}/{place}"), folder.clone()),
        })
    }
}

/// Where data set `name` would lie; nothing is looked at. What is not pinned has a digest of zeros
/// and, without a data folder, an empty path: a place in the store follows from what pins it.
pub fn expected(
    datasets: &Datasets,
    name: &str,
    data: Option<&Path>,
    store: &Store,
) -> Result<Unpacked, DatasetError> {
    let set = datasets.get(name)?;
    let one = |set: &Dataset| {
        let in_store = || set.binding().map_or(PathBuf::new(), |digest| store.data_path(&digest));
        let digest = set.binding().unwrap_or(Digest::from_bytes([0; 32]));
        (data.map_or_else(in_store, |data| set.folder(data)), digest)
    };
    if !set.is_union() {
        let (folder, digest) = one(set);
        return Ok(Unpacked { folders: [(String::new(), folder)].into(), digest });
    }
    let part = |(place, part): (&String, &String)| Ok((place.clone(), one(datasets.get(part)?)));
    let parts = set.of.iter().map(part).collect::<Result<BTreeMap<_, _>, DatasetError>>()?;
    let digest = union_digest(parts.iter().map(|(place, (_, digest))| (place.as_str(), *digest)));
    let folders = parts.into_iter().map(|(place, (folder, _))| (place, folder)).collect();
    Ok(Unpacked { folders, digest })
}

/// The folders that hold data set `name` and nothing else, verified against its manifest.
///
/// A data set lies in `DATA/NAME` if that is there, else in a folder of the store that the archives
/// are unpacked into once. Archives are verified before they are opened. A union has a folder
/// for each data set that it is made of.
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
) -> Result<Unpacked, DatasetError> {
    let set = datasets.get(name)?;
    if !set.is_union() {
        let (folder, digest) = ensure_one(datasets, set, data, store, progress)?;
        return Ok(Unpacked { folders: [(String::new(), folder)].into(), digest });
    }
    let mut folders = BTreeMap::new();
    let mut digests = Vec::new();
    for (place, part) in &set.of {
        let (folder, digest) = ensure_one(datasets, datasets.get(part)?, data, store, progress)?;
        folders.insert(place.clone(), folder);
        digests.push((place.as_str(), digest));
    }
    Ok(Unpacked { folders, digest: union_digest(digests) })
}

/// Unpacks the verified archives of data set `name` into `DATA/NAME`; what is there already must be it.
///
/// It is written beside its place and renamed when it is whole, so a crash leaves nothing under the
/// final name; the next attempt clears away what it left.
///
/// # Errors
///
/// As [`ensure_unpacked`]; [`DatasetError::Occupied`] if something else has the place.
pub fn unpack_in_data(
    datasets: &Datasets,
    name: &str,
    data: &Path,
    store: &Store,
    progress: &dyn Progress,
) -> Result<PathBuf, DatasetError> {
    let set = datasets.get(name)?;
    let manifest = manifest_of(datasets, set, Some(data), store, progress)?;
    let place = set.folder(data);
    if place.is_dir() {
        return match judge(set, verify_tree(store, &place, &manifest, progress)?) {
            Err(DatasetError::NotVerified(report)) => {
                Err(DatasetError::Occupied { path: place, report })
            }
            other => other.map(|()| place),
        };
    }
    let report = verify_archives(datasets, set, Some(data), store, progress)?;
    if report.verdict != Verdict::Ok {
        return Err(DatasetError::NotVerified(Box::new(report)));
    }
    let partial = data.join(format!(".{name}.partial"));
    // A link in its place would have the folder that it leads to cleared.
    if fs::symlink_metadata(&partial).is_ok_and(|found| !found.is_dir()) {
        fs::remove_file(&partial).map_err(at("remove", &partial))?;
    }
    fs::create_dir_all(&partial).map_err(at("create", &partial))?;
    // Two processes must not write into one folder; the lock ends with this one, however it ends.
    let lock = File::open(&partial).map_err(at("open", &partial))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|error| at("lock", &partial)(error.into()))?;
    clear(&partial)?;
    write_files(datasets, set, Some(data), &manifest, &partial)?;
    rustix::fs::syncfs(&lock).map_err(|error| at("sync", &partial)(error.into()))?;
    fs::rename(&partial, &place).map_err(at("create", &place))?;
    Ok(place)
}

/// Removes what an earlier attempt left in a folder.
fn clear(folder: &Path) -> Result<(), DatasetError> {
    for entry in fs::read_dir(folder).map_err(at("read", folder))? {
        let path = entry.map_err(at("read", folder))?.path();
        let removed = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(at("remove", &path))?;
    }
    Ok(())
}

/// The manifest that pins a data set's files: written down, or following from its pinned archives.
fn manifest_of(
    datasets: &Datasets,
    set: &Dataset,
    data: Option<&Path>,
    store: &Store,
    progress: &dyn Progress,
) -> Result<Manifest, DatasetError> {
    if let Some(manifest) = known_manifest(datasets, set, store)? {
        return Ok(manifest);
    }
    if !set.is_pinned() {
        return Err(DatasetError::NoManifest { name: set.name.clone() });
    }
    let report = verify_archives(datasets, set, data, store, progress)?;
    if !report.archives.iter().all(|archive| matches!(archive.state, State::Ok { .. })) {
        return Err(DatasetError::NotVerified(Box::new(report)));
    }
    let path = |archive| (archive, datasets.archive_path(set, archive, data));
    let archives: Vec<_> = set.archives.iter().map(path).collect();
    let manifest = derived::measure(&archives)?;
    derived::remember(store, set, &manifest)?;
    Ok(manifest)
}

fn verify_archives(
    datasets: &Datasets,
    set: &Dataset,
    data: Option<&Path>,
    store: &Store,
    progress: &dyn Progress,
) -> Result<SetReport, DatasetError> {
    let reports = verify(datasets, std::slice::from_ref(&set.name), data, false, store, progress)?;
    let report = reports.into_iter().find(|report| report.name == set.name);
    report.ok_or_else(|| DatasetError::NoManifest { name: set.name.clone() })
}

fn ensure_one(
    datasets: &Datasets,
    set: &Dataset,
    data: Option<&Path>,
    store: &Store,
    progress: &dyn Progress,
) -> Result<(PathBuf, Digest), DatasetError> {
    let manifest = manifest_of(datasets, set, data, store, progress)?;
    let digest = manifest.digest();
    if let Some(folder) = data.map(|data| set.folder(data)).filter(|folder| folder.is_dir()) {
        let report = verify_archives(datasets, set, data, store, progress)?;
        return match report.tree.as_ref().is_none_or(|tree| tree.verdict != Verdict::Ok) {
            false => Ok((folder, digest)),
            true => Err(DatasetError::NotVerified(Box::new(report))),
        };
    }
    let place = store.data_path(&digest);
    if place.is_dir() {
        return Ok((check_place(set, &place, &manifest, store, progress)?, digest));
    }
    Ok((unpack(datasets, set, data, &manifest, store, progress)?, digest))
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
        parts: Vec::new(),
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
    let report = verify_archives(datasets, set, data, store, progress)?;
    if report.verdict != Verdict::Ok {
        return Err(DatasetError::NotVerified(Box::new(report)));
    }
    let folder = store.scratch("data")?;
    write_files(datasets, set, data, manifest, &folder)?;
    // Beside the folder, so that `fsck` can tell which file of it is another one.
    store.put(manifest.to_text().as_bytes())?;
    Ok(store.adopt_data(&folder, &manifest.digest())?)
}

/// Unpacks the archives into a folder; all files of the manifest must come out, and nothing else.
fn write_files(
    datasets: &Datasets,
    set: &Dataset,
    data: Option<&Path>,
    manifest: &Manifest,
    folder: &Path,
) -> Result<(), DatasetError> {
    let mut written = BTreeMap::new();
    for archive in &set.archives {
        let path = datasets.archive_path(set, archive, data);
        each_entry(archive, &path, &mut |entry| {
            if let Some((path, found)) = write_entry(entry, archive, folder, manifest)? {
                written.insert(path, Ok(found));
            }
            Ok(())
        })?;
    }
    // The manifest's own: each leads into the data set, and none is there while files are written.
    for (path, target) in manifest.links() {
        let path = folder.join(path);
        make_parent(&path)?;
        symlink(target, &path).map_err(at("create", &path))?;
    }
    // Every file was compared while it was written; what no archive holds is found here.
    judge(set, tree_report(folder, manifest, &written)?)
}

/// A file that was written, its digest and its size.
type Written = (PathBuf, (Digest, u64));

/// Writes a file; a link is compared with the manifest's.
fn write_entry(
    mut entry: Entry<'_>,
    archive: &Archive,
    folder: &Path,
    manifest: &Manifest,
) -> Result<Option<Written>, DatasetError> {
    let target = entry.target(archive)?;
    let unknown = || entry.refuse("the manifest does not name it");
    let path = folder.join(&target);
    if let Some(first) = first_name(&entry, archive)? {
        let link = |path: &str| manifest.link(path).map(str::to_owned);
        return match (manifest.get(&target), manifest.get(&first)) {
            (Some(found), Some(expected)) if found == expected => {
                make_parent(&path)?;
                fs::hard_link(folder.join(&first), &path).map_err(at("create", &path))?;
                Ok(Some((path, found)))
            }
            (None, None) if link(&target).is_some() && link(&target) == link(&first) => Ok(None),
            _ => Err(unknown()),
        };
    }
    if let Content::Symlink(to) = &entry.content {
        return if manifest.link(&target) == Some(to) { Ok(None) } else { Err(unknown()) };
    }
    let (expected, size) = manifest.get(&target).ok_or_else(unknown)?;
    make_parent(&path)?;
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
        return Ok(Some((path, (found, size))));
    }
    let (pinned, found) =
        (format!("{expected} ({size} bytes)"), format!("{found} ({found_size} bytes)"));
    Err(entry.refuse(&format!("it is another file\n  pinned  {pinned}\n  found   {found}")))
}

/// The path of the file that a hard link is a further name of.
fn first_name(entry: &Entry<'_>, archive: &Archive) -> Result<Option<String>, DatasetError> {
    match &entry.content {
        Content::HardLink(first) => entry.place(archive, first).map(Some),
        Content::File(_) | Content::Symlink(_) => Ok(None),
    }
}

fn make_parent(path: &Path) -> Result<(), DatasetError> {
    path.parent().map_or(Ok(()), |parent| fs::create_dir_all(parent).map_err(at("create", parent)))
}
