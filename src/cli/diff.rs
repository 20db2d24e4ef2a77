//! `repro diff`

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::context::Context;
use super::error::CliError;
use super::output;
use super::reference::{self, Reference};
use crate::diff::{self, Cause, LayerReport, Place, Report, Side};
use crate::lock::Lock;
use crate::store::Store;

/// Say what differs between two images, locks or OCI layouts
#[derive(Debug, Args)]
#[command(
    after_help = "Each side is an image, a lock file, or an OCI layout (a folder or an archive). The status is 0 if \
    nothing differs and 3 if something does.\n\nExamples:\n  \
    repro diff seg-debian@3f2a seg-debian\n  \
    repro diff old/lockfiles/seg-debian.lock lockfiles/seg-debian.lock\n  \
    repro diff seg-debian layout      an image that another tool copied"
)]
pub struct Arguments {
    /// The first image, lock or layout
    #[arg(value_name = "A")]
    before: String,
    /// The second one
    #[arg(value_name = "B")]
    after: String,
    /// Show every file that differs, not only the first ones of each layer
    #[arg(long)]
    all: bool,
}

/// More files than this say no more to a reader.
const FILES_SHOWN: usize = 20;

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let before = side(context, &store, &arguments.before)?;
    let after = side(context, &store, &arguments.after)?;
    context.display.begin("comparing", 0);
    let report = diff::diff(&before, &after, &|bytes| context.display.advance(bytes));
    context.display.finish();
    let report = report?;
    if context.json {
        output::json(&report);
    } else {
        show(&report, arguments.all);
    }
    Ok(if report.is_same() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// What a word of the command line means: a file wins over an image of the same name only if it
/// looks like one.
fn side<'a>(context: &Context, store: &'a Store, text: &str) -> Result<Side<'a>, CliError> {
    let path = Path::new(text);
    if path.extension().is_some_and(|extension| extension == "lock") {
        let read = |source| CliError::Io { action: "read", path: path.to_owned(), source };
        let lock = Lock::parse(&fs::read_to_string(path).map_err(read)?, path)?;
        return Ok(of_lock(store, text, lock));
    }
    if path.is_file() || path.join("index.json").is_file() {
        let place = Some(Place::layout(path)?);
        return Ok(Side { name: text.to_owned(), lock: None, place });
    }
    match reference::resolve(context, store, text)? {
        Reference::Recipe(name) => Ok(of_lock(store, text, context.lock(&name)?)),
        Reference::Sealed { seal, .. } => {
            Ok(diff::stored(store, text, reference::lock_of(store, &seal)?, seal))
        }
    }
}

fn of_lock<'a>(store: &'a Store, text: &str, lock: Lock) -> Side<'a> {
    match lock.seal.as_ref().map(|seal| seal.manifest) {
        Some(seal) => diff::stored(store, text, lock, seal),
        None => Side { name: text.to_owned(), lock: Some(lock), place: None },
    }
}

fn show(report: &Report, all: bool) {
    if report.is_same() {
        return output::print("nothing differs\n");
    }
    for difference in report.lock.iter().chain(&report.config) {
        output::print(&format!("{difference}\n"));
    }
    report.layers.iter().for_each(|layer| show_layer(layer, all));
    if !report.compared_files {
        output::note("files were not compared: build both images to see them");
    }
}

fn show_layer(layer: &LayerReport, all: bool) {
    let title = match (&layer.before, &layer.after) {
        (Some(before), Some(after)) if before == after => format!("layer `{before}`"),
        (Some(before), Some(after)) => format!("layer `{before}` -> `{after}`"),
        (Some(before), None) => return output::print(&format!("- layer `{before}`\n")),
        (None, after) => {
            let after = after.as_deref().unwrap_or_default();
            return output::print(&format!("+ layer `{after}`\n"));
        }
    };
    let causes: Vec<String> =
        layer.causes.iter().map(|(cause, count)| words(*cause, *count)).collect();
    output::print(&format!("{title}: {}\n", causes.join(", ")));
    let shown = if all { layer.changes.len() } else { FILES_SHOWN };
    for change in layer.changes.iter().take(shown) {
        let sign = match (&change.before, &change.after) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        output::print(&format!("  {sign} {}\n", change.path));
        for (side, text) in [("before", &change.before), ("after ", &change.after)] {
            if let Some(text) = text {
                output::print(&format!("      {side}  {text}\n"));
            }
        }
    }
    if layer.changes.len() > shown {
        let more = layer.changes.len() - shown;
        output::print(&format!("  and {more} more; `--all` shows them\n"));
    }
}

fn words(cause: Cause, count: usize) -> String {
    let of_entries = |what: &str| format!("{what} of {}", output::count(count, "entry", "entries"));
    match cause {
        Cause::Content => of_entries("content"),
        Cause::Bytecode => of_entries("bytecode"),
        Cause::Mode => of_entries("mode"),
        Cause::Owner => of_entries("owner"),
        Cause::Time => of_entries("time"),
        Cause::Order => "the order of its entries".to_owned(),
        Cause::Encoding => "how its tar is written, with the same entries".to_owned(),
        Cause::Compressor => "only the compressor, with the same tar".to_owned(),
    }
}
