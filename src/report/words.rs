//! How figures, times and sizes are written for a reader.

use super::model::Memory;
use crate::bench::{
    Deviation, Figure, Number, Repeatable, RunRecord, SeriesRecord, Status, Verdict,
};
use crate::conditions::FlagKind;
use crate::recipe::{Published, Value};

/// A figure that is not there because there is nothing to measure.
pub(super) const NOTHING: &str = "-";

/// What nobody measured although there was something.
pub(super) const NOT_MEASURED: &str = "not measured";

/// How a record's case ended, in one or two words.
pub(super) fn status(record: &RunRecord) -> &'static str {
    match &record.status {
        Status::Ok => "ok",
        Status::Failed(_) if record.expected_failure.is_some() => "failed as expected",
        Status::Failed(_) => "failed",
        Status::Skipped(_) => "skipped",
    }
}

/// The verdict's word, the same in every output.
pub(super) fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Within => "within",
        Verdict::Above => "above",
        Verdict::Below => "below",
        Verdict::NotComparable(_) => "not comparable",
    }
}

/// What would spoil the number, in one or two words.
pub(super) fn flag(kind: FlagKind) -> &'static str {
    match kind {
        FlagKind::Throttled => "throttled",
        FlagKind::Disturbed => "disturbed",
        FlagKind::MemoryPressure => "memory pressure",
        FlagKind::DiskPressure => "disk pressure",
        FlagKind::DiskFull => "disk full",
    }
}

/// Whether the losses repeat an earlier run's.
pub(super) fn repeated(repeatable: &Repeatable) -> &'static str {
    match repeatable {
        Repeatable::SameAs { .. } => "same as before",
        Repeatable::Differs { .. } => "differs",
        Repeatable::NothingToCompare => NOTHING,
    }
}

/// The digits of the guide's own script.
pub(super) fn as_printed(figure: &Figure) -> String {
    with_source(figure.value.map(Number::repr), figure)
}

/// The same where there is room for few digits.
pub(super) fn as_printed_shortly(figure: &Figure) -> String {
    with_source(figure.value.map(short), figure)
}

/// Four significant digits: more than any two runs agree in.
pub(super) fn readable(figure: &Figure) -> String {
    with_source(figure.value.map(|value| significant(value.as_f64())), figure)
}

fn with_source(value: Option<String>, figure: &Figure) -> String {
    let Some(value) = value else {
        return if figure.arrival { NOT_MEASURED } else { NOTHING }.to_owned();
    };
    let source = if figure.arrival { " (arrival)" } else { "" };
    format!("{}{source}", with_unit(&value, &figure.unit))
}

/// `3.925 images/s`; a plain number has no unit.
pub(super) fn with_unit(value: &str, unit: &str) -> String {
    if unit.is_empty() { value.to_owned() } else { format!("{value} {unit}") }
}

/// `time in s`; a plain number has no unit, and nobody knows that of what only a log names.
pub(super) fn series(name: &str, unit: Option<&str>) -> String {
    match unit {
        None => format!("{name} (as logged)"),
        Some("") => name.to_owned(),
        Some(unit) => format!("{name} in {unit}"),
    }
}

/// A number with four significant digits, without an exponent where a reader needs none.
pub(super) fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let before_point = value.abs().log10().floor() as i32 + 1;
    if !(-5..=15).contains(&before_point) {
        return format!("{value:.3e}");
    }
    let decimals = usize::try_from((4 - before_point).max(0)).unwrap_or(0);
    format!("{value:.decimals$}")
}

/// The digits that a program printed, if they are few; else four significant ones.
pub(super) fn short(number: Number) -> String {
    const FEW: usize = 8;
    let printed = number.repr();
    if printed.len() <= FEW { printed } else { significant(number.as_f64()) }
}

/// The spread of a series as a part of its mean.
pub(super) fn spread(series: &SeriesRecord) -> String {
    if series.running_mean {
        return "running mean".to_owned();
    }
    series.spread().map_or(NOTHING.to_owned(), plus_minus)
}

