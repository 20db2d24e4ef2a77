//! Lays out what a build job compiles.

use std::fs::{self, File, FileTimes};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::read::MultiGzDecoder;

use super::{BuildError, Builder};
use crate::git::{ArchiveEntry, EntryKind, GitError, TreeArchive};
use crate::layer::MTIME;
use crate::lock::{Lock, LockedSource};
use crate::tarball;

/// The most a source distribution may unpack to.
const SOURCE_LIMIT: u64 = 4 << 30;

impl Builder<'_> {
    /// Unpacks a source distribution without its one top folder.
    pub(super) fn unpack_distribution(
        &self,
        source: &LockedSource,
        folder: &Path,
    ) -> Result<(), BuildError> {
        let file = self.store.open_blob(&source.sha256)?;
        unpack(MultiGzDecoder::new(file), folder)
            .map_err(|reason| BuildError::Source { file: source.file.clone(), reason })
    }

    /// Lays out the tree of a git source.
    pub(super) fn unpack_tree(
        &self,
        lock: &Lock,
        name: &str,
        folder: &Path,
    ) -> Result<(), BuildError> {
        let failed = |reason: String| BuildError::Source { file: name.to_owned(), reason };
        let git = lock.git.iter().find(|git| git.name == name);
        let git = git.ok_or_else(|| failed("the lock has no such git source".to_owned()))?;
        let archive = TreeArchive::open(self.store.open_blob(&git.archive.digest)?);
        let archive = archive.map_err(|error| failed(error.to_string()))?;
        let modules: Vec<_> =
            git.submodules.iter().map(|module| (module.path.as_str(), module.tree)).collect();
        archive.check(name, git.tree, &modules).map_err(|error| failed(error.to_string()))?;
        lay_out(&archive, folder).map_err(|error| failed(error.to_string()))
    }
}

/// Writes files, links and folders; all files have the time that files of a layer have.
fn lay_out(archive: &TreeArchive, folder: &Path) -> Result<(), GitError> {
    for entry in archive.entries() {
        let place = folder.join(&entry.path);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(GitError::Read)?;
        }
        match entry.kind() {
            EntryKind::Submodule(_) | EntryKind::EmptyFolder => {
                fs::create_dir_all(&place).map_err(GitError::Read)?;
            }
            EntryKind::Symlink => {
                symlink(archive.target(entry)?, &place).map_err(GitError::Read)?;
            }
            EntryKind::File { executable } => write_file(archive, entry, &place, executable)?,
        }
    }
    Ok(())
}

fn write_file(
    archive: &TreeArchive,
    entry: &ArchiveEntry,
    place: &Path,
    executable: bool,
) -> Result<(), GitError> {
    let mut file = File::create_new(place).map_err(GitError::Read)?;
    archive.content(entry, &mut |bytes| file.write_all(bytes))?;
    let mode = if executable { 0o755 } else { 0o644 };
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(MTIME);
    let finish = || -> io::Result<()> {
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.set_times(FileTimes::new().set_modified(time))
    };
    finish().map_err(GitError::Read)
}

/// Unpacks a source distribution without its one top folder.
fn unpack(tar: impl std::io::Read, folder: &Path) -> Result<(), String> {
    let mut archive = tarball::open(tar);
    let mut left = SOURCE_LIMIT;
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let name = entry.path().map_err(|error| error.to_string())?.into_owned();
        let Some(relative) = inside(&name) else {
            return Err(format!("entry `{}` leads out of its folder", name.display()));
        };
        left = left.checked_sub(entry.size()).ok_or("it unpacks to more than 4 GiB")?;
        let place = folder.join(&relative);
        let kind = entry.header().entry_type();
        if relative.as_os_str().is_empty() || kind.is_pax_global_extensions() {
            continue;
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(|error| error.to_string())?;
        }
        if !(kind.is_file() || kind.is_dir()) {
            return Err(format!("entry `{}` is neither file nor folder", name.display()));
        }
        entry.set_preserve_mtime(true);
        entry.unpack(&place).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The path without its first part, or `None` if it would leave the folder.
fn inside(name: &Path) -> Option<PathBuf> {
    let plain = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !name.components().all(|part| plain(&part)) {
        return None;
    }
    let parts = name.components().filter(|part| matches!(part, Component::Normal(_)));
    Some(parts.skip(1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_path_loses_its_top_folder_and_never_leaves() {
        assert_eq!(inside(Path::new("mmcv-1.3.13/setup.py")), Some(PathBuf::from("setup.py")));
        assert_eq!(inside(Path::new("./mmcv/a/b")), Some(PathBuf::from("a/b")));
        assert_eq!(inside(Path::new("mmcv")), Some(PathBuf::new()));
        assert_eq!(inside(Path::new("mmcv/../../etc")), None);
        assert_eq!(inside(Path::new("/etc/passwd")), None);
    }
}
