//! A recipe in the lock's types: what was asked for, and the hashes of its own files.

use std::path::Path;

use super::{
    Asked, AskedBuild, ImageConfig, LockError, LockedFile, LockedProfileFile, PythonTarget,
    Unpinned,
};
use crate::digest::{Digest, hash_reader};
use crate::named_file;
use crate::recipe::{BuildRecipe, ImageRecipe, Recipe, names};

impl Asked {
    /// What the image part of a recipe asks for.
    pub fn of(image: &ImageRecipe) -> Self {
        let build = |build: &BuildRecipe| {
            let asked = AskedBuild {
                requires: build.requires.clone(),
                packages: build.packages.clone(),
                wheels: build.wheels.clone(),
            };
            (names::normalised(&build.name), asked)
        };
        let mut asked = Self {
            base: image.base.registry().map(|base| base.image.clone()).unwrap_or_default(),
            packages: image.base.debian().map(|base| base.packages.clone()).unwrap_or_default(),
            requirements: image.python.requirements.clone(),
            builds: image.builds.iter().map(build).collect(),
        };
        asked.sort();
        asked
    }

    pub(super) fn sort(&mut self) {
        self.packages.sort();
        self.requirements.sort();
        for build in self.builds.values_mut() {
            build.requires.sort();
            build.packages.sort();
            build.wheels.sort();
        }
    }
}

impl PythonTarget {
    /// The part of `[python]` that decides bytes.
    pub fn of(image: &ImageRecipe) -> Self {
        let python = image.python.clone();
        Self {
            version: python.version,
            interpreter: python.interpreter,
            prefix: python.prefix,
            site: python.site,
            scripts: python.scripts,
            glibc: python.glibc,
        }
    }
}

impl ImageConfig {
    /// The part of a recipe that goes into the OCI configuration or the run.
    pub fn of(image: &ImageRecipe) -> Self {
        Self {
            architecture: image.base.architecture().to_owned(),
            env: image.env.clone(),
            workdir: image.workdir.clone(),
            entrypoint: image.entrypoint.clone(),
            writable: image.writable.clone(),
            shm_size: image.shm_size,
        }
    }
}

/// What a recipe says was deleted upstream.
pub fn gone(image: &ImageRecipe) -> Vec<Unpinned> {
    let gone = image.gone.iter().map(|gone| Unpinned {
        input: gone.input.clone(),
        reason: gone.evidence.clone(),
        gone: Some(gone.date.clone()),
    });
    gone.collect()
}

/// Hashes the local files that become part of the image; sorted by path.
///
/// # Errors
///
/// [`LockError::Io`] if one is missing or cannot be read.
pub fn local_files(recipe: &Recipe) -> Result<Vec<LockedFile>, LockError> {
    let lock = |file: &crate::recipe::LocalFile| {
        let (sha256, size) = hash(&recipe.folder.join(&file.source))?;
        let (path, source) = (file.path.clone(), file.source.clone());
        Ok(LockedFile { path, source, executable: file.executable, size, sha256 })
    };
    let mut files = recipe.image.local_files.iter().map(lock).collect::<Result<Vec<_>, _>>()?;
    files.sort();
    Ok(files)
}

/// Hashes the files that the command of a build finds; sorted by their path in the job.
///
/// # Errors
///
/// [`LockError::Io`] if one is missing or cannot be read.
pub fn build_files(recipe: &Recipe, build: &BuildRecipe) -> Result<Vec<LockedFile>, LockError> {
    let lock = |(path, source): (&String, &String)| {
        let (sha256, size) = hash(&recipe.folder.join(source))?;
        let (path, source) = (path.clone(), source.clone());
        Ok(LockedFile { path, source, executable: false, size, sha256 })
    };
    build.local.iter().map(lock).collect()
}

/// Hashes the files that profiles mount; sorted by profile and path.
///
/// # Errors
///
/// [`LockError::Io`] if one is missing or cannot be read.
pub fn profile_files(recipe: &Recipe) -> Result<Vec<LockedProfileFile>, LockError> {
    let mut files = Vec::new();
    for (profile, rules) in &recipe.profiles {
        for (path, source) in &rules.files {
            let (sha256, size) = hash(&recipe.folder.join(source))?;
            let (profile, path, source) = (profile.clone(), path.clone(), source.clone());
            files.push(LockedProfileFile { profile, path, source, size, sha256 });
        }
    }
    files.sort();
    Ok(files)
}

fn hash(path: &Path) -> Result<(Digest, u64), LockError> {
    let read = || hash_reader(named_file::open(path)?);
    read().map_err(|source| LockError::Io { path: path.to_owned(), source })
}
