//! `repro run --rehearse`: how far each case comes on a machine without GPUs.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::preflight::Draft;
use super::run::{Arguments, Folders, Request, profile_files};
use super::subject::Subject;
use super::{build, output};
use crate::bench::{self, PATIENCE, PlannedCase, ProfileFile, Reached, Rehearsed};
use crate::dataset::{self, Datasets};
use crate::fetch;
use crate::fetch::data::{DataRequest, Means, fetch_lists};
use crate::lock::Lock;
use crate::store::Store;

/// Starts each chosen case without GPUs, on data that only have the right layout.
pub fn run(
    context: &Context,
    store: &Store,
    mut draft: Draft,
    mut request: Request,
    arguments: &Arguments,
) -> Result<ExitCode, CliError> {
    let name = &arguments.profile;
    bench::expand(&draft.recipe, name, &[])?;
    let profile = draft.recipe.profiles.get_mut(name).expect("a matrix was expanded for it");
    // The machine's GPUs and data are no part of it.
    let has_gpus = std::mem::take(&mut profile.gpus);
    let data = std::mem::take(&mut profile.data);
    let ready = request.ready(context, store, &draft)?;
    if ready.preflight.refuses(arguments.strict) {
        return Ok(ready.preflight.refuse(context));
    }
    ready.preflight.tell();
    let mut subject = draft.subject()?;
    let built = build::ensure(context, store, &subject)?;
    subject.lock = built.lock;
    let folders = stand_ins(context, store, &subject, data.values())?;
    subject.recipe.profiles.get_mut(name).expect("it is the same recipe").data = data;
    let mut files = profile_files(store, &subject.folder, &subject.lock, name)?;
    files.extend(driver(store, &subject.lock, &files));
    let (lock, software) = (subject.lock.digest(), BTreeMap::new());
    let setup = request.setup(&subject.recipe, (lock, &software), &built.image, &files, &folders);
    let mut planned = bench::plan(&setup)?;
    if arguments.timeout.is_none() {
        planned.iter_mut().for_each(|case| case.job.timeout = case.job.timeout.min(PATIENCE));
    }
    let engine = context.engine()?;
    let mut rehearsed = Vec::new();
    for case in &planned {
        let made_of = (&built.image, &subject.recipe);
        let one = bench::rehearse(&*engine, store, made_of, (case, has_gpus), &context.stop)?;
        if context.stop.is_requested() {
            return Err(CliError::Stopped);
        }
        tell(context, &one);
        let failed = one.state == Reached::Failed;
        rehearsed.push(one);
        if failed && !arguments.keep_going {
            break;
        }
    }
    Ok(end(context, &planned, &rehearsed))
}

/// What takes the place of each data set, by its name.
fn stand_ins<'a>(
    context: &Context,
    store: &Store,
    subject: &Subject,
    names: impl Iterator<Item = &'a String>,
) -> Result<Folders, CliError> {
    let datasets = Datasets::load(&subject.project(context)?)?;
    let names: Vec<String> = names.cloned().collect();
    let stop = context.stop.flag();
    let means = Means {
        settings: &context.settings,
        store,
        progress: &context.display,
        hashing: &context.display,
        stop: &stop,
    };
    // Lists are all that a rehearsal takes of the real data.
    let (datasets, data) = (&datasets, store.root());
    let request = DataRequest {
        datasets,
        names: &names,
        data,
        keep_archives: false,
        free_space: &fetch::free_space,
    };
    if !names.is_empty() {
        fetch_lists(&request, means)?.iter().for_each(|failed| output::note(failed));
    }
    let mut folders = Folders::new();
    for name in names {
        let made = dataset::stand_in(datasets, &name, store, &context.display)?;
        folders.insert(name, made);
    }
    Ok(folders)
}

/// Stand-ins for the driver's library that build jobs make for profiles without GPUs: a framework
/// that is linked to it could not even be imported.
fn driver(store: &Store, lock: &Lock, files: &[ProfileFile]) -> Vec<ProfileFile> {
    let made = lock.builds.iter().flat_map(|build| &build.files);
    let is_driver =
        |path: &str| path.rsplit('/').next().is_some_and(|it| it.starts_with("libcuda.so"));
    let wanted = made.filter(|file| {
        is_driver(&file.path) && files.iter().all(|other| other.target != file.path)
    });
    let file = |file: &crate::lock::BuiltFile| ProfileFile {
        target: file.path.clone(),
        source: store.blob_path(&file.sha256),
        digest: file.sha256,
    };
    wanted.map(file).collect()
}

fn tell(context: &Context, one: &Rehearsed) {
    if context.json {
        return;
    }
    let word = match one.state {
        Reached::Good => "good",
        Reached::Failed => "failed",
        Reached::Skipped => "skipped",
    };
    let time = one.duration.map_or(String::new(), |seconds| format!(", {seconds:.0} s"));
    output::print(&output::states(&format!("{}  {word}{time}\n", one.case)));
    output::print(&format!("  {}\n", one.reason));
    if one.state == Reached::Failed {
        one.last_lines.iter().for_each(|line| output::print(&format!("  | {line}\n")));
    }
}

/// The end for its reader, and the exit code: 5 if a case failed, 4 if none could start.
fn end(context: &Context, planned: &[PlannedCase], rehearsed: &[Rehearsed]) -> ExitCode {
    let count = |state| rehearsed.iter().filter(|one| one.state == state).count();
    let (good, failed) = (count(Reached::Good), count(Reached::Failed));
    let ok = failed == 0 && good > 0;
    if context.json {
        output::json(&json!({ "rehearsal": true, "ok": ok, "cases": rehearsed }));
    } else {
        let cases = output::count(planned.len(), "case", "cases");
        output::print(&format!("{good} of {cases} came as far as the GPU; nothing was measured\n"));
    }
    match (ok, failed) {
        (true, _) => ExitCode::SUCCESS,
        (false, 0) => ExitCode::from(4),
        (false, _) => ExitCode::from(5),
    }
}
