//! What a recipe must keep beyond keys and types.

mod exchange;
mod published;
mod reading;

use std::collections::{BTreeMap, BTreeSet};

use super::benchmark::{Axis, Benchmark, Profile};
use super::document::{Document, Fault};
use super::names::{
    self, ABSOLUTE_PATH, FIND_LINKS, IMAGE_REFERENCE, PLAIN_NAME, RELATIVE_PATH, WEB_ADDRESS,
};
use super::types::{BaseRecipe, BuildRecipe, DownloadRecipe, GitRecipe, Gone, ImageRecipe, Recipe};
use crate::address::masked;
use crate::git::check_pattern;

/// Reports everything in `recipe` that no build or run could make sense of.
pub(super) fn recipe(recipe: &Recipe, document: &Document<'_>, faults: &mut Vec<Fault>) {
    let mut check = Check { document, faults, recipe };
    let guide = &recipe.guide;
    let full = guide.commit.len() == 40 && guide.commit.bytes().all(|b| b.is_ascii_hexdigit());
    check.rule(full, &["guide", "commit"], &guide.commit, "a commit has 40 hexadecimal digits");
    check.image(&recipe.image);
    check.benchmark(&recipe.benchmark);
    check.unavailable(recipe);
    check.errata(&recipe.errata);
    check.published(recipe);
    for (name, profile) in &recipe.profiles {
        check.profile(name, profile, &recipe.benchmark);
    }
    if recipe.profiles.is_empty() {
        check.fault(&["profile"], "`profile`: there must be one at least".to_owned());
    }
}

struct Check<'a, 't> {
    document: &'a Document<'t>,
    faults: &'a mut Vec<Fault>,
    recipe: &'a Recipe,
}

impl Check<'_, '_> {
    fn fault(&mut self, path: &[&str], message: String) {
        self.faults.push(Fault { offset: self.document.locate(path), message });
    }

    /// `value` under `path` must keep a rule; `words` say which.
    fn rule(&mut self, kept: bool, path: &[&str], value: &str, words: &str) {
        if !kept {
            self.fault(path, format!("`{}` is `{}`: {words}", path.join("."), masked(value)));
        }
    }

    fn absolute(&mut self, path: &[&str], value: &str) {
        self.rule(names::absolute_path(value), path, value, ABSOLUTE_PATH);
    }

    /// A file of the recipe's folder; a symbolic link may not lead out of it either.
    fn local(&mut self, path: &[&str], value: &str) {
        self.rule(names::relative_path(value), path, value, RELATIVE_PATH);
        let folder = self.recipe.folder.canonicalize();
        let file = self.recipe.folder.join(value).canonicalize();
        if let (true, Ok(folder), Ok(file)) = (names::relative_path(value), folder, file) {
            let words = "the file lies outside the recipe's folder";
            self.rule(file.starts_with(folder), path, value, words);
        }
    }

    /// Absolute paths as keys of a table.
    fn absolute_keys(&mut self, table: &[&str], map: &BTreeMap<String, String>) {
        for key in map.keys() {
            let path: Vec<_> = table.iter().copied().chain([key.as_str()]).collect();
            if !names::absolute_path(key) {
                self.fault(&path, format!("`{key}` in `{}`: {ABSOLUTE_PATH}", table.join(".")));
            }
        }
    }

    fn environment(&mut self, table: &[&str], env: &BTreeMap<String, String>) {
        for (name, value) in env {
            let path: Vec<_> = table.iter().copied().chain([name.as_str()]).collect();
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                self.fault(&path, format!("`{name}` in `{}` is no variable", table.join(".")));
            }
        }
    }

    fn command(&mut self, path: &[&str], command: &[String]) {
        let words = "a command has a program and no NUL";
        let fine = command.first().is_some_and(|program| !program.is_empty())
            && !command.iter().any(|argument| argument.contains('\0'));
        self.rule(fine, path, &command.join(" "), words);
    }

    fn unique<'n>(&mut self, path: &[&str], all: impl IntoIterator<Item = &'n str>) {
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<_> = all.into_iter().filter(|name| !seen.insert(*name)).collect();
        for name in twice {
            self.fault(path, format!("`{name}` stands twice in `{}`", path.join(".")));
        }
    }
}

/// The half that decides bytes.
impl Check<'_, '_> {
    fn image(&mut self, image: &ImageRecipe) {
        self.base(&image.base);
        self.python(image);
        for (at, git) in image.git.iter().enumerate() {
            self.git(&at.to_string(), git);
        }
        self.unique(&["git"], image.git.iter().map(|git| git.name.as_str()));
        for (at, download) in image.downloads.iter().enumerate() {
            self.download(&at.to_string(), download);
        }
        let trees = image.git.iter().filter_map(|git| git.path.as_deref());
        self.unique(&["git"], trees);
        for (at, build) in image.builds.iter().enumerate() {
            self.build(&at.to_string(), build);
            self.build_source(&at.to_string(), build, image);
        }
        let built: Vec<_> = image.builds.iter().map(|b| names::normalised(&b.name)).collect();
        self.unique(&["build"], built.iter().map(String::as_str));
        self.gone(&image.gone);
        self.tables(image);
        self.rule(image.shm_size > 0, &["image", "shm-size"], "0", "a job needs some");
    }

