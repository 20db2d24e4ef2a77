//! Brings an image that `repro` made from a registry into the store.
//!
//! A layer that another image of the store has as a plan stays a plan; every other one is kept as
//! the registry has it. Images of other makers are no images here: nothing says what they were
//! made of, so they cannot be run sealed. They serve as bases.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::RegistryError;
use super::attach::{self, Attached};
use super::base;
use super::client::Client;
use super::download::{blob, fetch_with};
use super::reference::Reference;
use crate::digest::Digest;
use crate::fetch::Progress;
use crate::image::{self, Content, Image, Unclaimed};
use crate::settings::Settings;
use crate::store::Store;

/// An image with all its bytes in the store, which has no name there yet.
#[derive(Debug)]
pub struct Pulled {
    /// The image.
    pub image: Unclaimed,
    /// What it was built from, if that is kept beside it.
    pub attached: Option<Attached>,
}

/// Pulls the image with the reference's digest.
///
/// # Errors
///
/// A reference without a digest; an image that `repro` did not make.
pub fn pull(
    settings: &Settings,
    store: &Store,
    reference: &Reference,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<Pulled, RegistryError> {
    let text = reference.to_string();
    let Some(seal) = reference.digest else {
        let reason = "a tag can move; an image is pulled by its digest, `NAME@sha256:…`".to_owned();
        return Err(RegistryError::Reference { text, reason });
    };
    if settings.offline() {
        return Err(RegistryError::Offline { reference: text });
    }
    let client = Client::new(settings, stop)?.telling(progress);
    let found = base::find(&client, reference, "")?;
    let name = format!("configuration of {text}");
    let config = blob(&text, name, found.document.config.digest, found.document.config.size);
    fetch_with(&client, store, &[config], progress)?;
    store.put(&found.manifest.bytes)?;
    let mut image = Unclaimed::read(store, &seal).map_err(|_| RegistryError::Unusable {
        reference: text.clone(),
        reason: "`repro` did not make it; an image of another maker can be a base".to_owned(),
    })?;
    let plans = known_plans(store)?;
    for layer in &mut image.layers {
        if let Some(plan) = plans.get(&layer.digest) {
            layer.content = plan.clone();
        }
    }
    let missing = image.layers.iter().filter(|layer| layer.plan().is_none());
    let wanted: Vec<_> =
        missing.map(|layer| blob(&text, layer.origin.clone(), layer.digest, layer.size)).collect();
    fetch_with(&client, store, &wanted, progress)?;
    let places = settings.registry_places(&reference.host, &reference.repository)?;
    let beside = places.iter().find_map(|place| attach::find(&client, place, &seal));
    let attached = beside
        .map(|beside| attach::read(&client, store, reference, beside, progress))
        .transpose()?;
    Ok(Pulled { image, attached })
}

/// The plans of all images of the store whose inputs are there.
fn known_plans(store: &Store) -> Result<BTreeMap<Digest, Content>, RegistryError> {
    let mut plans = BTreeMap::new();
    for (_, seal) in image::list(store)? {
        // An image that lost something cannot help; it is no reason to fail.
        let Ok(known) = Image::load(store, &seal) else { continue };
        for layer in known.layers {
            let is_whole =
                layer.plan().is_some_and(|plan| plan.inputs().iter().all(|input| store.has(input)));
            if is_whole {
                plans.insert(layer.digest, layer.content);
            }
        }
    }
    Ok(plans)
}
