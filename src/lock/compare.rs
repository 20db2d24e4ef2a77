//! What differs between a lock and a recipe, or between two locks, in a reader's terms.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::asked::{build_files, gone, local_files, profile_files};
use super::words::{address_text, download_asked_text, download_locked_text, git_text};
use super::{
    Asked, BuildSource, BuiltFile, ImageConfig, Lock, LockError, LockedBase, LockedBaseLayer,
    LockedBuild, LockedDownload, LockedFile, LockedGit, LockedPackage, LockedProfileFile,
    LockedWheel, PythonTarget, Unpinned,
};
use crate::digest::Digest;
use crate::recipe::{BuildRecipe, GitRecipe, ImageRecipe, Recipe, names};

/// One thing that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// What it is about: ``wheel `torch` ``.
    pub what: String,
    /// How it is in the first lock; `None` if it is not there.
    pub before: Option<String>,
    /// How it is in the second lock, or in the recipe; `None` if it is not there.
    pub after: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = &self.what;
        match (self.before.as_deref(), self.after.as_deref()) {
            (Some(before), Some(after)) => write!(f, "~ {what}: {before} -> {after}"),
            (None, Some("")) => write!(f, "+ {what}"),
            (Some(""), None) => write!(f, "- {what}"),
            (None, Some(after)) => write!(f, "+ {what} {after}"),
            (Some(before), None) => write!(f, "- {what} {before}"),
            (None, None) => write!(f, "  {what}"),
        }
    }
}

impl Lock {
    /// What a new lock of `recipe` would be made from otherwise; offline.
    ///
    /// Only the image part and the profile files count. Local files are hashed again.
    ///
    /// # Errors
    ///
    /// [`LockError::OtherRecipe`] if the names differ, [`LockError::Io`] if a local file
    /// is there but cannot be read.
    pub fn matches(&self, recipe: &Recipe) -> Result<Vec<Difference>, LockError> {
        let of_build = |build: &BuildRecipe| build_files(recipe, build);
        self.differs_from(recipe, &local_files(recipe)?, &profile_files(recipe)?, &of_build)
    }

    /// As [`Lock::matches`], for a recipe whose local files are not at hand: which they are counts, and not
    /// what they hold.
    ///
    /// # Errors
    ///
    /// [`LockError::OtherRecipe`] if the names differ.
    pub fn fits(&self, recipe: &Recipe) -> Result<Vec<Difference>, LockError> {
        let local: Vec<_> = recipe
            .image
            .local_files
            .iter()
            .map(|file| named_as(&self.local_files, &file.path, &file.source, file.executable))
            .collect();
        let of_build = |asked: &BuildRecipe| {
            let name = names::normalised(&asked.name);
            let build = self.builds.iter().find(|build| build.name == name);
            let known = build.map_or(&[][..], |build| &build.local);
            let files = asked.local.iter();
            Ok(files.map(|(path, source)| named_as(known, path, source, false)).collect())
        };
        let mounted =
            recipe.profiles.iter().flat_map(|(profile, rules)| {
                let file =
                    |(path, source): (&String, &String)| {
                        let (profile, path, source) =
                            (profile.clone(), path.clone(), source.clone());
                        let is_it = |file: &&LockedProfileFile| {
                            (&file.profile, &file.path, &file.source) == (&profile, &path, &source)
                        };
                        self.profile_files.iter().find(is_it).cloned().unwrap_or(
                            LockedProfileFile { profile, path, source, size: 0, sha256: UNKNOWN },
                        )
                    };
                rules.files.iter().map(file).collect::<Vec<_>>()
            });
        self.differs_from(recipe, &local, &mounted.collect::<Vec<_>>(), &of_build)
    }

