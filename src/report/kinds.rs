//! What the values of a series are: figures worth a plot, or only marks of where a run was.
//!
//! A log rule takes counters and clock times like everything else, since formulas need them, and no
//! record tells them apart; a curve of them, or an interval of their mean, says nothing. So it is
//! decided from the values, and only where that is safe: what in doubt may be a figure is one.

use super::numbers;
use crate::bench::{Number, RunRecord, SeriesRecord, number_of};

/// The kind of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Measured values, one a step.
    Figure,
    /// Whole numbers that go up step by step: iterations, epochs.
    Counter,
    /// The same value always.
    Constant,
    /// One value, or none.
    Single,
    /// Dates or times of day.
    Time,
    /// At least one value that is no number.
    Text,
}

impl Kind {
    /// Its word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Figure => "figure",
            Self::Counter => "counter",
            Self::Constant => "constant",
            Self::Single => "single",
            Self::Time => "time",
            Self::Text => "text",
        }
    }
}

/// The kind of the series `name`; absent if the record has none of this name.
pub(super) fn of(record: &RunRecord, name: &str) -> Option<Kind> {
    let series = record.series.get(name)?;
    let Some(values) = numbers::of(&series.values) else {
        let is_time = |text: &String| Number::parse(text).is_none() && number_of(text).is_some();
        return Some(if series.values.iter().all(is_time) { Kind::Time } else { Kind::Text });
    };
    Some(match values.as_slice() {
        [] | [_] => Kind::Single,
        _ if is_measured(record, name, series) => Kind::Figure,
        [first, rest @ ..] if rest.iter().all(|value| value == first) => Kind::Constant,
        values if are_whole(&series.values) && counts(values) => Kind::Counter,
        _ => Kind::Figure,
    })
}

/// Why the series has no plot, with what there is to say of it; absent where it has one.
pub(super) fn instead_of_plot(record: &RunRecord, name: &str) -> Option<String> {
    let values = &record.series.get(name)?.values;
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return Some("no value".to_owned());
    };
    let largest = || numbers::of(values).into_iter().flatten().fold(0.0, f64::max);
    Some(match of(record, name)? {
        Kind::Figure => return None,
        Kind::Counter => format!("counts from {first} to {}", largest()),
        Kind::Constant => format!("always {first}"),
        Kind::Time if values.len() > 1 => format!("clock times, {first} to {last}"),
        Kind::Time => format!("a clock time, {first}"),
        Kind::Single => format!("one value, {first}"),
        Kind::Text => "not all of its values are numbers".to_owned(),
    })
}

/// Whether the recipe takes it for a figure: it says how steady a run is, or a metric is its mean.
fn is_measured(record: &RunRecord, name: &str, series: &SeriesRecord) -> bool {
    let means = ["mean", "median"].map(|function| format!("{function}({name})"));
    let has_mean = record
        .metrics
        .iter()
        .any(|figure| means.iter().any(|mean| figure.formula.contains(mean.as_str())));
    name == record.progress || series.arrival || series.running_mean || has_mean
}

fn are_whole(texts: &[String]) -> bool {
    let is_whole = |text: &String| {
        let text = text.trim();
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    texts.iter().all(is_whole)
}

/// Whether values go up by one stride, the last of a round by less, and each round begins like the
/// first one, at most a stride above zero.
fn counts(values: &[f64]) -> bool {
    let Some(first) = values.first() else { return false };
    let changes = || values.windows(2).map(|pair| (pair[1] - pair[0], pair[1]));
    let stride = changes().map(|(change, _)| change).fold(0.0, f64::max);
    let rounds = 1 + changes().filter(|(change, _)| *change < 0.0).count();
    let shorter = changes().filter(|(change, _)| *change > 0.0 && *change < stride).count();
    let begins_again = changes().all(|(change, value)| change >= 0.0 || value == *first);
    *first <= stride && begins_again && shorter <= rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_up_by_a_stride_from_the_beginning_counts() {
        let counters: [&[f64]; 6] = [
            &[0.0, 1.0, 2.0, 3.0],
            &[19.0, 39.0, 44.0],
            &[1.0, 3.0, 5.0, 1.0, 3.0, 5.0],
            &[1.0, 1.0, 2.0, 2.0, 3.0, 3.0],
            &[1.0, 2.0],
            &[10.0, 20.0, 25.0, 10.0, 20.0, 25.0],
        ];
        for values in counters {
            assert!(counts(values), "{values:?}");
        }
    }

    #[test]
    fn whole_numbers_that_may_be_measured_do_not_count() {
        let figures: [&[f64]; 6] = [
            &[45.0, 52.0, 58.0],
            &[120.0, 121.0, 121.0, 122.0],
            &[3.0, 5.0, 4.0, 6.0],
            &[9.0, 8.0, 7.0],
            &[0.0, 10.0, 12.0, 19.0, 20.0],
            &[1.0, 3.0, 2.0, 4.0],
        ];
        for values in figures {
            assert!(!counts(values), "{values:?}");
        }
    }

    #[test]
    fn only_digits_are_whole_numbers() {
        let are_whole = |texts: &[&str]| {
            super::are_whole(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
        };
        assert!(are_whole(&["0", "12 "]));
        for texts in [&["1.0", "2.0"][..], &["-1", "0"], &["1e3"], &[""]] {
            assert!(!are_whole(texts), "{texts:?}");
        }
    }
}
