//! Reads the records below folders of results.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::bench::{RunRecord, read_record};

/// A record and where it lies.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The case's folder: log, conditions and the guide's record lie beside the record.
    pub folder: PathBuf,
    /// The record.
    pub record: RunRecord,
}

/// A record that could not be read.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// Why, as a fragment.
    pub reason: String,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Sorted by run and by position in the run.
    pub records: Vec<Stored>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// Reads every record below the folders of runs, `results/RUN-ID`.
pub fn load(runs: &[PathBuf]) -> Loaded {
    let mut loaded = Loaded::default();
    // A run that is named twice is no two runs.
    let paths: BTreeSet<PathBuf> =
        runs.iter().flat_map(|run| crate::bench::record_files(run)).collect();
    for path in paths {
        match read_record(&path) {
            Ok(record) => {
                let folder = path.parent().unwrap_or(Path::new("")).to_owned();
                loaded.records.push(Stored { folder, record });
            }
            Err(error) => loaded.unreadable.push(Unreadable { path, reason: error.to_string() }),
        }
    }
    loaded
        .records
        .sort_by(|a, b| (&a.record.run, a.record.index).cmp(&(&b.record.run, b.record.index)));
    loaded
}
