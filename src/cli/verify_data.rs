//! `repro verify-data`

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::context::Context;
use super::error::CliError;
use super::output;
use super::run::Folders;
use crate::dataset::{self, Datasets, SetReport, State, Verdict};
use crate::store::Store;

/// Check data sets against what is pinned
#[derive(Debug, Args)]
#[command(
    after_help = "States: ok, differs (both digests), missing, unpinned (there is no digest to compare \
    with, so it never counts as verified). Named data sets must all be ok; without names only what differs \
    is a failure, unless `--strict` is given.\n\nExamples:\n  \
    repro verify-data\n  \
    repro verify-data --strict         fail if any data set is missing or unpinned\n  \
    repro verify-data cityscapes-tiny --json\n  \
    repro verify-data cityscapes --data /data --full   hash again what was verified before"
)]
pub struct Arguments {
    /// The data sets; all of `datasets.toml` if none is named
    names: Vec<String>,
    /// Hash again what is unchanged since it was verified
    #[arg(long)]
    full: bool,
    /// Without names, too, fail unless every data set is there and verified
    #[arg(long)]
    strict: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let datasets = Datasets::load(context.settings.project()?)?;
    let data = context.data_folder()?;
    let store = context.store()?;
    let reports = dataset::verify(
        &datasets,
        &arguments.names,
        data,
        arguments.full,
        &store,
        &context.display,
    )?;
    if context.json {
        output::json(&reports);
    } else {
        reports.iter().for_each(|it| output::print(&output::states(&format!("{it}\n"))));
        reports.iter().for_each(|report| next_step(&datasets, report, data));
        if reports.len() > 1 {
            output::print(&format!("{}\n", count(&reports)));
        }
        if data.is_none() && reports.iter().any(|report| report.verdict != Verdict::Ok) {
            output::note(&format!(
                "hint: looked only in the project `{}`; `--data DIR` or `$REPRO_DATA` names the folder that data sets lie in",
                datasets.project.display()
            ));
        }
    }
    let accepted = |report: &SetReport| match report.verdict {
        Verdict::Ok => true,
        Verdict::Differs => false,
        Verdict::Missing | Verdict::Unpinned => arguments.names.is_empty() && !arguments.strict,
    };
    Ok(if reports.iter().all(accepted) { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// `2 of 9 data sets are verified: 6 missing, 1 unpinned`.
fn count(reports: &[SetReport]) -> String {
    let number = |verdict| reports.iter().filter(|report| report.verdict == verdict).count();
    let states = [
        (number(Verdict::Differs), "differ"),
        (number(Verdict::Missing), "missing"),
        (number(Verdict::Unpinned), "unpinned"),
    ];
    let others: Vec<String> = states
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let others = if others.is_empty() { String::new() } else { format!(": {}", others.join(", ")) };
    let verified = number(Verdict::Ok);
    format!("{verified} of {} data sets are verified{others}", reports.len())
}

/// Says where what is missing comes from and where it belongs, and what pins what is there.
fn next_step(datasets: &Datasets, report: &SetReport, data: Option<&Path>) {
    let Some(set) = datasets.sets.get(&report.name) else { return };
    if !matches!(report.verdict, Verdict::Missing | Verdict::Unpinned) {
        return;
    }
    // Archives of different sets may have one name, so each set has a folder.
    let archives = data.map_or(format!("`archives/{}` of the data folder", set.name), |data| {
        format!("`{}`", set.archive_folder(data).display())
    });
    let mut is_to_bring = false;
    for (archive, found) in set.archives.iter().zip(&report.archives) {
        let source = match archive.urls.first() {
            Some(url) if set.login_required => format!(", with an account, from {url}"),
            Some(url) => format!(" from {url}"),
            None => String::new(),
        };
        match found.path.is_file() {
            false => {
                is_to_bring |= !archive.urls.is_empty();
                output::note(&format!("hint: bring `{}`{source} into {archives}", archive.file));
            }
            true if matches!(found.state, State::Unpinned { .. }) => output::note(&format!(
                "hint: if you trust it, `repro pin-data {}` pins it",
                found.path.display()
            )),
            true => {}
        }
    }
    if is_to_bring {
        output::note(&format!("hint: `repro fetch-data {}` brings what can be had", set.name));
    } else if set.archives.is_empty() && !set.is_union() {
        let place = data.map_or("the data folder".to_owned(), |it| format!("`{}`", it.display()));
        output::note(&format!("hint: put the unpacked data set into {place} as `{}`", set.name));
    }
}

/// The folders of data sets by name, verified.
pub fn folders<'a>(
    context: &Context,
    project: &Path,
    store: &Store,
    names: impl Iterator<Item = &'a String>,
) -> Result<Folders, CliError> {
    let datasets = Datasets::load(project)?;
    let data = context.data_folder()?;
    let mut folders = Folders::new();
    for name in names {
        let unpacked = dataset::ensure_unpacked(&datasets, name, data, store, &context.display)?;
        folders.insert(name.clone(), unpacked);
    }
    Ok(folders)
}