/// `± 1.2 %`
pub(super) fn plus_minus(part: f64) -> String {
    format!("± {:.1} %", part * 100.0)
}

/// `± 7 %`; `-` where nobody says.
pub(super) fn tolerance(published: &Published) -> String {
    published.tolerance.map_or(NOTHING.to_owned(), |tolerance| tolerance.to_string())
}

/// `+4.2 %`, `−0.3 %`
pub(super) fn change(part: f64) -> String {
    let sign = if part < 0.0 { '\u{2212}' } else { '+' };
    format!("{sign}{:.1} %", part.abs() * 100.0)
}

/// `12.5 s`, `7 h 14 min`
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

/// `512 MiB`, `1.8 GiB`: binary units, as memory is sold.
pub fn memory(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 {
        format!("{mebibytes:.0} MiB")
    } else {
        format!("{:.1} GiB", mebibytes / 1024.0)
    }
}

/// `512 MiB` of a job's own memory, `1.8 GiB with cache` of a record that knows no other.
pub(super) fn peak(peak: Memory) -> String {
    match peak {
        Memory::Job(bytes) => memory(bytes),
        Memory::WithCache(bytes) => format!("{} with cache", memory(bytes)),
    }
}

/// `2026-11-22 03:11 UTC` of a time as records have it.
pub(super) fn moment(start: &str) -> String {
    match (start.get(..10), start.get(11..16), start.get(10..11)) {
        (Some(day), Some(time), Some("T")) if start.ends_with('Z') => format!("{day} {time} UTC"),
        _ => start.to_owned(),
    }
}

/// `1 step`, `3 steps`
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {many}", thousands(number)) }
}

/// `1,000,000`
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Which figures a case that ended well lacks, with the reasons in short: the record has them in full.
pub(super) fn absent(record: &RunRecord) -> Option<String> {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    let missing = record.metrics.iter().filter(|_| record.status == Status::Ok);
    // Of a log whose times nobody noted the table says so itself.
    let missing = missing.filter(|figure| !figure.arrival || record.not_measured.is_empty());
    for figure in missing.filter(|figure| figure.value.is_none()) {
        let reason = figure.reason.as_deref().unwrap_or("no reason is known");
        let (short, _) = reason.split_once(" (").unwrap_or((reason, ""));
        let name = format!("`{}`", figure.name);
        match reasons.iter_mut().find(|(known, _)| *known == short) {
            Some((_, names)) => names.push(name),
            None => reasons.push((short, vec![name])),
        }
    }
    let note = |(reason, names): &(&str, Vec<String>)| format!("{} ({reason})", names.join(", "));
    let notes: Vec<String> = reasons.iter().map(note).collect();
    (!notes.is_empty()).then(|| format!("has no {}", notes.join("; ")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_written_for_a_reader() {
        assert_eq!(duration(0.04), "0.0 s");
        assert_eq!(duration(59.94), "59.9 s");
        assert_eq!(duration(61.0), "1 min 01 s");
        assert_eq!(duration(26_053.0), "7 h 14 min");
        assert_eq!(memory(512 << 20), "512 MiB");
        assert_eq!(memory(1_986_422_374), "1.8 GiB");
        assert_eq!(moment("2026-11-22T03:11:46Z"), "2026-11-22 03:11 UTC");
        assert_eq!(moment("neulich"), "neulich");
        assert_eq!(count(1_000_000, "step", "steps"), "1,000,000 steps");
    }

    #[test]
    fn numbers_have_four_significant_digits() {
        let written = [0.0, 1.0, 3.925_417, 0.012_345, -98.765, 123_456.0, 1e-9, 2.5e20];
        let expected =
            ["0", "1.000", "3.925", "0.01235", "-98.77", "123456", "1.000e-9", "2.500e20"];
        assert_eq!(written.map(significant), expected);
        assert_eq!(significant(f64::NAN), "NaN");
        let short = [1.963, 1.406_166_666_666].map(|value| short(Number::Float(value)));
        assert_eq!(short, ["1.963", "1.406"]);
        assert_eq!([change(0.0423), change(-0.003)], ["+4.2 %", "\u{2212}0.3 %"]);
    }
}
