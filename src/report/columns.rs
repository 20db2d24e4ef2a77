//! What stands in the columns of one case.

use super::model::{Case, progress};
use super::table::{Align, Column};
use super::words::{self, NOT_MEASURED, NOTHING};
use super::{numbers, spark};
use crate::bench::{Figure, RunRecord, SeriesRecord, Status};

/// Columns that a narrow terminal does without go in the order of `rank`, the highest first; 0 stays.
pub(super) const COLUMNS: [Column; 13] = [
    column("case", Align::Left, 0),
    column("status", Align::Left, 0),
    column("FINAL_RESULT", Align::Right, 2),
    column("throughput", Align::Right, 0),
    column("published", Align::Right, 1).only_if_used(),
    column("verdict", Align::Left, 0),
    column("steps", Align::Right, 4),
    column("spread", Align::Right, 0),
    column("over steps", Align::Left, 3).only_if_used(),
    column("flags", Align::Left, 0).only_if_used(),
    column("time", Align::Right, 5),
    column("memory", Align::Right, 7),
    column("repeated", Align::Left, 6),
];

const fn column(name: &'static str, align: Align, rank: u8) -> Column {
    Column { name, align, rank, only_if_used: false }
}

/// Characters of a sparkline.
const SPARK: usize = 12;

/// The cells of one case, in the order of the columns.
pub(super) fn cells(case: &Case) -> Vec<String> {
    let record = case.shown();
    let ok = record.status == Status::Ok;
    let nothing = || NOTHING.to_owned();
    let series = progress(record).filter(|_| ok);
    let or_nothing = |words: Vec<&str>| if words.is_empty() { nothing() } else { words.join(", ") };
    vec![
        case.name().to_owned(),
        case.status(),
        figure(case, |record| record.final_result.as_ref(), words::as_printed_shortly),
        figure(case, |record| record.throughput.as_ref(), words::readable),
        published(record),
        case.verdict().filter(|_| ok).unwrap_or_else(nothing),
        series.map_or_else(|| missing(record, ok), |series| series.used.to_string()),
        series.map_or_else(nothing, |series| spread(case, series)),
        series.map_or_else(nothing, sparkline),
        or_nothing(case.flags()),
        case.mean(|record| record.duration).map_or_else(nothing, words::duration),
        memory(case),
        words::repeated(&record.repeatable).to_owned(),
    ]
}

/// The figure of the only repetition as `written`, or the mean of several.
pub(super) fn figure(
    case: &Case,
    of: fn(&RunRecord) -> Option<&Figure>,
    written: fn(&Figure) -> String,
) -> String {
    let record = case.shown();
    let Some(figure) = of(record).filter(|_| record.status == Status::Ok) else {
        return NOTHING.to_owned();
    };
    match case.summary(of) {
        Some(summary) if summary.count > 1 => {
            words::with_unit(&words::significant(summary.mean), &figure.unit)
        }
        _ => written(figure),
    }
}

/// What the guide publishes for the figure that the verdict is about.
pub(super) fn published(record: &RunRecord) -> String {
    let published = super::model::comparison(record).map(|comparison| &comparison.published);
    let published = published.or(record.published.first());
    published.map_or(NOTHING.to_owned(), |published| {
        words::with_unit(&words::significant(published.value), &published.unit)
    })
}

/// Between repetitions where there are several, else between steps.
pub(super) fn spread(case: &Case, series: &SeriesRecord) -> String {
    let repeats = case.summary(|record| record.throughput.as_ref());
    match repeats.and_then(|summary| Some((summary.variation?, summary.count))) {
        Some((variation, count)) => format!("{} over {count}", words::plus_minus(variation)),
        None => words::spread(series),
    }
}

fn sparkline(series: &SeriesRecord) -> String {
    if series.running_mean {
        return NOTHING.to_owned();
    }
    let used = numbers::of(&series.values[series.skipped.min(series.values.len())..]);
    let text = used.map_or(String::new(), |used| spark::blocks(&used, SPARK));
    if text.is_empty() { NOTHING.to_owned() } else { text }
}

/// What stands for the steps of a series that is not there.
fn missing(record: &RunRecord, ok: bool) -> String {
    let not_measured = ok && record.not_measured.contains(&record.progress);
    if not_measured { NOT_MEASURED } else { NOTHING }.to_owned()
}

fn memory(case: &Case) -> String {
    match case.memory() {
        Some(memory) => words::peak(memory),
        None if case.shown().exit.is_some() => NOT_MEASURED.to_owned(),
        None => NOTHING.to_owned(),
    }
}
