//! From what was found in a log to what its record says.
//!
//! The same for a job that was run and for a log that somebody else made.

use std::collections::BTreeMap;

use super::checks::add_figures;
use super::figures::{Figure, Rules};
use super::guide;
use super::log::Findings;
use super::number::Number;
use super::record::{RunRecord, Status};
use super::series::SeriesRecord;
use super::variables::{Variables, value_text};
use super::verdict;

/// Puts figures, checks and verdict into `record`; `failure` is what is known to be wrong already.
pub(super) fn judge(
    record: &mut RunRecord,
    rules: &Rules,
    variables: &Variables,
    findings: Findings,
    failure: Option<String>,
) {
    let mut figures = rules.figures(variables, &findings);
    let checks = rules.checks(variables, &findings, &figures);
    let failure = failure.or_else(|| verdict::of_log(rules, &findings, &figures, &checks));
    if failure.is_some() {
        // A part of a run has no figure: what it measured stands in the series.
        figures.iter_mut().for_each(Figure::withdraw);
    }
    record.status = failure.map_or(Status::Ok, Status::Failed);
    let named = |name: &str| figures.iter().find(|figure| figure.name == name).cloned();
    record.final_result = named(rules.benchmark.final_result());
    record.throughput = named(rules.benchmark.throughput());
    record.metrics = figures;
    record.checks = checks;
    record.once = findings.once;
    record.not_measured = findings.not_measured;
    record.totals = findings.progress;
    record.series = series(rules, findings.series);
}

fn series(rules: &Rules, values: BTreeMap<String, Vec<String>>) -> BTreeMap<String, SeriesRecord> {
    let summed = values.into_iter().map(|(name, values)| {
        let series = SeriesRecord::new(values, rules.skip(&name));
        let series = series.of(&name, &rules.benchmark.log);
        (name, series)
    });
    summed.collect()
}

/// The record that the guide asks for, as its script would write it.
pub(super) fn guide_record(
    record: &RunRecord,
    rules: &Rules,
    variables: &Variables,
    log_file: &str,
) -> String {
    let findings = Findings {
        once: record.once.clone(),
        series: record.series.keys().map(|name| (name.clone(), Vec::new())).collect(),
        ..Findings::default()
    };
    let mut scope = rules.scope(variables, &findings, |_| 0);
    add_figures(&mut scope, &record.metrics);
    let text = |name: &str| -> Option<String> {
        let found = record.once.get(name).cloned().flatten();
        found.or_else(|| variables.get(name).map(value_text))
    };
    let final_result: Option<Number> = record.final_result.as_ref().and_then(|figure| figure.value);
    let failed = record.status != Status::Ok;
    let outcome = guide::Outcome { scope: &scope, text: &text, failed, final_result, log_file };
    guide::render(&rules.keys, &outcome)
}
