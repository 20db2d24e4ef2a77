//! What fetching data sets would do, item by item, and the space that it takes; nothing is written.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::file::brought;
use crate::address::Address;
use crate::dataset::{Archive, Dataset, DatasetError, Datasets, Manifest, Part};

/// What is to be done about one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// It is there, and is verified before anything else.
    Here,
    /// It is downloaded.
    Download,
    /// It is joined from its parts, which are there.
    Join,
    /// A person has to bring it.
    ByHand,
}

/// One archive of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedArchive {
    /// Its data set.
    pub set: String,
    /// File name.
    pub file: String,
    /// Where it is, or where it belongs.
    pub place: PathBuf,
    /// Bytes, if known.
    pub size: Option<u64>,
    /// Bytes that an earlier attempt brought.
    pub brought: u64,
    /// Whether its SHA-256 is known.
    pub pinned: bool,
    /// Where it comes from: URLs, or the pages that a person has to open.
    pub origin: Vec<Address>,
    /// What is to be done.
    pub step: Step,
}

/// What fetching data sets would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DataPlan {
    /// Every archive of the data sets that are not unpacked yet.
    pub archives: Vec<PlannedArchive>,
    /// Bytes that are known to come or to be joined.
    pub to_write: u64,
    /// Bytes that will be unpacked, as far as that is known.
    pub to_unpack: u64,
    /// Archives whose size nobody knows.
    pub unknown: usize,
    /// Bytes that are free where the data lies, if the file system tells.
    pub free: Option<u64>,
}

impl DataPlan {
    /// Bytes that must be free.
    pub fn needed(&self) -> u64 {
        self.to_write.saturating_add(self.to_unpack)
    }

    /// Whether it is known not to fit.
    pub fn is_too_large(&self) -> bool {
        self.free.is_some_and(|free| self.needed() > free)
    }
}

/// The archives of these data sets, and what is to be done about each.
pub(super) fn plan(
    datasets: &Datasets,
    sets: &[&Dataset],
    data: &Path,
    free: Option<u64>,
) -> Result<DataPlan, DatasetError> {
    let mut plan = DataPlan { free, ..DataPlan::default() };
    for set in sets.iter().filter(|set| !set.folder(data).is_dir()) {
        let archives: Vec<_> =
            set.archives.iter().map(|archive| planned(datasets, set, archive, data)).collect();
        for archive in &archives {
            match (archive.step, archive.size) {
                (Step::Download | Step::Join, Some(size)) => {
                    plan.to_write += size.saturating_sub(archive.brought);
                }
                (Step::Download | Step::Join, None) => plan.unknown += 1,
                (Step::Here | Step::ByHand, _) => {}
            }
        }
        if set.is_pinned() {
            plan.to_unpack += unpacked_size(datasets, set)?;
        }
        plan.archives.extend(archives);
    }
    Ok(plan)
}

/// Bytes of the unpacked data set; those of its archives where no manifest says more: pictures are
/// compressed already.
fn unpacked_size(datasets: &Datasets, set: &Dataset) -> Result<u64, DatasetError> {
    match Manifest::pinned(datasets, set)? {
        Some(manifest) => Ok(manifest.bytes()),
        None => Ok(set.archives.iter().filter_map(|archive| archive.size).sum()),
    }
}

fn planned(datasets: &Datasets, set: &Dataset, archive: &Archive, data: &Path) -> PlannedArchive {
    let found = datasets.archive_path(set, archive, Some(data));
    let target = target(set, archive, data);
    let parts: Vec<_> =
        archive.parts.iter().map(|part| part_path(set, archive, part, data)).collect();
    let joinable = !parts.is_empty() && parts.iter().all(|part| part.is_file());
    let step = if found.is_file() {
        Step::Here
    } else if joinable {
        Step::Join
    } else if is_downloadable(set, archive) {
        Step::Download
    } else {
        Step::ByHand
    };
    let bytes = |path: &PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
    PlannedArchive {
        set: set.name.clone(),
        file: archive.file.clone(),
        brought: brought(&target),
        size: match step {
            Step::Join => Some(parts.iter().map(bytes).sum()),
            _ => archive.size,
        },
        pinned: archive.sha256.is_some(),
        origin: if step == Step::Download { archive.urls.clone() } else { pages(set, archive) },
        place: if step == Step::Here { found } else { target },
        step,
    }
}

/// Whether a program may ask for it.
pub(super) fn is_downloadable(set: &Dataset, archive: &Archive) -> bool {
    let parts = &archive.parts;
    let whole = !archive.urls.is_empty();
    let in_parts = !parts.is_empty() && parts.iter().all(|part| !part.urls.is_empty());
    !set.login_required && (whole || in_parts)
}

/// Where a person gets it.
pub(super) fn pages(set: &Dataset, archive: &Archive) -> Vec<Address> {
    let own = archive.page.iter().chain(set.page.as_ref().filter(|_| archive.page.is_none()));
    let urls = archive.urls.iter().filter(|_| set.login_required);
    own.chain(urls).cloned().collect()
}

/// Where a downloaded archive belongs.
pub(super) fn target(set: &Dataset, archive: &Archive, data: &Path) -> PathBuf {
    set.archive_folder(data).join(&archive.file)
}

/// Where a part of an archive belongs.
pub(super) fn part_path(set: &Dataset, archive: &Archive, part: &Part, data: &Path) -> PathBuf {
    set.archive_folder(data).join(archive.parts_folder()).join(&part.file)
}
