//! Reads manifests and indexes, OCI's and Docker's, as far as a base image needs them.

use serde::Deserialize;

use super::client::Manifest;
use crate::digest::Digest;
use crate::lock::{Compression, LockedBlob};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// An image's configuration may be as large as this (bytes): it is read whole.
const LARGEST_CONFIGURATION: u64 = 8 << 20;

/// What a tag or digest names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// Images for several platforms.
    Index(Vec<PlatformEntry>),
    /// One image.
    Image(ImageDocument),
}

/// One image's manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ImageDocument {
    pub(super) config: LockedBlob,
    pub(super) layers: Vec<LayerEntry>,
}

/// One layer as a manifest names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LayerEntry {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) compression: Compression,
}

/// One image of an index.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct PlatformEntry {
    pub(super) digest: Digest,
    #[serde(default)]
    platform: Platform,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Platform {
    architecture: String,
    os: String,
    variant: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Text {
    schema_version: u64,
    media_type: Option<String>,
    manifests: Option<Vec<serde_json::Value>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
}

/// Reads what a registry sent; the reason if it cannot be used.
pub(super) fn read(manifest: &Manifest) -> Result<Document, String> {
    let text: Text = match serde_json::from_slice(&manifest.bytes) {
        Ok(text) => text,
        Err(error) => return Err(format!("its manifest cannot be read: {error}")),
    };
    if text.schema_version == 1 {
        return Err("its manifest has Docker's schema 1, which names no configuration and whose digest is not that of its bytes; a current Docker that pulls and pushes the image writes another".to_owned());
    }
    let media_type = text.media_type.as_deref().unwrap_or(&manifest.media_type);
    match (media_type, text.manifests, text.config, text.layers) {
        (DOCKER_LIST | OCI_INDEX, Some(entries), ..) => Ok(Document::Index(platforms(entries))),
        (DOCKER_MANIFEST | OCI_MANIFEST, _, Some(config), Some(layers)) => image(config, layers),
        // Before OCI 1.1 the type was optional, and some registries answer with a general one.
        ("" | "application/json" | "text/plain", Some(entries), None, None) => {
            Ok(Document::Index(platforms(entries)))
        }
        ("" | "application/json" | "text/plain", None, Some(config), Some(layers)) => {
            image(config, layers)
        }
        _ => Err(format!("`{media_type}` is no image")),
    }
}

/// Entries that are no images (attestations, foreign formats) are left out.
fn platforms(entries: Vec<serde_json::Value>) -> Vec<PlatformEntry> {
    entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok()).collect()
}

/// The image for Linux on a processor; the reason if there is none.
pub(super) fn choose<'a>(
    entries: &'a [PlatformEntry],
    architecture: &str,
) -> Result<&'a PlatformEntry, String> {
    let fits = |entry: &&PlatformEntry| {
        entry.platform.os == "linux" && entry.platform.architecture == architecture
    };
    // A variant may need more than every such processor has; the plainest one comes first.
    let plainness = |entry: &&PlatformEntry| entry.platform.variant.clone().unwrap_or_default();
    entries.iter().filter(fits).min_by_key(plainness).ok_or_else(|| {
        let known = entries.iter().map(|entry| {
            let Platform { architecture, os, .. } = &entry.platform;
            format!("\n  there is  {os}/{architecture}")
        });
        format!("it has no image for linux/{architecture}{}", known.collect::<String>())
    })
}

fn image(config: Descriptor, layers: Vec<Descriptor>) -> Result<Document, String> {
    let layers = layers.into_iter().map(|layer| {
        let Descriptor { media_type, digest, size } = layer;
        Ok(LayerEntry { digest, size, compression: compression(&media_type)? })
    });
    let config = LockedBlob { digest: config.digest, size: config.size };
    if config.size > LARGEST_CONFIGURATION {
        return Err(format!("its configuration has {} bytes, more than 8 MiB", config.size));
    }
    Ok(Document::Image(ImageDocument { config, layers: layers.collect::<Result<_, String>>()? }))
}

fn compression(media_type: &str) -> Result<Compression, String> {
    match media_type {
        "application/vnd.oci.image.layer.v1.tar"
        | "application/vnd.docker.image.rootfs.diff.tar" => Ok(Compression::None),
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Ok(Compression::Gzip),
        "application/vnd.oci.image.layer.v1.tar+zstd"
        | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Ok(Compression::Zstd),
        other if other.contains("nondistributable") || other.contains("foreign") => Err(format!(
            "a layer is `{other}`: registries may not hand it on, so nobody could build the image from its lock"
        )),
        other => Err(format!("a layer is `{other}`, which is no known kind of layer")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SHA: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn read_value(value: serde_json::Value) -> Result<Document, String> {
        read(&Manifest { bytes: value.to_string().into_bytes(), media_type: String::new() })
    }

    fn image_with(layer: &str) -> serde_json::Value {
        json!({ "schemaVersion": 2, "mediaType": DOCKER_MANIFEST,
            "config": { "mediaType": "application/vnd.docker.container.image.v1+json", "digest": SHA, "size": 1 },
            "layers": [{ "mediaType": layer, "digest": SHA, "size": 2 }] })
    }

    #[test]
    fn every_kind_of_layer_is_mapped_and_none_is_guessed() {
        for (kind, expected) in [
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Compression::Gzip),
            ("application/vnd.oci.image.layer.v1.tar", Compression::None),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Compression::Zstd),
        ] {
            let Ok(Document::Image(image)) = read_value(image_with(kind)) else { panic!("{kind}") };
            assert_eq!(image.layers[0].compression, expected);
        }
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        assert!(read_value(image_with(foreign)).unwrap_err().contains("hand it on"));
        assert!(read_value(image_with("text/plain")).unwrap_err().contains("`text/plain`"));
    }

    #[test]
    fn the_image_of_the_platform_is_chosen_and_attestations_are_none() {
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
            { "digest": SHA, "platform": { "architecture": "unknown", "os": "unknown" } },
            { "digest": "sha512:00", "platform": { "architecture": "amd64", "os": "linux" } },
            { "digest": SHA, "platform": { "architecture": "amd64", "os": "windows" } },
            { "digest": SHA, "platform": { "architecture": "amd64", "os": "linux" } } ] });
        let Ok(Document::Index(entries)) = read_value(index) else { panic!("no index") };
        assert_eq!(entries.len(), 3);
        assert_eq!(choose(&entries, "amd64").unwrap().digest.to_string(), SHA);
        let reason = choose(&entries, "arm64").unwrap_err();
        assert!(reason.contains("linux/arm64") && reason.contains("windows/amd64"), "{reason}");
    }

    #[test]
    fn a_configuration_that_is_too_large_to_be_read_whole_is_refused() {
        let mut image = image_with("application/vnd.oci.image.layer.v1.tar");
        image["config"]["size"] = json!(9 << 20);
        assert!(read_value(image).unwrap_err().contains("more than 8 MiB"));
    }

    #[test]
    fn what_is_no_image_is_refused_with_words() {
        let old = json!({ "schemaVersion": 1, "name": "a", "fsLayers": [] });
        assert!(read_value(old).unwrap_err().contains("schema 1"));
        let other = json!({ "schemaVersion": 2, "mediaType": "application/x" });
        assert!(read_value(other).unwrap_err().contains("`application/x`"));
        assert!(read_value(json!([1])).unwrap_err().contains("cannot be read"));
    }
}
