//! Values far from all others.

use statrs::distribution::{ContinuousCDF, Normal};

use super::summary::median_of;

/// The bound that Iglewicz and Hoaglin recommend for their modified z-score.
const BOUND: f64 = 3.5;

/// Of so many series of noise at most this part has an outlier only because it is long.
const FALSE_ALARMS: f64 = 0.05;

/// Where the usual values lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fences {
    pub low: f64,
    pub high: f64,
}

impl Fences {
    /// The fences of values; absent without values, or if one is not finite.
    ///
    /// They lie where the modified z-score, 0.6745 · (value − median) / median absolute deviation, is
    /// 3.5 (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993). A long series has values
    /// further out by chance alone, so for more than about a hundred values the bound is the one that
    /// one of twenty normal series of this length passes. Where more than half of the values are equal,
    /// as in a log with few digits, the mean absolute deviation takes the median's place (0.7979).
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut distances = values.to_vec();
        let median = median_of(&mut distances)?;
        distances.iter_mut().for_each(|value| *value = (*value - median).abs());
        let deviation = match median_of(&mut distances)? {
            0.0 => distances.iter().sum::<f64>() / distances.len() as f64 / 0.7979,
            middle => middle / 0.6745,
        };
        let reach = bound(values.len()) * deviation;
        reach.is_finite().then_some(Self { low: median - reach, high: median + reach })
    }

    /// Whether a value lies outside.
    pub fn exclude(self, value: f64) -> bool {
        value < self.low || value > self.high
    }
}

fn bound(count: usize) -> f64 {
    let tail = FALSE_ALARMS / (2.0 * count as f64);
    Normal::standard().inverse_cdf(1.0 - tail).max(BOUND)
}

/// Positions of values far from all others, in their order; the module says what far means.
pub fn outliers(values: &[f64]) -> Vec<usize> {
    let Some(fences) = Fences::of(values) else { return Vec::new() };
    let numbered = values.iter().enumerate();
    numbered.filter(|(_, value)| fences.exclude(**value)).map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::super::random::SplitMix64;
    use super::*;

    #[test]
    fn a_value_far_from_all_others_is_named_by_its_position() {
        assert_eq!(outliers(&[1.0, 1.1, 0.9, 9.0, 1.05, 0.95, -5.0]), [3, 6]);
        assert_eq!(outliers(&[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.9]), [6]);
    }

    #[test]
    fn equal_values_none_and_values_that_are_no_numbers_have_no_outliers() {
        for values in [&[][..], &[3.0], &[2.0; 9], &[1.0, 1.0, f64::NAN, 50.0]] {
            assert_eq!(outliers(values), [] as [usize; 0]);
        }
    }

    #[test]
    fn a_tenth_of_the_values_elsewhere_does_not_hide_itself() {
        let mut random = SplitMix64::new(2);
        let mut values: Vec<f64> = (0..200).map(|_| 1.0 + 0.01 * random.normal()).collect();
        values.iter_mut().step_by(10).for_each(|value| *value += 0.3);
        assert_eq!(outliers(&values), (0..200).step_by(10).collect::<Vec<_>>());
    }

    #[test]
    fn at_most_one_of_ten_series_of_normal_noise_has_an_outlier() {
        let mut random = SplitMix64::new(5);
        for count in [10, 100, 1000] {
            let mut noise = || -> Vec<f64> { (0..count).map(|_| random.normal()).collect() };
            let alarms = (0..300).filter(|_| !outliers(&noise()).is_empty()).count();
            // Of ten values the deviation itself is known badly.
            let most = if count == 10 { 90 } else { 30 };
            assert!(alarms <= most, "{alarms} of 300 with {count} values");
        }
    }
}
