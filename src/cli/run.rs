//! `repro run`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::subject::{self, Subject};
use super::{build, output, watch};
use crate::bench::{self, Host, Options, PlannedCase, ProfileFile, RunSummary, Setting, Setup};
use crate::dataset::Unpacked;
use crate::digest::Digest;
use crate::engine::{Engine, Mount};
use crate::fetch;
use crate::image::Image;
use crate::lock::Lock;
use crate::registry;
use crate::report;
use crate::store::Store;

/// Run the benchmark's cases in the sealed image; write records and a table
#[derive(Debug, Args)]
#[command(
    after_help = "Builds the image and checks the data first, where that is not done yet.\n\nExamples:\n  \
    repro run --image seg-debian --profile smoke\n  \
    repro run --image seg-debian --case 'seg/fastscnn/*' --set iterations=20\n  \
    repro run --image seg-debian --profile smoke --resume\n  \
    repro run --image seg-debian --dry-run      the exact command, mounts and environment of each case"
)]
pub struct Arguments {
    /// The image: a name, `NAME@DIGEST` or an unambiguous prefix of its seal
    #[arg(long, short)]
    image: String,
    /// How to run it: a profile of the recipe
    #[arg(long, short, default_value = bench::FULL_PROFILE)]
    profile: String,
    /// Only these cases: names or globs
    #[arg(long, value_name = "CASE")]
    case: Vec<String>,
    /// Set a variable of the recipe otherwise; it is recorded as a deviation
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Go on with the next case when one fails
    #[arg(long)]
    keep_going: bool,
    /// Refuse to start if this machine lacks what a case needs, instead of skipping the case
    #[arg(long)]
    strict: bool,
    /// Seconds a case may take, instead of the recipe's
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// The folder that the run's own folder is made in [default: `results` in the project]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with a run that was broken off, the newest one if none is named: what is finished is
    /// not run again, what failed is
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "latest")]
    resume: Option<String>,
    /// Only say what would be run
    #[arg(long)]
    dry_run: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let mut subject = subject::resolve(context, &store, &arguments.image)?;
    let settings: Vec<Setting> =
        arguments.set.iter().map(|text| Setting::parse(text)).collect::<Result<_, _>>()?;
    let host = Host::of_this_machine();
    let request = Request { arguments, settings: &settings, host: &host };
    let planned = request.plan(context, &store, &subject)?;
    if arguments.dry_run {
        return dry_run(context, &store, &subject.lock, &planned);
    }
    let engine = context.engine()?;
    // Where this machine can run none of the cases, nothing is downloaded, built or hashed to say so.
    let idle = planned.iter().all(|case| case.skipped().is_some());
    let image = if idle {
        unbuilt(&subject.lock)
    } else {
        let built = build::ensure(context, &store, &subject)?;
        subject.lock = built.lock;
        built.image
    };
    let files = profile_files(&store, &subject, &arguments.profile)?;
    let data = request.data(context, &store, &subject, !idle)?;
    let setup = request.setup(&subject, &image, &files, &data);
    measure(context, &store, &*engine, &setup, arguments)
}

/// What the user asks for, on what machine.
struct Request<'a> {
    arguments: &'a Arguments,
    settings: &'a [Setting],
    host: &'a Host,
}

impl Request<'_> {
    /// The cases as they would be run; names are checked before anything is downloaded.
    fn plan(
        &self,
        context: &Context,
        store: &Store,
        subject: &Subject,
    ) -> Result<Vec<PlannedCase>, CliError> {
        bench::expand(&subject.recipe, &self.arguments.profile, self.settings)?;
        let image = unbuilt(&subject.lock);
        let files = profile_files(store, subject, &self.arguments.profile)?;
        let data = self.data(context, store, subject, false)?;
        Ok(bench::plan(&self.setup(subject, &image, &files, &data))?)
    }

    /// The folders of the profile's data sets; without `verified` where they would be.
    fn data(
        &self,
        context: &Context,
        store: &Store,
        subject: &Subject,
        verified: bool,
    ) -> Result<Folders, CliError> {
        let names = subject.recipe.profiles[&self.arguments.profile].data.values();
        super::verify_data::folders(context, &subject.project(context)?, store, names, verified)
    }

    fn setup<'s>(
        &'s self,
        subject: &'s Subject,
        image: &'s Image,
        files: &'s [ProfileFile],
        data: &'s Folders,
    ) -> Setup<'s> {
        Setup {
            recipe: &subject.recipe,
            lock: subject.lock.digest(),
            image,
            profile: &self.arguments.profile,
            cases: &self.arguments.case,
            settings: self.settings,
            files,
            data,
            timeout: self.arguments.timeout,
            host: self.host,
        }
    }
}

