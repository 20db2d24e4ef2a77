//! `repro results check`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::context::Context;
use super::super::error::CliError;
use super::super::output;
use crate::results::check::{self, Checked, NOT_DERIVABLE, Report};

/// Compute every record again from its log and compare
#[derive(Debug, Args)]
#[command(
    after_help = "Ends with 3 if a record says what its log, its recipe or its lock do not say.\n\nExamples:\n  \
    repro results check                     the newest run\n  \
    repro results check results             every run below a folder\n  \
    repro results check 20261122T031146Z --json"
)]
pub struct Arguments {
    /// Runs: names, beginnings of names, `latest`, or folders [default: the newest run]
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store_to_read()?;
    let runs = context.find_runs(&store, &arguments.runs)?;
    // Outside a project the store has what is needed.
    let images: Vec<_> = context.images().into_iter().collect();
    let report = check::check(&store, &images, &runs);
    if context.json {
        output::json(&json!({ "ok": report.is_right(), "records": report.records,
            "not_derivable": NOT_DERIVABLE, "unreadable": super::unreadable_json(&report.unreadable) }));
    } else {
        report.records.iter().for_each(show);
        output::print(&format!("{}\n", total(&report)));
        output::print(&format!("not derivable from a log: {}\n", NOT_DERIVABLE.join(", ")));
    }
    super::tell_unreadable(&report.unreadable);
    Ok(if report.is_right() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn show(record: &Checked) {
    let state = match (record.wrong.is_empty(), record.not_checkable.is_empty()) {
        (false, _) => "wrong",
        (true, true) => "right",
        (true, false) => "right as far as it can be checked",
    };
    let mut text = format!("{}  {}  {state}\n", record.run, record.case);
    for wrong in &record.wrong {
        let (what, expected, found) = (&wrong.what, &wrong.expected, &wrong.found);
        text.push_str(&format!("  {what}\n    expected  {expected}\n    found     {found}\n"));
    }
    for reason in &record.not_checkable {
        text.push_str(&format!("  not checkable  {reason}\n"));
    }
    output::print(&text);
}

fn total(report: &Report) -> String {
    let wrong = report.records.iter().filter(|record| !record.wrong.is_empty()).count();
    let partly = |record: &&Checked| record.wrong.is_empty() && !record.not_checkable.is_empty();
    let partly = report.records.iter().filter(partly).count();
    let all = output::count(report.records.len(), "record", "records");
    let right = report.records.len() - wrong - partly;
    format!("{all}: {right} right, {partly} right as far as they can be checked, {wrong} wrong")
}
