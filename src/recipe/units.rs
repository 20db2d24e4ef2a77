//! Durations and sizes as people write them.

use std::fmt;

use serde::Deserializer;
use serde::de::{self, Visitor};

/// Seconds per unit.
const DURATIONS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3600)];

/// Bytes per unit, decimal and binary (IEC 80000-13).
const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Reads `1 GiB`, `512 MiB` or `64 kB`; a number without a unit is more often a slip than bytes.
pub(super) fn byte_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let expected = "a size such as \"1 GiB\"";
    deserializer.deserialize_any(Quantity { expected, units: &SIZES, takes_numbers: false })
}

/// As [`byte_size`], for a key that may be absent; a record has the number of bytes.
pub(super) fn optional_byte_size<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    let expected = "a size such as \"629 GB\"";
    let sizes = Quantity { expected, units: &SIZES, takes_numbers: true };
    deserializer.deserialize_any(sizes).map(Some)
}

/// Reads `15m`, `90s`, `2h` or a plain number of seconds.
pub(super) fn duration_seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<u64, D::Error> {
    let expected = "a duration such as \"15m\" or a number of seconds";
    deserializer.deserialize_any(Quantity { expected, units: &DURATIONS, takes_numbers: true })
}

/// As [`duration_seconds`], for a key that may be absent.
pub(super) fn optional_duration_seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    duration_seconds(deserializer).map(Some)
}

struct Quantity {
    expected: &'static str,
    units: &'static [(&'static str, u64)],
    /// Whether a number without a unit is one of the smallest unit.
    takes_numbers: bool,
}

impl Visitor<'_> for Quantity {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
        if !self.takes_numbers {
            return Err(E::invalid_value(de::Unexpected::Signed(number), &self));
        }
        u64::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        if self.takes_numbers {
            return Ok(number);
        }
        Err(E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        read(text, self.units).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// A whole number and a unit, with or without a space between.
fn read(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read_as_people_write_them() {
        assert_eq!(read("1 GiB", &SIZES), Some(1 << 30));
        assert_eq!(read("512MiB", &SIZES), Some(512 << 20));
        assert_eq!(read("64 kB", &SIZES), Some(64_000));
        assert_eq!(read("15m", &DURATIONS), Some(900));
        assert_eq!(read("2 h", &DURATIONS), Some(7200));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "GiB", "1", "1 gib", "-1 B", "1.5 GiB", "1  GiB", "99999999999 TiB"] {
            assert_eq!(read(text, &SIZES), None, "{text}");
        }
        assert_eq!(read("15 minutes", &DURATIONS), None);
    }
}
