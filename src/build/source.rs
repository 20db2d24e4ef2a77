//! What an image was built from, kept under its seal: an old `name@sha256` can be run and
//! verified without a checkout.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{BuildError, Builder};
use crate::digest::Digest;
use crate::image::Image;
use crate::lock::Lock;
use crate::store::Store;

/// The store's bucket of sources: seal to [`Source`].
const BUCKET: &str = "image-source";

/// Where the lock and the recipe of an image are in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The lock's text, with its seal.
    pub lock: Digest,
    /// The recipe's text, if the image was built from a checkout.
    pub recipe: Option<Digest>,
    /// The checkout's `images` folder; it need not exist any more.
    pub folder: PathBuf,
}

/// What the image with this seal was built from.
pub fn source_of(store: &Store, seal: &Digest) -> Result<Source, BuildError> {
    let text = store.recall(BUCKET, &seal.hex())?;
    let source = text.and_then(|text| serde_json::from_str(&text).ok());
    source.ok_or_else(|| crate::image::ImageError::Unknown { seal: *seal }.into())
}

/// Keeps what came with an image that was built elsewhere.
pub fn keep_pulled(
    store: &Store,
    lock: &Lock,
    recipe: Option<&[u8]>,
    image: &Image,
) -> Result<(), BuildError> {
    let text = store.put(lock.to_text().as_bytes())?;
    let recipe = recipe.map(|recipe| store.put(recipe)).transpose()?;
    let source = Source { lock: text, recipe, folder: store.root().to_owned() };
    keep(store, &image.seal, &source)
}

fn keep(store: &Store, seal: &Digest, source: &Source) -> Result<(), BuildError> {
    let source = serde_json::to_string(source).expect("digests and paths always serialise");
    Ok(store.remember(BUCKET, &seal.hex(), &source)?)
}

impl Builder<'_> {
    /// Keeps lock and recipe under the image's seal.
    pub(super) fn keep_source(&self, lock: &Lock, image: &Image) -> Result<(), BuildError> {
        let text = self.store.put(lock.to_text().as_bytes())?;
        // A build by seal has no checkout: what an earlier one left is kept.
        let earlier = source_of(self.store, &image.seal).ok();
        let source = match (&self.recipe, earlier) {
            (Some(recipe), _) => {
                let recipe = Some(self.store.put(recipe.as_bytes())?);
                Source { lock: text, recipe, folder: self.folder.clone() }
            }
            (None, Some(earlier)) => Source { lock: text, ..earlier },
            (None, None) => Source { lock: text, recipe: None, folder: self.folder.clone() },
        };
        keep(self.store, &image.seal, &source)
    }
}