    fn differs_from(
        &self,
        recipe: &Recipe,
        local: &[LockedFile],
        profile: &[LockedProfileFile],
        of_build: &dyn Fn(&BuildRecipe) -> Result<Vec<LockedFile>, LockError>,
    ) -> Result<Vec<Difference>, LockError> {
        if self.name != recipe.name {
            let (lock, recipe) = (self.name.clone(), recipe.name.clone());
            return Err(LockError::OtherRecipe { lock, recipe });
        }
        let image = &recipe.image;
        let mut found = Differences::default();
        let suite = image.base.debian().map_or("", |debian| debian.suite.as_str());
        found.value("Debian release", &self.suite, suite);
        found.value("date of resolution", &self.as_of, &image.python.as_of);
        found.asked(&self.asked, &Asked::of(image));
        let is_told = |git: &&GitRecipe| {
            let input = Unpinned::of_git(git);
            image.is_gone(&git.name) || self.unpinned.iter().any(|item| item.input == input)
        };
        let asked: Vec<_> = image.git.iter().filter(|git| !is_told(git)).collect();
        found.git_asked(&self.git, &asked);
        found.downloads_asked(self, image);
        found.lists("find-links", &self.find_links, &image.python.find_links);
        found.gone(&self.unpinned, &gone(image));
        found.python(&self.python, &PythonTarget::of(image));
        for asked in &image.builds {
            let name = names::normalised(&asked.name);
            if let Some(build) = self.builds.iter().find(|build| build.name == name) {
                found.build_asked(build, asked, &of_build(asked)?);
            }
        }
        found.config(&self.config, &ImageConfig::of(image));
        found.map("symbolic link", &self.symlinks, &image.symlinks);
        found.map("text file", &contents(&self.files), &contents(&image.files));
        found.map("local file", &files(&self.local_files), &files(local));
        found.map("profile file", &mounted(&self.profile_files), &mounted(profile));
        Ok(found.0)
    }

    /// What `newer` has otherwise.
    pub fn diff(&self, newer: &Self) -> Vec<Difference> {
        let mut found = Differences::default();
        found.value("image", &self.name, &newer.name);
        found.value("format epoch", &self.epoch.to_string(), &newer.epoch.to_string());
        found.value("Debian release", &self.suite, &newer.suite);
        found.value("date of resolution", &self.as_of, &newer.as_of);
        found.asked(&self.asked, &newer.asked);
        found.base(self.base.as_ref(), newer.base.as_ref());
        found.git(&self.git, &newer.git);
        found.downloads(&self.downloads, &newer.downloads);
        found.lists("find-links", &self.find_links, &newer.find_links);
        found.python(&self.python, &newer.python);
        found.packages("Debian package", &self.packages, &newer.packages);
        found.wheels("wheel", &self.wheels, &newer.wheels);
        found.builds(&self.builds, &newer.builds);
        found.config(&self.config, &newer.config);
        found.map("symbolic link", &self.symlinks, &newer.symlinks);
        found.map("text file", &contents(&self.files), &contents(&newer.files));
        found.map("local file", &files(&self.local_files), &files(&newer.local_files));
        found.map("profile file", &mounted(&self.profile_files), &mounted(&newer.profile_files));
        found.unpinned(&self.unpinned, &newer.unpinned);
        found.gone(&self.unpinned, &newer.unpinned);
        found.seal(self, newer);
        found.0
    }
}

