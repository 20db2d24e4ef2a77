//! Which layers an image has of ours, lowest first, as the format epoch of its lock says.
//!
//! Debian packages, the recipe's links and files, large wheels one by one, small wheels together, git
//! trees, downloads, built files, local files. What two layers have at one path is the higher
//! one's. What decides a layer should be little, so that many images have it:
//!
//! - Packages lie alone (epoch 1: with the recipe's links and files), so they are one layer for
//!   all images with the same list of them.
//! - A layer above brings the directories that it needs, but for those of the base and of the packages
//!   (epoch 1: but for those of all layers below), so it is the same whatever stands beside it.
//!
//! Unpacking packages takes longer than all the rest of a sealed build, and wheels have long lists
//! of files. So plans are remembered in the store, once an image has been built from them, by what
//! they were made from.

use std::collections::{BTreeMap, BTreeSet};

use super::BuildError;
use crate::digest::Digest;
use crate::image::ImageLayer;
use crate::layer::{self, Directories, FileInput, LayerPlan, PackageInput, TreeInput, WheelInput};
use crate::lock::{
    BuiltFile, Lock, LockedBuild, LockedDownload, LockedFile, LockedGit, LockedPackage, LockedWheel,
};
use crate::store::Store;

/// The store's bucket of plans: their key to the digest of the plan, a blob.
const PLANNED: &str = "planned-layer";

/// Plans the layers of the image.
pub(super) fn of_image(store: &Store, lock: &Lock) -> Result<Vec<LayerPlan>, BuildError> {
    let mut stack = Stack::begin(store, lock);
    stack.lowest(&[])?;
    stack.wheels()?;
    stack.code()?;
    stack.files()?;
    Ok(stack.plans)
}

/// Plans the layers of the image that `build` runs in: the base with the build's packages, and the
/// build's wheels on top.
pub(super) fn of_build(
    store: &Store,
    lock: &Lock,
    build: &LockedBuild,
) -> Result<Vec<LayerPlan>, BuildError> {
    let mut stack = Stack::begin(store, lock);
    stack.lowest(&build.packages)?;
    stack.wheels_together(&build.wheels.iter().collect::<Vec<_>>())?;
    Ok(stack.plans)
}

/// Remembers the plans that were made for `layers`, whose image is registered.
pub(super) fn remember(store: &Store, layers: &[ImageLayer]) -> Result<(), BuildError> {
    let fact = |plan: &LayerPlan| Some((plan.key()?.hex(), Digest::of(&plan.to_bytes()).hex()));
    let facts: Vec<_> = layers.iter().filter_map(ImageLayer::plan).filter_map(fact).collect();
    if !facts.is_empty() {
        store.remember_all(PLANNED, &facts)?;
    }
    Ok(())
}

/// Forgets the plans that are none of `kept`.
pub(super) fn forget(store: &Store, kept: &dyn Fn(&str) -> bool) -> Result<(), BuildError> {
    let rows = store.recall_all(PLANNED)?.into_iter();
    let gone = rows.filter(|(_, plan)| !kept(plan)).map(|(key, _)| key);
    Ok(store.forget(PLANNED, &gone.collect::<Vec<_>>())?)
}

/// What stands below the first layer of ours.
fn below_everything(lock: &Lock) -> Directories {
    let base = lock.base.as_ref();
    base.map(|base| Directories::of_base(&base.directories)).unwrap_or_default()
}

/// Layers in the making.
struct Stack<'a> {
    store: &'a Store,
    lock: &'a Lock,
    /// What all layers above rely on.
    ground: Directories,
    /// Everything below the next layer.
    below: Directories,
    plans: Vec<LayerPlan>,
}

impl<'a> Stack<'a> {
    fn begin(store: &'a Store, lock: &'a Lock) -> Self {
        let ground = below_everything(lock);
        Self { store, lock, below: ground.clone(), ground, plans: Vec::new() }
    }

    /// Adds a layer whose directories all layers above rely on.
    fn add_ground(&mut self, plan: LayerPlan) {
        self.below = plan.directories(&self.below);
        self.ground = self.below.clone();
        self.plans.push(plan);
    }

    /// Adds a layer beside others.
    fn add(&mut self, plan: LayerPlan) {
        if self.lock.epoch == 1 {
            return self.add_ground(plan);
        }
        self.below = plan.repeated_directories(&self.below);
        self.plans.push(plan);
    }

    /// Debian packages and what the recipe's tables add; nothing above a base that has it all.
    fn lowest(&mut self, more: &[LockedPackage]) -> Result<(), BuildError> {
        let lock = self.lock;
        let mut packages: Vec<_> = lock.packages.iter().chain(more).map(package_input).collect();
        packages.sort_by(|left, right| left.name.cmp(&right.name));
        packages.dedup_by(|left, right| left.digest == right.digest);
        let has_tables = !(lock.symlinks.is_empty() && lock.files.is_empty());
        if lock.base.is_some() && !has_tables {
            return Ok(());
        }
        if lock.epoch > 1 && lock.base.is_none() && !packages.is_empty() {
            return self.packages_below_tables(&packages);
        }
        let (links, files) = (&lock.symlinks, &lock.files);
        self.add(layer::packages(self.store, &packages, links, files, &self.below)?);
        Ok(())
    }

