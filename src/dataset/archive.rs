//! The files and links of an archive, one after the other, as the usual tools unpack it; a file that is
//! packed in no way (weights, a list) is its own only content.
//!
//! Zip, tar, and tar or single files compressed by gzip, bzip2, xz or zstd are known by the ends of
//! their names. Devices, encrypted entries, duplicate names and names that leave the folder are refused;
//! whether a link stays in the data set is asked of the whole manifest.

mod encoding;
mod packing;
mod tar;
mod zip;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use globset::{Glob, GlobMatcher};

pub(super) use self::encoding::Encoding;
use self::packing::{Packing, packing_of};
use super::{Archive, DatasetError, at};
use crate::recipe::names::{self, RELATIVE_PATH};
use crate::tarball;

/// What an archive has under a name.
pub(super) enum Content<'a> {
    File(&'a mut dyn Read),
    /// A link to this target, as it stands in the archive.
    Symlink(String),
    /// A further name of an earlier file of the archive.
    HardLink(String),
}

/// Something in an archive.
pub(super) struct Entry<'a> {
    archive: &'a Path,
    /// Its name in the archive, normalised.
    pub name: String,
    pub content: Content<'a>,
}

impl Entry<'_> {
    /// Reads on; a damaged archive is an error that names the entry. Links have no content.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, DatasetError> {
        let Content::File(reader) = &mut self.content else { return Ok(0) };
        loop {
            match reader.read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => return other.map_err(|error| self.refuse(&error.to_string())),
            }
        }
    }

    /// The error that refuses this entry.
    pub fn refuse(&self, reason: &str) -> DatasetError {
        refuse(self.archive, &self.name, reason)
    }

    /// The path of this entry below the data set's folder.
    pub fn target(&self, archive: &Archive) -> Result<String, DatasetError> {
        self.place(archive, &self.name)
    }

    /// The path below the data set's folder of what the archive calls `name`.
    pub fn place(&self, archive: &Archive, name: &str) -> Result<String, DatasetError> {
        // A file that is its own only content stands in no folder of an archive.
        let inner = match archive.strip.as_ref().filter(|_| is_archive(&archive.file)) {
            None => name,
            Some(strip) => name
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
    let (path, reason) = (archive.to_owned(), reason.to_owned());
    DatasetError::Entry { path, entry: tarball::shortened(entry.as_bytes()), reason }
}

fn broken(path: &Path, reason: impl ToString) -> DatasetError {
    DatasetError::Archive { path: path.to_owned(), reason: reason.to_string() }
}

type Visit<'v> = dyn FnMut(Entry<'_>) -> Result<(), DatasetError> + 'v;

/// Whether the name is one of an archive that can be read.
pub(super) fn is_archive(name: &str) -> bool {
    matches!(packing_of(name).0, Packing::Zip | Packing::Tar(_))
}

/// Whether the files that a file of this name holds can be told: those of an archive, or itself.
pub(super) fn is_readable(name: &str) -> bool {
    packing_of(name).0 != Packing::Unknown
}

/// The name without what says how it is packed.
pub(super) fn stem(name: &str) -> &str {
    packing_of(name).1
}

/// The pattern of archives inside an archive; the reason where it is none.
pub(super) fn nested(pattern: &str) -> Result<GlobMatcher, String> {
    Glob::new(pattern).map(|glob| glob.compile_matcher()).map_err(|error| error.to_string())
}

/// Calls `visit` with every file and link of an archive that lies at `path`, in the archive's order.
pub(super) fn each_entry(
    archive: &Archive,
    path: &Path,
    visit: &mut Visit<'_>,
) -> Result<(), DatasetError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = BufReader::new(File::open(path).map_err(at("open", path))?);
    let encoding = archive.encoding.as_deref().and_then(Encoding::named);
    let nested = archive.nested.as_deref().map(nested).transpose();
    let nested = nested.map_err(|reason| broken(path, reason))?;
    let mut walk = Walk { path, encoding, nested, visit };
    match packing_of(&name) {
        (Packing::Zip, _) => walk.zip(file),
        (packing, stem) => walk.stream(packing, stem, "", file),
    }
}

