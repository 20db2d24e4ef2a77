//! A series in a record: every value, and what a reader asks of them first.

use serde::{Deserialize, Serialize};

use super::figures::number_of;
use super::number::Number;
use crate::recipe::LogRule;
use crate::stats::{Drift, Interval};

/// One series: what the log says, and its usual summary after the skip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesRecord {
    /// Every value as the log writes it, nothing skipped.
    pub values: Vec<String>,
    /// Whether they are seconds between the arrivals of lines: the program itself printed none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub arrival: bool,
    /// Whether they are means since the start of the run, so that their spread says nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub running_mean: bool,
    /// How many were dropped from the front before anything was computed.
    pub skipped: usize,
    /// How many were used.
    pub used: usize,
    /// Their mean; absent without numbers.
    pub mean: Option<f64>,
    /// Their median.
    pub median: Option<f64>,
    /// Their standard deviation (of a sample); absent for less than two.
    pub deviation: Option<f64>,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// Confidence interval of the mean; absent for too few values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Positions in `values`, from 0, of used values far from all others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outliers: Vec<usize>,
    /// A change of level among the used values, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
}

impl SeriesRecord {
    /// Sums up `values` without the first `skip`.
    pub(super) fn new(values: Vec<String>, skip: usize) -> Self {
        let skipped = skip.min(values.len());
        let texts = values[skipped..].iter();
        let numbers: Option<Vec<f64>> = texts
            .map(|text| number_of(text).map(Number::as_f64).filter(|n| n.is_finite()))
            .collect();
        let mut sorted = numbers.unwrap_or_default();
        let used = values.len() - skipped;
        let mean = mean(&sorted);
        let deviation = mean.and_then(|mean| deviation(&sorted, mean));
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (sorted.first().copied(), sorted.last().copied());
        let (arrival, running_mean, median) = (false, false, median(&sorted));
        let (interval, outliers, drift) = (None, Vec::new(), None);
        Self {
            values,
            skipped,
            used,
            mean,
            median,
            deviation,
            min,
            max,
            arrival,
            running_mean,
            interval,
            outliers,
            drift,
        }
    }

    /// The same values, with where they come from.
    pub(super) fn of(self, name: &str, rule: &LogRule) -> Self {
        let arrival = rule.arrival.contains_key(name);
        let running_mean = rule.running_mean.iter().any(|running| running == name);
        Self { arrival, running_mean, ..self }
    }

    /// The standard deviation as a part of the mean: what a reader calls the spread.
    pub fn spread(&self) -> Option<f64> {
        if self.running_mean {
            return None;
        }
        let mean = self.mean.filter(|mean| *mean != 0.0)?;
        Some(self.deviation? / mean.abs())
    }
}

fn mean(numbers: &[f64]) -> Option<f64> {
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    mean.is_finite().then_some(mean)
}

fn deviation(numbers: &[f64], mean: f64) -> Option<f64> {
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    let deviation = (squares / (numbers.len() as f64 - 1.0)).sqrt();
    (numbers.len() > 1 && deviation.is_finite()).then_some(deviation)
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[middle - 1], upper) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn a_series_is_summed_up_after_the_skip() {
        let series = SeriesRecord::new(texts(&["100", "1", "2", "4", "5"]), 1);
        assert_eq!((series.skipped, series.used), (1, 4));
        assert_eq!((series.mean, series.median), (Some(3.0), Some(3.0)));
        assert_eq!((series.min, series.max), (Some(1.0), Some(5.0)));
        assert!((series.deviation.unwrap() - 1.825_741_858).abs() < 1e-8);
        assert!((series.spread().unwrap() - 0.608_580_619).abs() < 1e-8);
    }

    #[test]
    fn a_series_without_numbers_has_no_summary() {
        for values in [&["a", "b"][..], &["1", "nan"], &[]] {
            let series = SeriesRecord::new(texts(values), 0);
            assert_eq!((series.mean, series.median, series.spread()), (None, None, None));
        }
        let one = SeriesRecord::new(texts(&["1", "7"]), 1);
        assert_eq!((one.mean, one.deviation), (Some(7.0), None));
        assert_eq!(SeriesRecord::new(texts(&["1"]), 4).skipped, 1);
    }
}
