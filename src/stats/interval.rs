//! How well the mean of a run's steps is known.
//!
//! Steps that follow each other are alike: a slow disk or a warm GPU lasts longer than one step. So
//! `n` steps are worth fewer independent ones, and the usual interval would be too narrow. The *effective
//! sample size* is `n` divided by the integrated autocorrelation time, estimated with the initial
//! monotone sequence of Geyer, "Practical Markov Chain Monte Carlo", Statistical Science 7, 1992: pairs
//! of neighbouring autocovariances are added up as long as they are positive, and never grow. The
//! interval is then Student's, with one degree of freedom less than the effective size.
//!
//! More than [`BLOCKS`] values are first averaged in as many blocks (batch means), which changes neither
//! the mean nor what it varies by, and keeps a million values cheap.

use serde::{Deserialize, Serialize};

use super::student;
use super::summary::mean;

/// Autocovariances are computed of at most this many values.
const BLOCKS: usize = 2048;

/// A confidence interval of a mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Confidence as a part of one, `0.95`.
    pub level: f64,
}

/// How much a mean of consecutive values varies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StandardError {
    /// The standard error of the mean.
    pub error: f64,
    /// As how many independent values the values count.
    pub effective: f64,
}

/// The interval that has the true mean in it in the part `level` (`0.95`) of all cases.
///
/// Absent for less than two values, and where the values are so alike that they count as one.
pub fn interval_of_mean(values: &[f64], level: f64) -> Option<Interval> {
    let mean = mean(values)?;
    let StandardError { error, effective } = standard_error_of_mean(values)?;
    let half = student::quantile(f64::midpoint(1.0, level), effective - 1.0)? * error;
    half.is_finite().then_some(Interval { low: mean - half, high: mean + half, level })
}

/// The standard error of the mean of consecutive values; absent for less than two.
pub fn standard_error_of_mean(values: &[f64]) -> Option<StandardError> {
    let length = values.len().div_ceil(BLOCKS).max(1);
    let mut means: Vec<f64> = match length {
        1 => values.to_vec(),
        // What the last block lacks is less than one part in two thousand.
        _ => values.chunks_exact(length).filter_map(mean).collect(),
    };
    let middle = mean(&means).filter(|_| means.len() > 1)?;
    means.iter_mut().for_each(|value| *value -= middle);
    let count = means.len() as f64;
    let time = correlation_time(&means);
    let variance = means.iter().map(|value| value * value).sum::<f64>() / (count - 1.0);
    let error = (variance * time / count).sqrt();
    error.is_finite().then_some(StandardError { error, effective: count / time })
}

/// How many neighbouring values count as one, at least 1, of values with mean 0.
fn correlation_time(values: &[f64]) -> f64 {
    let covariance = |lag: usize| -> f64 {
        values.iter().zip(&values[lag..]).map(|(one, other)| one * other).sum()
    };
    let variance = covariance(0);
    if variance <= 0.0 {
        return 1.0;
    }
    let (mut sum, mut smallest) = (0.0, f64::INFINITY);
    for lag in (0..values.len() - 1).step_by(2) {
        let pair = covariance(lag) + covariance(lag + 1);
        if pair <= 0.0 {
            break;
        }
        smallest = pair.min(smallest);
        sum += smallest;
    }
    (2.0 * sum / variance - 1.0).clamp(1.0, values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::random::SplitMix64;
    use super::*;

    /// In how many of 1,000 series the interval has the true mean, 0, in it.
    fn covered(count: usize, likeness: f64) -> usize {
        let mut random = SplitMix64::new(7);
        let covers = |values: &[f64]| {
            let interval = interval_of_mean(values, 0.95).unwrap();
            interval.low <= 0.0 && 0.0 <= interval.high
        };
        (0..1000).filter(|_| covers(&random.alike(count, likeness))).count()
    }

    #[test]
    fn independent_values_have_students_interval() {
        let values = [10.0, 12.0, 9.0, 11.0, 13.0, 8.0, 12.0, 9.0];
        let interval = interval_of_mean(&values, 0.95).unwrap();
        // 10.5 plus and minus 2.365 times 1.7728 divided by the root of 8.
        assert!((interval.low - 9.0179).abs() < 1e-3, "{interval:?}");
        assert!((interval.high - 11.9821).abs() < 1e-3, "{interval:?}");
    }

    #[test]
    fn the_true_mean_is_inside_about_as_often_as_the_level_says() {
        let of_independent = covered(100, 0.0);
        assert!((935..=985).contains(&of_independent), "{of_independent}");
        let of_alike = covered(200, 0.6);
        assert!((900..=985).contains(&of_alike), "{of_alike}");
    }

    #[test]
    fn alike_neighbours_count_as_fewer_values() {
        let mut random = SplitMix64::new(3);
        let of = |likeness| {
            let values = SplitMix64::new(3).alike(2000, likeness);
            standard_error_of_mean(&values).unwrap().effective
        };
        assert!(of(0.0) > 1500.0, "{}", of(0.0));
        // In truth 2000 · (1 − 0.8) / (1 + 0.8) = 222.
        assert!((140.0..340.0).contains(&of(0.8)), "{}", of(0.8));
        let many = random.alike(300_000, 0.8);
        let effective = standard_error_of_mean(&many).unwrap();
        let truth = (9.0_f64 / 300_000.0).sqrt();
        assert!((effective.error / truth - 1.0).abs() < 0.1, "{effective:?}");
    }

    #[test]
    fn too_few_values_have_no_interval_and_equal_ones_one_without_width() {
        for values in [&[][..], &[1.0], &[1.0, f64::NAN]] {
            assert_eq!(interval_of_mean(values, 0.95), None);
        }
        let interval = interval_of_mean(&[2.0; 5], 0.95).unwrap();
        assert_eq!((interval.low, interval.high), (2.0, 2.0));
    }
}