/// A walk through one archive.
struct Walk<'w, 'v> {
    path: &'w Path,
    encoding: Option<Encoding>,
    /// Which files of the archive are archives to be unpacked.
    nested: Option<GlobMatcher>,
    visit: &'w mut Visit<'v>,
}

impl Walk<'_, '_> {
    /// What can be read from its beginning to its end; `folder` with a slash stands before each name.
    fn stream(
        &mut self,
        packing: Packing,
        stem: &str,
        folder: &str,
        mut reader: impl std::io::BufRead,
    ) -> Result<(), DatasetError> {
        match packing {
            Packing::Plain => self.file(format!("{folder}{stem}"), &mut reader),
            Packing::Single(coder) => {
                let mut reader = coder.reader(reader).map_err(|error| broken(self.path, error))?;
                self.file(format!("{folder}{stem}"), &mut reader)
            }
            Packing::Tar(coder) => {
                let reader = coder.reader(reader).map_err(|error| broken(self.path, error))?;
                self.tar(folder, reader)
            }
            // It is read from its end, which a stream does not have.
            Packing::Zip => Err(self.refuse(stem, "it is a zip file inside an archive")),
            Packing::Unknown => {
                let ends = "`.zip`, `.tar`, `.gz`, `.bz2`, `.xz` and `.zst`";
                Err(broken(self.path, format!("its name ends in none of {ends}")))
            }
        }
    }

    /// A file of the archive, which may be an archive itself.
    fn entry(&mut self, name: String, reader: &mut dyn Read) -> Result<(), DatasetError> {
        // An archive inside an inner one stays what it is.
        let Some(pattern) = self.nested.take_if(|pattern| pattern.is_match(&name)) else {
            return self.file(name, reader);
        };
        let (folder, file) =
            name.rsplit_once('/').map_or(("", name.as_str()), |(folder, file)| (folder, file));
        let (packing, stem) = packing_of(file);
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let result = match packing {
            Packing::Plain | Packing::Unknown | Packing::Zip => Err(self.refuse(
                &name,
                "`nested` names it, and it is no tar archive and no compressed file",
            )),
            Packing::Single(_) => self.stream(packing, stem, &folder, BufReader::new(reader)),
            Packing::Tar(_) => {
                self.stream(packing, stem, &format!("{folder}{stem}/"), BufReader::new(reader))
            }
        };
        self.nested = Some(pattern);
        result
    }

    fn file(&mut self, name: String, reader: &mut dyn Read) -> Result<(), DatasetError> {
        (self.visit)(Entry { archive: self.path, name, content: Content::File(reader) })
    }

    fn symlink(&mut self, name: String, target: String) -> Result<(), DatasetError> {
        (self.visit)(Entry { archive: self.path, name, content: Content::Symlink(target) })
    }

    fn hard_link(&mut self, name: String, first: String) -> Result<(), DatasetError> {
        (self.visit)(Entry { archive: self.path, name, content: Content::HardLink(first) })
    }

    /// A name as text, without `./` before it and `/` after it; refused if it leaves the folder.
    fn name(&self, raw: &[u8]) -> Result<String, DatasetError> {
        let text = encoding::decode(raw, self.encoding, false);
        let text = text.map_err(|reason| self.refuse(&String::from_utf8_lossy(raw), &reason))?;
        self.normalised(&text)
    }

    fn normalised(&self, raw: &str) -> Result<String, DatasetError> {
        let name = raw.strip_prefix("./").unwrap_or(raw);
        let name = name.strip_suffix('/').unwrap_or(name);
        if !names::relative_path(name) {
            return Err(self.refuse(raw, RELATIVE_PATH));
        }
        tarball::check_path(name.as_bytes()).map_err(|reason| self.refuse(raw, reason))?;
        Ok(name.to_owned())
    }

    fn refuse(&self, entry: &str, reason: &str) -> DatasetError {
        refuse(self.path, entry, reason)
    }
}
