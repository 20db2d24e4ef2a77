//! `repro run`

mod request;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::preflight::{Draft, Preflight};
use super::{build, detach, dry_run, output, rehearse, report, watch};
use crate::bench::{self, Announced, End, Host, Options, RunSummary, Setup, StateKeeper};
use crate::dataset::Unpacked;
use crate::results;
use crate::store::Store;

pub use request::Request;
pub use request::profile_files;

/// Run the benchmark's cases in the sealed image; write records and a table
#[derive(Debug, Args)]
#[command(
    after_help = "Builds the image and checks the data first, where that is not done yet.\n\nExamples:\n  \
    repro run seg-debian --profile smoke           as `repro run --image seg-debian`\n  \
    repro run --image seg-debian --case 'seg/fastscnn/*' --set iterations=20\n  \
    repro run --image seg-debian --profile smoke --resume\n  \
    repro run --image seg-debian --repeat 5     how far apart runs lie, not only the steps of one\n  \
    repro run --image seg-debian --detach                goes on when this terminal is closed\n  \
    repro run --image seg-debian --gpus 2,3 --jobs 2     one-card cases side by side on two cards\n  \
    repro run --image seg-debian --input checkpoint=last.ckpt --case '*/eval/*'\n  \
    repro run --image seg-debian --rehearse     what a case on GPUs would lack, on a machine without them\n  \
    repro run --image seg-debian --dry-run      the exact command, mounts and environment of each case"
)]
pub struct Arguments {
    /// The image: a name, `NAME@DIGEST` or an unambiguous prefix of its seal
    #[arg(required_unless_present = "named_image")]
    image: Option<String>,
    /// The same as IMAGE
    #[arg(
        id = "named_image",
        long = "image",
        short,
        value_name = "IMAGE",
        conflicts_with = "image",
        help_heading = "What is run"
    )]
    named: Option<String>,
    /// How to run it: a profile of the recipe
    #[arg(long, short, default_value = bench::FULL_PROFILE, help_heading = "What is run")]
    pub(super) profile: String,
    /// Only these cases: names or globs
    #[arg(long, value_name = "CASE", help_heading = "What is run")]
    case: Vec<String>,
    /// Set a variable of the recipe otherwise; it is recorded as a deviation
    #[arg(long, value_name = "NAME=VALUE", help_heading = "What is run")]
    set: Vec<String>,
    /// Go on with the next case when one fails
    #[arg(long, help_heading = "How it goes")]
    pub(super) keep_going: bool,
    /// Refuse to start if this machine lacks what a case needs, instead of skipping the case
    #[arg(long, help_heading = "How it goes")]
    pub(super) strict: bool,
    /// Seconds a case may take, instead of the recipe's
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "How it goes")]
    pub(super) timeout: Option<u64>,
    /// The folder that the run's own folder is made in [default: `results` in the project]
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    out: Option<PathBuf>,
    /// Go on with a run that was broken off, the newest one if none is named: what is finished is
    /// not run again, what failed is
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "latest", help_heading = "Results")]
    resume: Option<String>,
    /// Run on these GPUs only: numbers as `nvidia-smi` shows them, or UUIDs [default: any that are free]
    #[arg(long, value_name = "GPU,…", value_delimiter = ',', help_heading = "How it goes")]
    gpus: Option<Vec<String>>,
    /// Run on GPUs and drivers that the image's code is not for, too
    #[arg(long, help_heading = "How it goes")]
    any_gpu: bool,
    /// Run so many cases of one GPU (or of none) side by side; their records say so
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one, help_heading = "How it goes")]
    jobs: usize,
    /// Run the matrix so many times, each case as often; the spread between them is told
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = "How it goes")]
    repeat: Option<usize>,
    /// Give cases a file that they take in; its digest stands in their records
    #[arg(long, value_name = "NAME=FILE", help_heading = "What is run")]
    input: Vec<String>,
    /// Keep every output that the recipe declares, such as checkpoints
    #[arg(long, help_heading = "Results")]
    keep: bool,
    /// Only say what would be run
    #[arg(long, help_heading = "How it goes")]
    dry_run: bool,
    /// Only see how far each case comes without a GPU: its real command starts on made-up data in the layout
    /// of the real ones, and has to fail for want of a GPU and of nothing else. Writes no record
    #[arg(long, conflicts_with_all = ["dry_run", "detach", "resume", "repeat", "keep", "out", "jobs", "gpus", "any_gpu"], help_heading = "How it goes")]
    rehearse: bool,
    /// Go on without this terminal once nothing can be refused any more; `repro attach` follows it
    #[arg(long, help_heading = "How it goes")]
    detach: bool,
    /// The process that goes on
    #[arg(long = detach::WORD, hide = true)]
    in_background: bool,
}

