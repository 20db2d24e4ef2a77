//! `repro mirror`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::{build, output, subject};
use crate::carry;

/// Copy every pinned input of an image into a folder
#[derive(Debug, Args)]
#[command(
    after_help = "Several images share one folder; what is there is not copied again. Other tools can use it, \
    too: `simple` is a Python index, `pool` the packages of a Debian archive.\n\nExamples:\n  \
    repro mirror seg-debian /media/stick\n  \
    repro build seg-debian --offline --mirror /media/stick   on a machine without network"
)]
pub struct Arguments {
    /// The image: a name, `NAME@DIGEST` or an unambiguous prefix of its seal
    image: String,
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Only say what would be copied
    #[arg(long)]
    dry_run: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let subject = subject::resolve(context, &store, &arguments.image)?;
    if arguments.dry_run {
        show_plan(context, &carry::plan_mirror(&subject.lock, &arguments.folder));
        return Ok(ExitCode::SUCCESS);
    }
    let built = build::ensure(context, &store, &subject)?;
    let planned = carry::plan_mirror(&built.lock, &arguments.folder);
    let missing = planned.iter().filter(|(_, present)| !present);
    let bytes = missing.map(|(pinned, _)| pinned.size).sum();
    context.display.begin(&format!("copying {}", output::size(bytes)), bytes);
    let progress = |bytes| context.display.advance(bytes);
    let recipe = Some((subject.recipe.system.as_str(), subject.recipe.text.as_str()));
    let done =
        carry::mirror(&store, &built.lock, recipe, &arguments.folder, &context.stop, &progress);
    context.display.finish();
    let done = done?;
    if context.json {
        output::json(&json!({ "image": built.lock.name, "folder": arguments.folder,
            "copied": done.copied, "bytes": done.bytes, "present": done.present,
            "browsable": done.browsable }));
    } else {
        output::print(&format!(
            "{} copied ({}), {} there already\n",
            output::count(done.copied, "file", "files"),
            output::size(done.bytes),
            done.present
        ));
        if !done.browsable {
            output::note("this file system has no links, so pip and apt cannot read the folder");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show_plan(context: &Context, planned: &[(crate::lock::Pinned, bool)]) {
    let bytes: u64 =
        planned.iter().filter(|(_, present)| !present).map(|(pinned, _)| pinned.size).sum();
    if context.json {
        let items = planned.iter().map(|(pinned, present)| {
            json!({ "file": pinned.name, "digest": pinned.digest, "size": pinned.size,
                "present": present })
        });
        let items: Vec<_> = items.collect();
        return output::json(&json!({ "inputs": items, "to_copy": bytes }));
    }
    let row = |(pinned, present): &(crate::lock::Pinned, bool)| {
        let state = if *present { "there" } else { "to copy" };
        vec![pinned.name.clone(), output::size(pinned.size), state.to_owned()]
    };
    let rows: Vec<_> = planned.iter().map(row).collect();
    output::print(&output::columns(&rows, &[1]));
    output::print(&format!("to copy: {}\n", output::size(bytes)));
}
