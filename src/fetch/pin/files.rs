//! The files of the recipe's folder: those of the image and those of profiles.

use super::{PinError, Request, Scope};
use std::collections::BTreeMap;

use crate::lock::{Lock, LockedFile, LockedProfileFile, build_files, local_files, profile_files};
use crate::recipe::BuildRecipe;
use crate::recipe::names::normalised;

/// Local files, each list in the order of the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilesPart {
    pub(super) local: Vec<LockedFile>,
    pub(super) profile: Vec<LockedProfileFile>,
    /// Those that build jobs find, by the build's normalised name.
    pub(super) builds: BTreeMap<String, Vec<LockedFile>>,
}

/// Hashes what `scope` asks for and takes the rest from the previous lock.
pub(super) fn pin(request: &Request<'_>, scope: &Scope) -> Result<FilesPart, PinError> {
    match (scope, request.previous) {
        (Scope::Everything, _) | (_, None) => hashed(request),
        (Scope::File(source), Some(lock)) => Ok(one_again(lock, &hashed(request)?, source)),
        (_, Some(lock)) => Ok(of_lock(lock)),
    }
}

fn hashed(request: &Request<'_>) -> Result<FilesPart, PinError> {
    let (local, profile) = (local_files(request.recipe)?, profile_files(request.recipe)?);
    let of_build =
        |build: &BuildRecipe| Ok((normalised(&build.name), build_files(request.recipe, build)?));
    let builds = request.recipe.image.builds.iter().map(of_build);
    let builds = builds.collect::<Result<_, PinError>>()?;
    Ok(FilesPart { local, profile, builds })
}

fn of_lock(lock: &Lock) -> FilesPart {
    let builds = lock.builds.iter().map(|build| (build.name.clone(), build.local.clone()));
    FilesPart {
        local: lock.local_files.clone(),
        profile: lock.profile_files.clone(),
        builds: builds.collect(),
    }
}

/// The lock's files, with `source` as it is now wherever it is used.
fn one_again(lock: &Lock, now: &FilesPart, source: &str) -> FilesPart {
    let of_image = now.local.iter().chain(now.builds.values().flatten());
    let of_image = of_image.map(|file| (&file.source, file.sha256, file.size));
    let of_profiles = now.profile.iter().map(|file| (&file.source, file.sha256, file.size));
    let mut part = of_lock(lock);
    // A file that the recipe no longer names stays: leaving it out is not what was asked for.
    let Some((_, sha256, size)) = of_image.chain(of_profiles).find(|(name, ..)| *name == source)
    else {
        return part;
    };
    let local = part.local.iter_mut().chain(part.builds.values_mut().flatten());
    for file in local.filter(|file| file.source == source) {
        (file.sha256, file.size) = (sha256, size);
    }
    for file in part.profile.iter_mut().filter(|file| file.source == source) {
        (file.sha256, file.size) = (sha256, size);
    }
    part
}
