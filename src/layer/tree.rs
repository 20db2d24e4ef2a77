//! Puts the entries of several inputs together into one sorted layer.
//!
//! Directories merge, equal files are kept once, and anything else that two inputs
//! want at one path is an error that names both. Every path is reached through the
//! symbolic links below it, as the kernel would reach it: a package's `lib/x` over
//! a base where `lib` leads to `usr/lib` becomes `usr/lib/x`.

use std::collections::BTreeMap;

use super::Directories;
use super::error::LayerError;
use super::plan::{Body, Entry, Input, Source};
use super::sources::Sources;
use crate::tarball::{PathBytes, check_path, shortened};

/// A layer in the making.
pub(super) struct Tree<'a> {
    below: &'a Directories,
    /// What is below, and the links and directories of this layer.
    reach: Directories,
    inputs: &'a [Input],
    nodes: BTreeMap<String, Entry>,
    /// Paths at which a layer above has something: there inputs may differ, and the first stays.
    covered: Vec<String>,
    notes: Vec<String>,
    bytes: PathBytes,
}

impl<'a> Tree<'a> {
    pub(super) fn new(below: &'a Directories, inputs: &'a [Input]) -> Self {
        let (reach, nodes) = (below.clone(), BTreeMap::new());
        let (covered, notes, bytes) = (Vec::new(), Vec::new(), PathBytes::default());
        Self { below, reach, inputs, nodes, covered, notes, bytes }
    }

    /// Says where a layer above has something of its own, so that nobody sees which input is right.
    pub(super) fn cover(&mut self, paths: Vec<String>) {
        self.covered = paths;
    }

    /// What a reader should know of the covered paths at which inputs differ.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Adds symbolic links. They come before everything else, because they decide where
    /// the rest belongs; links nearer to the root decide where deeper ones belong.
    pub(super) fn add_links(
        &mut self,
        mut links: Vec<(Option<u32>, String, String)>,
    ) -> Result<(), LayerError> {
        links.sort_by_key(|(owner, path, _)| (path.matches('/').count(), path.clone(), *owner));
        for (owner, path, target) in links {
            let path = self.place(&path, owner)?;
            let entry = Entry { path, owner, body: Body::Symlink(target.clone()) };
            self.check_below(&entry)?;
            match self.nodes.get(&entry.path) {
                None => {}
                // The recipe's own table comes first and wins.
                Some(Entry { owner: None, .. }) => continue,
                Some(there) if there.body == entry.body => continue,
                Some(there) => {
                    let conflict = self.conflict(there, &entry);
                    self.settle(conflict)?;
                    continue;
                }
            }
            self.reach.insert_symlink(&entry.path, &target);
            self.insert(entry)?;
        }
        Ok(())
    }

    /// Adds a directory; one that is a symbolic link already means where that leads.
    pub(super) fn add_directory(
        &mut self,
        path: &str,
        owner: Option<u32>,
    ) -> Result<(), LayerError> {
        self.check_name(path, owner)?;
        let path = self.reach.resolve(path).ok_or_else(|| self.looping(path, owner))?;
        if path.is_empty() || self.below.has_for_all(&path) {
            return Ok(());
        }
        let entry = Entry { path, owner, body: Body::Directory };
        match self.nodes.get(&entry.path) {
            Some(there) if there.body == Body::Directory => Ok(()),
            Some(there) => Err(self.conflict(there, &entry)),
            None => self.insert(entry),
        }
    }

    /// Adds a file; where one is already, both must be equal.
    pub(super) fn add_file(
        &mut self,
        sources: &mut Sources,
        path: &str,
        owner: Option<u32>,
        executable: bool,
        source: Source,
    ) -> Result<(), LayerError> {
        let path = self.place(path, owner)?;
        let entry = Entry { path, owner, body: Body::File { executable, source } };
        if self.below.has_directory(&entry.path) {
            let first = "a directory of the layers below".to_owned();
            return Err(LayerError::Conflict {
                path: entry.path.clone(),
                first,
                second: self.describe(&entry),
            });
        }
        match self.nodes.get(&entry.path) {
            // The recipe's own tables come first and win.
            Some(Entry { owner: None, .. }) => Ok(()),
            Some(there) if equal(sources, there, &entry)? => Ok(()),
            Some(there) => {
                let conflict = self.conflict(there, &entry);
                self.settle(conflict)
            }
            None => self.insert(entry),
        }
    }

    /// The sorted entries, with the directories that nobody named.
    pub(super) fn finish(mut self) -> Result<Vec<Entry>, LayerError> {
        let named: Vec<(String, Option<u32>)> =
            self.nodes.values().map(|entry| (entry.path.clone(), entry.owner)).collect();
        for (path, owner) in named {
            for (end, _) in path.match_indices('/') {
                self.add_parent(&path[..end], owner)?;
            }
        }
        let mut entries: Vec<Entry> = self.nodes.into_values().collect();
        link_equal_places(&mut entries);
        Ok(entries)
    }

