//! `repro attach`

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::context::Context;
use super::error::CliError;
use super::{output, run, runs, watch};
use crate::bench::{self, Phase, RunRecord, RunState, RunSummary};
use crate::store::Store;

/// Follow a run that goes on without a terminal; ends as the run ends
#[derive(Debug, Args)]
#[command(
    after_help = "Shows the cases that have ended, then what goes on. Ctrl-C leaves the run alone. The exit code \
    and the table are those of the run. A run on another machine that shares the store is followed as far as it writes there.\n\n\
    Examples:\n  \
    repro attach                   the run that goes on\n  \
    repro attach 20260102T0304     an unambiguous beginning of its ID\n  \
    repro attach latest --json     wait for the end, print the records"
)]
pub struct Arguments {
    /// The run: its ID, an unambiguous beginning of it, its folder, or `latest` [default: the one that goes on]
    run: Option<String>,
}

/// How often a run is looked at.
const TICK: Duration = Duration::from_millis(250);

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    // A run outlives its terminal; who only looks at one has nobody left to show it to.
    signal_hook::flag::register(signal_hook::consts::SIGHUP, context.stop.flag())
        .map_err(CliError::Signals)?;
    let store = context.store()?;
    let state = match &arguments.run {
        Some(word) => runs::find(&store, word)?,
        None => runs::current(&store)?,
    };
    let mut follower =
        Follower { context, store: &store, state, told: BTreeSet::new(), ended: None };
    let phase = follower.follow()?;
    match phase {
        Some(phase) => end(context, &follower.state, phase),
        None => {
            let phase = follower.phase();
            let run = &follower.state.run;
            let (goes_on, place) = match phase {
                Phase::Elsewhere => {
                    ("is left alone", format!(" (on {})", follower.state.process.host))
                }
                _ => ("goes on", String::new()),
            };
            output::error(&format!(
                "detached; the run {goes_on}\n  follow  repro attach {run}\n  stop    repro stop {run}{place}"
            ));
            Ok(ExitCode::from(130))
        }
    }
}

/// Somebody who looks at a run of another process.
struct Follower<'a> {
    context: &'a Context,
    store: &'a Store,
    state: RunState,
    /// Records that were told.
    told: BTreeSet<PathBuf>,
    /// How many cases had ended when records were looked for.
    ended: Option<usize>,
}

impl Follower<'_> {
    /// Shows the run until it has ended; nothing if the user leaves it.
    fn follow(&mut self) -> Result<Option<Phase>, CliError> {
        let mut shown = String::new();
        loop {
            let phase = self.phase();
            self.tell_ended();
            if !matches!(phase, Phase::Running | Phase::Elsewhere) {
                self.context.display.finish();
                return Ok(Some(phase));
            }
            if self.context.stop.is_requested() {
                self.context.display.finish();
                return Ok(None);
            }
            let line = self.line(phase);
            if shown.is_empty() {
                self.context.display.begin(&line, 0);
            }
            self.context.display.say(&line);
            shown = line;
            thread::sleep(TICK);
            self.state = RunState::read(self.store, &self.state.run)?;
        }
    }

    /// A run may end between two looks: what it wrote last is what counts.
    fn phase(&mut self) -> Phase {
        let phase = self.state.phase(self.store);
        if phase != Phase::Died {
            return phase;
        }
        if let Ok(last) = RunState::read(self.store, &self.state.run) {
            self.state = last;
        }
        self.state.phase(self.store)
    }

    /// Tells of cases that have ended since the last look.
    fn tell_ended(&mut self) {
        let ended = self.state.ended.all();
        if self.ended == Some(ended) && self.state.end.is_none() {
            return;
        }
        self.ended = Some(ended);
        let mut records: Vec<RunRecord> = bench::record_files(&self.state.folder)
            .into_iter()
            .filter(|path| self.told.insert(path.clone()))
            .filter_map(|path| bench::read_record(&path).ok())
            .collect();
        records.sort_by_key(|record| record.index);
        for record in records {
            let name = format!("[{}/{}] {}", record.index, self.state.cases, record.label());
            self.context.display.note(&watch::ended(&name, &record));
        }
    }

    /// What goes on, and how long it will take.
    fn line(&self, phase: Phase) -> String {
        let cases = self.state.running.iter().map(|case| runs::line(case, self.state.cases));
        let cases: Vec<String> = cases.collect();
        let doing =
            if cases.is_empty() { "between two cases".to_owned() } else { cases.join("; ") };
        let now = bench::state_clock();
        if phase == Phase::Elsewhere {
            return format!("{doing}, {}", runs::elsewhere(&self.state, now));
        }
        let left = self.state.remaining(now).map(runs::duration);
        format!("{doing}{}", left.map_or(String::new(), |left| format!(", about {left} left")))
    }
}

/// Ends as the run did.
fn end(context: &Context, state: &RunState, phase: Phase) -> Result<ExitCode, CliError> {
    if phase == Phase::Died {
        return Err(CliError::Died { run: state.run.clone(), resume: runs::resume(state) });
    }
    let Some(end) = &state.end else { return Ok(ExitCode::SUCCESS) };
    if let Some(error) = &end.error {
        output::error(&format!("error: {error}"));
        return Ok(ExitCode::from(end.code));
    }
    let summary = RunSummary {
        id: state.run.clone(),
        folder: state.folder.clone(),
        records: bench::read_records(&state.folder)?,
        not_run: end.not_run.clone(),
        stopped: end.stopped,
    };
    run::show(context, &summary, &Value::Null);
    Ok(ExitCode::from(end.code))
}