impl Arguments {
    /// The image, which the parser made sure of.
    fn image(&self) -> &str {
        self.image.as_deref().or(self.named.as_deref()).unwrap_or_default()
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().map_err(|error| error.to_string())?;
    if number == 0 { Err("one at least".to_owned()) } else { Ok(number) }
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    if arguments.in_background {
        detach::leave_terminal();
    }
    let store = context.store()?;
    let mut draft = Draft::resolve(context, &store, arguments.image())?;
    let host = Host::of_this_machine();
    let mut request = Request::new(arguments, &host)?;
    if arguments.rehearse {
        return rehearse::run(context, &store, draft, request, arguments);
    }
    let mut ready = request.ready(context, &store, &draft)?;
    if arguments.dry_run {
        let cases = (ready.planned.as_slice(), arguments.repeat.unwrap_or(1));
        return dry_run::show(context, &store, draft.lock.as_ref(), cases, &ready.preflight);
    }
    if ready.preflight.refuses(arguments.strict) {
        return Ok(ready.preflight.refuse(context));
    }
    if !arguments.in_background {
        ready.preflight.tell();
    }
    let mut subject = draft.subject()?;
    let built = build::ensure(context, &store, &subject)?;
    subject.lock = built.lock;
    if ready.has_unread {
        // Now that the wheels are here, their code can be looked at.
        draft.lock = Some(subject.lock.clone());
        drop(ready);
        ready = request.ready(context, &store, &draft)?;
        if ready.preflight.refuses(arguments.strict) {
            return Ok(ready.preflight.refuse(context));
        }
        ready.preflight.tell();
    }
    let files = profile_files(&store, &subject.folder, &subject.lock, &arguments.profile)?;
    let names = subject.recipe.profiles[&arguments.profile].data.values();
    let project = subject.project(context)?;
    let data = super::verify_data::folders(context, &project, &store, names)?;
    let (lock, software) = (subject.lock.digest(), subject.lock.software());
    if arguments.detach && !arguments.in_background {
        // The process that goes on takes the GPUs for itself.
        drop(ready);
        return detach::start(context);
    }
    let setup = request.setup(&subject.recipe, (lock, &software), &built.image, &files, &data);
    measure(context, &store, &setup, arguments, &ready.preflight)
}

fn measure(
    context: &Context,
    store: &Store,
    setup: &Setup,
    arguments: &Arguments,
    preflight: &Preflight,
) -> Result<ExitCode, CliError> {
    let engine = context.engine()?;
    let options = Options {
        results: arguments.out.clone().unwrap_or(context.settings.results_folder().to_owned()),
        keep_going: arguments.keep_going,
        strict: arguments.strict,
        resume: arguments.resume.clone(),
        jobs: arguments.jobs,
        keep: arguments.keep,
        repeat: arguments.repeat,
    };
    let keeper = StateKeeper::new(store, announced(setup, arguments, preflight));
    let mut watch = watch::Watch::new(&context.display);
    // Only a help to find the run again, also after it was killed; the run is what counts.
    let _ = results::note_folder(store, &options.results);
    let mut folder = PathBuf::new();
    let mut events = |event: bench::Event| {
        if let Err(error) = keeper.tell(&event) {
            output::note(&format!("warning: `repro status` will not know of this run: {error}"));
        }
        if let (true, bench::Event::RunStarted { id, folder, .. }) =
            (arguments.in_background, &event)
        {
            detach::hand_over(context, id, folder);
        }
        watch.tell(&event);
        match event {
            bench::Event::RunStarted { folder: started, .. } => folder = started.to_owned(),
            // The record is on disk; what becomes of the index is nothing to the run.
            bench::Event::CaseEnded { .. } => drop(index_run(store, &folder)),
            _ => {}
        }
    };
    let summary = keeper
        .while_running(|| bench::run(&*engine, store, setup, &options, &context.stop, &mut events));
    let summary = summary.map_err(CliError::from);
    let kept = keeper.end(end_of(&summary));
    let summary = summary?;
    kept?;
    show(context, &summary, &preflight.json());
    Ok(ExitCode::from(code_of(&summary)))
}

fn index_run(store: &Store, folder: &Path) -> Result<(), results::ResultsError> {
    results::Index::open(store)?.update_run(folder)
}

/// What others may know of this run.
fn announced(setup: &Setup, arguments: &Arguments, preflight: &Preflight) -> Announced {
    Announced {
        image: setup.image.name.clone(),
        profile: arguments.profile.clone(),
        resume: detach::resume_words(std::env::args_os().skip(1)),
        left_out: preflight.left_out(),
        detached: arguments.in_background,
    }
}

fn end_of(summary: &Result<RunSummary, CliError>) -> End {
    match summary {
        Ok(summary) => End {
            code: code_of(summary),
            stopped: summary.stopped,
            not_run: summary.not_run.clone(),
            error: None,
        },
        Err(error) => {
            let (code, error) = (error.code(), Some(error.text()));
            End { code, stopped: false, not_run: Vec::new(), error }
        }
    }
}

fn code_of(summary: &RunSummary) -> u8 {
    let skipped = |record: &bench::RunRecord| matches!(record.status, bench::Status::Skipped(_));
    match summary {
        RunSummary { stopped: true, .. } => 130,
        summary if summary.all_ok() => 0,
        // The machine lacks what every case needs: nothing ran, so nothing failed.
        summary if summary.records.iter().all(skipped) => 4,
        _ => 5,
    }
}

/// The end of a run for its reader: the table, what was not reached, where everything lies.
pub fn show(context: &Context, summary: &RunSummary, missing: &serde_json::Value) {
    if context.json {
        return output::json(&json!({
            "run": summary.id, "folder": summary.folder, "ok": summary.all_ok(),
            "records": summary.records, "not_run": summary.not_run, "stopped": summary.stopped,
            "missing": missing, "repeats": bench::repeats(&summary.records),
        }));
    }
    report::print(&summary.records);
    for name in &summary.not_run {
        output::print(&format!("not run: {name}\n"));
    }
    output::print(&format!("results in {}\n", summary.folder.display()));
}

/// Names of data sets to where they lie.
pub type Folders = BTreeMap<String, Unpacked>;
