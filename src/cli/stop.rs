//! `repro stop`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::{output, runs};
use crate::bench::Phase;

/// Stop a run as Ctrl-C does, wherever it was started
#[derive(Debug, Args)]
#[command(
    after_help = "The case that runs is ended and has a record that says so; `repro run --resume` goes on. \
    A second `stop` ends the program at once.\n\n\
    Examples:\n  \
    repro stop latest\n  \
    repro stop 20260102T030405Z-9d1710effc1d\n  \
    repro stop latest && repro attach latest     wait until it has ended, see what it measured"
)]
pub struct Arguments {
    /// The run: its ID, an unambiguous beginning of it, its folder, or `latest`
    run: String,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let state = runs::find(&store, &arguments.run)?;
    if !state.stop(&store)? {
        return Err(match state.phase(&store) {
            Phase::Elsewhere => CliError::Elsewhere { run: state.run, host: state.process.host },
            phase => CliError::NotRunning { run: state.run, phase: phase.word() },
        });
    }
    if context.json {
        output::json(&json!({ "run": state.run, "asked": true }));
    } else {
        let run = &state.run;
        output::note(&format!("asked {run} to stop; `repro attach {run}` waits for its end"));
    }
    Ok(ExitCode::SUCCESS)
}
