//! How the used values of a series are distributed.

use super::frame::{Axis, Frame, Sign, Words};
use super::scale::Scale;
use super::steps::Steps;
use crate::report::words::{count, significant, with_unit};
use crate::stats::{self, Histogram};

/// The fewest values that have a distribution worth a plot.
const FEWEST: usize = 5;

/// Bars of equal width; absent for too few values.
pub(in crate::report) fn plot(steps: &Steps) -> Option<String> {
    let used = steps.values.get(steps.series.skipped..).filter(|used| used.len() >= FEWEST)?;
    let bars = stats::histogram(used, bars(used)).filter(|bars| bars.high > bars.low)?;
    let most = bars.counts.iter().copied().max()?;
    let mut frame = Frame::new(
        Axis::new(Scale::between(bars.low, bars.high), steps.axis(), 4),
        Axis::new(Scale::between(0.0, most as f64 * 1.08), "steps", 3.min(most)).whole(),
    );
    let unit = steps.unit.unwrap_or_default();
    for (index, number) in bars.counts.iter().enumerate().filter(|(_, number)| **number > 0) {
        let (from, to) = ends(&bars, index);
        let says = format!("{}: {}", range(from, to, unit), count(*number, "step", "steps"));
        frame.rectangle("bar", (from, to), (0.0, *number as f64), &says);
    }
    if let Some(median) = steps.series.median {
        frame.plumb("median", median, "");
        frame.key(Sign::Median, format!("median {}", steps.written(median)));
    }
    let title = format!("Distribution of {}", steps.name);
    let id = format!("{}h", steps.id);
    let words = Words { id: &id, title: &title, description: &description(&bars, unit) };
    Some(frame.finish(&words, "half"))
}

/// As many bars as Freedman and Diaconis advise, but not too many for the page.
fn bars(used: &[f64]) -> usize {
    let mut sorted = used.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quartile = |part: f64| stats::quantile(&sorted, part).unwrap_or(0.0);
    let width = 2.0 * (quartile(0.75) - quartile(0.25)) / (used.len() as f64).cbrt();
    let range = quartile(1.0) - quartile(0.0);
    let advised = if width > 0.0 { (range / width).ceil() } else { 10.0 };
    advised.clamp(5.0, 40.0) as usize
}

/// Where a bar begins and ends.
fn ends(bars: &Histogram, index: usize) -> (f64, f64) {
    let from = bars.low + bars.width() * index as f64;
    (from, from + bars.width())
}

fn range(from: f64, to: f64, unit: &str) -> String {
    format!("{} to {}", significant(from), with_unit(&significant(to), unit))
}

fn description(bars: &Histogram, unit: &str) -> String {
    let fullest = bars.counts.iter().enumerate().max_by_key(|(_, number)| **number);
    let (index, number) = fullest.map_or((0, 0), |(index, number)| (index, *number));
    let (from, to) = ends(bars, index);
    format!(
        "{} between {} and {} in {} bars; the fullest has {number}, from {}.",
        count(bars.counts.iter().sum(), "step", "steps"),
        significant(bars.low),
        with_unit(&significant(bars.high), unit),
        bars.counts.len(),
        range(from, to, unit),
    )
}
