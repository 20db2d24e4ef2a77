//! Layers out of inputs, and the image out of layers.

use super::prove::Prover;
use super::{BuildError, Builder, inputs, known, layering};
use crate::digest::Digest;
use crate::fetch;
use crate::image::{BaseConfiguration, Content, Documents, Image, ImageLayer, MOST_LAYERS};
use crate::lock::{Lock, LockedBase, LockedBaseLayer, LockedBuild, LockedSeal};
use crate::store::Store;

/// The store's bucket of locks that were built here: lock digest to seal.
pub(super) const BUILT: &str = "built-lock";

/// The image that a lock is sealed to, if the store has all bytes of its layers, and whatever was
/// compiled for its profiles.
///
/// A pulled image has them without the inputs that they were made of. Its seal is the digest of
/// its manifest, which names every layer, so nothing about it is taken on trust. A lock that the image
/// was not built or pulled with is: whether it gives this image, only a build tells.
pub fn whole(store: &Store, lock: &Lock) -> Option<Image> {
    let seal = lock.seal.as_ref()?;
    let is_known = known::is_known(store, lock, &seal.manifest)
        && known::refuse_other(store, lock).is_ok()
        && known::doubtful(store, lock).is_empty();
    if !is_known {
        return None;
    }
    let image = Image::load(store, &seal.manifest).ok()?;
    // Where a layer came from is told in other words.
    let found = image.layers.iter().map(|layer| (layer.diff_id, layer.digest, layer.size));
    let locked = seal.layers.iter().map(|layer| (layer.diff_id, layer.digest, layer.size));
    if !found.eq(locked) {
        return None;
    }
    let is_whole = |layer: &ImageLayer| match layer.plan() {
        Some(plan) => plan.inputs().iter().all(|input| store.has(input)),
        None => layer.is_present(store),
    };
    let is_made = |build: &LockedBuild| {
        let mut blobs = build.blobs();
        build.is_known() && (build.profile.is_none() || blobs.all(|(_, digest)| store.has(&digest)))
    };
    (image.layers.iter().all(is_whole) && lock.builds.iter().all(is_made)).then_some(image)
}

impl Builder<'_> {
    /// The image, if this lock was built here before and every input is still there, or if it came
    /// here whole.
    pub(super) fn built_before(&self, lock: &Lock) -> Result<Option<Image>, BuildError> {
        if !known::doubtful(self.store, lock).is_empty() {
            return Ok(None);
        }
        let seal = self.store.recall(BUILT, &lock.digest().hex())?;
        let Some(seal) = seal.and_then(|text| text.parse().ok()) else {
            return Ok(whole(self.store, lock));
        };
        let wanted = fetch::wanted(lock);
        let fetched = fetch::plan(self.store, &wanted).iter().all(|item| item.present);
        let made = inputs::named_inputs(lock).iter().all(|(_, digest)| self.store.has(digest));
        let compiled = lock.builds.iter().all(LockedBuild::is_known);
        if !(fetched && made && compiled) {
            return Ok(whole(self.store, lock));
        }
        let Ok(image) = Image::load(self.store, &seal) else { return Ok(None) };
        compare_seal(lock, seal)?;
        let agrees = |locked: &LockedSeal| *locked == super::locked_seal(&image);
        Ok(lock.seal.as_ref().is_none_or(agrees).then_some(image))
    }

    /// The layers of the image, lowest first: those of the base, then ours (see `layering`).
    pub(super) fn assemble(&self, lock: &Lock) -> Result<Vec<ImageLayer>, BuildError> {
        let mut layers = base_layers(lock);
        let plans = layering::of_image(self.store, lock)?;
        let locked = lock.seal.as_ref().and_then(|seal| seal.layers.get(layers.len()..));
        layers.extend(self.prover().prove(plans, locked)?);
        Ok(layers)
    }

    pub(super) fn prover(&self) -> Prover<'_> {
        Prover { store: self.store, progress: self.progress, stop: self.stop }
    }

    /// A stored input that changed on disk is the likeliest reason for wrong bytes: look for it.
    pub(super) fn blame(&self, lock: &Lock, error: BuildError) -> Result<BuildError, BuildError> {
        if matches!(
            error,
            BuildError::Stopped
                | BuildError::Engine { .. }
                | BuildError::JobFailed { .. }
                | BuildError::Io { .. }
        ) {
            return Ok(error);
        }
        let damage = inputs::find_damage(self.store, &inputs::named_inputs(lock))?;
        Ok(damage.unwrap_or(error))
    }

    /// Writes configuration and manifest, compares the seal and registers the image.
    pub(super) fn seal(&self, lock: &Lock, layers: Vec<ImageLayer>) -> Result<Image, BuildError> {
        let image = self.prepare(lock, layers)?;
        image.register(self.store)?;
        layering::remember(self.store, &image.layers)?;
        Ok(image)
    }

    fn prepare(&self, lock: &Lock, layers: Vec<ImageLayer>) -> Result<Image, BuildError> {
        if layers.len() > MOST_LAYERS {
            let (name, found) = (lock.name.clone(), layers.len());
            return Err(BuildError::TooManyLayers { name, found });
        }
        let base = match &lock.base {
            Some(base) => BaseConfiguration::read(&self.store.read_blob(&base.config.digest)?)?,
            None => BaseConfiguration::default(),
        };
        let configuration = known::configuration(lock, base);
        let descriptors: Vec<_> = layers.iter().map(ImageLayer::descriptor).collect();
        compare_seal(lock, Documents::new(&configuration, &descriptors).seal())?;
        Ok(Image::prepare(self.store, &lock.name, lock.digest(), &configuration, layers)?)
    }

    /// The image with the layers that the lock has, none of them proven yet.
    pub(super) fn promise(&self, lock: &Lock, seal: &LockedSeal) -> Result<Image, BuildError> {
        let mut layers = base_layers(lock);
        let plans = layering::of_image(self.store, lock)?;
        super::prove::same_count(layers.len() + plans.len(), seal.layers.len())?;
        let locked = &seal.layers[layers.len()..];
        layers.extend(plans.into_iter().zip(locked).map(|(plan, locked)| ImageLayer {
            origin: plan.origin().to_owned(),
            diff_id: locked.diff_id,
            digest: locked.digest,
            size: locked.size,
            content: Content::Plan(plan),
        }));
        self.prepare(lock, layers)
    }

    /// Remembers that this lock gives this image, and what the image was built from.
    pub(super) fn register(&self, lock: &Lock, image: &Image) -> Result<(), BuildError> {
        self.keep_source(lock, &image.seal)?;
        Ok(self.store.remember(BUILT, &lock.digest().hex(), &image.seal.to_string())?)
    }
}

/// The layers of a registry's image, as they are.
pub(super) fn base_layers(lock: &Lock) -> Vec<ImageLayer> {
    let base = lock.base.iter().flat_map(|base| base.layers.iter().map(move |layer| (base, layer)));
    let layer = |(number, (base, layer)): (usize, (&LockedBase, &LockedBaseLayer))| ImageLayer {
        origin: format!("{}, layer {}", base.image, number + 1),
        diff_id: layer.diff_id,
        digest: layer.digest,
        size: layer.size,
        content: Content::Base(layer.compression),
    };
    base.enumerate().map(layer).collect()
}

fn compare_seal(lock: &Lock, found: Digest) -> Result<(), BuildError> {
    match &lock.seal {
        Some(seal) if seal.manifest != found => {
            Err(BuildError::SealDiffers { name: lock.name.clone(), expected: seal.manifest, found })
        }
        _ => Ok(()),
    }
}
