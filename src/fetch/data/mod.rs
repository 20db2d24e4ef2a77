//! Brings data sets into the data folder: archives, lists of files, and the unpacked files.
//!
//! What is pinned is compared while it comes; what is not is compared with the little that is
//! known of it, measured, and told as `unpinned`: it is not unpacked and never counts as verified
//! before somebody pins it. What no program can get is told item by item, with the page to open
//! and the place to put the file, and the same command goes on from there.
//!
//! Invariants: nothing has its final name before it is whole and compared; nothing is
//! downloaded that is known not to fit; one archive that fails does not hide the others.

mod bring;
mod file;
mod joined;
mod list;
mod plan;
mod split;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use self::bring::Brought;
use super::client::Client;
use super::download::Downloader;
use super::error::FetchError;
use super::progress::Progress;
use crate::address::Address;
use crate::dataset::{self, Archive, Dataset, Datasets, SetReport, Verdict};
use crate::digest::Digest;
use crate::settings::Settings;
use crate::store::{Store, at};

pub use plan::{DataPlan, PlannedArchive, Step};

/// What is to be brought, and where.
pub struct DataRequest<'a> {
    /// The project's data sets.
    pub datasets: &'a Datasets,
    /// Those that are wanted; all, if none is named.
    pub names: &'a [String],
    /// The data folder; it is there.
    pub data: &'a Path,
    /// Whether archives stay when they are unpacked.
    pub keep_archives: bool,
    /// Tells how much of a folder's file system is free.
    pub free_space: &'a dyn Fn(&Path) -> Option<u64>,
}

/// What fetching works with.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// Proxies, mirrors, whether a network may be asked.
    pub settings: &'a Settings,
    /// Remembers what was verified; keeps lists.
    pub store: &'a Store,
    /// Told how downloads go.
    pub progress: &'a dyn Progress,
    /// Told how hashing goes.
    pub hashing: &'a dyn dataset::Progress,
    /// Whether somebody asked to stop.
    pub stop: &'a AtomicBool,
}

/// What became of one archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ArchiveState {
    /// It is there and is what was pinned.
    Ok {
        /// Its digest.
        sha256: Digest,
    },
    /// It is there, and nothing pins it.
    Unpinned {
        /// The digest that was measured.
        sha256: Digest,
        /// The bytes that were counted.
        bytes: u64,
        /// Why it is not pinned.
        reason: String,
    },
    /// A person has to bring it.
    ByHand {
        /// The pages to open.
        pages: Vec<Address>,
        /// The files to put into the folder, if it comes in parts.
        parts: Vec<PlannedPart>,
    },
    /// It could not be had from any of its places.
    Unreachable {
        /// Each place with what came of it, for a reader.
        tried: Vec<String>,
        /// The pages that a person may open instead.
        pages: Vec<Address>,
        /// The files that a person may put into the folder instead.
        parts: Vec<PlannedPart>,
    },
    /// It is, or was sent as, another file.
    Differs {
        /// Both sides, for a reader.
        reason: String,
    },
}

/// A part of an archive that a person has to bring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedPart {
    /// Where it belongs.
    pub place: PathBuf,
    /// The page to open.
    pub page: Option<Address>,
}

/// One archive, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArchiveOutcome {
    /// File name.
    pub file: String,
    /// Where it is or belongs.
    pub place: PathBuf,
    /// What became of it.
    #[serde(flatten)]
    pub state: ArchiveState,
}

/// One data set, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetOutcome {
    /// Its name.
    pub name: String,
    /// Its unpacked folder, if that is there and verified.
    pub folder: Option<PathBuf>,
    /// Its archives, unless the folder was there.
    pub archives: Vec<ArchiveOutcome>,
    /// What the folder is, if it was there before and is not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<SetReport>,
    /// Lists of files that could not be had, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<String>,
}

impl SetOutcome {
    /// Whether something is not what was pinned or known.
    pub fn differs(&self) -> bool {
        let differs = |it: &ArchiveOutcome| matches!(it.state, ArchiveState::Differs { .. });
        let folder = self.report.as_ref();
        self.archives.iter().any(differs)
            || folder.is_some_and(|report| report.verdict == Verdict::Differs)
    }

    /// Whether something has to be brought, or could not be had.
    pub fn lacks(&self) -> bool {
        self.archives.iter().any(|archive| {
            matches!(archive.state, ArchiveState::ByHand { .. } | ArchiveState::Unreachable { .. })
        })
    }
}

