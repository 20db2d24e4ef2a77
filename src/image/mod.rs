//! OCI configuration and manifest as canonical JSON; the manifest's digest is the seal.
//!
//! The types that OCI tools share keep annotations and labels in hash maps, so
//! writing those gives another digest each time. Everything here is written
//! through one canonical form instead (`json`).
//!
//! Invariants: an [`Image`] that was loaded is whole (manifest, configuration and
//! every layer plan are in the store and match the seal); its layers' bytes are
//! never stored, only streamed from their plans. How an image comes to be is left
//! to `build`, how it is run to `engine`.

mod base;
mod export;
mod json;
mod layer;
mod manifest;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::layer::{LayerError, LayerPlan};
use crate::store::{Store, StoreError};

pub use base::BaseConfiguration;
pub use export::{check_new_file, check_new_folder, export_archive, export_layout, write_archive};
pub use json::canonical;
pub use layer::{Content, ImageLayer};
pub use manifest::{
    CONFIG_TYPE, Configuration, Documents, LayerDescriptor, MANIFEST_TYPE, layer_type,
};

/// As many layers can be stacked: the kernel's overlay takes no more (`OVL_MAX_STACK`).
pub const MOST_LAYERS: usize = 500;

/// The store's bucket of images: seal to [`Entry`].
const BUCKET: &str = "image";