    /// Adds a directory that leads to an entry; its path was resolved with the entry's.
    fn add_parent(&mut self, path: &str, owner: Option<u32>) -> Result<(), LayerError> {
        let entry = Entry { path: path.to_owned(), owner, body: Body::Directory };
        match self.nodes.get(path) {
            Some(there) if there.body == Body::Directory => {}
            Some(there) => return Err(self.conflict(there, &entry)),
            None if self.below.has_for_all(path) => {}
            None => self.insert(entry)?,
        }
        Ok(())
    }

    fn insert(&mut self, entry: Entry) -> Result<(), LayerError> {
        let (path, owner) = (entry.path.as_str(), entry.owner);
        check_path(path.as_bytes()).map_err(|reason| self.refuse(path, owner, reason))?;
        let counted = self.bytes.add(path.as_bytes());
        counted.map_err(|reason| self.refuse(path, owner, reason))?;
        self.nodes.insert(entry.path.clone(), entry);
        Ok(())
    }

    /// A file or link must not hide a directory of the layers below.
    fn check_below(&self, entry: &Entry) -> Result<(), LayerError> {
        if !self.below.has_directory(&entry.path) {
            return Ok(());
        }
        let first = "a directory of the layers below".to_owned();
        let (path, second) = (entry.path.clone(), self.describe(entry));
        Err(LayerError::Conflict { path, first, second })
    }

    fn place(&self, path: &str, owner: Option<u32>) -> Result<String, LayerError> {
        self.check_name(path, owner)?;
        self.reach.resolve_parent(path).ok_or_else(|| self.looping(path, owner))
    }

    /// Some names are deletions in a layer (OCI image specification, "Whiteouts").
    fn check_name(&self, path: &str, owner: Option<u32>) -> Result<(), LayerError> {
        check_path(path.as_bytes()).map_err(|reason| self.refuse(path, owner, reason))?;
        if !path.split('/').any(|part| part.starts_with(".wh.")) {
            return Ok(());
        }
        Err(self.refuse(path, owner, "a name that begins with `.wh.` is a deletion in a layer"))
    }

    fn looping(&self, path: &str, owner: Option<u32>) -> LayerError {
        self.refuse(path, owner, "symbolic links lead to it in a circle")
    }

    fn refuse(&self, path: &str, owner: Option<u32>, reason: &'static str) -> LayerError {
        let origin = self.origin(owner).to_owned();
        LayerError::Path { path: shortened(path.as_bytes()), origin, reason }
    }

    fn conflict(&self, there: &Entry, new: &Entry) -> LayerError {
        let (first, second) = (self.describe(there), self.describe(new));
        LayerError::Conflict { path: new.path.clone(), first, second }
    }

    /// Lets a difference be where a layer above hides both sides of it.
    fn settle(&mut self, conflict: LayerError) -> Result<(), LayerError> {
        let LayerError::Conflict { path, first, second } = &conflict else { return Err(conflict) };
        let place = |covered: &String| self.reach.resolve_parent(covered);
        if !self.covered.iter().any(|covered| place(covered).as_ref() == Some(path)) {
            return Err(conflict);
        }
        let note = format!("`{path}` is {first} and {second}; the recipe's own hides both");
        self.notes.push(note);
        Ok(())
    }

    fn describe(&self, entry: &Entry) -> String {
        let origin = self.origin(entry.owner);
        match &entry.body {
            Body::Directory => format!("a directory of {origin}"),
            Body::Symlink(target) => format!("a link to `{target}` of {origin}"),
            Body::HardLink { target, .. } => format!("a hard link to `{target}` of {origin}"),
            Body::File { executable, source } => {
                let kind = if *executable { "an executable file" } else { "a file" };
                format!("{kind} of {} bytes of {origin}", source.size())
            }
        }
    }

    fn origin(&self, owner: Option<u32>) -> &str {
        owner.map_or("the recipe", |owner| &self.inputs[owner as usize].origin)
    }
}

/// Whether two entries are files with equal bytes and modes.
fn equal(sources: &mut Sources, one: &Entry, other: &Entry) -> Result<bool, LayerError> {
    let (Body::File { executable, source }, Body::File { executable: its, source: new }) =
        (&one.body, &other.body)
    else {
        return Ok(false);
    };
    if executable != its || source.size() != new.size() {
        return Ok(false);
    }
    Ok(sources.digest(&one.path, source)? == sources.digest(&other.path, new)?)
}

/// Names of one place in a package are hard links; the first in the order of paths has the content.
fn link_equal_places(entries: &mut [Entry]) {
    let mut first: BTreeMap<(u32, u64), String> = BTreeMap::new();
    for entry in entries {
        let Body::File { executable, source: Source::Packaged { input, offset, .. } } = entry.body
        else {
            continue;
        };
        if let Some(target) = first.get(&(input, offset)) {
            entry.body = Body::HardLink { target: target.clone(), executable };
        } else {
            first.insert((input, offset), entry.path.clone());
        }
    }
}
