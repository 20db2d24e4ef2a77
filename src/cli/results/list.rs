//! `repro results`: the list.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::context::Context;
use super::super::error::CliError;
use super::super::output;
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

pub fn run(context: &Context, arguments: &Selection) -> Result<ExitCode, CliError> {
    let filter = filter(arguments)?;
    let store = context.store()?;
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
        output::print(&table(&rows));
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

/// A line for each run, and below it one for each of its cases.
fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no records\n".to_owned();
    }
    // All runs have the same columns.
    let cases: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let cases = output::columns(&cases, &[3, 4, 6]);
    let mut cases = cases.lines();
    let mut text = String::new();
    for run in rows.chunk_by(|one, other| one.run == other.run) {
        let first = &run[0];
        let when = first.start.replacen('T', " ", 1).replace('Z', " UTC");
        let host = first.host.as_deref().unwrap_or("a log made elsewhere");
        text.push_str(&format!("{}  {}  {}  {when}\n", first.run, first.image, first.profile));
        text.push_str(&format!("  {host}\n"));
        for _ in run {
            text.push_str(cases.next().unwrap_or_default());
            text.push('\n');
        }
    }
    let runs: BTreeSet<&str> = rows.iter().map(|row| row.run.as_str()).collect();
    let records = output::count(rows.len(), "record", "records");
    text.push_str(&format!("{records} of {}\n", output::count(runs.len(), "run", "runs")));
    text
}

fn cells(row: &Row) -> Vec<String> {
    let case = match row.repeats {
        1 => format!("  {}", row.case_name),
        of => format!("  {} ({} of {of})", row.case_name, row.repeat),
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
            line.push(metric.map(|metric| metric.unit.clone()).unwrap_or_default());
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
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
