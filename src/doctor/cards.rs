//! What the cards of a machine can do.

use std::fs;
use std::path::Path;

use nvml_wrapper::Nvml;

use super::DoctorError;
use super::code::Capability;
use super::cuda;
use crate::bench::Host;
use crate::engine::Card;

/// A card, and what it can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCard {
    /// The card.
    pub card: Card,
    /// Its capability, if anybody told it.
    pub capability: Option<Capability>,
}

/// The cards of `host`; the driver is asked only if it is the driver of this machine.
///
/// NVML knows every card, but is the driver's own library and may not be there; models that are
/// known by name need nobody.
pub fn known_cards(host: &Host, is_this_machine: bool) -> Vec<KnownCard> {
    let cards = host.cards();
    // Loaded at run time: there is nothing to load without a driver.
    let nvml = match is_this_machine && !cards.is_empty() {
        true => Nvml::init().ok(),
        false => None,
    };
    let known = |card: Card| {
        let told = nvml.as_ref().and_then(|nvml| told_by_driver(nvml, &card));
        let capability = told.or_else(|| cuda::of_model(&card.name));
        KnownCard { card, capability }
    };
    cards.into_iter().map(known).collect()
}

fn told_by_driver(nvml: &Nvml, card: &Card) -> Option<Capability> {
    let device = match &card.uuid {
        Some(uuid) => nvml.device_by_uuid(uuid.as_str()),
        None => nvml.device_by_index(card.index),
    };
    let told = device.ok()?.cuda_compute_capability().ok()?;
    let number = |number: i32| u32::try_from(number).ok();
    Some(Capability::new(number(told.major)?, number(told.minor)?))
}

/// Reads a machine from a file: the description itself, or a run record that has one.
pub fn host_of_file(path: &Path) -> Result<Host, DoctorError> {
    let text = fs::read_to_string(path).map_err(|source| DoctorError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let wrong = |error: serde_json::Error| DoctorError::Host {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let mut value: serde_json::Value = serde_json::from_str(&text).map_err(wrong)?;
    if let Some(host) = value.get_mut("host") {
        value = host.take();
    }
    let mut host: Host = serde_json::from_value(value).map_err(wrong)?;
    if host.gpus.is_empty() {
        host.gpus = host.cards.iter().map(|card| card.name.clone()).collect();
    }
    Ok(host)
}
