//! Mean, deviation, median and quantiles.

/// The mean; absent without values, or if it is not finite.
pub fn mean(values: &[f64]) -> Option<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    mean.is_finite().then_some(mean)
}

/// The standard deviation of a sample; absent for less than two values.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (values.len() as f64 - 1.0)).sqrt();
    (values.len() > 1 && deviation.is_finite()).then_some(deviation)
}

/// The median of values in any order; absent without values, or if it is not finite.
pub fn median(values: &[f64]) -> Option<f64> {
    median_of(&mut values.to_vec())
}

/// The median of values that may be put in another order.
pub(super) fn median_of(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    let is_odd = below.len() == values.len() / 2 && values.len() % 2 == 1;
    let lower = match is_odd {
        true => upper,
        false => values[..middle].iter().copied().max_by(f64::total_cmp).unwrap_or(upper),
    };
    let median = f64::midpoint(lower, upper);
    median.is_finite().then_some(median)
}

/// The value below which the part `q` (0 to 1) of `sorted` lies, between two values on the straight
/// line between them (type 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996).
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    if !(0.0..=1.0).contains(&q) {
        return None;
    }
    let place = q * last as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    let quantile = if part == 0.0 { low } else { low + part * (high - low) };
    quantile.is_finite().then_some(quantile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_have_the_figures_that_a_hand_computes() {
        let values = [5.0, 1.0, 4.0, 2.0];
        assert_eq!((mean(&values), median(&values)), (Some(3.0), Some(3.0)));
        assert!((deviation(&values).unwrap() - 1.825_741_858).abs() < 1e-8);
        assert_eq!(median(&[7.0, 3.0, 9.0]), Some(7.0));
    }

    #[test]
    fn too_few_values_and_values_that_are_no_numbers_have_no_figures() {
        for values in [&[][..], &[f64::NAN], &[f64::INFINITY, f64::NEG_INFINITY]] {
            assert_eq!((mean(values), median(values), deviation(values)), (None, None, None));
        }
        assert_eq!((mean(&[7.0]), deviation(&[7.0])), (Some(7.0), None));
    }

    #[test]
    fn quantiles_lie_on_the_line_between_two_values() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        let at = |q| quantile(&sorted, q);
        assert_eq!((at(0.0), at(1.0), at(0.5)), (Some(1.0), Some(8.0), Some(3.0)));
        assert_eq!((at(0.25), at(1.5), quantile(&[], 0.5)), (Some(1.75), None, None));
        assert_eq!(quantile(&[3.0], 0.9), Some(3.0));
    }
}
