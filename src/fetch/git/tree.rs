//! Walks a commit's tree and the trees of its submodules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use git2::{ObjectType, Oid};

use super::large::{self, LARGE};
use super::{FetchedTree, Fetcher, NoTree, Objects, Wish, oid, place};
use crate::digest::{CommitId, TreeId};
use crate::git::{GitError, Planned, Selection, Sink, TreeArchive, write_archive};
use crate::lock::{LockedBlob, LockedSubmodule};
use crate::store::at;

/// Submodules of submodules end here: a repository may name itself.
const DEEPEST: usize = 16;
/// A tree may hold itself many times over; no real one has more entries.
pub(super) const ENTRY_LIMIT: usize = 2_000_000;
/// PATH_MAX of Linux: nothing could open what lies deeper.
const PATH_LIMIT: usize = 4096;

/// A walk through one commit's tree.
pub(super) struct Walk<'f, 's> {
    fetcher: &'f Fetcher<'s>,
    repositories: Vec<Objects>,
    planned: Vec<Planned<usize>>,
    submodules: Vec<LockedSubmodule>,
    /// Patterns of the selection that matched something.
    used: BTreeSet<usize>,
}

/// A repository in the walk, and where it lies.
struct Here<'a> {
    /// Its index.
    repository: usize,
    /// Folder of the archive that its tree lies in, with a slash at its end.
    root: &'a [u8],
    /// Its places, for submodules that are given relative to it.
    urls: &'a [String],
    /// What of its tree is taken; `None` for all of it.
    selection: Option<&'a Selection>,
    depth: usize,
}

impl<'f, 's> Walk<'f, 's> {
    pub(super) fn new(fetcher: &'f Fetcher<'s>) -> Self {
        Self {
            fetcher,
            repositories: Vec::new(),
            planned: Vec::new(),
            submodules: Vec::new(),
            used: BTreeSet::new(),
        }
    }

