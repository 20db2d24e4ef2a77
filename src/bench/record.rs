//! The run record: everything that decided a figure, and everything that was measured.
//!
//! One JSON file a case, written when the case ends, however it ends. It carries a
//! version; what was not measured is `null`, never a guess. References to digests make
//! it checkable, and the recipe's errata are copied into it, so that `report` needs nothing else.
//!
//! Invariant: a field is only ever added, with a default, within one version; a record
//! of a later version is refused, not half read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::BenchError;
use super::checks::Check;
use super::comparison::Comparison;
use super::error::at;
use super::exchange::{self, InputRecord, OutputRecord};
use super::figures::Figure;
use super::host::Host;
use super::previous::Repeatable;
use super::series::SeriesRecord;
use super::total::Progress;
use super::variables::{Deviation, Variables};
use crate::conditions::ConditionsRecord;
use crate::digest::Digest;
use crate::engine::Card;
use crate::named_file;
use crate::recipe::{Erratum, Guide, Published, ReferenceHost};

/// The version of records that this program writes.
pub const VERSION: u32 = 1;

/// Name of the file in a case's folder.
pub const FILE: &str = "record.json";

/// One case that was run, or why it was not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Format of the record.
    pub version: u32,
    /// The run it belongs to.
    pub run: String,
    /// Position of the case in its run, from 1.
    pub index: usize,
    /// Which repetition it is, where a case ran several times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// The log that somebody else made, if so: nothing is known of its machine, and nobody has
    /// seen that it is of this image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parsed: Option<ParsedRecord>,
    /// The case, `seg/fastscnn/sp/bs2/fp32`.
    pub case: String,
    /// How it ended.
    pub status: Status,
    /// The figure that the guide's own script would print.
    pub final_result: Option<Figure>,
    /// The true throughput.
    pub throughput: Option<Figure>,
    /// Every figure of the recipe, in its order.
    pub metrics: Vec<Figure>,
    /// Whether the run repeats the newest one of the same work to the last digit.
    pub repeatable: Repeatable,
    /// Start of the command, RFC 3339 in UTC.
    pub start: String,
    /// Wall time of the command in seconds.
    pub duration: Option<f64>,
    /// How the command ended; absent if it never started.
    pub exit: Option<ExitRecord>,
    /// Processor time in seconds; `null` if it was not measured.
    pub cpu_time: Option<f64>,
    /// Largest memory in bytes as the kernel keeps it, page cache of the files that were read
    /// included: more after a cold start than after a warm one. `null` if it was not measured.
    pub peak_memory: Option<u64>,
    /// Largest anonymous and shared memory in bytes, as seen about every 200 ms: what the job
    /// itself needs. `null` if it was not measured, as in records of earlier programs.
    #[serde(default)]
    pub peak_job_memory: Option<u64>,
    /// The image.
    pub image: ImageRecord,
    /// The profile.
    pub profile: ProfileRecord,
    /// The data sets, in the order of their place in the job.
    pub data: Vec<DataRecord>,
    /// What a user set otherwise than the recipe.
    pub deviations: Vec<Deviation>,
    /// What the guide's own container start does and a sealed run does not (`--net=host`).
    #[serde(default)]
    pub not_taken_over: Vec<String>,
    /// What templates and formulas could name.
    pub variables: Variables,
    /// What the guide types for this case.
    #[serde(default)]
    pub guide_command: String,
    /// What was run.
    pub job: JobRecord,
    /// Name of the engine.
    pub engine: String,
    /// The machine.
    pub host: Host,
    /// The GPUs that the case had.
    #[serde(default)]
    pub gpus: Vec<Card>,
    /// The most cases that ran at once while this one did, itself included; absent if it was alone.
    #[serde(default)]
    pub shared_host: Option<usize>,
    /// The files it took in, by name.
    #[serde(default)]
    pub inputs: BTreeMap<String, InputRecord>,
    /// The files it left that were looked for, by name.
    #[serde(default)]
    pub outputs: BTreeMap<String, OutputRecord>,
    /// The kept log; absent if the command never started.
    pub log: Option<LogRecord>,
    /// Values found once, as the log writes them; `null` if there was none.
    pub once: BTreeMap<String, Option<String>>,
    /// Every value of every series.
    pub series: BTreeMap<String, SeriesRecord>,
    /// Name of the series that counts steps, a key of `series`.
    pub progress: String,
    /// Series that would come from the arrival of lines, which nobody noted.
    #[serde(default)]
    pub not_measured: BTreeSet<String>,
    /// How far the log says that it has come; `null` if it never said so.
    #[serde(default)]
    pub totals: BTreeMap<String, Option<Progress>>,
    /// What had to hold.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Name of the guide's record beside this one; absent if the case was skipped or the guide has none.
    pub guide_record: Option<String>,
    /// What the machine did meanwhile; absent if nobody watched it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<ConditionsRecord>,
    /// Distributions of the image and their versions, by normalised name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub software: BTreeMap<String, String>,
    /// Figures the guide publishes for this case, whether this run may be judged by them or not.
    pub published: Vec<Published>,
    /// The machine that the guide measured on, as far as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_host: Option<ReferenceHost>,
    /// Figures beside the published ones, with a verdict each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<Comparison>,
    /// Why the recipe expects this case to fail here, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_failure: Option<String>,
    /// What the guide gets wrong, or the recipe does otherwise.
    pub errata: Vec<Erratum>,
}

