//! `repro status`

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use super::context::Context;
use super::error::CliError;
use super::{output, runs};
use crate::bench::{self, Phase, RunState};
use crate::store::Store;

/// Show where runs are: what goes on now, how far, and what ended lately
#[derive(Debug, Args)]
#[command(
    after_help = "A run is named by its ID, an unambiguous beginning of it, its folder, or `latest`.\n\n\
    Examples:\n  \
    repro status                   what goes on, and the last runs of this store\n  \
    repro status latest            the newest run in full\n  \
    repro status --json --all      every run, for machines"
)]
pub struct Arguments {
    /// Show these runs in full
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// Show every run of the store, not only the last ones
    #[arg(long)]
    all: bool,
}

/// Runs that have ended and are shown all the same.
const RECENT: usize = 10;

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store_to_read()?;
    let states = match arguments.runs.as_slice() {
        [] => chosen(&store, arguments.all),
        words => words.iter().map(|word| runs::find(&store, word)).collect::<Result<_, _>>()?,
    };
    let states: Vec<(RunState, Phase)> =
        states.into_iter().map(|it| with_phase(&store, it)).collect();
    let now = bench::state_clock();
    if context.json {
        let all: Vec<Value> =
            states.iter().map(|(it, phase)| runs::describe(it, *phase, now)).collect();
        output::json(&all);
    } else if states.is_empty() {
        output::note("no run of this store is known; `repro run` starts one");
    } else if arguments.runs.is_empty() {
        table(&states, now);
    } else {
        states.iter().for_each(|(state, phase)| details(state, *phase, now));
    }
    Ok(ExitCode::SUCCESS)
}

/// What goes on, and the newest of the others; the newest run first.
fn chosen(store: &Store, all: bool) -> Vec<RunState> {
    let mut ended = 0;
    let mut states = RunState::all(store);
    states.reverse();
    states.retain(|state| {
        let goes_on = state.phase(store) == Phase::Running;
        ended += usize::from(!goes_on);
        all || goes_on || ended <= RECENT
    });
    states
}

/// A run may end between two looks: what it wrote last is what counts.
fn with_phase(store: &Store, state: RunState) -> (RunState, Phase) {
    match state.phase(store) {
        Phase::Died => {
            let state = RunState::read(store, &state.run).unwrap_or(state);
            let phase = state.phase(store);
            (state, phase)
        }
        phase => (state, phase),
    }
}

/// Narrower terminals are shown only what tells runs apart.
const WIDE: usize = 80;

fn table(states: &[(RunState, Phase)], now: Timestamp) {
    let is_wide = output::width().is_none_or(|width| width >= WIDE);
    let what = ["image", "profile"].map(str::to_owned).into_iter().filter(|_| is_wide);
    let times = ["cases", "elapsed", "left"].map(str::to_owned);
    let header = ["run", "state"].map(str::to_owned).into_iter().chain(what).chain(times);
    let row = |(state, phase): &(RunState, Phase)| {
        let mut row = vec![state.run.clone(), output::state(phase.word())];
        if is_wide {
            row.extend([state.image.clone(), state.profile.clone()]);
        }
        row.push(runs::cases(state));
        row.extend([runs::duration(state.elapsed(*phase, now)), left(state, *phase, now)]);
        row
    };
    let rows: Vec<Vec<String>> =
        std::iter::once(header.collect()).chain(states.iter().map(row)).collect();
    let rows = output::rows_within(&rows, &[], output::width());
    output::print(&rows[0]);
    for (row, (state, phase)) in rows[1..].iter().zip(states) {
        output::print(row);
        let cases = state.running.iter().filter(|_| *phase == Phase::Running);
        cases.for_each(|case| output::print(&format!("  {}\n", runs::line(case, state.cases))));
    }
    for (state, phase) in states {
        match phase {
            Phase::Died => output::note(&format!(
                "hint: {} died; to go on run\n  {}",
                state.run,
                runs::resume(state)
            )),
            Phase::Elsewhere => output::note(&format!(
                "note: {} runs {}; only there can it be told whether it goes on",
                state.run,
                runs::elsewhere(state, now)
            )),
            Phase::Running | Phase::Finished | Phase::Failed | Phase::Stopped => {}
        }
    }
}

fn left(state: &RunState, phase: Phase, now: Timestamp) -> String {
    if phase != Phase::Running {
        return String::new();
    }
    let left = state.remaining(now).map(runs::duration);
    left.map_or("not known yet".to_owned(), |left| format!("about {left}"))
}

fn details(state: &RunState, phase: Phase, now: Timestamp) {
    let mut rows: Vec<(&str, String)> = vec![
        ("run", state.run.clone()),
        ("state", output::state(phase.word())),
        ("image", format!("{}, profile {}", state.image, state.profile)),
        ("folder", state.folder.display().to_string()),
        ("cases", runs::cases(state)),
        ("started", state.started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()),
        ("elapsed", runs::duration(state.elapsed(phase, now))),
    ];
    if phase == Phase::Elsewhere {
        rows.push(("machine", runs::elsewhere(state, now)));
        rows.extend(state.running.iter().map(|case| ("then", runs::line(case, state.cases))));
        rows.push(("follow", format!("repro attach {}", state.run)));
    }
    if phase == Phase::Running {
        rows.push(("left", left(state, phase, now)));
        rows.extend(state.running.iter().map(|case| ("now", runs::line(case, state.cases))));
        rows.push(("follow", format!("repro attach {}", state.run)));
        rows.push(("stop", format!("repro stop {}", state.run)));
    }
    if let Some(end) = &state.end {
        rows.push(("exit code", end.code.to_string()));
        rows.extend(end.error.iter().map(|error| ("error", error.replace('\n', " "))));
        rows.extend(end.not_run.iter().map(|case| ("not run", case.clone())));
    }
    if matches!(phase, Phase::Died | Phase::Stopped | Phase::Failed) {
        rows.push(("go on", runs::resume(state)));
    }
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    output::print(&format!("{}\n", output::columns(&rows, &[])));
}
