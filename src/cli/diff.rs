//! `repro diff`

mod runs;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::context::Context;
use super::error::CliError;
use super::output;
use super::reference::{self, Reference};
use crate::bench::RunRecord;
use crate::diff::{self, Cause, DiffError, LayerReport, Place, Report, Side};
use crate::lock::Lock;
use crate::named_file;
use crate::results;
use crate::store::Store;

/// Say what differs between two images, locks or OCI layouts, or between two runs
#[derive(Debug, Args)]
#[command(
    after_help = "Each side is an image, a lock file, or an OCI layout (a folder or an archive); or a run (its ID, an \
    unambiguous beginning of it, `latest`, or the path of its folder), or several runs of the same with commas between \
    them.\n\nThe status is 0 if nothing differs and 3 if something does. Runs differ by what went in, by the machine, by the \
    cases they have and how those ended, and by a speed that changed by more than the noise between repetitions; \
    noise alone is no difference, and one run on each side does not tell.\n\nExamples:\n  \
    repro diff seg-debian@3f2a seg-debian\n  \
    repro diff old/lockfiles/seg-debian.lock lockfiles/seg-debian.lock\n  \
    repro diff seg-debian layout      an image that another tool copied\n  \
    repro diff 20261121T09 latest     two runs: inputs, machine, speed\n  \
    repro diff 20261121T09,20261121T10 20261122T09 --alpha 0.001"
)]
pub struct Arguments {
    /// The first image, lock or layout, or the first runs
    #[arg(value_name = "A")]
    before: String,
    /// The second one, or the second runs
    #[arg(value_name = "B")]
    after: String,
    /// Show every file that differs, not only the first ones of each layer
    #[arg(long)]
    all: bool,
    /// The part of comparisons of equally fast runs in which noise may be called a change
    #[arg(long, value_name = "PART", default_value_t = 0.01, value_parser = part)]
    alpha: f64,
}

/// More files than this say no more to a reader.
const FILES_SHOWN: usize = 20;

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store_to_read()?;
    let sides = [&arguments.before, &arguments.after].map(|text| side(context, &store, text));
    let [before, after] = sides;
    let (before, after) = match (before?, after?) {
        (Sided::Image(before), Sided::Image(after)) => (before, after),
        (Sided::Runs(before), Sided::Runs(after)) => {
            return diff_runs(context, &before, &after, arguments.alpha);
        }
        (Sided::Runs(_), Sided::Image(_)) => {
            return Err(only_one_run(&arguments.before, &arguments.after));
        }
        (Sided::Image(_), Sided::Runs(_)) => {
            return Err(only_one_run(&arguments.after, &arguments.before));
        }
    };
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

/// What a word of the command line means.
enum Sided<'a> {
    /// An image, a lock or a layout.
    Image(Box<Side<'a>>),
    /// The folders of runs.
    Runs(Vec<PathBuf>),
}

/// An image wins over a run of the same name: names of runs are long, and no image is named like one.
fn side<'a>(context: &Context, store: &'a Store, text: &str) -> Result<Sided<'a>, CliError> {
    let words: Vec<String> = text.split(',').map(str::to_owned).collect();
    if words.len() > 1 {
        return Ok(Sided::Runs(context.find_runs(store, &words)?));
    }
    let is_folder = Path::new(text).is_dir() && !Path::new(text).join("index.json").is_file();
    match image(context, store, text) {
        Ok(side) => Ok(Sided::Image(Box::new(side))),
        Err(error) => match context.find_runs(store, &words) {
            Ok(folders) => Ok(Sided::Runs(folders)),
            Err(of_runs) if is_folder || is_of_run(text) => Err(of_runs),
            Err(_) => Err(error),
        },
    }
}

/// Whether a run is meant rather than an image: names of runs begin with their day.
fn is_of_run(text: &str) -> bool {
    results::is_run_word(text) || text.starts_with(|c: char| c.is_ascii_digit())
}

fn only_one_run(run: &str, other: &str) -> CliError {
    DiffError::OnlyOneRun { run: run.to_owned(), other: other.to_owned() }.into()
}

/// A file wins over an image of the same name only if it looks like one.
fn image<'a>(context: &Context, store: &'a Store, text: &str) -> Result<Side<'a>, CliError> {
    let path = Path::new(text);
    if path.extension().is_some_and(|extension| extension == "lock") {
        let read = |source| CliError::Io { action: "read", path: path.to_owned(), source };
        let lock = Lock::parse(&named_file::read_text(path).map_err(read)?, path)?;
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

fn diff_runs(
    context: &Context,
    before: &[PathBuf],
    after: &[PathBuf],
    alpha: f64,
) -> Result<ExitCode, CliError> {
    let (before, after) = (records(before)?, records(after)?);
    let report = diff::diff_runs(&before, &after, alpha);
    if context.json {
        output::json(&report);
    } else {
        runs::show(&report);
    }
    Ok(if report.is_same() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// What cannot be read is told; that nothing can is an error, for nothing would differ then.
fn records(folders: &[PathBuf]) -> Result<Vec<RunRecord>, CliError> {
    let loaded = results::load(folders).readable()?;
    for file in &loaded.unreadable {
        output::note(&format!("not read: {}", file.reason));
    }
    Ok(loaded.records.into_iter().map(|stored| stored.record).collect())
}

fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().map_err(|_| "not a number".to_owned())?;
    let is_part = part > 0.0 && part < 1.0;
    is_part.then_some(part).ok_or_else(|| "not between 0 and 1".to_owned())
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