#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn value(&mut self, what: &str, before: &str, after: &str) {
        if before != after {
            let (before, after) = (Some(before.to_owned()), Some(after.to_owned()));
            self.0.push(Difference { what: what.to_owned(), before, after });
        }
    }

    fn map(
        &mut self,
        kind: &str,
        before: &BTreeMap<String, String>,
        after: &BTreeMap<String, String>,
    ) {
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for name in names {
            let (before, after) = (before.get(name), after.get(name));
            if before != after {
                let what = format!("{kind} `{name}`");
                let (before, after) = (before.cloned(), after.cloned());
                self.0.push(Difference { what, before, after });
            }
        }
    }

    fn set(&mut self, kind: &str, before: &[String], after: &[String]) {
        let bare = |names: &[String]| -> BTreeMap<_, _> {
            names.iter().map(|name| (name.clone(), String::new())).collect()
        };
        self.map(kind, &bare(before), &bare(after));
    }

    fn asked(&mut self, before: &Asked, after: &Asked) {
        self.value("base image", &before.base, &after.base);
        self.set("asked Debian package", &before.packages, &after.packages);
        self.set("requirement", &before.requirements, &after.requirements);
        let names = |asked: &Asked| asked.builds.keys().cloned().collect::<Vec<_>>();
        self.set("compiled distribution", &names(before), &names(after));
        for (name, before) in &before.builds {
            if let Some(after) = after.builds.get(name) {
                let of = |kind: &str| format!("{kind} of compiled `{name}`");
                self.set(&of("requirement"), &before.requires, &after.requires);
                self.set(&of("build package"), &before.packages, &after.packages);
                self.set(&of("build wheel"), &before.wheels, &after.wheels);
            }
        }
    }

    fn base(&mut self, before: Option<&LockedBase>, after: Option<&LockedBase>) {
        let table = |base: Option<&LockedBase>| -> BTreeMap<_, _> {
            let Some(base) = base else { return BTreeMap::new() };
            let layer = |(at, layer): (usize, &LockedBaseLayer)| {
                (format!("layer {}", at + 1), format!("{} ({} bytes)", layer.digest, layer.size))
            };
            let layers = base.layers.iter().enumerate().map(layer);
            let documents = [
                ("manifest".to_owned(), base.manifest.to_string()),
                ("configuration".to_owned(), base.config.digest.to_string()),
            ];
            layers.chain(documents).collect()
        };
        self.map("base image", &table(before), &table(after));
    }

    /// What a recipe says of git sources; trees are what a commit has, whoever says so.
    fn git_asked(&mut self, before: &[LockedGit], after: &[&GitRecipe]) {
        let locked = before.iter().map(|git| (git.name.clone(), git_text(&git.asked())));
        let asked = after.iter().map(|git| (git.name.clone(), git_text(&git.ordered())));
        self.map("git source", &locked.collect(), &asked.collect());
    }

    fn git(&mut self, before: &[LockedGit], after: &[LockedGit]) {
        let table = |list: &[LockedGit]| -> BTreeMap<_, _> {
            let entry = |git: &LockedGit| {
                let text = git_text(&git.asked());
                (git.name.clone(), format!("{text}, tree {}", git.tree))
            };
            list.iter().map(entry).collect()
        };
        self.map("git source", &table(before), &table(after));
        let modules = |list: &[LockedGit]| -> BTreeMap<_, _> {
            let of = |git: &LockedGit| {
                let name = git.name.clone();
                let modules = git.submodules.iter().map(move |module| {
                    (format!("{name}/{}", module.path), module.commit.to_string())
                });
                modules.collect::<Vec<_>>()
            };
            list.iter().flat_map(of).collect()
        };
        self.map("submodule", &modules(before), &modules(after));
    }

    /// What a recipe says of downloads: addresses, and what it knows of their content.
    fn downloads_asked(&mut self, lock: &Lock, image: &ImageRecipe) {
        let is_open = |path: &str| {
            let input = Unpinned::of_download(path);
            image.is_gone(path) || lock.unpinned.iter().any(|item| item.input == input)
        };
        let asked = image.downloads.iter().filter(|download| !is_open(&download.path));
        let asked: BTreeMap<_, _> =
            asked.map(|asked| (asked.path.clone(), download_asked_text(asked))).collect();
        let locked = lock.downloads.iter().map(|locked| {
            let asked = image.downloads.iter().find(|asked| asked.path == locked.path);
            (locked.path.clone(), download_locked_text(locked, asked))
        });
        self.map("download", &locked.collect(), &asked);
    }

    fn downloads(&mut self, before: &[LockedDownload], after: &[LockedDownload]) {
        let table = |list: &[LockedDownload]| -> BTreeMap<_, _> {
            let entry = |file: &LockedDownload| {
                let text = address_text(&file.urls, file.executable);
                (file.path.clone(), format!("{text} ({}, {} bytes)", file.sha256, file.size))
            };
            list.iter().map(entry).collect()
        };
        self.map("download", &table(before), &table(after));
    }

    fn lists(&mut self, what: &str, before: &[String], after: &[String]) {
        self.value(what, &before.join(", "), &after.join(", "));
    }

    /// An input that was not pinned is named in full already, its backticks included.
    fn unpinned(&mut self, before: &[Unpinned], after: &[Unpinned]) {
        let open = |items: &[Unpinned]| -> BTreeMap<String, String> {
            let open = items.iter().filter(|item| item.gone.is_none());
            open.map(|item| (item.input.clone(), item.reason.clone())).collect()
        };
        let (before, after) = (open(before), open(after));
        let inputs: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for input in inputs {
            let reason = |side: &BTreeMap<String, String>| {
                side.get(input).map(|reason| format!("({reason})"))
            };
            let (before, after) = (reason(&before), reason(&after));
            if before != after {
                self.0.push(Difference { what: format!("unpinned {input}"), before, after });
            }
        }
    }

    fn gone(&mut self, before: &[Unpinned], after: &[Unpinned]) {
        let dated = |items: &[Unpinned]| -> BTreeMap<_, _> {
            let text = |item: &Unpinned| {
                let date = item.gone.as_ref()?;
                Some((item.input.clone(), format!("since {date}: {}", item.reason)))
            };
            items.iter().filter_map(text).collect()
        };
        self.map("gone input", &dated(before), &dated(after));
    }

    fn python(&mut self, before: &PythonTarget, after: &PythonTarget) {
        self.value("Python version", &before.version, &after.version);
        self.value("Python interpreter", &before.interpreter, &after.interpreter);
        self.value("Python prefix", &before.prefix, &after.prefix);
        self.value("site folder", &before.site, &after.site);
        self.value("scripts folder", &before.scripts, &after.scripts);
        self.value("glibc", &before.glibc, &after.glibc);
    }

    fn config(&mut self, before: &ImageConfig, after: &ImageConfig) {
        self.value("architecture", &before.architecture, &after.architecture);
        self.map("variable", &before.env, &after.env);
        self.value("working folder", &before.workdir, &after.workdir);
        self.value("entry point", &before.entrypoint.join(" "), &after.entrypoint.join(" "));
        self.value("writable folders", &before.writable.join(" "), &after.writable.join(" "));
        let (before, after) = (before.shm_size.to_string(), after.shm_size.to_string());
        self.value("bytes of /dev/shm", &before, &after);
    }

    fn packages(&mut self, kind: &str, before: &[LockedPackage], after: &[LockedPackage]) {
        let table = |list: &[LockedPackage]| -> BTreeMap<_, _> {
            let entry = |p: &LockedPackage| (p.name.clone(), (p.version.clone(), p.sha256, p.size));
            list.iter().map(entry).collect()
        };
        self.versions(kind, &table(before), &table(after));
    }

    fn wheels(&mut self, kind: &str, before: &[LockedWheel], after: &[LockedWheel]) {
        let table = |list: &[LockedWheel]| -> BTreeMap<_, _> {
            let entry = |w: &LockedWheel| (w.name.clone(), (w.version.clone(), w.sha256, w.size));
            list.iter().map(entry).collect()
        };
        self.versions(kind, &table(before), &table(after));
        for wheel in before {
            let other = after.iter().find(|other| other.name == wheel.name);
            if let Some(other) = other.filter(|other| other.requested != wheel.requested) {
                let (before, after) = (wheel.requested.to_string(), other.requested.to_string());
                self.value(&format!("{kind} `{}` asked for by name", wheel.name), &before, &after);
            }
        }
    }

    /// Versions where they differ, else digest and size.
    fn versions(
        &mut self,
        kind: &str,
        before: &BTreeMap<String, (String, Digest, u64)>,
        after: &BTreeMap<String, (String, Digest, u64)>,
    ) {
        let texts = |own: &BTreeMap<String, (String, Digest, u64)>,
                     other: &BTreeMap<String, (String, Digest, u64)>| {
            let text = |(name, (version, digest, size)): (&String, &(String, Digest, u64))| {
                let same = other.get(name).is_some_and(|(other, ..)| other == version);
                let exact = format!("{version} ({digest}, {size} bytes)");
                (name.clone(), if same { exact } else { version.clone() })
            };
            own.iter().map(text).collect::<BTreeMap<_, _>>()
        };
        self.map(kind, &texts(before, after), &texts(after, before));
    }

    fn builds(&mut self, before: &[LockedBuild], after: &[LockedBuild]) {
        for build in before {
            let Some(other) = after.iter().find(|other| other.name == build.name) else {
                continue;
            };
            let of = |kind: &str| format!("{kind} of compiled `{}`", build.name);
            self.build_command(build, &other.version, &other.env, &other.command);
            self.build_result(build, &other.outputs, other.repeatable);
            self.build_surroundings(build, other.profile.as_deref(), &other.local);
            let source = |build: &LockedBuild| match &build.source {
                BuildSource::Distribution(source) => {
                    format!("{} ({}, {} bytes)", source.file, source.sha256, source.size)
                }
                BuildSource::Git(name) => format!("git source `{name}`"),
                BuildSource::Local => "local files".to_owned(),
            };
            self.value(&of("source"), &source(build), &source(other));
            self.packages(&of("build package"), &build.packages, &other.packages);
            self.wheels(&of("build wheel"), &build.wheels, &other.wheels);
            let (before, after) = (build.output.as_slice(), other.output.as_slice());
            self.wheels(&of("output"), before, after);
            let made = |build: &LockedBuild| {
                let entry = |file: &BuiltFile| {
                    (file.path.clone(), format!("({}, {} bytes)", file.sha256, file.size))
                };
                build.files.iter().map(entry).collect::<BTreeMap<_, _>>()
            };
            self.map(&of("output"), &made(build), &made(other));
        }
    }

    /// What a recipe says of a build, beside what it asks for by name.
    fn build_asked(&mut self, build: &LockedBuild, asked: &BuildRecipe, local: &[LockedFile]) {
        self.build_command(build, &asked.version, &asked.env, &asked.command);
        self.build_result(build, &asked.outputs, asked.repeatable);
        self.build_surroundings(build, asked.profile.as_deref(), local);
        let git = match &build.source {
            BuildSource::Distribution(_) | BuildSource::Local => "",
            BuildSource::Git(name) => name,
        };
        let what = format!("git source of compiled `{}`", build.name);
        self.value(&what, git, asked.git.as_deref().unwrap_or(""));
    }

    fn build_command(
        &mut self,
        build: &LockedBuild,
        version: &str,
        env: &BTreeMap<String, String>,
        command: &[String],
    ) {
        let of = |kind: &str| format!("{kind} of compiled `{}`", build.name);
        self.value(&of("version"), &build.version, version);
        self.map(&of("variable"), &build.env, env);
        self.value(&of("command"), &build.command.join(" "), &command.join(" "));
    }

    fn build_result(
        &mut self,
        build: &LockedBuild,
        outputs: &BTreeMap<String, String>,
        repeatable: bool,
    ) {
        let of = |kind: &str| format!("{kind} of compiled `{}`", build.name);
        self.map(&of("declared output"), &build.outputs, outputs);
        let (before, after) = (build.repeatable.to_string(), repeatable.to_string());
        self.value(&of("repeatability"), &before, &after);
    }

    /// Who has what comes out, and the recipe's own files that the command finds.
    fn build_surroundings(
        &mut self,
        build: &LockedBuild,
        profile: Option<&str>,
        local: &[LockedFile],
    ) {
        let of = |kind: &str| format!("{kind} of compiled `{}`", build.name);
        let before = build.profile.as_deref().unwrap_or("");
        self.value(&of("profile"), before, profile.unwrap_or(""));
        self.map(&of("local file"), &files(&build.local), &files(local));
    }

    fn seal(&mut self, before: &Lock, after: &Lock) {
        let table = |lock: &Lock| -> BTreeMap<_, _> {
            let Some(seal) = &lock.seal else { return BTreeMap::new() };
            let layer = |layer: &super::LockedLayer| {
                let text = format!("{} ({} bytes)", layer.digest, layer.size);
                (format!("layer {}", layer.origin), text)
            };
            let manifest = ("manifest".to_owned(), seal.manifest.to_string());
            seal.layers.iter().map(layer).chain([manifest]).collect()
        };
        self.map("seal", &table(before), &table(after));
    }
}