    fn base(&mut self, base: &BaseRecipe) {
        let mut name = |path: [&str; 2], value: &String| {
            self.rule(names::plain_name(value), &path, value, PLAIN_NAME);
        };
        match base {
            BaseRecipe::Debian(debian) => {
                name(["debian", "suite"], &debian.suite);
                name(["debian", "architecture"], &debian.architecture);
                self.packages(&["debian", "packages"], &debian.packages);
            }
            BaseRecipe::Registry(registry) => {
                name(["base", "architecture"], &registry.architecture);
                let fine = names::image_reference(&registry.image);
                self.rule(fine, &["base", "image"], &registry.image, IMAGE_REFERENCE);
            }
        }
    }

    fn git(&mut self, at: &str, git: &GitRecipe) {
        let path = |key| ["git", at, key];
        self.rule(names::plain_name(&git.name), &path("name"), &git.name, PLAIN_NAME);
        self.rule(!git.urls.is_empty(), &path("urls"), "[]", "a source needs a repository");
        for url in &git.urls {
            let words = "a repository is a URL without credentials, `https://host/team/project`";
            self.rule(names::repository_url(url), &path("urls"), url, words);
        }
        git.path.iter().for_each(|place| self.absolute(&path("path"), place));
        for (key, patterns) in [("include", &git.include), ("exclude", &git.exclude)] {
            for error in patterns.iter().filter_map(|pattern| check_pattern(pattern).err()) {
                self.fault(&path(key), format!("`git.{key}`: {error}"));
            }
            self.unique(&path(key), patterns.iter().map(String::as_str));
        }
    }

    fn download(&mut self, at: &str, download: &DownloadRecipe) {
        let path = |key| ["download", at, key];
        self.absolute(&path("path"), &download.path);
        self.rule(!download.urls.is_empty(), &path("urls"), "[]", "a download needs an address");
        for url in &download.urls {
            self.rule(names::web_address(url), &path("urls"), url, WEB_ADDRESS);
        }
        let prefix = download.checks.sha256_prefix.as_deref().unwrap_or("");
        let agrees = download.sha256.is_none_or(|digest| digest.hex().starts_with(prefix));
        self.rule(agrees, &path("checks"), prefix, "the `sha256` begins otherwise");
    }

    /// What a build job compiles, and what comes out of it.
    fn build_source(&mut self, at: &str, build: &BuildRecipe, image: &ImageRecipe) {
        let path = |key| ["build", at, key];
        if let Some(name) = &build.git {
            let known: Vec<_> = image.git.iter().map(|git| git.name.as_str()).collect();
            let words = match known.as_slice() {
                [] => "there is no `[[git]]`".to_owned(),
                known => format!("there is no such `[[git]]`; {}", listed(known)),
            };
            self.rule(known.contains(&name.as_str()), &path("git"), name, &words);
        }
        let words = "files are made of a `git` source or of `local` files; a source distribution gives a wheel";
        let fine = build.git.is_some() || build.outputs.is_empty() || !build.local.is_empty();
        self.rule(fine, &path("outputs"), &build.name, words);
        self.absolute_keys(&path("local"), &build.local);
        for (target, source) in &build.local {
            self.local(&["build", at, "local", target], source);
        }
        self.absolute_keys(&path("outputs"), &build.outputs);
        for (target, source) in &build.outputs {
            let path = ["build", at, "outputs", target];
            self.rule(names::relative_path(source), &path, source, RELATIVE_PATH);
        }
        let debian = image.base.debian().is_some() || build.packages.is_empty();
        let words = "Debian packages of a build need a `[debian]` base";
        self.rule(debian, &path("packages"), &build.packages.join(" "), words);
        if let Some(name) = &build.profile {
            self.build_of_profile(at, build, name);
        }
    }

    /// What a profile mounts is beside the image: it may not change what the image is made of.
    fn build_of_profile(&mut self, at: &str, build: &BuildRecipe, name: &str) {
        let path = |key| ["build", at, key];
        let profile = self.recipe.profiles.get(name);
        let known: Vec<_> = self.recipe.profiles.keys().map(String::as_str).collect();
        let words = format!("there is no such profile; {}", listed(&known));
        self.rule(profile.is_some(), &path("profile"), name, &words);
        let words = "a profile mounts files: the build has to declare its `outputs`";
        self.rule(!build.outputs.is_empty(), &path("profile"), name, words);
        let words = "what a profile mounts cannot ask for wheels of the image";
        self.rule(build.requires.is_empty(), &path("requires"), &build.requires.join(" "), words);
        for target in profile.iter().flat_map(|profile| profile.files.keys()) {
            let words = "the profile has a file of its own there";
            self.rule(!build.outputs.contains_key(target), &path("outputs"), target, words);
        }
    }

