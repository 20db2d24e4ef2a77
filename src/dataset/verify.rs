//! Compares archives and unpacked folders with what was pinned.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::derived;
use super::hash::{Hashed, hash_all};
use super::list::{self, List};
use super::manifest::{Listing, Manifest};
use super::{
    Archive, ArchiveReport, Dataset, DatasetError, Datasets, FileDifference, ListReport,
    PartReport, Progress, SetReport, State, TreeReport, TreeRule, Verdict,
};
use crate::store::Store;

/// Verifies the data sets `names` (all, if none is named) in the folder `data`.
///
/// Files that are unchanged since they were hashed last are not read again unless
/// `full` says so. What a union is made of is reported before it. What is wrong with
/// the data is in the reports; an error means that it could not be told.
pub fn verify(
    datasets: &Datasets,
    names: &[String],
    data: Option<&Path>,
    full: bool,
    store: &Store,
    progress: &dyn Progress,
) -> Result<Vec<SetReport>, DatasetError> {
    let sets = with_parts(datasets, names)?;
    let mut views = Vec::new();
    for set in sets.iter().filter(|set| !set.is_union()) {
        // A manifest that is not the pinned one can verify nothing, whether the folder is there or not.
        if let Some(rule) = &set.tree {
            load_manifest(datasets, rule)?;
        }
        views.push(View::of(datasets, set, data, store)?);
    }
    let mut paths: Vec<_> = views.iter().flat_map(View::paths).collect();
    paths.sort();
    paths.dedup();
    let hashed = hash_all(store, &paths, full, progress)?;
    let mut reports: Vec<_> = views.iter().map(|view| view.report(&hashed)).collect();
    for set in sets.iter().filter(|set| set.is_union()) {
        let part = |(folder, name): (&String, &String)| {
            let report: &SetReport = reports.iter().find(|report| report.name == *name)?;
            let (verdict, binding) = (report.verdict, report.binding);
            Some(PartReport { folder: folder.clone(), name: name.clone(), verdict, binding })
        };
        let parts = set.of.iter().filter_map(part).collect();
        reports.push(SetReport::of_union(&set.name, parts));
    }
    Ok(reports)
}

/// The data sets of these names and what they are made of, each once.
fn with_parts<'d>(
    datasets: &'d Datasets,
    names: &[String],
) -> Result<Vec<&'d Dataset>, DatasetError> {
    let mut sets: Vec<&Dataset> = Vec::new();
    for set in datasets.select(names)? {
        for name in set.of.values().chain([&set.name]) {
            let set = datasets.get(name)?;
            if !sets.iter().any(|other| other.name == set.name) {
                sets.push(set);
            }
        }
    }
    Ok(sets)
}

/// Verifies that `folder` holds the files of `manifest` and nothing else.
pub(super) fn verify_tree(
    store: &Store,
    folder: &Path,
    manifest: &Manifest,
    progress: &dyn Progress,
) -> Result<TreeReport, DatasetError> {
    let tree = TreeView::with_manifest(folder, manifest)?;
    let hashed = hash_all(store, &tree.paths(), false, progress)?;
    Ok(tree.report(&hashed))
}

/// As [`verify_tree`], for a folder whose files were hashed while they were written.
pub(super) fn tree_report(
    folder: &Path,
    manifest: &Manifest,
    hashed: &BTreeMap<PathBuf, Hashed>,
) -> Result<TreeReport, DatasetError> {
    Ok(TreeView::with_manifest(folder, manifest)?.report(hashed))
}

/// A data set as it lies on this machine, before anything is hashed.
struct View<'a> {
    set: &'a Dataset,
    archives: Vec<(&'a Archive, PathBuf)>,
    tree: Option<TreeView>,
}

struct TreeView {
    folder: PathBuf,
    /// `None` if the folder is not there.
    listing: Option<Listing>,
    /// `None` if only counts and lists are known.
    manifest: Option<Manifest>,
    counts: BTreeMap<String, u64>,
    lists: Vec<List>,
}

impl<'a> View<'a> {
    fn of(
        datasets: &Datasets,
        set: &'a Dataset,
        data: Option<&Path>,
        store: &Store,
    ) -> Result<Self, DatasetError> {
        let path = |archive: &'a Archive| (archive, datasets.archive_path(set, archive, data));
        let archives: Vec<_> = set.archives.iter().map(path).collect();
        let tree = data.map(|data| TreeView::of(datasets, set, data, store)).transpose()?.flatten();
        Ok(Self { set, archives, tree })
    }

