//! `repro pin-data`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::output;
use crate::dataset::{self, Datasets};

/// Measure an archive or a folder and pin it in `datasets.toml`
#[derive(Debug, Args)]
#[command(
    after_help = "Writes size, SHA-256 and the manifest of the unpacked files; the rest of the file stays \
    as it is.\n\nExamples:\n  \
    repro pin-data /data/MOT17.zip\n  \
    repro pin-data /data/weights     a folder as it lies, with links that stay inside\n  \
    repro pin-data images/seg/cityscapes-tiny.zip --dry-run"
)]
pub struct Arguments {
    /// The archive, or the folder that has the data set's name
    file: PathBuf,
    /// Replace a pin that is there and differs
    #[arg(long)]
    replace: bool,
    /// Only show what would be written
    #[arg(long)]
    dry_run: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let project = context.settings.project()?;
    let datasets = Datasets::load(project)?;
    let store = context.store()?;
    let pinned =
        dataset::pin(&datasets, &arguments.file, arguments.replace, &store, &context.display)?;
    if !arguments.dry_run {
        pinned.write(project)?;
    }
    if context.json {
        output::json(&json!({ "name": pinned.name, "sha256": pinned.sha256, "size": pinned.size,
            "manifest": pinned.manifest.as_ref().map(|(path, _)| path),
            "waits_for": pinned.waits_for,
            "written": !arguments.dry_run }));
    } else {
        output::print(&pinned.entry);
        if let Some(reason) = &pinned.waits_for {
            output::note(&format!(
                "note: the files of `{}` are not pinned yet, since {reason}; whichever archive is pinned last pins them",
                pinned.name
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
