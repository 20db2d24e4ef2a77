//! The one way for content to enter the store.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::partial::forget_origin;
use super::{Store, StoreError, at, sync_folder};
use crate::digest::{Digest, Hasher};

/// Content on its way into the store; dropped unfinished, it leaves nothing behind but what a
/// later process can go on with (see [`Store::resume`]).
pub struct BlobWriter<'a> {
    pub(super) store: &'a Store,
    /// The folder of the session that holds the file, unless it is a partial one.
    folder: Option<PathBuf>,
    /// The file, if it outlives this process.
    pub(super) partial: Option<PathBuf>,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) hasher: Hasher,
    /// Bytes that were there before.
    pub(super) resumed: u64,
}

impl<'a> BlobWriter<'a> {
    pub(super) fn new(store: &'a Store) -> Result<Self, StoreError> {
        let folder = store.scratch("blob")?;
        let path = folder.join("content");
        let file = File::create_new(&path).map_err(at("create", &path))?;
        let (folder, partial, hasher) = (Some(folder), None, Hasher::new());
        Ok(Self { store, folder, partial, path, file, hasher, resumed: 0 })
    }

    pub(super) fn resumed(store: &'a Store, path: PathBuf, file: File, hasher: Hasher) -> Self {
        let (partial, resumed) = (Some(path.clone()), hasher.size());
        Self { store, folder: None, partial, path, file, hasher, resumed }
    }

    /// Adds bytes at the end.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(at("write", &self.path))?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// The number of bytes written so far.
    pub fn size(&self) -> u64 {
        self.hasher.size()
    }

    /// Names the content by its digest; returns digest and size in bytes.
    pub fn finish(mut self) -> Result<(Digest, u64), StoreError> {
        let hasher = std::mem::take(&mut self.hasher);
        let size = hasher.size();
        let digest = hasher.finish();
        self.publish(&digest)?;
        Ok((digest, size))
    }

    /// Names the content only if it is what was expected; else nothing is kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Differs`] with both digests and sizes; `name` is what a reader calls it.
    pub fn finish_as(
        mut self,
        name: &str,
        expected: &Digest,
        expected_size: u64,
    ) -> Result<(), StoreError> {
        let hasher = std::mem::take(&mut self.hasher);
        let found_size = hasher.size();
        let found = hasher.finish();
        if found != *expected || found_size != expected_size {
            self.discard();
            return Err(StoreError::Differs {
                name: name.to_owned(),
                expected: *expected,
                expected_size,
                found,
                found_size,
            });
        }
        self.publish(expected)
    }

    fn publish(&mut self, digest: &Digest) -> Result<(), StoreError> {
        let place = self.store.blob_path(digest);
        // Content is never changed in place; the mode says so to everybody else.
        let read_only = fs::Permissions::from_mode(0o444);
        self.file.set_permissions(read_only).map_err(at("write", &self.path))?;
        self.store.give_to_owner(&self.path);
        self.file.sync_all().map_err(at("sync", &self.path))?;
        fs::rename(&self.path, &place).map_err(at("create", &place))?;
        if let Some(partial) = &self.partial {
            forget_origin(partial);
        }
        sync_folder(place.parent().unwrap_or(&self.store.root))
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for BlobWriter<'_> {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
        // Nothing has come yet: there is nothing to go on with.
        if let Some(partial) = &self.partial
            && self.hasher.size() == 0
            && self.file.metadata().is_ok_and(|file| file.len() == 0)
        {
            let _ = fs::remove_file(partial);
        }
    }
}
