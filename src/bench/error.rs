//! What can go wrong before, between and after cases; a case that fails is a record.

use std::io;
use std::path::{Path, PathBuf};

use crate::recipe::Recipe;
use crate::store::StoreError;

/// Why a benchmark cannot be planned or run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The recipe's benchmark part is wrong; every problem is listed.
    #[error("the benchmark of `{recipe}` cannot be run\n{}", list(problems))]
    Recipe {
        /// Name of the image.
        recipe: String,
        /// What is wrong, one fragment each.
        problems: Vec<String>,
    },
    /// No profile has this name.
    #[error("`{image}` has no profile `{name}`{}\n  known    {}", super::nearest::hint(name, known), known.join(", "))]
    UnknownProfile {
        /// The name asked for.
        name: String,
        /// The image.
        image: String,
        /// The profiles there are.
        known: Vec<String>,
    },
    /// No case has this name.
    #[error("no case is named `{pattern}`{}", nearest_cases(near, *count))]
    UnknownCase {
        /// What was asked for.
        pattern: String,
        /// The names most like it.
        near: Vec<String>,
        /// How many cases there are.
        count: usize,
    },
    /// The guide has the case, and the recipe says why nobody here can run it.
    #[error("`{case}` cannot be run: {reason}")]
    Unavailable {
        /// What was asked for.
        case: String,
        /// The recipe's reason.
        reason: String,
    },
    /// Several cases fit a name that is no glob.
    #[error("`{pattern}` is more than one case\n{}", list(matches))]
    AmbiguousCase {
        /// What was asked for.
        pattern: String,
        /// The cases it could be.
        matches: Vec<String>,
    },
    /// A glob cannot be read.
    #[error("`{pattern}` is no glob of case names: {reason}")]
    CaseGlob {
        /// What was asked for.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A `NAME=VALUE` cannot be used.
    #[error("cannot set `{text}`: {reason}")]
    Setting {
        /// As the user wrote it.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No variable of the recipe has the name that was set.
    #[error("cannot set `{name}`: no such variable{}\n  known    {}", super::nearest::hint(name, known), known.join(", "))]
    UnknownSetting {
        /// The name.
        name: String,
        /// The variables there are.
        known: Vec<String>,
    },
    /// The profile mounts what the caller has not provided.
    #[error("profile `{profile}` needs what is not there\n{}", list(missing))]
    MissingInput {
        /// The profile.
        profile: String,
        /// Data sets and files, one each.
        missing: Vec<String>,
    },
    /// This machine lacks what cases need, and the user wants all or nothing.
    #[error("this machine cannot run {} of the cases\n{}", lacking.len(), list(lacking))]
    Strict {
        /// Case and reason, one each.
        lacking: Vec<String>,
    },
    /// No GPU of this machine has the name that was chosen.
    #[error("this machine has no one GPU `{name}`{}", gpus(known))]
    UnknownGpu {
        /// What was asked for.
        name: String,
        /// Number, UUID and model of each there is.
        known: Vec<String>,
    },
    /// GPUs that were chosen are not free.
    #[error("GPUs that were chosen are not free\n{}\n  ({looked})", list(taken))]
    GpusTaken {
        /// Which and why, one each.
        taken: Vec<String>,
        /// What was looked at.
        looked: String,
    },
    /// No chosen case takes an input of the name that was given.
    #[error("no chosen case takes an input `{name}`{}", inputs(known))]
    UnknownInput {
        /// The name.
        name: String,
        /// The inputs that they take.
        known: Vec<String>,
    },
    /// A `NAME=FILE` cannot be used.
    #[error("cannot take `{text}` as an input: {reason}")]
    Input {
        /// As the user wrote it.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no run to go on with.
    #[error("there is no run `{name}` in `{}`", results.display())]
    NoRun {
        /// What was asked for.
        name: String,
        /// The folder of runs.
        results: PathBuf,
    },
    /// The run to go on with repeats its cases, and no record says how often.
    #[error("`{}` has repetitions, but no record that says how many were asked for", folder.display())]
    HowOften {
        /// The folder of the run.
        folder: PathBuf,
    },
    /// The run to go on with has not ended.
    #[error("run `{run}` is still going on")]
    RunIsLive {
        /// The run.
        run: String,
    },
    /// The run to go on with was made from other inputs.
    #[error("run `{run}` cannot go on: `{case}` was run with other inputs\n{}", list(differences))]
    OtherInputs {
        /// The run.
        run: String,
        /// The first case that tells so.
        case: String,
        /// What differs, with both values.
        differences: Vec<String>,
    },
    /// A log or a folder of logs that was named is not there.
    #[error("there is no file or folder `{}`", path.display())]
    NoPath {
        /// What was named.
        path: PathBuf,
    },
    /// A file has not the name of a case's log.
    #[error("`{}` has the name of no case's log\n{}", path.display(), list(names))]
    NoCaseOfLog {
        /// The file.
        path: PathBuf,
        /// The names that logs have.
        names: Vec<String>,
    },
    /// No file of some folders has the name of a case's log.
    #[error(
        "no file in {} has the name of a case's log\n  found     {}\n  expected  {}",
        quoted(folders),
        looked_at(files),
        column(names)
    )]
    NoLogInFolder {
        /// The folders.
        folders: Vec<PathBuf>,
        /// The files in them.
        files: Vec<PathBuf>,
        /// The names that logs have.
        names: Vec<String>,
    },
    /// Two files are the log of one case.
    #[error("there are two logs of `{case}`\n  one    {}\n  other  {}", one.display(), other.display())]
    TwoLogs {
        /// The case.
        case: String,
        /// A log.
        one: PathBuf,
        /// Another log.
        other: PathBuf,
    },
    /// What lies beside a log does not say when its pieces arrived.
    #[error("the arrivals beside `{}` are not those of this log: {reason}", log.display())]
    Arrivals {
        /// The log.
        log: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A record cannot be read.
    #[error("`{}` is no run record: {reason}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A record was written by a later program.
    #[error("`{}` was written by a newer program\n  its version   {version}\n  known here    {known}", path.display())]
    LaterRecord {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The latest version that this program knows.
        known: u32,
    },
    /// What tells where a run is cannot be read.
    #[error("`{}` tells of no run: {reason}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An operation on a file of the results failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BenchError {
    pub(super) fn recipe(recipe: &Recipe, problems: Vec<String>) -> Self {
        Self::Recipe { recipe: recipe.name.clone(), problems }
    }
}

/// Adds action and path to a system error.
pub(super) fn at<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> BenchError + 'a {
    move |source| BenchError::Io { action, path: path.to_owned(), source }
}

