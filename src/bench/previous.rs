//! Tells whether a run repeats an earlier one to the last digit.
//!
//! With one thread the same work gives the same loss values; where it does not,
//! something that decides them is not pinned. Compared is the text of the log.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::record::{FILE, RunRecord, Status, read_record};

/// What the comparison with the newest earlier run of the same work says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Repeatable {
    /// Every compared series is the same.
    SameAs {
        /// The earlier run.
        run: String,
    },
    /// A series differs.
    Differs {
        /// The earlier run.
        run: String,
        /// The first series that differs.
        series: String,
        /// The first step that differs, from 1.
        step: usize,
        /// The value of this run; absent if it has fewer.
        now: Option<String>,
        /// The value of the earlier run; absent if it has fewer.
        before: Option<String>,
    },
    /// No earlier run did the same work, or there is nothing to compare.
    NothingToCompare,
}

impl std::fmt::Display for Repeatable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SameAs { run } => write!(f, "same as run {run}"),
            Self::Differs { run, series, step, now, before } => {
                let text = |value: &Option<String>| value.clone().unwrap_or("nothing".to_owned());
                let (now, before) = (text(now), text(before));
                write!(f, "differs from run {run}: {series} at step {step}: {now} vs {before}")
            }
            Self::NothingToCompare => write!(f, "nothing to compare with"),
        }
    }
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

/// Run names begin with the time of their start, so the last in order is the newest.
fn newest(record: &RunRecord, folders: &[&Path]) -> Option<RunRecord> {
    let mut runs: BTreeMap<String, PathBuf> = BTreeMap::new();
    for folder in folders {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            runs.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
        }
    }
    runs.remove(&record.run);
    let records =
        runs.values().rev().filter_map(|run| read_record(&run.join(&record.case).join(FILE)).ok());
    records.into_iter().find(|other| other.status == Status::Ok && record.is_same_work(other))
}

fn against(record: &RunRecord, before: &RunRecord, series: &[&String]) -> Repeatable {
    let run = before.run.clone();
    for name in series {
        let now = &record.series[*name].values;
        let then = before.series.get(*name).map_or(&[][..], |series| &series.values);
        let steps = now.len().max(then.len());
        if let Some(step) = (0..steps).find(|step| now.get(*step) != then.get(*step)) {
            return Repeatable::Differs {
                run,
                series: (*name).clone(),
                step: step + 1,
                now: now.get(step).cloned(),
                before: then.get(step).cloned(),
            };
        }
    }
    Repeatable::SameAs { run }
}