    fn packages_below_tables(&mut self, packages: &[PackageInput]) -> Result<(), BuildError> {
        let Lock { symlinks, files, .. } = self.lock;
        let above: BTreeSet<String> = symlinks.keys().chain(files.keys()).cloned().collect();
        let mut plan = match remembered(self.store, &layer::packages_key(packages))? {
            Some(plan) => plan,
            None => layer::packages_alone(self.store, packages, &BTreeMap::new(), &above)?,
        };
        // What one link leads elsewhere may be where another one stands.
        let mut leading = BTreeMap::new();
        loop {
            let known = leading.len();
            leading.extend(layer::leading_links(&plan, symlinks)?);
            if leading.len() == known {
                break;
            }
            plan = layer::packages_alone(self.store, packages, &leading, &above)?;
        }
        self.add_ground(plan);
        let links = symlinks.iter().filter(|(path, _)| !leading.contains_key(*path));
        let links: BTreeMap<_, _> = links.map(|(path, to)| (path.clone(), to.clone())).collect();
        if !(links.is_empty() && files.is_empty()) {
            self.add(layer::links_and_files(self.store, &links, files, &self.below)?);
        }
        Ok(())
    }

    fn wheels(&mut self) -> Result<(), BuildError> {
        let compiled = builds_of_image(self.lock).filter_map(|build| build.output.as_ref());
        let mut wheels: Vec<&LockedWheel> = self.lock.wheels.iter().chain(compiled).collect();
        wheels.sort_by(|left, right| left.name.cmp(&right.name));
        let limit = layer::own_layer_size(self.lock.epoch);
        let (large, small): (Vec<_>, Vec<_>) =
            wheels.into_iter().partition(|wheel| wheel.size > limit);
        let first = self.plans.len();
        for wheel in large {
            self.wheels_together(&[wheel])?;
        }
        self.wheels_together(&small)?;
        if self.lock.epoch > 1 {
            layer::check_agreement(self.store, &self.plans[first..])?;
        }
        Ok(())
    }

    /// One layer of all `wheels`.
    fn wheels_together(&mut self, wheels: &[&LockedWheel]) -> Result<(), BuildError> {
        if wheels.is_empty() {
            return Ok(());
        }
        let wheels: Vec<_> = wheels.iter().map(|wheel| wheel_input(wheel)).collect();
        let python = &self.lock.python;
        let key = layer::wheels_key(&wheels, python, &self.ground);
        let plan = match remembered(self.store, &key)? {
            Some(plan) => plan,
            None => layer::wheels(self.store, &wheels, python, &self.ground)?,
        };
        let plan = match plan.fits(&self.ground, &self.below) {
            true => plan,
            false => layer::wheels(self.store, &wheels, python, &self.below)?,
        };
        self.add(plan);
        Ok(())
    }

    fn code(&mut self) -> Result<(), BuildError> {
        for tree in self.lock.git.iter().filter_map(tree_input) {
            self.add(layer::source_tree(self.store, &tree, &self.below)?);
        }
        Ok(())
    }

    fn files(&mut self) -> Result<(), BuildError> {
        let (store, lock) = (self.store, self.lock);
        let downloads: Vec<_> = lock.downloads.iter().map(download_input).collect();
        if !downloads.is_empty() {
            self.add(layer::downloaded_files(store, &downloads, &self.below)?);
        }
        let built = builds_of_image(lock).flat_map(|build| &build.files);
        let built: Vec<_> = built.map(built_input).collect();
        if !built.is_empty() {
            self.add(layer::built_files(store, &built, &self.below)?);
        }
        let local: Vec<_> = lock.local_files.iter().map(file_input).collect();
        if !local.is_empty() {
            self.add(layer::files(store, &local, &self.below)?);
        }
        Ok(())
    }
}

/// The plan that was made under `key`, if an image was built from it here and it is still there.
fn remembered(store: &Store, key: &Digest) -> Result<Option<LayerPlan>, BuildError> {
    let plan = store.recall(PLANNED, &key.hex())?;
    let digest = plan.and_then(|hex| Digest::from_hex(&hex).ok());
    let bytes = digest.and_then(|digest| store.read_blob(&digest).ok());
    Ok(bytes.and_then(|bytes| LayerPlan::recalled(bytes).ok()))
}

/// The builds that give the image something; others give it to a profile.
fn builds_of_image(lock: &Lock) -> impl Iterator<Item = &LockedBuild> {
    lock.builds.iter().filter(|build| build.profile.is_none())
}

fn package_input(package: &LockedPackage) -> PackageInput {
    PackageInput {
        name: package.name.clone(),
        version: package.version.clone(),
        file: package.path.rsplit('/').next().unwrap_or(&package.path).to_owned(),
        digest: package.sha256,
    }
}

fn wheel_input(wheel: &LockedWheel) -> WheelInput {
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
