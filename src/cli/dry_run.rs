//! What `repro run --dry-run` prints: every case as it would be run.

use std::process::ExitCode;

use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::output;
use super::preflight::{self, Preflight, Unplaced};
use crate::bench::{InputSource, PlannedCase};
use crate::engine::{Card, Gpus, Mount};
use crate::lock::Lock;
use crate::store::Store;

/// Prints the cases of `planned` as they would be run, and how often.
pub fn show(
    context: &Context,
    store: &Store,
    lock: Option<&Lock>,
    (planned, times): (&[PlannedCase], usize),
    preflight: &Preflight,
) -> Result<ExitCode, CliError> {
    if context.json {
        let cases: Vec<_> = planned.iter().map(|case| describe(case, preflight)).collect();
        let missing = preflight.json();
        output::json(&json!({ "missing": missing, "cases": cases, "repeat": times }));
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&preflight.text());
    // Where nobody may be asked, what is missing is in the list.
    if let Some(lock) = lock.filter(|_| !context.settings.offline()) {
        let size = output::size(preflight::to_download(store, lock));
        output::print(&format!("to download: {size}\n"));
    }
    if times > 1 {
        output::print(&format!("the whole matrix runs {times} times, one after the other\n"));
    }
    planned.iter().for_each(|case| print_case(case, preflight));
    Ok(ExitCode::SUCCESS)
}

fn print_case(case: &PlannedCase, preflight: &Preflight) {
    output::print(&format!("\n{}\n", case.case.name));
    if let Some(reason) = case.skipped() {
        output::print(&format!("  skipped  {reason}\n"));
    }
    if let Some(needed) = &case.needs {
        output::print(&format!("  after    {needed}\n"));
    }
    output::print(&format!("  folder   {}\n", case.job.workdir));
    let command = case.job.command.join(" ");
    if case.guide_command != command {
        output::print(&format!("  guide    {}\n", case.guide_command));
    }
    output::print(&format!("  command  {command}\n"));
    if let Gpus::Cards(cards) = &case.job.gpus {
        cards.iter().for_each(|card| output::print(&format!("  GPU      {}\n", card_text(card))));
    }
    for (name, value) in &case.job.env {
        output::print(&format!("  env      {name}={value}\n"));
    }
    for Mount { source, target, .. } in &case.job.mounts {
        let source = match preflight.unplaced(target) {
            Some(Unplaced { name, is_pinned: false }) => format!("data set `{name}` (not pinned)"),
            Some(Unplaced { name, is_pinned: true }) => format!("data set `{name}` (not there)"),
            None => source.display().to_string(),
        };
        output::print(&format!("  mount    {source} at {target}, read-only\n"));
    }
    for input in &case.inputs {
        let source = match &input.source {
            Some(InputSource::Given(given)) => given.file.display().to_string(),
            Some(InputSource::Left { case, output }) => format!("`{output}` of {case}"),
            None => "nothing".to_owned(),
        };
        output::print(&format!("  input    {source} at {}, read-only\n", input.path));
    }
    for kept in &case.outputs {
        output::print(&format!("  output   {} as `{}`\n", kept.pattern, kept.name));
    }
    output::print(&format!("  timeout  {} s\n", case.job.timeout.as_secs()));
}

fn card_text(card: &Card) -> String {
    let uuid = card.uuid.as_ref().map_or(String::new(), |uuid| format!(", {uuid}"));
    format!("{} {}{uuid}", card.index, card.name)
}

fn describe(case: &PlannedCase, preflight: &Preflight) -> serde_json::Value {
    let mount = |Mount { source, target, .. }: &Mount| match preflight.unplaced(target) {
        Some(set) => json!({ "source": null, "data_set": set.name, "target": target }),
        None => json!({ "source": source, "target": target }),
    };
    let mounts: Vec<_> = case.job.mounts.iter().map(mount).collect();
    json!({
        "case": case.case.name, "guide_command": case.guide_command, "command": case.job.command, "env": case.job.env,
        "workdir": case.job.workdir, "mounts": mounts, "timeout": case.job.timeout.as_secs(),
        "lacks": case.lacks, "left_out": case.left_out, "deviations": case.case.deviations, "needs": case.needs,
        "gpus": match &case.job.gpus { Gpus::Cards(cards) => json!(cards), _ => json!([]) },
        "inputs": case.inputs.iter().map(|input| (input.name.clone(), json!(input.path)))
            .collect::<serde_json::Map<_, _>>(),
        "outputs": case.outputs.iter().map(|output| (output.name.clone(), json!(output.pattern)))
            .collect::<serde_json::Map<_, _>>(),
    })
}
