//! How values are distributed.

use serde::Serialize;

/// Counts of values in intervals of one width.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    /// Where the first interval begins: the smallest value.
    pub low: f64,
    /// Where the last one ends: the largest value.
    pub high: f64,
    /// Values in each interval; a value on a border counts in the upper one, the largest in the last.
    pub counts: Vec<usize>,
}

impl Histogram {
    /// The width of each interval; 0 where all values are equal.
    pub fn width(&self) -> f64 {
        (self.high - self.low) / self.counts.len() as f64
    }
}

/// Sorts values into `bins` intervals; absent without values or bins, or if a value is not finite.
///
/// Equal values are one interval without a width, whatever `bins` says.
pub fn histogram(values: &[f64], bins: usize) -> Option<Histogram> {
    if values.is_empty() || bins == 0 || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low == high {
        return Some(Histogram { low, high, counts: vec![values.len()] });
    }
    let mut counts = vec![0; bins];
    // Halves, since the whole range of finite numbers need not be finite.
    let range = high / 2.0 - low / 2.0;
    for value in values {
        let place = (value / 2.0 - low / 2.0) / range * bins as f64;
        counts[(place as usize).min(bins - 1)] += 1;
    }
    Some(Histogram { low, high, counts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_counts_once() {
        let histogram = histogram(&[1.0, 1.5, 2.0, 2.9, 3.0, 5.0], 4).unwrap();
        assert_eq!(histogram.counts, [2, 2, 1, 1]);
        assert_eq!((histogram.low, histogram.high, histogram.width()), (1.0, 5.0, 1.0));
    }

    #[test]
    fn equal_values_are_one_interval_and_none_are_no_histogram() {
        assert_eq!(histogram(&[2.0, 2.0], 10).unwrap().counts, [2]);
        for (values, bins) in [(&[][..], 3), (&[1.0], 0), (&[1.0, f64::NAN], 3)] {
            assert_eq!(histogram(values, bins), None);
        }
        assert_eq!(histogram(&[f64::MIN, 0.0, f64::MAX], 3).unwrap().counts, [1, 1, 1]);
    }
}
