//! `repro verify-data`

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::context::Context;
use super::error::CliError;
use super::output;
use super::run::Folders;
use crate::dataset::{self, Datasets, SetReport, Verdict};
use crate::digest::Digest;
use crate::store::Store;

/// Check data sets against what is pinned
#[derive(Debug, Args)]
#[command(
    after_help = "States: ok, differs (both digests), missing, unpinned (there is no digest to compare \
    with, so it never counts as verified). Named data sets must all be ok; without names only what differs \
    is a failure.\n\nExamples:\n  \
    repro verify-data\n  \
    repro verify-data cityscapes-tiny --json\n  \
    repro verify-data cityscapes --data /data --full   hash again what was verified before"
)]
pub struct Arguments {
    /// The data sets; all of `datasets.toml` if none is named
    names: Vec<String>,
    /// Hash again what is unchanged since it was verified
    #[arg(long)]
    full: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let datasets = Datasets::load(context.settings.project()?)?;
    let store = context.store()?;
    let reports = dataset::verify(
        &datasets,
        &arguments.names,
        context.settings.data_folder(),
        arguments.full,
        &store,
        &context.display,
    )?;
    if context.json {
        output::json(&reports);
    } else {
        reports.iter().for_each(|report| output::print(&format!("{report}\n")));
    }
    let accepted = |report: &SetReport| match report.verdict {
        Verdict::Ok => true,
        Verdict::Differs => false,
        Verdict::Missing | Verdict::Unpinned => arguments.names.is_empty(),
    };
    Ok(if reports.iter().all(accepted) { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// The folders of data sets by name, verified or, without `verified`, only where they would be.
pub fn folders<'a>(
    context: &Context,
    project: &Path,
    store: &Store,
    names: impl Iterator<Item = &'a String>,
    verified: bool,
) -> Result<Folders, CliError> {
    let datasets = Datasets::load(project)?;
    let data = context.settings.data_folder();
    let mut folders = Folders::new();
    for name in names {
        let set = datasets.get(name)?;
        let unpinned = Digest::from_bytes([0; 32]);
        let digest = set.binding().unwrap_or(unpinned);
        let folder = if verified {
            dataset::ensure_unpacked(&datasets, name, data, store, &context.display)?
        } else {
            data.map_or(store.data_path(&digest), |data| set.folder(data))
        };
        folders.insert(name.clone(), (folder, digest));
    }
    Ok(folders)
}