/// What can go wrong with an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer's bytes could not be made.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// No image of this seal was ever built here.
    #[error("the store has no image with seal {seal}")]
    Unknown {
        /// The seal asked for.
        seal: Digest,
    },
    /// A manifest or a configuration is not what this program writes.
    #[error("the image's manifest or configuration cannot be read")]
    Document(#[source] serde_json::Error),
    /// A layer of a registry's image is needed, and nobody fetched it yet.
    #[error("layer `{origin}` of the base image is not in the store\n  needed  {digest}")]
    MissingLayer {
        /// What it holds.
        origin: String,
        /// Digest of its bytes.
        digest: Digest,
    },
    /// A layer of a registry's image cannot be decompressed.
    #[error("layer {digest} of the base image cannot be read")]
    BaseLayer {
        /// Digest of its bytes.
        digest: Digest,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// Whoever asked for a layer's bytes did not take them.
    #[error("a layer's bytes could not be passed on")]
    Pass(#[source] std::io::Error),
    /// A file of an export could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Which file.
        path: std::path::PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Somebody asked to stop.
    #[error("stopped")]
    Stopped,
    /// The target of an export is there already.
    #[error("`{}` exists and is not empty", path.display())]
    Exists {
        /// The target.
        path: std::path::PathBuf,
    },
}

/// A sealed image that is in the store.
#[derive(Debug, Clone)]
pub struct Image {
    /// Name of the recipe's image, `seg-debian`.
    pub name: String,
    /// Digest of the manifest.
    pub seal: Digest,
    /// Digest of the lock it was built from, without its seal.
    pub lock: Digest,
    /// The layers, lowest first.
    pub layers: Vec<ImageLayer>,
    /// Environment of every process.
    pub env: BTreeMap<String, String>,
    /// Folder a process starts in.
    pub workdir: String,
}

/// What the store remembers of an image beside its documents.
#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    lock: Digest,
    /// One for each layer; none for a layer of a registry's image.
    plans: Vec<Option<Digest>>,
}

impl Image {
    /// Puts an image into the store: configuration, manifest and layer plans.
    pub fn save(
        store: &Store,
        name: &str,
        lock: Digest,
        configuration: &Configuration,
        layers: Vec<ImageLayer>,
    ) -> Result<Self, ImageError> {
        let image = Self::prepare(store, name, lock, configuration, layers)?;
        image.register(store)?;
        Ok(image)
    }

    /// As [`Image::save`], but [`Image::load`] does not find it: its layers may not be proven yet.
    pub fn prepare(
        store: &Store,
        name: &str,
        lock: Digest,
        configuration: &Configuration,
        layers: Vec<ImageLayer>,
    ) -> Result<Self, ImageError> {
        let descriptors: Vec<_> = layers.iter().map(ImageLayer::descriptor).collect();
        let documents = Documents::new(configuration, &descriptors);
        store.put(&documents.config)?;
        let seal = store.put(&documents.manifest)?;
        Ok(Self {
            name: name.to_owned(),
            seal,
            lock,
            layers,
            env: configuration.env.clone(),
            workdir: configuration.workdir.clone(),
        })
    }

    /// Lets [`Image::load`] find an image that was prepared.
    pub fn register(&self, store: &Store) -> Result<(), ImageError> {
        let keep =
            |layer: &ImageLayer| layer.plan().map(|plan| store.put(&plan.to_bytes())).transpose();
        let plans = self.layers.iter().map(keep).collect::<Result<_, _>>()?;
        let entry = Entry { name: self.name.clone(), lock: self.lock, plans };
        let text = serde_json::to_string(&entry).expect("text and digests always serialise");
        Ok(store.remember(BUCKET, &self.seal.hex(), &text)?)
    }

    /// Loads the image with this seal.
    pub fn load(store: &Store, seal: &Digest) -> Result<Self, ImageError> {
        let unknown = || ImageError::Unknown { seal: *seal };
        let text = store.recall(BUCKET, &seal.hex())?.ok_or_else(unknown)?;
        let entry: Entry = serde_json::from_str(&text).map_err(ImageError::Document)?;
        let documents = documents(store, seal)?;
        let (configuration, descriptors) = manifest::read(&documents)?;
        if descriptors.len() != entry.plans.len() {
            return Err(unknown());
        }
        let layers = descriptors
            .into_iter()
            .zip(&entry.plans)
            .map(|(layer, plan)| {
                let LayerDescriptor { origin, diff_id, digest, size, compression } = layer;
                let content = match plan {
                    Some(plan) => Content::Plan(LayerPlan::from_bytes(&store.read_blob(plan)?)?),
                    None => Content::Base(compression),
                };
                Ok(ImageLayer { origin, diff_id, digest, size, content })
            })
            .collect::<Result<Vec<_>, ImageError>>()?;
        Ok(Self {
            name: entry.name,
            seal: *seal,
            lock: entry.lock,
            layers,
            env: configuration.env,
            workdir: configuration.workdir,
        })
    }

    /// Bytes of the metadata that the store keeps for this image: documents and layer plans.
    pub fn metadata_size(&self, store: &Store) -> Result<u64, ImageError> {
        let documents = documents(store, &self.seal)?;
        let plans = self.layers.iter().filter_map(ImageLayer::plan);
        let plans: usize = plans.map(|plan| plan.to_bytes().len()).sum();
        Ok((documents.config.len() + documents.manifest.len() + plans) as u64)
    }
}

/// An image whose documents are in the store, and which nobody named yet.
#[derive(Debug)]
pub struct Unclaimed {
    /// Digest of the manifest.
    pub seal: Digest,
    /// The layers, lowest first.
    pub layers: Vec<ImageLayer>,
    configuration: Configuration,
}

impl Unclaimed {
    /// Reads the documents of an image that this program wrote, here or elsewhere.
    ///
    /// # Errors
    ///
    /// [`ImageError::Unknown`] for documents that it would have written otherwise.
    pub fn read(store: &Store, seal: &Digest) -> Result<Self, ImageError> {
        let documents = documents(store, seal)?;
        let (configuration, descriptors) = manifest::read(&documents)?;
        if Documents::new(&configuration, &descriptors) != documents {
            return Err(ImageError::Unknown { seal: *seal });
        }
        let layer = |layer: LayerDescriptor| {
            let LayerDescriptor { origin, diff_id, digest, size, compression } = layer;
            ImageLayer { origin, diff_id, digest, size, content: Content::Base(compression) }
        };
        let layers = descriptors.into_iter().map(layer).collect();
        Ok(Self { seal: *seal, layers, configuration })
    }

    /// What its configuration says.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Names it and lets [`Image::load`] find it.
    pub fn claim(self, store: &Store, name: &str, lock: Digest) -> Result<Image, ImageError> {
        Image::save(store, name, lock, &self.configuration, self.layers)
    }
}

/// Name and seal of every image in the store, sorted by seal.
pub fn list(store: &Store) -> Result<Vec<(String, Digest)>, ImageError> {
    let mut images = Vec::new();
    for (key, text) in store.recall_all(BUCKET)? {
        let entry: Entry = serde_json::from_str(&text).map_err(ImageError::Document)?;
        if let Ok(seal) = Digest::from_hex(&key) {
            images.push((entry.name, seal));
        }
    }
    Ok(images)
}

/// The digest of the lock that the image with this seal was built or pulled with, if it is in the store.
pub fn lock_of(store: &Store, seal: &Digest) -> Result<Option<Digest>, ImageError> {
    let text = store.recall(BUCKET, &seal.hex())?;
    let entry = text.map(|text| serde_json::from_str::<Entry>(&text)).transpose();
    Ok(entry.map_err(ImageError::Document)?.map(|entry| entry.lock))
}

/// The blobs that an image is whole with: manifest, configuration, layer plans; and layers of its
/// base, which may not be there.
pub fn blobs(store: &Store, seal: &Digest) -> Result<Vec<Digest>, ImageError> {
    let text = store.recall(BUCKET, &seal.hex())?.ok_or(ImageError::Unknown { seal: *seal })?;
    let entry: Entry = serde_json::from_str(&text).map_err(ImageError::Document)?;
    let documents = documents(store, seal)?;
    let mut blobs = vec![*seal, Digest::of(&documents.config)];
    blobs.extend(entry.plans.iter().flatten());
    let (_, layers) = manifest::read(&documents)?;
    blobs.extend(layers.into_iter().map(|layer| layer.digest));
    Ok(blobs)
}

/// Forgets images; their blobs stay until somebody removes them.
pub fn forget(store: &Store, seals: &[Digest]) -> Result<(), ImageError> {
    Ok(store.forget(BUCKET, &seals.iter().map(Digest::hex).collect::<Vec<_>>())?)
}

/// Configuration and manifest of the image with this seal.
pub fn documents(store: &Store, seal: &Digest) -> Result<Documents, ImageError> {
    let manifest = store.read_blob(seal)?;
    let config = store.read_blob(&manifest::config_digest(&manifest)?)?;
    Ok(Documents { config, manifest })
}
