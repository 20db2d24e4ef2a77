//! A figure over the repetitions of a case.

use super::frame::{Axis, Frame, Sign, Words};
use super::scale::Scale;
use crate::report::model::Summary;
use crate::report::words::{plus_minus, significant, with_unit};

/// One dot a repetition, with the mean; absent for less than two.
pub(in crate::report) fn plot(
    id: &str,
    name: &str,
    unit: &str,
    values: &[(usize, f64)],
) -> Option<String> {
    let numbers: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    let summary = Summary::of(&numbers).filter(|summary| summary.count > 1)?;
    let last = values.iter().map(|(number, _)| *number).max()? as f64;
    let x = Scale::between(0.5, last + 0.5);
    let y = Scale::of(numbers.iter().copied())?.padded(0.3).not_exaggerated();
    let in_unit = if unit.is_empty() { String::new() } else { format!(" in {unit}") };
    let mut frame = Frame::new(
        Axis::new(x, "repetition", (last as usize).min(8)).whole(),
        Axis::new(y, format!("{name}{in_unit}"), 3),
    );
    frame.level("median", x.low(), x.high(), summary.mean);
    for (number, value) in values {
        let says = format!("repetition {number}: {}", with_unit(&significant(*value), unit));
        frame.dot("dot", *number as f64, *value, &says);
    }
    let spread = summary.variation.map_or(String::new(), |part| format!(", {}", plus_minus(part)));
    let says = format!(
        "mean of {}: {}{spread}",
        summary.count,
        with_unit(&significant(summary.mean), unit)
    );
    frame.key(Sign::Median, says.as_str());
    let title = format!("{name} of each repetition");
    Some(frame.finish(&Words { id, title: &title, description: &says }, "half"))
}
