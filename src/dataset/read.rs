//! `datasets.toml` from text.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::archive::{Encoding, nested};
use super::{ARCHIVES, Archive, Dataset, DatasetError, Datasets, ListRule, TreeRule, at};
use crate::named_file;
use crate::recipe::document::{Document, Fault, problems};
use crate::recipe::names::{self, FILE_NAME, PLAIN_NAME, RELATIVE_PATH};
use crate::recipe::{Mistake, Recipe, nearest};

/// The file's name in a project.
pub const FILE: &str = "datasets.toml";

impl Datasets {
    /// Reads the project's `datasets.toml`; a project without one has no data sets.
    pub fn load(project: &Path) -> Result<Self, DatasetError> {
        let path = project.join(FILE);
        let text = match named_file::read_text(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other.map_err(at("read", &path))?,
        };
        Self::parse(&text, project)
    }

    /// Reads the text of the `datasets.toml` of `project`.
    ///
    /// # Errors
    ///
    /// [`DatasetError::Invalid`] with everything that is wrong.
    pub fn parse(text: &str, project: &Path) -> Result<Self, DatasetError> {
        let file = project.join(FILE);
        let invalid = |faults| DatasetError::Invalid { problems: problems(&file, text, faults) };
        let document = Document::parse(text).map_err(invalid)?;
        let mut faults = Vec::new();
        let mut sets = BTreeMap::new();
        for key in document.root.keys() {
            let name = key.get_ref().to_string();
            if let Some(mut set) = document.section::<Dataset>(&name, &mut faults) {
                set.name = name.clone();
                Check { document: &document, faults: &mut faults, set: &name }.dataset(&set);
                sets.insert(name, set);
            }
        }
        for set in sets.values() {
            let mut check = Check { document: &document, faults: &mut faults, set: &set.name };
            check.union(set, &sets);
            check.stand_in(set, &sets);
        }
        if !faults.is_empty() {
            return Err(invalid(faults));
        }
        Ok(Self { project: project.to_owned(), sets, text: text.to_owned() })
    }

    /// The data set of this name.
    ///
    /// # Errors
    ///
    /// [`DatasetError::Unknown`] with the names there are and the nearest one.
    pub fn get(&self, name: &str) -> Result<&Dataset, DatasetError> {
        self.sets.get(name).ok_or_else(|| {
            let known: Vec<_> = self.sets.keys().map(String::as_str).collect();
            DatasetError::Unknown {
                name: name.to_owned(),
                nearest: nearest(name, &known).map(str::to_owned),
                known: self.sets.keys().cloned().collect(),
            }
        })
    }

    /// The data sets that profiles of `recipe` mount and this file does not describe.
    pub fn undescribed(&self, recipe: &Recipe) -> Vec<Mistake> {
        let known: Vec<_> = self.sets.keys().map(String::as_str).collect();
        let mut mistakes = Vec::new();
        for (profile, rule) in &recipe.profiles {
            for (target, name) in
                rule.data.iter().filter(|(_, name)| !known.contains(&name.as_str()))
            {
                let near = match nearest(name, &known) {
                    Some(near) => format!("the nearest is `{near}`"),
                    None => format!("describe it there as `[{name}]`"),
                };
                let message = format!(
                    "profile `{profile}` mounts data set `{name}`, which `{FILE}` does not describe; {near}"
                );
                mistakes.push(Mistake::at(&["profile", profile, "data", target], message));
            }
        }
        mistakes
    }

    /// The data sets of these names; all of them if none is named.
    pub fn select(&self, names: &[String]) -> Result<Vec<&Dataset>, DatasetError> {
        if names.is_empty() {
            return Ok(self.sets.values().collect());
        }
        names.iter().map(|name| self.get(name)).collect()
    }
}

struct Check<'a, 't> {
    document: &'a Document<'t>,
    faults: &'a mut Vec<Fault>,
    set: &'a str,
}

impl Check<'_, '_> {
    fn rule(&mut self, kept: bool, path: &[&str], message: String) {
        if !kept {
            let path: Vec<_> = [self.set].into_iter().chain(path.iter().copied()).collect();
            self.faults.push(Fault { offset: self.document.locate(&path), message });
        }
    }

    fn dataset(&mut self, set: &Dataset) {
        let name = &set.name;
        self.rule(names::plain_name(name), &[], format!("`{name}`: {PLAIN_NAME}"));
        let message =
            format!("`{ARCHIVES}` is the folder of all archives, so no data set has this name");
        self.rule(name != ARCHIVES, &[], message);
        let own = !set.archives.is_empty() || set.tree.is_some();
        let something = own || !set.of.is_empty();
        self.rule(something, &[], format!("`{name}` has no archive and no tree"));
        let message = format!("`{name}` is made of others, so it has no archive and no tree");
        self.rule(!own || set.of.is_empty(), &["of"], message);
        for (at, archive) in set.archives.iter().enumerate() {
            self.archive(&at.to_string(), archive);
            let twice = set.archives[..at].iter().any(|other| other.file == archive.file);
            let message = format!("`{}` stands twice in `{name}`", archive.file);
            self.rule(!twice, &["archive", &at.to_string(), "file"], message);
        }
        if let Some(tree) = &set.tree {
            self.tree(tree);
        }
    }

