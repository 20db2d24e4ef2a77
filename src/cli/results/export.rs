//! `repro results export`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::context::Context;
use super::super::error::CliError;
use super::super::{known, output};
use crate::results::export::{self, Exported, LIST, Options};
use crate::results::scrub::{Counts, in_words};
use crate::results::{check, load};

/// Write the guides' own records, and their logs, in the guides' folders
#[derive(Debug, Args)]
#[command(
    after_help = "Names and keys are the guide's, folders too where the guide has any. Addresses, names of hosts and users, \
    paths of this machine and the like are taken out of what is written (`<address-1>`), never out of \
    the originals; `repro-export.json` beside the files names both by digest.\n\nExamples:\n  \
    repro results export --guide out                         the newest run\n  \
    repro results export --guide out 20261122T0311 20261122T0412\n  \
    repro results export --guide out --no-scrub latest       as they are"
)]
pub struct Arguments {
    /// The folder to write to; nothing that is there is written over
    #[arg(long, value_name = "DIR")]
    guide: PathBuf,
    /// Write logs as they are
    #[arg(long)]
    no_scrub: bool,
    /// Runs: names, beginnings of names, `latest`, or folders [default: the newest run]
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let loaded = load(&context.find_runs(&store, &arguments.runs)?);
    let known = known::of_this_machine(context);
    let images: Vec<PathBuf> = context.images().into_iter().collect();
    let mut recipes = check::Recipes::new(&store, &images);
    // The recipe as it is now may know more of the guide's folders than the one of the run.
    let mut recipe = |record: &crate::bench::RunRecord| {
        let now = context.recipe(&record.image.name).ok();
        now.or_else(|| recipes.find(&record.image).ok().cloned())
    };
    let scrubbing = (!arguments.no_scrub).then_some(&known);
    let options = Options { folder: &arguments.guide, known: scrubbing };
    let exported = export::export(&loaded.records, &mut recipe, &options)?;
    if context.json {
        output::json(&json!({ "folder": arguments.guide, "list": LIST, "records": exported,
            "unreadable": super::unreadable_json(&loaded.unreadable) }));
    } else {
        show(&exported, &arguments.guide);
    }
    tell(&exported);
    super::tell_unreadable(&loaded.unreadable);
    let whole = loaded.unreadable.is_empty() && exported.iter().all(|one| one.left_out.is_empty());
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn show(exported: &[Exported], folder: &Path) {
    for file in exported.iter().flat_map(Exported::files) {
        output::print(&format!("{}\n", folder.join(&file.file).display()));
    }
    output::print(&format!("{}\n", folder.join(LIST).display()));
}

/// What was taken out or left out, on standard error.
fn tell(exported: &[Exported]) {
    let mut all = Counts::new();
    for file in exported.iter().flat_map(Exported::files) {
        file.found.iter().for_each(|(kind, count)| *all.entry(*kind).or_insert(0) += count);
    }
    if !all.is_empty() {
        output::note(&format!("taken out: {}", in_words(&all)));
    }
    for one in exported {
        for reason in &one.left_out {
            output::note(&format!("left out of {} {}: {reason}", one.run, one.case));
        }
    }
}
