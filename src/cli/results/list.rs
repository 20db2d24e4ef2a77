//! `repro results`: the list.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::context::Context;
use super::super::error::CliError;
use super::super::output;
use crate::report;
use crate::results::{Filter, Index, Pattern, Row, since, until};

/// What of the records is shown.
#[derive(Debug, Args)]
pub struct Selection {
    /// Only of this image: a name or glob, `NAME@DIGEST` for one seal
    #[arg(long, short, value_name = "IMAGE")]
    image: Vec<String>,
    /// Only these cases: names or globs
    #[arg(long, value_name = "CASE")]
    case: Vec<String>,
    /// Only of machines with this in their GPUs or processor
    #[arg(long, value_name = "TEXT")]
    host: Option<String>,
    /// Only of this profile
    #[arg(long, short, value_name = "PROFILE")]
    profile: Vec<String>,
    /// Only records that are `ok`, `failed` or `skipped`
    #[arg(long, value_name = "STATUS", value_parser = ["ok", "failed", "skipped"])]
    status: Vec<String>,
    /// Only what started then or later: a date, or a time in UTC
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
    /// Only what started before the end of this date, or before this time
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// Only so many records, the newest
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print comma-separated values
    #[arg(long)]
    csv: bool,
}

/// What stands before everything below the line of a run.
const INDENT: &str = "  ";

pub fn run(context: &Context, arguments: &Selection) -> Result<ExitCode, CliError> {
    let filter = filter(arguments)?;
    let store = context.store_to_read()?;
    let index = Index::current(&store, &[context.settings.results_folder().to_owned()])?;
    index.notes.iter().for_each(|note| output::note(&format!("note: {note}")));
    let mut rows = index.rows()?;
    rows.retain(|row| filter.fits(row));
    rows.truncate(arguments.limit.unwrap_or(usize::MAX));
    let unreadable = index.unreadable()?;
    if context.json {
        output::json(
            &json!({ "records": rows, "unreadable": super::unreadable_json(&unreadable) }),
        );
    } else if arguments.csv {
        output::print(&csv(&rows));
    } else {
        output::print(&table(&rows, output::width()));
    }
    super::tell_unreadable(&unreadable);
    // What cannot be read is told and spoils nothing: the list of the rest is right.
    Ok(ExitCode::SUCCESS)
}

fn filter(arguments: &Selection) -> Result<Filter, CliError> {
    let images = arguments.image.iter().map(|text| Pattern::of_image(text));
    let cases = arguments.case.iter().map(|text| Pattern::of_case(text));
    Ok(Filter {
        images: images.collect::<Result<_, _>>()?,
        cases: cases.collect::<Result<_, _>>()?,
        host: arguments.host.clone(),
        profiles: arguments.profile.clone(),
        statuses: arguments.status.clone(),
        since: arguments.since.as_deref().map(since).transpose()?,
        until: arguments.until.as_deref().map(until).transpose()?,
    })
}

/// A line for each run, and below it its cases, over several lines each where `width` is small.
fn table(rows: &[Row], width: Option<usize>) -> String {
    if rows.is_empty() {
        return "no records\n".to_owned();
    }
    // All runs have the same columns.
    let cases: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let room = width.map(|width| width.saturating_sub(INDENT.len()));
    let mut cases = output::rows_within(&cases, &[3, 4, 6], room).into_iter();
    let mut text = String::new();
    for run in rows.chunk_by(|one, other| one.run == other.run) {
        let first = &run[0];
        let when = first.start.replacen('T', " ", 1).replace('Z', " UTC");
        let host = first.host.as_deref().unwrap_or("a log made elsewhere");
        text.push_str(&format!("{}  {}  {}  {when}\n", first.run, first.image, first.profile));
        text.push_str(&format!("{INDENT}{host}\n"));
        for case in cases.by_ref().take(run.len()) {
            case.lines().for_each(|line| text.push_str(&format!("{INDENT}{line}\n")));
        }
    }
    let runs: BTreeSet<&str> = rows.iter().map(|row| row.run.as_str()).collect();
    let records = output::count(rows.len(), "record", "records");
    text.push_str(&format!("{records} of {}\n", output::count(runs.len(), "run", "runs")));
    text
}

