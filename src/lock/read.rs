//! A lock from text. What passes here is safe to fetch and to build from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::*;
use crate::digest::{CommitId, TreeId};
use crate::git::check_pattern;
use crate::recipe::document::{Document, Fault, problems};
use crate::recipe::names::{
    self, ABSOLUTE_PATH, FILE_NAME, FIND_LINKS, IMAGE_REFERENCE, PLAIN_NAME, RELATIVE_PATH,
    WEB_ADDRESS,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LockText {
    #[serde(rename = "version")]
    _version: i64,
    name: String,
    epoch: u32,
    as_of: String,
    asked: Asked,
    base: Option<BaseText>,
    debian: Option<DebianText>,
    python: PythonText,
    #[serde(default)]
    git: Vec<GitText>,
    #[serde(default)]
    download: Vec<LockedDownload>,
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
struct BaseText {
    image: String,
    manifest: Digest,
    size: u64,
    config: LockedBlob,
    layers: Vec<LockedBaseLayer>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    directories: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GitText {
    name: String,
    urls: Vec<String>,
    commit: CommitId,
    tree: TreeId,
    path: Option<String>,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    submodules: Vec<LockedSubmodule>,
    archive: LockedBlob,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PythonText {
    version: String,
    interpreter: String,
    prefix: String,
    site: String,
    scripts: String,
    glibc: String,
    #[serde(default)]
    find_links: Vec<String>,
    wheels: Vec<LockedWheel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BuildText {
    name: String,
    version: String,
    source: Option<LockedSource>,
    git: Option<String>,
    output: Option<LockedWheel>,
    command: Vec<String>,
    #[serde(default = "yes")]
    repeatable: bool,
    #[serde(default)]
    files: Vec<BuiltFile>,
    #[serde(default)]
    outputs: BTreeMap<String, String>,
    #[serde(default)]
    local: Vec<LockedFile>,
    profile: Option<String>,
    packages: Vec<LockedPackage>,
    wheels: Vec<LockedWheel>,
    #[serde(default)]
    env: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
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
        let Some(mut lock) = parsed.into_lock(&document, &mut faults) else {
            return Err(invalid(faults));
        };
        check(&lock, &document, &mut faults);
        if !faults.is_empty() {
            return Err(invalid(faults));
        }
        lock.sort();
        Ok(lock)
    }
}

impl LockText {
    fn into_lock(self, document: &Document<'_>, faults: &mut Vec<Fault>) -> Option<Lock> {
        let Self { base, debian, python, config, .. } = self;
        let lacks_base = self.unpinned.inputs.iter().any(|item| item.input == Unpinned::BASE);
        let is_there = base.is_some() || debian.is_some();
        if base.is_some() && debian.is_some() || !is_there && !lacks_base {
            let message = "a lock has one base: either `[base]` or `[debian]`".to_owned();
            faults.push(Fault { offset: document.locate(&["base"]), message });
            return None;
        }
        let (suite, packages) = debian.map(|it| (it.suite, it.packages)).unwrap_or_default();
        let builds = self.build.into_iter().enumerate().map(|(at, build)| {
            let source = build.source(at, document, faults)?;
            Some(build.into_build(source))
        });
        let builds: Vec<_> = builds.collect::<Option<_>>()?;
        Some(Lock {
            name: self.name,
            epoch: self.epoch,
            asked: self.asked,
            as_of: self.as_of,
            base: base.map(BaseText::into_base),
            suite,
            python: PythonTarget {
                version: python.version,
                interpreter: python.interpreter,
                prefix: python.prefix,
                site: python.site,
                scripts: python.scripts,
                glibc: python.glibc,
            },
            config: config.into_config(),
            packages,
            wheels: python.wheels,
            find_links: python.find_links,
            git: self.git.into_iter().map(GitText::into_git).collect(),
            downloads: self.download,
            builds,
            symlinks: self.symlinks,
            files: self.files,
            local_files: self.local.files,
            profile_files: self.profiles.files,
            unpinned: self.unpinned.inputs,
            seal: self.seal.map(|seal| LockedSeal { manifest: seal.manifest, layers: seal.layers }),
        })
    }
}

impl BaseText {
    fn into_base(self) -> LockedBase {
        let Self { image, manifest, size, config, layers, env, directories } = self;
        LockedBase { image, manifest, size, config, layers, env, directories }
    }
}

impl GitText {
    fn into_git(self) -> LockedGit {
        let Self { name, urls, commit, tree, path, include, exclude, submodules, archive } = self;
        LockedGit { name, urls, commit, tree, path, include, exclude, submodules, archive }
    }
}

impl BuildText {
    fn source(
        &self,
        at: usize,
        document: &Document<'_>,
        faults: &mut Vec<Fault>,
    ) -> Option<BuildSource> {
        match (&self.source, &self.git) {
            (Some(source), None) => Some(BuildSource::Distribution(source.clone())),
            (None, Some(git)) => Some(BuildSource::Git(git.clone())),
            (None, None) if !self.local.is_empty() => Some(BuildSource::Local),
            _ => {
                let message = "a build has one source: `source`, `git` or `local`".to_owned();
                let offset = document.locate(&["build", &at.to_string()]);
                faults.push(Fault { offset, message });
                None
            }
        }
    }

    fn into_build(self, source: BuildSource) -> LockedBuild {
        LockedBuild {
            name: self.name,
            version: self.version,
            source,
            packages: self.packages,
            wheels: self.wheels,
            env: self.env,
            command: self.command,
            repeatable: self.repeatable,
            local: self.local,
            profile: self.profile,
            outputs: self.outputs,
            output: self.output,
            files: self.files,
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
    match &lock.base {
        Some(base) => check.base(base),
        None if lock.lacks_base() => {}
        None => {
            let path = ["debian", "suite"];
            check.rule(names::plain_name(&lock.suite), &path, &lock.suite, PLAIN_NAME);
        }
    }
    check.packages(&["debian", "packages"], &lock.packages);
    check.wheels(&["python", "wheels"], &lock.wheels);
    for (at, build) in lock.builds.iter().enumerate() {
        let at = at.to_string();
        check.packages(&["build", &at, "packages"], &build.packages);
        check.wheels(&["build", &at, "wheels"], &build.wheels);
        check.wheels(&["build", &at, "output"], build.output.as_slice());
        check.build(&at, build, lock);
    }
    check.git(&lock.git);
    check.addresses(lock);
    for date in lock.unpinned.iter().filter_map(|item| item.gone.as_ref()) {
        check.rule(names::date(date), &["unpinned", "inputs"], date, "it is no date");
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

    fn base(&mut self, base: &LockedBase) {
        let fine = names::image_reference(&base.image);
        self.rule(fine, &["base", "image"], &base.image, IMAGE_REFERENCE);
        let parents = base.directories.keys().filter(|parent| !parent.is_empty());
        for parent in parents {
            let path = ["base", "directories", parent];
            self.rule(names::relative_path(parent), &path, parent, RELATIVE_PATH);
        }
    }

    fn git(&mut self, git: &[LockedGit]) {
        for (at, tree) in git.iter().enumerate() {
            let at = at.to_string();
            self.rule(names::plain_name(&tree.name), &["git", &at], &tree.name, PLAIN_NAME);
            if let Some(place) = &tree.path {
                self.rule(names::absolute_path(place), &["git", &at], place, ABSOLUTE_PATH);
            }
            for pattern in tree.include.iter().chain(&tree.exclude) {
                if let Err(error) = check_pattern(pattern) {
                    self.rule(false, &["git", &at], pattern, &error.to_string());
                }
            }
            for module in &tree.submodules {
                let path = ["git", &at, "submodules"];
                self.rule(names::relative_path(&module.path), &path, &module.path, RELATIVE_PATH);
            }
        }
        self.unique(&["git"], git.iter().map(|tree| tree.name.clone()));
    }

    /// What is asked for by an address of the recipe.
    fn addresses(&mut self, lock: &Lock) {
        for (at, download) in lock.downloads.iter().enumerate() {
            let path = ["download", &at.to_string()];
            self.rule(names::absolute_path(&download.path), &path, &download.path, ABSOLUTE_PATH);
            for url in &download.urls {
                self.rule(names::web_address(url), &path, url, WEB_ADDRESS);
            }
        }
        self.unique(&["download"], lock.downloads.iter().map(|download| download.path.clone()));
        for place in &lock.find_links {
            let fine = names::web_address(place) || names::relative_path(place);
            self.rule(fine, &["python", "find-links"], place, FIND_LINKS);
        }
    }

    fn build(&mut self, at: &str, build: &LockedBuild, lock: &Lock) {
        match &build.source {
            BuildSource::Distribution(source) => {
                let path = ["build", at, "source", "file"];
                self.rule(names::file_name(&source.file), &path, &source.file, FILE_NAME);
            }
            BuildSource::Git(name) => {
                let known = lock.git.iter().any(|tree| tree.name == *name);
                self.rule(known, &["build", at, "git"], name, "there is no such `[[git]]`");
            }
            BuildSource::Local => {}
        }
        for file in &build.local {
            let path = ["build", at, "local"];
            self.rule(names::absolute_path(&file.path), &path, &file.path, ABSOLUTE_PATH);
            self.rule(names::relative_path(&file.source), &path, &file.source, RELATIVE_PATH);
        }
        if let Some(profile) = &build.profile {
            let words = "a profile mounts declared files";
            self.rule(!build.outputs.is_empty(), &["build", at, "profile"], profile, words);
        }
        for (target, source) in &build.outputs {
            let path = ["build", at, "outputs", target];
            self.rule(names::absolute_path(target), &path, target, ABSOLUTE_PATH);
            self.rule(names::relative_path(source), &path, source, RELATIVE_PATH);
        }
        for file in &build.files {
            let declared = build.outputs.contains_key(&file.path);
            self.rule(declared, &["build", at, "files"], &file.path, "it is no declared output");
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
