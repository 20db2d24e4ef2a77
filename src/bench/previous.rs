//! Tells whether a run repeats an earlier one to the last digit.
//!
//! With one thread the same work gives the same loss values; where it does not,
//! something that decides them is not pinned. Compared is the text of the log.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::record::{RunRecord, Status, read_record, record_files};
use super::series::SeriesRecord;

/// What the comparison with the newest earlier run of the same work says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Repeatable {
    /// Every compared series is the same.
    SameAs {
        /// The earlier run, or this one if an earlier repetition is meant.
        run: String,
        /// Which repetition of that run, if it repeated its cases.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repeat: Option<usize>,
    },
    /// A series differs.
    Differs {
        /// The earlier run, or this one if an earlier repetition is meant.
        run: String,
        /// Which repetition of that run, if it repeated its cases.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repeat: Option<usize>,
        /// The first series that differs.
        series: String,
        /// The first step that differs, from 1.
        step: usize,
        /// The value of this run; absent if it has fewer.
        now: Option<String>,
        /// The value of the earlier run; absent if it has fewer.
        before: Option<String>,
        /// Places in the job of data sets whose folders were listed in another order: a training may depend on it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        listed_otherwise: Vec<String>,
    },
    /// No earlier run did the same work, or there is nothing to compare.
    NothingToCompare,
}

impl Repeatable {
    /// Compares the repeatable series of two records; two that did not do the same work have nothing to compare.
    pub fn between(before: &RunRecord, after: &RunRecord) -> Self {
        let is_compared = |series: &SeriesRecord| series.repeatable && !series.values.is_empty();
        let series = after.series.iter().filter(|(_, series)| is_compared(series));
        let series: Vec<&String> = series.map(|(name, _)| name).collect();
        let are_whole = [before, after].iter().all(|record| record.status == Status::Ok);
        match series.is_empty() || !are_whole || !after.is_same_work(before) {
            true => Self::NothingToCompare,
            false => against(after, before, &series),
        }
    }

    /// Whether it differs and something is known that may be why.
    pub fn has_cause(&self) -> bool {
        matches!(self, Self::Differs { listed_otherwise, .. } if !listed_otherwise.is_empty())
    }
}

impl std::fmt::Display for Repeatable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SameAs { run, repeat } => write!(f, "same as run {run}{}", number(*repeat)),
            Self::Differs { run, repeat, series, step, now, before, listed_otherwise } => {
                let text = |value: &Option<String>| value.clone().unwrap_or("nothing".to_owned());
                let (now, before, number) = (text(now), text(before), number(*repeat));
                write!(
                    f,
                    "differs from run {run}{number}: {series} at step {step}: {now} vs {before}"
                )?;
                match listed_otherwise.as_slice() {
                    [] => Ok(()),
                    paths => write!(
                        f,
                        "; the file system lists {} in another order, which a training may follow",
                        paths.join(", ")
                    ),
                }
            }
            Self::NothingToCompare => write!(f, "nothing to compare with"),
        }
    }
}

fn number(repeat: Option<usize>) -> String {
    repeat.map_or(String::new(), |number| format!(" (repetition {number})"))
}

/// Compares `record` with the newest successful record of the same work below `folders`.
///
/// `series` are the names to compare. A record that cannot be read is passed over: a
/// damaged old file must not spoil a new run.
pub(super) fn compare(record: &RunRecord, series: &[String], folders: &[&Path]) -> Repeatable {
    let has_values =
        |name: &&String| record.series.get(*name).is_some_and(|series| !series.values.is_empty());
    let series: Vec<&String> = series.iter().filter(has_values).collect();
    if series.is_empty() || record.status != Status::Ok {
        return Repeatable::NothingToCompare;
    }
    match newest(record, folders) {
        Some(before) => against(record, &before, &series),
        None => Repeatable::NothingToCompare,
    }
}

/// An earlier repetition of the same run, else the newest of another one. Run names begin with the
/// time of their start, so the last in order is the newest.
fn newest(record: &RunRecord, folders: &[&Path]) -> Option<RunRecord> {
    let mut runs: BTreeMap<String, PathBuf> = BTreeMap::new();
    for folder in folders {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            runs.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
        }
    }
    let own = runs.remove(&record.run);
    let earlier = |other: &RunRecord| repetition(other) < repetition(record);
    let own = own.iter().flat_map(|run| of_case(run, &record.case)).filter(earlier);
    let others = runs.values().rev().flat_map(|run| of_case(run, &record.case));
    let mut records = own.chain(others);
    records.find(|other| other.status == Status::Ok && record.is_same_work(other))
}

/// The records of a case in a run, the last repetition first.
fn of_case(run: &Path, case: &str) -> Vec<RunRecord> {
    let files = record_files(&run.join(case));
    let mut records: Vec<_> = files.iter().filter_map(|file| read_record(file).ok()).collect();
    records.sort_by_key(|record| std::cmp::Reverse(repetition(record)));
    records
}

fn repetition(record: &RunRecord) -> Option<usize> {
    record.repeat.map(|repeat| repeat.number)
}

fn against(record: &RunRecord, before: &RunRecord, series: &[&String]) -> Repeatable {
    let (run, repeat) = (before.run.clone(), repetition(before));
    for name in series {
        let now = &record.series[*name].values;
        let then = before.series.get(*name).map_or(&[][..], |series| &series.values);
        let steps = now.len().max(then.len());
        if let Some(step) = (0..steps).find(|step| now.get(*step) != then.get(*step)) {
            return Repeatable::Differs {
                run,
                repeat,
                series: (*name).clone(),
                step: step + 1,
                now: now.get(step).cloned(),
                before: then.get(step).cloned(),
                listed_otherwise: record.listed_otherwise(before),
            };
        }
    }
    Repeatable::SameAs { run, repeat }
}