    fn packages(&mut self, path: &[&str], packages: &[String]) {
        for name in packages {
            self.rule(names::plain_name(name), path, name, PLAIN_NAME);
        }
        self.unique(path, packages.iter().map(String::as_str));
    }

    fn python(&mut self, image: &ImageRecipe) {
        let python = &image.python;
        let numbers = [("version", &python.version), ("glibc", &python.glibc)];
        for (key, value) in numbers {
            let words = "expected two numbers and a point, `3.9`";
            self.rule(names::release_number(value), &["python", key], value, words);
        }
        let paths = [
            ("interpreter", &python.interpreter),
            ("prefix", &python.prefix),
            ("site", &python.site),
            ("scripts", &python.scripts),
        ];
        paths.iter().for_each(|(key, value)| self.absolute(&["python", key], value));
        let words = "expected a date, `2026-11-20`";
        self.rule(names::date(&python.as_of), &["python", "as-of"], &python.as_of, words);
        self.requirements(&["python", "requirements"], &python.requirements);
        for place in &python.find_links {
            let fine = names::web_address(place) || names::relative_path(place);
            self.rule(fine, &["python", "find-links"], place, FIND_LINKS);
        }
        self.unique(&["python", "find-links"], python.find_links.iter().map(String::as_str));
    }

    fn requirements(&mut self, path: &[&str], requirements: &[String]) {
        for requirement in requirements {
            // PEP 508 allows a URL; a lock says what and never where.
            let names_place = requirement.contains('@');
            let words = "a requirement names no location; that is for the settings";
            self.rule(!names_place, path, requirement, words);
            let is_plain = names_place || names::requirement(requirement);
            self.rule(is_plain, path, requirement, names::REQUIREMENT);
        }
        self.unique(path, requirements.iter().map(String::as_str));
    }

    fn build(&mut self, at: &str, build: &BuildRecipe) {
        let path = |key| ["build", at, key];
        let named = names::plain_name(&names::normalised(&build.name));
        self.rule(named, &path("name"), &build.name, PLAIN_NAME);
        let version = build.version.to_ascii_lowercase();
        self.rule(names::plain_name(&version), &path("version"), &build.version, PLAIN_NAME);
        self.requirements(&path("requires"), &build.requires);
        self.requirements(&path("wheels"), &build.wheels);
        self.packages(&path("packages"), &build.packages);
        self.environment(&path("env"), &build.env);
        self.command(&path("command"), &build.command);
    }

    fn gone(&mut self, gone: &[Gone]) {
        for (at, gone) in gone.iter().enumerate() {
            let at = at.to_string();
            let path = |key| ["gone", at.as_str(), key];
            let words = "expected a date, `2026-11-20`";
            self.rule(names::date(&gone.date), &path("date"), &gone.date, words);
            for (key, value) in [("input", &gone.input), ("evidence", &gone.evidence)] {
                self.rule(!value.trim().is_empty(), &path(key), value, "it must say something");
            }
        }
        self.unique(&["gone"], gone.iter().map(|gone| gone.input.as_str()));
    }

    fn tables(&mut self, image: &ImageRecipe) {
        for (at, file) in image.local_files.iter().enumerate() {
            self.absolute(&["file", &at.to_string(), "path"], &file.path);
            self.local(&["file", &at.to_string(), "source"], &file.source);
        }
        self.absolute_keys(&["symlinks"], &image.symlinks);
        self.absolute_keys(&["files"], &image.files);
        self.environment(&["image", "env"], &image.env);
        self.absolute(&["image", "workdir"], &image.workdir);
        for folder in &image.writable {
            self.absolute(&["image", "writable"], folder);
        }
        self.unique(&["image", "writable"], image.writable.iter().map(String::as_str));
        let made = image.local_files.iter().map(|file| file.path.as_str());
        let made = made.chain(image.symlinks.keys().map(String::as_str));
        let made = made.chain(image.downloads.iter().map(|download| download.path.as_str()));
        self.unique(&["file"], made.chain(image.files.keys().map(String::as_str)));
    }
}