    /// What has to be hashed. An unpinned archive is not: there is nothing to compare with.
    fn paths(&self) -> Vec<PathBuf> {
        let pinned = self.archives.iter().filter(|(archive, _)| archive.sha256.is_some());
        let archives = pinned.map(|(_, path)| path.clone()).filter(|path| path.exists());
        archives.chain(self.tree.iter().flat_map(TreeView::paths)).collect()
    }

    fn report(&self, hashed: &BTreeMap<PathBuf, Hashed>) -> SetReport {
        let archive = |(archive, path): &(&Archive, PathBuf)| ArchiveReport {
            file: archive.file.clone(),
            path: path.clone(),
            state: archive_state(archive, path, hashed.get(path)),
        };
        let archives: Vec<_> = self.archives.iter().map(archive).collect();
        let tree = self.tree.as_ref().map(|tree| tree.report(hashed));
        let manifest = self.tree.as_ref().and_then(|tree| tree.manifest.as_ref());
        SetReport {
            name: self.set.name.clone(),
            verdict: SetReport::judge(&archives, tree.as_ref()),
            binding: self.set.binding().or_else(|| manifest.map(Manifest::digest)),
            archives,
            tree,
            parts: Vec::new(),
        }
    }
}

fn archive_state(archive: &Archive, path: &Path, hashed: Option<&Hashed>) -> State {
    let size = archive.size.unwrap_or_default();
    match (archive.sha256, hashed) {
        (Some(_), None) => State::Missing,
        (Some(_), Some(Err(reason))) => State::Unreadable { reason: reason.clone() },
        (Some(sha256), Some(Ok(found))) if *found == (sha256, size) => State::Ok { sha256 },
        (Some(sha256), Some(Ok((found, found_size)))) => State::Differs {
            expected: Some(sha256),
            expected_size: size,
            found: Some(*found),
            found_size: *found_size,
        },
        (None, _) => {
            let found = std::fs::metadata(path).ok().map(|metadata| metadata.len());
            match (archive.size, found) {
                // A digest is not known, but another size is another file.
                (Some(expected_size), Some(found_size)) if expected_size != found_size => {
                    State::Differs { expected: None, expected_size, found: None, found_size }
                }
                _ => State::Unpinned { reason: archive.unpinned.clone().unwrap_or_default() },
            }
        }
    }
}

impl TreeView {
    fn with_manifest(folder: &Path, manifest: &Manifest) -> Result<Self, DatasetError> {
        Ok(Self {
            folder: folder.to_owned(),
            listing: Some(Listing::of(folder)?),
            manifest: Some(manifest.clone()),
            counts: BTreeMap::new(),
            lists: Vec::new(),
        })
    }

    /// `None` if nothing says what must lie in the folder.
    fn of(
        datasets: &Datasets,
        set: &Dataset,
        data: &Path,
        store: &Store,
    ) -> Result<Option<Self>, DatasetError> {
        let manifest = known_manifest(datasets, set, store)?;
        let (counts, rules) = match (&set.tree, &manifest) {
            (None, None) => return Ok(None),
            // Whoever knows every file needs no counts.
            (None, Some(_)) | (Some(_), Some(_)) => Default::default(),
            (Some(TreeRule { counts, lists, .. }), None) => (counts.clone(), lists.as_slice()),
        };
        let lists = rules.iter().map(|rule| list::load(datasets, rule, store));
        let lists = lists.collect::<Result<_, _>>()?;
        let folder = set.folder(data);
        let mut listing = if folder.is_dir() { Some(Listing::of(&folder)?) } else { None };
        if let Some(listing) = &mut listing {
            // Archives may lie in the folder that they are unpacked to; a single file belongs there.
            let is_named = |path: &str| manifest.as_ref().is_some_and(|m| m.has(path));
            let is_archive = |path: &str| set.archives.iter().any(|a| a.file == path);
            listing.files.retain(|path, _| is_named(path) || !is_archive(path));
        }
        Ok(Some(Self { folder, listing, manifest, counts, lists }))
    }

    fn paths(&self) -> Vec<PathBuf> {
        let (Some(listing), Some(manifest)) = (&self.listing, &self.manifest) else {
            return Vec::new();
        };
        let known = listing.files.iter().filter(|(path, _)| manifest.get(path).is_some());
        known.map(|(_, path)| path.clone()).collect()
    }

