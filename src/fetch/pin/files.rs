//! The files of the recipe's folder: those of the image and those of profiles.

use super::{PinError, Request, Scope};
use crate::lock::{Lock, LockedFile, LockedProfileFile, local_files, profile_files};

/// Local files, each list in the order of the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilesPart {
    pub(super) local: Vec<LockedFile>,
    pub(super) profile: Vec<LockedProfileFile>,
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
    Ok(FilesPart { local, profile })
}

fn of_lock(lock: &Lock) -> FilesPart {
    FilesPart { local: lock.local_files.clone(), profile: lock.profile_files.clone() }
}

/// The lock's files, with `source` as it is now wherever it is used.
fn one_again(lock: &Lock, now: &FilesPart, source: &str) -> FilesPart {
    let of_image = now.local.iter().map(|file| (&file.source, file.sha256, file.size));
    let of_profiles = now.profile.iter().map(|file| (&file.source, file.sha256, file.size));
    let mut part = of_lock(lock);
    // A file that the recipe no longer names stays: leaving it out is not what was asked for.
    let Some((_, sha256, size)) = of_image.chain(of_profiles).find(|(name, ..)| *name == source)
    else {
        return part;
    };
    for file in part.local.iter_mut().filter(|file| file.source == source) {
        (file.sha256, file.size) = (sha256, size);
    }
    for file in part.profile.iter_mut().filter(|file| file.source == source) {
        (file.sha256, file.size) = (sha256, size);
    }
    part
}
