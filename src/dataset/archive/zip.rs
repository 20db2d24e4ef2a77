//! Entries of zip files.

use std::fs::File;
use std::io::{BufReader, Read};

use zip::read::ZipFile;
use zip::{System, ZipArchive};

use super::{DatasetError, Walk, broken, encoding};

/// PATH_MAX of Linux (bytes): no link leads further.
const TARGET_LIMIT: u64 = 4096;

impl Walk<'_, '_> {
    /// Every entry of a zip file.
    pub(super) fn zip(&mut self, file: BufReader<File>) -> Result<(), DatasetError> {
        let mut zip = ZipArchive::new(file).map_err(|error| broken(self.path, error))?;
        if zip.has_duplicate_names() {
            return Err(broken(self.path, "two entries have one name"));
        }
        for index in 0..zip.len() {
            let mut file = zip.by_index(index).map_err(|error| broken(self.path, error))?;
            let text = self.zip_name(&file)?;
            let name = self.normalised(&text)?;
            if file.is_symlink() {
                let mut target = Vec::new();
                let read = (&mut file).take(TARGET_LIMIT).read_to_end(&mut target);
                read.map_err(|error| self.refuse(&name, &error.to_string()))?;
                let target = String::from_utf8(target);
                let target = target.map_err(|_| self.refuse(&name, "its target is not UTF-8"))?;
                self.symlink(name, target)?;
            } else if !text.ends_with('/') {
                self.entry(name, &mut file)?;
            }
        }
        Ok(())
    }

    fn zip_name(&self, file: &ZipFile<'_, BufReader<File>>) -> Result<String, DatasetError> {
        let raw = file.name_raw();
        // The crate reads a name as code page 437 unless the entry says that it is UTF-8.
        let plain = str::from_utf8(raw).ok();
        let says_utf8 = plain.is_some() && file.name().ok().as_deref() == plain;
        let name = encoding::decode(raw, self.encoding, says_utf8);
        let name = name.map_err(|reason| self.refuse(&String::from_utf8_lossy(raw), &reason))?;
        // Programs of DOS and Windows write their own separator; `unzip` reads it as one.
        match file.system() {
            System::Dos | System::WindowsNTFS if !name.contains('/') => Ok(name.replace('\\', "/")),
            _ => Ok(name),
        }
    }
}
