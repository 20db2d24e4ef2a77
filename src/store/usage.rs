//! Who uses the store: everybody side by side, or one command that removes content alone.
//!
//! Every open store holds a shared file lock on `in-use.lock`; the kernel lets go of it when the
//! process ends, however it ends. Whoever removes content takes the lock for itself, so nothing
//! can be removed that a running command may use, and no command starts in between: it waits.

use std::fs::File;
use std::path::Path;

use rustix::fs::FlockOperation;

use super::{Store, StoreError, at, give, open_to_append};

/// Name of the locked file.
const FILE: &str = "in-use.lock";

/// The shared lock of an open store.
#[derive(Debug)]
pub(super) struct Usage(File);

impl Usage {
    /// Begins to use the store; waits while another command removes content.
    pub(super) fn begin(root: &Path, owner: (u32, u32)) -> Result<Self, StoreError> {
        let path = root.join(FILE);
        let file = open_to_append(&path).map_err(at("open", &path))?;
        give(&path, owner);
        Self::share(file, &path)
    }

    /// The same by somebody who cannot write the file.
    pub(super) fn begin_reading(root: &Path) -> Result<Self, StoreError> {
        let path = root.join(FILE);
        let file = File::open(&path).map_err(at("open", &path))?;
        Self::share(file, &path)
    }

    fn share(file: File, path: &Path) -> Result<Self, StoreError> {
        rustix::fs::flock(&file, FlockOperation::LockShared)
            .map_err(|error| at("lock", path)(error.into()))?;
        Ok(Self(file))
    }
}

/// The right to remove content; others wait until it is dropped.
#[derive(Debug)]
pub struct Alone<'a> {
    pub(super) store: &'a Store,
}

impl Store {
    /// Takes the store for this process alone.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another command uses it.
    pub fn alone(&self) -> Result<Alone<'_>, StoreError> {
        let alone = Alone { store: self };
        // A lock that cannot be changed is lost (flock(2)): dropping `alone` takes the shared one again.
        match rustix::fs::flock(&self.usage.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(alone),
            Err(_) => Err(StoreError::InUse { path: self.root.clone() }),
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // Cannot fail on a lock that is held; if it could, the process's end would do it.
        let _ = rustix::fs::flock(&self.store.usage.0, FlockOperation::LockShared);
    }
}
