//! How a log becomes figures, where a mode has rules of its own; what cannot be run, and what is left out.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::benchmark::{Benchmark, Mode};
use super::types::Erratum;

/// Steps counted in a line that also says how many there will be: `Iter [490/500]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TotalRule {
    /// A regular expression with two groups: the step and the total.
    pub pattern: String,
    /// Whether the last step is numbered `total - 1` (`[7/8]` is the last of eight).
    #[serde(default)]
    pub from_zero: bool,
}

/// Something that must hold, or the case has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CheckRule {
    /// Its name, `gt`.
    pub name: String,
    /// A formula as those of metrics, which it may use; 0 means that it does not hold.
    pub formula: String,
    /// What is wrong when it does not hold.
    pub text: String,
}

/// Which figures count where the guide has no record of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ResultRule {
    /// Name of the metric that the guide publishes.
    pub final_result: String,
    /// Name of the metric that is the true throughput.
    pub throughput: String,
    /// File name template of the kept log.
    #[serde(default = "log_file")]
    pub log_file: String,
}

fn log_file() -> String {
    "{mode}.log".to_owned()
}

/// A case of the guide that cannot be run here at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Unavailable {
    /// Its name, in the form of other cases; published figures may belong to it.
    pub case: String,
    /// What the guide types.
    pub guide_command: String,
    /// Why it cannot be run.
    pub reason: String,
}

/// Cases of the matrix that a profile leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SkipRule {
    /// A case name or glob.
    pub case: String,
    /// Why they are left out.
    pub reason: String,
}

impl Benchmark {
    /// The benchmark with the rules of one mode in place of its own.
    pub fn of_mode(&self, name: &str) -> Self {
        let mut benchmark = self.clone();
        let Some(mode) = self.mode.get(name) else { return benchmark };
        if let Some(log) = &mode.log {
            benchmark.log = log.clone();
        }
        if let Some(metrics) = &mode.metrics {
            benchmark.metrics = metrics.clone();
        }
        if let Some(checks) = &mode.checks {
            benchmark.checks = checks.clone();
        }
        if mode.record.is_some() || mode.result.is_some() {
            benchmark.record = mode.record.clone();
            benchmark.result = mode.result.clone();
        }
        benchmark
    }

    /// Name of the metric that the guide's own script would print.
    pub fn final_result(&self) -> &str {
        let record = self.record.as_ref().map(|record| &record.final_result);
        record
            .or(self.result.as_ref().map(|result| &result.final_result))
            .map_or("", String::as_str)
    }

    /// Name of the metric that is the true throughput.
    pub fn throughput(&self) -> &str {
        let record = self.record.as_ref().map(|record| &record.throughput);
        record.or(self.result.as_ref().map(|result| &result.throughput)).map_or("", String::as_str)
    }

    /// File name template of the kept log.
    pub fn log_file(&self) -> &str {
        let record = self.record.as_ref().map(|record| &record.log_file);
        record.or(self.result.as_ref().map(|result| &result.log_file)).map_or("", String::as_str)
    }
}

impl fmt::Display for Erratum {
    /// Its name, what the guide says where it is quoted, and what is true.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, says, text, .. } = self;
        match says {
            Some(says) => write!(f, "{id}: the guide says “{says}”; {text}"),
            None => write!(f, "{id}: {text}"),
        }
    }
}

impl Mode {
    /// The command of `model`, one template per argument.
    pub fn command_of(&self, model: &str) -> &[String] {
        self.commands.get(model).unwrap_or(&self.command)
    }
}
