//! What was measured beside what the guide published.

use super::frame::{Axis, Frame, Sign, Words};
use super::scale::Scale;
use crate::bench::Comparison;
use crate::report::words::{self, significant, with_unit};

/// One published figure: a bar for what was measured, a mark with the tolerance for what was published.
///
/// Absent where nothing was measured.
pub(in crate::report) fn plot(id: &str, comparison: &Comparison) -> Option<String> {
    let published = &comparison.published;
    let measured = comparison.measured.map(|number| number.as_f64())?;
    let band = words::tolerance(published).map(|part| {
        let room = published.value.abs() * part;
        (published.value - room, published.value + room)
    });
    let largest = band.map_or(published.value, |(_, high)| high).max(measured);
    let x = Scale::of([0.0, largest, published.value, measured])?.padded(0.06).not_below_zero(0.0);
    let mut frame = Frame::new(
        Axis::new(x, with_unit(&published.metric, &format!("in {}", published.unit)), 5),
        Axis::new(Scale::between(0.0, 1.0), "", 0),
    );
    if let (Some((low, high)), Some(part)) = (band, words::tolerance(published)) {
        let says = format!(
            "tolerance {}: {} to {}",
            words::plus_minus(part),
            significant(low),
            significant(high)
        );
        frame.rectangle("band", (low, high), (0.0, 1.0), &says);
        frame.key(Sign::Band, says);
    }
    let written = |value: f64| with_unit(&significant(value), &published.unit);
    let (ours, theirs) = (
        format!("measured {}", written(measured)),
        format!("published {}", written(published.value)),
    );
    frame.rectangle("bar", (0.0, measured), (0.28, 0.72), &ours);
    frame.plumb("published", published.value, &theirs);
    frame.key(Sign::Measured, ours.as_str());
    frame.key(Sign::Published, theirs.as_str());
    let title = format!("{}: {}", published.metric, words::verdict(comparison));
    let description = format!("{ours}, {theirs}; verdict: {}.", words::verdict(comparison));
    Some(frame.finish(&Words { id, title: &title, description: &description }, "low"))
}