    /// What a union is made of: other data sets, each in a folder of its own.
    fn union(&mut self, set: &Dataset, sets: &BTreeMap<String, Dataset>) {
        for (folder, part) in &set.of {
            let at = ["of", folder.as_str()];
            self.rule(names::relative_path(folder), &at, format!("`{folder}`: {RELATIVE_PATH}"));
            let known = sets.get(part).is_some_and(|part| part.of.is_empty());
            let message = format!("`{part}` is no data set, or is made of others itself");
            self.rule(known, &at, message);
            let below = |other: &String| other.starts_with(&format!("{folder}/"));
            let message = format!("another data set lies inside `{folder}`");
            self.rule(!set.of.keys().any(below), &at, message);
        }
    }

    /// What takes its place is always at hand: all of it is part of the project.
    fn stand_in(&mut self, set: &Dataset, sets: &BTreeMap<String, Dataset>) {
        let Some(name) = &set.stand_in else { return };
        let fine = sets.get(name).is_some_and(Dataset::is_of_project);
        let message = format!("`{name}` is no data set whose archives all lie in the project");
        self.rule(fine, &["stand-in"], message);
        let message = "each data set that a union is made of has a stand-in of its own".to_owned();
        self.rule(!set.is_union(), &["stand-in"], message);
    }

    fn archive(&mut self, at: &str, archive: &Archive) {
        let file = &archive.file;
        let fine = names::file_name(file);
        self.rule(fine, &["archive", at, "file"], format!("`{file}`: {FILE_NAME}"));
        let paths =
            [("path", &archive.path), ("strip", &archive.strip), ("unpack", &archive.unpack)];
        for (key, path) in paths {
            if let Some(path) = path {
                let fine = names::relative_path(path);
                self.rule(fine, &["archive", at, key], format!("`{path}`: {RELATIVE_PATH}"));
            }
        }
        if let Some(encoding) = &archive.encoding {
            let message =
                format!("`{encoding}` is no encoding; some are `gbk`, `shift-jis`, `cp437`");
            self.rule(Encoding::named(encoding).is_some(), &["archive", at, "encoding"], message);
        }
        if let Some(Err(reason)) = archive.nested.as_deref().map(nested) {
            self.rule(false, &["archive", at, "nested"], reason);
        }
        let pinned = archive.sha256.is_some();
        let one = pinned != archive.unpinned.is_some();
        let message = format!("`{file}` needs either `sha256` or `unpinned` with the reason");
        self.rule(one, &["archive", at, "file"], message);
        let message = format!("`{file}` has a `sha256` and no `size`");
        self.rule(!pinned || archive.size.is_some(), &["archive", at, "file"], message);
        for (place, part) in archive.parts.iter().enumerate() {
            let path = ["archive", at, "part", &place.to_string(), "file"];
            let fine = names::file_name(&part.file);
            self.rule(fine, &path, format!("`{}`: {FILE_NAME}", part.file));
            let twice = archive.parts[..place].iter().any(|other| other.file == part.file);
            self.rule(!twice, &path, format!("`{}` stands twice in `{file}`", part.file));
            let message = format!("`{}` has a `sha256` and no `size`", part.file);
            self.rule(part.sha256.is_none() || part.size.is_some(), &path, message);
        }
    }

    fn tree(&mut self, tree: &TreeRule) {
        let manifest = tree.manifest.is_some();
        let pinned = manifest == tree.sha256.is_some();
        let message = "a tree has `manifest` and its `sha256`, or `counts` and lists".to_owned();
        let known = !tree.counts.is_empty() || !tree.lists.is_empty();
        self.rule(pinned && manifest != known, &["tree"], message);
        let path = tree.manifest.iter().chain(tree.counts.keys().filter(|path| *path != "."));
        for path in path {
            let fine = names::relative_path(path);
            self.rule(fine, &["tree", "manifest"], format!("`{path}`: {RELATIVE_PATH}"));
        }
        for (place, list) in tree.lists.iter().enumerate() {
            self.list(&place.to_string(), list);
        }
    }

    fn list(&mut self, at: &str, list: &ListRule) {
        let own = |key| ["tree", "list", at, key];
        let message =
            format!("list `{}` has either a `path` or a file of a commit in `git`", list.name);
        self.rule(list.path.is_some() != list.git.is_some(), &own("name"), message);
        let paths = [
            ("path", list.path.as_ref()),
            ("strip", list.strip.as_ref()),
            ("git", list.git.as_ref().map(|git| &git.path)),
            ("beside", list.beside.as_ref().map(|beside| &beside.to)),
        ];
        for (key, path) in paths {
            let Some(path) = path else { continue };
            let fine = names::relative_path(path);
            self.rule(fine, &own(key), format!("`{path}`: {RELATIVE_PATH}"));
        }
    }
}
