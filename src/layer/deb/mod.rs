//! Unpacks Debian packages, on paper, into one layer.
//!
//! No maintainer script runs. What scripts would have made stands in the recipe's
//! tables of links and files, which win over packages. Each package leaves its
//! control file in `var/lib/dpkg/status.d/`, so that scanners see it. Devices are
//! refused, set-user bits dropped, hard links inside one package kept.

mod archive;
mod unpack;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom};

use ::tar::EntryType;

use self::archive::{refuse, unusable};
pub(super) use self::unpack::Unpacked;
use self::unpack::UnpackedPackage;
use super::Directories;
use super::error::{LayerError, reading};
use super::plan::{Entry, Input, Source};
use super::sources::Sources;
use super::tree::Tree;
use super::zip::normal;
use crate::tarball;

/// What the recipe puts beside the packages, or above them.
pub(super) struct Tables<'a> {
    /// Path to target.
    pub(super) symlinks: &'a BTreeMap<String, String>,
    /// Path to content.
    pub(super) files: &'a BTreeMap<String, String>,
    /// Paths at which the layer above has something of the recipe's own.
    pub(super) above: &'a BTreeSet<String>,
}

/// One entry of a package.
struct Packaged {
    path: String,
    kind: Kind,
}

enum Kind {
    Directory,
    File { executable: bool, offset: u64, size: u64 },
    Symlink(String),
}

/// Where control files go.
const STATUS: &str = "var/lib/dpkg/status.d";

/// Plans the entries of the packages, which are all of the layer's inputs; `locked` are
/// the names and versions that were locked. With the entries come notes for a reader.
pub(super) fn plan(
    inputs: &[Input],
    locked: &[(&str, &str)],
    unpacked: &Unpacked,
    tables: &Tables<'_>,
    below: &Directories,
    sources: &mut Sources,
) -> Result<(Vec<Entry>, Vec<String>), LayerError> {
    let mut packages = Vec::new();
    for ((input, package), (name, version)) in inputs.iter().zip(&unpacked.packages).zip(locked) {
        check_control(&input.file, &package.control, name, version)?;
        packages.push(read_entries(&input.file, package)?);
    }
    let mut tree = Tree::new(below, inputs);
    let above = tables.above.iter().map(|path| table_path(path));
    tree.cover(above.collect::<Result<_, _>>()?);
    tree.add_links(links(&packages, tables)?)?;
    for (path, content) in tables.files {
        let source = Source::Literal(content.as_bytes().to_vec());
        tree.add_file(sources, &table_path(path)?, None, false, source)?;
    }
    for (index, entries) in packages.iter().enumerate() {
        add_package(&mut tree, index as u32, entries, sources)?;
        let control = format!("{}\n", unpacked.packages[index].control.trim_end());
        let source = Source::Literal(control.into_bytes());
        let path = format!("{STATUS}/{}", locked[index].0);
        tree.add_file(sources, &path, Some(index as u32), false, source)?;
    }
    let notes = tree.take_notes();
    Ok((tree.finish()?, notes))
}

/// Adds what is no symbolic link; those were added before.
fn add_package(
    tree: &mut Tree<'_>,
    input: u32,
    entries: &[Packaged],
    sources: &mut Sources,
) -> Result<(), LayerError> {
    for Packaged { path, kind } in entries {
        match *kind {
            Kind::Symlink(_) => {}
            Kind::Directory => tree.add_directory(path, Some(input))?,
            Kind::File { executable, offset, size } => {
                let source = Source::Packaged { input, offset, size };
                tree.add_file(sources, path, Some(input), executable, source)?;
            }
        }
    }
    Ok(())
}

/// Every symbolic link of the recipe and the packages, with its owner.
fn links(
    packages: &[Vec<Packaged>],
    tables: &Tables<'_>,
) -> Result<Vec<(Option<u32>, String, String)>, LayerError> {
    let mut links = Vec::new();
    for (path, target) in tables.symlinks {
        links.push((None, table_path(path)?, target.clone()));
    }
    for (index, entries) in packages.iter().enumerate() {
        for Packaged { path, kind } in entries {
            if let Kind::Symlink(target) = kind {
                links.push((Some(index as u32), path.clone(), target.clone()));
            }
        }
    }
    Ok(links)
}

/// A path of the recipe's tables as a path in a layer.
pub(super) fn table_path(path: &str) -> Result<String, LayerError> {
    super::layer_path(path, "the recipe")
}

