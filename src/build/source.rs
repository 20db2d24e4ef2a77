//! What an image was built from, kept under its seal: an old `name@sha256` can be run and
//! verified without a checkout.
//!
//! Every lock that was ever built is registered with its checkout. Whether that checkout still
//! has the lock decides whether the image may be collected (`gc`).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::assemble::BUILT;
use super::prove::PROVEN;
use super::{BuildError, Builder};
use crate::digest::Digest;
use crate::image::Image;
use crate::lock::Lock;
use crate::store::Store;

/// The store's bucket of sources: seal to [`Source`].
const BUCKET: &str = "image-source";
/// The store's bucket of checkouts: digest of the lock, a space and the folder, to [`Checkout`].
const CHECKOUTS: &str = "checkout";

/// Where the lock and the recipe of an image are in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The image's name; empty if an earlier version of the program wrote this.
    #[serde(default)]
    pub name: String,
    /// The lock's text, with its seal.
    pub lock: Digest,
    /// The recipe's text, if the image was built from a checkout.
    pub recipe: Option<Digest>,
    /// The checkout's `images` folder; it need not exist any more.
    pub folder: PathBuf,
}

/// A checkout whose lock was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// The image's name.
    pub name: String,
    /// Digest of the lock, without its seal.
    pub lock: Digest,
    /// The seal it gave.
    pub seal: Digest,
    /// The checkout's `images` folder.
    pub folder: PathBuf,
}

impl Checkout {
    /// Where its lock was.
    pub fn lock_path(&self) -> PathBuf {
        let project = self.folder.parent().unwrap_or(Path::new("/"));
        project.join("lockfiles").join(format!("{}.lock", self.name))
    }

    fn key(&self) -> String {
        format!("{} {}", self.lock.hex(), self.folder.display())
    }
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
    let folder = store.root().to_owned();
    let source = Source { name: lock.name.clone(), lock: text, recipe, folder };
    keep(store, &image.seal, &source)?;
    Ok(store.remember(BUILT, &lock.digest().hex(), &image.seal.to_string())?)
}

fn keep(store: &Store, seal: &Digest, source: &Source) -> Result<(), BuildError> {
    let source = serde_json::to_string(source).expect("digests and paths always serialise");
    Ok(store.remember(BUCKET, &seal.hex(), &source)?)
}

/// Every source in the store with its seal, sorted by seal: images that were built or imported.
pub fn sources(store: &Store) -> Result<Vec<(Digest, Source)>, BuildError> {
    let rows = store.recall_all(BUCKET)?;
    let read = |(key, text): (String, String)| {
        Some((Digest::from_hex(&key).ok()?, serde_json::from_str(&text).ok()?))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Every checkout that a lock was built from.
pub fn checkouts(store: &Store) -> Result<Vec<Checkout>, BuildError> {
    let rows = store.recall_all(CHECKOUTS)?;
    Ok(rows.into_iter().filter_map(|(_, text)| serde_json::from_str(&text).ok()).collect())
}

/// Registers a sealed lock with its recipe and its checkout, whether it was built here or not.
pub fn register_source(
    store: &Store,
    lock: &Lock,
    seal: &Digest,
    recipe: Option<&str>,
    folder: &Path,
) -> Result<(), BuildError> {
    let text = store.put(lock.to_text().as_bytes())?;
    // A build by seal has no checkout: what an earlier one left is kept.
    let earlier = source_of(store, seal).ok();
    let name = lock.name.clone();
    let folder = folder.to_owned();
    let source = match (recipe, earlier) {
        (Some(recipe), _) => {
            let recipe = Some(store.put(recipe.as_bytes())?);
            register_checkout(store, lock, seal, &folder)?;
            Source { name, lock: text, recipe, folder }
        }
        (None, Some(earlier)) => Source { name, lock: text, ..earlier },
        (None, None) => Source { name, lock: text, recipe: None, folder },
    };
    keep(store, seal, &source)
}

fn register_checkout(
    store: &Store,
    lock: &Lock,
    seal: &Digest,
    folder: &Path,
) -> Result<(), BuildError> {
    let folder = folder.canonicalize().unwrap_or(folder.to_owned());
    let checkout = Checkout { name: lock.name.clone(), lock: lock.digest(), seal: *seal, folder };
    let text = serde_json::to_string(&checkout).expect("digests and paths always serialise");
    let key = checkout.key();
    // Writing costs a sync of the disk; most builds have nothing to add.
    if store.recall(CHECKOUTS, &key)?.as_deref() != Some(text.as_str()) {
        store.remember(CHECKOUTS, &key, &text)?;
    }
    Ok(())
}

/// Forgets how these images were built; an image that stays is found out again by its next build.
pub fn forget(store: &Store, seals: &[Digest]) -> Result<(), BuildError> {
    let texts: Vec<String> = seals.iter().map(Digest::to_string).collect();
    let of_seals = |bucket: &str, is_ours: &dyn Fn(&str) -> bool| -> Result<(), BuildError> {
        let rows = store.recall_all(bucket)?;
        let keys = rows.into_iter().filter(|(_, value)| is_ours(value)).map(|(key, _)| key);
        Ok(store.forget(bucket, &keys.collect::<Vec<_>>())?)
    };
    of_seals(BUILT, &|value| texts.iter().any(|seal| seal == value))?;
    of_seals(CHECKOUTS, &|value| {
        let checkout = serde_json::from_str::<Checkout>(value);
        checkout.is_ok_and(|checkout| seals.contains(&checkout.seal))
    })?;
    Ok(store.forget(BUCKET, &seals.iter().map(Digest::hex).collect::<Vec<_>>())?)
}

/// Forgets what is known of layers whose plan is none of `kept`, and plans themselves; returns of
/// how many layers.
pub fn forget_layers(store: &Store, kept: &dyn Fn(&str) -> bool) -> Result<usize, BuildError> {
    let rows = store.recall_all(PROVEN)?;
    let keys: Vec<String> = rows.into_iter().map(|(key, _)| key).filter(|key| !kept(key)).collect();
    store.forget(PROVEN, &keys)?;
    super::layering::forget(store, kept)?;
    Ok(keys.len())
}

impl Builder<'_> {
    /// Keeps lock and recipe under the image's seal.
    pub(super) fn keep_source(&self, lock: &Lock, seal: &Digest) -> Result<(), BuildError> {
        register_source(self.store, lock, seal, self.recipe.as_deref(), &self.folder)
    }

    /// Notes that this checkout has the lock, too, although nothing had to be built.
    pub(super) fn keep_checkout(&self, lock: &Lock, seal: &Digest) -> Result<(), BuildError> {
        let Some(recipe) = &self.recipe else { return Ok(()) };
        // A recipe may change without its image; records name the text that they were made by.
        self.store.put(recipe.as_bytes())?;
        register_checkout(self.store, lock, seal, &self.folder)
    }
}
