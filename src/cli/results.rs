//! `repro results`

mod check;
mod export;
mod list;
mod rebuild;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::output;
use crate::results::Unreadable;

/// List, check, index and export run records
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Records are JSON files; the list comes from an index of them, `results.db` in the store, that is brought up \
    to date first. Whoever speaks SQL reads its views `result` (a row for each case of a run) and \
    `result_metric` (a row for each of its figures):\n  \
    sqlite3 ~/.local/share/repro/results.db 'SELECT run, case_name, throughput, throughput_unit FROM result'\n\n\
    Examples:\n  \
    repro results                                            all of them, the newest run first\n  \
    repro results --image seg-debian --case 'seg/*/sp/**' --status ok\n  \
    repro results --since 2026-11-01 --until 2026-11-22 --csv > november.csv\n  \
    repro results --host V100 --limit 20 --json\n  \
    repro results check                                      the newest run, computed again from its logs\n  \
    repro results export --guide out                         the guide's own records and logs, scrubbed"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: list::Selection,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compute every record again from its log and compare
    Check(check::Arguments),
    /// Write the guides' own records, and their logs, in the guides' folders
    Export(export::Arguments),
    /// Make the index again from the records alone
    #[command(after_help = "Nothing is lost: every line of the index comes from a record.\n\n\
        Examples:\n  repro results rebuild")]
    Rebuild,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    match &arguments.command {
        None => list::run(context, &arguments.list),
        Some(Command::Check(arguments)) => check::run(context, arguments),
        Some(Command::Export(arguments)) => export::run(context, arguments),
        Some(Command::Rebuild) => rebuild::run(context),
    }
}

/// What could not be read, on standard error: the rest is shown all the same.
fn tell_unreadable(unreadable: &[Unreadable]) {
    // The reason names the file.
    for Unreadable { reason, .. } in unreadable {
        output::note(&format!("not read: {reason}"));
    }
}

fn unreadable_json(unreadable: &[Unreadable]) -> Vec<serde_json::Value> {
    let one = |one: &Unreadable| json!({ "path": one.path, "reason": one.reason });
    unreadable.iter().map(one).collect()
}