    /// Puts the archive of the commit's tree into the store.
    pub(super) fn archive(mut self, wish: Wish<'_>) -> Result<FetchedTree, NoTree> {
        let tree = self.commit(wish, b"", 0)?;
        let Self { fetcher, repositories, planned, mut submodules, used } = self;
        wish.selection.map_or(Ok(()), |selection| selection.require_all(&used))?;
        let contents = &mut |index: usize, object: &[u8; 20], size, sink: &mut Sink<'_>| {
            let Objects { repository, folders } = &repositories[index];
            if size > LARGE && large::stream(folders, object, size, sink)? {
                return Ok(());
            }
            let blob = Oid::from_bytes(object).and_then(|oid| repository.find_blob(oid));
            let blob = blob.map_err(|error| broken(&error))?;
            Ok::<_, NoTree>(sink(blob.content())?)
        };
        let (digest, size) = write_archive(fetcher.store, planned, contents)?;
        submodules.sort();
        // A tree that git would not have written (unsorted, with a name twice) has no archive.
        let archive = TreeArchive::open(fetcher.store.open_blob(&digest)?)?;
        archive.check_trees(wish.name, tree, &named(&submodules))?;
        Ok(FetchedTree { tree, submodules, archive: LockedBlob { digest, size } })
    }

    /// Adds the tree of a commit below `root`.
    fn commit(&mut self, wish: Wish<'_>, root: &[u8], depth: usize) -> Result<TreeId, NoTree> {
        let objects = self.fetcher.repository(wish)?;
        let commit =
            objects.repository.find_commit(oid(wish.commit)).map_err(|error| broken(&error))?;
        let tree = commit.tree_id();
        drop(commit);
        self.repositories.push(objects);
        let Wish { urls, selection, .. } = wish;
        let here = Here { repository: self.repositories.len() - 1, root, urls, selection, depth };
        let modules = self.modules(&here, tree)?;
        self.folder(&here, tree, &mut root.to_vec(), &modules)?;
        Ok(TreeId::from_bytes(bytes_of(tree)))
    }

    /// Adds what lies in one folder; `path` is the folder's with a slash at its end.
    fn folder(
        &mut self,
        here: &Here<'_>,
        tree: Oid,
        path: &mut Vec<u8>,
        modules: &BTreeMap<Vec<u8>, String>,
    ) -> Result<(), NoTree> {
        let entries = self.entries(here, tree)?;
        if entries.is_empty() && path.len() > here.root.len() {
            let folder = path[..path.len() - 1].to_vec();
            let size = self.takes(here, &folder).then_some(0);
            return self.add(here, folder, 0o040_000, tree, size);
        }
        if path.len() > PATH_LIMIT {
            return Err(unusable(path, "it is longer than 4096 bytes"));
        }
        let length = path.len();
        for (name, mode, object) in entries {
            if name.is_empty() || name.contains(&b'/') {
                return Err(unusable(path, "an entry in it has a name that leads elsewhere"));
            }
            path.extend(&name);
            match mode & 0o170_000 {
                0o040_000 => {
                    path.push(b'/');
                    self.folder(here, object, path, modules)?;
                }
                0o160_000 => {
                    let is_taken = self.takes(here, path);
                    self.add(here, path.clone(), 0o160_000, object, is_taken.then_some(0))?;
                    let url = modules.get(&path[here.root.len()..]).filter(|_| is_taken);
                    if let Some(url) = url {
                        self.submodule(here, path, object, url)?;
                    }
                }
                0o100_000 | 0o120_000 => {
                    let is_taken = self.takes(here, path);
                    let size = is_taken.then(|| self.size(here, object)).transpose()?;
                    self.add(here, path.clone(), mode, object, size)?;
                }
                _ => return Err(unusable(path, "it is neither file, link nor folder")),
            }
            path.truncate(length);
        }
        Ok(())
    }

    fn submodule(
        &mut self,
        here: &Here<'_>,
        path: &[u8],
        commit: Oid,
        url: &str,
    ) -> Result<(), NoTree> {
        if here.depth >= DEEPEST {
            return Err(unusable(path, "submodules lie too deep in each other"));
        }
        let commit = CommitId::from_bytes(bytes_of(commit));
        let mut urls: Vec<String> =
            here.urls.iter().map(|parent| place::resolve(parent, url)).collect();
        urls.dedup();
        let name = String::from_utf8_lossy(path).into_owned();
        let root = [path, b"/"].concat();
        let wish = Wish { name: &name, urls: &urls, commit, selection: None };
        let tree = self.commit(wish, &root, here.depth + 1)?;
        let url = urls.first().cloned().unwrap_or_default();
        self.submodules.push(LockedSubmodule { path: name, url, commit, tree });
        Ok(())
    }

    /// Whether a path is part of what is asked for.
    fn takes(&mut self, here: &Here<'_>, path: &[u8]) -> bool {
        here.selection.is_none_or(|selection| selection.judge(path, &mut self.used))
    }

    /// Adds an entry; without a size it is left out.
    fn add(
        &mut self,
        here: &Here<'_>,
        path: Vec<u8>,
        mode: u32,
        object: Oid,
        size: Option<u64>,
    ) -> Result<(), NoTree> {
        if self.planned.len() >= ENTRY_LIMIT {
            return Err(unusable(&path, "the tree has more than two million entries"));
        }
        let (object, repository) = (bytes_of(object), here.repository);
        self.planned.push(Planned { path, mode, object, size, repository });
        Ok(())
    }

    /// Name, mode and object of each entry, as the tree records them.
    fn entries(&self, here: &Here<'_>, tree: Oid) -> Result<Vec<(Vec<u8>, u32, Oid)>, NoTree> {
        let repository = &self.repositories[here.repository].repository;
        let tree = repository.find_tree(tree).map_err(|error| broken(&error))?;
        let entry = |entry: git2::TreeEntry<'_>| {
            (entry.name_bytes().to_vec(), entry.filemode_raw() as u32, entry.id())
        };
        Ok(tree.iter().map(entry).collect())
    }

    fn size(&self, here: &Here<'_>, object: Oid) -> Result<u64, NoTree> {
        let odb =
            self.repositories[here.repository].repository.odb().map_err(|error| broken(&error))?;
        let (size, kind) = odb.read_header(object).map_err(|error| broken(&error))?;
        match kind {
            ObjectType::Blob => Ok(size as u64),
            _ => Err(GitError::Damaged { reason: "a file of the tree is no blob" }.into()),
        }
    }

    /// The places of submodules by their paths, as `.gitmodules` says.
    fn modules(&self, here: &Here<'_>, tree: Oid) -> Result<BTreeMap<Vec<u8>, String>, NoTree> {
        let entries = self.entries(here, tree)?;
        let file = entries
            .iter()
            .find(|(name, mode, _)| name == b".gitmodules" && mode & 0o170_000 == 0o100_000);
        let Some((.., object)) = file else { return Ok(BTreeMap::new()) };
        let blob = self.repositories[here.repository].repository.find_blob(*object);
        let text = blob.map_err(|error| broken(&error))?.content().to_vec();
        self.read_modules(&text)
    }

    fn read_modules(&self, text: &[u8]) -> Result<BTreeMap<Vec<u8>, String>, NoTree> {
        let refuse = |reason| unusable(b".gitmodules", reason);
        let lower = String::from_utf8_lossy(text).to_lowercase();
        // It would read files of this machine; git itself never does so here.
        if lower.lines().any(|line| line.trim_start().starts_with("[include")) {
            return Err(refuse("it includes other files"));
        }
        let folder = self.fetcher.store.scratch("modules")?;
        let file = folder.join("modules");
        fs::write(&file, text).map_err(at("write", &file))?;
        let config = git2::Config::open(&file);
        let values = config.and_then(|config| {
            let mut values = Vec::new();
            config.entries(Some("^submodule\\."))?.for_each(|entry| {
                let pair = entry.name().ok().zip(entry.value().ok());
                values.extend(pair.map(|(name, value)| (name.to_owned(), value.to_owned())));
            })?;
            Ok(values)
        });
        let _ = fs::remove_dir_all(&folder);
        let values: BTreeMap<String, String> =
            values.map_err(|_| refuse("git cannot read it"))?.into_iter().collect();
        let modules = values.iter().filter_map(|(name, path)| {
            let url = values.get(&format!("{}.url", name.strip_suffix(".path")?))?;
            Some((path.trim_end_matches('/').as_bytes().to_vec(), url.clone()))
        });
        Ok(modules.collect())
    }
}

/// Path and tree of each submodule.
fn named(submodules: &[LockedSubmodule]) -> Vec<(&str, TreeId)> {
    submodules.iter().map(|module| (module.path.as_str(), module.tree)).collect()
}

fn bytes_of(oid: Oid) -> [u8; 20] {
    oid.as_bytes().try_into().expect("a name of git has 20 bytes")
}

fn unusable(path: &[u8], reason: &'static str) -> NoTree {
    NoTree::Unusable(GitError::Path { path: String::from_utf8_lossy(path).into_owned(), reason })
}

/// An object is missing, or its content is not what its name says.
fn broken(error: &git2::Error) -> NoTree {
    NoTree::Unusable(GitError::Object { reason: error.message().to_owned() })
}
