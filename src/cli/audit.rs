//! `repro audit`

mod show;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::context::Context;
use super::error::CliError;
use super::subject::Subject;
use super::{build, output};
use crate::audit::{Bench, Guide, LogReport, Report, StoredLog};
use crate::bench::{self, Case, RunRecord};
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
    /// The case that logs without a record are of
    #[arg(long, value_name = "CASE", requires = "logs")]
    case: Option<String>,
}

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
    logs: &[StoredLog],
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

fn logs(
    context: &Context,
    recipe: &Recipe,
    arguments: &Arguments,
) -> Result<Vec<StoredLog>, CliError> {
    let results = context.settings.results_folder();
    if arguments.logs.is_empty() {
        return if results.is_dir() { of_records(results, recipe) } else { Ok(Vec::new()) };
    }
    let mut logs = Vec::new();
    for path in &arguments.logs {
        let recorded = if path.is_dir() { of_records(path, recipe)? } else { Vec::new() };
        if recorded.is_empty() {
            logs.extend(without_record(path, recipe, arguments.case.as_deref())?);
        }
        logs.extend(recorded);
    }
    Ok(logs)
}

/// The logs of the records below a folder of runs, or below the folder of one run.
fn of_records(folder: &Path, recipe: &Recipe) -> Result<Vec<StoredLog>, CliError> {
    let log = |record: RunRecord| {
        let file = Path::new(&record.case).join(record.log?.file);
        let places = [folder.join(&record.run).join(&file), folder.join(&file)];
        let path = places.into_iter().find(|place| place.is_file())?;
        let is_ours = record.case.split('/').next() == Some(&recipe.system);
        is_ours.then_some(StoredLog { path, case: record.case, variables: record.variables })
    };
    Ok(bench::read_records(folder)?.into_iter().filter_map(log).collect())
}

/// A log that somebody else made, or each file of a folder.
fn without_record(
    path: &Path,
    recipe: &Recipe,
    case: Option<&str>,
) -> Result<Vec<StoredLog>, CliError> {
    let Some(name) = case else { return Err(CliError::NoCase { path: path.to_owned() }) };
    let case = case_of(recipe, name)?;
    let at = |source| CliError::Io { action: "read", path: path.to_owned(), source };
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        files = entries.map_err(at)?.into_iter().map(|entry| entry.path()).collect();
        files.retain(|file| file.is_file());
        files.sort();
    }
    let log = |path| StoredLog { path, case: name.to_owned(), variables: case.variables.clone() };
    Ok(files.into_iter().map(log).collect())
}

/// The case of this name in the guide's own matrix, or in another profile's.
fn case_of(recipe: &Recipe, name: &str) -> Result<Case, CliError> {
    let full = bench::FULL_PROFILE;
    let others = recipe.profiles.keys().map(String::as_str).filter(|profile| *profile != full);
    let mut known = Vec::new();
    for profile in [full].into_iter().chain(others) {
        for case in bench::expand(recipe, profile, &[])? {
            if case.name == name {
                return Ok(case);
            }
            known.push(case.name);
        }
    }
    known.sort();
    known.dedup();
    Err(CliError::UnknownCase { name: name.to_owned(), known })
}