/// What fetching would do; nothing is written and nothing is asked.
///
/// # Errors
///
/// A data set that is not listed, or a manifest that is not the pinned one.
pub fn plan_data(request: &DataRequest<'_>) -> Result<DataPlan, FetchError> {
    let sets = request.datasets.plain(request.names)?;
    let free = (request.free_space)(request.data);
    Ok(plan::plan(request.datasets, &sets, request.data, free)?)
}

/// Brings the data sets; what became of each, in the order asked for.
///
/// # Errors
///
/// [`FetchError::NoDataSpace`] before anything is downloaded if it is known not to fit; what
/// fails for one archive alone is in its outcome.
pub fn fetch_data(
    request: &DataRequest<'_>,
    means: Means<'_>,
) -> Result<Vec<SetOutcome>, FetchError> {
    let sets = request.datasets.plain(request.names)?;
    let plan = plan_data(request)?;
    if let Some(free) = plan.free.filter(|_| plan.is_too_large()) {
        let (folder, needed, unknown) = (request.data.to_owned(), plan.needed(), plan.unknown);
        return Err(FetchError::NoDataSpace { folder, needed, unknown, free });
    }
    let client = Client::new(means.settings)?;
    let DataRequest { datasets, data, .. } = *request;
    let crew = Crew { means, client, data, datasets, down: RefCell::default() };
    let downloads = plan.archives.iter().filter(|archive| archive.step == Step::Download).count();
    if downloads > 0 {
        means.progress.begin(downloads, plan.to_write);
    }
    let outcomes = sets.iter().map(|set| crew.fetch_set(set, request.keep_archives)).collect();
    if downloads > 0 {
        means.progress.end();
    }
    outcomes
}

/// Brings the lists of the data sets and nothing else; which could not be had, and why.
///
/// # Errors
///
/// A data set that is not listed, or a store that cannot be written.
pub fn fetch_lists(request: &DataRequest<'_>, means: Means<'_>) -> Result<Vec<String>, FetchError> {
    let client = Client::new(means.settings)?;
    let DataRequest { datasets, data, .. } = *request;
    let crew = Crew { means, client, data, datasets, down: RefCell::default() };
    let mut failed = Vec::new();
    for set in datasets.plain(request.names)? {
        failed.extend(list::bring(&crew, set)?);
    }
    Ok(failed)
}

/// Everything that bringing an archive needs.
struct Crew<'a> {
    means: Means<'a>,
    client: Client,
    data: &'a Path,
    datasets: &'a Datasets,
    /// Servers that could not be reached: no further archive waits for them.
    down: RefCell<BTreeSet<String>>,
}

