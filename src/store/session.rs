//! One temporary folder a process, which cannot outlive it for long.
//!
//! A process holds a file lock on `tmp/ID.lock` as long as it lives; the kernel
//! lets go of it when the process ends, however it ends. So a folder whose lock
//! can be taken belongs to nobody and is removed by whichever command starts next.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::{NO_LINK, StoreError, at, remove_tree};

/// The session of this process.
#[derive(Debug)]
pub(super) struct Session {
    id: String,
    folder: PathBuf,
    lock_path: PathBuf,
    /// Keeps the file lock.
    _lock: File,
    count: u32,
}

impl Session {
    /// Starts a session with a new name below `tmp`.
    pub(super) fn start(tmp: &Path) -> Result<Self, StoreError> {
        let mut attempt = 0u32;
        loop {
            attempt += 1;
            let id = format!("{}-{attempt}-{}", std::process::id(), start_ticks());
            let lock_path = tmp.join(format!("{id}.lock"));
            let lock = match File::create_new(&lock_path) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(at("create", &lock_path)(error)),
            };
            // A sweeping process may have locked and removed the file in between.
            if !take(&lock) || !is_same(&lock, &lock_path) {
                continue;
            }
            let folder = tmp.join(&id);
            // What a job writes may have any mode; nobody else comes near it.
            fs::DirBuilder::new().mode(0o700).create(&folder).map_err(at("create", &folder))?;
            return Ok(Self { id, folder, lock_path, _lock: lock, count: 0 });
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// A new empty folder inside the session's.
    pub(super) fn folder(&mut self, purpose: &str) -> Result<PathBuf, StoreError> {
        self.count += 1;
        let path = self.folder.join(format!("{purpose}-{}", self.count));
        fs::create_dir(&path).map_err(at("create", &path))?;
        Ok(path)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next command.
        let _ = remove_tree(&self.folder);
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// Tells processes apart that had the same number one after the other.
fn start_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Field 22, counted after the command name, which may hold spaces (proc(5)).
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().nth(19).and_then(|field| field.parse().ok()).unwrap_or(0)
}

fn take(lock: &File) -> bool {
    rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok()
}

pub(super) fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (named.dev(), named.ino())
}

/// Whether a running process holds the session `id`.
pub(super) fn is_live(tmp: &Path, id: &str) -> bool {
    File::open(tmp.join(format!("{id}.lock"))).is_ok_and(|lock| !take(&lock))
}

/// Removes every session below `tmp` whose process is gone.
pub(super) fn sweep(tmp: &Path) -> Result<(), StoreError> {
    let entries = fs::read_dir(tmp).map_err(at("read", tmp))?;
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.strip_suffix(".lock").unwrap_or(&name);
        let lock_path = tmp.join(format!("{id}.lock"));
        // Through a link it would make a file wherever that leads.
        let options =
            File::options().create(true).append(true).custom_flags(NO_LINK).open(&lock_path);
        let Ok(lock) = options else { continue };
        if take(&lock) && is_same(&lock, &lock_path) {
            // Another command may be sweeping the same folder: what is gone already is fine.
            // A lock goes after its folder: while that cannot be removed, the next command tries again.
            let _ = remove_tree(&tmp.join(id));
            if !tmp.join(id).exists() {
                let _ = fs::remove_file(&lock_path);
            }
        }
    }
    Ok(())
}
