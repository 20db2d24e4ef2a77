//! Makes OCI layers whose bytes depend on nothing but their inputs; no other code writes tar.
//!
//! A layer is never stored. What is kept is a [`LayerPlan`]: entries and
//! references to ranges of stored inputs, from which the bytes are streamed
//! whenever somebody needs them. A wheel's DEFLATE streams are copied into gzip
//! members as they are, so a wheel becomes a layer without compressing anything;
//! everything else is compressed with libdeflater in members of one fixed size.
//!
//! Invariants: entries are sorted by the bytes of their full path; times, owners
//! and modes follow the rules of `tar`; the same inputs under the same
//! [`EPOCH`] give the same bytes in every process and on every machine. What a
//! manifest is, and which layers an image has, is left to `image` and `build`.

mod agreement;
mod archive;
mod deb;
mod directories;
mod encode;
mod error;
mod git;
mod gzip;
mod measure;
mod normalise;
mod packages;
mod plan;
mod sources;
mod stream;
mod tar;
mod tree;
mod wheel;
mod wheel_files;
mod zip;

use std::sync::Arc;
use std::thread;

use self::deb::Unpacked;
use self::packages::open_packages;
use self::plan::{Coding, Here, Input, Source};
use self::sources::{Opened, Sources};
use self::tree::Tree;
use self::zip::Archive;
use crate::digest::{Digest, Hasher, Mismatch};
use crate::lock::PythonTarget;
use crate::store::Store;

pub use self::agreement::check_agreement;
pub use self::archive::{archive_header, archive_program_header};
pub use self::directories::Directories;
pub use self::error::LayerError;
pub use self::git::{TreeInput, source_tree};
pub use self::measure::{Measured, Tell};
pub use self::normalise::normalise_wheel;
pub use self::packages::{
    PackageInput, leading_links, links_and_files, packages, packages_alone, packages_key,
};
pub use self::plan::{EntryInfo, EntryKind, LayerPlan};
pub use self::tar::{MTIME, directory_mode};
pub use self::wheel_files::WheelFiles;

/// Everything that decides a layer's bytes beside its inputs: tar rules, member size,
/// compressor and level, launcher text, how an image is cut into layers. New locks are written for
/// this epoch; locks of every earlier one are built as they always were.
///
/// - 1: the recipe's links and files lie among the Debian packages; a layer leaves out every
///   directory of the layers below.
/// - 2: packages lie alone, so that images with one list of packages share them; a layer leaves
///   out the directories of the base and of the packages only, so that it depends on no neighbour;
///   smaller wheels get layers of their own.
pub const EPOCH: u32 = 2;

/// Wheels larger than this (bytes) get a layer of their own.
pub fn own_layer_size(epoch: u32) -> u64 {
    match epoch {
        1 => 32 << 20,
        _ => 8 << 20,
    }
}

/// A wheel to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WheelInput {
    /// Normalised distribution name.
    pub name: String,
    /// Version.
    pub version: String,
    /// File name, for messages.
    pub file: String,
    /// Digest of the wheel in the store.
    pub digest: Digest,
    /// Whether a person asked for it by name (pip's REQUESTED marker).
    pub requested: bool,
}

/// A local file to put into an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInput {
    /// Absolute path in the image.
    pub path: String,
    /// Digest of the file in the store.
    pub digest: Digest,
    /// Whether it is executable.
    pub executable: bool,
}

/// Plans one layer of installed wheels: one large wheel, or all the small ones merged.
pub fn wheels(
    store: &Store,
    wheels: &[WheelInput],
    python: &PythonTarget,
    below: &Directories,
) -> Result<LayerPlan, LayerError> {
    let wheels = sorted(wheels);
    let inputs: Vec<Input> = wheels.iter().map(|wheel| wheel_input(wheel)).collect();
    let mut archives = Vec::new();
    for input in &inputs {
        archives.push(Archive::read(&input.file, &store.open_blob(&input.digest)?)?);
    }
    let mut sources = open_blobs(store, &inputs)?;
    let mut tree = Tree::new(below, &inputs);
    let mut notes = Vec::new();
    for (index, (wheel, archive)) in wheels.iter().zip(&archives).enumerate() {
        let input = index as u32;
        let installation =
            wheel::install(archive, input, &wheel.name, wheel.requested, python, &mut sources)?;
        notes.extend(installation.notes);
        for (path, file) in installation.files {
            tree.add_file(&mut sources, &path, Some(input), file.executable, file.source)?;
        }
    }
    let entries = tree.finish()?;
    let origin = match inputs.as_slice() {
        [only] => only.origin.clone(),
        many => format!("wheels ({})", many.len()),
    };
    let here = Box::new(Here { key: Some(key(&wheels, python, below)), ..Here::default() });
    Ok(LayerPlan { origin, coding: Coding::Copied, inputs, entries, notes, here })
}

/// A name for what decides the plan of a layer of installed wheels.
pub fn wheels_key(wheels: &[WheelInput], python: &PythonTarget, below: &Directories) -> Digest {
    key(&sorted(wheels), python, below)
}

