//! The half of a recipe that decides no bytes: how the image is run and how its logs are read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::exchange::{InputRule, OutputRule};
use super::reading::{CheckRule, ResultRule, SkipRule, TotalRule};
use super::units::{duration_seconds, optional_duration_seconds};

/// How the image is run and how its logs are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Benchmark {
    /// The axes of the matrix.
    pub matrix: Matrix,
    /// Run modes by name (`sp`, `mp`).
    pub mode: BTreeMap<String, Mode>,
    /// Folder the command runs in.
    pub workdir: String,
    /// Further variables of the command template, with their defaults.
    #[serde(default)]
    pub variables: BTreeMap<String, Value>,
    /// Variables of one model only.
    #[serde(default)]
    pub model: BTreeMap<String, BTreeMap<String, Value>>,
    /// Seconds a case may take (`timeout = "15m"` in the file).
    #[serde(deserialize_with = "duration_seconds")]
    pub timeout: u64,
    /// How values are found in a log.
    pub log: LogRule,
    /// Named figures computed from the values, in the order of their names' dependencies.
    #[serde(rename = "metric")]
    pub metrics: Vec<Metric>,
    /// What must hold, or a case has failed.
    #[serde(default, rename = "check")]
    pub checks: Vec<CheckRule>,
    /// The record that the guide asks for, if it asks for one.
    #[serde(default)]
    pub record: Option<RecordRule>,
    /// The figures that count, if the guide asks for no record.
    #[serde(default)]
    pub result: Option<ResultRule>,
}

/// The axes of the matrix; every combination is a case unless excluded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Matrix {
    /// Model names.
    pub model: Vec<String>,
    /// Names of run modes, keys of [`Benchmark::mode`].
    pub mode: Vec<String>,
    /// Batch size per device.
    pub batch_size: Vec<u32>,
    /// `fp32`, `fp16`.
    pub precision: Vec<String>,
    /// Globs of case names that are no cases (`seg/*/mp/bs4/*`); not every batch size is for every model.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The order of the cases: axes from the one that changes last to the one that changes with every
    /// case; without it that of the fields above.
    #[serde(default)]
    pub order: Vec<Axis>,
}

/// One axis of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// [`Matrix::model`].
    Model,
    /// [`Matrix::mode`].
    Mode,
    /// [`Matrix::batch_size`].
    BatchSize,
    /// [`Matrix::precision`].
    Precision,
}

impl Axis {
    /// Every axis, in the order of a matrix that has none of its own.
    pub const ALL: [Self; 4] = [Self::Model, Self::Mode, Self::BatchSize, Self::Precision];
}

/// One way to start the training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mode {
    /// Number of GPUs the mode is about; the variable `gpu_num`.
    pub gpus: u32,
    /// The command: one template per argument, `{name}` stands for a variable, a whole
    /// argument `{name...}` for the words of one.
    pub command: Vec<String>,
    /// Commands of models that are started otherwise, by model name.
    #[serde(default)]
    pub commands: BTreeMap<String, Vec<String>>,
    /// Environment of this mode, as templates (`CUDA_VISIBLE_DEVICES`).
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The mode whose case runs before the one of this mode, which takes what that leaves.
    pub needs: Option<String>,
    /// Files that a case takes in, by the name a user gives them by.
    #[serde(default)]
    pub inputs: BTreeMap<String, InputRule>,
    /// Files that a case leaves behind, by name.
    #[serde(default)]
    pub outputs: BTreeMap<String, OutputRule>,
    /// What the guide types, as a template of one line; without it the command.
    #[serde(default)]
    pub guide_command: Option<String>,
    /// The same of models that the guide starts otherwise, by model name.
    #[serde(default)]
    pub guide_commands: BTreeMap<String, String>,
    /// How values are found in a log of this mode.
    #[serde(default)]
    pub log: Option<LogRule>,
    /// The figures of this mode.
    #[serde(default, rename = "metric")]
    pub metrics: Option<Vec<Metric>>,
    /// What must hold in this mode.
    #[serde(default, rename = "check")]
    pub checks: Option<Vec<CheckRule>>,
    /// The record that the guide asks for in this mode.
    #[serde(default)]
    pub record: Option<RecordRule>,
    /// The figures that count in this mode, if the guide asks for no record.
    #[serde(default)]
    pub result: Option<ResultRule>,
}

/// A variable's value: text or number, kept as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a string or a number")]
pub enum Value {
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(String),
}

