//! `repro init`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::{Context, write_in_one_step};
use super::error::CliError;
use super::output;
use crate::dataset;
use crate::recipe::{CHOICE, Recipe};
use crate::settings::SettingsError;

/// Write a commented recipe that works as it is, to be changed into a guide's
#[derive(Debug, Args)]
#[command(
    after_help = "Writes `images/NAME.toml`; in an empty folder that is in no project also the project's \
    own folders and files. Nothing is overwritten.\n\nExamples:\n  \
    repro init mine                              the recipe\n  \
    repro lock mine                              resolve what it asks for\n  \
    repro run --image mine --profile smoke       build and run it"
)]
pub struct Arguments {
    /// The system's name: the recipe's file name and the first part of each case's name
    name: String,
}

/// Words at the top of a new `datasets.toml`.
const DATASETS: &str = "# The data sets of the guides: what each archive must be, and what must lie in the folder.\n\
    # `repro verify-data` compares, `repro pin-data FILE` writes what it measured.\n\
    #\n\
    # [NAME]\n\
    # title = \"…\"\n\
    #\n\
    # [[NAME.archive]]\n\
    # file = \"NAME.zip\"\n\
    # urls = [\"https://…\"]             # or: path = \"images/NAME.zip\", a file of this project\n\
    # unpinned = \"why nobody knows its sha256\"\n";

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let name = &arguments.name;
    let text = Recipe::example(name, &today()).ok_or_else(|| CliError::NoName {
        name: name.clone(),
        rule: Recipe::name_rule().to_owned(),
    })?;
    let project = match context.settings.project() {
        Err(SettingsError::NoProject { folder }) => empty(&folder)?,
        project => project?.to_owned(),
    };
    let recipe = project.join("images").join(format!("{name}.toml"));
    let written = skeleton(&project, &recipe, &text)?;
    // It says what a later command would say, before anybody has changed a line.
    Recipe::load(&project.join("images"), name)?;
    let choices: Vec<usize> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with(&format!("# {CHOICE}")))
        .map(|(at, _)| at + 1)
        .collect();
    show(context, name, &written, &choices);
    Ok(ExitCode::SUCCESS)
}

/// Writes what is not there; the recipe must not be.
fn skeleton(project: &Path, recipe: &Path, text: &str) -> Result<Vec<PathBuf>, CliError> {
    if recipe.exists() {
        return Err(CliError::Exists { path: recipe.to_owned() });
    }
    let mut written = Vec::new();
    for folder in ["images", "lockfiles"] {
        let path = project.join(folder);
        if !path.is_dir() {
            fs::create_dir(&path).map_err(|source| CliError::Io {
                action: "make",
                path: path.clone(),
                source,
            })?;
            written.push(path);
        }
    }
    let datasets = project.join(dataset::FILE);
    if !datasets.exists() {
        write_in_one_step(&datasets, DATASETS.as_bytes())?;
        written.push(datasets);
    }
    write_in_one_step(recipe, text.as_bytes())?;
    written.push(recipe.to_owned());
    Ok(written)
}

/// A folder that may become a project: nothing is in it but what a name with a dot hides.
fn empty(folder: &Path) -> Result<PathBuf, CliError> {
    let at = |source| CliError::Io { action: "read", path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(at)? {
        let name = entry.map_err(at)?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            return Err(CliError::NotEmpty { folder: folder.to_owned(), entry: name.into() });
        }
    }
    Ok(folder.to_owned())
}

fn show(context: &Context, name: &str, written: &[PathBuf], choices: &[usize]) {
    let next = [
        (format!("repro lock {name}"), "resolves what the recipe asks for (needs apt and uv)"),
        (format!("repro run --image {name} --profile smoke"), "builds the image and runs it"),
    ];
    if context.json {
        let next: Vec<_> = next.iter().map(|(command, _)| command).collect();
        return output::json(&json!({ "image": name, "written": written, "choices": choices,
            "next": next }));
    }
    for path in written {
        output::print(&format!("wrote {}\n", path.display()));
    }
    let count = output::count(choices.len(), "line is", "lines are");
    output::print(&format!("\nThe recipe works as it is; {count} marked {CHOICE}. Next:\n"));
    let row = |(command, what): &(String, &str)| vec![format!("  {command}"), (*what).to_owned()];
    output::print(&output::columns(&next.iter().map(row).collect::<Vec<_>>(), &[]));
}

/// The day, as recipes write it.
#[expect(clippy::disallowed_methods, reason = "a new recipe resolves as of the day it is written")]
pub(super) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