fn key(wheels: &[&WheelInput], python: &PythonTarget, below: &Directories) -> Digest {
    let below = below.shape();
    Digest::of(format!("wheels of epoch {EPOCH}\n{wheels:?}\n{python:?}\n{below}").as_bytes())
}

fn sorted(wheels: &[WheelInput]) -> Vec<&WheelInput> {
    let mut wheels: Vec<&WheelInput> = wheels.iter().collect();
    wheels.sort_by_key(|wheel| (&wheel.name, &wheel.version, &wheel.file));
    wheels
}

/// Plans a layer of local files.
pub fn files(
    store: &Store,
    files: &[FileInput],
    below: &Directories,
) -> Result<LayerPlan, LayerError> {
    single_files(store, "local files", files, below)
}

/// Plans a layer of files of the web. They are large and stay as they are: they share no layer
/// with what changes.
pub fn downloaded_files(
    store: &Store,
    files: &[FileInput],
    below: &Directories,
) -> Result<LayerPlan, LayerError> {
    single_files(store, "downloaded files", files, below)
}

/// Plans a layer of files that build jobs made.
pub fn built_files(
    store: &Store,
    files: &[FileInput],
    below: &Directories,
) -> Result<LayerPlan, LayerError> {
    single_files(store, "built files", files, below)
}

fn single_files(
    store: &Store,
    what: &str,
    files: &[FileInput],
    below: &Directories,
) -> Result<LayerPlan, LayerError> {
    let mut files: Vec<&FileInput> = files.iter().collect();
    files.sort_by_key(|file| &file.path);
    let inputs: Vec<Input> = files
        .iter()
        .map(|file| {
            let path = file.path.clone();
            Input { origin: path.clone(), file: path, digest: file.digest, package: false }
        })
        .collect();
    let mut sources = open_blobs(store, &inputs)?;
    let mut tree = Tree::new(below, &inputs);
    for (index, file) in files.iter().enumerate() {
        let input = index as u32;
        let source = whole(store, &mut sources, input, &file.digest)?;
        let path = layer_path(&file.path, &format!("the recipe's {what}"))?;
        tree.add_file(&mut sources, &path, Some(input), file.executable, source)?;
    }
    let entries = tree.finish()?;
    let origin = format!("{what} ({})", inputs.len());
    Ok(LayerPlan {
        origin,
        coding: Coding::Compressed,
        inputs,
        entries,
        notes: Vec::new(),
        here: Box::default(),
    })
}

impl LayerPlan {
    /// Opens everything that the sources point into.
    fn open(&self, store: &Store) -> Result<Sources, LayerError> {
        if !self.inputs.iter().any(|input| input.package) {
            return open_blobs(store, &self.inputs);
        }
        match &self.here.unpacked {
            Some(unpacked) => Ok(open_packages(&self.inputs, unpacked)),
            None => Ok(open_packages(&self.inputs, &Unpacked::of(store, &self.inputs)?)),
        }
    }
}

fn wheel_input(wheel: &WheelInput) -> Input {
    Input {
        origin: format!("{} {}", wheel.name, wheel.version),
        file: wheel.file.clone(),
        digest: wheel.digest,
        package: false,
    }
}

fn open_blobs(store: &Store, inputs: &[Input]) -> Result<Sources, LayerError> {
    let mut opened = Vec::new();
    for input in inputs {
        let handle = Arc::new(store.open_blob(&input.digest)?);
        opened.push(Opened { file: input.file.clone(), handle });
    }
    Ok(Sources::new(opened))
}

/// How many threads to use; no byte of a layer depends on it. More than four would cost more
/// memory than a build may use, and a build has several layers at work.
fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(4)
}

/// A source for a whole blob, which is read once for its CRC-32 and must be what its name says.
fn whole(
    store: &Store,
    sources: &mut Sources,
    input: u32,
    digest: &Digest,
) -> Result<Source, LayerError> {
    let size = store.size_of(digest).unwrap_or(0);
    let (mut hasher, mut crc) = (Hasher::new(), crc32fast::Hasher::new());
    sources.range(input, 0, size, &mut |bytes| {
        hasher.update(bytes);
        crc.update(bytes);
        Ok(())
    })?;
    let found_size = hasher.size();
    let found = hasher.finish();
    if found != *digest {
        let mismatch = Mismatch { expected: *digest, expected_size: size, found, found_size };
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, mismatch);
        return Err(LayerError::Read { name: digest.to_string(), source });
    }
    Ok(Source::Stored { input, offset: 0, size, crc: crc.finalize() })
}

/// A path of a recipe, `/etc/passwd`, as a path in a layer.
fn layer_path(path: &str, origin: &str) -> Result<String, LayerError> {
    let refuse = |reason| {
        let (path, origin) = (path.to_owned(), origin.to_owned());
        Err(LayerError::Path { path, origin, reason })
    };
    if path.split('/').any(|part| part == "..") {
        return refuse("it has a `..`");
    }
    if path.ends_with('/') || path.chars().any(char::is_control) {
        return refuse("it is not the name of a file");
    }
    match zip::normal(path) {
        normal if normal.is_empty() => refuse("it is empty"),
        normal => Ok(normal),
    }
}