/// The half that decides how the image is run.
impl Check<'_, '_> {
    fn benchmark(&mut self, benchmark: &Benchmark) {
        self.absolute(&["benchmark", "workdir"], &benchmark.workdir);
        let timeout = benchmark.timeout > 0;
        self.rule(timeout, &["benchmark", "timeout"], "0", "a case needs some time");
        for (name, mode) in &benchmark.mode {
            self.command(&["benchmark", "mode", name, "command"], &mode.command);
            self.exchange(name, mode, benchmark);
        }
        let matrix = &benchmark.matrix;
        let path = ["benchmark", "matrix"];
        self.axis(&path, "model", &matrix.model);
        self.axis(&path, "mode", &matrix.mode);
        self.axis(&path, "batch-size", &matrix.batch_size);
        self.axis(&path, "precision", &matrix.precision);
        let axes: BTreeSet<_> = matrix.order.iter().collect();
        let is_whole = axes.len() == Axis::ALL.len() && matrix.order.len() == axes.len();
        let words = "all four axes, each once: `model`, `mode`, `batch-size`, `precision`";
        let named = format!("{} axes", matrix.order.len());
        let order = ["benchmark", "matrix", "order"];
        self.rule(matrix.order.is_empty() || is_whole, &order, &named, words);
        self.modes(&["benchmark", "matrix", "mode"], &matrix.mode, benchmark);
        self.models(&["benchmark", "model"], benchmark.model.keys(), benchmark);
        self.reading(benchmark);
    }

    /// An axis has a value at least, and each value once.
    fn axis<T: ToString>(&mut self, table: &[&str], axis: &str, values: &[T]) {
        let path: Vec<_> = table.iter().copied().chain([axis]).collect();
        let values: Vec<_> = values.iter().map(T::to_string).collect();
        self.rule(!values.is_empty(), &path, "[]", "an axis needs a value at least");
        self.unique(&path, values.iter().map(String::as_str));
        for value in values.iter().filter(|value| !names::file_name(value)) {
            // Values are parts of case names and of file names.
            self.rule(false, &path, value, names::FILE_NAME);
        }
    }

    fn modes<'n>(
        &mut self,
        path: &[&str],
        modes: impl IntoIterator<Item = &'n String>,
        benchmark: &Benchmark,
    ) {
        let known: Vec<_> = benchmark.mode.keys().map(String::as_str).collect();
        for mode in modes.into_iter().filter(|mode| !known.contains(&mode.as_str())) {
            let words = format!("there is no `[benchmark.mode.{mode}]`; {}", listed(&known));
            self.rule(false, path, mode, &words);
        }
    }

    fn models<'n>(
        &mut self,
        path: &[&str],
        models: impl IntoIterator<Item = &'n String>,
        benchmark: &Benchmark,
    ) {
        let known: Vec<_> = benchmark.matrix.model.iter().map(String::as_str).collect();
        for model in models.into_iter().filter(|model| !known.contains(&model.as_str())) {
            let path: Vec<_> = path.iter().copied().chain([model.as_str()]).collect();
            let message = format!("`{model}` is no model of the matrix; {}", listed(&known));
            self.fault(&path, message);
        }
    }

    fn profile(&mut self, name: &str, profile: &Profile, benchmark: &Benchmark) {
        self.rule(names::plain_name(name), &["profile", name], name, PLAIN_NAME);
        let matrix = &profile.matrix;
        let path = ["profile", name, "matrix"];
        matrix.model.iter().for_each(|values| self.axis(&path, "model", values));
        matrix.mode.iter().for_each(|values| self.axis(&path, "mode", values));
        matrix.batch_size.iter().for_each(|values| self.axis(&path, "batch-size", values));
        matrix.precision.iter().for_each(|values| self.axis(&path, "precision", values));
        if let Some(modes) = &matrix.mode {
            self.modes(&["profile", name, "matrix", "mode"], modes, benchmark);
        }
        self.modes(&["profile", name, "gpus-of"], profile.gpus_of.keys(), benchmark);
        for (mode, gpus) in &profile.gpus_of {
            let path = ["profile", name, "gpus-of", mode];
            self.rule(
                *gpus > 0,
                &path,
                &gpus.to_string(),
                "a mode has one GPU or process at least",
            );
        }
        let models = matrix.model.iter().flatten();
        self.models(&["profile", name, "matrix", "model"], models, benchmark);
        self.models(&["profile", name, "model"], profile.model.keys(), benchmark);
        self.environment(&["profile", name, "env"], &profile.env);
        self.absolute_keys(&["profile", name, "files"], &profile.files);
        self.absolute_keys(&["profile", name, "data"], &profile.data);
        for (target, source) in &profile.files {
            self.local(&["profile", name, "files", target], source);
        }
        self.skips(name, profile);
        let timeout = profile.timeout != Some(0);
        self.rule(timeout, &["profile", name, "timeout"], "0", "a case needs some time");
    }
}

fn listed(known: &[&str]) -> String {
    format!("there are `{}`", known.join("`, `"))
}
