//! Keeps an image's lock and recipe beside it at a registry, so that whoever pulls the image can run
//! it sealed, verify it and build it again.
//!
//! They are an artifact of their own (OCI image specification 1.1, "Artifacts"): the image's
//! manifest and digest stay as they are, and other tools do not see it. It has a tag made of the
//! image's digest, as registries without the referrers API need it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::RegistryError;
use super::client::Client;
use super::download::{blob, fetch_with};
use super::reference::Reference;
use crate::digest::Digest;
use crate::fetch::Progress;
use crate::image::{MANIFEST_TYPE, canonical};
use crate::lock::LockedBlob;
use crate::settings::RegistryPlace;
use crate::store::Store;

const ARTIFACT: &str = "application/vnd.repro.source.v1";
const LOCK: &str = "application/vnd.repro.lock.v1+toml";
const RECIPE: &str = "application/vnd.repro.recipe.v1+toml";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// What an image was built from, as texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The lock, with its seal.
    pub lock: Vec<u8>,
    /// The recipe, if it is known.
    pub recipe: Option<Vec<u8>>,
}

/// The artifact's blobs and its manifest.
pub(super) struct Artifact {
    pub(super) blobs: Vec<Vec<u8>>,
    pub(super) manifest: Vec<u8>,
}

/// The tag of the artifact that belongs to an image.
pub(super) fn tag(seal: &Digest) -> String {
    format!("sha256-{}.repro", seal.hex())
}

impl Artifact {
    pub(super) fn new(seal: &Digest, size: u64, attached: &Attached) -> Self {
        let describe = |media_type: &str, bytes: &[u8]| {
            let digest = Digest::of(bytes).to_string();
            json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
        };
        let mut blobs = vec![b"{}".to_vec(), attached.lock.clone()];
        let mut layers = vec![describe(LOCK, &attached.lock)];
        if let Some(recipe) = &attached.recipe {
            layers.push(describe(RECIPE, recipe));
            blobs.push(recipe.clone());
        }
        let manifest = canonical(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": ARTIFACT,
            "config": describe(EMPTY, b"{}"),
            "layers": layers,
            "subject": { "mediaType": MANIFEST_TYPE, "digest": seal.to_string(), "size": size },
        }));
        Self { blobs, manifest }
    }
}

/// A lock or a recipe is no larger than this (bytes): both are read whole.
const LARGEST: u64 = 64 << 20;

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "artifactType")]
    artifact_type: String,
    layers: Vec<Value>,
}

/// What is kept beside an image at one place; `None` if nothing that can be read.
pub(super) fn find(
    client: &Client<'_>,
    place: &RegistryPlace,
    seal: &Digest,
) -> Option<(LockedBlob, Option<LockedBlob>)> {
    let tag = tag(seal);
    let manifest = client.persist(|| client.manifest(place, &tag)).ok()??;
    let text: Text = serde_json::from_slice(&manifest.bytes).ok()?;
    let of_type = |media_type: &str| {
        let layer = text.layers.iter().find(|layer| layer["mediaType"] == media_type)?;
        let digest = layer["digest"].as_str()?.parse().ok()?;
        // What no program would have put there is nothing to read.
        let size = layer["size"].as_u64().filter(|size| *size <= LARGEST)?;
        Some(LockedBlob { digest, size })
    };
    let lock = of_type(LOCK).filter(|_| text.artifact_type == ARTIFACT)?;
    Some((lock, of_type(RECIPE)))
}

/// Brings what is kept beside an image.
pub(super) fn read(
    client: &Client<'_>,
    store: &Store,
    reference: &Reference,
    (lock, recipe): (LockedBlob, Option<LockedBlob>),
    progress: &dyn Progress,
) -> Result<Attached, RegistryError> {
    let image = reference.to_string();
    let named = |what: &str, it: &LockedBlob| {
        blob(&image, format!("{what} of {image}"), it.digest, it.size)
    };
    let mut wanted = vec![named("lock", &lock)];
    wanted.extend(recipe.iter().map(|recipe| named("recipe", recipe)));
    fetch_with(client, store, &wanted, progress)?;
    Ok(Attached {
        lock: store.read_blob(&lock.digest)?,
        recipe: recipe.map(|recipe| store.read_blob(&recipe.digest)).transpose()?,
    })
}
