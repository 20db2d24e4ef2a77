//! `repro report`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::{Context, write_named};
use super::error::CliError;
use super::{known, output};
use crate::bench::RunRecord;
use crate::report::{Format, History, Report};
use crate::results::{self, Loaded};

/// Show what runs measured: a table, a page, CSV, JSON, a case over runs
#[derive(Debug, Args)]
#[command(
    after_help = "A run is named by its whole name, an unambiguous beginning of it, `latest` or a path.\n\nExamples:\n  \
    repro report                          the newest run\n  \
    repro report latest --html run.html   one file with plots and provenance, to be read offline\n  \
    repro report results --csv            one line for each run, case, repetition and metric\n  \
    repro report --history seg/fastscnn/sp/bs2/fp32      a case over all runs, and where its level changed"
)]
pub struct Arguments {
    /// The runs [default: the newest; with `--history` all]
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// Write the table as Markdown
    #[arg(long, conflicts_with_all = ["csv", "html"])]
    markdown: bool,
    /// Write one line for each run, case, repetition and metric
    #[arg(long, conflicts_with_all = ["html", "history"])]
    csv: bool,
    /// Write one page with tables, plots and provenance; it needs no network (`-`: to standard output)
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show one case over runs, from the oldest to the newest
    #[arg(long, value_name = "CASE")]
    history: Option<String>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let loaded = load(context, arguments)?.readable()?;
    warn(&loaded);
    let report = Report::of_stored(&loaded.records);
    match &arguments.history {
        Some(case) => {
            let history = History::of(&report, case).ok_or_else(|| CliError::NoHistory {
                case: case.clone(),
                known: report.case_names(),
            })?;
            show(
                context,
                arguments,
                || history.html(),
                || history.json(),
                |format| history.table(format),
            )?;
        }
        None if arguments.csv => output::print(&report.csv()),
        None => {
            show(
                context,
                arguments,
                || report.html(&known::of_this_machine(context)),
                || report.json(),
                |format| report.table(format),
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the table of records that a command has just made.
pub fn print(records: &[RunRecord]) {
    output::print(&output::states(&Report::of_records(records).table(terminal())));
}

/// The named runs; for a history without names every run there is.
fn load(context: &Context, arguments: &Arguments) -> Result<Loaded, CliError> {
    let store = context.store_to_read()?;
    if arguments.history.is_none() || !arguments.runs.is_empty() {
        return Ok(results::load(&context.find_runs(&store, &arguments.runs)?));
    }
    let project = [context.settings.results_folder().to_owned()];
    let runs = results::runs(&results::folders(&store, &project)?);
    Ok(results::load(&runs.into_values().collect::<Vec<_>>()))
}

/// Writes the page if one is wanted, else prints JSON or the table.
fn show(
    context: &Context,
    arguments: &Arguments,
    html: impl Fn() -> String,
    json: impl Fn() -> serde_json::Value,
    table: impl Fn(Format) -> String,
) -> Result<(), CliError> {
    match &arguments.html {
        Some(path) => write_page(context, path, &html())?,
        None if context.json => output::json(&json()),
        None if arguments.markdown => output::print(&table(Format::Markdown)),
        None => output::print(&output::states(&table(terminal()))),
    }
    Ok(())
}

fn write_page(context: &Context, path: &Path, html: &str) -> Result<(), CliError> {
    if path.as_os_str() == "-" {
        output::print(html);
        return Ok(());
    }
    write_named(path, html.as_bytes())?;
    if context.json {
        output::json(&json!({ "file": path }));
    } else {
        output::print(&format!("{}\n", path.display()));
    }
    Ok(())
}

/// A table as wide as the terminal; a pipe takes any width.
fn terminal() -> Format {
    Format::Text(output::width())
}

/// One damaged record must not hide the others.
fn warn(loaded: &Loaded) {
    for file in &loaded.unreadable {
        output::note(&format!("not read: {}", file.reason));
    }
}