/// What a dry run needs of an image; an unsealed lock has a seal of zeros.
fn unbuilt(lock: &Lock) -> Image {
    Image {
        name: lock.name.clone(),
        seal: lock.seal.as_ref().map_or(Digest::from_bytes([0; 32]), |seal| seal.manifest),
        lock: lock.digest(),
        layers: Vec::new(),
        env: lock.env(),
        workdir: lock.config.workdir.clone(),
    }
}

/// The profile's files, out of the store: what is mounted cannot change any more.
fn profile_files(
    store: &Store,
    subject: &Subject,
    profile: &str,
) -> Result<Vec<ProfileFile>, CliError> {
    let files = crate::build::profile_files(store, &subject.folder, &subject.lock, profile)?;
    let file = |(target, digest)| {
        let source = store.blob_path(&digest);
        ProfileFile { target, source, digest }
    };
    Ok(files.into_iter().map(file).collect())
}

fn measure(
    context: &Context,
    store: &Store,
    engine: &dyn Engine,
    setup: &Setup,
    arguments: &Arguments,
) -> Result<ExitCode, CliError> {
    let options = Options {
        results: arguments.out.clone().unwrap_or(context.settings.results_folder().to_owned()),
        keep_going: arguments.keep_going,
        strict: arguments.strict,
        resume: arguments.resume.clone(),
    };
    let mut watch = watch::Watch::new(&context.display);
    let summary = bench::run(engine, store, setup, &options, &context.stop, &mut |event| {
        watch.tell(&event);
    })?;
    show(context, &summary);
    let skipped = |record: &bench::RunRecord| matches!(record.status, bench::Status::Skipped(_));
    Ok(match summary {
        RunSummary { stopped: true, .. } => ExitCode::from(130),
        ref summary if summary.all_ok() => ExitCode::SUCCESS,
        // The machine lacks what every case needs: nothing ran, so nothing failed.
        ref summary if summary.records.iter().all(skipped) => ExitCode::from(4),
        _ => ExitCode::from(5),
    })
}

fn show(context: &Context, summary: &RunSummary) {
    if context.json {
        return output::json(&json!({
            "run": summary.id, "folder": summary.folder, "ok": summary.all_ok(),
            "records": summary.records, "not_run": summary.not_run, "stopped": summary.stopped,
        }));
    }
    output::print(&report::report(&summary.records, report::Format::Text));
    for name in &summary.not_run {
        output::print(&format!("not run: {name}\n"));
    }
    output::print(&format!("results in {}\n", summary.folder.display()));
}

fn dry_run(
    context: &Context,
    store: &Store,
    lock: &Lock,
    planned: &[PlannedCase],
) -> Result<ExitCode, CliError> {
    if context.json {
        let cases: Vec<_> = planned.iter().map(describe).collect();
        output::json(&cases);
        return Ok(ExitCode::SUCCESS);
    }
    let mut wanted = fetch::wanted(lock);
    wanted.extend(registry::documents(lock));
    wanted.extend(registry::layers(lock));
    let missing = fetch::plan(store, &wanted);
    let missing = missing.iter().filter(|item| !item.present).map(|item| item.wanted.size).sum();
    output::print(&format!("to download: {}\n", output::size(missing)));
    for case in planned {
        output::print(&format!("\n{}\n", case.case.name));
        if let Some(reason) = case.skipped() {
            output::print(&format!("  skipped  {reason}\n"));
        }
        output::print(&format!("  folder   {}\n", case.job.workdir));
        let command = case.job.command.join(" ");
        if case.guide_command != command {
            output::print(&format!("  guide    {}\n", case.guide_command));
        }
        output::print(&format!("  command  {command}\n"));
        for (name, value) in &case.job.env {
            output::print(&format!("  env      {name}={value}\n"));
        }
        for Mount { source, target, .. } in &case.job.mounts {
            output::print(&format!("  mount    {} at {target}, read-only\n", source.display()));
        }
        output::print(&format!("  timeout  {} s\n", case.job.timeout.as_secs()));
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(case: &PlannedCase) -> serde_json::Value {
    let mounts: Vec<_> = case
        .job
        .mounts
        .iter()
        .map(|mount| json!({ "source": mount.source, "target": mount.target }))
        .collect();
    json!({
        "case": case.case.name, "guide_command": case.guide_command, "command": case.job.command, "env": case.job.env,
        "workdir": case.job.workdir, "mounts": mounts, "timeout": case.job.timeout.as_secs(),
        "lacks": case.lacks, "left_out": case.left_out, "deviations": case.case.deviations,
    })
}

/// Names of data sets to where they lie.
pub type Folders = BTreeMap<String, Unpacked>;
