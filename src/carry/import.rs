//! Reads a bundle, checks every byte, and brings it into the store.
//!
//! Nothing of a bundle is registered before its last byte was read and right. Inputs are the
//! exception that needs none: each enters the store under its own digest, as a download does, and
//! what nothing refers to is collected by `gc`.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::error::{CarryError, at};
use super::index::{self, BLOBS, Entry, LARGEST, PROJECT, RUNS};
use crate::bench;
use crate::build;
use crate::digest::{Digest, Hasher};
use crate::engine::Stop;
use crate::layer;
use crate::lock::Lock;
use crate::named_file;
use crate::recipe::Recipe;
use crate::store::{Store, StoreError};

/// What a bundle brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Name and seal of each image.
    pub images: Vec<(String, Digest)>,
    /// Name and folder of each run.
    pub runs: Vec<(String, PathBuf)>,
    /// The project: recipe, lock, data sets.
    pub project: PathBuf,
    /// Files of the bundle.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Imports the bundle that `reader` gives.
///
/// The project goes to `project`, which must be new or empty, or else into the store. Images are
/// registered under their seal; building, running and verifying them needs no network.
pub fn import(
    store: &Store,
    reader: &mut dyn Read,
    project: Option<&Path>,
    stop: &Stop,
    progress: &dyn Fn(u64),
) -> Result<Imported, CarryError> {
    if let Some(folder) = project
        && fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
    {
        return Err(CarryError::Exists { path: folder.to_owned() });
    }
    let scratch = store.scratch("import")?;
    let mut unpacker = Unpacker { store, reader, scratch: &scratch, stop, progress };
    let result = unpacker.unpack().and_then(|(index, entries)| {
        let files = entries.len();
        let bytes = entries.iter().map(|entry| entry.size).sum();
        let (images, project) = place_project(store, &scratch, &index, project)?;
        let runs = place_runs(store, &scratch)?;
        Ok(Imported { images, runs, project, files, bytes })
    });
    let _ = fs::remove_dir_all(&scratch);
    result
}

struct Unpacker<'a> {
    store: &'a Store,
    reader: &'a mut dyn Read,
    scratch: &'a Path,
    stop: &'a Stop,
    progress: &'a dyn Fn(u64),
}

