//! Compares runs: what went into them, where they ran, and how fast they were.
//!
//! A side is one run or several of the same; every finished repetition of a case counts as one measurement.
//! Inputs and machines are compared as facts, case by case. Speeds are compared by a test, because
//! two runs of the same are never equally fast: noise alone is no difference.
//!
//! Invariants: only records are read. What only one side has is named, never passed over.

mod facts;
mod speed;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::bench::{Repeatable, RunRecord, Status};
use crate::lock::Difference;

pub use speed::{Metric, MetricReport};

/// A fact that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactReport {
    /// What differs.
    #[serde(flatten)]
    pub difference: Difference,
    /// The cases of both sides in which it does.
    pub cases: BTreeSet<String>,
}

/// A repetition that did not end well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unfinished {
    /// Its run.
    pub run: String,
    /// Its case.
    pub case: String,
    /// How it ended, in words.
    pub status: String,
}

/// What differs between two sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunsReport {
    /// The runs of the first side.
    pub before: BTreeSet<String>,
    /// The runs of the second side.
    pub after: BTreeSet<String>,
    /// Cases that only the first side has.
    pub only_before: BTreeSet<String>,
    /// Cases that only the second side has.
    pub only_after: BTreeSet<String>,
    /// Whether the sides have a case in common. Without one, only what holds for a whole run is compared.
    pub has_common_case: bool,
    /// What went in otherwise: image, lock, recipe, profile, data, command, variables, engine.
    pub inputs: Vec<FactReport>,
    /// What is otherwise about the machine and what it did meanwhile.
    pub host: Vec<FactReport>,
    /// How cases ended otherwise.
    pub status: Vec<FactReport>,
    /// Cases of the same work on both sides whose losses are not the same to the last digit.
    pub losses: BTreeMap<String, Repeatable>,
    /// Repetitions that gave no measurement.
    pub unfinished: Vec<Unfinished>,
    /// Each metric of each case of both sides.
    pub speed: Vec<MetricReport>,
    /// The part of comparisons without any change in which something is called a change.
    pub alpha: f64,
}

impl RunsReport {
    /// Whether nothing differs; noise is no difference, and losses without a known cause are noise.
    pub fn is_same(&self) -> bool {
        self.only_before.is_empty()
            && self.only_after.is_empty()
            && self.inputs.is_empty()
            && self.host.is_empty()
            && self.status.is_empty()
            && !self.losses.values().any(Repeatable::has_cause)
            && self.speed.iter().all(|metric| !metric.is_change())
    }
}

/// The records of one side by case.
type Cases<'a> = BTreeMap<&'a str, Vec<&'a RunRecord>>;

/// Compares the records of two sides; `alpha` is the part of false alarms among comparisons of the same.
pub fn diff_runs(before: &[RunRecord], after: &[RunRecord], alpha: f64) -> RunsReport {
    let (old, new) = (cases(before), cases(after));
    let both: Vec<(&str, &[&RunRecord], &[&RunRecord])> = old
        .iter()
        .filter_map(|(case, before)| Some((*case, before.as_slice(), new.get(case)?.as_slice())))
        .collect();
    let has_common_case = !both.is_empty();
    let (before_all, after_all): (Vec<_>, Vec<_>) =
        (before.iter().collect(), after.iter().collect());
    // Without a name, because it is no case: facts of it name none.
    let whole = [("", before_all.as_slice(), after_all.as_slice())];
    let (sides, of_inputs): (&[facts::Both<'_>], fn(&RunRecord) -> facts::Facts) =
        match has_common_case {
            true => (&both, facts::of_inputs),
            false => (&whole, facts::of_run),
        };
    let only = |one: &Cases<'_>, other: &Cases<'_>| {
        one.keys()
            .filter(|case| !other.contains_key(*case))
            .map(|case| (*case).to_owned())
            .collect()
    };
    let names = |records: &[RunRecord]| records.iter().map(|record| record.run.clone()).collect();
    RunsReport {
        before: names(before),
        after: names(after),
        only_before: only(&old, &new),
        only_after: only(&new, &old),
        has_common_case,
        inputs: facts::differences(sides, of_inputs),
        host: facts::differences(sides, facts::of_host),
        status: facts::differences(&both, facts::of_status),
        losses: both.iter().filter_map(losses).collect(),
        unfinished: before.iter().chain(after).filter_map(unfinished).collect(),
        speed: speed::compare_all(&both, alpha),
        alpha,
    }
}

/// How the losses of a case differ, by the first measurement of each side.
fn losses((case, before, after): &facts::Both<'_>) -> Option<(String, Repeatable)> {
    let first =
        |records: &[&'_ RunRecord]| records.iter().position(|record| record.status == Status::Ok);
    let (before, after) = (before[first(before)?], after[first(after)?]);
    let losses = Repeatable::between(before, after);
    matches!(losses, Repeatable::Differs { .. }).then(|| ((*case).to_owned(), losses))
}

fn cases(records: &[RunRecord]) -> Cases<'_> {
    let mut cases = Cases::new();
    for record in records {
        cases.entry(record.case.as_str()).or_default().push(record);
    }
    cases
}

fn unfinished(record: &RunRecord) -> Option<Unfinished> {
    (record.status != Status::Ok).then(|| Unfinished {
        run: record.run.clone(),
        case: record.case.clone(),
        status: facts::status_text(&record.status),
    })
}
