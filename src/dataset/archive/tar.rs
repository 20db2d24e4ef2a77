//! Entries of tar archives.

use std::io::Read;

use tar::EntryType;

use super::{DatasetError, Walk, broken};
use crate::tarball::{self, Sparse};

impl Walk<'_, '_> {
    /// Every entry; `folder` with a slash at its end stands before each name.
    pub(super) fn tar(&mut self, folder: &str, reader: impl Read) -> Result<(), DatasetError> {
        let mut tar = tarball::open_with_sparse(reader);
        for entry in tar.entries().map_err(|error| broken(self.path, error))? {
            let entry = entry.map_err(|error| broken(self.path, error))?;
            self.tar_entry(folder, entry)?;
        }
        Ok(())
    }

    fn tar_entry(
        &mut self,
        folder: &str,
        mut entry: tar::Entry<'_, impl Read>,
    ) -> Result<(), DatasetError> {
        let raw = entry.path_bytes().into_owned();
        let name = |walk: &Self, raw: &[u8]| Ok(format!("{folder}{}", walk.name(raw)?));
        match entry.header().entry_type() {
            EntryType::XGlobalHeader => Ok(()),
            // The root of an archive made by `tar -C FOLDER .`.
            EntryType::Directory if matches!(&*raw, b"." | b"./") => Ok(()),
            EntryType::Directory => name(self, &raw).map(drop),
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let target = String::from_utf8(target);
                let unusable =
                    |_| self.refuse(&String::from_utf8_lossy(&raw), "its target is not UTF-8");
                let target = target.map_err(unusable)?;
                self.symlink(name(self, &raw)?, target)
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let target = name(self, &target)?;
                self.hard_link(name(self, &raw)?, target)
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let sparse = Sparse::of(&mut entry).map_err(|error| broken(self.path, error))?;
                let Some(mut sparse) = sparse else {
                    return self.entry(name(self, &raw)?, &mut entry);
                };
                let name = name(self, &sparse.name.take().unwrap_or(raw))?;
                let whole = sparse.reader(&mut entry);
                let mut whole = whole.map_err(|error| self.refuse(&name, &error.to_string()))?;
                self.entry(name, &mut whole)
            }
            _ => {
                let text = String::from_utf8_lossy(&raw);
                Err(self.refuse(&text, "it is neither a file nor a link nor a folder"))
            }
        }
    }
}