impl Unpacker<'_> {
    /// Reads to the end; returns the digest of the index and the index.
    fn unpack(&mut self) -> Result<(Digest, Vec<Entry>), CarryError> {
        let (digest, entries) = self.index()?;
        for entry in &entries {
            self.entry(entry)?;
        }
        self.expect(&[0; 1024], "its end")?;
        let mut more = [0];
        match self.reader.read(&mut more).map_err(CarryError::Read)? {
            0 => Ok((digest, entries)),
            _ => Err(CarryError::OtherEntry {
                expected: "the end of the file".to_owned(),
                found: "more bytes".to_owned(),
            }),
        }
    }

    fn index(&mut self) -> Result<(Digest, Vec<Entry>), CarryError> {
        let no_bundle = |reason: &str| CarryError::NotABundle { reason: reason.to_owned() };
        let mut header = [0; 512];
        self.fill(&mut header, "the index").map_err(|error| match error {
            CarryError::Cut { .. } => no_bundle("it is too short"),
            other => other,
        })?;
        let read = tar::Header::from_byte_slice(&header);
        let path = String::from_utf8_lossy(&read.path_bytes()).into_owned();
        let promised = index::promised(&path).ok_or_else(|| {
            no_bundle("its first entry is no index; `repro bundle` writes one first")
        })?;
        let size = read.entry_size().map_err(|_| no_bundle("the index has no size"))?;
        if size > LARGEST || layer::archive_header(&path, size) != header {
            return Err(no_bundle("the header of its index is damaged"));
        }
        // Not made in one piece: a header may claim what never comes.
        let mut text = Vec::new();
        let mut reader = (&mut *self.reader).take(size);
        reader.read_to_end(&mut text).map_err(CarryError::Read)?;
        (self.progress)(text.len() as u64);
        if text.len() as u64 != size {
            return Err(CarryError::Cut { path });
        }
        let found = Digest::of(&text);
        if found != promised {
            return Err(CarryError::Damaged { path, expected: promised, found });
        }
        self.expect(&super::bundle::padding(size), "the index")?;
        Ok((promised, index::parse(&text)?))
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), CarryError> {
        let expected = entry.header();
        let mut header = vec![0; expected.len()];
        self.fill(&mut header, &entry.path)?;
        if header != expected {
            let last = header.len() - 512;
            let found = tar::Header::from_byte_slice(header[last..].try_into().expect("512 bytes"));
            let name = String::from_utf8_lossy(&found.path_bytes()).into_owned();
            let found = match name.as_str() {
                "" => "the end of the archive".to_owned(),
                name if name == entry.path => format!("`{name}` with another header"),
                name => format!("`{name}`"),
            };
            return Err(CarryError::OtherEntry { expected: format!("`{}`", entry.path), found });
        }
        let is_blob = entry.path.starts_with(BLOBS);
        let content = match is_blob {
            true if self.store.size_of(&entry.digest) != Some(entry.size) => self.blob(entry),
            false if is_kept(entry) => self.file(entry),
            // What is there already, and the program, are only checked.
            _ => self.copy(entry, &mut io::sink()),
        };
        content?;
        self.expect(&super::bundle::padding(entry.size), &entry.path)
    }

    fn blob(&mut self, entry: &Entry) -> Result<(), CarryError> {
        let mut writer = self.store.writer()?;
        self.copy(entry, &mut writer)?;
        Ok(writer.finish_as(&entry.name, &entry.digest, entry.size)?)
    }

    fn file(&mut self, entry: &Entry) -> Result<(), CarryError> {
        let place = self.scratch.join(&entry.path);
        let above = place.parent().unwrap_or(self.scratch);
        fs::create_dir_all(above).map_err(at("create", above))?;
        let mut file = fs::File::create_new(&place).map_err(at("create", &place))?;
        self.copy(entry, &mut file)?;
        file.sync_all().map_err(at("sync", &place))
    }

    /// Copies an entry's bytes and compares them with the index.
    fn copy(&mut self, entry: &Entry, out: &mut dyn Write) -> Result<(), CarryError> {
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 1 << 20];
        let mut left = entry.size;
        while left > 0 {
            if self.stop.is_requested() {
                return Err(CarryError::Stopped);
            }
            let count = left.min(buffer.len() as u64) as usize;
            self.fill(&mut buffer[..count], &entry.path)?;
            hasher.update(&buffer[..count]);
            let writing = |source| StoreError::Io {
                action: "write",
                path: self.store.root().to_owned(),
                source,
            };
            out.write_all(&buffer[..count]).map_err(writing)?;
            left -= count as u64;
        }
        let found = hasher.finish();
        if found == entry.digest {
            return Ok(());
        }
        Err(CarryError::Damaged { path: entry.path.clone(), expected: entry.digest, found })
    }

    fn fill(&mut self, buffer: &mut [u8], path: &str) -> Result<(), CarryError> {
        self.reader.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => CarryError::Cut { path: path.to_owned() },
            _ => CarryError::Read(error),
        })?;
        // Headers count, too: of many small files they are most of the bundle.
        (self.progress)(buffer.len() as u64);
        Ok(())
    }

    fn expect(&mut self, expected: &[u8], path: &str) -> Result<(), CarryError> {
        let mut found = vec![0; expected.len()];
        self.fill(&mut found, path)?;
        if found == expected {
            return Ok(());
        }
        Err(CarryError::OtherEntry {
            expected: format!("zeros behind `{path}`"),
            found: "other bytes".to_owned(),
        })
    }
}

/// Whether it goes into a folder.
fn is_kept(entry: &Entry) -> bool {
    entry.path.starts_with(PROJECT) || entry.path.starts_with(RUNS)
}

/// What an image is registered with.
struct Registration {
    lock: Lock,
    recipe: Option<String>,
}

