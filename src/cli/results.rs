//! `repro results`

mod check;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::output;
use crate::results::Unreadable;

/// List, check, index and export run records
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compute every record again from its log and compare
    Check(check::Arguments),
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    match &arguments.command {
        Command::Check(arguments) => check::run(context, arguments),
    }
}

/// What could not be read, on standard error: the rest is shown all the same.
fn tell_unreadable(unreadable: &[Unreadable]) {
    for Unreadable { path, reason } in unreadable {
        output::note(&format!("not read: {}\n  because: {reason}", path.display()));
    }
}

fn unreadable_json(unreadable: &[Unreadable]) -> Vec<serde_json::Value> {
    let one = |one: &Unreadable| json!({ "path": one.path, "reason": one.reason });
    unreadable.iter().map(one).collect()
}
