//! `repro report`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::{Context, write_in_one_step};
use super::error::CliError;
use super::output;
use crate::bench::RunRecord;
use crate::report::{Format, Report};
use crate::results::{self, Loaded};

/// Show what runs measured: a table, a page, CSV, JSON, a case over runs
#[derive(Debug, Args)]
#[command(
    after_help = "A run is named by its whole name, an unambiguous beginning of it, `latest` or a path.\n\nExamples:\n  \
    repro report                          the newest run\n  \
    repro report latest --html run.html   one file with plots and provenance, to be read offline\n  \
    repro report 20261122T --csv          one line for each run, case, repetition and metric"
)]
pub struct Arguments {
    /// The runs [default: the newest]
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// Write the table as Markdown
    #[arg(long, conflicts_with_all = ["csv", "html"])]
    markdown: bool,
    /// Write one line for each run, case, repetition and metric
    #[arg(long, conflicts_with = "html")]
    csv: bool,
    /// Write one page with tables, plots and provenance that needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let loaded = results::load(&context.find_runs(&store, &arguments.runs)?);
    warn(&loaded);
    let report = Report::of_stored(&loaded.records);
    if let Some(path) = &arguments.html {
        return html(context, &report, path);
    }
    let format = if arguments.markdown { Format::Markdown } else { terminal() };
    output::print(&report.table(format));
    Ok(ExitCode::SUCCESS)
}

fn html(context: &Context, report: &Report, path: &Path) -> Result<ExitCode, CliError> {
    write_in_one_step(path, report.html().as_bytes())?;
    if context.json {
        output::json(&json!({ "file": path }));
    } else {
        output::print(&format!("{}\n", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the table of records that a command has just made.
pub fn print(records: &[RunRecord]) {
    output::print(&Report::of_records(records).table(terminal()));
}

/// A table as wide as the terminal; a pipe takes any width.
fn terminal() -> Format {
    let stdout = rustix::stdio::stdout();
    let size = rustix::termios::tcgetwinsize(stdout).ok();
    Format::Text(size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0))
}

/// One damaged record must not hide the others.
fn warn(loaded: &Loaded) {
    for file in &loaded.unreadable {
        output::note(&format!("not read: {}\n  because: {}", file.path.display(), file.reason));
    }
}
