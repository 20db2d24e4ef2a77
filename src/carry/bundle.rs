//! Writes a bundle: one tar archive, first its index, then everything the index names.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::error::{CarryError, at};
use super::index::{self, BLOBS, Entry, PROGRAM, PROJECT, RUNS};
use crate::digest::{CheckedReader, Digest, hash_reader};
use crate::engine::Stop;
use crate::layer;
use crate::lock::{Lock, PinnedKind};
use crate::store::Store;

/// What goes into a bundle.
#[derive(Debug, Default)]
pub struct Contents {
    /// By path in the archive.
    parts: BTreeMap<String, Part>,
}

/// One file of a bundle, and where its bytes are.
#[derive(Debug, Clone)]
pub struct Part {
    entry: Entry,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl Part {
    /// What a reader calls it.
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.entry.size
    }
}

impl Contents {
    /// Adds a sealed lock, its recipe (`SYSTEM.toml`) and every file that the lock pins.
    ///
    /// Layers of a base that were never needed here are left out.
    ///
    /// # Errors
    ///
    /// [`CarryError::Missing`] with every input that the store lacks.
    pub fn add_image(
        &mut self,
        store: &Store,
        lock: &Lock,
        system: &str,
        recipe: &str,
    ) -> Result<(), CarryError> {
        let mut missing = Vec::new();
        for pinned in lock.pinned() {
            if !store.has(&pinned.digest) {
                if pinned.kind != PinnedKind::BaseLayer {
                    missing.push(format!("{}  {}", pinned.digest, pinned.name));
                }
                continue;
            }
            let path = match pinned.kind {
                PinnedKind::LocalFile | PinnedKind::ProfileFile => continue,
                _ => format!("{BLOBS}{}", pinned.digest.hex()),
            };
            let source = Source::File(store.blob_path(&pinned.digest));
            self.add(path, &pinned.name, pinned.digest, pinned.size, source);
        }
        self.add_files_of_recipe(store, lock, &mut missing);
        if !missing.is_empty() {
            return Err(CarryError::Missing { name: lock.name.clone(), missing });
        }
        self.add_project_text(&format!("images/{system}.toml"), recipe);
        self.add_project_text(&format!("lockfiles/{}.lock", lock.name), &lock.to_text());
        Ok(())
    }

    /// The recipe's own files lie where the recipe looks for them.
    fn add_files_of_recipe(&mut self, store: &Store, lock: &Lock, missing: &mut Vec<String>) {
        let of_builds = lock.builds.iter().flat_map(|build| &build.local);
        let local = lock.local_files.iter().chain(of_builds);
        let local = local.map(|file| (&file.source, file.sha256, file.size));
        let profile = lock.profile_files.iter().map(|file| (&file.source, file.sha256, file.size));
        for (source, digest, size) in local.chain(profile) {
            match store.has(&digest) {
                true => {
                    let path = format!("{PROJECT}images/{source}");
                    let from = Source::File(store.blob_path(&digest));
                    self.add(path, source, digest, size, from);
                }
                false => missing.push(format!("{digest}  {source}")),
            }
        }
    }

    /// Adds a small file of the project.
    pub fn add_project_text(&mut self, path: &str, text: &str) {
        let bytes = text.as_bytes().to_vec();
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        self.add(format!("{PROJECT}{path}"), path, digest, size, Source::Bytes(bytes));
    }

    /// Adds a file of this machine as a file of the project; it is hashed now.
    pub fn add_project_file(&mut self, path: &str, file: &Path) -> Result<(), CarryError> {
        self.add_file(format!("{PROJECT}{path}"), path, file)
    }

    /// Adds every file of a run's folder.
    pub fn add_run(&mut self, id: &str, folder: &Path) -> Result<(), CarryError> {
        let mut folders = vec![(folder.to_owned(), format!("{RUNS}{id}"))];
        while let Some((folder, path)) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(at("read", &folder))? {
                let entry = entry.map_err(at("read", &folder))?;
                let kind = entry.file_type().map_err(at("read", &folder))?;
                let path = format!("{path}/{}", entry.file_name().to_string_lossy());
                if kind.is_dir() {
                    folders.push((entry.path(), path));
                } else if kind.is_file() {
                    let name = path.clone();
                    self.add_file(path, &name, &entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Adds a program, which whoever unpacks the archive can run.
    pub fn add_program(&mut self, file: &Path) -> Result<(), CarryError> {
        self.add_file(PROGRAM.to_owned(), "the program", file)
    }

    fn add_file(&mut self, path: String, name: &str, file: &Path) -> Result<(), CarryError> {
        let open = File::open(file).map_err(at("open", file))?;
        let (digest, size) = hash_reader(open).map_err(at("read", file))?;
        self.add(path, name, digest, size, Source::File(file.to_owned()));
        Ok(())
    }

    fn add(&mut self, path: String, name: &str, digest: Digest, size: u64, source: Source) {
        let entry = Entry { path: path.clone(), name: name.to_owned(), digest, size };
        self.parts.insert(path, Part { entry, source });
    }

    /// Everything in it, in the order of the archive.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.values()
    }
}

/// Writes the archive; `progress` is told the bytes as they are written.
///
/// # Errors
///
/// A file that changed since it was added, or that is damaged in the store, with both digests.
pub fn write(
    contents: &Contents,
    out: &mut dyn Write,
    stop: &Stop,
    progress: &dyn Fn(u64),
) -> Result<(), CarryError> {
    let entries: Vec<Entry> = contents.parts().map(|part| part.entry.clone()).collect();
    // What no reader would take must not be written: a log with a line break in its name.
    if let Some(entry) = entries.iter().find(|entry| !entry.is_sound()) {
        let reason = format!("`{}` cannot stand in one", entry.path);
        return Err(CarryError::NotABundle { reason });
    }
    let (path, text) = index::render(&entries);
    let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(CarryError::Write);
    put(&layer::archive_header(&path, text.len() as u64))?;
    put(&text)?;
    put(&padding(text.len() as u64))?;
    for part in contents.parts() {
        put(&part.entry.header())?;
        match &part.source {
            Source::Bytes(bytes) => put(bytes)?,
            Source::File(file) => copy(part, file, stop, &mut put, progress)?,
        }
        put(&padding(part.entry.size))?;
    }
    // Two blocks of zeros end an archive.
    put(&[0; 1024])?;
    out.flush().map_err(CarryError::Write)
}

fn copy(
    part: &Part,
    path: &Path,
    stop: &Stop,
    put: &mut dyn FnMut(&[u8]) -> Result<(), CarryError>,
    progress: &dyn Fn(u64),
) -> Result<(), CarryError> {
    let file = File::open(path).map_err(at("open", path))?;
    // One byte more than announced is enough to tell; a log that grows must not shift what follows.
    let mut reader = CheckedReader::new(file, part.entry.digest, part.entry.size);
    let mut left = part.entry.size;
    let mut buffer = vec![0; 1 << 20];
    loop {
        if stop.is_requested() {
            return Err(CarryError::Stopped);
        }
        let count = reader.read(&mut buffer).map_err(at("read", path))?;
        if count == 0 {
            return Ok(());
        }
        let kept = left.min(count as u64);
        put(&buffer[..kept as usize])?;
        left -= kept;
        progress(count as u64);
    }
}

/// What fills a tar block up.
pub(super) fn padding(size: u64) -> Vec<u8> {
    vec![0; (size.next_multiple_of(512) - size) as usize]
}