fn cells(row: &Row) -> Vec<String> {
    let case = match row.repeats {
        1 => row.case_name.clone(),
        of => format!("{} ({} of {of})", row.case_name, row.repeat),
    };
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    let unit = |unit: &Option<String>| unit.clone().unwrap_or_default();
    vec![
        case,
        row.status.clone(),
        if row.deviations > 0 { "deviates".to_owned() } else { String::new() },
        row.duration_seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s")),
        number(row.throughput),
        unit(&row.throughput_unit),
        number(row.final_result),
        match row.final_result {
            Some(_) => "FINAL_RESULT".to_owned(),
            None => {
                row.reason.as_deref().unwrap_or_default().lines().next().unwrap_or("").to_owned()
            }
        },
    ]
}

/// Metrics have columns of their own, each with its unit beside it; other figures have their units likewise.
fn csv(rows: &[Row]) -> String {
    const FIXED: [&str; 23] = [
        "run",
        "case",
        "position",
        "repeat",
        "repeats",
        "image",
        "seal",
        "lock",
        "recipe",
        "profile",
        "status",
        "reason",
        "deviations",
        "parsed",
        "engine",
        "host",
        "start",
        "duration_seconds",
        "final_result",
        "final_result_unit",
        "throughput",
        "throughput_unit",
        "path",
    ];
    let metrics: BTreeSet<&String> = rows.iter().flat_map(|row| row.metrics.keys()).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names =
        metrics.iter().flat_map(|name| [format!("metric_{name}"), format!("metric_{name}_unit")]);
    let mut lines = vec![FIXED.map(str::to_owned).into_iter().chain(names).collect::<Vec<_>>()];
    for row in rows {
        let value = serde_json::to_value(row).expect("a row has text keys only");
        let mut line: Vec<String> = FIXED.iter().map(|key| plain(&value[*key])).collect();
        for name in &metrics {
            let metric = row.metrics.get(*name);
            line.push(
                metric.and_then(|metric| metric.value).map_or(String::new(), |v| v.to_string()),
            );
            line.push(metric.map(|metric| report::cell(&metric.unit)).unwrap_or_default());
        }
        lines.push(line);
    }
    for line in lines {
        writer.write_record(&line).expect("memory takes lines of one length");
    }
    let bytes = writer.into_inner().expect("memory takes everything");
    String::from_utf8(bytes).expect("all of it was text")
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => report::cell(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn row(run: &str, case: &str, throughput: Option<f64>) -> Row {
        let text = |text: &str| text.to_owned();
        let unit = throughput.map(|_| text("images/s"));
        Row {
            run: text(run),
            case_name: text(case),
            position: 1,
            repeat: 1,
            repeats: 1,
            image: text("seg-debian"),
            seal: String::new(),
            lock: String::new(),
            recipe: String::new(),
            profile: text("smoke"),
            status: text(if throughput.is_some() { "ok" } else { "failed" }),
            reason: throughput.is_none().then(|| text("the log has no line with a step of it")),
            deviations: 1,
            parsed: false,
            engine: text("embedded"),
            host: Some(text("AMD EPYC")),
            start: text("2026-11-22T03:11:46Z"),
            duration_seconds: Some(58.5),
            final_result: throughput,
            final_result_unit: unit.clone(),
            throughput,
            throughput_unit: unit,
            metrics: BTreeMap::new(),
            path: "record.json".into(),
            digest: String::new(),
        }
    }

    #[test]
    fn each_case_stands_below_its_own_run_however_narrow_the_terminal_is() {
        let (old, new) = ("20261121T000000Z-aaaaaaaaaaaa", "20261122T000000Z-bbbbbbbbbbbb");
        let rows = [
            row(new, "seg/fastscnn/sp/bs2/fp32", Some(3.925)),
            row(new, "seg/segformer_b0/mp/bs14/fp16", None),
            row(old, "seg/ocrnet_hr18/sp/bs2/fp32", Some(1.25)),
        ];
        let names = ["fastscnn", "segformer_b0", "ocrnet_hr18"];
        for width in [None, Some(120), Some(80), Some(60), Some(40)] {
            let text = table(&rows, width);
            let (of_new, of_old) = text.split_once(&format!("\n{old}")).expect(old);
            let records = [of_new, of_old].map(|part| part.matches("58.5 s").count());
            assert_eq!(records, [2, 1], "{width:?}\n{text}");
            if width.is_none_or(|width| width >= 80) {
                let below = |part: &str| names.map(|name| part.contains(name));
                assert_eq!(below(of_new), [true, true, false], "{width:?}\n{text}");
                assert_eq!(below(of_old), [false, false, true], "{width:?}\n{text}");
            }
            assert!(text.ends_with("\n3 records of 2 runs\n"), "{text}");
        }
    }
}
