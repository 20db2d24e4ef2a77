//! The report as JSON: what the tables show, with every digit.
//!
//! Keys are snake_case, states kebab-case; seconds, bytes and parts of one, named in the key where
//! it could be otherwise. The values of series stay in the records.

use serde_json::{Map, Value, json};

use super::kinds::{self, Kind};
use super::model::{Case, Report, Run, Summary, progress};
use super::words;
use crate::bench::{Figure, RunRecord, SeriesRecord, Status};

impl Report<'_> {
    /// `{"runs": [{…, "cases": [{…, "repeats": […]}]}]}`
    pub fn json(&self) -> Value {
        json!({ "runs": self.runs.iter().map(run).collect::<Vec<_>>() })
    }
}

fn run(run: &Run) -> Value {
    let record = run.first();
    let is_parsed = record.parsed.is_some();
    json!({
        "run": record.run,
        "image": record.image.name,
        "seal": (!is_parsed).then_some(&record.image.seal),
        "lock": (!is_parsed).then_some(&record.image.lock),
        "recipe": record.image.recipe,
        "profile": record.profile.name,
        "engine": record.engine,
        "host": record.host,
        "reference_host": record.reference_host,
        "host_differences": record.host_differences(),
        "errata": record.errata,
        "cases": run.cases.iter().map(case).collect::<Vec<_>>(),
    })
}

fn case(case: &Case) -> Value {
    let figure = |of: fn(&RunRecord) -> Option<&Figure>| {
        let unit = of(case.shown()).map(|figure| figure.unit.as_str());
        case.summary(of).map(|summary| of_summary(&summary, unit))
    };
    json!({
        "case": case.name(),
        "status": kebab(&case.status()),
        "verdict": case.verdict().map(|verdict| kebab(&verdict)),
        "flags": case.flags().into_iter().map(kebab).collect::<Vec<_>>(),
        "throughput": figure(|record| record.throughput.as_ref()),
        "final_result": figure(|record| record.final_result.as_ref()),
        "repeats": case.records().map(repeat).collect::<Vec<_>>(),
    })
}

/// Mean over repetitions, their spread as a part of it, and how many there are.
fn of_summary(summary: &Summary, unit: Option<&str>) -> Value {
    json!({ "mean": summary.mean, "variation": summary.variation, "count": summary.count,
        "unit": unit })
}

fn repeat(record: &RunRecord) -> Value {
    let reason = match &record.status {
        Status::Ok => None,
        Status::Failed(reason) | Status::Skipped(reason) => Some(reason),
    };
    let of_series = |(name, series): (&String, &SeriesRecord)| {
        let kind = kinds::of(record, name).unwrap_or(Kind::Text);
        (name.clone(), of_series(series, kind))
    };
    let series: Map<String, Value> = record.series.iter().map(of_series).collect();
    let conditions = record.conditions.as_ref();
    json!({
        "repeat": record.repeat,
        "status": kebab(words::status(record)),
        "reason": reason,
        "expected_failure": record.expected_failure,
        "start": record.start,
        "duration_seconds": record.duration,
        "cpu_seconds": record.cpu_time,
        "peak_memory_bytes": record.peak_memory,
        "peak_job_memory_bytes": record.peak_job_memory,
        "metrics": record.metrics,
        "comparisons": record.comparisons,
        "progress": record.progress,
        "series": series,
        "deviations": record.deviations,
        "repeatable": record.repeatable,
        "shared_host": record.shared_host,
        "conditions": conditions.map(|conditions| json!({
            "flags": conditions.flags, "summary": conditions.summary })),
        "values": progress(record).map_or(0, |series| series.values.len()),
    })
}

/// A mean of counters or clock times has no interval that would mean anything.
fn of_series(series: &SeriesRecord, kind: Kind) -> Value {
    json!({
        "kind": kind.word(),
        "used": series.used,
        "skipped": series.skipped,
        "mean": series.mean,
        "median": series.median,
        "deviation": series.deviation,
        "min": series.min,
        "max": series.max,
        "spread": series.spread(),
        "running_mean": series.running_mean,
        "arrival": series.arrival,
        "interval": series.interval.filter(|_| kind == Kind::Figure),
        "outliers": series.outliers,
        "drift": series.drift,
    })
}

/// A state of several words as one.
pub(super) fn kebab(words: &str) -> String {
    words.replace(", ", "+").replace(' ', "-")
}
