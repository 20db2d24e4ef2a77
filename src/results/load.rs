//! Reads the records below folders of results.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use super::ResultsError;
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

impl Loaded {
    /// The same, if there is anything to look at.
    ///
    /// # Errors
    ///
    /// There are records, and none of them can be read.
    pub fn readable(self) -> Result<Self, ResultsError> {
        match self.unreadable.first() {
            Some(first) if self.records.is_empty() => Err(ResultsError::NothingReadable {
                count: self.unreadable.len(),
                first: first.reason.clone(),
            }),
            _ => Ok(self),
        }
    }
}

/// Reads every record below the folders of runs, `results/RUN-ID`.
///
/// Records are read side by side: ten thousand of them are a hundred megabytes of JSON.
pub fn load(runs: &[PathBuf]) -> Loaded {
    // A run that is named twice is no two runs.
    let paths: BTreeSet<PathBuf> =
        runs.iter().flat_map(|run| crate::bench::record_files(run)).collect();
    let paths: Vec<PathBuf> = paths.into_iter().collect();
    let readers = thread::available_parallelism().map_or(1, NonZero::get);
    let share = paths.len().div_ceil(readers).max(1);
    let mut loaded = Loaded::default();
    thread::scope(|scope| {
        let read = |part: &[PathBuf]| part.iter().map(|path| read(path)).collect::<Vec<_>>();
        let readers: Vec<_> =
            paths.chunks(share).map(|part| scope.spawn(move || read(part))).collect();
        for reader in readers {
            let found = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for one in found {
                match one {
                    Ok(stored) => loaded.records.push(stored),
                    Err(unreadable) => loaded.unreadable.push(unreadable),
                }
            }
        }
    });
    loaded
        .records
        .sort_by(|a, b| (&a.record.run, a.record.index).cmp(&(&b.record.run, b.record.index)));
    loaded
}

fn read(path: &Path) -> Result<Stored, Unreadable> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    match read_record(path) {
        Ok(record) => Ok(Stored { folder, record }),
        Err(error) => Err(Unreadable { path: path.to_owned(), reason: error.to_string() }),
    }
}