/// Stands for the content of a file that nobody pinned.
const UNKNOWN: Digest = Digest::from_bytes([0; 32]);

/// The file of `locked` that a recipe names so; one of no content if there is none.
fn named_as(locked: &[LockedFile], path: &str, source: &str, executable: bool) -> LockedFile {
    let is_it = |file: &&LockedFile| {
        (file.path.as_str(), file.source.as_str(), file.executable) == (path, source, executable)
    };
    let (path, source) = (path.to_owned(), source.to_owned());
    let unknown = LockedFile { path, source, executable, size: 0, sha256: UNKNOWN };
    locked.iter().find(is_it).cloned().unwrap_or(unknown)
}

fn files(files: &[LockedFile]) -> BTreeMap<String, String> {
    let entry = |file: &LockedFile| {
        let mode = if file.executable { " executable" } else { "" };
        let text = format!("from `{}`{mode} ({}, {} bytes)", file.source, file.sha256, file.size);
        (file.path.clone(), text)
    };
    files.iter().map(entry).collect()
}

fn mounted(files: &[LockedProfileFile]) -> BTreeMap<String, String> {
    let entry = |file: &LockedProfileFile| {
        let text = format!("from `{}` ({}, {} bytes)", file.source, file.sha256, file.size);
        (format!("{}: {}", file.profile, file.path), text)
    };
    files.iter().map(entry).collect()
}

/// Contents are named by digest: a difference is one line.
fn contents(files: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let entry = |(path, text): (&String, &String)| {
        (path.clone(), format!("({}, {} bytes)", Digest::of(text.as_bytes()), text.len()))
    };
    files.iter().map(entry).collect()
}
