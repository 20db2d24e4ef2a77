//! Hashes everything again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::{Store, StoreError, at};
use crate::digest::{Digest, hash_reader};

/// What `fsck` found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct FsckReport {
    /// Number of blobs that were hashed.
    pub blobs: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// What is wrong, sorted by path.
    pub damage: Vec<Damage>,
}

/// One thing that is wrong in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub path: PathBuf,
    /// The digest the name promises, if the name is one.
    pub expected: Option<Digest>,
    /// The digest of what is there.
    pub found: Option<Digest>,
}

impl Store {
    /// Hashes every blob; `progress` is told the bytes as they are read, and says whether to go on.
    ///
    /// # Errors
    ///
    /// What cannot be read, and [`StoreError::Stopped`] if `progress` says so.
    pub fn fsck(
        &self,
        mut progress: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<FsckReport, StoreError> {
        let mut report = FsckReport::default();
        for path in sorted_files(&self.root.join("blobs/sha256"))? {
            let file = File::open(&path).map_err(at("open", &path))?;
            let mut told = Told { file, progress: &mut progress, stopped: false };
            let hashed = hash_reader(&mut told);
            if told.stopped {
                return Err(StoreError::Stopped);
            }
            let (found, size) = hashed.map_err(at("read", &path))?;
            let expected =
                path.file_name().and_then(|name| Digest::from_hex(&name.to_string_lossy()).ok());
            if expected != Some(found) {
                report.damage.push(Damage { path, expected, found: Some(found) });
            }
            report.blobs += 1;
            report.bytes += size;
        }
        Ok(report)
    }

    /// Names of the data sets unpacked here, and their folders, sorted; a name is the digest of the
    /// manifest, `None` for a folder that this program did not make.
    pub fn data_sets(&self) -> Result<Vec<(Option<Digest>, PathBuf)>, StoreError> {
        let named = |path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (Digest::from_hex(&name).ok(), path)
        };
        Ok(sorted_files(&self.root.join("data"))?.into_iter().map(named).collect())
    }

    /// Removes an unpacked data set, so that the next use unpacks it again.
    pub fn remove_data(&self, manifest: &Digest) -> Result<(), StoreError> {
        let path = self.data_path(manifest);
        self.discard(&path)
    }

    /// Removes a damaged blob, so that the next build fetches it again.
    pub fn remove_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.blob_path(digest);
        fs::remove_file(&path).map_err(at("remove", &path))
    }
}

/// Tells how many bytes were read, and reads no more once it is told to stop.
struct Told<'a, P> {
    file: File,
    progress: &'a mut P,
    stopped: bool,
}

impl<P: FnMut(u64) -> ControlFlow<()>> Read for Told<'_, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        if (self.progress)(count as u64).is_break() {
            self.stopped = true;
            return Err(io::Error::other("somebody asked to stop"));
        }
        Ok(count)
    }
}

fn sorted_files(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(folder).map_err(at("read", folder))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(at("read", folder))?;
    paths.sort();
    Ok(paths)
}
