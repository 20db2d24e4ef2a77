//! Writes what was measured into `datasets.toml`, and leaves the rest of it as it is.

mod folder;

use std::path::{Path, PathBuf};

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike, value};

use super::archive::{is_readable, stem};
use super::hash::hash_all;
use super::read::FILE;
use super::{
    Archive, Dataset, DatasetError, Datasets, Manifest, Progress, at, check_known, derived,
};
use crate::digest::Digest;
use crate::recipe::names;
use crate::store::Store;
use crate::store::write_inside;

/// What was measured, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The data set's name.
    pub name: String,
    /// The archive's digest; of a folder, its manifest's.
    pub sha256: Digest,
    /// The size of the archive, or of all files of the folder, in bytes.
    pub size: u64,
    /// The new text of `datasets.toml`.
    pub datasets: String,
    /// The data set's table in it.
    pub entry: String,
    /// The manifest's path in the project and its text; `None` if the file is packed in a way that
    /// is not read here, or another file of the data set is not pinned or not beside it.
    pub manifest: Option<(String, String)>,
    /// Why there is no manifest yet, where another file of the data set keeps it back.
    pub waits_for: Option<String>,
}

/// Measures `file`, an archive that `datasets.toml` names or a new one, or the folder of a data set.
///
/// A pin that is there and differs is an error unless `replace` says otherwise; so is whatever
/// else is known of the file and does not hold when it is pinned for the first time.
pub fn pin(
    datasets: &Datasets,
    file: &Path,
    replace: bool,
    store: &Store,
    progress: &dyn Progress,
) -> Result<Pinned, DatasetError> {
    let real = file.canonicalize().map_err(at("read", file))?;
    if real.is_dir() {
        return folder::pin(datasets, &real, replace, store, progress);
    }
    let hashed = hash_all(store, std::slice::from_ref(&real), true, progress)?;
    let (sha256, size) = match hashed.into_values().next() {
        Some(Ok(found)) => found,
        Some(Err(reason)) => return Err(at("read", file)(std::io::Error::other(reason))),
        None => return Err(at("read", file)(std::io::ErrorKind::NotFound.into())),
    };
    let place = Place::find(datasets, &real)?;
    if let Some(pinned) = place.archive.sha256.filter(|pinned| *pinned != sha256 && !replace) {
        let file = place.archive.file;
        return Err(DatasetError::PinnedOtherwise { file, pinned, found: sha256 });
    }
    if place.archive.sha256.is_none() && !replace {
        check_known(&place.archive, &real, (&sha256, size), progress)?;
    }
    let (manifest, waits_for) = match neighbours(&place, &real, store, progress)? {
        Neighbours::Whole(others) => (measure(&place, &real, others)?, None),
        Neighbours::Open(reason) => (None, Some(reason)),
    };
    let manifest = manifest.map(|manifest| (place.manifest_path(), manifest));
    let mut text = datasets.text.parse::<DocumentMut>().map_err(|error| wrong(datasets, error))?;
    let tree = manifest.as_ref().map(|(path, manifest)| (path.as_str(), manifest.digest()));
    let head = take_head(&mut text);
    place.write(&mut text, Some((sha256, size)), tree);
    let entry = entry_text(&text, &place.name);
    Ok(Pinned {
        name: place.name,
        sha256,
        size,
        datasets: format!("{head}{text}"),
        entry,
        manifest: manifest.map(|(path, manifest)| (path, manifest.to_text())),
        waits_for,
    })
}

impl Pinned {
    /// Writes manifest and `datasets.toml` into the project, each in one step.
    pub fn write(&self, project: &Path) -> Result<(), DatasetError> {
        if let Some((path, text)) = &self.manifest {
            replace_file(project, path, text)?;
        }
        replace_file(project, FILE, &self.datasets)
    }
}

fn wrong(datasets: &Datasets, error: toml_edit::TomlError) -> DatasetError {
    at("edit", &datasets.project.join(FILE))(std::io::Error::other(error))
}

fn replace_file(project: &Path, file: &str, text: &str) -> Result<(), DatasetError> {
    let written = write_inside(project, Path::new(file), text.as_bytes());
    written.map_err(at("write", &project.join(file)))
}

/// The archive's entry in `datasets.toml`, made up if there is none.
struct Place {
    name: String,
    /// Which archive of the data set; `None` for a new data set.
    index: Option<usize>,
    archive: Archive,
    set: Option<Dataset>,
}