impl Crew<'_> {
    fn downloader(&self) -> Downloader<'_> {
        let Means { store, progress, stop, .. } = self.means;
        Downloader { client: &self.client, store, progress, stop }
    }

    fn fetch_set(&self, set: &Dataset, keep_archives: bool) -> Result<SetOutcome, FetchError> {
        let lists = list::bring(self, set)?;
        let (name, archives) = (set.name.clone(), Vec::new());
        let mut outcome = SetOutcome { name, folder: None, archives, report: None, lists };
        let folder = set.folder(self.data);
        if folder.is_dir() {
            let report = self.verify(set)?;
            let is_verified = report.tree.as_ref().is_some_and(|tree| tree.verdict == Verdict::Ok);
            if is_verified {
                return Ok(SetOutcome { folder: Some(folder), ..outcome });
            }
            if !set.is_pinned() {
                return Ok(SetOutcome { report: Some(report), ..outcome });
            }
        }
        for archive in &set.archives {
            outcome.archives.push(self.fetch_archive(set, archive)?);
        }
        let is_ok = |it: &ArchiveOutcome| matches!(it.state, ArchiveState::Ok { .. });
        if set.is_pinned() && outcome.archives.iter().all(is_ok) {
            let Means { store, hashing, .. } = self.means;
            let unpacked =
                dataset::unpack_in_data(self.datasets, &set.name, self.data, store, hashing)?;
            outcome.folder = Some(unpacked);
            if !keep_archives {
                self.remove_archives(set)?;
            }
        }
        Ok(outcome)
    }

    fn verify(&self, set: &Dataset) -> Result<SetReport, FetchError> {
        let Means { store, hashing, .. } = self.means;
        let names = std::slice::from_ref(&set.name);
        let mut reports =
            dataset::verify(self.datasets, names, Some(self.data), false, store, hashing)?;
        // Never a union, so there is one report.
        Ok(reports.remove(0))
    }

    fn fetch_archive(
        &self,
        set: &Dataset,
        archive: &Archive,
    ) -> Result<ArchiveOutcome, FetchError> {
        let found = self.datasets.archive_path(set, archive, Some(self.data));
        if found.is_file() {
            let state = self.look_at(archive, &found)?;
            return Ok(ArchiveOutcome { file: archive.file.clone(), place: found, state });
        }
        let place = plan::target(set, archive, self.data);
        let parts = archive.parts.iter().map(|part| plan::part_path(set, archive, part, self.data));
        let joinable = !archive.parts.is_empty() && parts.clone().all(|part| part.is_file());
        let brought = if joinable {
            self.join(set, archive)
        } else if plan::is_downloadable(set, archive) {
            self.bring(set, archive)
        } else {
            Ok(Brought::No(Vec::new()))
        };
        let state = match brought {
            Ok(Brought::Yes(sha256, bytes)) => came(archive, sha256, bytes),
            Ok(Brought::No(tried)) => self.missing(set, archive, &tried),
            Err(FetchError::Dataset(error)) if is_about_content(&error) => {
                ArchiveState::Differs { reason: error.to_string() }
            }
            Err(error) => return Err(error),
        };
        Ok(ArchiveOutcome { file: archive.file.clone(), place, state })
    }

    /// What a file is that is there already.
    fn look_at(&self, archive: &Archive, path: &Path) -> Result<ArchiveState, FetchError> {
        let (sha256, bytes) = dataset::measure_file(self.means.store, path, self.means.hashing)?;
        if let Some(pinned) = archive.sha256.filter(|pinned| *pinned != sha256) {
            let reason = format!(
                "`{}` is not the file that was pinned\n  pinned  {pinned}\n  found   {sha256}",
                path.display()
            );
            return Ok(ArchiveState::Differs { reason });
        }
        if archive.sha256.is_none()
            && let Err(error) =
                dataset::check_known(archive, path, (&sha256, bytes), self.means.hashing)
        {
            return match is_about_content(&error) {
                true => Ok(ArchiveState::Differs { reason: error.to_string() }),
                false => Err(error.into()),
            };
        }
        Ok(came(archive, sha256, bytes))
    }

    /// What to do about an archive that did not come.
    fn missing(&self, set: &Dataset, archive: &Archive, tried: &[super::Tried]) -> ArchiveState {
        let pages = plan::pages(set, archive);
        if let Some(wrong) = tried.iter().find(|tried| tried.refusal.is_about_content()) {
            let pinned =
                archive.sha256.map_or(String::new(), |pinned| format!("\n  pinned    {pinned}"));
            let file = &archive.file;
            let reason =
                format!("what came as `{file}` is not the file that was pinned{pinned}\n{wrong}");
            return ArchiveState::Differs { reason };
        }
        let part = |part: &dataset::Part| PlannedPart {
            place: plan::part_path(set, archive, part, self.data),
            page: part.page.clone(),
        };
        let parts = archive.parts.iter().map(part).filter(|part| !part.place.is_file()).collect();
        match tried.iter().map(ToString::to_string).collect::<Vec<_>>() {
            tried if tried.is_empty() => ArchiveState::ByHand { pages, parts },
            tried => ArchiveState::Unreachable { tried, pages, parts },
        }
    }

    fn remove_archives(&self, set: &Dataset) -> Result<(), FetchError> {
        let folder = set.archive_folder(self.data);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(at("remove", &folder)(error).into())
            }
            _ => Ok(()),
        }
    }
}

fn came(archive: &Archive, sha256: Digest, bytes: u64) -> ArchiveState {
    match (&archive.sha256, &archive.unpinned) {
        (Some(_), _) => ArchiveState::Ok { sha256 },
        (None, reason) => {
            let reason = reason.clone().unwrap_or_default();
            ArchiveState::Unpinned { sha256, bytes, reason }
        }
    }
}

/// Whether content is not what was pinned or known, as opposed to what the system refused.
fn is_about_content(error: &dataset::DatasetError) -> bool {
    use dataset::DatasetError::{Contradicted, PinnedOtherwise};
    matches!(error, Contradicted { .. } | PinnedOtherwise { .. })
}
