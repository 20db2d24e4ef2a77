//! Unpacked layers: where they lie, and the stamps that say whether they are what was unpacked.
//!
//! A layer has setuid programs and folders that everybody may write, because its image has
//! them. So nobody but the user who unpacked it may come near: `rootfs` is closed, and so is
//! each layer's own folder, because under sudo `rootfs` belongs to the user and its layers to root.
//!
//! A stamp lies under the layer's name in `stamps`. Its file lock is the layer's: whoever looks at a
//! layer shares it, whoever puts one there holds it alone.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::{NO_LINK, Store, StoreError, at, is_root};
use crate::digest::DiffId;

/// Holds the layers.
const LAYERS: &str = "rootfs";

/// Holds their stamps.
const STAMPS: &str = "stamps";

/// One layer's place, and its stamp.
#[derive(Debug)]
pub struct Seat<'a> {
    store: &'a Store,
    place: PathBuf,
    path: PathBuf,
    stamp: File,
}

impl Store {
    /// The folder of the layer unpacked for the embedded engine, whether it is there or not.
    ///
    /// Root and an ordinary user have one each: owners and marks of deletions differ, and
    /// under sudo both may use the same store.
    pub fn rootfs_path(&self, diff_id: &DiffId) -> PathBuf {
        self.root.join(LAYERS).join(layer_name(diff_id))
    }

    /// The place of the layer, with its lock not yet taken.
    pub fn seat(&self, diff_id: &DiffId) -> Result<Seat<'_>, StoreError> {
        let path = self.root.join(STAMPS).join(layer_name(diff_id));
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let stamp = options.custom_flags(NO_LINK).open(&path).map_err(at("open", &path))?;
        Ok(Seat { store: self, place: self.rootfs_path(diff_id), path, stamp })
    }

    /// Removes an unpacked layer, so that the next job unpacks it again.
    pub fn remove_rootfs(&self, diff_id: &DiffId) -> Result<(), StoreError> {
        self.discard(&self.rootfs_path(diff_id))
    }

    /// Forgets the stamp of a layer that was removed.
    pub(super) fn forget_stamp(&self, name: &str) -> Result<(), StoreError> {
        let path = self.root.join(STAMPS).join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(at("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }
}

impl Seat<'_> {
    /// Where the layer is or would be.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Whether something has the layer's name, whatever it is.
    pub fn is_taken(&self) -> bool {
        self.place.symlink_metadata().is_ok()
    }

    /// Takes the lock together with others who look at the layer; `false` if somebody is unpacking it.
    pub fn share(&self) -> Result<bool, StoreError> {
        self.lock(FlockOperation::NonBlockingLockShared)
    }

    /// Takes the lock alone; `false` if others have it.
    pub fn take(&self) -> Result<bool, StoreError> {
        self.lock(FlockOperation::NonBlockingLockExclusive)
    }

    fn lock(&self, operation: FlockOperation) -> Result<bool, StoreError> {
        match rustix::fs::flock(&self.stamp, operation) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(at("lock", &self.path)(error.into())),
        }
    }

    /// The stamp as it was kept; empty if none was.
    pub fn stamp(&self) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        let mut file = &self.stamp;
        let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes));
        read.map_err(at("read", &self.path))?;
        Ok(bytes)
    }

    /// Moves a finished folder of [`Store::scratch`] to the layer's place, with the stamp that it has there.
    pub fn fill(&self, folder: &Path, stamp: &[u8]) -> Result<(), StoreError> {
        let mut file = &self.stamp;
        let written = self
            .stamp
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(stamp))
            .and_then(|()| self.stamp.sync_all());
        written.map_err(at("write", &self.path))?;
        self.store.adopt(folder, &self.place)
    }

    /// Removes what has the layer's name.
    pub fn clear(&self) -> Result<(), StoreError> {
        self.store.discard(&self.place)
    }

    /// Gives another name to what has the layer's name, for somebody may be using it; `gc` removes it.
    pub fn set_aside(&self) -> Result<PathBuf, StoreError> {
        let aside = (1..).map(|number: u32| {
            let mut name = self.place.as_os_str().to_owned();
            name.push(format!(".changed-{number}"));
            PathBuf::from(name)
        });
        let free = aside.into_iter().find(|path| path.symlink_metadata().is_err());
        let free = free.expect("the numbers do not end");
        fs::rename(&self.place, &free).map_err(at("move", &self.place))?;
        Ok(free)
    }
}

/// The name of the layer among those that this user unpacks.
fn layer_name(diff_id: &DiffId) -> String {
    let hex = diff_id.0.hex();
    if is_root() { hex } else { format!("{hex}{USERS}") }
}

/// Ends the name of a layer that an ordinary user unpacked.
const USERS: &str = ".user";

/// The digest that the name of an unpacked layer begins with, whoever unpacked it.
pub(super) fn layer_of(name: &str) -> &str {
    name.strip_suffix(USERS).unwrap_or(name)
}
