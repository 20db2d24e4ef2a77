//! What an image's configuration and manifest say.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::ImageError;
use super::json::canonical;
use crate::digest::{DiffId, Digest};
use crate::lock::Compression;

/// Media type of an image manifest (OCI image specification).
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an image configuration.
pub const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a layer.
pub fn layer_type(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "application/vnd.oci.image.layer.v1.tar",
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    }
}

/// The time every image claims to be made at: the tar headers' time (design rule of the epoch).
const CREATED: &str = "1980-01-01T00:00:00Z";

/// What goes into an image's configuration beside its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Processor in Debian's and OCI's words, `amd64`.
    pub architecture: String,
    /// Environment of every process.
    pub env: BTreeMap<String, String>,
    /// Folder a process starts in.
    pub workdir: String,
    /// Entry point; empty for none.
    pub entrypoint: Vec<String>,
    /// Labels of the base image; they tell a GPU runtime what the image needs.
    pub labels: BTreeMap<String, String>,
    /// The base image's history, as it is.
    pub history: Vec<Value>,
}

/// One layer as the manifest and the configuration name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDescriptor {
    /// What it holds, in a reader's words; stands in the image's history.
    pub origin: String,
    /// Digest of the tar stream.
    pub diff_id: DiffId,
    /// Digest of the compressed bytes.
    pub digest: Digest,
    /// Compressed bytes.
    pub size: u64,
    /// How they are compressed.
    pub compression: Compression,
}

/// Configuration and manifest as the bytes that are hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// The configuration.
    pub config: Vec<u8>,
    /// The manifest; its digest is the seal.
    pub manifest: Vec<u8>,
}

impl Documents {
    /// Writes configuration and manifest for `layers`, lowest first.
    pub fn new(configuration: &Configuration, layers: &[LayerDescriptor]) -> Self {
        let config = canonical(&config_value(configuration, layers));
        let manifest = canonical(&manifest_value(&config, layers));
        Self { config, manifest }
    }

    /// The seal: the digest of the manifest.
    pub fn seal(&self) -> Digest {
        Digest::of(&self.manifest)
    }
}

fn config_value(configuration: &Configuration, layers: &[LayerDescriptor]) -> Value {
    let env: Vec<String> =
        configuration.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut config = json!({ "Env": env, "WorkingDir": configuration.workdir });
    if !configuration.entrypoint.is_empty() {
        config["Entrypoint"] = json!(configuration.entrypoint);
    }
    if !configuration.labels.is_empty() {
        config["Labels"] = json!(configuration.labels);
    }
    let of_base = configuration.history.iter().filter(|entry| !is_empty_layer(entry)).count();
    let ours = layers.iter().skip(of_base).map(
        |layer| json!({ "created": CREATED, "created_by": format!("{OURS}{}", layer.origin) }),
    );
    let history: Vec<Value> = configuration.history.iter().cloned().chain(ours).collect();
    let diff_ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    json!({
        "architecture": configuration.architecture,
        "config": config,
        "created": CREATED,
        "history": history,
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
}

fn manifest_value(config: &[u8], layers: &[LayerDescriptor]) -> Value {
    let describe = |layer: &LayerDescriptor| {
        descriptor(layer_type(layer.compression), &layer.digest, layer.size)
    };
    let layers: Vec<Value> = layers.iter().map(describe).collect();
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(CONFIG_TYPE, &Digest::of(config), config.len() as u64),
        "layers": layers,
    })
}

/// An OCI content descriptor.
pub(super) fn descriptor(media_type: &str, digest: &Digest, size: u64) -> Value {
    json!({ "mediaType": media_type, "digest": digest.to_string(), "size": size })
}

