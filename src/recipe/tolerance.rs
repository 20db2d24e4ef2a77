//! How far a measured figure may be from a published one.
//!
//! ```toml
//! tolerance = 0.03            # three parts of a hundred in both directions
//! tolerance = [-0.02, 0.05]   # lower and upper
//! tolerance = [-0.02, inf]    # as much larger as it likes
//! ```

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bounds relative to the published figure; an absent one is open.
///
/// Invariant: the lower bound is not above 0, the upper one not below it, and neither is NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    lower: Option<f64>,
    upper: Option<f64>,
}

/// The rule in words.
const EXPECTED: &str =
    "a fraction such as 0.03, or a lower and an upper one such as [-0.02, 0.05]; `inf` is open";

impl Tolerance {
    /// Bounds as fractions with a sign, the lower one first; `None` if they exclude the figure itself.
    pub fn new(lower: Option<f64>, upper: Option<f64>) -> Option<Self> {
        let is_below = lower.is_none_or(|bound| bound <= 0.0);
        let is_above = upper.is_none_or(|bound| bound >= 0.0);
        let finite = |bound: f64| bound.is_finite();
        (is_below && is_above).then(|| Self {
            lower: lower.filter(|l| finite(*l)),
            upper: upper.filter(|u| finite(*u)),
        })
    }

    /// The smallest and the largest value that lie within it; infinite where it is open.
    pub fn range(&self, published: f64) -> (f64, f64) {
        let size = published.abs();
        let low = self.lower.map_or(f64::NEG_INFINITY, |part| published + part * size);
        let high = self.upper.map_or(f64::INFINITY, |part| published + part * size);
        (low, high)
    }

    fn of(lower: Option<f64>, upper: Option<f64>) -> Result<Self, String> {
        Self::new(lower, upper).ok_or_else(|| format!("the bounds exclude the figure: {EXPECTED}"))
    }
}

impl fmt::Display for Tolerance {
    /// `± 3 %`, or `− 2 % to + 5 %` with the word `open` for an open end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |part: f64| format!("{} %", round(part.abs() * 100.0));
        match (self.lower, self.upper) {
            (Some(lower), Some(upper)) if lower == -upper => write!(f, "± {}", percent(upper)),
            (lower, upper) => {
                let lower = lower.map_or("open".to_owned(), |part| format!("- {}", percent(part)));
                let upper = upper.map_or("open".to_owned(), |part| format!("+ {}", percent(part)));
                write!(f, "{lower} to {upper}")
            }
        }
    }
}

/// 0.07 times 100 is not 7 in binary; nobody writes more than three decimals.
fn round(percent: f64) -> f64 {
    (percent * 1000.0).round() / 1000.0
}

impl Serialize for Tolerance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bounds = serializer.serialize_tuple(2)?;
        bounds.serialize_element(&self.lower)?;
        bounds.serialize_element(&self.upper)?;
        bounds.end()
    }
}

impl<'de> Deserialize<'de> for Tolerance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Bounds)
    }
}

struct Bounds;

impl<'de> Visitor<'de> for Bounds {
    type Value = Tolerance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_f64<E: de::Error>(self, part: f64) -> Result<Tolerance, E> {
        Tolerance::of(Some(-part), Some(part)).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, part: i64) -> Result<Tolerance, E> {
        self.visit_f64(part as f64)
    }

    fn visit_u64<E: de::Error>(self, part: u64) -> Result<Tolerance, E> {
        self.visit_f64(part as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bounds: A) -> Result<Tolerance, A::Error> {
        let lower = bounds.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let upper = bounds.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
        match bounds.next_element::<Option<f64>>()? {
            None => Tolerance::of(lower, upper).map_err(de::Error::custom),
            Some(_) => Err(de::Error::invalid_length(3, &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Table {
        tolerance: Tolerance,
    }

    fn read(text: &str) -> Result<Tolerance, String> {
        let read = toml::from_str::<Table>(&format!("tolerance = {text}"));
        read.map(|table| table.tolerance).map_err(|error| error.to_string())
    }

    #[test]
    fn one_number_holds_in_both_directions_and_two_are_lower_and_upper() {
        assert_eq!(read("0.25").unwrap().range(8.0), (6.0, 10.0));
        assert_eq!(read("[-0.5, 0.25]").unwrap().range(8.0), (4.0, 10.0));
        assert_eq!(read("[-0.5, 0.25]").unwrap().range(-8.0), (-12.0, -6.0));
        assert_eq!(read("[-0.5, inf]").unwrap().range(8.0), (4.0, f64::INFINITY));
        assert_eq!(read("0").unwrap().range(8.0), (8.0, 8.0));
    }

    #[test]
    fn bounds_that_exclude_the_figure_or_are_no_numbers_are_refused() {
        for text in ["-0.1", "[0.1, 0.2]", "[-0.2, -0.1]", "nan", "[nan, 1.0]", "[-0.1]", "[]"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("[-0.1, 0.1, 0.2]").is_err());
        assert!(read("\"3 %\"").unwrap_err().contains("a fraction such as 0.03"));
    }

    #[test]
    fn it_is_written_for_a_reader_in_percent() {
        assert_eq!(read("0.07").unwrap().to_string(), "± 7 %");
        assert_eq!(read("[-0.02, 0.05]").unwrap().to_string(), "- 2 % to + 5 %");
        assert_eq!(read("[-0.025, inf]").unwrap().to_string(), "- 2.5 % to open");
    }

    #[test]
    fn json_has_no_infinity_so_an_open_end_is_null() {
        for text in ["0.03", "[-0.02, inf]", "[-inf, inf]"] {
            let tolerance = read(text).unwrap();
            let json = serde_json::to_string(&tolerance).unwrap();
            assert_eq!(serde_json::from_str::<Tolerance>(&json).unwrap(), tolerance, "{json}");
        }
        assert_eq!(serde_json::to_string(&read("[-0.02, inf]").unwrap()).unwrap(), "[-0.02,null]");
    }
}
