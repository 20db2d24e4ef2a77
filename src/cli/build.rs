//! `repro build`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::reference::{self, Reference};
use super::subject::Subject;
use super::{output, wheel};
use crate::build::Built;
use crate::fetch;
use crate::lock::Lock;
use crate::recipe::Recipe;
use crate::registry;
use crate::store::Store;

/// Build the image of a lock; compare it with its seal
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    repro build seg-debian             build, and compare with the seal in the lock\n  \
    repro build seg-debian --dry-run   what would be downloaded, with sizes")]
pub struct Arguments {
    /// The image, e.g. `seg-debian`
    image: String,
    /// Only say what would be downloaded
    #[arg(long)]
    dry_run: bool,
    /// Only download the inputs
    #[arg(long, conflicts_with = "dry_run")]
    fetch_only: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let (lock, folder, recipe) = match reference::resolve(context, &store, &arguments.image)? {
        Reference::Recipe(name) => {
            (current_lock(context, &name)?, context.images()?, Some(context.recipe(&name)?))
        }
        Reference::Sealed { seal, .. } => {
            (reference::lock_of(&store, &seal)?, store.root().to_owned(), None)
        }
    };
    if arguments.dry_run {
        return dry_run(context, &store, &lock);
    }
    let engine = context.engine()?;
    let builder = context.builder(&store, &*engine, &folder, recipe.as_ref());
    if arguments.fetch_only {
        builder.fetch(&lock)?;
        return Ok(ExitCode::SUCCESS);
    }
    let built = builder.build(&lock)?;
    seal_lock(context, &lock, &built)?;
    show(context, &store, &built)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds what a command is about, so that it can run; completes the project's lock if it has no seal yet.
pub fn ensure(context: &Context, store: &Store, subject: &Subject) -> Result<Built, CliError> {
    let engine = context.engine()?;
    let builder = context.builder(store, &*engine, &subject.folder, Some(&subject.recipe));
    let built = builder.build(&subject.lock)?;
    builder.fetch_layers(&built.lock)?;
    if subject.is_of_project {
        seal_lock(context, &subject.lock, &built)?;
    }
    Ok(built)
}

/// The project's lock of an image, which must belong to the recipe as it is now.
pub fn current_lock(context: &Context, name: &str) -> Result<Lock, CliError> {
    let recipe = context.recipe(name)?;
    let lock = context.lock(name)?;
    let differences = lock.matches(&recipe)?;
    if !differences.is_empty() {
        let differences = differences.iter().map(ToString::to_string).collect();
        return Err(CliError::LockIsOld { name: name.to_owned(), differences });
    }
    match lock.require_pinned() {
        Ok(()) => Ok(lock),
        Err(open) => {
            let complete = complete_variants(context, &recipe)?;
            Err(CliError::LockIsOpen { name: name.to_owned(), complete, open })
        }
    }
}

/// The other images of the same system whose lock has everything: those can be built.
pub fn complete_variants(context: &Context, recipe: &Recipe) -> Result<Vec<String>, CliError> {
    let mut complete = Vec::new();
    for other in Recipe::load_all(&context.images()?)? {
        let is_variant = other.system == recipe.system && other.name != recipe.name;
        if is_variant
            && context.find_lock(&other.name)?.is_some_and(|lock| lock.unpinned.is_empty())
        {
            complete.push(other.name);
        }
    }
    Ok(complete)
}

/// Writes what came out into a lock that does not have it yet: the seal, what was compiled.
pub fn seal_lock(context: &Context, lock: &Lock, built: &Built) -> Result<(), CliError> {
    if *lock == built.lock {
        return Ok(());
    }
    let path = context.write_lock(&built.lock)?;
    let what = if lock.seal == built.lock.seal { "what was compiled" } else { "the seal" };
    output::note(&format!("wrote {what} to `{}`; commit it", path.display()));
    Ok(())
}

fn dry_run(context: &Context, store: &Store, lock: &Lock) -> Result<ExitCode, CliError> {
    let mut wanted = fetch::wanted(lock);
    wanted.extend(registry::documents(lock));
    let planned = fetch::plan(store, &wanted);
    let layers = fetch::plan(store, &registry::layers(lock));
    let missing: u64 =
        planned.iter().filter(|item| !item.present).map(|item| item.wanted.size).sum();
    if context.json {
        let items: Vec<_> = planned
            .iter()
            .map(|item| {
                json!({ "file": item.wanted.name, "size": item.wanted.size,
                    "digest": item.wanted.digest, "present": item.present })
            })
            .collect();
        let layers = layers.iter().map(|item| {
            json!({ "digest": item.wanted.digest, "size": item.wanted.size, "present": item.present })
        });
        output::json(&json!({ "image": lock.name, "inputs": items, "to_download": missing,
            "base_layers": layers.collect::<Vec<_>>() }));
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows: Vec<Vec<String>> = planned
        .iter()
        .map(|item| {
            let state = if item.present { "in the store" } else { "to download" };
            vec![item.wanted.name.clone(), output::size(item.wanted.size), state.to_owned()]
        })
        .collect();
    rows.extend(layers.iter().map(|item| {
        let state = if item.present { "in the store" } else { "to download before it runs" };
        vec![item.wanted.name.clone(), output::size(item.wanted.size), state.to_owned()]
    }));
    rows.extend(lock.builds.iter().map(|build| {
        let present = build.is_known() && build.blobs().all(|(_, digest)| store.has(&digest));
        let state = if present { "in the store" } else { "to compile" };
        vec![format!("{} {}", build.name, build.version), String::new(), state.to_owned()]
    }));
    output::print(&output::columns(&rows, &[1]));
    let free = fetch::free_space(store.root()).map_or("unknown".to_owned(), output::size);
    output::print(&format!("to download: {}; free in the store: {free}\n", output::size(missing)));
    Ok(ExitCode::SUCCESS)
}

fn show(context: &Context, store: &Store, built: &Built) -> Result<(), CliError> {
    let image = &built.image;
    let size: u64 = image.layers.iter().map(|layer| layer.size).sum();
    let kept = wheel::not_repeatable(&built.lock);
    if context.json {
        output::json(&json!({
            "image": image.name, "seal": image.seal, "lock": image.lock, "fresh": built.fresh,
            "not_repeatable": kept,
            "size": size, "metadata": image.metadata_size(store)?,
            "layers": image.layers.iter().map(|layer| json!({ "origin": layer.origin,
                "diff_id": layer.diff_id, "digest": layer.digest, "size": layer.size,
            })).collect::<Vec<_>>(),
        }));
    } else {
        output::print(&format!("{}@{}\n", image.name, image.seal));
        wheel::note_kept(&kept);
    }
    Ok(())
}
