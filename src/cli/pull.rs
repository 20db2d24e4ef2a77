//! `repro pull`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::output;
use crate::build;
use crate::digest::Digest;
use crate::image::Image;
use crate::lock::Lock;
use crate::recipe::Recipe;
use crate::registry::{self, Attached, RegistryError};
use crate::store::Store;

/// Bring an image that `repro push` brought to a registry into the store
#[derive(Debug, Args)]
#[command(
    after_help = "What other images of the store share with it is not downloaded. It can be run, \
    exported and verified as if it had been built here. The lock beside it must make the image's digest, \
    and the recipe must ask for what the lock has.\n\nExamples:\n  \
    repro pull registry.test/team/seg@sha256:…     then: repro run --image seg@…"
)]
pub struct Arguments {
    /// The image by its digest: `registry.test/team/image@sha256:…`
    reference: registry::Reference,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let store = context.store()?;
    let image = match known(&store, &arguments.reference) {
        Some(image) => image,
        None => pull(context, &store, &arguments.reference)?,
    };
    if context.json {
        output::json(&json!({ "image": image.name, "seal": image.seal, "lock": image.lock }));
    } else {
        output::print(&format!("{}@{}\n", image.name, image.seal));
    }
    Ok(ExitCode::SUCCESS)
}

/// The image, if the store has all of it.
fn known(store: &Store, reference: &registry::Reference) -> Option<Image> {
    let image = Image::load(store, &reference.digest?).ok()?;
    image.layers.iter().all(|layer| layer.is_present(store)).then_some(image)
}

fn pull(
    context: &Context,
    store: &Store,
    reference: &registry::Reference,
) -> Result<Image, CliError> {
    let (settings, stop) = (&context.settings, context.stop.flag());
    let pulled = registry::pull(settings, store, reference, &context.display, &stop)?;
    let own = lock_of_project(context, &pulled.image.seal);
    let (lock, recipe) = match pulled.attached {
        Some(Attached { lock, recipe }) => (parse(reference, &lock)?, recipe),
        None => (own.clone().ok_or_else(|| no_lock(reference))?, None),
    };
    // Whoever writes to the registry chooses what lies beside the image: nothing of it is believed.
    build::prove_pulled(&pulled.image, &lock)?;
    if let Some(own) = &own {
        build::refuse_different(&lock, own)?;
    }
    if let Some(recipe) = &recipe {
        prove_recipe(store, reference, &lock, recipe)?;
    }
    let image = pulled.image.claim(store, &lock.name, lock.digest())?;
    build::keep_pulled(store, &lock, recipe.as_deref(), &image)?;
    if recipe.is_some() {
        output::note(&format!(
            "the digest proves the image, not the commands of the recipe that came with it; `repro run --image {}@{} --dry-run` shows what it runs",
            image.name,
            image.seal.short()
        ));
    }
    Ok(image)
}

/// The recipe must ask for what the lock has. What its cases run stands in no image.
fn prove_recipe(
    store: &Store,
    reference: &registry::Reference,
    lock: &Lock,
    text: &[u8],
) -> Result<(), CliError> {
    let recipe = Recipe::of_image(store.root(), &lock.name, &String::from_utf8_lossy(text))?;
    let differences = match recipe {
        Some(recipe) => lock.fits(&recipe)?.iter().map(ToString::to_string).collect(),
        None => vec![format!("it makes no image `{}`", lock.name)],
    };
    if differences.is_empty() {
        return Ok(());
    }
    Err(CliError::OtherRecipe { reference: reference.to_string(), differences })
}

fn parse(reference: &registry::Reference, text: &[u8]) -> Result<Lock, CliError> {
    let place = format!("the lock of {reference}");
    Ok(Lock::parse(&String::from_utf8_lossy(text), place.as_ref())?)
}

/// The project's lock with this seal.
fn lock_of_project(context: &Context, seal: &Digest) -> Option<Lock> {
    let recipes = Recipe::load_all(&context.images().ok()?).ok()?;
    let locks = recipes.iter().filter_map(|recipe| context.find_lock(&recipe.name).ok()?);
    locks.into_iter().find(|lock| lock.seal.as_ref().is_some_and(|known| known.manifest == *seal))
}

fn no_lock(reference: &registry::Reference) -> CliError {
    let reason = "no lock is kept beside it, and no lock of the project has its seal; so nothing says how it runs sealed".to_owned();
    RegistryError::Unusable { reference: reference.to_string(), reason }.into()
}
