//! What a record says of the machine's conditions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The samples taken beside a case, and what they say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConditionsRecord {
    /// Name of the CSV file beside the record: a header line, then one line a sample; the first
    /// column is `seconds` since the command's start, an empty cell was not measured. Absent if
    /// it could not be written; `not_measured` has the reason under `file`.
    #[serde(default)]
    pub file: Option<String>,
    /// Digest of its bytes.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// Seconds between samples, at the end of the case.
    pub interval: f64,
    /// Number of samples that are in the file.
    pub samples: u64,
    /// Number of samples that were taken; what a long case has too many of was joined.
    #[serde(default)]
    pub taken: u64,
    /// Processor time in seconds that taking them used.
    #[serde(default)]
    pub cpu_time: Option<f64>,
    /// Smallest, mean and largest value of each column that is a number, of every sample taken.
    pub summary: BTreeMap<String, Range>,
    /// What would spoil the number.
    #[serde(default)]
    pub flags: Vec<Flag>,
    /// Columns that could not be measured, and why; `gpu` and `gpu0` stand for all of theirs.
    #[serde(default)]
    pub not_measured: BTreeMap<String, String>,
}

impl ConditionsRecord {
    /// Everything that would spoil the number, as one fragment; `None` if nothing would.
    pub fn warning(&self) -> Option<String> {
        let texts: Vec<&str> = self.flags.iter().map(|flag| flag.text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}

/// What a column did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The smallest value.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The largest.
    pub max: f64,
}

/// Something that would spoil the number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    /// What it is.
    pub kind: FlagKind,
    /// The same in words, as a fragment with figures: `GPU 0 throttled (power cap) for 12 s of 80 s`.
    pub text: String,
    /// Seconds since the command's start at which it was first seen.
    pub from: f64,
    /// Seconds since the command's start at which it was last seen.
    pub to: f64,
}

/// Kinds of disturbance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlagKind {
    /// A processor or GPU ran below its clock because of heat or power.
    Throttled,
    /// Others used the machine.
    Disturbed,
    /// Tasks waited for memory or the machine swapped.
    MemoryPressure,
    /// Tasks waited for the disk.
    DiskPressure,
    /// A file system that the run writes to was nearly full.
    DiskFull,
}
