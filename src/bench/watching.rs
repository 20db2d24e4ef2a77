//! Puts what a sampler saw beside a case's log and into its record.

use std::path::{Path, PathBuf};

use super::files::RunFolder;
use super::plan::PlannedCase;
use crate::conditions::{ConditionsRecord, Folders, Sampler, View};
use crate::digest::Digest;
use crate::engine::{Card, Meter};
use crate::store::Store;

/// Name of the samples in a case's folder.
pub(super) const FILE: &str = "conditions.csv";

/// Starts to watch the machine for `case`, from the moment that `meter` hears of its start.
pub(super) fn start(
    case: &PlannedCase,
    cards: &[Card],
    results: &Path,
    store: &Store,
    meter: &Meter,
) -> Sampler {
    let data = case.job.mounts.iter().map(|mount| mount.source.clone()).collect();
    let folders = Folders { results: results.to_owned(), store: store.root().to_owned(), data };
    let view = View { root: PathBuf::from("/"), folders, cards: cards.to_owned() };
    Sampler::start(view, meter)
}

/// Ends it and keeps its samples in `folder`; a disk that takes no more fails no case.
pub(super) fn keep(sampler: Sampler, run: &RunFolder, folder: &Path) -> Option<ConditionsRecord> {
    let watched = sampler.finish()?;
    let mut record = watched.record;
    if record.samples == 0 {
        return Some(record);
    }
    match run.write_file(&folder.join(FILE), &watched.csv) {
        Ok(()) => {
            record.file = Some(FILE.to_owned());
            record.digest = Some(Digest::of(&watched.csv));
        }
        Err(error) => {
            let cause = std::error::Error::source(&error);
            let cause = cause.map_or(String::new(), |cause| format!(": {cause}"));
            record.not_measured.insert("file".to_owned(), format!("{FILE} was not kept{cause}"));
        }
    }
    Some(record)
}
