//! The regular files of a zip, tar or gzip-compressed tar, one after the other; a file that is
//! packed in no way (weights, a list) is its own only content.
//!
//! Links, devices, encrypted entries, duplicate names and names that leave the
//! folder are refused: no published data set of the guides has any.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use tar::EntryType;

use super::{Archive, DatasetError, at};
use crate::recipe::names::{self, RELATIVE_PATH};
use crate::tarball;

/// A file inside an archive.
pub(super) struct Entry<'a> {
    archive: &'a Path,
    /// Its name in the archive, normalised.
    pub name: &'a str,
    reader: &'a mut dyn Read,
}

impl Entry<'_> {
    /// Reads on; a damaged archive is an error that names the entry.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, DatasetError> {
        loop {
            match self.reader.read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => return other.map_err(|error| self.refuse(&error.to_string())),
            }
        }
    }

    /// The error that refuses this entry.
    pub fn refuse(&self, reason: &str) -> DatasetError {
        refuse(self.archive, self.name, reason)
    }

    /// The path of this entry below the data set's folder.
    pub fn target(&self, archive: &Archive) -> Result<String, DatasetError> {
        // A file that is its own only content stands in no folder of an archive.
        let inner = match archive.strip.as_ref().filter(|_| is_archive(&archive.file)) {
            None => self.name,
            Some(strip) => self
                .name
                .strip_prefix(strip.as_str())
                .and_then(|rest| rest.strip_prefix('/'))
                .ok_or_else(|| self.refuse(&format!("it is not below `{strip}`")))?,
        };
        Ok(match &archive.unpack {
            None => inner.to_owned(),
            Some(folder) => format!("{folder}/{inner}"),
        })
    }
}

fn refuse(archive: &Path, entry: &str, reason: &str) -> DatasetError {
    let (path, entry, reason) = (archive.to_owned(), entry.to_owned(), reason.to_owned());
    DatasetError::Entry { path, entry, reason }
}

fn broken(path: &Path, reason: impl ToString) -> DatasetError {
    DatasetError::Archive { path: path.to_owned(), reason: reason.to_string() }
}

type Visit<'v> = dyn FnMut(Entry<'_>) -> Result<(), DatasetError> + 'v;

/// Whether the name is one of an archive that can be read.
pub(super) fn is_archive(name: &str) -> bool {
    [".zip", ".tar", ".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end))
}

/// Endings of what is packed in a way that is not read here.
const OTHERWISE_PACKED: [&str; 8] = [".7z", ".rar", ".gz", ".bz2", ".tbz2", ".xz", ".txz", ".zst"];

/// Whether the files that a file of this name holds can be told: those of an archive, or itself.
pub(super) fn is_readable(name: &str) -> bool {
    is_archive(name) || !OTHERWISE_PACKED.iter().any(|end| name.ends_with(end))
}

/// Calls `visit` with every regular file of the archive at `path`, in the archive's order.
pub(super) fn each_file(path: &Path, visit: &mut Visit<'_>) -> Result<(), DatasetError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut file = BufReader::new(File::open(path).map_err(at("open", path))?);
    if name.ends_with(".zip") {
        each_in_zip(path, file, visit)
    } else if name.ends_with(".tar") {
        each_in_tar(path, file, visit)
    } else if is_archive(&name) {
        each_in_tar(path, MultiGzDecoder::new(file), visit)
    } else if is_readable(&name) {
        visit(Entry { archive: path, name: &name, reader: &mut file })
    } else {
        Err(broken(path, "its name ends in none of `.zip`, `.tar`, `.tar.gz` and `.tgz`"))
    }
}

fn each_in_zip(
    path: &Path,
    file: BufReader<File>,
    visit: &mut Visit<'_>,
) -> Result<(), DatasetError> {
    let mut zip = zip::ZipArchive::new(file).map_err(|error| broken(path, error))?;
    if zip.has_duplicate_names() {
        return Err(broken(path, "two entries have one name"));
    }
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).map_err(|error| broken(path, error))?;
        let raw = file.name().map_err(|error| broken(path, error))?.into_owned();
        let name = normalised(path, &raw)?;
        if file.is_symlink() {
            return Err(refuse(path, &name, "it is a symbolic link"));
        }
        if !file.is_dir() {
            visit(Entry { archive: path, name: &name, reader: &mut file })?;
        }
    }
    Ok(())
}

fn each_in_tar(path: &Path, reader: impl Read, visit: &mut Visit<'_>) -> Result<(), DatasetError> {
    let mut tar = tarball::open(reader);
    for entry in tar.entries().map_err(|error| broken(path, error))? {
        let mut entry = entry.map_err(|error| broken(path, error))?;
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let raw = String::from_utf8(entry.path_bytes().into_owned());
        let raw = raw.map_err(|_| broken(path, "an entry's name is not UTF-8"))?;
        match kind {
            // The root of an archive made by `tar -C FOLDER .`.
            EntryType::Directory if matches!(raw.as_str(), "." | "./") => {}
            EntryType::Directory => drop(normalised(path, &raw)?),
            EntryType::Regular | EntryType::Continuous => {
                let name = normalised(path, &raw)?;
                visit(Entry { archive: path, name: &name, reader: &mut entry })?;
            }
            _ => return Err(refuse(path, &raw, "it is neither a file nor a folder")),
        }
    }
    Ok(())
}

/// The name without `./` before it and `/` after it; refused if it leaves the folder.
fn normalised(path: &Path, raw: &str) -> Result<String, DatasetError> {
    let name = raw.strip_prefix("./").unwrap_or(raw);
    let name = name.strip_suffix('/').unwrap_or(name);
    if names::relative_path(name) {
        return Ok(name.to_owned());
    }
    Err(refuse(path, raw, RELATIVE_PATH))
}