/// The control file must be of the package that was locked.
fn check_control(file: &str, control: &str, name: &str, version: &str) -> Result<(), LayerError> {
    for (field, locked) in [("Package", name), ("Version", version)] {
        let found = control.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(field).then(|| value.trim())
        });
        if found != Some(locked) {
            let found = found.unwrap_or("nothing");
            let reason = format!(
                "its {field} is not the one that was locked\n  locked  {locked}\n  found   {found}"
            );
            return Err(refuse(file, reason));
        }
    }
    Ok(())
}

fn read_entries(file: &str, package: &UnpackedPackage) -> Result<Vec<Packaged>, LayerError> {
    let mut data = &*package.data;
    data.seek(SeekFrom::Start(0)).map_err(reading(file))?;
    let total = data.metadata().map_err(reading(file))?.len();
    let mut lister = Lister { file, total, files: BTreeMap::new() };
    let mut archive = tarball::open(data);
    let mut entries = Vec::new();
    for entry in archive.entries_with_seek().map_err(reading(file))? {
        let entry = entry.map_err(|error| unusable(file, error))?;
        let path = entry_path(file, &entry.path_bytes())?;
        let kind = lister.kind(&path, &entry)?;
        // The root folder itself is no entry of a layer.
        if !path.is_empty() {
            entries.push(Packaged { path, kind });
        } else if !matches!(kind, Kind::Directory) {
            return Err(refuse(file, "its root is not a folder".to_owned()));
        }
    }
    Ok(entries)
}

/// Reads the entries of one package.
struct Lister<'a> {
    file: &'a str,
    /// Bytes of its `data.tar`.
    total: u64,
    /// The files so far, for hard links: executable, offset, size.
    files: BTreeMap<String, (bool, u64, u64)>,
}

impl Lister<'_> {
    fn kind<R: Read>(
        &mut self,
        path: &str,
        entry: &::tar::Entry<'_, R>,
    ) -> Result<Kind, LayerError> {
        match entry.header().entry_type() {
            EntryType::Directory => Ok(Kind::Directory),
            EntryType::Symlink => Ok(Kind::Symlink(self.target(path, entry)?)),
            EntryType::Regular | EntryType::Continuous => self.regular(path, entry),
            EntryType::Link => self.hard_link(path, entry),
            _ => Err(self.refuse(format!("its `{path}` is a device or a pipe"))),
        }
    }

    fn regular<R: Read>(
        &mut self,
        path: &str,
        entry: &::tar::Entry<'_, R>,
    ) -> Result<Kind, LayerError> {
        let mode = entry.header().mode().map_err(reading(self.file))?;
        let (executable, offset, size) =
            (mode & 0o111 != 0, entry.raw_file_position(), entry.size());
        if offset.checked_add(size).is_none_or(|end| end > self.total) {
            return Err(self.refuse(format!("its `{path}` is cut off")));
        }
        self.files.insert(path.to_owned(), (executable, offset, size));
        Ok(Kind::File { executable, offset, size })
    }

    fn hard_link<R: Read>(
        &mut self,
        path: &str,
        entry: &::tar::Entry<'_, R>,
    ) -> Result<Kind, LayerError> {
        let target = self.target(path, entry)?;
        let Some(found) = self.files.get(&entry_path(self.file, target.as_bytes())?) else {
            let reason =
                format!("its hard link `{path}` leads to `{target}`, which is no file before it");
            return Err(self.refuse(reason));
        };
        let (executable, offset, size) = *found;
        self.files.insert(path.to_owned(), *found);
        Ok(Kind::File { executable, offset, size })
    }

    fn target<R: Read>(
        &self,
        path: &str,
        entry: &::tar::Entry<'_, R>,
    ) -> Result<String, LayerError> {
        let bytes = entry.link_name_bytes();
        let target = bytes.as_deref().and_then(|target| std::str::from_utf8(target).ok());
        let target = target.filter(|target| !target.is_empty() && !target.contains('\0'));
        let unusable = || self.refuse(format!("its link `{path}` has no usable target"));
        target.map(str::to_owned).ok_or_else(unusable)
    }

    fn refuse(&self, reason: String) -> LayerError {
        refuse(self.file, reason)
    }
}

/// A path of a package's archive, `./usr/bin/x`, as a path in the layer.
fn entry_path(file: &str, bytes: &[u8]) -> Result<String, LayerError> {
    let Ok(path) = std::str::from_utf8(bytes) else {
        let path = String::from_utf8_lossy(bytes);
        return Err(refuse(file, format!("its `{path}` has a name that is not UTF-8")));
    };
    if path.split('/').any(|part| part == "..") || path.contains('\0') {
        return Err(refuse(file, format!("its `{path}` leads out of the package")));
    }
    Ok(normal(path))
}
