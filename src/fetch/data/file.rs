//! A file of the data folder while it is downloaded: hashed as it comes, and named only when it is whole.
//!
//! What has come lies beside its place as `.NAME.partial`, under a file lock, and outlives the
//! process; what a server calls the version lies beside that. Data sets are far too large to
//! go through the store first.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::super::download::Sink;
use crate::digest::{Digest, Hasher};
use crate::store::{StoreError, at, create_own, open_own};

/// A file on its way to `path`.
pub(super) struct DataFile {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    hasher: Hasher,
    resumed: u64,
}

/// Bytes of `path` that an earlier attempt brought.
pub(super) fn brought(path: &Path) -> u64 {
    fs::metadata(partial_of(path)).map_or(0, |metadata| metadata.len())
}

fn partial_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

impl DataFile {
    /// Goes on with the file at `path`, or begins it. Another process that writes it is an error.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(at("create", folder))?;
        let partial = partial_of(path);
        let mut file = open_own(&partial).map_err(at("open", &partial))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| at("lock", &partial)(error.into()))?;
        let hasher = hash_all(&mut file).map_err(at("read", &partial))?;
        let resumed = hasher.size();
        Ok(Self { path: path.to_owned(), partial, file, hasher, resumed })
    }

    /// What has come, and its digest, under its partial name.
    pub(super) fn measured(&self) -> (&Path, Digest, u64) {
        (&self.partial, self.hasher.clone().finish(), self.hasher.size())
    }

    /// Gives the file its name.
    pub(super) fn publish(self) -> Result<(), StoreError> {
        self.file.sync_all().map_err(at("sync", &self.partial))?;
        fs::rename(&self.partial, &self.path).map_err(at("create", &self.path))?;
        let _ = fs::remove_file(self.origin());
        Ok(())
    }

    /// Throws away what has come: it is of no use to anybody.
    pub(super) fn discard(self) {
        let _ = fs::remove_file(&self.partial);
        let _ = fs::remove_file(self.origin());
    }

    fn origin(&self) -> PathBuf {
        self.partial.with_extension("origin")
    }
}

impl Sink for DataFile {
    fn size(&self) -> u64 {
        self.hasher.size()
    }

    fn take_resumed(&mut self) -> u64 {
        std::mem::take(&mut self.resumed)
    }

    fn restart(&mut self) -> Result<(), StoreError> {
        self.file.set_len(0).map_err(at("write", &self.partial))?;
        let _ = fs::remove_file(self.origin());
        self.hasher = Hasher::new();
        self.resumed = 0;
        Ok(())
    }

    fn entity_tag(&self, url: &str) -> Option<String> {
        let text = fs::read_to_string(self.origin()).ok()?;
        let (origin, tag) = text.split_once('\n')?;
        (origin == url && !tag.trim().is_empty()).then(|| tag.trim().to_owned())
    }

    fn set_origin(&self, url: &str, tag: &str) {
        // Losing it costs nothing but time.
        let text = format!("{url}\n{tag}\n");
        let _ = create_own(&self.origin()).and_then(|mut file| file.write_all(text.as_bytes()));
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(at("write", &self.partial))?;
        self.hasher.update(bytes);
        Ok(())
    }
}

fn hash_all(file: &mut File) -> std::io::Result<Hasher> {
    file.rewind()?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    while let count @ 1.. = file.read(&mut buffer)? {
        hasher.update(&buffer[..count]);
    }
    Ok(hasher)
}
