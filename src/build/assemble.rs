//! Layers out of inputs, and the image out of layers.

use super::prove::Prover;
use super::{BuildError, Builder, inputs};
use crate::digest::Digest;
use crate::fetch;
use crate::image::{Configuration, Documents, Image, ImageLayer, LayerDescriptor};
use crate::layer::{self, Directories, FileInput, LayerPlan, PackageInput, WheelInput};
use crate::lock::{Lock, LockedPackage, LockedSeal, LockedWheel};

/// The store's bucket of locks that were built here: lock digest to seal.
const BUILT: &str = "built-lock";

impl Builder<'_> {
    /// The image, if this lock was built here before and every input is still there.
    pub(super) fn built_before(&self, lock: &Lock) -> Result<Option<Image>, BuildError> {
        let seal = self.store.recall(BUILT, &lock.digest().hex())?;
        let Some(seal) = seal.and_then(|text| text.parse().ok()) else { return Ok(None) };
        let wanted = fetch::wanted(lock);
        let fetched = fetch::plan(self.store, &wanted).iter().all(|item| item.present);
        let made = inputs::named_inputs(lock).iter().all(|(_, digest)| self.store.has(digest));
        if !(fetched && made) {
            return Ok(None);
        }
        let Ok(image) = Image::load(self.store, &seal) else { return Ok(None) };
        compare_seal(lock, seal)?;
        let agrees = |locked: &LockedSeal| *locked == super::locked_seal(&image);
        Ok(lock.seal.as_ref().is_none_or(agrees).then_some(image))
    }

    /// The layers of the image, lowest first: packages, large wheels, small wheels, local files.
    pub(super) fn assemble(&self, lock: &Lock) -> Result<Vec<ImageLayer>, BuildError> {
        let plans = self.plan(lock)?;
        let locked = lock.seal.as_ref().map(|seal| seal.layers.as_slice());
        self.prover().prove(plans, locked)
    }

    pub(super) fn prover(&self) -> Prover<'_> {
        Prover { store: self.store, progress: self.progress, stop: self.stop }
    }

    fn plan(&self, lock: &Lock) -> Result<Vec<LayerPlan>, BuildError> {
        let store = self.store;
        let packages: Vec<_> = lock.packages.iter().map(package_input).collect();
        let mut below = Directories::default();
        let mut plans = Vec::new();
        let mut add = |plan: LayerPlan| {
            below = plan.directories(&below);
            plans.push(plan);
            below.clone()
        };
        let mut below = add(layer::packages(
            store,
            &packages,
            &lock.symlinks,
            &lock.files,
            &Directories::default(),
        )?);
        let compiled = lock.builds.iter().filter_map(|build| build.output.as_ref());
        let mut wheels: Vec<&LockedWheel> = lock.wheels.iter().chain(compiled).collect();
        wheels.sort_by(|left, right| left.name.cmp(&right.name));
        let (large, small): (Vec<_>, Vec<_>) =
            wheels.into_iter().partition(|wheel| wheel.size > layer::OWN_LAYER_SIZE);
        for wheel in large {
            below = add(layer::wheels(store, &[wheel_input(wheel)], &lock.python, &below)?);
        }
        if !small.is_empty() {
            let small: Vec<_> = small.into_iter().map(wheel_input).collect();
            below = add(layer::wheels(store, &small, &lock.python, &below)?);
        }
        if !lock.local_files.is_empty() {
            let files: Vec<_> = lock
                .local_files
                .iter()
                .map(|file| FileInput {
                    path: file.path.clone(),
                    digest: file.sha256,
                    executable: file.executable,
                })
                .collect();
            add(layer::files(store, &files, &below)?);
        }
        Ok(plans)
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

    /// Writes configuration and manifest and compares the seal.
    pub(super) fn seal(&self, lock: &Lock, layers: Vec<ImageLayer>) -> Result<Image, BuildError> {
        let configuration = Configuration {
            architecture: lock.config.architecture.clone(),
            env: lock.config.env.clone(),
            workdir: lock.config.workdir.clone(),
            entrypoint: lock.config.entrypoint.clone(),
        };
        let descriptors: Vec<_> = layers
            .iter()
            .map(|layer| LayerDescriptor {
                origin: layer.origin.clone(),
                diff_id: layer.diff_id,
                digest: layer.digest,
                size: layer.size,
            })
            .collect();
        compare_seal(lock, Documents::new(&configuration, &descriptors).seal())?;
        Ok(Image::save(self.store, &lock.name, lock.digest(), &configuration, layers)?)
    }

    /// Remembers that this lock gives this image, and what the image was built from.
    pub(super) fn register(&self, lock: &Lock, image: &Image) -> Result<(), BuildError> {
        self.keep_source(lock, image)?;
        Ok(self.store.remember(BUILT, &lock.digest().hex(), &image.seal.to_string())?)
    }
}

fn compare_seal(lock: &Lock, found: Digest) -> Result<(), BuildError> {
    match &lock.seal {
        Some(seal) if seal.manifest != found => {
            Err(BuildError::SealDiffers { name: lock.name.clone(), expected: seal.manifest, found })
        }
        _ => Ok(()),
    }
}

pub(super) fn package_input(package: &LockedPackage) -> PackageInput {
    PackageInput {
        name: package.name.clone(),
        version: package.version.clone(),
        file: package.path.rsplit('/').next().unwrap_or(&package.path).to_owned(),
        digest: package.sha256,
    }
}

pub(super) fn wheel_input(wheel: &LockedWheel) -> WheelInput {
    WheelInput {
        name: wheel.name.clone(),
        version: wheel.version.clone(),
        file: wheel.file.clone(),
        digest: wheel.sha256,
        requested: wheel.requested,
    }
}
