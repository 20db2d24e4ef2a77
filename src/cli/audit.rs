//! `repro audit`

mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::context::Context;
use super::error::CliError;
use super::subject::Subject;
use super::{build, output, parse};
use crate::audit::{Bench, Guide, LogReport, Report};
use crate::bench::{self, Deviation, ParseRequest, ParsedLog, Setting};
use crate::digest::Digest;
use crate::recipe::Recipe;
use crate::store::Store;

/// Hold a guide against itself and against its recipe
#[derive(Debug, Args)]
#[command(
    after_help = "Reads the guide's files at the recipe's commit, runs the guide's own analysis on stored logs in \
    a sealed job and compares it with ours key by key, shows where the guide contradicts itself, and finds each \
    statement of its text again. Ends with 3 if something is not as the recipe says.\n\nExamples:\n  \
    repro audit seg                       with the logs of all runs in `results`\n  \
    repro audit seg --logs train.log --case seg/fastscnn/sp/bs2/fp32\n  \
    repro audit seg --logs results/RUN --json"
)]
pub struct Arguments {
    /// The system, or one image of it
    system: String,
    /// Logs: a file, a folder of logs, or a folder of runs [default: the results folder]
    #[arg(long, value_name = "FILE|DIR")]
    logs: Vec<PathBuf>,
    /// The case that a log without a record is of; without it the name of the log tells
    #[arg(long, value_name = "CASE", requires = "logs")]
    case: Vec<String>,
}

/// Seal of an image, and digest of its lock.
type Sealed = (Digest, Digest);

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let recipe = recipe(context, &arguments.system)?;
    let logs = logs(context, &recipe, arguments)?;
    let store = context.store()?;
    let stop = context.stop.flag();
    let guide = Guide::fetch(&context.settings, &store, &recipe, &context.display, &stop)?;
    let mut report = Report::of_text(&recipe, &guide)?;
    if guide.audit().script.is_some() && !logs.is_empty() {
        report.logs = compare(context, &store, &recipe, &guide, &logs)?;
    }
    context.display.finish();
    if context.json {
        output::json(&report);
    } else {
        show::show(&report);
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// The named image, or the first of the system that has everything pinned and can run a script.
fn recipe(context: &Context, name: &str) -> Result<Recipe, CliError> {
    let mut of_system: Vec<Recipe> = Recipe::load_all(&context.images()?)?
        .into_iter()
        .filter(|recipe| recipe.system == name || recipe.name == name)
        .collect();
    let mut complete = None;
    for (at, recipe) in of_system.iter().enumerate() {
        let lock = context.find_lock(&recipe.name)?;
        if complete.is_none() && lock.is_some_and(|lock| lock.unpinned.is_empty()) {
            complete = Some(at);
        }
    }
    match of_system.len() {
        0 => context.recipe(name),
        _ => Ok(of_system.swap_remove(complete.unwrap_or(0))),
    }
}

/// The guide's script beside ours on each log, in the sealed image.
fn compare(
    context: &Context,
    store: &Store,
    recipe: &Recipe,
    guide: &Guide,
    logs: &[ParsedLog],
) -> Result<Vec<LogReport>, CliError> {
    let lock = build::current_lock(context, &recipe.name)?;
    let folder = context.images()?;
    let subject = Subject { recipe: recipe.clone(), lock, folder, is_of_project: true };
    let image = build::ensure(context, store, &subject)?.image;
    let engine = context.engine()?;
    let bench = Bench { recipe, engine: &*engine, store, image: &image, stop: &context.stop };
    let mut reports = Vec::new();
    for log in logs {
        reports.extend(bench.compare(guide, log)?);
    }
    Ok(reports)
}

/// The logs that were named, or those of all runs.
fn logs(
    context: &Context,
    recipe: &Recipe,
    arguments: &Arguments,
) -> Result<Vec<ParsedLog>, CliError> {
    let sealed = parse::sealed(context, &recipe.name)?;
    let results = context.settings.results_folder();
    if arguments.logs.is_empty() {
        return if results.is_dir() { of_runs(results, recipe, sealed) } else { Ok(Vec::new()) };
    }
    let mut logs = Vec::new();
    for path in &arguments.logs {
        let of_runs = if path.is_dir() { of_runs(path, recipe, sealed)? } else { Vec::new() };
        if of_runs.is_empty() {
            let cases = arguments.case.as_slice();
            logs.extend(read(recipe, sealed, bench::FULL_PROFILE, cases, &[], path)?);
        }
        logs.extend(of_runs);
    }
    Ok(logs)
}

/// The logs of the records below a folder of runs, or below the folder of one run.
fn of_runs(folder: &Path, recipe: &Recipe, sealed: Sealed) -> Result<Vec<ParsedLog>, CliError> {
    let mut logs = Vec::new();
    for record in bench::read_records(folder)? {
        let is_ours = record.case.split('/').next() == Some(&recipe.system);
        let place = record.place();
        let Some(log) = record.log.filter(|_| is_ours) else { continue };
        let file = Path::new(&place).join(log.file);
        let places = [folder.join(&record.run).join(&file), folder.join(&file)];
        let Some(path) = places.iter().find(|place| place.is_file()) else { continue };
        let set = |deviation: Deviation| Setting { name: deviation.name, value: deviation.used };
        let settings: Vec<_> = record.deviations.into_iter().map(set).collect();
        let profile = &record.profile.name;
        logs.extend(read(recipe, sealed, profile, &[record.case], &settings, path)?);
    }
    Ok(logs)
}

fn read(
    recipe: &Recipe,
    sealed: Sealed,
    profile: &str,
    cases: &[String],
    settings: &[Setting],
    path: &Path,
) -> Result<Vec<ParsedLog>, CliError> {
    let paths = &[path.to_owned()];
    let request = ParseRequest { recipe, sealed, profile, cases, settings, paths };
    Ok(bench::parse(&request)?.logs)
}
