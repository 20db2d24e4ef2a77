//! A lock from text. What passes here is safe to fetch and to build from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::*;
use crate::recipe::document::{Document, Fault, problems};
use crate::recipe::names::{self, ABSOLUTE_PATH, FILE_NAME, PLAIN_NAME, RELATIVE_PATH};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LockText {
    #[serde(rename = "version")]
    _version: i64,
    name: String,
    epoch: u32,
    as_of: String,
    asked: Asked,
    debian: DebianText,
    python: PythonText,
    #[serde(default)]
    build: Vec<BuildText>,
    config: ConfigText,
    #[serde(default)]
    symlinks: BTreeMap<String, String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    local: Files<LockedFile>,
    #[serde(default)]
    profiles: Files<LockedProfileFile>,
    #[serde(default)]
    unpinned: UnpinnedText,
    seal: Option<SealText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DebianText {
    suite: String,
    packages: Vec<LockedPackage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PythonText {
    version: String,
    interpreter: String,
    prefix: String,
    site: String,
    scripts: String,
    glibc: String,
    wheels: Vec<LockedWheel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BuildText {
    name: String,
    version: String,
    source: LockedSource,
    output: Option<LockedWheel>,
    command: Vec<String>,
    packages: Vec<LockedPackage>,
    wheels: Vec<LockedWheel>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ConfigText {
    architecture: String,
    workdir: String,
    shm_size: u64,
    entrypoint: Vec<String>,
    writable: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Files<T> {
    files: Vec<T>,
}

impl<T> Default for Files<T> {
    fn default() -> Self {
        Self { files: Vec::new() }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnpinnedText {
    inputs: Vec<Unpinned>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SealText {
    manifest: Digest,
    layers: Vec<LockedLayer>,
}

impl Lock {
    /// Reads the text of a lock; `file` is what messages call it.
    ///
    /// # Errors
    ///
    /// [`LockError::Newer`] before anything else is looked at, else
    /// [`LockError::Invalid`] with everything that is wrong.
    pub fn parse(text: &str, file: &Path) -> Result<Self, LockError> {
        let invalid = |faults| LockError::Invalid { problems: problems(file, text, faults) };
        let document = Document::parse(text).map_err(invalid)?;
        let version = document.root.get("version").map(|value| value.get_ref().clone());
        if let Some(number) = version.as_ref().and_then(|value| value.as_integer()) {
            let found = number.to_string();
            if found.parse::<i64>().map_or(true, |found| found > VERSION) {
                return Err(LockError::Newer { file: file.to_owned(), found });
            }
        }
        let mut faults = Vec::new();
        let parsed = document.clone().decode::<LockText>(&mut faults);
        let Some(parsed) = parsed.filter(|_| faults.is_empty()) else {
            return Err(invalid(faults));
        };
        let mut lock = parsed.into_lock();
        check(&lock, &document, &mut faults);
        if !faults.is_empty() {
            return Err(invalid(faults));
        }
        lock.sort();
        Ok(lock)
    }
}

impl LockText {
    fn into_lock(self) -> Lock {
        let Self { debian, python, config, .. } = self;
        Lock {
            name: self.name,
            epoch: self.epoch,
            asked: self.asked,
            as_of: self.as_of,
            suite: debian.suite,
            python: PythonTarget {
                version: python.version,
                interpreter: python.interpreter,
                prefix: python.prefix,
                site: python.site,
                scripts: python.scripts,
                glibc: python.glibc,
            },
            config: config.into_config(),
            packages: debian.packages,
            wheels: python.wheels,
            builds: self.build.into_iter().map(BuildText::into_build).collect(),
            symlinks: self.symlinks,
            files: self.files,
            local_files: self.local.files,
            profile_files: self.profiles.files,
            unpinned: self.unpinned.inputs,
            seal: self.seal.map(|seal| LockedSeal { manifest: seal.manifest, layers: seal.layers }),
        }
    }
}

impl BuildText {
    fn into_build(self) -> LockedBuild {
        LockedBuild {
            name: self.name,
            version: self.version,
            source: self.source,
            packages: self.packages,
            wheels: self.wheels,
            env: self.env,
            command: self.command,
            output: self.output,
        }
    }
}

impl ConfigText {
    fn into_config(self) -> ImageConfig {
        ImageConfig {
            architecture: self.architecture,
            env: self.env,
            workdir: self.workdir,
            entrypoint: self.entrypoint,
            writable: self.writable,
            shm_size: self.shm_size,
        }
    }
}

/// Names and paths of a lock end up in paths and addresses, so they keep the recipe's rules.
fn check(lock: &Lock, document: &Document<'_>, faults: &mut Vec<Fault>) {
    let mut check = Check { document, faults };
    check.rule(names::plain_name(&lock.name), &["name"], &lock.name, PLAIN_NAME);
    let architecture = &lock.config.architecture;
    let path = ["config", "architecture"];
    check.rule(names::plain_name(architecture), &path, architecture, PLAIN_NAME);
    check.rule(names::plain_name(&lock.suite), &["debian", "suite"], &lock.suite, PLAIN_NAME);
    check.packages(&["debian", "packages"], &lock.packages);
    check.wheels(&["python", "wheels"], &lock.wheels);
    for (at, build) in lock.builds.iter().enumerate() {
        let at = at.to_string();
        check.packages(&["build", &at, "packages"], &build.packages);
        check.wheels(&["build", &at, "wheels"], &build.wheels);
        check.wheels(&["build", &at, "output"], build.output.as_slice());
        let file = &build.source.file;
        check.rule(names::file_name(file), &["build", &at, "source", "file"], file, FILE_NAME);
    }
    check.unique(&["build"], lock.builds.iter().map(|build| build.name.clone()));
    check.paths(lock);
}

struct Check<'a, 't> {
    document: &'a Document<'t>,
    faults: &'a mut Vec<Fault>,
}

impl Check<'_, '_> {
    fn rule(&mut self, kept: bool, path: &[&str], value: &str, words: &str) {
        if !kept {
            let message = format!("`{}` has `{value}`: {words}", path.join("."));
            self.faults.push(Fault { offset: self.document.locate(path), message });
        }
    }

    fn unique(&mut self, path: &[&str], all: impl Iterator<Item = String>) {
        let mut seen = BTreeSet::new();
        for name in all {
            if !seen.insert(name.clone()) {
                self.rule(false, path, &name, "it stands there twice");
            }
        }
    }

    fn packages(&mut self, path: &[&str], packages: &[LockedPackage]) {
        for package in packages {
            self.rule(names::plain_name(&package.name), path, &package.name, PLAIN_NAME);
            self.rule(names::relative_path(&package.path), path, &package.path, RELATIVE_PATH);
        }
        self.unique(path, packages.iter().map(|package| package.name.clone()));
    }

    fn wheels(&mut self, path: &[&str], wheels: &[LockedWheel]) {
        for wheel in wheels {
            self.rule(names::plain_name(&wheel.name), path, &wheel.name, PLAIN_NAME);
            self.rule(names::file_name(&wheel.file), path, &wheel.file, FILE_NAME);
        }
        self.unique(path, wheels.iter().map(|wheel| wheel.name.clone()));
    }

    fn paths(&mut self, lock: &Lock) {
        for (table, map) in [("symlinks", &lock.symlinks), ("files", &lock.files)] {
            for path in map.keys() {
                self.rule(names::absolute_path(path), &[table, path], path, ABSOLUTE_PATH);
            }
        }
        let local = lock.local_files.iter().map(|file| ("local", &file.path, &file.source));
        let mounted = lock.profile_files.iter().map(|file| ("profiles", &file.path, &file.source));
        for (table, path, source) in local.chain(mounted) {
            self.rule(names::absolute_path(path), &[table], path, ABSOLUTE_PATH);
            self.rule(names::relative_path(source), &[table], source, RELATIVE_PATH);
        }
        self.unique(&["local"], lock.local_files.iter().map(|file| file.path.clone()));
        let mounted = lock.profile_files.iter();
        self.unique(&["profiles"], mounted.map(|file| format!("{} {}", file.profile, file.path)));
        let workdir = &lock.config.workdir;
        self.rule(names::absolute_path(workdir), &["config", "workdir"], workdir, ABSOLUTE_PATH);
        for folder in &lock.config.writable {
            let path = ["config", "writable"];
            self.rule(names::absolute_path(folder), &path, folder, ABSOLUTE_PATH);
        }
    }
}
