//! Numbers that behave like Python's, because the guides' scripts are Python.
//!
//! A guide's `FINAL_RESULT` can only be got again to the last digit when whole
//! numbers stay whole (`8 - 0` is `8`, not `8.0`), `/` always gives a fraction,
//! rounding works on the exact binary value, and a result is written with the
//! shortest digits that read back as the same number.

use serde::{Deserialize, Serialize};

/// A whole number or a number with a fraction, kept apart as in Python.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A number with a fraction; may be `nan` or `inf` when a log says so.
    Float(f64),
}

impl Number {
    /// Reads what Python's `int()` or else `float()` would read.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        text.parse().map(Self::Int).or_else(|_| text.parse().map(Self::Float)).ok()
    }

    /// The number with a fraction.
    pub fn as_f64(self) -> f64 {
        match self {
            // Whole numbers beyond 2^53 lose digits here, as they do in Python.
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// Whether it is neither `nan` nor infinite.
    pub fn is_finite(self) -> bool {
        self.as_f64().is_finite()
    }

    /// As Python's `repr` writes it: `8`, `8.0`, `1e-05`, `1.936`.
    pub fn repr(self) -> String {
        match self {
            Self::Int(value) => value.to_string(),
            Self::Float(value) => float_repr(value),
        }
    }

    /// Python's `round(x, digits)`: half to even on the exact binary value.
    pub fn round(self, digits: usize) -> Self {
        match self {
            Self::Float(value) if value.is_finite() => Self::Float(round_float(value, digits)),
            other => other,
        }
    }

    /// Cuts off after `digits` decimals of the exact binary value.
    pub fn truncate(self, digits: usize) -> Self {
        match self {
            Self::Float(value) if value.is_finite() => Self::Float(truncate_float(value, digits)),
            other => other,
        }
    }
}

/// The standard library formats the exact binary value and rounds half to even,
/// which is what `float.__round__` does by way of a decimal text, too.
fn round_float(value: f64, digits: usize) -> f64 {
    format!("{value:.digits$}").parse().expect("a formatted number is a number")
}

fn truncate_float(value: f64, digits: usize) -> f64 {
    // No binary fraction has more than 1,074 decimals: nothing is rounded here.
    let exact = format!("{value:.1074}");
    let point = exact.find('.').expect("1,074 decimals were asked for");
    exact[..point + 1 + digits.min(1074)].parse().expect("a cut number is a number")
}

/// As Python's `repr`: exponents below -4 and from 16 on are written as such.
fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    // Python takes the even one of two shortest texts that are equally near, the standard
    // library does not; but with a given number of digits both round half to even.
    let shortest = format!("{value:e}");
    let count = shortest.bytes().take_while(|b| *b != b'e').filter(u8::is_ascii_digit).count();
    let scientific = format!("{value:.*e}", count - 1);
    let (digits, exponent) = scientific.split_once('e').expect("`{:e}` writes an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes a whole exponent");
    if (-4..16).contains(&exponent) {
        let decimals = usize::try_from(count as i32 - 1 - exponent).unwrap_or(0).max(1);
        return format!("{value:.decimals$}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        // Each text was printed by CPython's `repr`.
        let cases = [
            (0.1, "0.1"),
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1.5e-7, "1.5e-07"),
            (1e16, "1e+16"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (9999999999999998.0, "9999999999999998.0"),
            (1e300, "1e+300"),
            (5e-324, "5e-324"),
            (60.462, "60.462"),
            (278_854_190_616_913.63, "278854190616913.62"),
            (1e15, "1000000000000000.0"),
        ];
        for (value, text) in cases {
            assert_eq!(float_repr(value), text);
        }
        assert_eq!(Number::Int(8).repr(), "8");
        assert_eq!(float_repr(f64::NEG_INFINITY), "-inf");
    }

    #[test]
    fn rounding_is_half_to_even_on_the_exact_binary_value() {
        // Each result was printed by CPython's `round`.
        let cases = [
            (2.675, 2, 2.67),
            (0.125, 2, 0.12),
            (0.375, 2, 0.38),
            (0.5, 0, 0.0),
            (1.5, 0, 2.0),
            (2.5, 0, 2.0),
            (-2.5, 0, -2.0),
            (1.0005, 3, 1.0),
            (1.0015, 3, 1.002),
            (0.0625, 3, 0.062),
            (0.0125, 3, 0.013),
            (1e300, 3, 1e300),
            (1.23456, 400, 1.23456),
        ];
        for (value, digits, rounded) in cases {
            assert_eq!(round_float(value, digits), rounded, "round({value}, {digits})");
        }
        assert_eq!(Number::Int(7).round(3), Number::Int(7));
    }

    #[test]
    fn truncation_never_rounds_up() {
        assert_eq!(truncate_float(16.0 / 0.2895, 2), 55.26);
        assert_eq!(truncate_float(37.8281, 1), 37.8);
        assert_eq!(truncate_float(-1.999, 2), -1.99);
        assert_eq!(truncate_float(0.999_999_999, 3), 0.999);
        assert_eq!(truncate_float(5e-324, 2000), 5e-324);
    }

    #[test]
    fn what_is_no_number_is_not_read_as_one() {
        for text in ["", "abc", "1,5", "0x10", "1.2.3", "--1"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
        assert_eq!(Number::parse(" 8 "), Some(Number::Int(8)));
        assert_eq!(Number::parse("9.329e-03"), Some(Number::Float(0.009329)));
        assert!(!Number::parse("nan").unwrap().is_finite());
        assert_eq!(Number::parse("99999999999999999999"), Some(Number::Float(1e20)));
    }
}
