//! Whether cases are faster or slower than their noise explains.
//!
//! The throughput of each finished repetition is one value of the test. Where the throughput comes from
//! the mean of one series alone (seconds of each step), that series is looked at, too: by its mean in each
//! repetition, or step by step where there is one on each side. A series says the same once
//! more, so it decides nothing beside a throughput that was tested.
//!
//! Several cases are several tests: their levels are Holm's, for each metric over all cases.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::bench::{Figure, Formula, RunRecord, SeriesRecord, Status};
use crate::stats::{self, Change, Judgement};

/// What of a case is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The true throughput.
    Throughput,
    /// The series that the throughput is the mean of.
    Series,
}

/// One metric of one case on both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricReport {
    /// The case.
    pub case: String,
    /// What is compared.
    pub metric: Metric,
    /// Its name, `throughput`, `time`.
    pub name: String,
    /// Its unit; empty for a series, whose log names none.
    pub unit: String,
    /// What the test says, at the level that it has among all cases.
    pub change: Change,
}

impl MetricReport {
    /// Whether this is more than noise.
    pub fn is_change(&self) -> bool {
        self.metric == Metric::Throughput && self.change.judgement == Judgement::Changed
    }
}

/// The records of one case on both sides.
type Both<'a> = (&'a str, &'a [&'a RunRecord], &'a [&'a RunRecord]);

/// A comparison before its level is known.
struct Question {
    case: String,
    metric: Metric,
    name: String,
    unit: String,
    before: Vec<f64>,
    after: Vec<f64>,
    /// Whether the values are the steps of one run on each side.
    steps: bool,
}

/// Every metric of every case, in the order of the cases.
pub(super) fn compare_all(both: &[Both<'_>], alpha: f64) -> Vec<MetricReport> {
    let mut reports = answer(both.iter().filter_map(throughput).collect(), alpha);
    reports.extend(answer(both.iter().filter_map(series).collect(), alpha));
    reports.sort_by(|one, other| (&one.case, one.metric).cmp(&(&other.case, other.metric)));
    reports
}

fn answer(questions: Vec<Question>, alpha: f64) -> Vec<MetricReport> {
    let p: Vec<Option<f64>> = questions.iter().map(|question| question.ask(alpha).p).collect();
    let levels = stats::holm_levels(&p, alpha);
    let report = |(question, level): (Question, f64)| MetricReport {
        change: question.ask(level),
        case: question.case,
        metric: question.metric,
        name: question.name,
        unit: question.unit,
    };
    questions.into_iter().zip(levels).map(report).collect()
}

impl Question {
    fn ask(&self, alpha: f64) -> Change {
        match self.steps {
            true => stats::compare_series(&self.before, &self.after, alpha),
            false => stats::compare(&self.before, &self.after, alpha),
        }
    }
}

fn throughput((case, before, after): &Both<'_>) -> Option<Question> {
    let figure = |record: &&RunRecord| record.throughput.clone();
    let known: Figure = before.iter().chain(*after).find_map(figure)?;
    let values = |records: &[&RunRecord]| -> Vec<f64> {
        let value = |record: &&RunRecord| Some(record.throughput.as_ref()?.value?.as_f64());
        finished(records).filter_map(|record| value(&record)).collect()
    };
    Some(Question {
        case: (*case).to_owned(),
        metric: Metric::Throughput,
        name: known.name,
        unit: known.unit,
        before: values(before),
        after: values(after),
        steps: false,
    })
}

fn series((case, before, after): &Both<'_>) -> Option<Question> {
    let name = before.iter().chain(*after).find_map(|record| step_series(record))?;
    let of = |records: &[&RunRecord]| -> Vec<Vec<f64>> {
        let series = finished(records).filter_map(|record| record.series.get(&name));
        let usable = series.filter(|series| !series.running_mean);
        usable.map(SeriesRecord::numbers).filter(|numbers| !numbers.is_empty()).collect()
    };
    let (mut before, mut after) = (of(before), of(after));
    let steps = before.len() == 1 && after.len() == 1;
    let means = |runs: &[Vec<f64>]| runs.iter().filter_map(|run| stats::mean(run)).collect();
    let (before, after) = match steps {
        true => (before.remove(0), after.remove(0)),
        false => (means(&before), means(&after)),
    };
    let (case, unit) = ((*case).to_owned(), String::new());
    Some(Question { case, metric: Metric::Series, name, unit, before, after, steps })
}

fn finished<'a>(records: &'a [&'a RunRecord]) -> impl Iterator<Item = &'a RunRecord> {
    records.iter().copied().filter(|record| record.status == Status::Ok)
}

/// The only series that the throughput is computed from, through whatever other metrics.
fn step_series(record: &RunRecord) -> Option<String> {
    let mut open = vec![record.throughput.as_ref()?.formula.clone()];
    let (mut seen, mut found) = (BTreeSet::new(), BTreeSet::new());
    while let Some(text) = open.pop() {
        let formula = Formula::parse(&text).ok()?;
        for name in formula.names() {
            if record.series.contains_key(name) {
                found.insert(name.to_owned());
            } else if seen.insert(name.to_owned()) {
                let metric = record.metrics.iter().find(|metric| metric.name == name);
                open.extend(metric.map(|metric| metric.formula.clone()));
            }
        }
    }
    let only = found.pop_first()?;
    found.is_empty().then_some(only)
}
