//! What manifest and configuration say of an image, whoever wrote them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::DiffError;
use super::place::{Place, digest_of};
use crate::digest::{DiffId, Digest};
use crate::lock;

/// An image's configuration and its layers.
#[derive(Debug)]
pub struct Picture {
    /// Each setting by its name: `Env PATH`, `WorkingDir`, `architecture`.
    config: BTreeMap<String, String>,
    pub(super) layers: Vec<Layer>,
}

/// A layer as manifest and configuration name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    pub origin: String,
    pub diff_id: DiffId,
    pub digest: Digest,
    pub size: u64,
    pub media_type: String,
}

impl Picture {
    /// Reads the documents of an image.
    pub fn of(place: &Place<'_>) -> Result<Self, DiffError> {
        let (manifest, config) = place.documents()?;
        Ok(Self { config: settings(&config), layers: layers(&manifest, &config) })
    }

    /// What the other configuration says otherwise.
    pub(super) fn config_differences(&self, newer: &Self) -> Vec<lock::Difference> {
        let names: BTreeSet<_> = self.config.keys().chain(newer.config.keys()).collect();
        let differing = names.into_iter().filter_map(|name| {
            let (before, after) = (self.config.get(name), newer.config.get(name));
            let what = name.clone();
            (before != after).then(|| lock::Difference {
                what,
                before: before.cloned(),
                after: after.cloned(),
            })
        });
        differing.collect()
    }
}

fn settings(config: &Value) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    for key in ["architecture", "os", "created"] {
        if let Some(value) = config.get(key) {
            settings.insert(key.to_owned(), plain(value));
        }
    }
    for (key, value) in config["config"].as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            (_, Value::Null) => {}
            ("Env", Value::Array(pairs)) => {
                for pair in pairs.iter().filter_map(Value::as_str) {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    settings.insert(format!("environment `{name}`"), value.to_owned());
                }
            }
            ("Labels", Value::Object(labels)) => {
                for (name, value) in labels {
                    settings.insert(format!("label `{name}`"), plain(value));
                }
            }
            (key, value) => {
                settings.insert(key.to_owned(), plain(value));
            }
        }
    }
    settings
}

fn layers(manifest: &Value, config: &Value) -> Vec<Layer> {
    let history = config["history"].as_array().into_iter().flatten();
    let mut origins = history
        .filter(|entry| !entry["empty_layer"].as_bool().unwrap_or(false))
        .map(|entry| entry["created_by"].as_str().unwrap_or("").trim_start_matches("repro: "));
    let diff_ids = config["rootfs"]["diff_ids"].as_array().into_iter().flatten();
    let described = manifest["layers"].as_array().into_iter().flatten().zip(diff_ids);
    let mut layers = Vec::new();
    for (number, (layer, diff_id)) in described.enumerate() {
        let origin = origins.next().filter(|origin| !origin.is_empty());
        let origin = origin.map_or(format!("layer {}", number + 1), str::to_owned);
        if let (Some(digest), Some(diff_id)) = (digest_of(&layer["digest"]), digest_of(diff_id)) {
            layers.push(Layer {
                origin,
                diff_id: DiffId(diff_id),
                digest,
                size: layer["size"].as_u64().unwrap_or(0),
                media_type: layer["mediaType"].as_str().unwrap_or("").to_owned(),
            });
        }
    }
    layers
}