/// One of several repetitions of a case in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// Which one, from 1.
    pub number: usize,
    /// How many were asked for.
    pub of: usize,
}

/// A log that was not written by a run of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParsedRecord {
    /// Where it lay.
    pub path: PathBuf,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "reason", rename_all = "kebab-case")]
pub enum Status {
    /// It ran to its end and gave every figure it has to give.
    Ok,
    /// It did not; the reason as a fragment.
    Failed(String),
    /// It was not started, because this machine lacks something.
    Skipped(String),
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", content = "number", rename_all = "kebab-case")]
pub enum ExitRecord {
    /// It returned this status.
    Status(i32),
    /// This signal ended it.
    Signal(i32),
    /// It took too long.
    Timeout,
    /// The user stopped it.
    Stop,
}

/// The image a case ran in, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// `seg-debian`.
    pub name: String,
    /// What the recipe says that it is; empty in records of earlier programs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The version of Python that the recipe asks for, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
    /// Digest of the manifest.
    pub seal: Digest,
    /// Digest of the lock.
    pub lock: Digest,
    /// Digest of the recipe's text: matrix, log rule, formulas.
    pub recipe: Digest,
    /// The guide the recipe follows.
    pub guide: Guide,
}

/// How the image was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileRecord {
    /// `full`, `smoke`.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// The files it mounts.
    pub files: Vec<FileRecord>,
}

/// A profile file in the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Absolute path in the job.
    pub path: String,
    /// Digest of its content.
    pub digest: Digest,
}

/// A data set in the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Absolute path in the job.
    pub path: String,
    /// Name in `datasets.toml`.
    pub name: String,
    /// Digest that it was verified as.
    pub digest: Digest,
    /// Digest of the order in which its folders list their entries; absent if nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Digest>,
}

/// The command and its surroundings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Command and arguments.
    pub command: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Folder it started in.
    pub workdir: String,
    /// What was mounted.
    pub mounts: Vec<MountRecord>,
    /// Folders it could write to.
    pub writable: Vec<String>,
    /// Bytes of `/dev/shm`.
    pub shm_size: u64,
    /// Seconds it was given.
    pub timeout: u64,
}

/// A file or folder of the machine in the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRecord {
    /// Absolute path in the job.
    pub target: String,
    /// Path on the machine.
    pub source: PathBuf,
    /// Whether the job could write to it.
    pub writable: bool,
}

/// The kept log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Name beside this record.
    pub file: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Lines so long that only their beginning was searched.
    pub cut_lines: u64,
    /// Lines that told a step again and so count for nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeated_lines: u64,
    /// When its pieces arrived; absent if no figure needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<ArrivalsRecord>,
}

