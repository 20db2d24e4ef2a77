//! What an image takes over from the configuration of its base.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::ImageError;
use super::manifest::is_empty_layer;
use crate::digest::DiffId;

/// A base image's configuration, as far as it goes on in ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseConfiguration {
    /// Processor, `amd64`.
    pub architecture: String,
    /// Operating system, `linux`.
    pub os: String,
    /// Environment of the base's processes.
    pub env: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// History: one entry with a layer for each layer.
    pub history: Vec<Value>,
    /// Digests of the layers' tar streams, lowest first.
    pub diff_ids: Vec<DiffId>,
}

#[derive(Deserialize)]
struct Text {
    architecture: String,
    os: String,
    #[serde(default)]
    config: Option<Process>,
    #[serde(default)]
    history: Option<Vec<Value>>,
    rootfs: Rootfs,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Process {
    #[serde(default)]
    env: Option<Vec<String>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Rootfs {
    diff_ids: Vec<DiffId>,
}

impl BaseConfiguration {
    /// Reads a configuration, OCI's or Docker's: what is read here is the same in both.
    pub fn read(bytes: &[u8]) -> Result<Self, ImageError> {
        let text: Text = serde_json::from_slice(bytes).map_err(ImageError::Document)?;
        let process = text.config.unwrap_or_default();
        let env = process.env.unwrap_or_default();
        let pair = |pair: &String| {
            let (name, value) = pair.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        let diff_ids = text.rootfs.diff_ids;
        Ok(Self {
            architecture: text.architecture,
            os: text.os,
            env: env.iter().filter_map(pair).collect(),
            labels: process.labels.unwrap_or_default(),
            history: history(text.history.unwrap_or_default(), diff_ids.len()),
            diff_ids,
        })
    }
}

/// A history is optional, and not every builder keeps it in step with the layers.
fn history(told: Vec<Value>, layers: usize) -> Vec<Value> {
    let with_layer = told.iter().filter(|entry| !is_empty_layer(entry)).count();
    if with_layer == layers {
        return told;
    }
    (1..=layers).map(|number| json!({ "created_by": format!("layer {number}") })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF_ID: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_configuration_without_anything_optional_is_read() {
        let text = json!({ "architecture": "amd64", "os": "linux", "config": null,
            "rootfs": { "type": "layers", "diff_ids": [DIFF_ID] } });
        let base = BaseConfiguration::read(text.to_string().as_bytes()).unwrap();
        assert_eq!(base.history, [json!({ "created_by": "layer 1" })]);
        assert!(base.env.is_empty() && base.labels.is_empty());
    }

    #[test]
    fn a_history_in_step_with_the_layers_is_kept_as_it_is() {
        let told = json!([{ "created_by": "ADD", "created": "2021-08-01T00:00:00Z" },
            { "created_by": "ENV", "empty_layer": true }]);
        let text = json!({ "architecture": "amd64", "os": "linux", "history": told,
            "config": { "Env": ["PATH=/bin", "A=b=c"], "Labels": null },
            "rootfs": { "diff_ids": [DIFF_ID] } });
        let base = BaseConfiguration::read(text.to_string().as_bytes()).unwrap();
        assert_eq!(json!(base.history), told);
        assert_eq!(base.env["A"], "b=c");
    }
}
