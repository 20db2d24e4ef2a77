//! What stands in the columns of one record.

use crate::bench::{Deviation, Figure, Number, Repeatable, RunRecord, SeriesRecord, Status};
use crate::recipe::Value;

/// A figure that is not there because there is nothing to measure.
const NOTHING: &str = "-";

/// What nobody measured although there was something.
const NOT_MEASURED: &str = "not measured";

/// The cells of one record, in the order of the table's columns.
pub(super) fn cells(record: &RunRecord) -> Vec<String> {
    let ok = record.status == Status::Ok;
    let nothing = || NOTHING.to_owned();
    let series = record.series.get(&record.progress).filter(|_| ok);
    let started = record.exit.is_some();
    vec![
        record.label(),
        status(&record.status).to_owned(),
        record.final_result.as_ref().filter(|_| ok).map_or_else(nothing, as_printed),
        record.throughput.as_ref().filter(|_| ok).map_or_else(nothing, readable),
        series.map_or_else(|| missing(record, ok), |series| series.used.to_string()),
        series.map_or_else(nothing, spread),
        record.duration.map_or_else(nothing, duration),
        match record.peak_memory {
            Some(bytes) => memory(bytes),
            None if started => NOT_MEASURED.to_owned(),
            None => nothing(),
        },
        repeated(&record.repeatable).to_owned(),
    ]
}

/// What stands for the steps of a series that is not there.
fn missing(record: &RunRecord, ok: bool) -> String {
    let not_measured = ok && record.not_measured.contains(&record.progress);
    if not_measured { NOT_MEASURED } else { NOTHING }.to_owned()
}

fn spread(series: &SeriesRecord) -> String {
    if series.running_mean {
        return "running mean".to_owned();
    }
    series.spread().map_or(NOTHING.to_owned(), percent)
}

fn status(status: &Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Failed(_) => "failed",
        Status::Skipped(_) => "skipped",
    }
}

fn repeated(repeatable: &Repeatable) -> &'static str {
    match repeatable {
        Repeatable::SameAs { .. } => "same as before",
        Repeatable::Differs { .. } => "differs",
        Repeatable::NothingToCompare => NOTHING,
    }
}

/// The digits of the guide's own script.
fn as_printed(figure: &Figure) -> String {
    with_unit(figure.value.map(Number::repr), figure)
}

/// Four significant digits: more than any two runs agree in.
fn readable(figure: &Figure) -> String {
    with_unit(figure.value.map(|value| significant(value.as_f64())), figure)
}

fn with_unit(value: Option<String>, figure: &Figure) -> String {
    let Some(value) = value else {
        return if figure.arrival { NOT_MEASURED } else { NOTHING }.to_owned();
    };
    let unit = if figure.unit.is_empty() { String::new() } else { format!(" {}", figure.unit) };
    let source = if figure.arrival { " (arrival)" } else { "" };
    format!("{value}{unit}{source}")
}

fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let before_point = value.abs().log10().floor() as i32 + 1;
    let decimals = usize::try_from((4 - before_point).clamp(0, 12)).unwrap_or(0);
    format!("{value:.decimals$}")
}

fn percent(part: f64) -> String {
    format!("± {:.1} %", part * 100.0)
}

pub(super) fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    match hours {
        0 => format!("{minutes} min {seconds:02} s"),
        _ => format!("{hours} h {minutes:02} min"),
    }
}

pub(super) fn memory(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 {
        format!("{mebibytes:.0} MiB")
    } else {
        format!("{:.1} GiB", mebibytes / 1024.0)
    }
}

/// `batch_size set to 18, the recipe says 14`.
pub(super) fn deviation(deviation: &Deviation) -> String {
    let values: Vec<String> = deviation.recipe.iter().map(value).collect();
    let (name, used) = (&deviation.name, value(&deviation.used));
    format!("{name} set to {used}, the recipe says {}", values.join(", "))
}

fn value(value: &Value) -> String {
    match value {
        Value::Integer(whole) => whole.to_string(),
        Value::Float(fraction) => Number::Float(*fraction).repr(),
        Value::Text(text) => format!("`{text}`"),
    }
}