    fn report(&self, hashed: &BTreeMap<PathBuf, Hashed>) -> TreeReport {
        let mut report = TreeReport {
            folder: self.folder.clone(),
            verdict: Verdict::Missing,
            files: self.manifest.as_ref().map_or(0, |manifest| manifest.len() as u64),
            differs: Vec::new(),
            missing: Vec::new(),
            extra: Vec::new(),
            counts: Vec::new(),
            lists: Vec::new(),
        };
        let Some(listing) = &self.listing else { return report };
        match &self.manifest {
            Some(manifest) => compare(manifest, listing, hashed, &mut report),
            None => {
                count(&self.counts, listing, &mut report);
                report.lists = self.lists.iter().map(|list| look_up(list, listing)).collect();
            }
        }
        let same = report.differs.is_empty()
            && report.missing.is_empty()
            && report.lists.iter().all(|list| list.missing.is_empty());
        report.verdict = match (&self.manifest, same, &report.extra[..], &report.counts[..]) {
            (Some(_), true, [], []) => Verdict::Ok,
            // Counts and lists can tell that it is another data set, never that it is this one.
            (None, true, [], []) => Verdict::Unpinned,
            _ => Verdict::Differs,
        };
        report
    }
}

impl Manifest {
    /// The manifest that `datasets.toml` pins for a data set, if it does.
    ///
    /// # Errors
    ///
    /// [`DatasetError::Manifest`] if its file is another one.
    pub fn pinned(datasets: &Datasets, set: &Dataset) -> Result<Option<Self>, DatasetError> {
        set.tree.as_ref().map_or(Ok(None), |rule| load_manifest(datasets, rule))
    }
}

/// The pinned manifest of a tree; `None` if only counts are known.
pub(super) fn load_manifest(
    datasets: &Datasets,
    rule: &TreeRule,
) -> Result<Option<Manifest>, DatasetError> {
    let (Some(file), Some(pinned)) = (&rule.manifest, &rule.sha256) else { return Ok(None) };
    Manifest::load(&datasets.project.join(file), pinned).map(Some)
}

/// The manifest that a data set's folder is compared with: the pinned one, else the one that
/// follows from its pinned archives if they were measured here.
pub(super) fn known_manifest(
    datasets: &Datasets,
    set: &Dataset,
    store: &Store,
) -> Result<Option<Manifest>, DatasetError> {
    match set.tree.as_ref().map(|rule| load_manifest(datasets, rule)).transpose()?.flatten() {
        Some(manifest) => Ok(Some(manifest)),
        None => derived::recall(store, set),
    }
}

fn look_up(list: &List, listing: &Listing) -> ListReport {
    let is_missing =
        |path: &&String| !listing.files.contains_key(*path) && !listing.links.contains_key(*path);
    ListReport {
        name: list.rule.name.clone(),
        entries: list.paths.as_ref().map_or(list.rule.entries, |paths| paths.len() as u64),
        is_here: list.paths.is_some(),
        missing: list.paths.iter().flatten().filter(is_missing).cloned().collect(),
    }
}

fn compare(
    manifest: &Manifest,
    listing: &Listing,
    hashed: &BTreeMap<PathBuf, Hashed>,
    report: &mut TreeReport,
) {
    for (path, expected, size) in manifest.files() {
        let file = listing.files.get(path).and_then(|file| hashed.get(file));
        let (found, reason) = match file {
            None if listing.odd.iter().any(|odd| odd == path) => (None, None),
            None if listing.links.contains_key(path) => {
                (None, Some(format!("it is a link to `{}`", listing.links[path])))
            }
            None => {
                report.missing.push(path.to_owned());
                continue;
            }
            Some(Ok(found)) if *found == (expected, size) => continue,
            Some(Ok((found, _))) => (Some(*found), None),
            Some(Err(reason)) => (None, Some(reason.clone())),
        };
        let (path, expected) = (path.to_owned(), Some(expected));
        report.differs.push(FileDifference { path, expected, found, reason });
    }
    for (path, target) in manifest.links() {
        let reason = match listing.links.get(path) {
            Some(found) if found == target => continue,
            Some(found) => format!("it is a link to `{found}`; pinned is one to `{target}`"),
            None if listing.files.contains_key(path) => {
                format!("it is a file; pinned is a link to `{target}`")
            }
            None => {
                report.missing.push(path.to_owned());
                continue;
            }
        };
        let (path, reason) = (path.to_owned(), Some(reason));
        report.differs.push(FileDifference { path, expected: None, found: None, reason });
    }
    let files = listing.files.keys().chain(listing.links.keys()).chain(&listing.odd);
    report.extra = files.filter(|path| !manifest.has(path)).cloned().collect();
    report.extra.sort();
}

fn count(counts: &BTreeMap<String, u64>, listing: &Listing, report: &mut TreeReport) {
    for (folder, known) in counts {
        let prefix = if folder == "." { String::new() } else { format!("{folder}/") };
        let files = listing.files.keys().chain(listing.links.keys());
        let found = files.filter(|path| path.starts_with(&prefix)).count() as u64;
        if found != *known {
            report.counts.push((folder.clone(), *known, found));
        }
    }
}
