//! The throughput of each case of a run.

use super::frame::{Axis, Frame, Sign, Words};
use super::scale::Scale;
use crate::report::model::{Case, Run, Summary};
use crate::report::words::{plus_minus, significant, with_unit};

/// So many cases have room for their names.
const MOST: usize = 24;

/// One bar a case, from 0; absent for less than two cases, or where they count other things.
pub(in crate::report) fn plot(id: &str, run: &Run) -> Option<String> {
    let bar = |case: &'_ Case<'_>| -> Option<(String, Summary, bool)> {
        let summary = case.summary(|record| record.throughput.as_ref())?;
        Some((case.name().to_owned(), summary, !case.flags().is_empty()))
    };
    let bars: Vec<_> = run.cases.iter().filter_map(bar).take(MOST).collect();
    let figure = |case: &Case| case.shown().throughput.clone().filter(|it| it.value.is_some());
    let figures: Vec<_> = run.cases.iter().filter_map(figure).collect();
    let first = figures.first()?;
    let is_one_unit = figures.iter().all(|figure| figure.unit == first.unit);
    if bars.len() < 2 || !is_one_unit {
        return None;
    }
    let x = Scale::of(bars.iter().map(|(_, summary, _)| summary.mean).chain([0.0]))?;
    let x = x.padded(0.02).not_below_zero(x.low());
    let rows = bars.len() as f64;
    let title = with_unit(&first.name, &format!("in {}", first.unit));
    let mut frame = Frame::new(Axis::new(x, title, 5), Axis::new(Scale::between(0.0, rows), "", 0));
    let mut description = Vec::new();
    for (row, (name, summary, is_flagged)) in bars.iter().enumerate() {
        let low = rows - row as f64 - 1.0;
        let value = with_unit(&significant(summary.mean), &first.unit);
        let spread = summary.variation.map_or(String::new(), |part| {
            format!(" ({} over {})", plus_minus(part), summary.count)
        });
        let sign = if *is_flagged { "\u{26a0} " } else { "" };
        let says = format!("{sign}{name}: {value}{spread}");
        frame.rectangle("bar", (0.0, summary.mean), (low + 0.08, low + 0.5), &says);
        frame.label(low + 0.72, &says);
        description.push(says);
    }
    frame.key(Sign::Measured, "measured, from 0");
    let more = run.cases.len() - bars.len();
    let more = if more > 0 {
        format!(" ({more} without a figure or without room)")
    } else {
        String::new()
    };
    let title = format!("{} of each case{more}", first.name);
    let class = if bars.len() > 8 { "tall" } else { "" };
    Some(frame.finish(&Words { id, title: &title, description: &description.join("; ") }, class))
}
