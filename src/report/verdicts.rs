//! What a record says of published figures, and repetitions of each other, in sentences.

use crate::bench::{Comparison, Number, RepeatedFigure, Repeats, RunRecord, Verdict, repeats};

/// A line for each published figure that has a verdict; those without one together, with every reason.
pub(super) fn verdicts(record: &RunRecord) -> Vec<String> {
    let mut lines = Vec::new();
    let mut without: Vec<(&[String], Vec<&str>)> = Vec::new();
    for comparison in &record.comparisons {
        match &comparison.verdict {
            Verdict::NotComparable(reasons) => {
                let metric = comparison.published.metric.as_str();
                match without.iter_mut().find(|(other, _)| *other == reasons.as_slice()) {
                    Some((_, metrics)) => metrics.push(metric),
                    None => without.push((reasons, vec![metric])),
                }
            }
            verdict => lines.push(verdict_line(record, comparison, verdict)),
        }
    }
    let case = record.label();
    lines.extend(without.into_iter().map(|(reasons, metrics)| {
        let (metrics, reasons) = (metrics.join(", "), reasons.join("; "));
        format!("{case} {metrics} not comparable with what is published: {reasons}")
    }));
    lines
}

fn verdict_line(record: &RunRecord, comparison: &Comparison, verdict: &Verdict) -> String {
    let Comparison { published, measured, .. } = comparison;
    let measured = measured.map(Number::repr).unwrap_or_default();
    let (case, metric, unit) = (record.label(), &published.metric, &published.unit);
    let tolerance =
        published.tolerance.map(|tolerance| format!(" {tolerance}")).unwrap_or_default();
    let value = Number::Float(published.value).repr();
    format!("{case} {metric} {measured} {unit}: {verdict} the published {value} {unit}{tolerance}")
}

/// A line for each case that ran several times: the mean of its throughput, and how far apart they lie.
pub(super) fn spreads(run: &[RunRecord]) -> Vec<String> {
    repeats(run).iter().filter_map(spread).collect()
}

fn spread(repeats: &Repeats) -> Option<String> {
    let Repeats { case, of, measured, .. } = repeats;
    let RepeatedFigure { name, unit, mean, variation, .. } = repeats.throughput()?;
    let apart = variation.map_or(String::new(), |part| {
        format!(", spread between repetitions ± {:.1} %", part * 100.0)
    });
    Some(format!("{case} {measured} of {of} repetitions: mean {name} {mean:.4} {unit}{apart}"))
}
