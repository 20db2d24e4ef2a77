//! Lists what the store holds, and removes it.
//!
//! A blob goes in one step. A folder is first moved among the temporary files: a command that is
//! killed while it removes one leaves no half folder under a name that promises a whole one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::layers::layer_of;
use super::{Alone, Store, StoreError, at, remove_tree};

/// What a removable thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Content under its digest.
    Blob,
    /// An unpacked layer.
    Rootfs,
    /// An unpacked data set.
    Data,
    /// The project of an imported bundle.
    Checkout,
    /// Objects of git repositories, as they were fetched.
    Git,
    /// A download that broke off.
    Partial,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Blob, Self::Rootfs, Self::Data, Self::Checkout, Self::Git, Self::Partial];

    fn folder(self) -> &'static str {
        match self {
            Self::Blob => "blobs/sha256",
            Self::Rootfs => "rootfs",
            Self::Data => "data",
            Self::Checkout => "checkouts",
            Self::Git => "git/objects/pack",
            Self::Partial => "partial",
        }
    }
}

/// One thing in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What it is.
    pub kind: Kind,
    /// Its name: 64 hexadecimal digits, unless somebody else put it there.
    pub name: String,
    /// Bytes on disk.
    pub bytes: u64,
}

impl Stored {
    /// The name without what says who unpacked it.
    pub fn digest(&self) -> &str {
        match self.kind {
            Kind::Rootfs => layer_of(&self.name),
            _ => &self.name,
        }
    }
}

impl Store {
    /// Everything of a kind, sorted by name.
    pub fn stored(&self, kind: Kind) -> Result<Vec<Stored>, StoreError> {
        let folder = self.root.join(kind.folder());
        let mut stored = Vec::new();
        let entries = match fs::read_dir(&folder) {
            // Some folders are made when they are needed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(stored),
            entries => entries.map_err(at("read", &folder))?,
        };
        for entry in entries {
            let entry = entry.map_err(at("read", &folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let bytes = size_on_disk(&entry.path()).map_err(at("read", &folder))?;
            stored.push(Stored { kind, name, bytes });
        }
        stored.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(stored)
    }

    /// Takes a folder away in one step, then removes it.
    pub(super) fn discard(&self, folder: &Path) -> Result<(), StoreError> {
        let grave = self.scratch("removed")?.join("folder");
        fs::rename(folder, &grave).map_err(at("remove", folder))?;
        remove_tree(&grave).map_err(at("remove", &grave))
    }
}

impl Alone<'_> {
    /// Removes one thing.
    pub fn remove(&self, stored: &Stored) -> Result<(), StoreError> {
        let path = self.store.root.join(stored.kind.folder()).join(&stored.name);
        let is_folder = fs::symlink_metadata(&path).map_err(at("remove", &path))?.is_dir();
        if stored.kind == Kind::Rootfs {
            self.store.forget_stamp(&stored.name)?;
        }
        match is_folder {
            true => self.store.discard(&path),
            false => fs::remove_file(&path).map_err(at("remove", &path)),
        }
    }

    /// Forgets facts of a bucket.
    pub fn forget(&self, bucket: &str, keys: &[String]) -> Result<(), StoreError> {
        self.store.forget(bucket, keys)
    }
}

/// Blocks, as the file system counts them; links are not followed.
fn size_on_disk(path: &PathBuf) -> io::Result<u64> {
    let metadata = match fs::symlink_metadata(path) {
        // Another command may be clearing up.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        metadata => metadata?,
    };
    let mut bytes = metadata.blocks() * 512;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            bytes += size_on_disk(&entry?.path())?;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_of_an_ordinary_user_is_needed_as_long_as_the_layer_is() {
        let digest =
            |kind, name: &str| Stored { kind, name: name.to_owned(), bytes: 0 }.digest().to_owned();
        assert_eq!(digest(Kind::Rootfs, "ab"), "ab");
        assert_eq!(digest(Kind::Rootfs, "ab.user"), "ab");
        assert_eq!(digest(Kind::Rootfs, "ab.user.changed-1"), "ab.user.changed-1");
        assert_eq!(digest(Kind::Data, "ab.user"), "ab.user");
    }
}
