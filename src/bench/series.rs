//! A series in a record: every value, and what a reader asks of them first.

use serde::{Deserialize, Serialize};

use super::figures::number_of;
use super::number::Number;
use crate::recipe::LogRule;
use crate::stats::{self, Drift, Interval};

/// Confidence of the interval of the mean.
const LEVEL: f64 = 0.95;

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
    /// Whether a run of the same work repeats them to the last digit, if nothing unpinned decides them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeatable: bool,
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
    /// Interval that has the true mean in it in 19 of 20 runs, if they are like this one; absent for
    /// too few values.
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
        let numbers = numbers(&values[skipped..]);
        let used = values.len() - skipped;
        let place = |position: usize| position + skipped;
        Self {
            skipped,
            used,
            mean: stats::mean(&numbers),
            median: stats::median(&numbers),
            deviation: stats::deviation(&numbers),
            min: numbers.iter().copied().reduce(f64::min),
            max: numbers.iter().copied().reduce(f64::max),
            arrival: false,
            running_mean: false,
            repeatable: false,
            interval: stats::interval_of_mean(&numbers, LEVEL),
            outliers: stats::outliers(&numbers).into_iter().map(place).collect(),
            drift: stats::drift(&numbers),
            values,
        }
    }

    /// The values that were used, as numbers; none if one of them is no finite number.
    pub fn numbers(&self) -> Vec<f64> {
        numbers(&self.values[self.skipped.min(self.values.len())..])
    }

    /// The same values, with where they come from.
    pub(super) fn of(self, name: &str, rule: &LogRule) -> Self {
        let arrival = rule.arrival.contains_key(name);
        let running_mean = rule.running_mean.iter().any(|running| running == name);
        let repeatable = rule.repeatable.iter().any(|repeatable| repeatable == name);
        let series = Self { arrival, running_mean, repeatable, ..self };
        match running_mean {
            // Each value has all earlier ones in it, so none of these would mean what it says.
            true => Self { interval: None, outliers: Vec::new(), drift: None, ..series },
            false => series,
        }
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

fn numbers(texts: &[String]) -> Vec<f64> {
    let number = |text: &String| number_of(text).map(Number::as_f64).filter(|n| n.is_finite());
    texts.iter().map(number).collect::<Option<_>>().unwrap_or_default()
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
    fn outliers_and_drift_are_those_of_the_used_values() {
        let steps = (0..60).map(|step| format!("1.{:02}", step * step * step % 11));
        let mut values: Vec<String> = ["9", "9"].into_iter().map(str::to_owned).collect();
        values.extend(steps);
        values[20] = "5".to_owned();
        let series = SeriesRecord::new(values.clone(), 2);
        assert_eq!((series.outliers.as_slice(), series.drift), (&[20][..], None));
        let interval = series.interval.unwrap();
        assert!(interval.low < series.mean.unwrap() && series.mean.unwrap() < interval.high);
        values[42..].iter_mut().for_each(|value| *value = format!("2{}", &value[1..]));
        assert!(SeriesRecord::new(values, 2).drift.is_some());
    }

    #[test]
    fn means_since_the_start_have_neither_interval_nor_outliers_nor_drift() {
        let text =
            "skip = 0\nprogress = 'time'\nrunning-mean = ['time']\nstep = { time = 'time: (.+)' }";
        let rule: LogRule = toml::from_str(text).unwrap();
        let values: Vec<String> =
            (1..80).map(|step| format!("{}", 1.0 + 9.0 / f64::from(step))).collect();
        let plain = SeriesRecord::new(values.clone(), 0);
        assert!(plain.interval.is_some() && !plain.outliers.is_empty() && plain.drift.is_some());
        let series = plain.of("time", &rule);
        assert_eq!((series.interval, series.drift, series.outliers.len()), (None, None, 0));
        assert!(series.median.is_some());
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
