//! `repro pull`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::output;
use crate::build::keep_pulled;
use crate::digest::Digest;
use crate::image::Image;
use crate::lock::Lock;
use crate::recipe::Recipe;
use crate::registry::{self, RegistryError};
use crate::store::Store;

/// Bring an image that `repro push` brought to a registry into the store
#[derive(Debug, Args)]
#[command(
    after_help = "What other images of the store share with it is not downloaded. It can be run, \
    exported and verified as if it had been built here.\n\nExamples:\n  \
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
    let seal = pulled.image.seal;
    let (lock, recipe) = match pulled.attached {
        Some(attached) => (parse(reference, &attached.lock)?, attached.recipe),
        None => (lock_of_project(context, &seal).ok_or_else(|| no_lock(reference))?, None),
    };
    if lock.seal.as_ref().is_none_or(|known| known.manifest != seal) {
        let reason = "the lock that is kept beside it is that of another image".to_owned();
        return Err(RegistryError::Unusable { reference: reference.to_string(), reason }.into());
    }
    let image = pulled.image.claim(store, &lock.name, lock.digest())?;
    keep_pulled(store, &lock, recipe.as_deref(), &image)?;
    Ok(image)
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
