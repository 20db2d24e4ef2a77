//! `repro fetch-data`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::output;
use crate::dataset::Datasets;
use crate::fetch::data::{
    ArchiveOutcome, ArchiveState, DataPlan, DataRequest, Means, PlannedArchive, PlannedPart,
    SetOutcome, Step, fetch_data, plan_data,
};
use crate::fetch::{self, FetchError};

/// Bring data sets: download, verify, unpack; say what has to be brought by hand
#[derive(Debug, Args)]
#[command(
    after_help = "Downloads what can be had (it goes on where it broke off), compares it with what is pinned, and \
    unpacks it into DATA/NAME. What needs an account is told with the page to open and the place to put the file; the \
    same command then goes on. An archive that nothing pins is downloaded and measured, and never counts as verified: \
    `repro pin-data` pins it.\n\nExamples:\n  \
    repro fetch-data coco2017 --data /data --dry-run   what would come, from where, and the space it takes\n  \
    repro fetch-data coco2017 --data /data\n  \
    repro fetch-data mix --data /data                  each data set that it is made of"
)]
pub struct Arguments {
    /// The data sets; all of `datasets.toml` if none is named
    names: Vec<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Remove archives of DATA/archives once they are unpacked and verified
    #[arg(long)]
    no_keep_archives: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let datasets = Datasets::load(context.settings.project()?)?;
    let data = context.data_folder()?.ok_or(CliError::NoDataSetting)?;
    let request = DataRequest {
        datasets: &datasets,
        names: &arguments.names,
        data,
        keep_archives: !arguments.no_keep_archives,
        free_space: &fetch::free_space,
    };
    let plan = plan_data(&request).map_err(flat)?;
    if arguments.dry_run {
        show_plan(context, &plan);
        return Ok(ExitCode::SUCCESS);
    }
    if !plan.archives.is_empty() {
        output::note(&space(&plan));
    }
    let (store, stop) = (context.store()?, context.stop.flag());
    let means = Means {
        settings: &context.settings,
        store: &store,
        progress: &context.display,
        hashing: &context.display,
        stop: &stop,
    };
    let outcomes = fetch_data(&request, means).map_err(flat)?;
    if context.json {
        output::json(&outcomes);
    } else {
        outcomes.iter().for_each(show);
    }
    outcomes.iter().for_each(next_step);
    Ok(code(&outcomes))
}

/// A data set's error has the same code and hint wherever it comes from.
fn flat(error: FetchError) -> CliError {
    match error {
        FetchError::Dataset(error) => error.into(),
        error => error.into(),
    }
}

fn code(outcomes: &[SetOutcome]) -> ExitCode {
    if outcomes.iter().any(SetOutcome::differs) {
        ExitCode::from(3)
    } else if outcomes.iter().any(SetOutcome::lacks) {
        ExitCode::from(4)
    } else if outcomes.iter().any(|outcome| outcome.folder.is_none()) {
        ExitCode::from(3)
    } else {
        ExitCode::SUCCESS
    }
}

fn show_plan(context: &Context, plan: &DataPlan) {
    if context.json {
        return output::json(&json!({ "archives": plan.archives, "to_write": plan.to_write,
            "to_unpack": plan.to_unpack, "unknown": plan.unknown, "needed": plan.needed(),
            "free": plan.free, "fits": !plan.is_too_large() }));
    }
    let row = |archive: &PlannedArchive| {
        let step = match archive.step {
            Step::Here => "there",
            Step::Download if archive.brought > 0 => "go on downloading",
            Step::Download => "download",
            Step::Join => "join its parts",
            Step::ByHand => "by hand",
        };
        let size = archive.size.map_or("unknown".to_owned(), output::size);
        let pinned = if archive.pinned { "pinned" } else { "unpinned" };
        let origin: Vec<_> = archive.origin.iter().map(|place| place.to_string()).collect();
        let origin = origin.join(" or ");
        let cells = [archive.set.as_str(), &archive.file, &size, pinned, step, &origin];
        cells.map(str::to_owned).to_vec()
    };
    output::print(&output::columns(&plan.archives.iter().map(row).collect::<Vec<_>>(), &[2]));
    output::print(&format!("{}\n", space(plan)));
}

/// Needed and free space in one line.
fn space(plan: &DataPlan) -> String {
    let unknown = match plan.unknown {
        0 => String::new(),
        count => {
            format!(" and {} of unknown size", output::count(count, "archive", "archives"))
        }
    };
    let free = plan.free.map_or("unknown".to_owned(), output::size);
    let fits = if plan.is_too_large() { "; it does not fit" } else { "" };
    format!(
        "to download or join: {}{unknown}; to unpack: about {}; free: {free}{fits}",
        output::size(plan.to_write),
        output::size(plan.to_unpack)
    )
}

fn show(outcome: &SetOutcome) {
    let name = &outcome.name;
    match &outcome.folder {
        Some(folder) => {
            output::print(&format!("data set `{name}` is verified in {}\n", folder.display()));
        }
        None => output::print(&format!("data set `{name}` is not ready\n")),
    }
    outcome.archives.iter().for_each(show_archive);
    outcome.report.iter().for_each(|report| output::print(&format!("  {report}\n")));
    outcome.lists.iter().for_each(|line| output::print(&format!("  {line}\n")));
}

fn show_archive(archive: &ArchiveOutcome) {
    let (file, place) = (&archive.file, archive.place.display());
    let text = match &archive.state {
        ArchiveState::Ok { .. } => format!("  ok           {place}"),
        ArchiveState::Unpinned { sha256, bytes, reason } => {
            format!("  unpinned     {place}: {reason}\n    measured  {sha256} ({bytes} bytes)")
        }
        ArchiveState::ByHand { pages, parts } => {
            let mut todo: Vec<_> = pages.iter().map(|page| format!("open    {page}")).collect();
            todo.push(format!("put     {place}"));
            todo.extend(parts.iter().map(by_part));
            format!("  by hand      {file}{}", indented(&todo))
        }
        ArchiveState::Unreachable { tried, pages, parts } => {
            let mut told: Vec<_> =
                tried.iter().map(|tried| tried.trim_start().to_owned()).collect();
            told.extend(pages.iter().map(|page| format!("or open {page}")));
            told.push(format!("or put  {place}"));
            told.extend(parts.iter().map(by_part));
            format!("  unreachable  {file}{}", indented(&told))
        }
        ArchiveState::Differs { reason } => {
            format!("  differs      {}", reason.replace('\n', "\n    "))
        }
    };
    output::print(&format!("{text}\n"));
}

fn by_part(part: &PlannedPart) -> String {
    let page = part.page.as_ref().map_or("its publisher".to_owned(), ToString::to_string);
    format!("or put  {} from {page}", part.place.display())
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n    {line}")).collect()
}

/// Says what to do about what is not ready.
fn next_step(outcome: &SetOutcome) {
    let name = &outcome.name;
    for archive in &outcome.archives {
        if matches!(archive.state, ArchiveState::Unpinned { .. }) {
            let place = archive.place.display();
            output::note(&format!(
                "hint: if you trust it, `repro pin-data {place}` pins it; `repro fetch-data {name}` then unpacks it"
            ));
        }
    }
    if outcome.lacks() {
        output::note(&format!(
            "hint: put the files where `{name}` wants them; `repro fetch-data {name}` goes on from there"
        ));
    }
    if outcome.differs() {
        output::note(&format!(
            "hint: nothing that differs is used; move it away, and `repro fetch-data {name}` brings `{name}` again"
        ));
    }
}
