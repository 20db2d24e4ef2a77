//! A job's output on its way to disk and through the patterns.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use super::arrivals::{ArrivalsWriter, SUFFIX};
use super::error::{BenchError, at};
use super::log::{Findings, LogReader};
use super::record::{ArrivalsRecord, LogRecord};
use crate::digest::Hasher;
use crate::engine::{EngineError, Outcome};

/// What one job left behind, before it becomes a record.
pub(super) struct Ended {
    /// How it ended, or why it could not be run.
    pub outcome: Result<Outcome, EngineError>,
    /// What was found in its log.
    pub findings: Findings,
    /// The last thing it wrote.
    pub last_line: String,
    /// The log as it is on disk.
    pub log: LogRecord,
    /// Why the log on disk is not whole, if it is not.
    pub log_error: Option<BenchError>,
}

/// The log of a running job.
pub(super) struct KeptLog {
    file: File,
    hasher: Hasher,
    reader: LogReader,
    arrivals: Option<ArrivalsWriter>,
    start: Instant,
    error: Option<io::Error>,
}

impl KeptLog {
    /// Writes to `file`, which is new, and to `reader`; the times to `arrivals` if they matter.
    pub(super) fn new(file: File, reader: LogReader, arrivals: Option<ArrivalsWriter>) -> Self {
        Self { file, hasher: Hasher::new(), reader, arrivals, start: Instant::now(), error: None }
    }

    /// Takes in what the job has written.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        // After the first failure (a full disk) the figures are still worth having.
        if self.error.is_none() {
            self.hasher.update(bytes);
            let arrivals = self.arrivals.as_mut();
            let noted = arrivals.map_or(Ok(()), |arrivals| arrivals.push(now, bytes.len()));
            self.error = self.file.write_all(bytes).and(noted).err();
        }
        self.reader.push_at(now, bytes);
    }

    /// What was found so far.
    pub(super) fn findings(&self) -> &Findings {
        self.reader.findings()
    }

    /// Puts the log on disk for good; `path` is for an error, `name` for the record.
    pub(super) fn end(
        self,
        outcome: Result<Outcome, EngineError>,
        path: &Path,
        name: &str,
    ) -> Ended {
        let mut error = self.error.or_else(|| self.file.sync_all().err());
        let arrivals = self.arrivals.and_then(|arrivals| match arrivals.end() {
            Ok(digest) => Some(ArrivalsRecord { file: format!("{name}{SUFFIX}"), digest }),
            Err(failed) => {
                error.get_or_insert(failed);
                None
            }
        });
        let last_line = self.reader.last_line();
        let findings = self.reader.finish();
        let size = self.hasher.size();
        let log = LogRecord {
            file: name.to_owned(),
            digest: self.hasher.finish(),
            size,
            cut_lines: findings.cut_lines,
            repeated_lines: findings.repeated_lines,
            arrivals,
        };
        let log_error = error.map(at("write", path));
        Ended { outcome, findings, last_line, log, log_error }
    }
}