impl Place {
    fn find(datasets: &Datasets, file: &Path) -> Result<Self, DatasetError> {
        let file_name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let inside = datasets.project.canonicalize().ok();
        let inside = inside.and_then(|project| file.strip_prefix(project).ok());
        let path = inside.and_then(Path::to_str).map(str::to_owned);
        if let Some((set, index)) = Self::listed(datasets, file, &file_name, path.as_ref())? {
            let archive = set.archives[index].clone();
            let (name, set) = (set.name.clone(), Some(set.clone()));
            return Ok(Self { name, index: Some(index), archive, set });
        }
        let name = stem(&file_name).to_ascii_lowercase();
        if !names::plain_name(&name) || !names::file_name(&file_name) {
            let reason = format!("no data set can be named after it: {}", names::PLAIN_NAME);
            return Err(DatasetError::Archive { path: file.to_owned(), reason });
        }
        if datasets.sets.contains_key(&name) {
            let reason = format!("data set `{name}` has no archive of this name");
            return Err(DatasetError::Archive { path: file.to_owned(), reason });
        }
        Ok(Self { name, index: None, archive: new_archive(file_name, path), set: None })
    }

    /// The data set that lists the file, and where; of several, the one whose name its folder has.
    fn listed<'d>(
        datasets: &'d Datasets,
        file: &Path,
        file_name: &str,
        path: Option<&String>,
    ) -> Result<Option<(&'d Dataset, usize)>, DatasetError> {
        let named = |archive: &Archive| match &archive.path {
            Some(own) => Some(own) == path,
            None => archive.file == file_name,
        };
        let listing = |set: &'d Dataset| Some((set, set.archives.iter().position(named)?));
        let mut found: Vec<_> = datasets.sets.values().filter_map(listing).collect();
        let folder = file.parent().and_then(Path::file_name);
        if found.len() > 1 {
            found.retain(|(set, _)| folder.is_some_and(|folder| *folder == *set.name));
            if found.is_empty() {
                let sets = datasets.sets.values().filter_map(listing);
                let sets = sets.map(|(set, _)| set.name.clone()).collect();
                return Err(DatasetError::Ambiguous { file: file_name.to_owned(), sets });
            }
        }
        Ok(found.pop())
    }

    /// The manifest's file: the one named already, or one beside the archive, or one in `datasets`.
    fn manifest_path(&self) -> String {
        let named = self.set.as_ref().and_then(|set| set.tree.as_ref());
        if let Some(path) = named.and_then(|tree| tree.manifest.clone()) {
            return path;
        }
        let folder = match self.archive.path.as_deref().map(Path::new).and_then(Path::parent) {
            Some(folder) if folder.as_os_str().is_empty() => String::new(),
            Some(folder) => format!("{}/", folder.display()),
            None => "datasets/".to_owned(),
        };
        format!("{folder}{}.tree", self.name)
    }

    fn write(
        &self,
        text: &mut DocumentMut,
        file: Option<(Digest, u64)>,
        tree: Option<(&str, Digest)>,
    ) {
        let new = || Item::Table(self.new_table(file.is_some()));
        let set = text.entry(&self.name).or_insert_with(new);
        let Some(set) = set.as_table_like_mut() else { return };
        let archive = file.zip(archive_table(set, self.index.unwrap_or(0)));
        if let Some(((sha256, size), archive)) = archive {
            archive.insert("size", value(i64::try_from(size).unwrap_or(i64::MAX)));
            archive.insert("sha256", value(sha256.hex()));
            archive.remove("unpinned");
        }
        if let Some((path, digest)) = tree {
            let rule = set.entry("tree").or_insert(Item::Table(Table::new()));
            if let Some(rule) = rule.as_table_like_mut() {
                rule.insert("manifest", value(path));
                rule.insert("sha256", value(digest.hex()));
                rule.remove("counts");
                rule.remove("list");
            }
        }
    }

    /// A table for a data set that was not listed.
    fn new_table(&self, has_archive: bool) -> Table {
        let mut table = Table::new();
        table.insert("title", value(&self.name));
        if !has_archive {
            return table;
        }
        let mut archive = Table::new();
        archive.insert("file", value(&self.archive.file));
        if let Some(path) = &self.archive.path {
            archive.insert("path", value(path));
        }
        let mut archives = ArrayOfTables::new();
        archives.push(archive);
        table.insert("archive", Item::ArrayOfTables(archives));
        table
    }
}

