//! `repro build`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::output;
use super::reference::{self, Reference};
use crate::build::Built;
use crate::fetch;
use crate::lock::Lock;
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

/// The project's lock of an image, which must belong to the recipe as it is now.
pub fn current_lock(context: &Context, name: &str) -> Result<Lock, CliError> {
    let recipe = context.recipe(name)?;
    let lock = context.lock(name)?;
    let differences = lock.matches(&recipe)?;
    if differences.is_empty() {
        return Ok(lock);
    }
    let differences = differences.iter().map(ToString::to_string).collect();
    Err(CliError::LockIsOld { name: name.to_owned(), differences })
}

/// Writes what came out into a lock that has no seal yet.
pub fn seal_lock(context: &Context, lock: &Lock, built: &Built) -> Result<(), CliError> {
    if *lock == built.lock {
        return Ok(());
    }
    let path = context.write_lock(&built.lock)?;
    output::note(&format!("wrote the seal to `{}`; commit it", path.display()));
    Ok(())
}

fn dry_run(context: &Context, store: &Store, lock: &Lock) -> Result<ExitCode, CliError> {
    let planned = fetch::plan(store, &fetch::wanted(lock));
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
        output::json(&json!({ "image": lock.name, "inputs": items, "to_download": missing }));
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows: Vec<Vec<String>> = planned
        .iter()
        .map(|item| {
            let state = if item.present { "in the store" } else { "to download" };
            vec![item.wanted.name.clone(), output::size(item.wanted.size), state.to_owned()]
        })
        .collect();
    rows.extend(lock.builds.iter().map(|build| {
        let state = match &build.output {
            Some(wheel) if store.has(&wheel.sha256) => "in the store",
            _ => "to compile",
        };
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
    if context.json {
        output::json(&json!({
            "image": image.name, "seal": image.seal, "lock": image.lock, "fresh": built.fresh,
            "size": size, "metadata": image.metadata_size(store)?,
            "layers": image.layers.iter().map(|layer| json!({ "origin": layer.origin,
                "diff_id": layer.diff_id, "digest": layer.digest, "size": layer.size,
            })).collect::<Vec<_>>(),
        }));
    } else {
        output::print(&format!("{}@{}\n", image.name, image.seal));
    }
    Ok(())
}
