//! Layers out of inputs, and the image out of layers.

use super::prove::Prover;
use super::{BuildError, Builder, inputs};
use crate::digest::Digest;
use crate::fetch;
use crate::image::{BaseConfiguration, Configuration, Content, Documents, Image, ImageLayer};
use crate::layer::{self, Directories, FileInput, LayerPlan, PackageInput, TreeInput, WheelInput};
use crate::lock::{
    BuiltFile, Lock, LockedBase, LockedBaseLayer, LockedBuild, LockedDownload, LockedFile,
    LockedGit, LockedPackage, LockedSeal, LockedWheel,
};

/// The store's bucket of locks that were built here: lock digest to seal.
pub(super) const BUILT: &str = "built-lock";

impl Builder<'_> {
    /// The image, if this lock was built here before and every input is still there.
    pub(super) fn built_before(&self, lock: &Lock) -> Result<Option<Image>, BuildError> {
        let seal = self.store.recall(BUILT, &lock.digest().hex())?;
        let Some(seal) = seal.and_then(|text| text.parse().ok()) else { return Ok(None) };
        let wanted = fetch::wanted(lock);
        let fetched = fetch::plan(self.store, &wanted).iter().all(|item| item.present);
        let made = inputs::named_inputs(lock).iter().all(|(_, digest)| self.store.has(digest));
        let compiled = lock.builds.iter().all(LockedBuild::is_known);
        if !(fetched && made && compiled) {
            return Ok(None);
        }
        let Ok(image) = Image::load(self.store, &seal) else { return Ok(None) };
        compare_seal(lock, seal)?;
        let agrees = |locked: &LockedSeal| *locked == super::locked_seal(&image);
        Ok(lock.seal.as_ref().is_none_or(agrees).then_some(image))
    }

    /// The layers of the image, lowest first: those of the base, large wheels, small wheels, git
    /// trees, downloads, built files, local files. What two layers have at one path is the higher one's.
    pub(super) fn assemble(&self, lock: &Lock) -> Result<Vec<ImageLayer>, BuildError> {
        let mut layers = base_layers(lock);
        let plans = self.plan(lock)?;
        let locked = lock.seal.as_ref().and_then(|seal| seal.layers.get(layers.len()..));
        layers.extend(self.prover().prove(plans, locked)?);
        Ok(layers)
    }

    pub(super) fn prover(&self) -> Prover<'_> {
        Prover { store: self.store, progress: self.progress, stop: self.stop }
    }

    fn plan(&self, lock: &Lock) -> Result<Vec<LayerPlan>, BuildError> {
        let store = self.store;
        let mut plans = Vec::new();
        let mut below = below_everything(lock);
        let lowest = self.lowest_plan(lock, &[], &below)?;
        let mut add = |plan: LayerPlan, below: &Directories| {
            let above = plan.directories(below);
            plans.push(plan);
            above
        };
        if let Some(plan) = lowest {
            below = add(plan, &below);
        }
        let compiled = of_image(lock).filter_map(|build| build.output.as_ref());
        let mut wheels: Vec<&LockedWheel> = lock.wheels.iter().chain(compiled).collect();
        wheels.sort_by(|left, right| left.name.cmp(&right.name));
        let (large, small): (Vec<_>, Vec<_>) =
            wheels.into_iter().partition(|wheel| wheel.size > layer::OWN_LAYER_SIZE);
        for wheel in large {
            let plan = layer::wheels(store, &[wheel_input(wheel)], &lock.python, &below)?;
            below = add(plan, &below);
        }
        if !small.is_empty() {
            let small: Vec<_> = small.into_iter().map(wheel_input).collect();
            let plan = layer::wheels(store, &small, &lock.python, &below)?;
            below = add(plan, &below);
        }
        for tree in lock.git.iter().filter_map(tree_input) {
            below = add(layer::source_tree(store, &tree, &below)?, &below);
        }
        if !lock.downloads.is_empty() {
            let files: Vec<_> = lock.downloads.iter().map(download_input).collect();
            below = add(layer::downloaded_files(store, &files, &below)?, &below);
        }
        let built: Vec<_> = of_image(lock).flat_map(|build| &build.files).collect();
        if !built.is_empty() {
            let built: Vec<_> = built.into_iter().map(built_input).collect();
            below = add(layer::built_files(store, &built, &below)?, &below);
        }
        if !lock.local_files.is_empty() {
            let files: Vec<_> = lock.local_files.iter().map(file_input).collect();
            add(layer::files(store, &files, &below)?, &below);
        }
        Ok(plans)
    }

    /// Debian packages with what the recipe's tables add; nothing above a base that has it all.
    pub(super) fn lowest_plan(
        &self,
        lock: &Lock,
        more: &[LockedPackage],
        below: &Directories,
    ) -> Result<Option<LayerPlan>, BuildError> {
        if lock.base.is_some() && lock.symlinks.is_empty() && lock.files.is_empty() {
            return Ok(None);
        }
        let mut packages: Vec<_> = lock.packages.iter().chain(more).map(package_input).collect();
        packages.sort_by(|left, right| left.name.cmp(&right.name));
        packages.dedup_by(|left, right| left.digest == right.digest);
        Ok(Some(layer::packages(self.store, &packages, &lock.symlinks, &lock.files, below)?))
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
        Ok(image)
    }

    fn prepare(&self, lock: &Lock, layers: Vec<ImageLayer>) -> Result<Image, BuildError> {
        let (labels, history) = match &lock.base {
            Some(base) => {
                let config = self.store.read_blob(&base.config.digest)?;
                let config = BaseConfiguration::read(&config)?;
                (config.labels, config.history)
            }
            None => Default::default(),
        };
        let configuration = Configuration {
            architecture: lock.config.architecture.clone(),
            env: lock.env(),
            workdir: lock.config.workdir.clone(),
            entrypoint: lock.config.entrypoint.clone(),
            labels,
            history,
        };
        let descriptors: Vec<_> = layers.iter().map(ImageLayer::descriptor).collect();
        compare_seal(lock, Documents::new(&configuration, &descriptors).seal())?;
        Ok(Image::prepare(self.store, &lock.name, lock.digest(), &configuration, layers)?)
    }

    /// The image with the layers that the lock has, none of them proven yet.
    pub(super) fn promise(&self, lock: &Lock, seal: &LockedSeal) -> Result<Image, BuildError> {
        let mut layers = base_layers(lock);
        let plans = self.plan(lock)?;
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

/// The builds that give the image something; others give it to a profile.
fn of_image(lock: &Lock) -> impl Iterator<Item = &LockedBuild> {
    lock.builds.iter().filter(|build| build.profile.is_none())
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

/// What stands below the first layer of ours.
pub(super) fn below_everything(lock: &Lock) -> Directories {
    let base = lock.base.as_ref();
    base.map(|base| Directories::of_base(&base.directories)).unwrap_or_default()
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

/// The tree as a layer; `None` if it is only compiled.
fn tree_input(git: &LockedGit) -> Option<TreeInput> {
    Some(TreeInput {
        origin: format!("{} {}", git.name, git.commit.short()),
        path: git.path.clone()?,
        digest: git.archive.digest,
    })
}

fn built_input(file: &BuiltFile) -> FileInput {
    FileInput { path: file.path.clone(), digest: file.sha256, executable: file.executable }
}

fn download_input(file: &LockedDownload) -> FileInput {
    FileInput { path: file.path.clone(), digest: file.sha256, executable: file.executable }
}

fn file_input(file: &LockedFile) -> FileInput {
    FileInput { path: file.path.clone(), digest: file.sha256, executable: file.executable }
}
