//! Puts the parts together, and decides what of a previous lock is still true.

use super::debian::DebianPart;
use super::files::FilesPart;
use super::python::PythonPart;
use super::{Request, Scope};
use crate::lock::{
    Asked, BuildSource, ImageConfig, Lock, LockedBlob, LockedBuild, LockedDownload, LockedGit,
    PythonTarget, Unpinned, gone,
};
use crate::recipe::BuildRecipe;
use crate::recipe::names::normalised;

/// What was resolved.
pub(super) struct Parts {
    pub(super) files: FilesPart,
    pub(super) debian: DebianPart,
    pub(super) git: Vec<LockedGit>,
    pub(super) downloads: Vec<LockedDownload>,
    pub(super) python: PythonPart,
    /// What could not be pinned.
    pub(super) unpinned: Vec<Unpinned>,
}

/// The lock that `parts` make.
pub(super) fn lock(request: &Request<'_>, asked: &Asked, scope: &Scope, parts: Parts) -> Lock {
    let mut lock = match (scope, request.previous) {
        (Scope::Everything, _) | (_, None) => of_recipe(request, asked, parts),
        (_, Some(previous)) => with_parts(request, previous.clone(), scope, asked, parts),
    };
    if let Some(previous) = request.previous {
        keep_outputs(&mut lock, previous);
        lock.seal = previous.seal.clone().filter(|_| is_same_image(&lock, previous));
    }
    lock
}

/// The lock of another format epoch: the same inputs, other layers.
pub(super) fn moved(previous: &Lock, epoch: u32) -> Lock {
    let seal = previous.seal.clone().filter(|_| previous.epoch == epoch);
    Lock { epoch, seal, ..previous.clone() }
}

fn of_recipe(request: &Request<'_>, asked: &Asked, mut parts: Parts) -> Lock {
    let recipe = request.recipe;
    let image = &recipe.image;
    let mut builds: Vec<_> =
        image.builds.iter().filter_map(|build| of_build(build, &mut parts)).collect();
    builds.sort_by(|a, b| a.name.cmp(&b.name));
    parts.unpinned.extend(gone(image));
    parts.unpinned.sort();
    Lock {
        name: recipe.name.clone(),
        epoch: request.epoch,
        asked: asked.clone(),
        as_of: image.python.as_of.clone(),
        base: request.base.pinned(),
        suite: image.base.debian().map(|debian| debian.suite.clone()).unwrap_or_default(),
        python: PythonTarget::of(image),
        config: ImageConfig::of(image),
        packages: parts.debian.base,
        wheels: parts.python.wheels,
        git: parts.git,
        downloads: parts.downloads,
        find_links: image.python.find_links.clone(),
        builds,
        symlinks: image.symlinks.clone(),
        files: image.files.clone(),
        local_files: parts.files.local,
        profile_files: parts.files.profile,
        unpinned: parts.unpinned,
        seal: None,
    }
}

fn of_build(recipe: &BuildRecipe, parts: &mut Parts) -> Option<LockedBuild> {
    let name = normalised(&recipe.name);
    // A build without its source is not part of the lock; what is missing of it is unpinned.
    let part = parts.python.builds.remove(&name)?;
    let packages = parts.debian.builds.remove(&name).unwrap_or_default();
    let local = parts.files.builds.remove(&name).unwrap_or_default();
    Some(LockedBuild {
        name,
        version: recipe.version.clone(),
        source: part.source,
        packages,
        wheels: part.wheels,
        env: recipe.env.clone(),
        command: recipe.command.clone(),
        repeatable: recipe.repeatable,
        local,
        profile: recipe.profile.clone(),
        outputs: recipe.outputs.clone(),
        output: None,
        files: Vec::new(),
    })
}

/// One thing was resolved again: the rest stays as it was, even where the recipe has changed.
fn with_parts(
    request: &Request<'_>,
    mut lock: Lock,
    scope: &Scope,
    asked: &Asked,
    mut parts: Parts,
) -> Lock {
    lock.base = request.base.pinned();
    if lock.base.is_some() {
        lock.unpinned.retain(|item| item.input != Unpinned::BASE);
    }
    lock.packages = parts.debian.base;
    lock.wheels = parts.python.wheels;
    for build in &mut lock.builds {
        if let Some(part) = parts.python.builds.remove(&build.name) {
            (build.source, build.wheels) = (part.source, part.wheels);
        }
        build.packages = parts.debian.builds.remove(&build.name).unwrap_or_default();
        build.local = parts.files.builds.remove(&build.name).unwrap_or_default();
        (build.output, build.files) = (None, Vec::new());
    }
    lock.git = parts.git;
    lock.downloads = parts.downloads;
    lock.local_files = parts.files.local;
    lock.profile_files = parts.files.profile;
    answer(&mut lock.asked, scope, asked);
    lock
}

/// What was resolved again answers what the recipe asks for now.
fn answer(locked: &mut Asked, scope: &Scope, asked: &Asked) {
    if *scope == Scope::Base {
        locked.base.clone_from(&asked.base);
    }
    let debian = matches!(scope, Scope::Debian | Scope::Package(_));
    let python = matches!(scope, Scope::Distribution(_));
    if debian {
        locked.packages.clone_from(&asked.packages);
    }
    if python {
        locked.requirements.clone_from(&asked.requirements);
    }
    for (name, build) in &mut locked.builds {
        let Some(asked) = asked.builds.get(name) else { continue };
        if debian {
            build.packages.clone_from(&asked.packages);
        }
        if python {
            build.requires.clone_from(&asked.requires);
            build.wheels.clone_from(&asked.wheels);
        }
    }
}

/// What a build job gives is still true while everything that it sees is the same. An epoch cuts
/// its image into other layers, but what a job finds in it is the same in all of them.
fn keep_outputs(lock: &mut Lock, previous: &Lock) {
    let same_surroundings = lock.python == previous.python
        && lock.config.architecture == previous.config.architecture
        && lock.base == previous.base
        && lock.packages == previous.packages
        && lock.symlinks == previous.symlinks
        && lock.files == previous.files;
    if !same_surroundings {
        return;
    }
    let git = lock.git.clone();
    for build in &mut lock.builds {
        let mut known = previous.builds.iter().filter(|known| known.name == build.name);
        let bare =
            |known: &LockedBuild| LockedBuild { output: None, files: Vec::new(), ..known.clone() };
        let same_tree = tree_of(&git, &build.source) == tree_of(&previous.git, &build.source);
        if let Some(known) = known.next().filter(|known| same_tree && bare(known) == *build) {
            build.output.clone_from(&known.output);
            build.files.clone_from(&known.files);
        }
    }
}

/// The archive that a build job unpacks, where its source is one of these.
fn tree_of<'a>(git: &'a [LockedGit], source: &BuildSource) -> Option<&'a LockedBlob> {
    let BuildSource::Git(name) = source else { return None };
    git.iter().find(|git| git.name == *name).map(|git| &git.archive)
}

/// What profiles mount, the date and the seal itself are no part of the image.
fn is_same_image(lock: &Lock, previous: &Lock) -> bool {
    let stripped =
        |lock: &Lock| Lock { as_of: String::new(), seal: None, ..lock.without_profiles() };
    stripped(lock) == stripped(previous)
}
