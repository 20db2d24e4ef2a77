//! What was measured beside what the guide published.

use super::frame::{Axis, Frame, Sign, Words};
use super::scale::Scale;
use crate::bench::Comparison;
use crate::recipe::Published;
use crate::report::words::{self, significant, with_unit};

/// One published figure: a bar for what was measured, a mark with the tolerance for what was published.
///
/// Absent where nothing was measured.
pub(in crate::report) fn plot(id: &str, comparison: &Comparison) -> Option<String> {
    let published = &comparison.published;
    let measured = comparison.measured?.as_f64();
    let band = band(published);
    let ends = band.into_iter().flat_map(|(low, high)| [low, high]);
    let x = Scale::of([0.0, published.value, measured].into_iter().chain(ends))?;
    let x = x.padded(0.06).not_below_zero(x.low());
    let mut frame = Frame::new(
        Axis::new(x, with_unit(&published.metric, &format!("in {}", published.unit)), 5),
        Axis::new(Scale::between(0.0, 1.0), "", 0),
    );
    let written = |value: f64| with_unit(&significant(value), &published.unit);
    if let Some((low, high)) = band {
        let end = |value: f64| if value.is_finite() { written(value) } else { "open".to_owned() };
        let says = format!("tolerance {}", words::tolerance(published));
        let tip = format!("{says}: {} to {}", end(low), end(high));
        frame.rectangle("band", (low, high), (0.0, 1.0), &tip);
        frame.key(Sign::Band, says);
    }
    let ours = format!("measured {}", written(measured));
    let theirs = format!("published {}", written(published.value));
    frame.rectangle("bar", (0.0, measured), (0.28, 0.72), &ours);
    frame.plumb("published", published.value, &theirs);
    frame.key(Sign::Measured, ours.as_str());
    frame.key(Sign::Published, theirs.as_str());
    let verdict = words::verdict(&comparison.verdict);
    let title = format!("{}: {verdict}", published.metric);
    let description = format!("{ours}, {theirs}; verdict: {verdict}.");
    Some(frame.finish(&Words { id, title: &title, description: &description }, "low"))
}

/// Between which values a measured figure is within the tolerance; an open end is infinite.
fn band(published: &Published) -> Option<(f64, f64)> {
    Some(published.tolerance?.range(published.value))
}
