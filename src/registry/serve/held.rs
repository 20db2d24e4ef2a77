//! What a server gives out: the documents and layers of some images, and nothing else.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::digest::Digest;
use crate::image::{self, CONFIG_TYPE, Image, ImageLayer, MANIFEST_TYPE};
use crate::registry::RegistryError;
use crate::store::{Store, StoreError};

/// Everything that is served.
#[derive(Debug)]
pub(super) struct Held {
    /// A handle of the server's own: it outlives the borrow it was made from.
    pub(super) store: Store,
    repositories: BTreeMap<String, Repository>,
}

/// The images of one name.
#[derive(Debug, Default)]
struct Repository {
    manifests: BTreeMap<Digest, Bytes>,
    tags: BTreeMap<String, Digest>,
    blobs: BTreeMap<Digest, Blob>,
}

/// One blob.
#[derive(Debug, Clone)]
pub(super) enum Blob {
    /// An image's configuration.
    Config(Bytes),
    /// A layer, streamed when somebody asks for it.
    Layer(Box<ImageLayer>),
}

impl Blob {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Config(bytes) => bytes.len() as u64,
            Self::Layer(layer) => layer.size,
        }
    }

    pub(super) fn media_type(&self) -> &'static str {
        match self {
            Self::Config(_) => CONFIG_TYPE,
            Self::Layer(layer) => layer.media_type(),
        }
    }
}

/// A manifest with its digest.
pub(super) struct Manifest {
    pub(super) digest: Digest,
    pub(super) bytes: Bytes,
    pub(super) media_type: &'static str,
}

/// The name of an image's repository; registries know lower case only.
pub(super) fn repository(image: &Image) -> String {
    format!("repro/{}", image.name.to_lowercase())
}

impl Held {
    pub(super) fn new(store: &Store, images: &[Image]) -> Result<Self, RegistryError> {
        let mut repositories: BTreeMap<String, Repository> = BTreeMap::new();
        for image in images {
            repositories.entry(repository(image)).or_default().add(store, image)?;
        }
        let store = Store::open(store.root()).map_err(of_store)?;
        Ok(Self { store, repositories })
    }

    /// The manifest that a tag or a digest names.
    pub(super) fn manifest(&self, repository: &str, reference: &str) -> Option<Manifest> {
        let repository = self.repositories.get(repository)?;
        let by_tag = || repository.tags.get(reference).copied();
        let digest = reference.parse().ok().or_else(by_tag)?;
        let bytes = repository.manifests.get(&digest)?.clone();
        Some(Manifest { digest, bytes, media_type: MANIFEST_TYPE })
    }

    /// The blob, unless it is a layer of a base that was never fetched.
    pub(super) fn blob(&self, repository: &str, digest: &Digest) -> Option<Blob> {
        let blob = self.repositories.get(repository)?.blobs.get(digest)?;
        match blob {
            Blob::Layer(layer) if !layer.is_present(&self.store) => None,
            blob => Some(blob.clone()),
        }
    }

    pub(super) fn tags(&self, repository: &str) -> Option<Vec<&str>> {
        let repository = self.repositories.get(repository)?;
        Some(repository.tags.keys().map(String::as_str).collect())
    }
}

impl Repository {
    fn add(&mut self, store: &Store, image: &Image) -> Result<(), RegistryError> {
        let documents = image::documents(store, &image.seal)?;
        self.tags.insert(image.seal.short(), image.seal);
        self.manifests.insert(image.seal, documents.manifest.into());
        let config = Digest::of(&documents.config);
        self.blobs.insert(config, Blob::Config(documents.config.into()));
        for layer in &image.layers {
            self.blobs.insert(layer.digest, Blob::Layer(Box::new(layer.clone())));
        }
        Ok(())
    }
}

fn of_store(error: StoreError) -> RegistryError {
    RegistryError::Image(error.into())
}
