//! CSV in long form: one line for each run, case, repetition and metric.
//!
//! A program that reads it needs to know no metric in advance. A figure that is missing has a line
//! with an empty value; beside a published figure stand the verdict and its reasons.

use super::model::Report;
use super::words;
use crate::bench::{Comparison, Number, RunRecord, SeriesRecord, Status};

const HEADER: [&str; 18] = [
    "run",
    "case",
    "repeat",
    "image",
    "seal",
    "profile",
    "start",
    "status",
    "flags",
    "metric",
    "value",
    "unit",
    "published",
    "tolerance",
    "ratio",
    "verdict",
    "reasons",
    // Behind all others, since it came later and a program may count columns.
    "engine",
];

/// A metric with its value and unit, as they stand in a line.
type Metric = (String, String, String);

impl Report<'_> {
    /// All lines, with a header.
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let never = "writing into memory cannot fail";
        writer.write_record(HEADER).expect(never);
        for record in self.cases().flat_map(|case| case.records()) {
            let (begin, engine) = (beginning(record), cell(&record.engine));
            for (metric, value, unit) in metrics(record) {
                let comparison =
                    record.comparisons.iter().find(|one| one.published.metric == metric);
                let end = beside_published(comparison);
                let line =
                    begin.iter().chain([&metric, &value, &unit]).chain(&end).chain([&engine]);
                writer.write_record(line).expect(never);
            }
        }
        let bytes = writer.into_inner().expect(never);
        String::from_utf8(bytes).expect("every cell is text")
    }
}

fn beginning(record: &RunRecord) -> [String; 9] {
    let flags = record.conditions.iter().flat_map(|conditions| &conditions.flags);
    let flags: Vec<&str> = flags.map(|flag| words::flag(flag.kind)).collect();
    let seal = record.parsed.is_none().then(|| record.image.seal.to_string());
    [
        cell(&record.run),
        cell(&record.case),
        record.repeat.map_or(String::new(), |repeat| repeat.number.to_string()),
        cell(&record.image.name),
        seal.unwrap_or_default(),
        cell(&record.profile.name),
        cell(&record.start),
        words::status(record).to_owned(),
        flags.join("; "),
    ]
}

/// Every figure of the recipe, then what was measured of every case.
fn metrics(record: &RunRecord) -> Vec<Metric> {
    let figures = record.metrics.iter().map(|figure| {
        let value = figure.value.map(Number::repr).unwrap_or_default();
        (cell(&figure.name), value, cell(&figure.unit))
    });
    let mut metrics: Vec<Metric> = figures.collect();
    let number = |value: Option<f64>| value.map(|value| Number::Float(value).repr());
    let mut add = |name: &str, value: Option<String>, unit: &str| {
        metrics.push((cell(name), value.unwrap_or_default(), cell(unit)));
    };
    add("duration", number(record.duration), "s");
    add("cpu_time", number(record.cpu_time), "s");
    add("peak_memory", record.peak_memory.map(|bytes| bytes.to_string()), "bytes");
    add("peak_job_memory", record.peak_job_memory.map(|bytes| bytes.to_string()), "bytes");
    if let Some(series) = super::model::progress(record).filter(|_| record.status == Status::Ok) {
        let (name, unit) =
            (&record.progress, super::model::unit(record, &record.progress).unwrap_or_default());
        for (what, value) in of_series(series) {
            add(&format!("{name}.{what}"), number(value), unit);
        }
        add(&format!("{name}.used"), Some(series.used.to_string()), "");
        add(&format!("{name}.skipped"), Some(series.skipped.to_string()), "");
        add(&format!("{name}.outliers"), Some(series.outliers.len().to_string()), "");
    }
    metrics
}

fn of_series(series: &SeriesRecord) -> [(&'static str, Option<f64>); 7] {
    [
        ("mean", series.mean),
        ("median", series.median),
        ("deviation", series.deviation),
        ("min", series.min),
        ("max", series.max),
        ("mean_low", series.interval.map(|interval| interval.low)),
        ("mean_high", series.interval.map(|interval| interval.high)),
    ]
}

fn beside_published(comparison: Option<&Comparison>) -> [String; 5] {
    let Some(comparison) = comparison else { return Default::default() };
    let published = &comparison.published;
    [
        Number::Float(published.value).repr(),
        published.tolerance.map(|tolerance| tolerance.to_string()).unwrap_or_default(),
        comparison.ratio.map(|ratio| Number::Float(ratio).repr()).unwrap_or_default(),
        words::verdict(&comparison.verdict).to_owned(),
        cell(&comparison.verdict.reasons().join("; ")),
    ]
}

/// Text of a record in a cell of CSV. A spreadsheet would run what begins like a formula.
pub fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_finds_no_formula_in_the_text_of_a_record() {
        assert_eq!(cell("=1+2"), "'=1+2");
        assert_eq!(cell("@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(cell("seg/fastscnn"), "seg/fastscnn");
    }
}