fn list(items: &[String]) -> String {
    items
        .iter()
        .map(|item| format!("  {}", item.replace('\n', "\n  ")))
        .collect::<Vec<_>>()
        .join("\n")
}

fn quoted(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}

/// Files that are named when none of them was what was looked for.
const MOST_FILES: usize = 10;

fn looked_at(files: &[PathBuf]) -> String {
    let shown = files.iter().take(MOST_FILES).map(|path| path.display().to_string());
    let more = files.len().saturating_sub(MOST_FILES);
    let rest = (more > 0).then(|| format!("and {more} more"));
    match files {
        [] => "no file that could be one".to_owned(),
        _ => column(&shown.chain(rest).collect::<Vec<_>>()),
    }
}

/// Items below each other, behind a word of eight letters.
fn column(items: &[String]) -> String {
    items.join("\n            ")
}

fn gpus(known: &[String]) -> String {
    match known {
        [] => "; it has none".to_owned(),
        _ => format!("\n{}", list(known)),
    }
}

fn inputs(known: &[String]) -> String {
    match known {
        [] => "; they take none".to_owned(),
        _ => format!("\n  known  {}", known.join(", ")),
    }
}

fn nearest_cases(near: &[String], count: usize) -> String {
    match near {
        [] => format!(" ({count} cases are known)"),
        _ => format!("\n  nearest  {}", near.join("\n           ")),
    }
}
