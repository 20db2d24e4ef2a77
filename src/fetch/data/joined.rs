//! The parts of an archive as one stream of bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::super::download::Sink;
use super::file::DataFile;
use super::split;
use crate::store::{StoreError, at};

/// Files that are read one after the other.
pub(super) struct Joined {
    parts: Vec<PathBuf>,
    sizes: Vec<u64>,
}

impl Joined {
    pub(super) fn open(parts: Vec<PathBuf>) -> Result<Self, StoreError> {
        let size = |part: &PathBuf| Ok(part.metadata().map_err(at("read", part))?.len());
        let sizes = parts.iter().map(size).collect::<Result<_, StoreError>>()?;
        Ok(Self { parts, sizes })
    }

    /// Writes the whole; a split zip gets a directory of its own.
    pub(super) fn write(&self, whole: &mut DataFile) -> Result<(), StoreError> {
        let bytes: u64 = self.sizes.iter().sum();
        let first = self.parts.first().cloned().unwrap_or_default();
        let mut read = |from, count| self.read(from, count);
        let end = split::find_end(&self.sizes, &mut read).map_err(at("read", &first))?;
        if let Some(end) = end {
            let directory = self.read(end.at, end.size).map_err(at("read", &first))?;
            if let Some(directory) = split::rewritten(&directory, &end, &self.sizes) {
                self.copy(end.at, whole)?;
                return whole.take(&directory);
            }
        }
        self.copy(bytes, whole)
    }

    /// Copies so many bytes from the beginning.
    fn copy(&self, mut count: u64, whole: &mut DataFile) -> Result<(), StoreError> {
        let mut buffer = vec![0; 256 << 10];
        for part in &self.parts {
            let mut file = File::open(part).map_err(at("open", part))?.take(count);
            while let read @ 1.. = file.read(&mut buffer).map_err(at("read", part))? {
                whole.take(&buffer[..read])?;
                count -= read as u64;
            }
        }
        Ok(())
    }

    /// So many bytes from a place in the whole.
    fn read(&self, mut from: u64, mut count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (part, size) in self.parts.iter().zip(&self.sizes) {
            if from < *size && count > 0 {
                let mut file = File::open(part)?;
                file.seek(SeekFrom::Start(from))?;
                count -= file.take(count).read_to_end(&mut bytes)? as u64;
            }
            from = from.saturating_sub(*size);
        }
        Ok(bytes)
    }
}
