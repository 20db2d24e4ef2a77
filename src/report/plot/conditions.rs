//! What the machine did while a case ran, one panel a quantity.

use super::envelope;
use super::frame::{Axis, Frame, Sign, Words};
use super::scale::Scale;
use crate::conditions::{Flag, FlagKind};
use crate::report::samples::{Panel, Samples};
use crate::report::words::{flag, significant, with_unit};

/// So many samples are drawn each by itself.
const POINTS: usize = 240;

/// Lines of one panel are told apart by their strokes.
const STROKES: [Sign; 3] = [Sign::Line, Sign::Dashed, Sign::Dotted];

/// The panel with the spans of `flags`; absent if nothing in it was measured.
pub(in crate::report) fn plot(
    id: &str,
    samples: &Samples,
    panel: &Panel,
    flags: &[Flag],
) -> Option<String> {
    let values = panel.lines.iter().flat_map(|line| line.values.iter().flatten());
    let values = Scale::of(values.map(|value| value / panel.divisor))?;
    let x = Scale::of(samples.seconds.iter().copied())?;
    let y = if panel.from_zero { values.with_zero() } else { values };
    let y = y.padded(0.08).not_below_zero(values.low());
    let mut frame =
        Frame::new(Axis::new(x, "seconds since the start", 4), Axis::new(y, panel.unit, 3));
    for one in flags {
        let says = format!("{}: {}", flag(one.kind), one.text);
        let sign = match one.kind {
            FlagKind::Throttled => Sign::Throttled,
            _ => Sign::Disturbed,
        };
        frame.span(sign.name(), one.from, one.to.max(one.from), &says);
        frame.key(sign, flag(one.kind));
    }
    for (line, sign) in panel.lines.iter().zip(STROKES.into_iter().cycle()) {
        draw(&mut frame, samples, line.values, panel.divisor, sign);
        if panel.lines.len() > 1 {
            frame.key(sign, line.label.as_str());
        }
    }
    let description = describe(panel);
    Some(frame.finish(&Words { id, title: panel.title, description: &description }, "panel"))
}

/// Where samples are missing the line has a gap; more samples than fit become their means.
fn draw(frame: &mut Frame, samples: &Samples, values: &[Option<f64>], divisor: f64, sign: Sign) {
    let points = samples.seconds.iter().zip(values);
    if values.len() <= POINTS || values.iter().any(Option::is_none) {
        let point = |(at, value): (&f64, &Option<f64>)| value.map(|value| (*at, value / divisor));
        return frame.line(sign.name(), points.map(point));
    }
    let known: Vec<f64> = values.iter().flatten().map(|value| value / divisor).collect();
    let buckets = envelope::buckets(&known, POINTS);
    let place = |at: f64| samples.seconds[(at as usize).min(samples.seconds.len() - 1)];
    let ends: Vec<_> =
        buckets.iter().map(|bucket| (place(bucket.at), bucket.low, bucket.high)).collect();
    frame.area("extremes", &ends);
    frame.line(sign.name(), buckets.iter().map(|bucket| Some((place(bucket.at), bucket.mean))));
}

fn describe(panel: &Panel) -> String {
    let each = panel.lines.iter().filter_map(|line| {
        let known: Vec<f64> =
            line.values.iter().flatten().map(|value| value / panel.divisor).collect();
        if known.is_empty() {
            return None;
        }
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let (low, high) =
            known.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(*value), high.max(*value))
            });
        Some(format!(
            "{}: {} to {}, mean {}",
            line.label,
            significant(low),
            with_unit(&significant(high), panel.unit),
            with_unit(&significant(mean), panel.unit)
        ))
    });
    each.collect::<Vec<_>>().join("; ")
}
