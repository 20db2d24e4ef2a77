//! Reads single files of a wheel, for those who want to look into one without installing it.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use super::error::LayerError;
use super::sources::{Opened, Sources};
use super::zip::Archive;

/// An opened wheel whose directory was read and checked.
pub struct WheelFiles {
    archive: Archive,
    sources: Sources,
}

impl WheelFiles {
    /// Opens the wheel `handle`; `file` is its name, for messages.
    pub fn open(file: &str, handle: File) -> Result<Self, LayerError> {
        let archive = Archive::read(file, &handle)?;
        let opened = Opened { file: file.to_owned(), handle: Arc::new(handle) };
        Ok(Self { archive, sources: Sources::new(vec![opened]) })
    }

    /// Names and sizes (bytes) in the order of the directory.
    pub fn list(&self) -> impl Iterator<Item = (&str, u64)> {
        self.archive.entries.iter().map(|entry| (entry.name.as_str(), entry.size()))
    }

    /// Streams the content of `name` to `out`, checked against the directory; tells whether there is such a file.
    pub fn copy(&mut self, name: &str, out: &mut dyn Write) -> Result<bool, LayerError> {
        let Some(entry) = self.archive.find(name) else { return Ok(false) };
        let source = entry.source(0);
        self.sources.content(name, &source, &mut |bytes| out.write_all(bytes))?;
        Ok(true)
    }
}