/// Whether an entry of a history has no layer (OCI image configuration, "history").
pub(super) fn is_empty_layer(entry: &Value) -> bool {
    entry["empty_layer"].as_bool().unwrap_or(false)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadDescriptor {
    media_type: String,
    digest: Digest,
    size: u64,
}

impl ReadDescriptor {
    fn compression(&self) -> Compression {
        let known = [Compression::None, Compression::Zstd];
        let found = known.into_iter().find(|known| layer_type(*known) == self.media_type);
        found.unwrap_or(Compression::Gzip)
    }
}

#[derive(Deserialize)]
struct ReadManifest {
    config: ReadDescriptor,
    layers: Vec<ReadDescriptor>,
}

#[derive(Deserialize)]
struct ReadConfig {
    architecture: String,
    config: ReadProcess,
    history: Vec<Value>,
    rootfs: ReadRootfs,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReadProcess {
    env: Vec<String>,
    working_dir: String,
    #[serde(default)]
    entrypoint: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ReadRootfs {
    diff_ids: Vec<DiffId>,
}

/// The digest of the configuration that a manifest names.
pub(super) fn config_digest(manifest: &[u8]) -> Result<Digest, ImageError> {
    let manifest: ReadManifest = serde_json::from_slice(manifest).map_err(ImageError::Document)?;
    Ok(manifest.config.digest)
}

/// Reads back what [`Documents::new`] wrote.
pub(super) fn read(
    documents: &Documents,
) -> Result<(Configuration, Vec<LayerDescriptor>), ImageError> {
    let manifest: ReadManifest =
        serde_json::from_slice(&documents.manifest).map_err(ImageError::Document)?;
    let config: ReadConfig =
        serde_json::from_slice(&documents.config).map_err(ImageError::Document)?;
    let with_layer = config.history.iter().filter(|entry| !is_empty_layer(entry));
    let layers = manifest
        .layers
        .into_iter()
        .zip(config.rootfs.diff_ids)
        .zip(with_layer)
        .map(|((layer, diff_id), history)| LayerDescriptor {
            origin: origin(history),
            diff_id,
            digest: layer.digest,
            size: layer.size,
            compression: layer.compression(),
        })
        .collect();
    let ours = config.history.iter().position(is_ours).unwrap_or(config.history.len());
    let env = config.config.env.iter().filter_map(|pair| pair.split_once('='));
    let configuration = Configuration {
        architecture: config.architecture,
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        workdir: config.config.working_dir,
        entrypoint: config.config.entrypoint,
        labels: config.config.labels,
        history: config.history[..ours].to_vec(),
    };
    Ok((configuration, layers))
}

/// How the history says that a layer is ours.
const OURS: &str = "repro: ";

fn created_by(entry: &Value) -> &str {
    entry["created_by"].as_str().unwrap_or("")
}

fn is_ours(entry: &Value) -> bool {
    created_by(entry).starts_with(OURS)
}

fn origin(entry: &Value) -> String {
    match created_by(entry).strip_prefix(OURS) {
        Some(origin) => origin.to_owned(),
        None => format!("base: {}", created_by(entry)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Configuration, Vec<LayerDescriptor>) {
        let configuration = Configuration {
            architecture: "amd64".to_owned(),
            env: BTreeMap::from([
                ("PATH".to_owned(), "/usr/bin".to_owned()),
                ("LC_ALL".to_owned(), "C=C".to_owned()),
            ]),
            workdir: "/home".to_owned(),
            entrypoint: Vec::new(),
            labels: BTreeMap::new(),
            history: Vec::new(),
        };
        let layer = |text: &str| LayerDescriptor {
            origin: text.to_owned(),
            diff_id: DiffId(Digest::of(text.as_bytes())),
            digest: Digest::of(text.to_uppercase().as_bytes()),
            size: 7,
            compression: Compression::Gzip,
        };
        (configuration, vec![layer("one"), layer("two")])
    }

    #[test]
    fn the_seal_of_a_sample_never_changes_within_an_epoch() {
        let (configuration, layers) = sample();
        let documents = Documents::new(&configuration, &layers);
        assert_eq!(
            documents.seal().to_string(),
            "sha256:1d4076a5810ac288ef71c6c7f7b8b9baa11bc25d93f9bd828dd5f2a8a5058683"
        );
    }

    #[test]
    fn what_was_written_is_read_back() {
        let (configuration, layers) = sample();
        let documents = Documents::new(&configuration, &layers);
        assert_eq!(read(&documents).unwrap(), (configuration, layers));
    }

    #[test]
    fn a_base_keeps_its_history_and_its_compression() {
        let (mut configuration, mut layers) = sample();
        configuration.history = vec![
            json!({ "created_by": "ADD rootfs" }),
            json!({ "created_by": "ENV A=B", "empty_layer": true }),
        ];
        layers[0].compression = Compression::Zstd;
        layers[0].origin = "base: ADD rootfs".to_owned();
        let documents = Documents::new(&configuration, &layers);
        assert_eq!(read(&documents).unwrap(), (configuration, layers));
    }
}
