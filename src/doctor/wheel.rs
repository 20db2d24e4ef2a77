//! The GPU code of a wheel, found once and remembered.
//!
//! A library is inflated into a file of the store's scratch folder and read there by ranges: the largest has
//! more than a gigabyte, its tables stand at its end, and memory need not hold it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::DoctorError;
use super::code::Code;
use super::cuda::Version;
use super::library::{self, Library};
use crate::digest::Digest;
use crate::engine::Stop;
use crate::layer::WheelFiles;
use crate::store::Store;

/// Counts up whenever this module would find something else in the same wheel.
const READER: u32 = 2;

/// The bucket of the store's facts.
const BUCKET: &str = "gpu-code";

/// The GPU code of a wheel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WheelCode {
    /// Libraries with GPU code, and those that could not be read.
    pub libraries: Vec<Library>,
    /// The CUDA runtimes that its libraries are linked to.
    pub runtimes: BTreeSet<Version>,
}

impl WheelCode {
    /// Every kind of code in it.
    pub fn code(&self) -> BTreeSet<Code> {
        self.libraries.iter().flat_map(Library::code).collect()
    }

    /// What was found in the wheel before, if it was looked into.
    pub fn known(store: &Store, wheel: &Digest) -> Result<Option<Self>, DoctorError> {
        let text = store.recall(BUCKET, &key(wheel))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Looks into the wheel of the store, called `file`; remembers what it finds.
    pub fn read(
        store: &Store,
        wheel: &Digest,
        file: &str,
        stop: &Stop,
    ) -> Result<Self, DoctorError> {
        if let Some(known) = Self::known(store, wheel)? {
            return Ok(known);
        }
        let mut files = WheelFiles::open(file, store.open_blob(wheel)?)?;
        let names = files.list().filter(|(name, _)| is_library(name));
        let names: Vec<String> = names.map(|(name, _)| name.to_owned()).collect();
        let mut found = Self::default();
        let folder = store.scratch("library")?;
        for name in names {
            if stop.is_requested() {
                return Err(DoctorError::Stopped);
            }
            found.runtimes.extend(Version::of_runtime(name.rsplit('/').next().unwrap_or(&name)));
            found.add(&mut files, &name, &folder.join("file"))?;
        }
        let _ = fs::remove_dir(&folder);
        let text = serde_json::to_string(&found).expect("found code always serialises");
        store.remember(BUCKET, &key(wheel), &text)?;
        Ok(found)
    }

    /// Looks into a library that a build job made, which is no part of a wheel.
    pub fn of_file(store: &Store, digest: &Digest, path: &str) -> Result<Self, DoctorError> {
        let looked = library::look(path, &store.open_blob(digest)?);
        let runtimes = looked.needed.iter().filter_map(|name| Version::of_runtime(name)).collect();
        Ok(Self { libraries: looked.library.into_iter().collect(), runtimes })
    }

    /// Unpacks one library to `place`, looks into it and removes it.
    fn add(&mut self, files: &mut WheelFiles, name: &str, place: &Path) -> Result<(), DoctorError> {
        let io = |action| move |source| DoctorError::Io { action, path: place.to_owned(), source };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(place)
            .map_err(io("create"))?;
        // Nobody else needs its name: whatever happens, the file goes when it is closed.
        fs::remove_file(place).map_err(io("remove"))?;
        files.copy(name, &mut file)?;
        let looked = library::look(name, &file);
        self.libraries.extend(looked.library);
        self.runtimes.extend(looked.needed.iter().filter_map(|name| Version::of_runtime(name)));
        Ok(())
    }
}

/// Whether a file is a shared library by its name.
pub(super) fn is_library(name: &str) -> bool {
    name.ends_with(".so") || name.contains(".so.")
}

fn key(wheel: &Digest) -> String {
    format!("{READER} {wheel}")
}
