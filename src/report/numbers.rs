//! The values of a series as numbers.

use crate::bench::Number;

/// The numbers behind `texts`; absent if one of them is none, so that no step is passed over in silence.
pub(super) fn of(texts: &[String]) -> Option<Vec<f64>> {
    texts.iter().map(|text| one(text)).collect()
}

/// A finite number; a clock time is none, although formulas can reckon with it.
pub(super) fn one(text: &str) -> Option<f64> {
    Number::parse(text).map(|number| number.as_f64()).filter(|number| number.is_finite())
}
