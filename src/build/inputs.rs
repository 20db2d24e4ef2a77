//! Local files on their way into the store, and the search for a damaged input.

use std::fs::File;
use std::io;
use std::path::Path;

use super::BuildError;
use crate::digest::{Digest, hash_reader};
use crate::lock::{BuildSource, Lock};
use crate::named_file;
use crate::store::Store;

/// Copies the recipe's local files, those of build jobs among them, into the store; each must be
/// the one that was locked.
pub fn import_local_files(store: &Store, folder: &Path, lock: &Lock) -> Result<(), BuildError> {
    let files = lock.local_files.iter().chain(lock.builds.iter().flat_map(|build| &build.local));
    files.into_iter().try_for_each(|file| import(store, folder, &file.source, file.sha256))
}

/// Copies the files that profiles mount into the store; each must be the one that was locked.
pub fn import_profile_files(store: &Store, folder: &Path, lock: &Lock) -> Result<(), BuildError> {
    lock.profile_files.iter().try_for_each(|file| import(store, folder, &file.source, file.sha256))
}

/// The files that `profile` mounts, path in the job and digest, each as it was locked; those that
/// a build job has yet to make are not among them.
pub fn profile_files(
    store: &Store,
    folder: &Path,
    lock: &Lock,
    profile: &str,
) -> Result<Vec<(String, Digest)>, BuildError> {
    import_profile_files(store, folder, lock)?;
    let owned = |(path, digest): (&str, Digest)| (path.to_owned(), digest);
    let mounted: Vec<_> = lock.mounted(profile).into_iter().map(owned).collect();
    match find_damage(store, &mounted)? {
        Some(damage) => Err(damage),
        None => Ok(mounted),
    }
}

fn import(store: &Store, folder: &Path, source: &str, expected: Digest) -> Result<(), BuildError> {
    // Small enough to be hashed each time: what is mounted or built in is what was locked.
    if store.read_blob(&expected).is_ok() {
        return Ok(());
    }
    let path = folder.join(source);
    let bytes = match named_file::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(BuildError::LocalFile { path, expected, found: None });
        }
        Err(source) => return Err(BuildError::Io { action: "read", path, source }),
    };
    let found = Digest::of(&bytes);
    if found != expected {
        return Err(BuildError::LocalFile { path, expected, found: Some(found) });
    }
    let mut writer = store.writer()?;
    writer.write(&bytes)?;
    writer.finish()?;
    Ok(())
}

/// Every input of a lock with the name a reader knows it by.
pub(super) fn named_inputs(lock: &Lock) -> Vec<(String, Digest)> {
    let package = |package: &crate::lock::LockedPackage| {
        let file = package.path.rsplit('/').next().unwrap_or(&package.path);
        (file.to_owned(), package.sha256)
    };
    let wheel = |wheel: &crate::lock::LockedWheel| (wheel.file.clone(), wheel.sha256);
    let mut inputs: Vec<_> = lock.packages.iter().map(package).collect();
    inputs.extend(lock.wheels.iter().map(wheel));
    for build in &lock.builds {
        if let BuildSource::Distribution(source) = &build.source {
            inputs.push((source.file.clone(), source.sha256));
        }
        inputs.extend(build.local.iter().map(|file| (file.source.clone(), file.sha256)));
        inputs.extend(build.packages.iter().map(package));
        inputs.extend(build.wheels.iter().map(wheel));
        inputs.extend(build.blobs().map(|(name, digest)| (name.to_owned(), digest)));
    }
    if let Some(base) = &lock.base {
        inputs.push((format!("manifest of {}", base.image), base.manifest));
        inputs.push((format!("configuration of {}", base.image), base.config.digest));
    }
    let trees =
        lock.git.iter().map(|git| (format!("{} {}", git.name, git.commit), git.archive.digest));
    inputs.extend(trees);
    inputs.extend(lock.downloads.iter().map(|file| (file.path.clone(), file.sha256)));
    inputs.extend(lock.local_files.iter().map(|file| (file.path.clone(), file.sha256)));
    inputs.sort();
    inputs.dedup();
    inputs
}

/// Hashes the stored inputs again and names the first that is not what its name says.
pub(super) fn find_damage(
    store: &Store,
    inputs: &[(String, Digest)],
) -> Result<Option<BuildError>, BuildError> {
    for (name, expected) in inputs {
        let path = store.blob_path(expected);
        let Ok(file) = File::open(&path) else { continue };
        let (found, _) =
            hash_reader(file).map_err(|source| BuildError::Io { action: "read", path, source })?;
        if found != *expected {
            let (name, expected) = (name.clone(), *expected);
            return Ok(Some(BuildError::DamagedInput { name, expected, found }));
        }
    }
    Ok(None)
}
