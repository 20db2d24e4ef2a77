//! `repro import`

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::{output, report};
use crate::bench;
use crate::carry::{self, Imported};

/// Bring a bundle into the store; show the records in it
#[derive(Debug, Args)]
#[command(
    after_help = "Every byte is checked on the way; what is not what the bundle's index says is refused. The image \
    can then be built, run and verified by its seal, without network and without a checkout.\n\nExamples:\n  \
    repro import seg.repro\n  \
    repro import seg.repro --into seg      the project in it goes to the new folder `seg`\n  \
    cat seg.repro | repro import -"
)]
pub struct Arguments {
    /// The bundle; `-` for standard input
    file: PathBuf,
    /// Put the project (recipe, lock, data sets) into this new folder [default: into the store]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let (mut reader, size): (Box<dyn Read>, u64) = match arguments.file.as_os_str() == "-" {
        true => (Box::new(io::stdin().lock()), 0),
        false => {
            let path = arguments.file.clone();
            let open = |source| CliError::Io { action: "open", path, source };
            let file = File::open(&arguments.file).map_err(open)?;
            let size = file.metadata().map_or(0, |file| file.len());
            (Box::new(BufReader::with_capacity(1 << 20, file)), size)
        }
    };
    context.display.begin(&format!("importing {}", arguments.file.display()), size);
    let progress = |bytes| context.display.advance(bytes);
    let into = arguments.into.as_deref();
    let imported = carry::import(&store, &mut reader, into, &context.stop, &progress);
    context.display.finish();
    show(context, &imported?)?;
    Ok(ExitCode::SUCCESS)
}

fn show(context: &Context, imported: &Imported) -> Result<(), CliError> {
    let mut records = Vec::new();
    for (_, folder) in &imported.runs {
        records.extend(bench::read_records(folder)?);
    }
    if context.json {
        let images = imported.images.iter().map(|(name, seal)| format!("{name}@{seal}"));
        let runs: Vec<_> = imported.runs.iter().map(|(id, _)| id).collect();
        output::json(&json!({ "images": images.collect::<Vec<_>>(), "runs": runs,
            "project": imported.project, "files": imported.files, "bytes": imported.bytes,
            "records": records }));
        return Ok(());
    }
    for (name, seal) in &imported.images {
        output::print(&format!("{name}@{seal}\n"));
    }
    if !records.is_empty() {
        report::print(&records);
    }
    for (_, folder) in &imported.runs {
        output::print(&format!("results in {}\n", folder.display()));
    }
    Ok(())
}
