//! Student's distribution, where its degrees of freedom may be any positive number.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Nothing is likelier to be further out than 0 can tell, and the square is finite.
const LARGEST: f64 = 1e150;

fn distribution(freedom: f64) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, freedom).ok().filter(|_| freedom.is_finite())
}

/// The value below which the part `q` (between 0 and 1) lies.
pub(super) fn quantile(q: f64, freedom: f64) -> Option<f64> {
    if !(q > 0.0 && q < 1.0) {
        return None;
    }
    let value = distribution(freedom)?.inverse_cdf(q);
    value.is_finite().then_some(value)
}

/// How likely a value at least this far from 0 is, on either side.
pub(super) fn two_sided(t: f64, freedom: f64) -> Option<f64> {
    if t.is_nan() {
        return None;
    }
    let tail = distribution(freedom)?.sf(t.abs().min(LARGEST));
    tail.is_finite().then_some((2.0 * tail).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_printed_tables() {
        for (q, freedom, expected) in [
            (0.975, 1.0, 12.706),
            (0.995, 8.0, 3.355),
            (0.975, 30.0, 2.042),
            (0.995, 1e6, 2.576),
            (0.8, 8.0, 0.889),
        ] {
            let value = quantile(q, freedom).unwrap();
            assert!((value - expected).abs() < 1e-3, "{q} of {freedom}: {value}");
        }
        assert!((two_sided(-3.355, 8.0).unwrap() - 0.01).abs() < 1e-4);
        assert!(two_sided(f64::INFINITY, 3.0).unwrap() < 1e-100);
    }

    #[test]
    fn what_is_no_distribution_has_no_values() {
        for (q, freedom) in [(0.0, 3.0), (1.0, 3.0), (f64::NAN, 3.0), (0.5, 0.0), (0.5, f64::NAN)] {
            assert_eq!(quantile(q, freedom), None);
        }
        assert_eq!((two_sided(f64::NAN, 3.0), two_sided(1.0, -1.0)), (None, None));
    }
}
