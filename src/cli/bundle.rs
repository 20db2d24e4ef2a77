//! `repro bundle`

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::subject::{self, Subject};
use super::{build, known, output};
use crate::bench::{self, RunRecord};
use crate::carry::{self, Contents};
use crate::dataset::{self, Datasets};
use crate::results;
use crate::store::{Store, create_own};

/// Write one file with everything that an image or a run needs
#[derive(Debug, Args)]
#[command(
    after_help = "The file is a tar archive; the same contents give the same bytes. `repro import` reads it. \
    Logs go along as they are; what they tell of this machine (addresses, names, paths) is counted on standard error.\n\nExamples:\n  \
    repro bundle seg-debian -o seg.repro --with-data              recipe, lock, inputs, data sets\n  \
    repro bundle latest -o run.repro                              the image of the newest run, its records and logs\n  \
    repro bundle seg-debian -o - --with-program | ssh host 'cat > seg.repro'"
)]
pub struct Arguments {
    /// The image; or a run by its ID, a beginning of it with its day, its folder, or `latest`
    #[arg(value_name = "IMAGE|RUN")]
    what: String,
    /// The file to write; `-` for standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// With the data sets of the run, or of every profile
    #[arg(long)]
    with_data: bool,
    /// With this program
    #[arg(long)]
    with_program: bool,
    /// Only say what would be written
    #[arg(long)]
    dry_run: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let to_file = arguments.output.as_os_str() != "-";
    if to_file && arguments.output.exists() && !arguments.dry_run {
        return Err(crate::image::ImageError::Exists { path: arguments.output.clone() }.into());
    }
    let contents = collect(context, &store, arguments)?;
    let bytes = contents.parts().map(carry::Part::size).sum();
    if arguments.dry_run {
        show(context, &contents, bytes);
        return Ok(ExitCode::SUCCESS);
    }
    context.display.begin(&format!("writing {}", output::size(bytes)), bytes);
    let written = write(context, &contents, &arguments.output, to_file);
    context.display.finish();
    written?;
    if to_file {
        let files = contents.parts().count();
        if context.json {
            output::json(&json!({ "file": arguments.output, "files": files, "bytes": bytes }));
        } else {
            output::print(&format!("{}\n", arguments.output.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn collect(context: &Context, store: &Store, arguments: &Arguments) -> Result<Contents, CliError> {
    let mut contents = Contents::default();
    let run = find_run(context, store, &arguments.what)?;
    let subject = match &run {
        Some(run) => subject_of(context, store, &run.records)?,
        None => subject::resolve(context, store, &arguments.what)?,
    };
    let built = build::ensure(context, store, &subject)?;
    contents.add_image(store, &built.lock, &subject.recipe.system, &subject.recipe.text)?;
    if let Some(run) = &run {
        contents.add_run(&run.id, &run.folder)?;
        known::flag_run(context, &run.folder);
    }
    let names: BTreeSet<String> = match &run {
        Some(run) => run
            .records
            .iter()
            .flat_map(|record| &record.data)
            .map(|data| data.name.clone())
            .collect(),
        None => subject
            .recipe
            .profiles
            .values()
            .flat_map(|profile| profile.data.values().cloned())
            .collect(),
    };
    add_data(context, &subject, &names, (arguments.with_data, run.is_some()), &mut contents)?;
    if arguments.with_program {
        let program = std::env::current_exe().map_err(|source| CliError::Io {
            action: "find",
            path: "/proc/self/exe".into(),
            source,
        })?;
        contents.add_program(&program)?;
    }
    Ok(contents)
}

/// A run that was found by its name or folder.
struct Run {
    id: String,
    folder: PathBuf,
    records: Vec<RunRecord>,
}

/// The run of a word, if it is not an image's.
fn find_run(context: &Context, store: &Store, text: &str) -> Result<Option<Run>, CliError> {
    let is_run = results::is_run_word(text);
    let folder = match context.find_runs(store, &[text.to_owned()]) {
        Ok(folders) => match <[PathBuf; 1]>::try_from(folders) {
            Ok([folder]) => folder,
            Err(several) => {
                let candidates = several.iter().map(|it| it.display().to_string()).collect();
                return Err(CliError::Ambiguous { reference: text.to_owned(), candidates });
            }
        },
        Err(error) if is_run => return Err(error),
        Err(_) => return Ok(None),
    };
    // An image's name may be the beginning of some folder's.
    if !is_run && !folder.ends_with(text) && !Path::new(text).exists() {
        return Ok(None);
    }
    let records = bench::read_records(&folder)?;
    Ok(records.first().map(|it| it.run.clone()).map(|id| Run { id, folder, records }))
}

/// The image of a run, as it is kept under its seal.
fn subject_of(
    context: &Context,
    store: &Store,
    records: &[RunRecord],
) -> Result<Subject, CliError> {
    let image = &records[0].image;
    if crate::build::source_of(store, &image.seal).is_ok() {
        return subject::sealed(store, image.name.clone(), &image.seal, Some(image.recipe));
    }
    subject::resolve(context, store, &format!("{}@{}", image.name, image.seal))
}

/// The descriptions of data sets always, what they hold if asked.
fn add_data(
    context: &Context,
    subject: &Subject,
    names: &BTreeSet<String>,
    (with_content, must_have): (bool, bool),
    contents: &mut Contents,
) -> Result<(), CliError> {
    if names.is_empty() {
        return Ok(());
    }
    let datasets = Datasets::load(&subject.project(context)?)?;
    contents.add_project_text(dataset::FILE, &datasets.text);
    let names: Vec<String> = names.iter().cloned().collect();
    for set in datasets.plain(&names)? {
        let name = &set.name;
        if let Some(manifest) = set.tree.as_ref().and_then(|tree| tree.manifest.as_ref()) {
            contents.add_project_file(manifest, &datasets.project.join(manifest))?;
        }
        if !with_content {
            continue;
        }
        match dataset::archives(&datasets, set, context.settings.data_folder()) {
            Ok(archives) => archives
                .iter()
                .try_for_each(|(place, file)| contents.add_project_file(place, file))?,
            // A run needs what it names; of an image, some profiles may never have been run here.
            Err(error) if must_have => return Err(error.into()),
            Err(error) => output::note(&format!("left out data set `{name}`: {error}")),
        }
    }
    Ok(())
}

fn write(
    context: &Context,
    contents: &Contents,
    path: &Path,
    to_file: bool,
) -> Result<(), CliError> {
    let progress = |bytes| context.display.advance(bytes);
    if !to_file {
        let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
        return Ok(carry::write(contents, &mut out, &context.stop, &progress)?);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let io_error = |action| {
        let path = partial.clone();
        move |source| CliError::Io { action, path, source }
    };
    let mut file = BufWriter::new(create_own(&partial).map_err(io_error("create"))?);
    let written = carry::write(contents, &mut file, &context.stop, &progress);
    let finish = || -> io::Result<()> {
        file.flush()?;
        file.get_ref().sync_all()?;
        fs::rename(&partial, path)
    };
    let finished = written.map_err(CliError::from).and_then(|()| finish_with(finish, path));
    if finished.is_err() {
        let _ = fs::remove_file(&partial);
    }
    finished
}

fn finish_with(finish: impl FnOnce() -> io::Result<()>, path: &Path) -> Result<(), CliError> {
    finish().map_err(|source| CliError::Io { action: "write", path: path.to_owned(), source })
}

fn show(context: &Context, contents: &Contents, bytes: u64) {
    if context.json {
        let files =
            contents.parts().map(|part| json!({ "file": part.name(), "size": part.size() }));
        return output::json(&json!({ "files": files.collect::<Vec<_>>(), "bytes": bytes }));
    }
    let row = |part: &carry::Part| vec![part.name().to_owned(), output::size(part.size())];
    output::print(&output::columns(&contents.parts().map(row).collect::<Vec<_>>(), &[1]));
    output::print(&format!("to write: {}\n", output::size(bytes)));
}