/// The table of one archive, whether the archives stand as `[[NAME.archive]]` or as a list.
fn archive_table(set: &mut dyn TableLike, index: usize) -> Option<&mut dyn TableLike> {
    match set.get_mut("archive")? {
        Item::ArrayOfTables(tables) => tables.get_mut(index).map(|table| table as _),
        Item::Value(toml_edit::Value::Array(list)) => {
            list.get_mut(index)?.as_inline_table_mut().map(|table| table as _)
        }
        _ => None,
    }
}

/// The comments of a file without tables: its end to the parser, its head to a person.
fn take_head(text: &mut DocumentMut) -> String {
    if !text.is_empty() {
        return String::new();
    }
    let head = text.trailing().as_str().map(str::trim_end).unwrap_or_default().to_owned();
    text.set_trailing("");
    if head.is_empty() { head } else { head + "\n\n" }
}

/// The text of one data set alone.
fn entry_text(text: &DocumentMut, name: &str) -> String {
    let mut alone = DocumentMut::new();
    if let Some(item) = text.get(name) {
        alone.insert(name, item.clone());
    }
    alone.to_string().trim_start().to_owned()
}

fn new_archive(file: String, path: Option<String>) -> Archive {
    Archive {
        file,
        path,
        urls: Vec::new(),
        size: None,
        sha256: None,
        unpinned: None,
        page: None,
        checks: Default::default(),
        evidence: String::new(),
        strip: None,
        unpack: None,
        encoding: None,
        nested: None,
        parts: Vec::new(),
    }
}

/// The other files of the data set, which lie beside the one that is pinned.
enum Neighbours<'a> {
    /// All are there, and each is the one that is pinned.
    Whole(Vec<(&'a Archive, PathBuf)>),
    /// One is not pinned or not there, so nobody can tell what the data set's files are.
    Open(String),
}

/// Looks at the other files of the data set.
///
/// # Errors
///
/// [`DatasetError::Neighbour`] if one of them is not the one that is pinned.
fn neighbours<'a>(
    place: &'a Place,
    file: &Path,
    store: &Store,
    progress: &dyn Progress,
) -> Result<Neighbours<'a>, DatasetError> {
    let all = place.set.iter().flat_map(|set| &set.archives).enumerate();
    let others = all.filter(|(index, _)| Some(*index) != place.index);
    let others: Vec<(&Archive, PathBuf)> =
        others.map(|(_, other)| (other, file.with_file_name(&other.file))).collect();
    let is_open = |other: &&(&Archive, PathBuf)| other.0.sha256.is_none() || !other.1.is_file();
    if let Some((other, path)) = others.iter().find(is_open) {
        let state = if path.is_file() { "is not pinned" } else { "is not beside it" };
        return Ok(Neighbours::Open(format!("`{}` {state}", other.file)));
    }
    let paths: Vec<PathBuf> = others.iter().map(|(_, path)| path.clone()).collect();
    let hashed = hash_all(store, &paths, false, progress)?;
    for (other, path) in &others {
        let found = match hashed.get(path) {
            Some(Ok((found, _))) => *found,
            Some(Err(reason)) => {
                return Err(at("read", path)(std::io::Error::other(reason.clone())));
            }
            None => return Err(at("read", path)(std::io::ErrorKind::NotFound.into())),
        };
        if let Some(pinned) = other.sha256.filter(|pinned| *pinned != found) {
            let (name, path) = (place.name.clone(), path.clone());
            return Err(DatasetError::Neighbour { name, path, pinned, found });
        }
    }
    Ok(Neighbours::Whole(others))
}

/// The manifest of all archives of the data set, or `None` if one is packed in a way that is not
/// read here.
fn measure(
    place: &Place,
    file: &Path,
    others: Vec<(&Archive, PathBuf)>,
) -> Result<Option<Manifest>, DatasetError> {
    let mut archives: Vec<(&Archive, PathBuf)> = vec![(&place.archive, file.to_owned())];
    archives.extend(others);
    if !archives.iter().all(|(archive, _)| is_readable(&archive.file)) {
        return Ok(None);
    }
    derived::measure(&archives).map(Some)
}