/// How values are found in a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogRule {
    /// Records dropped from the front of every series before anything is computed.
    pub skip: usize,
    /// Records dropped from the front of one series, where that differs from `skip`.
    #[serde(default)]
    pub skip_of: BTreeMap<String, usize>,
    /// Values found once, by the first match: name to regular expression with one group.
    #[serde(default)]
    pub once: BTreeMap<String, String>,
    /// Values found once per step, by all matches: name to regular expression with one group.
    pub step: BTreeMap<String, String>,
    /// Seconds between the arrivals of lines that match, for programs that print no time: name to
    /// regular expression.
    #[serde(default)]
    pub arrival: BTreeMap<String, String>,
    /// The count of steps, one regular expression with one group for each level, the slowest first
    /// (epoch, then step): a line that tells a count again adds nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counter: Vec<String>,
    /// How far a log says that it has come; one that ends before has failed.
    #[serde(default)]
    pub total: BTreeMap<String, TotalRule>,
    /// The series whose current value is shown as progress and is compared between runs.
    pub progress: String,
    /// The series whose values are means since the start of the run, so that their spread says nothing.
    #[serde(default)]
    pub running_mean: Vec<String>,
    /// The series that must be equal to the last digit when a run is repeated (`loss`).
    #[serde(default)]
    pub repeatable: Vec<String>,
}

/// One named figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metric {
    /// Its name, `throughput`; later formulas may use it.
    pub name: String,
    /// A formula over variables, `once` values, series (`mean(time)`) and earlier metrics.
    pub formula: String,
    /// Its unit, `images/s`; empty for a plain number.
    #[serde(default)]
    pub unit: String,
    /// What it means, in one sentence.
    #[serde(default)]
    pub about: String,
    /// Whether a run may end without it (an accuracy that is not reached); else it has failed.
    #[serde(default)]
    pub optional: bool,
}

/// The record that the guide asks for, with exactly the guide's keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecordRule {
    /// File name template of the guide's record.
    pub file: String,
    /// Folder that the guide keeps such records in, as a template; empty if it names none.
    #[serde(default)]
    pub folder: String,
    /// Folder that it keeps their logs in, as a template; empty if it names none.
    #[serde(default)]
    pub log_folder: String,
    /// File name template of the kept log.
    pub log_file: String,
    /// Name of the metric that is the guide's `FINAL_RESULT`.
    pub final_result: String,
    /// Name of the metric that is the true throughput.
    pub throughput: String,
    /// The keys in the guide's order: templates for text, `=metric` for a figure.
    pub keys: Vec<RecordKey>,
}

/// One key of the guide's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecordKey {
    /// The key as the guide writes it, `FINAL_RESULT`.
    pub key: String,
    /// A number as it is; a text is a template, or the name of a value after `=`
    /// (`"=gpu_num"`, `"=final_result"`, `"=job_fail_flag"`), kept as a number; `"=null"` is null.
    pub value: Value,
    /// What stands there when the job failed; without it 0 for a value that is missing then.
    #[serde(default)]
    pub on_failure: Option<Value>,
    /// A formula: the key is left out where it gives 0 (`gpu_num == 1`). Several rules for one
    /// key are alternatives.
    #[serde(default)]
    pub when: Option<String>,
}

/// One way to run the image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// One sentence for `repro list` and the record.
    pub about: String,
    /// Whether the run needs the GPUs its mode names; without them the case is skipped or refused.
    #[serde(default)]
    pub gpus: bool,
    /// Axes that differ from the guide's matrix.
    #[serde(default)]
    pub matrix: MatrixOverride,
    /// Number of GPUs, or of processes that stand for them, of a mode that has another here, by mode.
    #[serde(default)]
    pub gpus_of: BTreeMap<String, u32>,
    /// Variables that differ.
    #[serde(default)]
    pub variables: BTreeMap<String, Value>,
    /// Variables of one model that differ.
    #[serde(default)]
    pub model: BTreeMap<String, BTreeMap<String, Value>>,
    /// Environment beside the image's.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Files mounted read-only: path in the job to path relative to `images`.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Data sets mounted read-only: path in the job to data set name.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
    /// Cases of the matrix that are left out, with the reason.
    #[serde(default, rename = "skip")]
    pub skips: Vec<SkipRule>,
    /// Seconds a case may take, if not the benchmark's.
    #[serde(default, deserialize_with = "optional_duration_seconds")]
    pub timeout: Option<u64>,
    /// Seconds between the end of a case and the start of the next, as a guide sleeps between them.
    #[serde(default, deserialize_with = "optional_duration_seconds")]
    pub pause: Option<u64>,
}

/// Axes of a profile that replace the matrix's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct MatrixOverride {
    /// Model names.
    pub model: Option<Vec<String>>,
    /// Names of run modes.
    pub mode: Option<Vec<String>>,
    /// Batch sizes.
    pub batch_size: Option<Vec<u32>>,
    /// Precisions.
    pub precision: Option<Vec<String>>,
    /// Globs of case names that are no cases, instead of those of [`Matrix::exclude`].
    pub exclude: Option<Vec<String>>,
}