/// Puts the project where it is to be and registers its images.
fn place_project(
    store: &Store,
    scratch: &Path,
    index: &Digest,
    target: Option<&Path>,
) -> Result<(Vec<(String, Digest)>, PathBuf), CarryError> {
    let unpacked = scratch.join("project");
    // A project is recognised by these two.
    for folder in ["images", "lockfiles"] {
        let folder = unpacked.join(folder);
        fs::create_dir_all(&folder).map_err(at("create", &folder))?;
    }
    let registrations = registrations(&unpacked)?;
    for Registration { lock, .. } in &registrations {
        build::refuse_other(store, lock)?;
        build::import_local_files(store, &unpacked.join("images"), lock)?;
        build::import_profile_files(store, &unpacked.join("images"), lock)?;
    }
    let place = match target {
        Some(folder) => {
            move_to(&unpacked, folder)?;
            folder.canonicalize().map_err(at("read", folder))?
        }
        None => store.adopt_checkout(&unpacked, index)?,
    };
    let mut images = Vec::new();
    for Registration { lock, recipe } in registrations {
        let Some(seal) = lock.seal.as_ref().map(|seal| seal.manifest) else { continue };
        build::register_source(store, &lock, &seal, recipe.as_deref(), &place.join("images"))?;
        images.push((lock.name, seal));
    }
    Ok((images, place))
}

/// The locks of a project, each with its recipe.
fn registrations(project: &Path) -> Result<Vec<Registration>, CarryError> {
    let folder = project.join("lockfiles");
    let mut found = Vec::new();
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder).map_err(at("read", &folder))? {
        paths.push(entry.map_err(at("read", &folder))?.path());
    }
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "lock")) {
        let text = named_file::read_text(path).map_err(at("read", path))?;
        let lock = Lock::parse(&text, path)?;
        let recipe = recipe_of(&project.join("images"), &lock.name);
        found.push(Registration { lock, recipe });
    }
    Ok(found)
}

/// The text of an image's recipe. Files of its other variants need not be there, so it is not loaded.
fn recipe_of(folder: &Path, image_name: &str) -> Option<String> {
    let mut paths: Vec<_> =
        fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().find_map(|path| {
        let text = named_file::read_text(&path).ok()?;
        Recipe::makes(&path, &text, image_name).then_some(text)
    })
}

/// Moves runs into the store; one that is there already stays as it is.
fn place_runs(store: &Store, scratch: &Path) -> Result<Vec<(String, PathBuf)>, CarryError> {
    let folder = scratch.join("runs");
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let mut runs = Vec::new();
    for entry in entries {
        let entry = entry.map_err(at("read", &folder))?;
        let place = store.runs().join(entry.file_name());
        let is_new = !place.exists();
        store.adopt(&entry.path(), &place)?;
        for path in bench::record_files(&place).into_iter().filter(|_| is_new) {
            let bytes = fs::read(&path).map_err(at("read", &path))?;
            bench::remember_copy(store, &path, &bytes)?;
        }
        runs.push((entry.file_name().to_string_lossy().into_owned(), place));
    }
    runs.sort();
    Ok(runs)
}

/// Moves a folder, across file systems by a copy that appears when it is complete.
fn move_to(from: &Path, to: &Path) -> Result<(), CarryError> {
    if let Some(above) = to.parent().filter(|above| !above.as_os_str().is_empty()) {
        fs::create_dir_all(above).map_err(at("create", above))?;
    }
    if fs::rename(from, to).is_ok() {
        return Ok(());
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = to.with_file_name(name);
    let _ = fs::remove_dir_all(&partial);
    let copied = copy_folder(from, &partial);
    let moved = copied.and_then(|()| fs::rename(&partial, to));
    moved.map_err(|error| {
        let _ = fs::remove_dir_all(&partial);
        at("create", to)(error)
    })
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &place)?,
            false => fs::copy(entry.path(), &place).map(drop)?,
        }
    }
    Ok(())
}