/// The file that says when the pieces of a log arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivalsRecord {
    /// Name beside the log.
    pub file: String,
    /// Digest of its bytes.
    pub digest: Digest,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl RunRecord {
    /// Its bytes on disk.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .expect("a record has text keys only and no value that JSON lacks");
        bytes.push(b'\n');
        bytes
    }

    /// The data sets by place and name, without the order in which they are listed.
    pub(super) fn data_digests(&self) -> Vec<(&String, &String, &Digest)> {
        self.data.iter().map(|set| (&set.path, &set.name, &set.digest)).collect()
    }

    /// The data sets, by their place in the job, that a file system lists in another order than that of
    /// `other`, as far as both are known.
    pub fn listed_otherwise(&self, other: &Self) -> Vec<String> {
        let order = |set: &DataRecord| {
            let same = other.data.iter().find(|before| before.path == set.path)?;
            Some((set.order?, same.order?))
        };
        let differs = |set: &&DataRecord| order(set).is_some_and(|(now, before)| now != before);
        self.data.iter().filter(differs).map(|set| set.path.clone()).collect()
    }

    fn input_digests(&self) -> Vec<(&String, &Digest)> {
        self.inputs.iter().map(|(name, input)| (name, &input.digest)).collect()
    }

    /// Both were run, and seal, profile, data, inputs, command and settings are the same: both runs did the
    /// same work. The order in which folders are listed is no part of it: most work does not depend on it, and where
    /// losses differ [`Self::listed_otherwise`] says that this may be why.
    pub fn is_same_work(&self, other: &Self) -> bool {
        self.parsed.is_none()
            && other.parsed.is_none()
            && self.case == other.case
            && self.image.seal == other.image.seal
            && self.profile.files == other.profile.files
            && self.data_digests() == other.data_digests()
            && self.input_digests() == other.input_digests()
            && self.variables == other.variables
            && self.job.command == other.job.command
            && self.job.env == other.job.env
            && self.job.workdir == other.job.workdir
    }
}

/// Only the version, to be looked at before anything else.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Reads one record.
pub fn read_record(path: &Path) -> Result<RunRecord, BenchError> {
    let bytes = named_file::read(path).map_err(at("read", path))?;
    let wrong = |reason: String| BenchError::Record { path: path.to_owned(), reason };
    let parse_error = |error: serde_json::Error| wrong(error.to_string());
    // A whole record tells its version, too, so most files are gone through only once.
    match serde_json::from_slice::<RunRecord>(&bytes) {
        Ok(record) if record.version <= VERSION => Ok(record),
        read => {
            let Versioned { version } = serde_json::from_slice(&bytes).map_err(parse_error)?;
            if version > VERSION {
                return Err(BenchError::LaterRecord {
                    path: path.to_owned(),
                    version,
                    known: VERSION,
                });
            }
            read.map_err(parse_error)
        }
    }
}

/// Reads every record below `folder`, sorted by run and by position in the run.
pub fn read_records(folder: &Path) -> Result<Vec<RunRecord>, BenchError> {
    let mut paths = Vec::new();
    collect(folder, 0, &mut paths)?;
    let mut records = paths.iter().map(|path| read_record(path)).collect::<Result<Vec<_>, _>>()?;
    records.sort_by(|a, b| (&a.run, a.index).cmp(&(&b.run, b.index)));
    Ok(records)
}

/// Every file of a record below `folder`, in the order of their paths; what cannot be looked into is passed over.
pub fn record_files(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    // What was found before a folder that cannot be read counts all the same.
    let _ = collect(folder, 0, &mut paths);
    paths.sort();
    paths
}

/// `results/RUN/system/model/mode/batch/precision/repeat-N` is as deep as records lie.
const DEEPEST: usize = 8;

fn collect(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), BenchError> {
    // Among what a case left may be files of any name.
    if folder.file_name().is_some_and(|name| name == exchange::FOLDER) {
        return Ok(());
    }
    let entries = match fs::read_dir(folder) {
        // Another process may be removing old runs.
        Err(error) if error.kind() == io::ErrorKind::NotFound && depth > 0 => return Ok(()),
        entries => entries.map_err(at("read", folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(at("read", folder))?;
        let path = entry.path();
        if entry.file_name() == FILE {
            paths.push(path);
        } else if depth < DEEPEST && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&path, depth + 1, paths)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_later_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, r#"{"version": 2, "anything": []}"#).unwrap();
        let error = read_record(&path).unwrap_err();
        assert!(matches!(error, BenchError::LaterRecord { version: 2, known: 1, .. }), "{error}");
        fs::write(&path, "\0\u{1}").unwrap();
        assert!(matches!(read_record(&path), Err(BenchError::Record { .. })));
    }
}
