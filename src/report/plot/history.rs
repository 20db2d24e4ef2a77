//! The throughput of a case over runs.

use super::frame::{Axis, Frame, Sign, Words};
use super::scale::Scale;
use crate::report::history::{History, Point};
use crate::report::words::{self, count, significant, with_unit};
use crate::stats;

/// So many runs of a kind are named in the words of the plot.
const TOLD: usize = 12;

/// One dot a run, a line a level, and signs where a number may be spoilt or something else changed.
pub(in crate::report) fn plot(history: &History) -> Option<String> {
    let values = history.values();
    let (name, unit) = history.figure();
    let in_unit = if unit.is_empty() { String::new() } else { format!(" in {unit}") };
    let x = Scale::between(0.5, values.len() as f64 + 0.5);
    let y = Scale::of(values.iter().copied())?.padded(0.2);
    let mut frame = Frame::new(
        Axis::new(x, "run, oldest to newest", values.len().min(8)).whole(),
        Axis::new(y, format!("{name}{in_unit}"), 4),
    );
    frame.line(
        "line",
        values.iter().enumerate().map(|(index, value)| Some((index as f64 + 1.0, *value))),
    );
    frame.key(Sign::Line, format!("{name} of a run"));
    levels(&mut frame, history, &values);
    for (index, point) in history.points.iter().enumerate() {
        let x = index as f64 + 1.0;
        signs(&mut frame, point, x, y.low());
        let says = says(point, unit);
        frame.dot("dot", x, point.summary.mean, &says);
        if !point.flags.is_empty() {
            frame.sign(Sign::Flagged, x, point.summary.mean, &says);
            frame.key(Sign::Flagged, "disturbed, throttled or the like");
        }
    }
    let words =
        Words { id: "history", title: &history.title(), description: &description(history) };
    Some(frame.finish(&words, "tall"))
}

/// The median of each level.
fn levels(frame: &mut Frame, history: &History, values: &[f64]) {
    let starts = history.points.iter().enumerate().filter(|(_, point)| point.level.is_some());
    let ends = [0].into_iter().chain(starts.map(|(index, _)| index)).chain([values.len()]);
    let ends: Vec<usize> = ends.collect();
    for pair in ends.windows(2) {
        if let Some(median) = stats::median(&values[pair[0]..pair[1]]) {
            frame.level("median", pair[0] as f64 + 0.5, pair[1] as f64 + 0.5, median);
        }
    }
    frame.key(Sign::Median, "median of a level");
}

/// Time, run, figure, and what would spoil it.
fn says(point: &Point, unit: &str) -> String {
    let (start, run) = (words::moment(&point.record.start), &point.record.run);
    let value = with_unit(&significant(point.summary.mean), unit);
    let flags = point.flags().map_or(String::new(), |flags| format!("; {flags}"));
    format!("{start}, {run}: {value}{flags}")
}

/// What changed, at the foot of the plot: one above the other, so that none hides another.
fn signs(frame: &mut Frame, point: &Point, x: f64, low: f64) {
    if let Some(part) = point.level {
        frame.plumb("drift", x - 0.5, &format!("new level, {}", words::change(part)));
        frame.key(Sign::Drift, "a new level begins");
    }
    let says = point.changes().unwrap_or_default();
    if point.other_seal {
        frame.sign(Sign::Seal, x, low, &says);
        frame.key(Sign::Seal, "another image");
    }
    if !point.other_setup.is_empty() {
        frame.sign(Sign::Setup, x, low, &says);
        frame.key(Sign::Setup, "another engine, recipe or lock");
    }
    if !point.other_host.is_empty() {
        frame.sign(Sign::Host, x, low, &says);
        frame.key(Sign::Host, "another machine");
    }
}

fn description(history: &History) -> String {
    let values = history.values();
    let (name, unit) = history.figure();
    let (low, high) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
    format!(
        "{name} of {}: {} to {}; {}; {}; {}.",
        count(values.len(), "run", "runs"),
        significant(low),
        with_unit(&significant(high), unit),
        told("change of level", "changes of level", history, |point| point
            .level
            .map(words::change)),
        told("run with flags", "runs with flags", history, |point| point.flags()),
        told(
            "change of inputs, engine or machine",
            "changes of inputs, engine or machine",
            history,
            |point| point.changes()
        ),
    )
}

/// `2 runs with flags: throttled at RUN, disturbed at RUN`; the table has what is too many.
fn told(
    one: &str,
    many: &str,
    history: &History,
    what: impl Fn(&Point) -> Option<String>,
) -> String {
    let points = history.points.iter();
    let mut told: Vec<String> = points
        .filter_map(|point| Some(format!("{} at {}", what(point)?, point.record.run)))
        .collect();
    let all = count(told.len(), one, many);
    if told.is_empty() {
        return all;
    }
    if told.len() > TOLD {
        let more = told.len() - TOLD;
        told.truncate(TOLD);
        told.push(format!("and {more} more"));
    }
    format!("{all}: {}", told.join(", "))
}
